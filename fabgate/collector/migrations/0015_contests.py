"""What members find wrong about charges, lines and prepaid entries, and the answers."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds one table; no row changes."""

    dependencies = [
        ('collector', '0014_log_older_terms'),
    ]

    operations = [
        migrations.CreateModel(
            name='Contest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('session', 'session'), ('line', 'line'), ('entry', 'entry')], max_length=8)),
                ('key', models.CharField(max_length=64)),
                ('payer', models.CharField(max_length=200)),
                ('month', models.DateField()),
                ('text', models.CharField(blank=True, max_length=200)),
                ('amount_minor', models.BigIntegerField()),
                ('words', models.CharField(max_length=200)),
                ('member', models.CharField(max_length=64)),
                ('author', models.CharField(max_length=200)),
                ('at', models.DateTimeField()),
                ('decision', models.CharField(blank=True, choices=[('kept', 'kept'), ('reversed', 'reversed'), ('otherwise', 'otherwise')], max_length=12)),
                ('answer', models.CharField(blank=True, max_length=200)),
                ('answered_by', models.CharField(blank=True, max_length=200)),
                ('answered_at', models.DateTimeField(null=True)),
            ],
            options={
                'indexes': [models.Index(fields=['kind', 'key'], name='contest_of_thing'), models.Index(fields=['member', 'at'], name='contest_of_member'), models.Index(condition=models.Q(('answered_at__isnull', True)), fields=['month'], name='contest_waiting')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('answered_at__isnull', True)), fields=('kind', 'key'), name='contest_open_once')],
            },
        ),
    ]
