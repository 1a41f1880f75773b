"""How is a gate itself: is it heard, what does it know, what has it written that is not here, what is wrong with it?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Count, F, Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate.collector.models import Gate, Hole, Journal, Quarantine
from fabgate.collector.pages import clocks
from fabgate.collector.pages.floor.stations import moment

#: A gate asks for its roster every few minutes; one that could not make sure for so long is cut off from the web side.
UNSURE_AFTER: Final = timedelta(hours=1)
#: What a gate's problems begin with, as gate/reports.py calls them; `roster-ahead` is intake/batch.py's.
PROBLEMS: Final[Mapping[str, Any]] = {
    "certificate": gettext_lazy("Its certificate for the broker has to be renewed"),
    "command": gettext_lazy("A command was refused"),
    "grace": gettext_lazy("Whoever needs a supervisor cannot begin: their card may not leave its holder"),
    "idle-off": gettext_lazy("It cannot feel whether its machine runs: standing still switches nothing off"),
    "journal": gettext_lazy("It cannot keep its records"),
    "journal-full": gettext_lazy("Its records fill up"),
    "lock": gettext_lazy("It keeps a lock that its roster does not know"),
    "reader": gettext_lazy("Its badge reader has a fault"),
    "roster": gettext_lazy("It did not take its roster"),
    "roster-ahead": gettext_lazy("It names a roster of days to come, which is not believed"),
    "roster-members": gettext_lazy("Too many people vanished from its roster: it kept those it knew"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """Something about a gate, with the state that gives its colour and icon."""

    state: str
    text: str


@dataclass(frozen=True, slots=True)
class Health:
    """A gate in words."""

    gate: Gate
    heard: Said
    roster: Said
    records: Said
    clock: Said
    reader: Said
    #: (what is wrong, what the gate says of it)
    problems: list[tuple[str, str]]
    lost: int
    quarantined: int

    @property
    def silent_since(self) -> str:
        """Return when it was heard last; nothing while it is, and where it never was."""
        return moment(self.gate.seen_at) if self.heard.state != "ok" and self.gate.seen_at else ""

    @property
    def is_well(self) -> bool:
        """Whether nobody needs to look at it."""
        said = (self.heard, self.roster, self.records, self.clock, self.reader)
        return all(one.state == "ok" for one in said) and not self.problems and not self.lost and not self.quarantined


def of(gates: Iterable[Gate], at: datetime) -> list[Health]:
    """Return how each of `gates` is; asked of the database once for all."""
    found = list(gates)
    journals = {journal.gate_id: journal for journal in Journal.newest()}
    lost = dict(
        Hole.objects.filter(state=Hole.LOST).values_list("journal__gate").annotate(n=Sum(F("last") - F("first") + 1))
    )
    quarantined = dict(Quarantine.objects.values_list("gate").annotate(n=Count("id")))
    return [
        _health(gate, journals.get(gate.pk), lost.get(gate.pk, 0), quarantined.get(gate.pk, 0), at) for gate in found
    ]


def numbers(first: int, last: int) -> str:
    """Return entries by their numbers."""
    if first == last:
        return _("entry %(first)d") % {"first": first}
    return _("entries %(first)d to %(last)d") % {"first": first, "last": last}


def _health(gate: Gate, journal: Journal | None, lost: int, quarantined: int, at: datetime) -> Health:
    there = gate.is_heard(at)
    return Health(
        gate=gate,
        heard=_heard(gate, there=there),
        roster=_roster(gate, at, there=there),
        records=_records(journal),
        clock=_clock(gate, there=there),
        reader=_reader(gate, there=there),
        problems=[*_too_much(gate, at), *(_problem(text) for text in gate.problems)],
        lost=lost,
        quarantined=quarantined,
    )


def _heard(gate: Gate, *, there: bool) -> Said:
    if gate.seen_at is None:
        return Said("silent", _("Never online"))
    if there:
        return Said("ok", _("Heard"))
    return Said("silent", _("Offline"))


def _roster(gate: Gate, at: datetime, *, there: bool) -> Said:
    if not gate.roster_version:
        return (
            Said("warn", _("No roster: no machine")) if gate.machine_id is None else Said("warn", _("None built yet"))
        )
    if not gate.reported_roster:
        return Said("warn", _("Not fetched yet"))
    built, has = _built(gate.roster_version), _built(gate.reported_roster)
    if not gate.knows_roster:
        if has == built:  # within a minute of each other
            versions = (gate.reported_roster, gate.roster_version)
            has, built = (f"{_at(version):%H:%M:%S}" for version in versions)
        return Said("warn", _("Has that of %(has)s; the newest is of %(built)s") % {"has": has, "built": built})
    sure = gate.roster_confirmed_at
    if there and sure is not None and at - sure > UNSURE_AFTER:
        return Said("warn", _("The newest, but it could not ask since %(at)s") % {"at": moment(sure)})
    is_todays = _at(gate.roster_version).date() == timezone.localdate()
    text = _("Has today's (%(built)s)") if is_todays else _("Has the newest (%(built)s)")
    return Said("ok", text % {"built": built})


def _at(version: int) -> datetime:
    """Return when a roster was built: its version says so in milliseconds."""
    return timezone.localtime(datetime.fromtimestamp(min(version, 2**42) / 1000, UTC))


def _built(version: int) -> str:
    return moment(_at(version))


def _records(journal: Journal | None) -> Said:
    if journal is None:
        return Said("silent", _("No entry yet"))
    behind = journal.head - journal.ack_seq
    if behind > 0:
        text = ngettext("%(n)d entry behind", "%(n)d entries behind", behind)
        return Said("warn", text % {"n": behind})
    text = ngettext("%(n)d entry, all here", "%(n)d entries, all here", journal.ack_seq)
    return Said("ok", text % {"n": journal.ack_seq})


def _clock(gate: Gate, *, there: bool) -> Said:
    if gate.seen_at is None:
        return Said("silent", _("not known"))
    if gate.clock_off_ms is not None:
        ahead, behind = _("At least %(span)s ahead of the collector's"), _("At least %(span)s behind the collector's")
        return Said("bad", (ahead if gate.clock_off_ms > 0 else behind) % {"span": clocks.span(gate.clock_off_ms)})
    if gate.synced and not there:
        return Said("silent", _("Knew the time"))
    return Said("ok", _("Knows the time")) if gate.synced else Said("warn", _("Does not know the time"))


def _reader(gate: Gate, *, there: bool) -> Said:
    if not gate.reader:
        return Said("silent", _("not known"))
    if gate.reader == "ok" and not there:
        return Said("silent", _("Was well"))
    return Said("ok", _("Well")) if gate.reader == "ok" else Said("bad", _("Has a fault"))


def _too_much(gate: Gate, at: datetime) -> list[tuple[str, str]]:
    if not gate.sends_too_much(at):
        return []
    text = _(
        "It sends more than a gate may, and is heard only now and then. It has a fault, or somebody else uses its account."
    )
    return [(text, "")]


def _problem(text: str) -> tuple[str, str]:
    key, _colon, detail = text.partition(": ")
    if key.startswith("thread-"):
        return _("A part of it failed and was started again: %(part)s") % {"part": key.removeprefix("thread-")}, detail
    return str(PROBLEMS.get(key, key)), detail
