from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("verification", "0009_examples_in_eight_bits"),
    ]

    operations = [
        migrations.AddField(
            model_name="verification",
            name="mirrored",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="verification",
            name="given_label",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="verification",
            name="given_confidence",
            field=models.FloatField(blank=True, null=True),
        ),
    ]
