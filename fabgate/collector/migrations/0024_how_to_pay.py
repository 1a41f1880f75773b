"""How statements are paid: the account, the days, and other means. A workshop that is stored prints none of it yet."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds columns to a table of one row; none that grows is copied."""

    dependencies = [
        ("collector", "0023_vat_rates"),
    ]

    operations = [
        migrations.AddField(
            model_name="workshop",
            name="iban",
            field=models.CharField(blank=True, default="", max_length=34),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="workshop",
            name="bic",
            field=models.CharField(blank=True, default="", max_length=11),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="workshop",
            name="account_holder",
            field=models.CharField(blank=True, default="", max_length=70),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="workshop",
            name="due_days",
            field=models.PositiveSmallIntegerField(
                blank=True, null=True, validators=[django.core.validators.MaxValueValidator(366)]
            ),
        ),
        migrations.AddField(
            model_name="workshop",
            name="payment_text",
            field=models.CharField(blank=True, default="", max_length=300),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="workshop",
            name="payments_kept",
            field=models.CharField(blank=True, default="", max_length=200),
            preserve_default=False,
        ),
    ]
