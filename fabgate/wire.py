"""The topics and messages between gates and a collector, typed, in one place.

Delivery in brief: every fact is an entry in the gate's journal, numbered ``(journal, seq)`` and stored before it is
published. The gate publishes the stored bytes in order, and again after its mark, until the *collector* acknowledges
them. The collector stores each entry once, in one transaction with what it derives from it, and only then acknowledges
the highest entry below which nothing is missing. The broker is not trusted to keep anything; its access list ensures
that each gate publishes only under its own name.

MQTT 5 only. Never on MQTT: a name, an e-mail address, a badge in clear text. Within v1 there are only additions: unknown
fields are ignored, an unknown entry type is stored unchanged. An entry is a CloudEvent 1.0 (content type
``application/cloudevents+json``), whose ``source`` and ``id`` identify a duplicate.

CloudEvents allows only lower-case letters and digits in the name of an attribute, and only a scalar as its value. So the
reference of a copied entry is the text attribute ``copyof`` ("journal/seq/hash").
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from fabgate.errors import UsageError

ROOT: Final = "fabgate/v1"
CONTENT_TYPE: Final = "application/cloudevents+json"
SPEC_VERSION: Final = "1.0"
#: A larger message is quarantined unread; a larger entry than MAX_ENTRY_BYTES is never written.
MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_ENTRY_BYTES: Final = 32 * 1024
#: At most this many entries await the broker's PUBACK, and the collector's acknowledgement (fewer where a broker drops
#: them: gate/uplink/window.py).
PUBACK_WINDOW: Final = 20
ACK_WINDOW: Final = 400
#: `status` is published at least this often: otherwise one lost ack would stall the stream for ever.
HEARTBEAT_S: Final = 60
#: The purposes of seals: a seal for one purpose is invalid for another.
PURPOSE_ROSTER: Final = "roster"
PURPOSE_ROSTER_SAME: Final = "roster-304"
PURPOSE_COMMAND: Final = "command"
#: HTTP headers of the roster.
HEADER_SEAL: Final = "Fabgate-Seal"
HEADER_NONCE: Final = "Fabgate-Nonce"
HEADER_VERSION: Final = "Fabgate-Roster-Version"
#: A command is refused this long after it was issued.
COMMAND_LIFE_S: Final = 60
COMMANDS: Final = ("lock", "unlock", "stop", "extend", "fetch-roster", "identify", "clear-fault")
#: Commands that are accepted without a synchronised clock: they make the machine safer, or change nothing.
COMMANDS_WITHOUT_CLOCK: Final = frozenset({"lock", "stop", "identify", "fetch-roster"})
#: MQTT user properties of a message.
PROP_JOURNAL: Final = "journal"
PROP_SEQ: Final = "seq"
PROP_SEAL: Final = "seal"

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
RESERVED_NAMES: Final = frozenset({"collector", "roster"})

END_REASONS: Final = (
    "badge",  # the member's own tap, another badge of the same member, or the supervisor who opened it (`actor`)
    "button",
    "removed",  # hold mode: the card left and the grace time passed
    "handover",
    "limit",
    "idle",
    "revoked",
    "lock",
    "remote",
    "fault",
    "restart",
    "power-loss",
    "journal-lost",
    "cancelled",
    "start-timeout",
)


#: JSON readers and databases may not represent larger numbers.
MAX_NUMBER: Final = 1 << 53
#: No session takes more: 100 kW for a year.
MAX_ENERGY_WH: Final = 1_000_000_000
#: No session lasts longer than a year: the rules allow 31 days, and 31 more for a job to end (MAX_SECONDS).
MAX_DURATION_MS: Final = 366 * 86_400_000
MAX_ID: Final = 64
MAX_TEXT: Final = 200
# The types of fields in a gate's messages, which decoding checks. A plain ``str`` is only shown.
Count = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
EnergyWh = Annotated[int, Meta(ge=0, le=MAX_ENERGY_WH)]
DurationMs = Annotated[int, Meta(ge=0, le=MAX_DURATION_MS)]
Id = Annotated[str, Meta(max_length=MAX_ID)]
SessionId = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]  # not empty: it is part of a page's address
JournalId = Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{1,64}$(?!\n)")]  # "$" would also match before a line end
Text = Annotated[str, Meta(max_length=MAX_TEXT)]


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all messages: unknown fields are ignored, absent optional fields stay absent."""


# --- topics -----------------------------------------------------------------------------------------------------------


def check_name(name: str, *, what: str) -> str:
    """Return `name` if a site or gate may have it in a topic. Raises UsageError otherwise."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"found {what} {name!r}, wanted lower-case letters, digits and '-' (63 at most, not first or last)"
        )
    if what == "gate" and name in RESERVED_NAMES:
        raise UsageError(f"a gate cannot be called {name!r}: the word is reserved; choose another name")
    return name


Leaf = Literal["status", "state", "ack", "command", "reply", "roster"]


class GateTopics(Struct, frozen=True):
    """The topics of one gate. ``account`` is also its broker account, and part of its seals."""

    site: str
    gate: str

    @property
    def account(self) -> str:
        """Return ``site/gate``."""
        return f"{self.site}/{self.gate}"

    @property
    def base(self) -> str:
        """Return the prefix of all the gate's topics, without a trailing slash."""
        return f"{ROOT}/{self.site}/{self.gate}"

    def event(self, event_type: str) -> str:
        """Return the topic of an entry type: ``fabgate.session.ended.v1`` goes to ``…/event/session/ended``."""
        return f"{self.base}/event/{event_type.removeprefix('fabgate.').removesuffix('.v1').replace('.', '/')}"

    def topic(self, leaf: Leaf) -> str:
        """Return the topic ``…/leaf``."""
        return f"{self.base}/{leaf}"


def collector_status_topic(site: str) -> str:
    """Return the topic on which the site's collector publishes its id and whether it is online."""
    return f"{ROOT}/{site}/collector/status"


def collector_subscriptions(site: str) -> list[str]:
    """Return the topic filters that a collector of `site` subscribes to."""
    return gate_subscriptions(site, "+")


def gate_subscriptions(site: str, gate: str) -> list[str]:
    """Return the topic filters for everything that a gate publishes; ``+`` means every gate."""
    return [f"{ROOT}/{site}/{gate}/{leaf}" for leaf in ("event/#", "status", "state", "reply")]


def parse_gate_topic(topic: str) -> tuple[GateTopics, str]:
    """Split a gate's topic into its gate and the rest, such as ``event/session/ended``. Raises UsageError."""
    parts = topic.split("/", 4)
    if len(parts) != 5 or f"{parts[0]}/{parts[1]}" != ROOT or not NAME.fullmatch(parts[2]):
        raise UsageError(f"found the topic {topic[:200]!r}, wanted {ROOT}/<site>/<gate>/…")
    return GateTopics(parts[2], check_name(parts[3], what="gate")), parts[4]


# --- entries ----------------------------------------------------------------------------------------------------------


class Clock(Message, frozen=True, kw_only=True, omit_defaults=False):
    """When a fact happened: boot id, CLOCK_BOOTTIME milliseconds, and whether the wall clock was synchronised."""

    boot: Id
    boottime_ms: Count
    synced: bool = False


class Data(Message, frozen=True, kw_only=True, omit_defaults=False):
    """Base of every entry's ``data``."""

    clock: Clock


class PacedData(Data, frozen=True, kw_only=True, omit_defaults=False):
    """Base of entries that a broken part may repeat: `unrecorded` of the same source were omitted before this one."""

    unrecorded: Count | UnsetType = UNSET


class GateStarted(PacedData, frozen=True, kw_only=True):
    """``fabgate.gate.started.v1``: the daemon is ready; `replaces` names a journal that this new one follows."""

    version: str
    replaces: JournalId | None = None


class GateStopping(PacedData, frozen=True, kw_only=True):
    """``fabgate.gate.stopping.v1``: an orderly stop."""

    reason: str


class ClockSynced(PacedData, frozen=True, kw_only=True):
    """``fabgate.clock.synced.v1``: ties a boot's clock to wall time; again after each wall step above 1 s."""

    step_ms: int | None = None


class Basis(Message, frozen=True, kw_only=True):
    """Why the session was allowed. `kind` is grant, emergency, maintainer, sponsor, observe or continued."""

    kind: Text
    grant: Text | None = None
    stale_roster: bool = False
    would_refuse: list[str] = []


class SessionStarted(Data, frozen=True, kw_only=True):
    """``fabgate.session.started.v1``: a session began; power follows once this entry is durable.

    `energised_from_ms` (CLOCK_BOOTTIME) is set where power was on already: after a handover, or where the session
    continues because the disk delayed a handover too long.
    """

    session: SessionId
    member: Text
    badge: Text
    basis: Basis
    mode: Text
    roster: Count = 0
    supervisor: Text | None = None
    purpose: str | None = None
    continues: Text | None = None
    energised_from_ms: Count | None = None


class SessionCounters(Data, frozen=True, kw_only=True):
    """Base of progress and end. Counters are cumulative milliseconds of CLOCK_BOOTTIME, and watt-hours.

    `energy_wh` is absent where the gate has no energy meter, or does not know what the session took; that is never 0.
    `running_unknown_ms` is for how long it is not known whether the machine worked, because its meter was broken: the true
    running time lies in [running_ms, running_ms + running_unknown_ms].
    """

    session: SessionId
    member: Text
    badge: Text
    energised_ms: DurationMs
    running_ms: DurationMs
    roster: Count = 0
    energy_wh: EnergyWh | UnsetType = UNSET
    running_unknown_ms: DurationMs | UnsetType = UNSET


class SessionProgress(SessionCounters, frozen=True, kw_only=True):
    """``fabgate.session.progress.v1``: every 15 minutes of a session."""


class SessionEnded(SessionCounters, frozen=True, kw_only=True):
    """``fabgate.session.ended.v1``: the true time lies in [energised_ms, energised_ms + uncertainty_ms]."""

    reason: Text
    uncertainty_ms: DurationMs = 0
    actor: Text | None = None


class AccessRefused(PacedData, frozen=True, kw_only=True):
    """``fabgate.access.refused.v1``: **all** reasons at once, the worst first."""

    badge: Text
    reasons: list[str]
    member: Text | None = None
    roster: Count = 0


class MachineBlocked(PacedData, frozen=True, kw_only=True):
    """``fabgate.machine.blocked.v1``: `level` is cut (power off at once) or hold (no new session)."""

    cause: Text
    level: Text
    detail: str | None = None


class MachineCleared(PacedData, frozen=True, kw_only=True):
    """``fabgate.machine.cleared.v1``: the cause is gone; `member` is who cleared it on site, if it was a member."""

    cause: Text
    member: Text | None = None


class MachineFlagged(Data, frozen=True, kw_only=True):
    """``fabgate.machine.flagged.v1``: a member reports a defect (`kind` is report or danger)."""

    kind: Text
    member: Text
    badge: Text


class Fault(PacedData, frozen=True, kw_only=True):
    """``fabgate.output.fault.v1``."""

    detail: str


class ReaderFault(Fault, frozen=True, kw_only=True):
    """``fabgate.reader.fault.v1``, ``…reader.recovered.v1``: `reader` is its number, from 1, at a gate that has several."""

    reader: Count | UnsetType = UNSET


class RosterReplaced(PacedData, frozen=True, kw_only=True):
    """``fabgate.roster.replaced.v1``; `adopted` where a person on the gate allowed it (``fabgate roster adopt``)."""

    version: Count
    members: Count
    adopted: bool = False


class RosterRejected(PacedData, frozen=True, kw_only=True):
    """``fabgate.roster.rejected.v1``: why the gate keeps its last good roster."""

    reason: str
    version: Count | None = None


class CommandExecuted(PacedData, frozen=True, kw_only=True):
    """``fabgate.command.executed.v1``."""

    command: Text
    verb: Text
    outcome: Text
    actor: Text | None = None
    reason: str | None = None


class JournalForked(Data, frozen=True, kw_only=True):
    """``fabgate.journal.forked.v1``: first entry of the journal that a restored image opens; names the old one."""

    journal: JournalId
    floor: Count
    head: Count
    mark: Count


#: Every entry type that this version writes, without prefix and suffix, and the type of its data.
ENTRY_TYPES: Final[dict[str, type[Data]]] = {
    "gate.started": GateStarted,
    "gate.stopping": GateStopping,
    "clock.synced": ClockSynced,
    "session.started": SessionStarted,
    "session.progress": SessionProgress,
    "session.ended": SessionEnded,
    "access.refused": AccessRefused,
    "machine.blocked": MachineBlocked,
    "machine.cleared": MachineCleared,
    "machine.flagged": MachineFlagged,
    "reader.fault": ReaderFault,
    "reader.recovered": ReaderFault,
    "output.fault": Fault,
    "roster.replaced": RosterReplaced,
    "roster.rejected": RosterRejected,
    "command.executed": CommandExecuted,
    "journal.forked": JournalForked,
}


def full_type(name: str) -> str:
    """Return the CloudEvents type of an entry type's short name."""
    return f"fabgate.{name}.v1"


def short_type(event_type: str) -> str:
    """Return the short name of a CloudEvents type; the type of another program is returned unchanged."""
    return event_type.removeprefix("fabgate.").removesuffix(".v1")


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One journal entry: a CloudEvent 1.0. ``id`` is the sequence number; ``time`` is absent while unsynchronised."""

    specversion: str
    source: str
    id: str
    sequence: str
    type: str
    subject: str
    time: datetime | UnsetType = UNSET
    datacontenttype: str
    uid: str
    prev: str
    copyof: str | UnsetType = UNSET
    data: msgspec.Raw

    @property
    def seq(self) -> int:
        """Return the sequence number."""
        return int(self.id)

    @property
    def journal(self) -> str:
        """Return the journal id, the last part of the source."""
        return self.source.rsplit("/", 1)[-1]


def source(topics: GateTopics, journal: str) -> str:
    """Return the CloudEvents source of a journal."""
    return f"/sites/{topics.site}/gates/{topics.gate}/journals/{journal}"


_SOURCE = re.compile(r"/sites/([a-z0-9-]+)/gates/([a-z0-9-]+)/journals/([0-9A-Za-z-]{1,64})")


_SEQ = re.compile(r"[1-9][0-9]{0,18}")  # one spelling for each number, because source and id identify a duplicate


def parse_source(text: str) -> tuple[GateTopics, str]:
    """Split an entry's source into its gate and journal id. Raises UsageError."""
    found = _SOURCE.fullmatch(text)
    if not found:
        raise UsageError(f"found the source {text[:200]!r}, wanted /sites/<site>/gates/<gate>/journals/<journal>")
    return GateTopics(found[1], found[2]), found[3]


def encode_entry(
    *,
    topics: GateTopics,
    journal: str,
    seq: int,
    prev: str,
    uid: str,
    event_type: str,
    data: Data,
    time: datetime | None,
    copyof: str | None = None,
) -> bytes:
    """Return the bytes of a new entry, as they are stored, hashed and published. `prev` is base64.

    Raises UsageError for more than MAX_ENTRY_BYTES.
    """
    body = encode(
        Entry(
            specversion=SPEC_VERSION,
            source=source(topics, journal),
            id=str(seq),
            sequence=str(seq),
            type=full_type(event_type),
            subject=topics.gate,
            time=UNSET if time is None else time,
            datacontenttype="application/json",
            uid=uid,
            prev=prev,
            copyof=UNSET if copyof is None else copyof,
            data=msgspec.Raw(encode(data)),
        )
    )
    if len(body) > MAX_ENTRY_BYTES:
        raise UsageError(f"an entry {event_type} has {len(body)} bytes, wanted at most {MAX_ENTRY_BYTES}")
    return body


def copy_entry(entry: Entry, *, topics: GateTopics, journal: str, seq: int, prev: str, copyof: str) -> bytes:
    """Return the bytes of a copy of `entry` in another journal: same uid and data; ``copyof`` names the original."""
    return encode(
        msgspec.structs.replace(
            entry,
            source=source(topics, journal),
            id=str(seq),
            sequence=str(seq),
            prev=prev,
            copyof=copyof if entry.copyof is UNSET else entry.copyof,
        )
    )


def decode_entry(body: bytes) -> Entry:
    """Decode an entry's envelope. Raises UsageError saying what is wrong."""
    entry = decode(body, Entry)
    if entry.specversion != SPEC_VERSION:
        raise UsageError(f"found CloudEvents {entry.specversion!r}, wanted {SPEC_VERSION}")
    if not _SEQ.fullmatch(entry.id) or int(entry.id) >= 1 << 63:
        raise UsageError(f"found the id {entry.id[:40]!r}, wanted a sequence number")
    return entry


def decode_data(entry: Entry) -> Data | None:
    """Decode an entry's data; return None for an unknown type. Raises UsageError where it does not fit its type."""
    short = short_type(entry.type)
    wanted = ENTRY_TYPES.get(short) if entry.type == full_type(short) else None
    return None if wanted is None else decode(bytes(entry.data), wanted)


# --- the other messages -----------------------------------------------------------------------------------------------


class Ack(Message, frozen=True, kw_only=True):
    """Retained on ``…/ack``: the highest stored entry below which nothing is missing, and the hash of its bytes.

    From `floor` to `seq` every entry is stored. Lower numbers may be missing: the gate, by its last status, did not have them
    any more. To a gate that still has entries below `floor` which are not confirmed, the ack confirms nothing.
    """

    collector: str
    journal: str
    seq: int
    hash: str
    floor: int = 0


class RosterInfo(Message, frozen=True, kw_only=True):
    """The roster in force on the gate."""

    version: Count
    age_s: Count | None = None
    stale: bool = False
    #: ``file``, or ``collector:`` and the id of the collector that made it.
    source: Text


class Status(Message, frozen=True, kw_only=True):
    """Retained on ``…/status``, published every 60 s; the last will is the offline form."""

    online: bool
    version: str | None = None
    boot: Id | None = None
    journal: JournalId | None = None
    floor: Count = 1
    head: Count = 0
    mark: Count = 0
    hash: Text | None = None
    collector: Text | None = None
    roster: RosterInfo | None = None
    synced: bool = False
    reader: Text | None = None
    #: False for a reader that only sends: the gate could not notice that it was unplugged.
    reader_supervised: bool = True
    #: Whether an input or a meter reports that the machine works; absent from a gate that is offline.
    senses_work: bool | None = None
    problems: list[str] = []


class State(Message, frozen=True, kw_only=True):
    """Retained on ``…/state``, published every 60 s: what the machine does now.

    For billing only the counters of entries count.
    """

    state: Text
    causes: list[str] = []
    session: Id | None = None
    member: Text | None = None
    since: datetime | None = None
    energised_ms: DurationMs = 0
    running_ms: DurationMs = 0


class CollectorStatus(Message, frozen=True, kw_only=True):
    """Retained on ``…/collector/status``; the last will is the offline form.

    `trouble` says why nothing is stored now, so that no entry is acknowledged; `refused` names the gates whose messages are
    not read for a while, because they send more than a gate may.
    """

    online: bool
    collector: str
    trouble: str = ""
    refused: list[str] = []


class RosterNudge(Message, frozen=True, kw_only=True):
    """Retained on ``…/roster``: a new roster version can be fetched."""

    version: int


class Lock(Message, frozen=True, kw_only=True):
    """Part of a sealed roster and of the lock command: state, not a message. `when` is now or idle."""

    id: str
    when: str
    reason: str
    back: str | None = None


class Command(Message, frozen=True, kw_only=True):
    """On ``…/command``: expires within 60 s of `issued`. No command can switch power on."""

    id: Text
    verb: Text
    boot: Id
    actor: Text
    issued: datetime
    expires: datetime
    reason: str | None = None
    roster: Count | None = None
    #: The id of the collector that made the roster version `roster`; both come with a lock.
    collector: Text | None = None
    lock: Lock | None = None
    seconds: Count | None = None


class Reply(Message, frozen=True, kw_only=True):
    """On ``…/reply``: the outcome of one command, by its id."""

    id: Text
    outcome: Text
    detail: str | None = None


# --- the roster -------------------------------------------------------------------------------------------------------


class MachineRules(Message, frozen=True, kw_only=True):
    """How the machine behaves; a manager edits it on the machine's page. Times are seconds."""

    mode: str = "tap"
    observe_until: datetime | None = None
    limit_s: int = 43_200
    max_s: int = 86_400
    idle_off_s: int | None = None
    warn_s: int = 120
    grace_s: int = 10
    finish: str = "wait"
    finish_max_s: int = 14_400
    run_on_s: int = 0
    warm_up_s: int = 0
    handover: bool = False
    supervisor: str = "minors"
    sponsor: bool = False
    on_stale: str = "allow"
    attended: bool = True
    lock: Lock | None = None
    #: Ids of lifted locks: a lock is lifted only by its id, so that yesterday's database, restored, does not lift today's
    #: lock because it does not know it.
    lifted: list[str] = []
    price_hint: str | None = None


def longest_s(rules: MachineRules) -> int:
    """Return how many seconds one session may keep a machine on, including extensions, job end and run-on."""
    return rules.max_s + rules.run_on_s + (rules.finish_max_s if rules.finish == "wait" else 0)


#: The values of a machine's rules, by field.
MACHINE_WORDS: Final = {
    "mode": ("tap", "hold", "timed", "audit"),
    "finish": ("wait", "cut"),
    "supervisor": ("never", "minors", "always"),
    "on_stale": ("allow", "deny"),
}


#: No rule of a machine lasts longer than this: 31 days.
MAX_SECONDS: Final = 31 * 86_400


def machine_mistakes(rules: MachineRules) -> list[str]:
    """Return the invalid values of a machine's rules, each as ``field: found …, wanted …``."""
    mistakes = [
        f"{name}: found {getattr(rules, name)!r}, wanted {', '.join(words[:-1])} or {words[-1]}"
        for name, words in MACHINE_WORDS.items()
        if getattr(rules, name) not in words
    ]
    if rules.lock is not None and rules.lock.when not in ("now", "idle"):
        mistakes.append(f"lock.when: found {rules.lock.when!r}, wanted now or idle")
    for name in rules.__struct_fields__:
        seconds = getattr(rules, name) if name.endswith("_s") else None
        # a limit of 0 would mean no limit, but power always has a deadline
        least = 1 if name in ("limit_s", "max_s", "idle_off_s") else 0
        if seconds is not None and not least <= seconds <= MAX_SECONDS:
            limit = f"{least} or more" if seconds < least else f"at most {MAX_SECONDS}"
            mistakes.append(f"{name}: found {seconds}, wanted {limit} seconds")
    if rules.max_s < rules.limit_s:
        mistakes.append(f"max_s: found {rules.max_s}, wanted {rules.limit_s} (limit_s) or more")
    return mistakes


def warning_mistakes(rules: MachineRules) -> dict[str, str]:
    """Return the error for each time that is not longer than its warning, by field: ``warn_s: found …, wanted …``.

    For forms and files in which a person writes the rules. A roster with such rules is valid: the gate then warns for a
    quarter of the time at most.
    """
    times = {"limit_s": rules.limit_s, "idle_off_s": rules.idle_off_s}
    return {
        name: f"warn_s: found {rules.warn_s}, wanted less than {seconds} ({name}); the warning comes before the end"
        for name, seconds in times.items()
        if seconds is not None and rules.warn_s >= seconds
    }


def holder_mistake(rules: MachineRules) -> str | None:
    """Return ``grace_s: found …, wanted …`` where a second person is needed and a card can never leave its holder.

    The member's card has to make room for the supervisor's, and hold mode without a grace time then ends the session.
    For forms and files in which a person writes the rules. A roster with such rules is valid: the gate refuses members
    who need a supervisor, and serves all others.
    """
    second = "sponsor: true" if rules.sponsor else f"supervisor: {rules.supervisor}"
    if rules.mode != "hold" or rules.grace_s > 0 or (rules.supervisor == "never" and not rules.sponsor):
        return None
    return (
        f"grace_s: found 0 with mode: hold and {second}, wanted 1 or more; the member's card has to leave the holder for"
        " the supervisor's. Or set supervisor: never and sponsor: false"
    )


class Window(Message, frozen=True, kw_only=True):
    """When a member may use the machine, in the site's time zone; `days` are ISO weekdays, 1 is Monday."""

    days: list[int]
    start: str = msgspec.field(name="from")
    to: str


#: In a roster the id of a group begins with this; no person's id does.
GROUP_PREFIX: Final = "group:"


class Member(Message, frozen=True, kw_only=True):
    """A member who may use the machine. `badges` are digests; `name` is a given name for the display."""

    id: str
    badges: list[str]
    name: str = ""
    lang: str = "en"
    level: str = "user"
    basis: str | None = None
    valid_until: str | None = None
    grace_days: int = 0
    windows: list[Window] = []
    limit_s: int | None = None
    supervised: bool = False
    #: Why they are refused after `valid_until`: the right that ends then. Gates before it say ``expired`` of every right.
    until_reason: str = "expired"
    #: Which of ``Prices.lists`` is theirs. Of any type: with a wrong one the member sees no price, and can work.
    price_list: Any = 0
    #: They prepay, and their credit is low: the panel says so when a session begins. Of any type, as above.
    low_credit: Any = False


class Refusal(Message, frozen=True, kw_only=True):
    """A badge that is known and refused, with all reasons."""

    badges: list[str]
    reasons: list[str]
    id: str | None = None
    lang: str = "en"
    #: The machine's hours do not apply to them, as for maintainers.
    at_all_hours: bool = False


class PeakPrice(Message, frozen=True, kw_only=True):
    """Hours with another price per minute: [start, end) in the time zone of the prices, ``HH:MM``; 0 is Monday."""

    days: list[int]
    start: str
    end: str
    price: str


class Tariff(Message, frozen=True, kw_only=True):
    """A tariff as docs/billing.md describes it. Money is decimal text in the currency's main unit, prices per minute."""

    price: str
    basis: str = "on"
    idle_price: str = "0"
    peaks: list[PeakPrice] = []
    session_fee: str = "0"
    minimum: str = "0"
    daily_cap: str | None = None
    grace_s: int = 0
    step_s: int = 1


class PricePeriod(Message, frozen=True, kw_only=True):
    """The tariff of sessions that end from a day on, until the next period of its list begins.

    Without a `tariff` nothing is charged. `purposes` are those that it bills: own, group (a badge of a group),
    maintenance (the session's basis is maintainer).
    """

    #: The first day, an ISO date in the time zone of the prices; absent: it applies already.
    since: str | None = None
    tariff: Tariff | None = None
    purposes: list[str] = []


class PriceList(Message, frozen=True, kw_only=True):
    """What some members pay, by periods in the order of their days."""

    periods: list[PricePeriod] = []
    #: Decimal text.
    discount_percent: str = "0"
    #: They have free minutes; a gate does not know how many are left.
    has_free_minutes: bool = False


#: The format of ``Prices`` that this version writes and reads.
PRICES_FORMAT: Final = 1


class Prices(Message, frozen=True, kw_only=True):
    """The prices of a machine: ``Roster.prices``. For the panel only: the collector makes charges from entries.

    A gate that does not know the `format`, or finds a mistake anywhere, shows no price. It works as without prices.
    """

    format: int
    #: A code of ISO 4217, and its decimals.
    currency: Annotated[str, Meta(min_length=3, max_length=3)]
    digits: Annotated[int, Meta(ge=0, le=4)]
    #: The time zone of days and peak hours.
    tz: str
    #: ``Member.price_list`` counts from 0. A list without periods is that of members for whom another payer pays.
    lists: list[PriceList] = []


class Roster(Message, frozen=True, kw_only=True):
    """The roster of one gate, served sealed over HTTP as ``GET /api/v1/gates/<gate>/roster``.

    A member may be in it more than once, with different badges: a badge on loan has its own `valid_until`.
    """

    version: int
    site: str
    gate: str
    tz: str = "UTC"
    fresh_for_s: int = 604_800
    badge_key_id: str | None = None
    #: The mark of that key (``badge.key_mark``): two keys with one id have different ones.
    badge_key_mark: str | None = None
    #: The id of the collector's database (as in ``…/collector/status``): versions are compared only within it. Only the
    #: roster of a members file has none.
    collector: Text | None = None
    #: The missing members really left. This package's collector lists everyone who left as refused, and never sets it.
    shrink_confirmed: bool = False
    machine: MachineRules = MachineRules()
    members: list[Member] = []
    refusals: list[Refusal] = []
    #: The machine's opening hours, for refused people: being outside them is one more reason. Members have windows.
    hours: list[Window] = []
    #: ``Prices``; absent where nothing is billed. Of any type: a roster with wrong prices is valid (``read_prices``).
    prices: Any = None


def read_prices(found: Any) -> Prices:
    """Return prices from decoded values. Raises UsageError for wrong or unknown ones, and no other error."""
    try:
        prices = msgspec.convert(found, Prices)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UsageError(f"found prices that are not valid: {error}") from None
    if prices.format != PRICES_FORMAT:
        raise UsageError(f"found prices in the format {prices.format}, wanted {PRICES_FORMAT}")
    return prices


# --- bytes ------------------------------------------------------------------------------------------------------------

_ENCODER = msgspec.json.Encoder()
_DECODERS: dict[type[Struct], msgspec.json.Decoder[Any]] = {}
S = TypeVar("S", bound=Struct)


def sealed_roster(body: bytes, nonce: str) -> bytes:
    """Return the bytes that the seal of a 200 response covers: the body after content decoding and the gate's nonce."""
    return b"\0".join((body, nonce.encode()))  # not +, which would make two copies, each of which blocks all threads


def sealed_same(version: int, date: str, nonce: str) -> bytes:
    """Return the bytes that the seal of a 304 response covers: the version, the Date header and the gate's nonce."""
    return f"{version}\n{date}\n{nonce}".encode()


def encode(message: Struct) -> bytes:
    """Return the JSON bytes of any message of this module."""
    return _ENCODER.encode(message)


def decode(body: bytes, kind: type[S]) -> S:
    """Decode a message. Raises UsageError naming what is wrong and where, and no other error."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        message: S = decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"found a message that is not a valid {kind.__name__}: {error}") from None
    return message
