"""Decodes messages from the wire: entries, reports of gates, or the reason why a message cannot be stored.

The functions are pure, and no message makes `read` raise: an invalid one becomes an `InvalidMessage`, with its number if it
has one, so that it cannot block the messages after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from msgspec import UNSET, Struct

from fabgate import seal, wire
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.entries.wall_time import YEARS
from fabgate.errors import UsageError

MAX_TOPIC: Final = 400
#: How many causes, problems and reasons of a gate are kept for pages, and how many characters of each. There are nine
#: causes, and no gate has that many problems. Entries are stored unchanged.
MAX_WORDS: Final = 32
MAX_WORD_LENGTH: Final = 500
_JOURNAL = re.compile(r"[0-9A-Za-z-]{1,64}")
_DECIMAL = re.compile(r"[1-9][0-9]{0,15}")
#: The data of a session's entries.
SessionData = wire.SessionStarted | wire.SessionCounters
SESSION_DATA: Final = (wire.SessionStarted, wire.SessionCounters)


class ValidEntry(Struct, frozen=True, kw_only=True, gc=False):
    """An entry that is valid by itself; whether it fits its journal is checked later.

    A msgspec Struct, because making a frozen dataclass takes ten times as long, and each entry needs one. `gc=False`:
    the garbage collector need not track it, because it cannot be part of a cycle.
    """

    gate: str
    topic: str
    journal: str
    seq: int
    hash: bytes
    prev: bytes
    body: bytes
    uid: str
    type: str
    time: datetime | None
    copyof: str | None
    origin: tuple[str, int]
    data: wire.Data | None


@dataclass(frozen=True, slots=True)
class InvalidMessage:
    """A message that cannot be stored as an entry. `seq` is 0 if its number is not known."""

    gate: str | None
    topic: str
    journal: str
    seq: int
    hash: bytes
    body: bytes
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class GateReport:
    """A status or state of a gate, or its reply to a command; `at` is when it was sent, None if that is unknown."""

    gate: str
    message: wire.Status | wire.State | wire.Reply
    at: datetime | None = None


_REPORTS: Final[dict[str, type[wire.Status | wire.State | wire.Reply]]] = {
    "status": wire.Status,
    "state": wire.State,
    "reply": wire.Reply,
}


class UnfitError(Exception):
    """A message cannot be stored; `reason` is a code, `detail` a text."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def read(message: Received, *, site: str) -> ValidEntry | InvalidMessage | GateReport | None:
    """Return the decoded message; None for one that is not stored, such as an empty retained message."""
    try:
        topics, leaf = _parse_topic(message.topic)
    except UsageError as error:
        return _unfit(message, None, "topic", str(error))
    if topics.site != site:
        return _unfit(message, None, "topic", f"found the site {topics.site!r}, wanted {site!r}")
    if leaf.startswith("event/"):
        try:
            return _entry(message, topics)
        except UnfitError as error:
            return _unfit(message, topics.gate, error.reason, error.detail)
    kind = _REPORTS.get(leaf)
    if kind is None or not message.body:
        return None
    try:
        return _report(message, topics, kind)
    except UnfitError as error:
        return _unfit(message, topics.gate, error.reason, error.detail)


def broken(message: Received, gate: str | None, error: Exception) -> InvalidMessage:
    """Return the invalid message to store for one that raised an error. Later messages can then still be stored."""
    return _unfit(message, gate, "error", f"{type(error).__name__}: {error}")


def _report(
    message: Received, topics: wire.GateTopics, kind: type[wire.Status | wire.State | wire.Reply]
) -> GateReport:
    if len(message.body) > wire.MAX_MESSAGE_BYTES:
        raise UnfitError("too-large", f"{len(message.body)} bytes, wanted at most {wire.MAX_MESSAGE_BYTES}")
    try:
        report = wire.decode(message.body, kind)
    except ValueError as error:
        raise UnfitError("undecodable", str(error)) from None
    _refuse_nul(message.body, report)
    return GateReport(topics.gate, report, message.at)


def brief(words: Sequence[str]) -> list[str]:
    """Return the beginning of a gate's list, as much as is kept."""
    return [word[:MAX_WORD_LENGTH] for word in words[:MAX_WORDS]]


def is_plausible(time: datetime) -> bool:
    """Whether a gate's time is usable: it has an offset, and a year with which dates can be computed."""
    return time.tzinfo is not None and time.year in YEARS


def _entry(message: Received, topics: wire.GateTopics) -> ValidEntry:
    entry, journal, seq = _envelope(message, topics)
    try:
        prev = seal.from_text(entry.prev)
        kind = _data_kind(entry.type)
        raw = bytes(entry.data)
        data = None if kind is None else wire.decode(raw, kind)
    except ValueError as error:
        raise UnfitError("data", str(error)) from None
    if data is not None:
        _refuse_nul(raw, data)
    copyof = None if entry.copyof is UNSET else entry.copyof
    return ValidEntry(
        gate=topics.gate,
        topic=message.topic,
        journal=journal,
        seq=seq,
        hash=seal.entry_hash(message.body),
        prev=prev,
        body=message.body,
        uid=entry.uid,
        type=_short_type(entry.type),
        time=None if entry.time is UNSET else utc(entry.time),
        copyof=copyof,
        origin=(journal, seq) if copyof is None else origin(copyof),
        data=data,
    )


def _envelope(message: Received, topics: wire.GateTopics) -> tuple[wire.Entry, str, int]:
    if len(message.body) > wire.MAX_MESSAGE_BYTES:
        raise UnfitError("too-large", f"{len(message.body)} bytes, wanted at most {wire.MAX_MESSAGE_BYTES}")
    try:
        entry = wire.decode_entry(message.body)
        source_topics, journal = _parse_source(entry.source)
    except ValueError as error:  # not only UsageError: int() refuses numbers with thousands of digits
        raise UnfitError("undecodable", str(error)) from None
    if source_topics != topics:
        raise UnfitError(
            "source", f"found the source {entry.source!r} on the topic {message.topic!r}, wanted the gate of the topic"
        )
    if not _is_topic_of(message.topic, entry.type, topics):
        found = entry.type[: wire.MAX_TEXT]
        raise UnfitError(
            "type", f"found the type {found!r} on the topic {message.topic!r}, wanted the topic of that type"
        )
    seq = entry.seq
    if seq > wire.MAX_NUMBER or not entry.id == entry.sequence == str(seq):
        raise UnfitError(
            "number",
            f"found the id {entry.id!r} and the sequence {entry.sequence[:40]!r}, wanted the same number from 1 up in"
            " both",
        )
    # the usual case: properties and body agree
    is_same = message.journal == journal and message.seq == entry.id
    properties = None if is_same else _properties(message)
    if properties is not None and properties != (journal, seq):
        in_properties = f"{properties[0]}/{properties[1]}"
        raise UnfitError(
            "number",
            f"found {journal}/{seq} in the body and {in_properties} in the MQTT properties, wanted the same in both",
        )
    if not 0 < len(entry.uid) <= 64 or "\0" in entry.uid:
        raise UnfitError("uid", f"found the uid {entry.uid[:80]!r}, wanted 1 to 64 characters without NUL")
    return entry, journal, seq


def _unfit(message: Received, gate: str | None, reason: str, detail: str) -> InvalidMessage:
    journal, seq = _properties(message) or _number_in(message.body) or ("", 0)
    return InvalidMessage(
        gate=gate,
        topic=message.topic[:MAX_TOPIC].replace("\0", "?"),
        journal=journal,
        seq=seq,
        hash=seal.entry_hash(message.body),
        body=message.body[: wire.MAX_MESSAGE_BYTES],
        reason=reason,
        detail=detail.replace("\0", "?")[:1000],
    )


def _properties(message: Received) -> tuple[str, int] | None:
    """Return the journal and number in the message's properties, if they are valid."""
    if message.journal is None or message.seq is None:
        return None
    if not _JOURNAL.fullmatch(message.journal) or not _DECIMAL.fullmatch(message.seq):
        return None
    seq = int(message.seq)
    return (message.journal, seq) if seq <= wire.MAX_NUMBER else None


def _number_in(body: bytes) -> tuple[str, int] | None:
    """Return the journal and number in a body, if they are valid."""
    if len(body) > wire.MAX_MESSAGE_BYTES:
        return None
    try:
        entry = wire.decode_entry(body)
        _, journal = wire.parse_source(entry.source)
    except ValueError:
        return None
    return (journal, entry.seq) if entry.seq <= wire.MAX_NUMBER else None


def origin(copyof: str) -> tuple[str, int]:
    """Return the journal and number of the original that `copyof` names. Raises UnfitError."""
    parts = copyof.split("/", 2)  # journal/seq/hash; base64 may contain a slash
    if (
        len(copyof) > wire.MAX_TEXT
        or len(parts) != 3
        or not _JOURNAL.fullmatch(parts[0])
        or not _DECIMAL.fullmatch(parts[1])
    ):
        raise UnfitError("copyof", f"found {copyof[: wire.MAX_TEXT]!r}, wanted journal/seq/hash")
    seq = int(parts[1])
    if seq > wire.MAX_NUMBER:
        raise UnfitError("copyof", f"found the number {seq} of the original, wanted at most {wire.MAX_NUMBER}")
    return parts[0], seq


# Cached, because a site has few topics, journals and types, and every entry repeats them.
_parse_topic = lru_cache(4096)(wire.parse_gate_topic)
_parse_source = lru_cache(4096)(wire.parse_source)
_short_type = lru_cache(4096)(wire.short_type)


@lru_cache(4096)
def _data_kind(event_type: str) -> type[wire.Data] | None:
    """Return the data type of an entry type, as wire.decode_data does; None for a type of a later version."""
    short = wire.short_type(event_type)
    return wire.ENTRY_TYPES.get(short) if event_type == wire.full_type(short) else None


@lru_cache(4096)
def _is_topic_of(topic: str, event_type: str, topics: wire.GateTopics) -> bool:
    return len(event_type) <= 80 and "\0" not in event_type and topics.event(event_type) == topic


def utc(time: datetime) -> datetime:
    """Return an entry's time in UTC. Raises UnfitError if it is impossible."""
    if not is_plausible(time):
        raise UnfitError("time", f"found {time!r}, wanted a time with an offset, between {YEARS[0]} and {YEARS[-1]}")
    return time if time.tzinfo is UTC else time.astimezone(UTC)


def _refuse_nul(raw: bytes, decoded: Struct) -> None:
    """Raise for text with NUL, which a database cannot store.

    JSON escapes NUL in one way only, so most bodies pass at once. Later versions may have fields that `decoded` lacks;
    these may contain a NUL.
    """
    if b"\\u0000" in raw and _NUL.search(wire.encode(decoded)):
        raise UnfitError("data", "found text with a NUL, wanted text without")


#: An escaped NUL that is not an escaped backslash followed by u0000.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
