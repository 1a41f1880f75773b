"""The driver of PC/SC readers: USB readers of many makes, through the daemon pcscd and its Python library pyscard.

Such a reader looks for cards by itself. This driver asks pcscd whether a card is there, and a card once for its UID.

Only a card of ISO/IEC 14443 type A becomes a badge, by two signs that have to agree: the ATR, which the reader makes, and the
length of the UID. The ATR is that of PC/SC, part 3 (section 3.1.3.2.3):

* A storage card names its standard: ``3B 8F 80 01 80 4F 0C A0 00 00 03 06 SS NN NN 00 00 00 00 TCK`` with SS 03 for type A,
  part 3. Old readers of ACS give that to FeliCa and Topaz cards too, with a name NN NN that begins with F0.
* A card with ISO/IEC 14443-4 has ``3B 8n 80 01``, its historical bytes and TCK; one of type B too. Of such a card only a UID
  of 7 or 10 bytes counts: four bytes could be the number of type B, which is often a new one each time.
"""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import Any, ClassVar, Final, Literal

import msgspec

from fabgate import installed
from fabgate.badge import RandomUidError, from_uid
from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.errors import HardwareError, UsageError

#: PC/SC part 3, section 3.2.2.1.3: GET DATA, the card's UID, whole.
GET_UID: Final = (0xFF, 0xCA, 0x00, 0x00, 0x00)
DONE: Final = (0x90, 0x00)
_CONTACTLESS: Final = bytes.fromhex("8001")
_STORAGE: Final = bytes.fromhex("804F0CA000000306")
_TYPE_A_PART_3: Final = 0x03
_NO_TYPE_A: Final = 0xF0
TORN: Final = Misread(MisreadReason.TORN)


class PcscOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The reader's section of gate.yaml: how the name of the reader begins, and the order in which it sends UIDs.

    Without a `name` it is the only reader that is there.
    """

    name: str | None = None
    uid_order: Literal["card", "reversed"] = "card"


class PcscReader:
    """A PC/SC reader as fabgate's Reader. `scard` is the module ``smartcard.scard``, and is replaced by tests only."""

    Options = PcscOptions
    continuous = True
    needs: ClassVar = {"smartcard": "apt install python3-pyscard"}

    def __init__(self, options: PcscOptions, *, scard: Any = None) -> None:
        self.recoveries = 0
        self._options = options
        self._scard = scard
        self._context: Any = None
        self._name = ""
        #: The newest card that was asked: pcscd's count of events, and the result.
        self._asked: tuple[int, Card | Misread] | None = None

    def open(self) -> None:
        """Connect to pcscd and find the reader. Raises HardwareError."""
        self.close()
        if self._scard is None:
            try:
                from smartcard import scard  # noqa: PLC0415 - optional, and not on every gate
            except ImportError as error:
                raise HardwareError(f"{error.name} is not installed: {self.needs['smartcard']}") from error
            self._scard = scard
        result, context = self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_SYSTEM)
        self._check(result)
        self._context = context
        try:
            self._name = self._found()
        except HardwareError:
            self.close()
            raise

    def poll(self) -> Card | Misread | None:
        """Ask pcscd for the card; a new card is asked for its UID, which takes 10 to 50 ms. Raises HardwareError."""
        if self._context is None:
            raise HardwareError(f"{self._where} is not open: open() it before poll()")
        scard = self._scard
        result, states = scard.SCardGetStatusChange(self._context, 0, [(self._name, scard.SCARD_STATE_UNAWARE)])
        self._check(result)
        state = states[0][1]
        if state & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE):
            raise HardwareError(f"{self._where} was unplugged")
        if not state & scard.SCARD_STATE_PRESENT:
            self._asked = None
            return None
        events = state >> 16  # pcscd counts cards that come and go there
        if self._asked is None or self._asked[0] != events:
            found = self._ask()
            if found is None:
                return TORN  # the next poll asks again
            self._asked = events, found
        return self._asked[1]

    def close(self) -> None:
        """Disconnect from pcscd."""
        context, self._context, self._asked = self._context, None, None
        if context is not None:
            self._scard.SCardReleaseContext(context)

    @property
    def identity(self) -> str:
        """Return the name of the reader, once it was open."""
        return self._where if self._name else ""

    @property
    def _where(self) -> str:
        return f"the PC/SC reader {self._name or self._options.name or 'of this gate'}"

    def _found(self) -> str:
        """Return the whole name of the reader, which ends with numbers that change. Raises HardwareError."""
        result, names = self._scard.SCardListReaders(self._context, [])
        if result == self._scard.SCARD_E_NO_READERS_AVAILABLE:
            names = []
        else:
            self._check(result)
        fitting = [name for name in names if name.startswith(self._options.name or "")]
        if len(fitting) != 1:
            here = ", ".join(names) or "none"
            wanted = f"one whose name begins with {self._options.name!r}" if self._options.name else "exactly one"
            raise HardwareError(
                f"found these PC/SC readers: {here}; wanted {wanted}. Is it plugged in? See `pcsc_scan -r`, and reader.name"
                " (docs/readers/README.md)"
            )
        return str(fitting[0])

    def _ask(self) -> Card | Misread | None:
        """Ask the card for its UID, and check by its ATR that it is of type A. Returns None when it did not answer."""
        scard = self._scard
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        result, card, protocol = scard.SCardConnect(self._context, self._name, scard.SCARD_SHARE_SHARED, protocols)
        if self._has_left(result):
            return None
        self._check(result)
        try:
            # Both by one connection, which ends when the card is exchanged: they are of the same card.
            result, _, _, _, atr = scard.SCardStatus(card)
            if result == scard.SCARD_S_SUCCESS:
                result, answer = scard.SCardTransmit(card, protocol, list(GET_UID))
            if self._has_left(result):
                return None
            self._check(result)
        finally:
            scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
        *uid, status_1, status_2 = answer if len(answer) >= 2 else (0, 0)
        if (status_1, status_2) != DONE:
            return None
        return card_of(bytes(atr), bytes(reversed(uid) if self._options.uid_order == "reversed" else uid))

    def _has_left(self, result: int) -> bool:
        """Whether the card left, or does not answer: an error of the card, and not of the reader."""
        scard = self._scard
        return result in (
            scard.SCARD_E_NO_SMARTCARD,
            scard.SCARD_W_REMOVED_CARD,
            scard.SCARD_W_RESET_CARD,
            scard.SCARD_W_UNPOWERED_CARD,
            scard.SCARD_W_UNRESPONSIVE_CARD,
            scard.SCARD_W_UNSUPPORTED_CARD,
            scard.SCARD_E_PROTO_MISMATCH,
            scard.SCARD_E_NOT_TRANSACTED,
        )

    def _check(self, result: int) -> None:
        """Raise HardwareError for a result that is not a success."""
        scard = self._scard
        if result == scard.SCARD_S_SUCCESS:
            return
        if result == scard.SCARD_W_SECURITY_VIOLATION:
            # Also when pcscd ends in the middle of a question.
            todo = f"did pcscd end? Otherwise let the service use it: {installed.file('20-fabgate-pcsc.rules')}"
        elif result == scard.SCARD_E_SHARING_VIOLATION:
            todo = "another program has the card for itself: stop it (of GnuPG: scdaemon)"
        elif result in (scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE):
            todo = "it was unplugged: check its plug"
        else:
            todo = "is pcscd there? systemctl status pcscd.socket pcscd"
        raise HardwareError(f"{self._where}: {scard.SCardGetErrorMessage(result)} {todo} (docs/readers/README.md)")


def card_of(atr: bytes, uid: bytes) -> Card | Misread:
    """Return the card with this ATR and UID; a Misread if it is not certainly of type A."""
    lengths = uid_lengths(atr)
    try:
        badge = from_uid(uid)
    except RandomUidError:
        return Misread(MisreadReason.RANDOM_UID) if lengths else TORN
    except UsageError:
        return TORN
    return Card.of(badge) if len(uid) in lengths else TORN


def uid_lengths(atr: bytes) -> tuple[int, ...]:
    """Return how many bytes the UID of a card with this ATR may have; none where it is not certainly of type A."""
    historical = atr[4:-1]
    if len(atr) < 5 or atr[0] != 0x3B or atr[1] != 0x80 | len(historical) or atr[2:4] != _CONTACTLESS:
        return ()
    if reduce(xor, atr[1:]):  # ISO/IEC 7816-3: TCK makes the exclusive-or of T0 and all that follows 0
        return ()
    if not historical.startswith(_STORAGE):
        return 7, 10
    is_type_a = len(historical) == 15 and historical[8] == _TYPE_A_PART_3 and historical[9] != _NO_TYPE_A
    return (4, 7, 10) if is_type_a else ()
