"""How does a fact become an entry of a journal, and how is an entry read?

An entry is a CloudEvent 1.0 (content type ``application/cloudevents+json``), whose ``source`` and ``id`` identify a
duplicate. CloudEvents allows only lower-case letters and digits in the name of an attribute, and only a scalar as its
value. So the reference of a copied entry is the text attribute ``copyof`` ("journal/seq/hash").
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from fabgate.errors import UsageError
from fabgate.wire.entry_data import ENTRY_TYPES, Data
from fabgate.wire.messages import decode, encode
from fabgate.wire.topics import GateTopics

CONTENT_TYPE: Final = "application/cloudevents+json"
SPEC_VERSION: Final = "1.0"
#: A larger entry is never written.
MAX_ENTRY_BYTES: Final = 32 * 1024


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
