"""Plans, and which plan a member has from which day on."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from fabgate.collector.ground.models.people import Member

#: No month is longer.
MOST_FREE_MINUTES = 31 * 24 * 60
#: More is a slip of the finger; as for a line.
MOST_OVERDRAFT = 10_000_000


class Plan(models.Model):
    """What members of a plan get each month."""

    LONGEST_NAME: ClassVar = 60

    name = models.CharField(max_length=LONGEST_NAME, unique=True)
    #: Free time in each month, for each payer and user.
    free_minutes = models.PositiveIntegerField(default=0, validators=[MaxValueValidator(MOST_FREE_MINUTES)])
    #: Taken off each session that costs something.
    discount_percent = models.DecimalField(
        max_digits=5, decimal_places=2, default=Decimal(0), validators=[MinValueValidator(0), MaxValueValidator(100)]
    )
    #: How far below 0 the balance of a member who prepays may fall before gates refuse the member; in the smallest unit.
    overdraft_minor = models.PositiveIntegerField(default=0, validators=[MaxValueValidator(MOST_OVERDRAFT)])

    def __str__(self) -> str:
        return self.name


class PlanChange(models.Model):
    """From a day on, a member has another plan. Only money/billing/member_plans.py writes these rows."""

    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="plan_changes")
    #: The first day, in the site's time zone.
    since = models.DateField()
    #: None: no plan any more.
    plan = models.ForeignKey(Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="changes")

    class Meta:
        """A member has one plan on a day."""

        constraints = [models.UniqueConstraint(fields=["member", "since"], name="plan_change_once")]

    def __str__(self) -> str:
        return f"{self.member_id}: {self.plan or 'no plan'} from {self.since}"
