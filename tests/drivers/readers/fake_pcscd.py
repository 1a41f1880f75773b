# ruff: noqa: N802 - the names are those of PC/SC
"""A stand-in for ``smartcard.scard`` with a pcscd behind it that has readers and cards, and can be broken.

The values are those of pcsclite.h.
"""

from __future__ import annotations

from fabgate.drivers.emulated.readers.pcsc import storage_atr

UNANSWERED = object()


class Scard:
    """The functions return what pyscard returns: the result first. `calls` counts them by name."""

    SCARD_S_SUCCESS = 0
    SCARD_E_SHARING_VIOLATION, SCARD_E_NO_SMARTCARD = 0x8010000B, 0x8010000C
    SCARD_E_UNKNOWN_READER, SCARD_E_PROTO_MISMATCH = 0x80100009, 0x8010000F
    SCARD_E_NOT_TRANSACTED, SCARD_E_READER_UNAVAILABLE = 0x80100016, 0x80100017
    SCARD_E_NO_SERVICE, SCARD_E_NO_READERS_AVAILABLE = 0x8010001D, 0x8010002E
    SCARD_W_UNSUPPORTED_CARD, SCARD_W_UNRESPONSIVE_CARD, SCARD_W_UNPOWERED_CARD = 0x80100065, 0x80100066, 0x80100067
    SCARD_W_RESET_CARD, SCARD_W_REMOVED_CARD, SCARD_W_SECURITY_VIOLATION = 0x80100068, 0x80100069, 0x8010006A
    SCARD_SCOPE_SYSTEM, SCARD_SHARE_SHARED, SCARD_LEAVE_CARD = 2, 2, 0
    SCARD_PROTOCOL_T0, SCARD_PROTOCOL_T1 = 1, 2
    SCARD_STATE_UNAWARE, SCARD_STATE_CHANGED, SCARD_STATE_UNKNOWN, SCARD_STATE_UNAVAILABLE = 0, 0x2, 0x4, 0x8
    SCARD_STATE_EMPTY, SCARD_STATE_PRESENT, SCARD_STATE_MUTE = 0x10, 0x20, 0x200

    def __init__(self, *names):
        self.names = list(names)
        self.running, self.allowed = True, True
        self.taken = False
        self.card = None  # its ATR and UID, or UNANSWERED
        self.events, self.counts = 0, True
        self.calls = []
        self._contexts = set()

    def place(self, uid, atr=None):
        self.card = uid if uid is UNANSWERED else (storage_atr() if atr is None else atr, uid)
        self.events += 1

    def remove(self):
        self.card = None
        self.events += 1

    def restart(self):
        """Kill pcscd, and start it again: it knows no context of before."""
        self._contexts.clear()
        self.running = True

    def SCardGetErrorMessage(self, result):
        return f"error {result:08X}."

    def SCardEstablishContext(self, scope):
        if not self.running or not self.allowed:
            return (self.SCARD_W_SECURITY_VIOLATION if self.running else self.SCARD_E_NO_SERVICE), None
        context = len(self.calls)
        self.calls.append("establish")
        self._contexts.add(context)
        return 0, context

    def SCardReleaseContext(self, context):
        self._contexts.discard(context)
        return 0

    def SCardListReaders(self, context, groups):
        return (0, list(self.names)) if self.names else (self.SCARD_E_NO_READERS_AVAILABLE, [])

    def SCardGetStatusChange(self, context, timeout_ms, states):
        assert timeout_ms == 0
        if context not in self._contexts or not self.running:
            return self.SCARD_E_NO_SERVICE, []
        ((name, _),) = states
        if name not in self.names:
            return self.SCARD_E_UNKNOWN_READER, []
        what = self.SCARD_STATE_EMPTY if self.card is None else self.SCARD_STATE_PRESENT
        if self.card is UNANSWERED:
            what |= self.SCARD_STATE_MUTE
        return 0, [(name, (self.events if self.counts else 0) << 16 | what | self.SCARD_STATE_CHANGED, [])]

    def SCardConnect(self, context, name, share, protocols):
        self.calls.append("connect")
        if self.card is None or self.card is UNANSWERED:
            return self.SCARD_W_UNRESPONSIVE_CARD, None, 0
        if self.taken:
            return self.SCARD_E_SHARING_VIOLATION, None, 0
        return 0, self.card, self.SCARD_PROTOCOL_T1

    def SCardStatus(self, card):
        if card is not self.card:
            return self.SCARD_W_REMOVED_CARD, "", 0, 0, []
        return 0, self.names[0], 0, self.SCARD_PROTOCOL_T1, list(card[0])

    def SCardTransmit(self, card, protocol, message):
        assert bytes(message) == bytes.fromhex("FFCA000000")
        if card is not self.card:
            return self.SCARD_W_REMOVED_CARD, []
        return 0, [*card[1], 0x90, 0x00] if card[1] else [0x6A, 0x81]

    def SCardDisconnect(self, card, what):
        assert what == self.SCARD_LEAVE_CARD, "no beep, and no reset of the card"
        self.calls.append("disconnect")
        return 0
