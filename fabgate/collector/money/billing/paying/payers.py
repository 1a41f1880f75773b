"""Adds payers when they are first needed, and ends organisations that no longer pay."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.ground.db import audit, duplicate, member_lock, statements
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Collector, Group, Member, Payer, PayerReference
from fabgate.collector.ground.models.people import ORGANISATION_PREFIX
from fabgate.errors import UsageError

#: The most names in an error.
_MOST_NAMED: Final = 6


class Ended(UsageError):  # noqa: N818 (it names what is in the way)
    """An organisation that ended cannot be chosen as a payer."""

    def __init__(self, payer: Payer) -> None:
        text = _("%(name)s was closed on %(day)s. Reopen it first, or choose another payer.")
        assert payer.ended_on is not None
        super().__init__(text % {"name": payer, "day": date_format(payer.ended_on, "SHORT_DATE_FORMAT")})


class StillPays(UsageError):  # noqa: N818 (it names what is in the way)
    """An organisation that pays for members or groups cannot end."""

    def __init__(self, payer: Payer, paid_for: list[Group | Member]) -> None:
        names = ", ".join(map(str, paid_for[:_MOST_NAMED])) + (" …" if len(paid_for) > _MOST_NAMED else "")
        text = _("%(name)s still pays for %(names)s. Choose another payer for them first.")
        super().__init__(text % {"name": payer, "names": names})


def get(pk: str) -> Payer | None:
    """Return the payer with this id; a member or a group without a row gets one that is not stored yet.

    None if there is no such member, group or organisation.
    """
    stored = Payer.objects.select_related("member", "group").filter(pk=pk).first()
    if stored is not None:
        return stored
    if (member := Member.objects.filter(pk=pk).first()) is not None:
        return of_member(member)
    number = pk.removeprefix(wire.GROUP_PREFIX)
    if number == pk or not (number.isascii() and number.isdigit()):
        return None
    group = Group.objects.filter(pk=int(number[:18])).first()
    return Payer(id=group.roster_id, group=group) if group is not None and group.roster_id == pk else None


def legal_names(ids: Collection[str]) -> dict[str, str]:
    """Return the names for statements of those ids that are payers, members or groups."""
    rows = Payer.objects.select_related("member", "group").filter(pk__in=ids)
    found = dict(Member.objects.filter(pk__in=ids).values_list("pk", "name"))
    numbers = [id_.removeprefix(wire.GROUP_PREFIX) for id_ in ids if id_.startswith(wire.GROUP_PREFIX)]
    groups = Group.objects.filter(pk__in=[int(number[:18]) for number in numbers if number.isdecimal()])
    return found | {group.roster_id: group.name for group in groups} | {row.pk: row.legal_name for row in rows}


def of_member(member: Member) -> Payer:
    """Return a payer for a member, which may not be stored yet."""
    return Payer(id=member.pk, member=member)


def emails(ids: Collection[str]) -> dict[str, str]:
    """Return the e-mail addresses of payers by their ids: their own, or those of the members that they are."""
    wanted = sorted(ids)
    own = dict(statements.rows_among(Member.objects.exclude(email=""), "pk", wanted, "email"))
    return own | dict(statements.rows_among(Payer.objects.exclude(email=""), "pk", wanted, "email"))


def ensure(payer: Payer, *, actor: str) -> Payer:
    """Return the stored payer, locked until the end of the transaction, and add it first if it is new.

    Raises UsageError if it is a member who has left since `payer` was read.
    """
    with transaction.atomic():
        lock_member(payer)
        held = Payer.objects.select_for_update(no_key=True)
        if (stored := held.filter(pk=payer.pk).first()) is not None:
            return stored
        try:
            with audit.change(actor, "payer.added", payer):
                payer.save(force_insert=True)
        except IntegrityError as error:  # someone else has just added it
            if not duplicate.is_there(error):
                raise
        return held.get(pk=payer.pk)


def lock_member(payer: Payer) -> None:
    """Lock the member that a payer is, until the transaction ends. Raises UsageError if they have left since it was read."""
    if payer.member is not None:
        member_lock.take([payer.member])


def ensure_all(ids: Collection[str], *, actor: str) -> None:
    """Do the same for the payers with these ids, of members and organisations. Raises Ended."""
    held = Payer.objects.select_for_update(no_key=True)
    stored = {row.pk: row for some in statements.chunks(sorted(ids)) for row in held.filter(pk__in=some).order_by("pk")}
    for row in stored.values():
        _refuse_ended(row)
    added = [Payer(id=pk, member_id=pk) for pk in sorted(set(ids) - stored.keys())]
    with audit.changes(actor, "payer.added", added):
        Payer.objects.bulk_create(added, batch_size=200)


def choose(payer: Payer, *, actor: str) -> Payer:
    """Return the stored payer, locked, so that it pays for someone from now on. Raises Ended, and UsageError like `ensure`."""
    stored = ensure(payer, actor=actor)
    _refuse_ended(stored)
    return stored


def add_organisation(payer: Payer, *, actor: str) -> Payer:
    """Store a new organisation under the next number, which no other payer ever had, also not before a restore."""
    Collector.get(settings.ENVIRONMENT.site)
    with transaction.atomic():
        collector = Collector.objects.select_for_update(no_key=True).get()
        number = collector.last_organisation + 1
        while Member.objects.filter(pk=f"{ORGANISATION_PREFIX}{number}").exists():
            number += 1
        payer.id = f"{ORGANISATION_PREFIX}{number}"
        with audit.change(actor, "payer.added", payer):
            payer.save(force_insert=True)
        collector.last_organisation = number
        collector.save(update_fields=["last_organisation"])
    return payer


def set_references(payer: Payer, wanted: Mapping[str, str], *, actor: str) -> None:
    """Store what other programs call a payer: the reference for each sink. Others are removed."""
    with transaction.atomic():
        before = dict(payer.references.values_list("sink", "reference"))
        if before == wanted:
            return
        payer.references.exclude(sink__in=wanted).delete()
        for sink, reference in wanted.items():
            PayerReference.objects.update_or_create(payer=payer, sink=sink, defaults={"reference": reference})
        audit.record(
            actor, "payer.updated", payer, before={"references": _lines(before)}, after={"references": _lines(wanted)}
        )


def end(payer: Payer, *, actor: str) -> None:
    """End an organisation today. Raises StillPays, also if it pays only for people who left: they may come back."""
    with transaction.atomic():
        held = Payer.objects.select_for_update(no_key=True).get(pk=payer.pk)
        paid_for: list[Group | Member] = [
            *held.pays_for_groups.order_by("name"),
            *held.pays_for.order_by("folded", "pk"),
        ]
        if paid_for:
            raise StillPays(held, paid_for)
        with audit.change(actor, "payer.ended", held):
            held.ended_on = timezone.localdate()
            held.save(update_fields=["ended_on"])


def reopen(payer: Payer, *, actor: str) -> None:
    """Let an organisation pay again."""
    with audit.change(actor, "payer.begun", payer):
        Payer.objects.filter(pk=payer.pk).update(ended_on=None)


def _lines(references: Mapping[str, str]) -> list[str]:
    return [f"{sink}: {reference}" for sink, reference in sorted(references.items())]


def _refuse_ended(payer: Payer) -> None:
    if payer.ended_on is not None:
        raise Ended(payer)
