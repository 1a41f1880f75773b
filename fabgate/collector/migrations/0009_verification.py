"""The result of the last verification of the books."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds a table of one row."""

    dependencies = [
        ('collector', '0008_charges'),
    ]

    operations = [
        migrations.CreateModel(
            name='Verification',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('began_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField()),
                ('trouble', models.CharField(blank=True, max_length=500)),
                ('findings', models.BigIntegerField(default=0)),
                ('shown', models.JSONField(default=list)),
                ('compared', models.JSONField(default=dict)),
                ('notes', models.JSONField(default=list)),
                ('head', models.CharField(blank=True, max_length=90)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='only_one_verification')],
            },
        ),
    ]
