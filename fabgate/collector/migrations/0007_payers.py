"""Payers become a table of their own. Members who pay for others get a row each; who pays for whom stays as it is.

It is undone only while no organisation pays: before this migration, only members could.
"""

import django.db.models.deletion
from django.db import migrations, models

from fabgate.collector.base.search_key import folded
from fabgate.errors import UsageError


def keep_group_number(_apps, schema_editor):
    """Remember on SQLite the number of the newest group: copying the table forgets it.

    After a restore it is above all ids that sessions may still name (processes/restored_database.py).
    """
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DELETE FROM sqlite_sequence WHERE name = 'kept_group'")
        schema_editor.execute(
            "INSERT INTO sqlite_sequence (name, seq) SELECT 'kept_group', seq FROM sqlite_sequence"
            " WHERE name = 'collector_group'"
        )


def restore_group_number(_apps, schema_editor):
    """Continue with the number that `keep_group_number` remembered."""
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(
            "INSERT INTO sqlite_sequence (name, seq) SELECT 'collector_group', seq FROM sqlite_sequence"
            " WHERE name = 'kept_group' AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'collector_group')"
        )
        schema_editor.execute(
            "UPDATE sqlite_sequence SET seq = MAX(seq, (SELECT seq FROM sqlite_sequence WHERE name = 'kept_group'))"
            " WHERE name = 'collector_group' AND EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'kept_group')"
        )
        schema_editor.execute("DELETE FROM sqlite_sequence WHERE name = 'kept_group'")


def fold_groups(apps, _schema_editor):
    """Compute the search key of each group."""
    for group in apps.get_model("collector", "Group").objects.all():
        group.folded = folded(group.name)
        group.save(update_fields=["folded"])


def add_payers(apps, _schema_editor):
    """Add a row for each member who pays for a member or a group."""
    payer, member, group = (apps.get_model("collector", name) for name in ("Payer", "Member", "Group"))
    ids = {
        pk
        for model in (member, group)
        for pk in model.objects.exclude(payer=None).order_by().values_list("payer_id", flat=True).distinct()
    }
    payer.objects.bulk_create([payer(id=pk, member_id=pk) for pk in sorted(ids)], batch_size=200)


def refuse_other_payers(apps, _schema_editor):
    """Refuse to undo the migration while payers that are not members pay. Raises UsageError."""
    for name in ("Member", "Group"):
        found = apps.get_model("collector", name).objects.exclude(payer=None).filter(payer__member=None).first()
        if found is not None:
            raise UsageError(
                f"found that {found.payer_id} pays for {name.lower()} {found.pk}, and the version before knows only"
                " members as payers; choose another payer first"
            )


class Migration(migrations.Migration):
    """Members and groups are few, so copying their tables on SQLite takes little time."""

    dependencies = [
        ("collector", "0006_audit_chain"),
    ]

    operations = [
        migrations.RunPython(keep_group_number, restore_group_number),
        migrations.AddField(
            model_name="collector",
            name="last_organisation",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="group",
            name="folded",
            field=models.CharField(default="", editable=False, max_length=300),
        ),
        migrations.RunPython(fold_groups, migrations.RunPython.noop),
        migrations.CreateModel(
            name="Payer",
            fields=[
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("name", models.CharField(blank=True, max_length=200)),
                ("address", models.TextField(blank=True)),
                ("email", models.EmailField(blank=True, max_length=254)),
                ("lang", models.CharField(blank=True, max_length=8)),
                ("registration_number", models.CharField(blank=True, max_length=30)),
                ("vat_number", models.CharField(blank=True, max_length=20)),
                ("ended_on", models.DateField(blank=True, null=True)),
                ("folded", models.CharField(default="", editable=False, max_length=300)),
                (
                    "group",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payer_record",
                        to="collector.group",
                    ),
                ),
                (
                    "member",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payer_record",
                        to="collector.member",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("member", None), ("group", None), _connector="OR"),
                        name="payer_is_a_member_or_a_group",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("member", None), ("member", models.F("id")), _connector="OR"),
                        name="payer_has_the_members_id",
                    ),
                ],
            },
        ),
        migrations.RunPython(add_payers, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="group",
            name="payer",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="pays_for_groups",
                to="collector.payer",
            ),
        ),
        migrations.AlterField(
            model_name="member",
            name="payer",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="pays_for",
                to="collector.payer",
            ),
        ),
        migrations.RunPython(restore_group_number, keep_group_number),
        migrations.RunPython(migrations.RunPython.noop, refuse_other_payers),
        migrations.CreateModel(
            name="PayerReference",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sink", models.SlugField(db_index=False, max_length=40)),
                ("reference", models.CharField(max_length=200)),
                (
                    "payer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="references",
                        to="collector.payer",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("payer", "sink"), name="payer_reference_once")],
            },
        ),
    ]
