"""The parts of one gate, in records: what ``daemon`` makes from the configuration and hands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from fabgate.drivers.outputs import Output
from fabgate.gate.clock import Clock
from fabgate.gate.config.authorities import Authorities
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.hardware.inputs_thread import InputsThread
from fabgate.gate.hardware.reader_thread import ReaderThread
from fabgate.gate.journal.facts import FactWriter
from fabgate.gate.journal.recorder import Recorder
from fabgate.gate.journal.throttle import EntryThrottle
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.in_force import RosterInForce
from fabgate.gate.roster.source import FileSource
from fabgate.gate.uplink.connection import Uplink
from fabgate.rules.gate import Gate

if TYPE_CHECKING:  # a gate imports what its gate.yaml names
    from fabgate.gate.hardware.meter_thread import MeterThread
    from fabgate.gate.hardware.output_thread import OutputThread


class Hardware(Struct, frozen=True):
    """What is wired to the gate, or on its network."""

    #: What the loop drives: with an output on a network, its thread.
    output: Output
    output_thread: OutputThread | None
    readers: Sequence[ReaderThread]
    inputs: InputsThread | None
    meters: Sequence[MeterThread]


class Recording(Struct, frozen=True):
    """The way of an entry into the journal."""

    writer: FactWriter
    throttle: EntryThrottle
    recorder: Recorder
    #: The id of the journal at the start.
    journal: str


class Rosters(Struct, frozen=True):
    """Where rosters come from, the one in force, the keys of its badges by id, and what the gate trusts to get one."""

    source: FileSource | HttpSource
    in_force: RosterInForce
    badge_keys: Mapping[str, bytes]
    authorities: Authorities


class Parts(Struct, frozen=True):
    """The parts of one gate. `uplink` is None without a broker."""

    config: Config
    clock: Clock
    rules: Gate
    hardware: Hardware
    recording: Recording
    roster: Rosters
    uplink: Uplink | None
