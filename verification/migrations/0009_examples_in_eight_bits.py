from django.db import migrations, models

KINDS = [
    ("frame", "Original frame"),
    ("flow-magnitude", "Original flow, magnitude"),
    ("flow-direction", "Original flow, direction"),
    ("perturbed-magnitude", "Perturbed flow, magnitude"),
    ("perturbed-direction", "Perturbed flow, direction"),
    ("difference-magnitude", "Difference, magnitude"),
    ("difference-direction", "Difference, direction"),
    ("flow-arrows", "Original flow, arrows"),
    ("perturbed-arrows", "Perturbed flow, arrows"),
    ("difference-arrows", "Difference, arrows"),
    ("perturbed-frame", "Perturbed frame"),
    ("frame-difference", "Difference of the frame"),
    ("adversarial-flows", "Adversarial flows"),
    ("adversarial-clip", "Adversarial clip"),
    ("lossless-clip", "Adversarial clip in 8 bits"),
    ("comparison", "Original and perturbed side by side"),
    ("comparison-still", "One frame, original and perturbed side by side"),
    ("original-flo", "Original flows, Middlebury"),
    ("perturbed-flo", "Perturbed flows, Middlebury"),
    ("result", "Result"),
    ("certificate", "Certificate of the lower bound"),
]


class Migration(migrations.Migration):
    dependencies = [
        ("verification", "0008_how_adversarial_examples_are_looked_for"),
    ]

    operations = [
        migrations.AddField(
            model_name="verification",
            name="eight_bit",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="verification",
            name="example",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="artifact",
            name="kind",
            field=models.CharField(choices=KINDS, max_length=30),
        ),
    ]
