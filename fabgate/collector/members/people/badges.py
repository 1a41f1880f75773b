"""Assigns badges to members and groups, and ends the assignments: enrolled, lent until tonight, lost, returned.

An assignment is never deleted or rewritten. The caller announces the rosters. A printed number belongs to the badge,
not to its holder, until another number is entered or another badge gets it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext as _

from fabgate import badge
from fabgate.collector.ground.db import audit, bulk, member_lock, pulse, statements
from fabgate.collector.ground.models import Badge, BadgeForm, Change, Group, Member
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import blocks
from fabgate.errors import UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Card:
    """A physical badge: its spelling, or only the digest that a gate sent."""

    digest: str
    spelling: str = ""
    key_id: str = ""

    @classmethod
    def spelled(cls, found: badge.Badge) -> Card:
        """Return the card with the spelling of `found`."""
        return cls(badge.digest(found, roster.badge_key(settings.ENVIRONMENT)), str(found))

    @classmethod
    def tapped(cls, digest: str) -> Card:
        """Return the card that was tapped on a gate."""
        return cls(digest, "", key_id())

    @classmethod
    def of(cls, row: Badge) -> Card:
        """Return the card of an assignment."""
        return cls(row.digest, row.spelling, row.key_id)

    def carried(self) -> Badge | None:
        """Return its current assignment, or that of the badge of which it is a short form; None without one."""
        held = Badge.objects.filter(digest=self.digest, ended_at=None).select_related("member", "group").first()
        if held is not None:
            return held
        form = BadgeForm.objects.filter(digest=self.digest, state=BadgeForm.ACCEPTED)
        short = form.select_related("badge__member", "badge__group").order_by("badge").last()
        return short.badge if short is not None else None


class Taken(UsageError):  # noqa: N818 (it names what is in the way)
    """The badge or its printed number is already assigned: see `row`."""

    def __init__(self, what: str, row: Badge) -> None:
        self.row = row
        values = {"what": what, "day": f"{row.since:%Y-%m-%d}", "row": row}
        super().__init__(
            _("the %(what)s has been assigned since %(day)s (%(row)s); end that assignment first") % values
        )


class Shared(Taken):
    """It is a number that a reader gives for a badge of somebody else: see `row`."""

    def __init__(self, row: Badge) -> None:
        super().__init__("badge", row)
        who = (row.member.name or row.member.pk) if row.member else str(row.group)
        text = _(
            "A reader gives this number for a badge of %(who)s, too: it cannot tell the two badges apart. Enter"
            " all digits of the badge, or use another badge."
        )
        self.args = (text % {"who": who},)


def key_id() -> str:
    """Return the id of the badge key in use."""
    return next(iter(roster.badge_keys(settings.ENVIRONMENT).by_id))


def assign(
    card: Card,
    holder: Member | Group,
    *,
    actor: str,
    kind: str = Badge.PERSONAL,
    number: str = "",
    until: datetime | None = None,
) -> tuple[Badge, Change]:
    """Assign a badge, with its known printed number unless `number` is given.

    Raises Taken if the badge or its printed number is already assigned, and UsageError if the holder has left or ended.
    """
    member, group = (holder, None) if isinstance(holder, Member) else (None, holder)
    given = Badge(
        spelling=card.spelling,
        digest=card.digest,
        key_id=card.key_id,
        kind=kind,
        member=member,
        group=group,
        since=datetime.now(UTC),
        until=until,
    )
    try:
        with transaction.atomic(), pulse.deferred(), audit.change(actor, "badge.given", given) as change:
            _check_present(holder)
            given.number = number = number or numbers([card.digest]).get(card.digest, "")
            _check_free(Badge.objects.filter(digest=card.digest), "badge", given.since, actor)
            _check_no_form_of_others(given)
            if number:
                _check_free(Badge.objects.filter(number=number), "printed number", given.since, actor)
            given.save()
            change.rosters = roster.versions(roster.rebuild(only_changed=True))
    except IntegrityError as error:
        raise UsageError(
            _("Someone else assigned this badge or its number at the same moment. Check and try again.")
        ) from error
    log.info("badge %d given to %s by %s", given.pk, given.holder, actor)
    return given, change


def store(given: Sequence[Badge]) -> None:
    """Store many new assignments at once, and set their ids."""
    bulk.insert(given)
    rows = {row.digest: row for row in given}
    for digest, pk in statements.rows_among(Badge.objects.filter(ended_at=None), "digest", list(rows), "pk"):
        rows[digest].pk = pk


def lock_carried(members: Collection[str]) -> list[Badge]:
    """Lock the badges of members until the transaction ends, and return them, the oldest first.

    A badge that somebody else reports lost at the same moment stays lost: it is no longer among them.
    """
    found: list[Badge] = []
    for ids in statements.chunks(sorted(members)):
        carried = Badge.objects.filter(ended_at=None, member__in=ids).order_by("pk")
        found += carried.select_for_update(no_key=True)
    return found


def end_all(rows: Sequence[Badge], reason: str, by: str, at: datetime) -> None:
    """End many assignments at once. The caller writes the log and rebuilds the rosters."""
    for row in rows:
        row.ended_at, row.ended_by, row.end_reason = at, by, reason
    bulk.update(rows, ["ended_at", "ended_by", "end_reason"])


def end(row: Badge, reason: str, *, actor: str) -> Change:
    """End an assignment: returned, lost, … Raises UsageError if it has ended already."""
    with audit.change(actor, "badge.lost" if reason == Badge.LOST else "badge.ended", row, reason=reason) as change:
        held = Badge.objects.select_for_update(no_key=True).get(pk=row.pk)
        if held.ended_at is not None:
            raise UsageError(_("This badge has no holder any more."))
        held.end(reason, actor, change.at)
        change.rosters = roster.versions(roster.rebuild(only_changed=True))
    row.refresh_from_db()
    log.info("badge %d of %s ended by %s: %s", row.pk, row.holder, actor, reason)
    return change


def end_of(day: date) -> datetime:
    """Return the moment at which a day ends at the site, such as for a loan until tonight."""
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(settings.ENVIRONMENT.tz))


def numbers(digests: Iterable[str]) -> dict[str, str]:
    """Return the number printed on each of these badges, as last entered; badges without one are missing."""
    own = _newest_values("digest", sorted(set(digests)), "number")
    bearers = _newest_values("number", sorted(set(own.values())), "digest")
    return {digest: number for digest, number in own.items() if bearers[number] == digest}


def _newest_values(column: str, wanted: Sequence[str], result_column: str) -> dict[str, str]:
    """Return by `column` the value of `result_column` in the last assignment that has a printed number."""
    newest = Badge.objects.exclude(number="").order_by().values(column).annotate(last=models.Max("pk"))
    last = {pk: value for value, pk in statements.rows_among(newest, column, wanted, "last")}
    return {
        last[pk]: str(value)
        for pk, value in statements.rows_among(Badge.objects.all(), "pk", list(last), result_column)
    }


def with_number(number: str) -> Card | None:
    """Return the badge with this printed number."""
    last = Badge.objects.filter(number=number).order_by("-id").first() if number else None
    return Card.of(last) if last is not None and numbers([last.digest]).get(last.digest) == number else None


def available_loans() -> dict[str, Card]:
    """Return the badges for loans that are not assigned now, by printed number; lost ones are left out."""
    lent = Badge.objects.filter(kind=Badge.LOAN).values("digest")
    out = Badge.objects.filter(ended_at=None).values("digest")
    rows = Badge.objects.filter(digest__in=lent).exclude(digest__in=out)
    newest = rows.order_by().values("digest").annotate(last=models.Max("pk"))  # the last loan of each badge
    last = {row.digest: row for row in Badge.objects.filter(pk__in=[row["last"] for row in newest])}
    printed = numbers(digest for digest, row in last.items() if row.end_reason != Badge.LOST)
    return {printed[digest]: Card.of(last[digest]) for digest in sorted(printed, key=lambda row: printed[row])}


def _check_present(holder: Member | Group) -> None:
    """Refuse a holder who has left, and lock the row: a departure at the same moment waits, and ends the badge, too."""
    if isinstance(holder, Member):
        member_lock.take([holder], is_present=True)
        return
    held = Group.objects.select_for_update(no_key=True).get(pk=holder.pk)
    if held.ended_on is not None and held.ended_on <= blocks.today():
        raise UsageError(_("This group is closed. Reopen it first."))


def _check_no_form_of_others(given: Badge) -> None:
    """Raise Shared if somebody else's badge is known by this number to a reader that shortens."""
    forms = BadgeForm.objects.filter(digest=given.digest).exclude(state=BadgeForm.OFF).exclude(form="")
    for one in forms.select_related("badge__member", "badge__group").order_by("badge"):
        if one.badge.holder != given.holder:
            raise Shared(one.badge)


def _check_free(rows: models.QuerySet[Badge], what: str, now: datetime, actor: str) -> None:
    """Raise Taken if one of `rows` is still assigned; end a loan that is over."""
    held = rows.filter(ended_at=None).select_related("member", "group").first()
    if held is None:
        return
    if held.until is None or held.until > now:
        raise Taken(what, held)
    with audit.change(actor, "badge.ended", held, reason="its time came"):
        held.end(Badge.OVER, "its time came", held.until)
