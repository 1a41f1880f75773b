"""Commands to a gate, as the collector seals them, and what came of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fabgate import wire
from fabgate.gate.uplink.commands import CommandFilter
from fabgate.gate.uplink.events import CommandArrived
from fabgate.seal import Keys
from tests.gate.fakes import NOON
from tests.gate.shell import KEYS, Bench

ACCOUNT = "lyon/laser-1"


def command(verb: str = "stop", **changes: Any) -> wire.Command:
    fields: dict[str, Any] = {
        "id": "c-1",
        "verb": verb,
        "boot": "boot-1",
        "actor": "m-manager",
        "issued": NOON,
        "expires": NOON + timedelta(seconds=60),
    }
    return wire.Command(**{**fields, **changes})


def lock(verb: str = "lock", version: int = 1 << 50, **changes: Any) -> wire.Command:
    about = wire.Lock(id="l-1", when="now", reason="broken belt")
    return command(verb, **{"roster": version, "collector": "a", "lock": about, **changes})


def sealed(found: wire.Command | bytes, keys: Keys = KEYS, account: str = ACCOUNT) -> tuple[bytes, str]:
    payload = found if isinstance(found, bytes) else wire.encode(found)
    return payload, keys.seal(wire.PURPOSE_COMMAND, account, payload)


def door(keys: Keys | None = KEYS) -> CommandFilter:
    return CommandFilter(account=ACCOUNT, keys=keys)


def send(bench: Bench, found: wire.Command) -> None:
    """Put a command into the inbox, as the door admits it."""
    bench.post(CommandArrived(door().admit(*sealed(found))))


def outcomes(bench: Bench) -> list[tuple[str, str]]:
    bench.written()
    return [(data.verb, data.outcome) for data in bench.of("command.executed")]


def now(bench: Bench, verb: str, **changes: Any) -> wire.Command:
    at = bench.time.clock().now().local
    assert at is not None
    make = lock if verb in ("lock", "unlock") else command
    return make(verb, **{"issued": at, "expires": at + timedelta(seconds=60), **changes})
