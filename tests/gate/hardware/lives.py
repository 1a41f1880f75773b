"""Readers that only send, with a card that a hand places and lifts, while everything around them fails.

The drivers, the thread and ``Presence`` are the real ones. Time is simulated: what is due happens while they wait.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import struct
import termios
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fabgate.badge import parse
from fabgate.badge.wiegand_frames import wiegand_frame
from fabgate.drivers.emulated.readers.keyboard import ENTER, Keyboard
from fabgate.drivers.emulated.readers.osdp_device import OsdpDevice, OsdpWire
from fabgate.drivers.emulated.readers.serial_line import SerialLine as EmulatedLine
from fabgate.drivers.emulated.readers.serial_line import rdm6300
from fabgate.drivers.emulated.readers.wiegand_lines import WiegandLines
from fabgate.drivers.readers.keyboard import DIGIT_KEYS, LETTER_KEYS, PAUSE_S, KeyboardReader
from fabgate.drivers.readers.osdp.reader import OsdpReader
from fabgate.drivers.readers.serial import SerialReader
from fabgate.drivers.readers.serial_line import SerialLine
from fabgate.drivers.readers.wiegand import WiegandReader

FOB: Final = bytes.fromhex("0A00B1C2D3")


class World:
    """The time of one life in seconds, and what is going to happen."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def __call__(self) -> float:
        return self.now

    def boot_ms(self) -> int:
        return int(self.now * 1000)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (self.now + seconds, self._count, act))

    def advance(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, or as much of it as it takes until something is true."""
        stop = self.now + seconds
        while self._due and self._due[0][0] <= stop:
            self.now, _, act = heapq.heappop(self._due)
            act()
            if until():
                return
        self.now = stop


class Pauses(threading.Event):
    """The event with which the thread waits: it ends at a time, and with `chance` a busy computer sometimes wakes it late."""

    def __init__(self, world: World, chance: random.Random | None, ends_at: Callable[[], float]) -> None:
        super().__init__()
        self._world, self._chance, self._ends_at = world, chance, ends_at

    def is_set(self) -> bool:
        return self._world.now >= self._ends_at()

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        late_s = 0.0
        if self._chance is not None:
            late_s = self._chance.choice((0, 0, 0, 0.001, 0.01, 0.3 * self._chance.random() ** 4))
        self._world.advance(timeout + late_s)
        return self.is_set()


class Device:
    """A reader: while a card is on it, it sends a frame, and again after `pause_s` if it repeats. Its supply can be cut.

    `damages` says whether single frames are lost or torn, never two in a row.
    """

    frame_s = 0.0
    #: Whether the gate sees that the supply of the reader was cut, because the device vanishes.
    sees_supply = True
    #: What strays so close before or after a frame cannot be told from it, in seconds.
    blurred_s = (0.0, 0.0)

    def __init__(
        self, world: World, chance: random.Random, *, pause_s: float, repeats: bool = True, damages: bool = False
    ) -> None:
        self.world, self.chance = world, chance
        self.pause_s, self.repeats, self.damages = pause_s, repeats, damages
        self.card = False
        self._sent = self._busy = self._off = self._damaged = False
        #: Counts what ends a frame or a pause before its time.
        self._turn = 0

    def place(self) -> None:
        self.card = True
        if not self._busy:
            self._turn += 1
            self._look()

    def lift(self) -> None:
        self.card = self._sent = False

    def cut_supply(self) -> None:
        """Cut its supply, and what the gate sees of that."""
        self._off, self._busy, self._turn = True, False, self._turn + 1

    def return_supply(self, boot_s: float) -> None:
        """Let the supply return; the reader is silent while it boots."""

        def booted() -> None:
            self._off = self._sent = False
            self._look()

        self._turn += 1
        self._soon(boot_s, booted)

    def reader(self) -> Any:
        """Return a new driver of this device."""
        raise NotImplementedError

    def pieces(self, *, torn: bool) -> list[tuple[float, Callable[[], None]]]:
        """Return what is sent of a frame, and how many seconds after its beginning."""
        raise NotImplementedError

    def stray(self) -> None:
        """Let noise send the least that the line can carry, which is no part of a frame."""
        raise NotImplementedError

    def close(self) -> None:
        """Release what it needs."""

    def _soon(self, seconds: float, act: Callable[[], None]) -> None:
        """Do it then, unless the supply is cut before."""
        turn = self._turn
        self.world.after(seconds, lambda: act() if turn == self._turn else None)

    def _look(self) -> None:
        if self._off or not self.card or (self._sent and not self.repeats):
            return
        self._sent = self._busy = True
        damage = self.chance.choice(("lost", "torn", "", "")) if self.damages and not self._damaged else ""
        self._damaged = damage != ""
        for seconds, act in [] if damage == "lost" else self.pieces(torn=damage == "torn"):
            self._soon(seconds, act)
        self._soon(self.frame_s, self._ended)

    def _ended(self) -> None:
        self._busy = False
        self._soon(self.pause_s, self._look)


def _waiting(fd: int) -> int:
    """Return how many bytes wait on a line; 1 for one that has gone, which a read will find."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0])
    except OSError:
        return 1


class _Line(SerialLine):
    """A line whose bytes come in the time of a world."""

    world: World

    def read(self, wait_s: float = 0.0) -> bytes:
        if wait_s > 0 and not _waiting(self.fd):
            self.world.advance(wait_s, until=lambda: _waiting(self.fd) > 0)
        return super().read()


class Serial(Device):
    """An RDM6300 behind a pseudo-terminal. With `own_supply` the line stays while its supply is cut."""

    frame_s = 14 * 10 / 9600

    def __init__(self, *about: Any, folder: Path, gone_after_ms: int, own_supply: bool = False, **more: Any) -> None:
        super().__init__(*about, **more)
        self._path = folder / f"tty{id(self)}"
        self.sees_supply = not own_supply
        self._emulated = EmulatedLine(self._path)
        self._options = SerialReader.Options(port=str(self._path), format="rdm6300", gone_after_ms=gone_after_ms)
        self._opened: _Line | None = None

    def reader(self) -> SerialReader:
        return SerialReader(self._options, line=self._at, clock=self.world)

    def _at(self, port: str, speed_bps: int, name: str) -> SerialLine:
        line = _Line.at(port, speed_bps, name)
        line.world = self.world
        self._opened = line
        return line

    def pieces(self, *, torn: bool) -> list[tuple[float, Callable[[], None]]]:
        frame = bytearray(rdm6300(FOB))
        if torn:
            frame[self.chance.randrange(len(frame))] ^= 1 << self.chance.choice((0, 1, 2, 3, 4, 6, 7))  # 5 is the case
        middle = self.chance.randrange(2, 13)
        parts = (0.0, 0, 1), (self.frame_s * middle / 14, 1, middle), (self.frame_s, middle, 14)
        return [(at, lambda part=bytes(frame[start:end]): self._send(part)) for at, start, end in parts]

    def stray(self) -> None:
        self._send(self.chance.randbytes(1))

    def _send(self, part: bytes) -> None:
        line = self._opened
        if line is None or line.fd < 0:
            return  # a port that no program has open forgets what comes
        wanted = _waiting(line.fd) + len(part)
        self._emulated.send(part)
        while _waiting(line.fd) < wanted:  # the kernel passes it on in a thread of its own
            os.sched_yield()

    def cut_supply(self) -> None:
        super().cut_supply()
        if self.sees_supply:
            self._emulated.unplug()
            self._opened = None

    def return_supply(self, boot_s: float) -> None:
        if self.sees_supply:
            self._emulated.plug()
        super().return_supply(boot_s)

    def close(self) -> None:
        self._emulated.unplug()


class Keys(Device):
    """A USB reader that types."""

    key_s = 0.012
    frame_s = 10 * key_s
    blurred_s = (PAUSE_S, 0.0)

    def __init__(self, *about: Any, folder: Path, gone_after_ms: int, **more: Any) -> None:
        super().__init__(*about, **more)
        self._path = folder / f"keys{id(self)}"
        self._keyboard = Keyboard(self._path, clock=self.world)
        self._options = KeyboardReader.Options(event_path=str(self._path), format="em-hex", gone_after_ms=gone_after_ms)

    def reader(self) -> KeyboardReader:
        return KeyboardReader(self._options, clock=self.world)

    def pieces(self, *, torn: bool) -> list[tuple[float, Callable[[], None]]]:
        codes = {sign: code for code, sign in reversed([*DIGIT_KEYS.items(), *LETTER_KEYS.items()])}
        keys = [*(codes[sign] for sign in FOB.hex().upper()), ENTER]
        acts = [(at * self.key_s, lambda code=code: self._keyboard.press(code)) for at, code in enumerate(keys)]
        if torn:
            del acts[self.chance.randrange(len(acts) - 1)]
        return acts

    def stray(self) -> None:
        self._keyboard.press(self.chance.choice((*DIGIT_KEYS, *LETTER_KEYS, ENTER)))

    def cut_supply(self) -> None:
        super().cut_supply()
        self._keyboard.unplug()

    def return_supply(self, boot_s: float) -> None:
        self._keyboard.plug()
        super().return_supply(boot_s)

    def close(self) -> None:
        self._keyboard.unplug()


class Wires(Device):
    """A reader on Wiegand wires. The gate sees nothing of its supply."""

    frame_s = 25 * 0.002
    sees_supply = False
    blurred_s = (0.026, 0.026)

    def __init__(self, *about: Any, folder: Path, gone_after_ms: int, **more: Any) -> None:
        super().__init__(*about, **more)
        self._lines = WiegandLines(clock=self.world, sleep=lambda _seconds: None)
        self._options = WiegandReader.Options(format="w26", d0_pin=5, d1_pin=6, gone_after_ms=gone_after_ms)

    def reader(self) -> WiegandReader:
        return WiegandReader(self._options, request=self._lines.request, clock_ns=self._lines.clock_ns)

    def pieces(self, *, torn: bool) -> list[tuple[float, Callable[[], None]]]:
        count, frame = wiegand_frame(parse("w26:118,1603"))
        if torn:
            frame ^= 1 << self.chance.randrange(count)
        bits = [frame >> at & 1 for at in reversed(range(count))]
        return [(at * 0.002, lambda bit=bit: self._lines.pulse(bit, 0)) for at, bit in enumerate(bits)]

    def stray(self) -> None:
        self._lines.pulse(self.chance.randrange(2), 0)


class _Wire(OsdpWire):
    """A line to an OSDP reader: while it is cut, nothing reaches the device."""

    is_cut = False

    def write(self, data: bytes) -> None:
        if not self.is_cut:
            super().write(data)


class Osdp(Device):
    """An OSDP reader: it keeps what it reads until it is asked, up to `keeps` reports. It may lose its session with an answer."""

    def __init__(self, *about: Any, folder: Path, gone_after_ms: int, **more: Any) -> None:
        super().__init__(*about, **more)
        key_file = folder / "osdp.key"
        key_file.touch(0o600)
        key_file.write_text(bytes(range(16)).hex())
        self._device = OsdpDevice(bytes(range(16)), random=self.chance.randbytes)
        self.wire = _Wire(self._device, sleep=self.world.advance)
        self.wire.disturb = self._disturb
        self._keeps = self.chance.randrange(1, 5)
        self._forgets = self.chance.random() < 0.3
        self._answers_until_damage = 0
        self._options = OsdpReader.Options(format="uid", key_file=key_file, gone_after_ms=gone_after_ms)

    def reader(self) -> OsdpReader:
        return OsdpReader(self._options, line=self.wire.open, clock=self.world)

    def pieces(self, *, torn: bool) -> list[tuple[float, Callable[[], None]]]:
        uid = bytes.fromhex("04A1B2C3D4E5F6")
        return [(0.0, lambda: self._report(uid[:-1] if torn else uid))]

    def _report(self, uid: bytes) -> None:
        if len(self._device._replies) < self._keeps:
            self._device.tap(uid)

    def _disturb(self, answer: bytes) -> bytes:
        """Lose or change single answers on the line."""
        if not self.damages or not answer:
            return answer
        self._answers_until_damage -= 1
        if self._answers_until_damage > 0:
            return answer
        self._answers_until_damage = self.chance.randrange(20, 120)
        if self._forgets:
            self._device.restart()
        if self.chance.random() < 0.5:
            return b""
        bit = self.chance.randrange(8 * len(answer))
        changed = bytearray(answer)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    def cut_supply(self) -> None:
        super().cut_supply()
        self._device.restart()
        self._device._replies.clear()
        self.wire.is_cut = True

    def return_supply(self, boot_s: float) -> None:
        turn = self._turn + 1

        def answers() -> None:
            self._device.restart()
            self.wire.is_cut = False

        super().return_supply(boot_s)
        # Its line may answer before it looks for cards.
        self.world.after(boot_s * self.chance.random(), lambda: answers() if turn == self._turn else None)
