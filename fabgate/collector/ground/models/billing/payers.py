"""Payers: what a statement needs to know about them, and what other programs call them."""

from __future__ import annotations

from typing import Any

from django.db import models

from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.models.people import Group, Member


class Payer(models.Model):
    """A member, a group or an organisation that pays. Its id is the text that sessions store as their payer.

    An organisation is a school, a company or a project that is not a member. A member or a group has no row before they
    pay for others or somebody types their details (money/billing/paying/payers.py).
    """

    MEMBER, GROUP, ORGANISATION = "member", "group", "organisation"

    #: The member's id, ``group:N``, or ``payer:N`` for an organisation.
    id = models.CharField(max_length=64, primary_key=True)
    member = models.OneToOneField(Member, null=True, blank=True, on_delete=models.PROTECT, related_name="payer_record")
    group = models.OneToOneField(Group, null=True, blank=True, on_delete=models.PROTECT, related_name="payer_record")
    #: The legal name; empty for a member or a group that has no other name than their own.
    name = models.CharField(max_length=200, blank=True)
    address = models.TextField(blank=True)
    #: Empty: the member's own.
    email = models.EmailField(blank=True)
    #: The language of statements. Empty: the member's own, or that of the site.
    lang = models.CharField(max_length=8, blank=True)
    #: In France a SIREN or a SIRET.
    registration_number = models.CharField(max_length=30, blank=True)
    vat_number = models.CharField(max_length=20, blank=True)
    #: The first day on which an organisation no longer pays.
    ended_on = models.DateField(null=True, blank=True)
    #: The key for sorting and searching organisations; members and groups have their own.
    folded = models.CharField(max_length=300, editable=False, default="")

    class Meta:
        """A payer is one thing, and a member pays under their own id."""

        constraints = [
            models.CheckConstraint(
                condition=models.Q(member=None) | models.Q(group=None), name="payer_is_a_member_or_a_group"
            ),
            models.CheckConstraint(
                condition=models.Q(member=None) | models.Q(member=models.F("id")), name="payer_has_the_members_id"
            ),
        ]

    def __str__(self) -> str:
        """Return the name by which people know it; select `member` and `group` with many rows."""
        if self.member is not None:
            return self.member.name or self.id
        return self.group.name if self.group is not None else self.name

    def save(self, *args: Any, **more: Any) -> None:
        """Save, and keep the search key up to date."""
        self.folded = folded(self.name)
        if more.get("update_fields") is not None and "name" in more["update_fields"]:
            more["update_fields"] = {*more["update_fields"], "folded"}
        super().save(*args, **more)

    @property
    def is_new(self) -> bool:
        """Return whether it has no row yet."""
        return self._state.adding

    @property
    def kind(self) -> str:
        """Return MEMBER, GROUP or ORGANISATION."""
        if self.member_id is not None:
            return self.MEMBER
        return self.ORGANISATION if self.group_id is None else self.GROUP

    @property
    def legal_name(self) -> str:
        """Return the name for statements."""
        return self.name or str(self)

    @property
    def email_or_own(self) -> str:
        """Return the address for statements: without one of its own, that of the member."""
        return self.email or (self.member.email if self.member is not None else "")

    @property
    def lang_or_own(self) -> str:
        """Return the language for statements; empty means that of the site."""
        return self.lang or (self.member.lang if self.member is not None else "")

    @classmethod
    def organisations(cls) -> models.QuerySet[Payer]:
        """Return the payers that are neither members nor groups."""
        return cls.objects.filter(member=None, group=None)


class PayerReference(models.Model):
    """What another program, such as an accounting system, calls a payer: a customer number, an account."""

    payer = models.ForeignKey(Payer, on_delete=models.PROTECT, related_name="references")
    #: The short name of the program, such as ``tryton``.
    sink = models.SlugField(max_length=40, db_index=False)
    reference = models.CharField(max_length=200)

    class Meta:
        """A program has one name for a payer."""

        constraints = [models.UniqueConstraint(fields=["payer", "sink"], name="payer_reference_once")]

    def __str__(self) -> str:
        return f"{self.sink}: {self.reference}"
