"""Makes the parts of a gate that its configuration chooses, and connects them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fabgate.drivers.inputs import GpioInputs
from fabgate.drivers.outputs import NetworkOutput, Output
from fabgate.drivers.readers import Reader
from fabgate.gate.clock import Clock
from fabgate.gate.config.authorities import Authorities
from fabgate.gate.config.gate_yaml import Config, make_driver
from fabgate.gate.hardware.inputs_thread import InputLevels, InputsThread, input_pins
from fabgate.gate.hardware.reader_thread import HANG_MS, SLOW_MS, ReaderThread
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Journal
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.in_force import RosterInForce
from fabgate.gate.roster.locks import Locks
from fabgate.gate.roster.source import FileSource
from fabgate.gate.uplink.connection import Uplink
from fabgate.rules import vocabulary
from fabgate.rules.gate import Gate
from fabgate.rules.readers import Readers

if TYPE_CHECKING:  # a gate imports what its gate.yaml names
    from fabgate.drivers.meters import Meter
    from fabgate.gate.hardware.meter_thread import MeterThread
    from fabgate.gate.hardware.output_thread import OutputThread

Post = Callable[[object], None]


def make_inputs_thread(config: Config, levels: InputLevels | None, post: Post, clock: Clock) -> InputsThread | None:
    """Return the thread of the wired inputs, or None where none is wired. `levels` replaces the GPIO pins in tests."""
    pins = input_pins(config.inputs)
    if not pins:
        return None
    return InputsThread(levels or GpioInputs(pins), list(pins), post, boot_ms=clock.boot_ms)


def make_meter_threads(
    config: Config, meters: Sequence[Meter] | None, output: Output, post: Post, clock: Clock
) -> list[MeterThread]:
    """Return a thread for each meter. `meters` replaces those of the configuration in tests. Raises UsageError."""
    if not meters and not config.meter:
        return []
    from fabgate.gate.hardware.meter_thread import MeterThread  # noqa: PLC0415 - only a gate with a meter needs it

    found: list[Any] = [make_driver("meter", section) for section in config.meter] if meters is None else list(meters)
    for meter in found:
        if getattr(meter, "of_output", False):
            meter.use(output)
    names = ["meter" if len(found) == 1 else f"meter-{number}" for number in range(1, len(found) + 1)]
    return [MeterThread(meter, name, post, boot_ms=clock.boot_ms) for name, meter in zip(names, found, strict=True)]


def make_output_thread(output: Output, post: Post) -> OutputThread | None:
    """Return the thread of an output on a network, or None for one that the loop drives by itself."""
    if not (getattr(output, "blocks", False) and isinstance(output, NetworkOutput)):
        return None
    from fabgate.gate.hardware.output_thread import OutputThread  # noqa: PLC0415 - only such an output needs it

    return OutputThread(output, lambda: post(vocabulary.Tick()))


def make_roster(
    config: Config,
    post: Post,
    clock: Clock,
    badge_keys: Mapping[str, bytes],
    authorities: Authorities,
    locks: Locks,
) -> tuple[FileSource | HttpSource, RosterInForce]:
    """Return the source of rosters, and the roster in force. Raises UsageError for an unusable key."""
    stored = config.state_dir / "roster.db"
    if config.roster.url is not None:
        collector = HttpSource(
            config,
            stored,
            post,
            boot=clock.boot,
            now=clock.now,
            badge_keys=badge_keys,
            authorities=authorities,
        )
        return collector, RosterInForce(
            config, locks=locks, age_ms=collector.age_ms, replace_damaged=collector.replace_damaged
        )
    assert config.roster.file is not None
    file = FileSource(
        config.roster.file,
        stored,
        post,
        badge_key=next(iter(badge_keys.values())),
        topics=config.topics,
        fallback=config.machine.rules(),
    )
    return file, RosterInForce(config, locks=locks, replace_damaged=file.replace_damaged)


def make_rules(config: Config, journal: Journal, in_force: RosterInForce, readers: Sequence[Reader]) -> Gate:
    """Return the rules of the machine, with the faults that the journal has latched."""
    return Gate(
        in_force.look_up,
        in_force.rules(),
        new_id=uuid7,
        run_sense=config.senses_work,
        readers=Readers([reader.continuous for reader in readers], holder=config.holder([*readers])),
        checkpoint_ms=config.journal.checkpoint_s * 1000,
        latched=journal.latched(),
    )


def make_reader_threads(
    config: Config, readers: Sequence[Reader], post: Post, clock: Clock, badge_keys: Mapping[str, bytes]
) -> list[ReaderThread]:
    """Return the thread of each badge reader."""
    return [
        ReaderThread(
            reader,
            post,
            badge_key=next(iter(badge_keys.values())),
            boot_ms=clock.boot_ms,
            other_keys=list(badge_keys.values()),
            emergency={entry.digest for entry in config.emergency_badges},
            number=number,
            slow_ms=HANG_MS if len(readers) == 1 else SLOW_MS,
        )
        for number, reader in enumerate(readers)
    ]


def make_uplink(config: Config, journal: Journal, post: Post, clock: Clock, authorities: Authorities) -> Uplink | None:
    """Return the connection to the broker, or None for a gate without one."""
    if config.mqtt is None:
        return None
    return Uplink(config, JournalReader(journal.path), post, authorities=authorities, boot_ms=clock.boot_ms)
