"""The rules that say which tariff applies where (money/billing/tariffs/rules.py)."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone

from fabgate.collector.ground.models.billing.plans import Plan
from fabgate.collector.ground.models.machines import Machine


class TariffRule(models.Model):
    """A tariff, where it applies, and from which day. A rule is never changed: a later one replaces it."""

    #: A machine, or a category of machines, or neither: all machines.
    machine = models.ForeignKey(Machine, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    category = models.CharField(max_length=60, blank=True)
    #: None: members of every plan and of none.
    plan = models.ForeignKey(Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="rules")
    #: The first day on which it applies, in the site's time zone.
    valid_from = models.DateField()
    #: As pricing/stored.py writes it.
    tariff = models.JSONField()
    #: The purposes of sessions that it bills.
    purposes = models.JSONField()
    vat_code = models.CharField(max_length=20, blank=True)
    made_by = models.CharField(max_length=200)
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """For one place and plan, one rule begins on a day."""

        constraints = [
            models.UniqueConstraint(
                Coalesce("machine", 0), "category", Coalesce("plan", 0), "valid_from", name="rule_once"
            ),
            models.CheckConstraint(
                condition=models.Q(machine=None) | models.Q(category=""), name="rule_names_a_machine_or_a_category"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.place}, {self.plan or 'every plan'}, from {self.valid_from}"

    @property
    def place(self) -> str:
        """Return the machine's name, or the category, or ``all machines``."""
        return self.machine.name if self.machine else self.category or "all machines"
