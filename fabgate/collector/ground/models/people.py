"""Members, groups, and the blocks that keep a member from all machines."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar, Final

from django.db import models
from django.utils.translation import gettext_lazy as _

from fabgate import wire
from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.models.machines import Machine

#: The id of an organisation that pays begins with this (ground/models/billing/payers.py).
ORGANISATION_PREFIX: Final = "payer:"
#: No member's id begins with one of these: sessions use such ids for others.
RESERVED_PREFIXES: Final = (wire.GROUP_PREFIX, ORGANISATION_PREFIX, "emergency:")


class Member(models.Model):
    """A member, by the workshop's own id. `machines` are those that they may use individually, without training."""

    LEVELS = ("user", "supervisor", "maintainer")

    id = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=120, blank=True)
    lang = models.CharField(max_length=8, default="en")
    level = models.CharField(max_length=16, default="user", choices=[(level, level) for level in LEVELS])
    valid_until = models.DateField(null=True, blank=True)
    grace_days = models.PositiveSmallIntegerField(default=0)
    supervised = models.BooleanField(default=False)
    email = models.EmailField(blank=True)
    note = models.TextField(blank=True)
    #: A category for statistics, from the site's own short list.
    category = models.CharField(max_length=60, blank=True)
    #: A minor is always supervised. A flag, because birth dates are not stored.
    minor = models.BooleanField(default=False)
    #: Who pays for what they use; None: the member.
    payer = models.ForeignKey(
        "collector.Payer", null=True, blank=True, on_delete=models.PROTECT, related_name="pays_for"
    )
    joined_on = models.DateField(null=True, blank=True)
    #: The first day on which they are no longer a member.
    left_on = models.DateField(null=True, blank=True)
    machines: models.ManyToManyField[Machine, Any] = models.ManyToManyField(Machine, blank=True, related_name="members")
    #: The key for sorting and searching (ground/base/search_key.py), made from the name, or else from the id.
    folded = models.CharField(max_length=300, editable=False, default="")

    class Meta:
        """Lists are sorted by name."""

        indexes = [models.Index(fields=["folded", "id"], name="member_by_name")]

    def __str__(self) -> str:
        return f"{self.id} ({self.name})" if self.name else self.id

    def save(self, *args: Any, **more: Any) -> None:
        """Save, and keep the search key up to date."""
        self.fold()
        if more.get("update_fields") is not None and "name" in more["update_fields"]:
            more["update_fields"] = {*more["update_fields"], "folded"}
        super().save(*args, **more)

    def fold(self) -> None:
        """Compute the search key; call it before storing members without `save`."""
        self.folded = folded(self.name or self.id)

    @property
    def given_name(self) -> str:
        """Return the first word of the name, which a machine's display may show."""
        return next(iter(self.name.split()), "")

    @classmethod
    def names(cls) -> dict[str, str]:
        """Return the names of members by id."""
        return dict(cls.objects.exclude(name="").values_list("id", "name"))


class Group(models.Model):
    """A class or a company: people who come together, with badges of the group and one payer.

    A badge of the group itself, not of a member, can be used on the group's `machines`. A class is supervised.
    """

    CLASS, COMPANY = "class", "company"
    KINDS = (CLASS, COMPANY)

    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=8, choices=[(kind, kind) for kind in KINDS])
    #: Who pays for what is used with its badges; None: the group.
    payer = models.ForeignKey(
        "collector.Payer", null=True, blank=True, on_delete=models.PROTECT, related_name="pays_for_groups"
    )
    note = models.TextField(blank=True)
    members: models.ManyToManyField[Member, Any] = models.ManyToManyField(Member, blank=True, related_name="groups")
    machines: models.ManyToManyField[Machine, Any] = models.ManyToManyField(Machine, blank=True, related_name="groups")
    #: The first day on which its badges are no longer valid.
    ended_on = models.DateField(null=True, blank=True)
    #: The key for sorting and searching, made from the name.
    folded = models.CharField(max_length=300, editable=False, default="")

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **more: Any) -> None:
        """Save, and keep the search key up to date."""
        self.folded = folded(self.name)
        if more.get("update_fields") is not None and "name" in more["update_fields"]:
            more["update_fields"] = {*more["update_fields"], "folded"}
        super().save(*args, **more)

    @property
    def roster_id(self) -> str:
        """Return the id of the group in rosters and sessions, in the place of a member's id."""
        return f"{wire.GROUP_PREFIX}{self.pk}"

    @property
    def payer_id_or_own(self) -> str:
        """Return the id of the payer, or else of the group, as sessions store it."""
        return self.payer_id or self.roster_id


class Block(models.Model):
    """Keeps a member from using any machine: the reason, since when and by whom. Lifted blocks are kept."""

    #: Reasons that gate panels can show (gate/panel/messages.py).
    REASONS: ClassVar = [
        ("payment-due", _("Payment due")),
        ("no-credit", _("No credit left")),
        ("suspended", _("Suspended")),
        ("banned", _("Banned")),
        ("no-access", _("Another reason")),
    ]

    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="blocks")
    reason = models.CharField(max_length=64)
    #: The first day, in the site's time zone, on which it no longer applies.
    until = models.DateField(null=True, blank=True)
    actor = models.CharField(max_length=200)
    at = models.DateTimeField()
    lifted_by = models.CharField(max_length=200, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """A member has each reason at most once; blocks are looked up by their end."""

        constraints = [
            models.UniqueConstraint(
                fields=["member", "reason"], condition=models.Q(lifted_at__isnull=True), name="block_once"
            )
        ]
        indexes = [models.Index(fields=["until"], condition=models.Q(lifted_at__isnull=True), name="block_holds")]

    def __str__(self) -> str:
        return f"{self.member_id}: {self.reason}"

    @classmethod
    def active(cls, today: date) -> models.QuerySet[Block]:
        """Return the blocks that apply on `today`, the oldest first."""
        ends_later = models.Q(until=None) | models.Q(until__gt=today)
        return cls.objects.filter(ends_later, lifted_at=None).order_by("at", "id")
