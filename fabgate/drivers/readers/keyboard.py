"""The driver of USB readers that type a badge like a keyboard.

The device is grabbed: what it types reaches no console. Its keys are read as the kernel's raw events, by their place on a
US keyboard, so no layout changes them. That the device is unplugged is noticed; that a badge has left is not.

Keys become a badge only if nothing else came between them, they came without a pause, and the text up to the Enter key is
in the declared format.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import struct
import time
from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from fabgate import installed
from fabgate.badge import printed
from fabgate.drivers.readers import PENDING, Card, Misread, MisreadReason, Pending
from fabgate.drivers.readers.one_way import card_of, newer
from fabgate.errors import HardwareError

#: struct input_event of linux/input.h: seconds, microseconds, type, code, value.
EVENT: Final = struct.Struct("llHHi")
#: linux/input-event-codes.h
EV_SYN, EV_KEY, SYN_DROPPED = 0, 1, 3
RELEASED, PRESSED = 0, 1
ENTER_KEYS: Final = frozenset({28, 96})
SHIFT_KEYS: Final = frozenset({42, 54})
LETTER_KEYS: Final = {30: "A", 48: "B", 46: "C", 32: "D", 18: "E", 33: "F"}
_ROW: Final = dict(zip(range(2, 12), "1234567890", strict=True))
_KEYPAD: Final = dict(zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82), "7894561230", strict=True))
DIGIT_KEYS: Final = _ROW | _KEYPAD
#: The longest pause between two keys, in seconds: readers take 2 to 40 ms for a key.
PAUSE_S: Final = 0.25
#: The longest format has 20 digits.
LONGEST: Final = 32
_NO_DIGIT: Final = "?"
#: ioctl numbers of linux/input.h: _IOW('E', 0x90, int), and _IOR('E', 0x06, 256) for the device's name.
_EVIOCGRAB: Final = 0x40044590
_EVIOCGNAME: Final = 0x81004506
_UNSTABLE: Final = re.compile(r"/dev/input/event\d+")


class KeyboardOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The reader's section of gate.yaml: the device by a path that stays the same, and what it types before Enter.

    A badge has gone when nothing was typed for more than `gone_after_ms`: for readers that repeat a badge that lies on them.
    """

    format: printed.FormatName
    event_path: Annotated[str, msgspec.Meta(pattern="^/.", description="a path that starts with /")]
    gone_after_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_000

    def __post_init__(self) -> None:
        if _UNSTABLE.fullmatch(self.event_path):
            raise ValueError(
                f"found event_path: {self.event_path}, whose number changes, wanted a path such as"
                " /dev/input/by-id/usb-…-event-kbd"
            )


class Typing:
    """Turns the events of a keyboard into cards. Pure: the times are those of the kernel's events, in seconds."""

    def __init__(self, format_name: str) -> None:
        self._format = format_name
        self._text = ""
        self._shifts: set[int] = set()
        self._last_at = 0.0

    @property
    def is_unfinished(self) -> bool:
        """Whether keys have come since the last Enter."""
        return bool(self._text)

    def event(self, at: float, kind: int, code: int, value: int) -> Card | Misread | None:
        """Process an event; return what was typed up to an Enter, or a Misread for a text that broke off."""
        if kind == EV_SYN and code == SYN_DROPPED:
            self._text, self._last_at = _NO_DIGIT, at  # events are lost: up to the next Enter nothing counts
            self._shifts.clear()
            return None
        if kind != EV_KEY:
            return None
        if code in SHIFT_KEYS:
            (self._shifts.discard if value == RELEASED else self._shifts.add)(code)
            return None
        if value != PRESSED:  # a release, or a key that repeats itself
            return None
        broken = self.break_off() if at - self._last_at > PAUSE_S or at < self._last_at else None
        self._last_at = at
        if code in ENTER_KEYS:
            text, self._text = self._text, ""
            return card_of(text, self._format) if text else broken
        self._text = (self._text + self._character(code))[:LONGEST]
        return broken

    def break_off(self) -> Misread | None:
        """Throw away what was typed without an Enter, so that nothing that comes later completes it."""
        text, self._text = self._text, ""
        return Misread(MisreadReason.TORN) if text else None

    def _character(self, code: int) -> str:
        # With Shift, a digit's key types another sign.
        return LETTER_KEYS.get(code) or (_NO_DIGIT if self._shifts else DIGIT_KEYS.get(code, _NO_DIGIT))


class KeyboardReader:
    """A USB reader that types, as fabgate's Reader. `clock` returns seconds and is replaced by tests only."""

    Options = KeyboardOptions
    continuous = False

    def __init__(self, options: KeyboardOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.recoveries = 0
        self._options = options
        self._clock = clock
        self._fd = -1
        self._name = ""
        self._received = b""
        self._typing = Typing(options.format)
        self._typed_at = 0.0
        self.gone_after_ms = options.gone_after_ms

    def open(self) -> None:
        """Claim and grab the device, and forget what it typed before. Raises HardwareError."""
        self.close()
        try:
            self._fd = os.open(self._options.event_path, os.O_RDONLY | os.O_NONBLOCK)
            self._grab(self._fd)
            while len(self._read()) == _MOST:
                pass
        except HardwareError:
            self.close()
            raise
        except PermissionError as error:
            self.close()
            raise HardwareError(
                f"this account has no right to open {self.identity}. Add this user to the group input; the service needs"
                f" {installed.file('20-fabgate-keyboard.conf')} (docs/readers/README.md)"
            ) from error
        except OSError as error:
            self.close()
            why = "another program has grabbed it" if error.errno == errno.EBUSY else f"{error}. Is it plugged in?"
            raise HardwareError(f"{self.identity} cannot be opened: {why}") from error

    def poll(self) -> Card | Misread | Pending | None:
        """Return the badge that was typed last. Raises HardwareError when the device is gone."""
        if self._fd < 0:
            raise HardwareError(f"{self.identity} is not open: open() it before poll()")
        now, found = self._clock(), None
        received = self._read()
        whole = len(self._received + received) // EVENT.size * EVENT.size
        events, self._received = (self._received + received)[:whole], (self._received + received)[whole:]
        for seconds, micros, kind, code, value in EVENT.iter_unpack(events):
            self._typed_at = now
            found = newer(found, self._typing.event(seconds + micros / 1_000_000, kind, code, value))
        if self._typing.is_unfinished and now - self._typed_at > PAUSE_S:
            found = self._typing.break_off()
        return PENDING if found is None and self._typing.is_unfinished else found

    def close(self) -> None:
        """Release the device, which ends the grab."""
        fd, self._fd, self._received = self._fd, -1, b""
        self._typing = Typing(self._options.format)
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)

    @property
    def identity(self) -> str:
        """Return the name that the device gives itself, once it was open, and its path."""
        return f"the keyboard reader {self._name or 'at'} {self._options.event_path}"

    def _grab(self, fd: int) -> None:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            return  # an emulated device (fabgate.drivers.emulated.readers.keyboard), which no console listens to
        try:
            fcntl.ioctl(fd, _EVIOCGRAB, 1)
            name: bytes = fcntl.ioctl(fd, _EVIOCGNAME, bytes(256))
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                raise HardwareError(
                    f"{self._options.event_path} is no keyboard; wanted a path that ends in -event-kbd"
                ) from error
            raise
        self._name = f"“{name.partition(bytes(1))[0].decode('utf-8', 'replace')}” at"

    def _read(self) -> bytes:
        try:
            received = os.read(self._fd, _MOST)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise HardwareError(f"{self.identity} was unplugged ({error})") from error
        if not received:
            raise HardwareError(f"{self.identity} was unplugged")
        return received


#: How many bytes a poll reads: 170 keys.
_MOST: Final = EVENT.size * 512
