"""What lists and pages show of contests: a mark beside what is contested, and the contests with what they are about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy, pgettext_lazy

from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.roles import self_and_groups
from fabgate.collector.faces.pages.words import names
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Contest, PrepaidEntry, UsageSession
from fabgate.collector.members.people.display_names import account_names
from fabgate.collector.money.billing import contests
from fabgate.collector.money.paper.figures import Money
from fabgate.collector.money.paper.statements.rows import LINE, SESSION, StatementRow

#: Colour and word of a contest, by its decision.
_STATES: Final[Mapping[str, tuple[str, Any]]] = {
    "": ("starting", pgettext_lazy("an amount", "Contested")),
    Contest.KEPT: ("ok", gettext_lazy("Contested: amount kept")),
    Contest.REVERSED: ("ok", gettext_lazy("Contested: amount taken back")),
    Contest.OTHERWISE: ("ok", gettext_lazy("Contested: settled")),
}
_ENTRIES: Final = dict(PrepaidEntry.KINDS)
_METHODS: Final = dict(PrepaidEntry.METHODS)
#: The kinds of rows of a statement that can be contested.
_KINDS: Final = {SESSION: Contest.SESSION, LINE: Contest.LINE}


class Mark(NamedTuple):
    """A mark beside what is, or was, contested. Its word is in the language in which it is shown."""

    pk: int
    state: str
    word: Any


def mark(one: Contest) -> Mark:
    """Return the mark of a contest."""
    return Mark(one.pk, *_STATES[one.decision])


def marks(kind: str, keys: Collection[Any]) -> dict[str, Mark]:
    """Return the mark of each thing that is, or was, contested, by key."""
    return {key: mark(one) for key, one in contests.of(kind, [str(key) for key in keys]).items()}


def of_statement(rows: Sequence[StatementRow], payer: str) -> list[dict[str, Any]]:
    """Return rows of a payer's statement with marks. `payer` is who may open their pages; "" for the accountant's ones.

    A reversal has the mark of its session; a member opens only sessions that still are theirs.
    """
    sessions = {row.session for row in rows if row.kind == SESSION}
    found = {
        Contest.SESSION: marks(Contest.SESSION, sessions),
        Contest.LINE: marks(Contest.LINE, [row.line for row in rows if row.kind == LINE]),
    }
    theirs = own_sessions(payer, sessions) if payer else sessions
    shown = []
    for row in rows:
        kind = _KINDS.get(row.kind, "")
        key = row.session if kind == Contest.SESSION else str(row.line)
        about = found[kind].get(key) if kind else None
        shown.append({**row._asdict(), "url": _url(row, payer, theirs), "mark": about})
    return shown


def answered_by(request: HttpRequest, session: str) -> Contest | None:
    """Return the waiting contest of a session that a form on another page answers: the one that this page showed.

    One that concerns the account itself is left to somebody else.
    """
    one = contests.of_session(session)
    if one is None or (request.method == "POST" and request.POST.get("contest") != str(one.pk)):
        return None
    return one if self_and_groups(account_of(request)).isdisjoint(contests.concerned(one)) else None


def own_sessions(member: str, among: Collection[str]) -> set[str]:
    """Return which of some sessions a member used or pays for."""
    rows = UsageSession.objects.filter(pk__in=among)
    return {pk for pk, *people in rows.values_list("pk", "used_by", "payer") if member in people}


def _url(row: StatementRow, payer: str, theirs: Collection[str]) -> str:
    if row.kind == SESSION and row.session in theirs:
        return reverse("my-minutes-contest" if payer else "month-session", args=[row.session])
    return reverse("my-contest", args=[Contest.LINE, row.line]) if row.kind == LINE and payer else ""


def described(rows: Iterable[Contest], money: Money) -> list[dict[str, Any]]:
    """Return contests with what they are about, the payer's name, and the address of each for its member."""
    listed = list(rows)
    keys: dict[str, list[str]] = {kind: [one.key for one in listed if one.kind == kind] for kind in Contest.KINDS}
    sessions = UsageSession.objects.select_related("machine", "gate").in_bulk(keys[Contest.SESSION])
    entries = PrepaidEntry.objects.in_bulk([int(key) for key in keys[Contest.ENTRY]])
    called = names.people({name for one in listed for name in (one.payer, one.member)})
    by = account_names({one.answered_by for one in listed if one.answered_by})
    found = []
    for one in listed:
        if one.kind == Contest.SESSION:
            what, url = _session(sessions.get(one.key)), reverse("my-minutes-contest", args=[one.key])
        else:
            what = one.text if one.kind == Contest.LINE else entry_name(entries[int(one.key)])
            url = reverse("my-contest", args=[one.kind, one.key])
        found.append(
            {
                "contest": one,
                "what": what,
                "who": called.get(one.payer, one.payer),
                "by": called.get(one.member, one.member),
                "answered_by": by.get(one.answered_by, one.answered_by),
                "amount": money.minor(one.amount_minor),
                "mark": mark(one),
                "mine": url,
            }
        )
    return found


def entry_name(entry: PrepaidEntry) -> str:
    """Return an entry of a prepaid ledger in words: kind, method, number of the receipt, day."""
    day = date_format(entry.day, "SHORT_DATE_FORMAT")
    words = [str(_ENTRIES[entry.kind]), str(_METHODS.get(entry.method, "")), entry.till_number, day]
    return ", ".join(filter(None, words))


def _session(session: UsageSession | None) -> str:
    if session is None:
        return ""
    at = session.started_at or session.ended_at
    day = date_format(timezone.localtime(at), "SHORT_DATETIME_FORMAT") if at else ""
    return " · ".join(filter(None, [str(session.machine or session.gate), day]))
