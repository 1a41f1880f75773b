"""Agrees on a key by a code that is too short to be one: SPAKE2, then a proof by each side, then sealed contents.

An attacker who does not know the code has one guess in each exchange, and cannot learn anything by watching one. The exchange
does not rely on TLS: a gate that has not joined knows no authority. An attacker between both sides passes on what they cannot read.

Source: Abdalla and Pointcheval, "Simple Password-Based Encrypted Key Exchange Protocols" (2005), in the form of the package
``spake2``, on the group of Ed25519.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from spake2 import SPAKE2_A, SPAKE2_B
from spake2.ed25519_basic import NotOnCurve
from spake2.spake2 import SPAKEError

from fabgate.errors import SealError, UsageError
from fabgate.join.code import Code

_PROTOCOL: Final = b"fabgate join 1"
_GATE, _COLLECTOR = b"gate", b"collector"
#: A message of SPAKE2: its side, and a point of 32 bytes.
MESSAGE_BYTES: Final = 33


class Proof(StrEnum):
    """What a proof says. Nobody can make one without the agreed key."""

    #: The gate knows the code, and the collector does. The gate says so first: the collector counts wrong codes.
    GATE_AGREES = "gate agrees"
    COLLECTOR_AGREES = "collector agrees"
    #: The gate has its files on disk; the collector has made the gate valid.
    GATE_FINISHES = "gate finishes"
    COLLECTOR_FINISHES = "collector finishes"


class Sender(StrEnum):
    """Who seals. Each side has a key of its own, so that nobody can send a content back to the side that sealed it."""

    GATE = "gate seals"
    COLLECTOR = "collector seals"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides have after one exchange. They have the same only if both used the same code."""

    #: 32 bytes, from which every other key of the exchange follows.
    secret: bytes = field(repr=False)

    def derived(self, label: str) -> bytes:
        """Return a key of 32 bytes for one use."""
        return hmac.digest(self.secret, label.encode(), "sha256")

    def proof(self, what: Proof) -> str:
        """Return the proof as 64 hex digits."""
        return self.derived(what).hex()

    def proves(self, what: Proof, proof: str) -> bool:
        """Return whether the other side has the same agreement."""
        return hmac.compare_digest(self.proof(what).encode(), proof.encode(errors="replace"))

    def seal(self, sender: Sender, content: bytes) -> str:
        """Return a content that only the other side can read."""
        return self._box(sender).encrypt(content).decode("ascii")

    def open(self, sender: Sender, sealed: str) -> bytes:
        """Return the content. Raises SealError if the sender did not seal exactly this one."""
        try:
            return self._box(sender).decrypt(sealed.encode(errors="replace"))
        except InvalidToken:
            raise SealError("found a sealed content that was changed, or has another key") from None

    def _box(self, sender: Sender) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self.derived(sender)))


class Begun:
    """The gate's side of an exchange: its message, and after the answer the agreement."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self._side = SPAKE2_A(code.secret.encode(), idA=_GATE, idB=_COLLECTOR)
        self.message: bytes = self._side.start()

    def agreement(self, exchange: str, answer: bytes) -> Agreement:
        """Return the agreement; it can be asked for once. Raises UsageError if the answer is not a message of SPAKE2."""
        return _agreement(self._code.name, exchange, self.message, answer, _finish(self._side, answer))


def answer(code: Code, exchange: str, message: bytes) -> tuple[bytes, Agreement]:
    """Return the collector's answer to a gate's message, and the agreement. `exchange` is new for each message.

    Raises UsageError if the message is not one of SPAKE2.
    """
    side = SPAKE2_B(code.secret.encode(), idA=_GATE, idB=_COLLECTOR)
    own: bytes = side.start()
    return own, _agreement(code.name, exchange, message, own, _finish(side, message))


def _finish(side: SPAKE2_A | SPAKE2_B, message: bytes) -> bytes:
    wrong = UsageError(f"found something else than a message of SPAKE2, wanted {MESSAGE_BYTES} bytes of the other side")
    if len(message) != MESSAGE_BYTES:  # spake2 itself ignores what follows a point
        raise wrong
    try:
        key: bytes = side.finish(message)
    except (SPAKEError, NotOnCurve, ValueError):
        raise wrong from None
    return key


def _agreement(name: str, exchange: str, from_gate: bytes, from_collector: bytes, key: bytes) -> Agreement:
    transcript = b"\0".join((_PROTOCOL, name.encode(), exchange.encode(), from_gate, from_collector))
    return Agreement(hmac.digest(key, transcript, "sha256"))
