"""The health of a gate: connection, roster, journal, clock, reader, and the problems it reports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Count, F, Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate.collector.faces.pages.floor.stations import moment
from fabgate.collector.faces.pages.words import durations
from fabgate.collector.ground.models import BrokerAccount, Gate, Hole, Journal, Quarantine
from fabgate.collector.members.machines.keys import clones
from fabgate.collector.members.machines.keys.clones import Found

#: A gate confirms its roster every few minutes. After this long without a confirmation, it cannot reach the web
#: process.
UNSURE_AFTER: Final = timedelta(hours=1)
#: The key before the colon of a gate's problem (gate/reports/, gate/checks.py) -> text; `authority-missing`
#: and `roster-ahead` are from recording/intake/gate_reports.py. Of several meters or panels each has its number after the key.
PROBLEMS: Final[Mapping[str, Any]] = {
    "authorities": gettext_lazy("The gate still needs a certificate authority that the workshop has dropped"),
    "authority-missing": gettext_lazy("The gate does not know the new certificate authority of the workshop yet"),
    "certificate": gettext_lazy("The certificate for the message broker must be renewed"),
    "command": gettext_lazy("A command was refused"),
    "delivery": gettext_lazy("The collector does not confirm what the gate sends"),
    "fork": gettext_lazy("The entries of this journal differ from those that the collector has under the same numbers"),
    "grace": gettext_lazy(
        "People who need a supervisor cannot start: the rules give no grace period to change the card"
    ),
    "idle-off": gettext_lazy("No sensor shows whether the machine is running: it does not switch off when idle"),
    "inputs": gettext_lazy("Buttons and contacts cannot be read: they count as pressed"),
    "journal": gettext_lazy("The journal cannot be written"),
    "journal-full": gettext_lazy("The journal is filling up"),
    "lock": gettext_lazy("The gate holds a lock that its roster does not contain"),
    "meter": gettext_lazy("A meter cannot be read: the machine counts as running"),
    "output": gettext_lazy("The plug that switches the machine cannot be used"),
    "panel": gettext_lazy("A display, light or buzzer does not work"),
    "read-back": gettext_lazy("The read-back does not follow the contactor: a welded contactor would go unnoticed"),
    "reader": gettext_lazy("A badge reader has a fault"),
    "roster": gettext_lazy("The roster was refused"),
    "roster-ahead": gettext_lazy(
        "The gate reports a roster version from the future: the collector ignores this version"
    ),
    "roster-members": gettext_lazy("Too many members are missing from the new roster: the gate keeps the old one"),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One aspect of a gate's health as text, with the state for colour and icon."""

    state: str
    text: str


@dataclass(frozen=True, slots=True)
class Health:
    """The health of a gate as texts."""

    gate: Gate
    connection: Check
    roster: Check
    records: Check
    clock: Check
    reader: Check
    #: (problem, detail that the gate reports)
    problems: list[tuple[str, str]]
    lost: int
    quarantined: int
    #: Which devices use its keys.
    cards: Found
    #: The broker has confirmed the end of its account; what it reported before needs no attention any more.
    is_cut_off: bool

    @property
    def silent_since(self) -> str:
        """Return when the last report came; empty if the gate is online, or has never reported."""
        if self.is_cut_off or self.connection.state == "ok" or not self.gate.seen_at:
            return ""
        return moment(self.gate.seen_at)

    @property
    def is_ok(self) -> bool:
        """Whether it needs no attention."""
        if self.is_cut_off:
            return not self.problems
        checks = (self.connection, self.roster, self.records, self.clock, self.reader)
        return (
            all(check.state == "ok" for check in checks)
            and not self.problems
            and not self.lost
            and not self.quarantined
        )


def of(gates: Iterable[Gate], at: datetime) -> list[Health]:
    """Return the health of each of `gates`; the number of queries does not depend on how many there are."""
    found = list(gates)
    journals = {journal.gate_id: journal for journal in Journal.newest()}
    lost = dict(
        Hole.objects.filter(state=Hole.LOST).values_list("journal__gate").annotate(n=Sum(F("last") - F("first") + 1))
    )
    quarantined = dict(Quarantine.objects.values_list("gate").annotate(n=Count("id")))
    cards = clones.of(found)
    ended = BrokerAccount.objects.filter(digest="", gate__token_hash="", gate__in=found)
    taken = dict(ended.values_list("gate", "confirmed_at"))
    return [
        _health(
            gate,
            journals.get(gate.pk),
            lost.get(gate.pk, 0),
            quarantined.get(gate.pk, 0),
            cards[gate.pk],
            at,
            ended=_ended(taken[gate.pk]) if gate.pk in taken else None,
            is_cut_off=taken.get(gate.pk) is not None,
        )
        for gate in found
    ]


def numbers(first: int, last: int) -> str:
    """Return a range of entry numbers in words."""
    if first == last:
        return _("entry %(first)d") % {"first": first}
    return _("entries %(first)d to %(last)d") % {"first": first, "last": last}


def _health(
    gate: Gate,
    journal: Journal | None,
    lost: int,
    quarantined: int,
    cards: Found,
    at: datetime,
    *,
    ended: Check | None,
    is_cut_off: bool,
) -> Health:
    there = gate.is_online(at)
    return Health(
        gate=gate,
        connection=ended or _connection(gate, there=there),
        roster=_roster(gate, at, there=there),
        records=_records(journal),
        clock=_clock(gate, there=there),
        reader=_reader(gate, there=there),
        problems=_cards(gate, cards, at) + ([] if is_cut_off else _problems(gate, at)),
        lost=lost,
        quarantined=quarantined,
        cards=cards,
        is_cut_off=is_cut_off,
    )


def _ended(confirmed_at: datetime | None) -> Check:
    return Check("silent", _("Cut off")) if confirmed_at else Check("warn", _("Is being cut off"))


def _connection(gate: Gate, *, there: bool) -> Check:
    if gate.seen_at is None:
        return Check("silent", _("Never online"))
    if there:
        return Check("ok", _("Online"))
    return Check("silent", _("Offline"))


def _roster(gate: Gate, at: datetime, *, there: bool) -> Check:
    if not gate.roster_version:
        return (
            Check("warn", _("No roster: assign a machine"))
            if gate.machine_id is None
            else Check("warn", _("Not built yet"))
        )
    if not gate.reported_roster:
        return Check("warn", _("Not fetched yet"))
    built, has = _built(gate.roster_version), _built(gate.reported_roster)
    if not gate.knows_roster:
        if has == built:  # both from the same minute: show seconds
            versions = (gate.reported_roster, gate.roster_version)
            has, built = (f"{_at(version):%H:%M:%S}" for version in versions)
        return Check(
            "warn", _("Has the roster of %(has)s; the newest one is of %(built)s") % {"has": has, "built": built}
        )
    sure = gate.roster_confirmed_at
    if there and sure is not None and at - sure > UNSURE_AFTER:
        return Check("warn", _("Up to date, but not confirmed since %(at)s") % {"at": moment(sure)})
    is_todays = _at(gate.roster_version).date() == timezone.localdate()
    text = _("Up to date (today %(built)s)") if is_todays else _("Up to date (%(built)s)")
    return Check("ok", text % {"built": built})


def _at(version: int) -> datetime:
    """Return when a roster was built: its version is in milliseconds."""
    return timezone.localtime(datetime.fromtimestamp(min(version, 2**42) / 1000, UTC))


def _built(version: int) -> str:
    return moment(_at(version))


def _records(journal: Journal | None) -> Check:
    if journal is None:
        return Check("silent", _("No entries yet"))
    behind = journal.head - journal.ack_seq
    if behind > 0:
        text = ngettext("%(n)d entry behind", "%(n)d entries behind", behind)
        return Check("warn", text % {"n": behind})
    text = ngettext("%(n)d entry, complete", "%(n)d entries, complete", journal.ack_seq)
    return Check("ok", text % {"n": journal.ack_seq})


def _clock(gate: Gate, *, there: bool) -> Check:
    if gate.seen_at is None:
        return Check("silent", _("not known"))
    if gate.clock_off_ms is not None:
        ahead, behind = _("At least %(span)s ahead of the collector"), _("At least %(span)s behind the collector")
        return Check(
            "bad", (ahead if gate.clock_off_ms > 0 else behind) % {"span": durations.clock_error(gate.clock_off_ms)}
        )
    if gate.synced and not there:
        return Check("silent", _("Was set"))
    return Check("ok", _("Set")) if gate.synced else Check("warn", _("Not set"))


def _reader(gate: Gate, *, there: bool) -> Check:
    if not gate.reader:
        return Check("silent", _("not known"))
    if gate.is_reader_broken:
        return Check("bad", _("Fault"))
    if not there:
        return Check("silent", _("Was OK"))
    if gate.reader == Gate.READER_UNSUPERVISED:
        return Check("ok", _("OK, but the gate would not notice an unplugged reader"))
    return Check("ok", _("OK"))


def _cards(gate: Gate, found: Found, at: datetime) -> list[tuple[str, str]]:
    cloned = [(_("Two devices use its keys"), "")] if found.is_cloned else []
    old = [(_("Old keys were used, and refused"), "")] if found.has_old_card(gate, at) else []
    return cloned + old


def _problems(gate: Gate, at: datetime) -> list[tuple[str, str]]:
    return [*_too_much(gate, at), *(_problem(text) for text in gate.problems)]


def _too_much(gate: Gate, at: datetime) -> list[tuple[str, str]]:
    if not gate.sends_too_much(at):
        return []
    text = _(
        "The gate sends too many messages, and only some are read. The gate has a fault, or another device uses its"
        " account."
    )
    return [(text, "")]


def _problem(text: str) -> tuple[str, str]:
    key, _colon, detail = text.partition(": ")
    if key.startswith("thread-"):
        return _("A component restarted after a failure: %(part)s") % {"part": key.removeprefix("thread-")}, detail
    return str(PROBLEMS.get(re.sub(r"-\d+$", "", key), key)), detail
