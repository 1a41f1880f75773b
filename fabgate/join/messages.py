"""The three requests of a join and their answers, as JSON, and the contents that are sealed in them.

Each request is one POST below ``/api/v1/join/``. A refusal is another status than 200, with a sentence as text. Unknown fields are
ignored, so that later versions can add some.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from fabgate.errors import UsageError

#: The addresses of the requests, below that of the collector.
BEGIN: Final = "/api/v1/join/begin"
AGREE: Final = "/api/v1/join/agree"
FINISH: Final = "/api/v1/join/finish"
#: The files in the folder of a gate's secrets.
TOKEN: Final = "token"  # noqa: S105 (the name of a file)
PASSWORD: Final = "mqtt.password"  # noqa: S105 (the same)
SEAL_KEYS: Final = "seal.keys"
BADGE_KEYS: Final = "badge.keys"
AUTHORITY: Final = "ca.crt"
#: The largest request or answer, in bytes.
MAX_BYTES: Final = 64 * 1024

Exchange = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
Proven = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
_Secret = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{32,128}$")]
_Short = Annotated[str, Meta(max_length=200)]


class Begin(Struct, frozen=True):
    """The gate begins: the name of its code, and its message of SPAKE2."""

    code: Annotated[str, Meta(pattern="^[0-9A-Z]{2}$")]
    message: bytes


class Begun(Struct, frozen=True):
    """The collector answers: the name of this exchange, and its message."""

    exchange: Exchange
    message: bytes


class Agree(Struct, frozen=True):
    """The gate proves that it knows the code; `sealed` is an ``Offer``."""

    exchange: Exchange
    proof: Proven
    sealed: str


class Agreed(Struct, frozen=True):
    """The collector proves the same; `sealed` is an ``Identity``."""

    proof: Proven
    sealed: str


class Finish(Struct, frozen=True):
    """The gate has everything on its disk."""

    exchange: Exchange
    proof: Proven


class Finished(Struct, frozen=True):
    """The collector has made the gate valid."""

    proof: Proven


class Offer(Struct, frozen=True):
    """What a gate sends: the secrets that it made, and which computer it is."""

    token: _Secret
    broker_password: _Secret
    serial: _Short = ""
    version: _Short = ""


class Identity(Struct, frozen=True):
    """What a gate gets: who it is, and its files."""

    site: str
    gate: str
    #: Of what machine, as people call it.
    machine: str
    #: It names the other files by ``folder`` and their names below.
    gate_yaml: str
    seal_keys: str
    badge_keys: str
    #: The authority of broker and pages as PEM; "" if the gate needs none.
    authority: str = ""
    #: What a person still has to do at the broker; "" if the collector does it.
    broker_step: str = ""
    #: Where apt finds later versions of the gate's package, such as ``http://collector.lan/apt``; "" if nowhere.
    packages: Annotated[str, Meta(pattern=r"^(http://\S+)?$")] = ""


def folder(gate: str, exchange: str) -> str:
    """Return the folder of a gate's secrets, beside its gate.yaml.

    Each exchange has its own, so that one rename of gate.yaml changes all of them at once, and that no file of a collector on
    the same computer is replaced.
    """
    return f"{gate}-{exchange[:8]}"


_Kind = TypeVar("_Kind", bound=Struct)


def encode(message: Struct) -> bytes:
    """Return a message as bytes."""
    return msgspec.json.encode(message)


def decode(body: bytes, kind: type[_Kind]) -> _Kind:
    """Return the message in a body. Raises UsageError, which does not repeat the body."""
    if len(body) > MAX_BYTES:
        raise UsageError(f"found a message of {len(body)} bytes, wanted at most {MAX_BYTES}")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"found a message that does not belong to a join ({error})") from None
