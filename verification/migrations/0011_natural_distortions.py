from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("verification", "0010_mirrored_clips"),
    ]

    operations = [
        migrations.AlterField(
            model_name="verification",
            name="space",
            field=models.CharField(max_length=255),
        ),
        migrations.AddField(
            model_name="verification",
            name="lower_grey_levels",
            field=models.FloatField(blank=True, null=True),
        ),
    ]
