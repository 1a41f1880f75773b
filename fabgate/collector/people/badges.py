"""How does a badge come into somebody's hands, and out of them again? Enrolled, lent until tonight, lost, given back.

An assignment begins and ends, and is never deleted or rewritten. The caller tells the gates. A number that is printed
on a badge stays its own from hand to hand, until another one is written of it or another badge bears it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext as _

from fabgate import badge
from fabgate.collector.access import roster
from fabgate.collector.db import audit, bulk, pulse, statements
from fabgate.collector.models import Badge, Change, Group, Member
from fabgate.collector.people import blocks
from fabgate.errors import UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Card:
    """A physical badge: as it is spelled, or, without a `spelling`, as a gate told of it."""

    digest: str
    spelling: str = ""
    key_id: str = ""

    @classmethod
    def spelled(cls, found: badge.Badge) -> Card:
        """Return the card of a spelling."""
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
        """Return in whose hands it is now."""
        return Badge.objects.filter(digest=self.digest, ended_at=None).select_related("member", "group").first()


class Taken(UsageError):  # noqa: N818 (it names what is in the way)
    """The badge, or its printed number, is in somebody's hands already: `row`."""

    def __init__(self, what: str, row: Badge) -> None:
        self.row = row
        said = {"what": what, "day": f"{row.since:%Y-%m-%d}", "row": row}
        super().__init__(_("the %(what)s is in use since %(day)s: %(row)s; end that first") % said)


def key_id() -> str:
    """Return the id of the badge key in use."""
    return next(iter(roster.badge_keys(settings.ENVIRONMENT).by_id))


def give(
    card: Card,
    holder: Member | Group,
    *,
    actor: str,
    kind: str = Badge.PERSONAL,
    number: str = "",
    until: datetime | None = None,
) -> tuple[Badge, Change]:
    """Put a badge into somebody's hands, with the number that it bears unless another one is said.

    Raises Taken while it, or its printed number, is in somebody's, and UsageError where the holder has left, or is over.
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
            _is_there(holder)
            given.number = number = number or numbers([card.digest]).get(card.digest, "")
            _free(Badge.objects.filter(digest=card.digest), "badge", given.since, actor)
            if number:
                _free(Badge.objects.filter(number=number), "printed number", given.since, actor)
            given.save()
            change.rosters = roster.versions(roster.rebuild(only_changed=True))
    except IntegrityError as error:
        raise UsageError(
            _("Somebody else gave this badge or its number away at the same moment. Look again.")
        ) from error
    log.info("badge %d given to %s by %s", given.pk, given.holder, actor)
    return given, change


def store(given: Sequence[Badge]) -> None:
    """Store assignments that begin now, many at once; each gets its number."""
    bulk.insert(given)
    rows = {row.digest: row for row in given}
    for digest, pk in statements.rows_among(Badge.objects.filter(ended_at=None), "digest", list(rows), "pk"):
        rows[digest].pk = pk


def end_all(rows: Sequence[Badge], reason: str, by: str, at: datetime) -> None:
    """End assignments, many at once. The caller writes it down and rebuilds the rosters."""
    for row in rows:
        row.ended_at, row.ended_by, row.end_reason = at, by, reason
    bulk.update(rows, ["ended_at", "ended_by", "end_reason"])


def end(row: Badge, reason: str, *, actor: str) -> Change:
    """Take a badge out of its holder's hands: returned, lost, … Raises UsageError where it has ended already."""
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
    """Return when a day is over, where the site is: a loan until tonight ends then."""
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(settings.ENVIRONMENT.tz))


def numbers(digests: Iterable[str]) -> dict[str, str]:
    """Return what is printed on each of these badges, as it was written last; without those that bear no number."""
    own = _written_last("digest", sorted(set(digests)), "number")
    bearers = _written_last("number", sorted(set(own.values())), "digest")
    return {digest: number for digest, number in own.items() if bearers[number] == digest}


def _written_last(column: str, wanted: Sequence[str], told: str) -> dict[str, str]:
    """Return what the last assignment that has a number tells, by what it has in a column, of those that are wanted."""
    newest = Badge.objects.exclude(number="").order_by().values(column).annotate(last=models.Max("pk"))
    last = {pk: value for value, pk in statements.rows_among(newest, column, wanted, "last")}
    return {last[pk]: str(said) for pk, said in statements.rows_among(Badge.objects.all(), "pk", list(last), told)}


def bearing(number: str) -> Card | None:
    """Return the badge on which a number is printed."""
    last = Badge.objects.filter(number=number).order_by("-id").first() if number else None
    return Card.of(last) if last is not None and numbers([last.digest]).get(last.digest) == number else None


def loans_at_hand() -> dict[str, Card]:
    """Return each badge that was lent before and that nobody has now, by its printed number; no lost ones."""
    lent = Badge.objects.filter(kind=Badge.LOAN).values("digest")
    out = Badge.objects.filter(ended_at=None).values("digest")
    rows = Badge.objects.filter(digest__in=lent).exclude(digest__in=out)
    newest = rows.order_by().values("digest").annotate(last=models.Max("pk"))  # of years of evenings, one each
    last = {row.digest: row for row in Badge.objects.filter(pk__in=[one["last"] for one in newest])}
    printed = numbers(digest for digest, row in last.items() if row.end_reason != Badge.LOST)
    return {printed[digest]: Card.of(last[digest]) for digest in sorted(printed, key=lambda one: printed[one])}


def _is_there(holder: Member | Group) -> None:
    """Refuse who has left: a badge would open nothing. Whoever ends them at this moment waits, and ends the badge too."""
    held = type(holder).objects.select_for_update(no_key=True).get(pk=holder.pk)
    if isinstance(held, Member):
        if held.left_on is not None and held.left_on <= blocks.today():
            text = _("%(member)s left on %(day)s; let them in again first")
            raise UsageError(text % {"member": held, "day": held.left_on})
    elif held.ended_on is not None and held.ended_on <= blocks.today():
        raise UsageError(_("This group is closed. Reopen it first."))


def _free(rows: models.QuerySet[Badge], what: str, now: datetime, actor: str) -> None:
    """See to it that none of `rows` is in somebody's hands; a loan whose time has come ends now."""
    held = rows.filter(ended_at=None).select_related("member", "group").first()
    if held is None:
        return
    if held.until is None or held.until > now:
        raise Taken(what, held)
    with audit.change(actor, "badge.ended", held, reason="its time came"):
        held.end(Badge.OVER, "its time came", held.until)
