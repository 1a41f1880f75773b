"""Members get plans from a day on. The plan that a member has as text becomes a record, and is theirs from the start."""

from datetime import date
from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Max, Min
from django.utils import timezone


def make_records(apps: Any, _editor: Any) -> None:
    """Make a plan of each text, and give it to its members from their first day on.

    That is the day on which they joined or first used a machine, the earlier of the two, or else today.
    """
    Member, Plan, PlanChange, UsageSession = (
        apps.get_model("collector", name) for name in ("Member", "Plan", "PlanChange", "UsageSession")
    )
    named = list(Member.objects.exclude(plan="").order_by("pk").values_list("pk", "plan", "joined_on"))
    plans = dict(Plan.objects.values_list("name", "pk"))
    for text in sorted({plan for _member, plan, _joined in named} - plans.keys()):
        plans[text] = Plan.objects.create(name=text).pk
    today = timezone.localdate()
    for member, plan, joined_on in named:
        used = UsageSession.objects.filter(used_by=member).aggregate(first=Min("ended_at"))["first"]
        days = [day for day in (joined_on, used and timezone.localdate(used)) if day is not None]
        PlanChange.objects.create(member_id=member, plan_id=plans[plan], since=min(days, default=today))


def make_texts(apps: Any, _editor: Any) -> None:
    """Write the plan of today back into each member."""
    Member, PlanChange = (apps.get_model("collector", name) for name in ("Member", "PlanChange"))
    begun = PlanChange.objects.filter(since__lte=date.today())  # noqa: DTZ011 (only older versions read it)
    for member, since in begun.order_by("member").values_list("member").annotate(last=Max("since")):
        row = PlanChange.objects.select_related("plan").get(member_id=member, since=since)
        Member.objects.filter(pk=member).update(plan=row.plan.name if row.plan else "")


class Migration(migrations.Migration):
    """Adds the history of plans, and drops the text."""

    dependencies = [("collector", "0003_billing_tariffs")]

    operations = [
        migrations.CreateModel(
            name="PlanChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("since", models.DateField()),
                (
                    "member",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="plan_changes",
                        to="collector.member",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="changes",
                        to="collector.plan",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("member", "since"), name="plan_change_once")],
            },
        ),
        migrations.RunPython(make_records, make_texts),
        migrations.RemoveField(model_name="member", name="plan"),
    ]
