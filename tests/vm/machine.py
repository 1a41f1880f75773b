"""A guest in QEMU: start it, let its agent do something, cut its power, and see its output line from outside."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.vm.image import PIN, Disk
from tests.vm.kernel import PORT
from tests.vm.line import HANGS_S, Event, Line, What

PROGRAM: Final = "qemu-system-x86_64"
#: Drivers for what QEMU always emulates and this guest does not use: each costs an emulated processor a second.
_LOG: Final = "journalctl --quiet --boot --unit=fabgate-gate --no-pager --output=cat"
#: A person needs this many seconds from one tap to the next. A gate takes what comes sooner for the same tap.
_APART_S: Final = 3.0
#: Seconds without a change of the line, after which the log of the gate says why.
_LOOK_S: Final = 4.0
_UNUSED: Final = (
    "modprobe.blacklist=ata_piix,ata_generic,floppy,i2c_piix4,joydev,evdev,mousedev,pcspkr,psmouse,edac_core,intel_agp"
)
#: What a reader for badges of 125 kHz (RDM6300) sends when it sees the badge 0A001B2C3D, with its checksum.
BADGE: Final = b"\x020A001B2C3D00\x03"


class Machine:
    """One guest. `start` boots it, `stop` ends it; what it wrote to its disk is forgotten then."""

    def __init__(
        self, disk: Disk, folder: Path, *, held: bool, accelerator: str, more: Sequence[str] = (), beside: int = 0
    ) -> None:
        """`held`: a line keeps its level when its program has gone. `more` are arguments for QEMU.

        With `beside`, the number of a process, QEMU has the network of that process.
        """
        self.line = Line(PIN)
        self._folder = folder
        self._answers: dict[int, dict[str, Any]] = {}
        self._boots: list[str] = []
        self._answered = threading.Condition()
        self._numbers = 0
        self._tapped_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: dict[str, socket.socket] = {}
        self._command = [
            *(("nsenter", "--target", str(beside), "--net") if beside else ()),
            PROGRAM,
            *(
                "-machine",
                "pc,usb=off,hpet=off",
                "-cpu",
                "qemu64,-svm",
                "-accel",
                accelerator,
                "-m",
                "768",
                "-smp",
                "1",
                "-nodefaults",
                "-no-user-config",
                "-display",
                "none",
            ),
            *("-kernel", str(disk.kernel), "-initrd", str(disk.initrd)),
            *(
                "-append",
                f"root=/dev/vda rw console=ttyS0 quiet mitigations=off {_UNUSED} vm.persist={'Y' if held else 'N'}",
            ),
            # What it writes goes to a file without a name.
            *("-drive", f"file={disk.disk},format=raw,if=virtio,snapshot=on"),
            *("-serial", f"file:{folder / 'console'}", "-device", "virtio-rng-pci"),
            *("-chardev", f"socket,id=reader,path={folder / 'reader'}", "-serial", "chardev:reader"),
            # The hardware watchdog, which systemd feeds. A panic stops nothing by itself.
            *("-device", "i6300esb", "-action", "watchdog=reset,panic=none"),
            *("-chardev", f"socket,id=pins,path={folder / 'pins'}"),
            *("-device", f"isa-debugcon,iobase={PORT:#x},chardev=pins"),
            *("-chardev", f"socket,id=agent,path={folder / 'agent'}", "-device", "virtio-serial-pci"),
            *("-device", "virtserialport,chardev=agent,name=agent"),
            *("-chardev", f"socket,id=qmp,path={folder / 'qmp'}", "-mon", "chardev=qmp,mode=control"),
            *more,
        ]

    # --- power ------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Switch it on, and return when its agent answers."""
        self._folder.mkdir(parents=True)
        listeners = {name: socket.socket(socket.AF_UNIX) for name in ("pins", "agent", "reader", "qmp")}
        for name, listener in listeners.items():
            listener.bind(str(self._folder / name))
            listener.listen(1)
            listener.settimeout(HANGS_S)
        # If the tests are killed, the guest ends too.
        command = ["setpriv", "--pdeathsig", "KILL", *self._command]
        with (self._folder / "qemu").open("wb") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        for name, listener in listeners.items():
            self._sockets[name], _ = listener.accept()
            listener.close()
        for target, name in ((self.line.read, "pins"), (self._read_agent, "agent"), (self._read_qmp, "qmp")):
            threading.Thread(target=target, args=(self._sockets[name],), daemon=True).start()
        self._say("qmp", {"execute": "qmp_capabilities"})
        self.booted(0)

    def booted(self, before: int) -> None:
        """Wait until it has booted more often than `before` times, so that its agent answers."""
        with self._answered:
            done = self._answered.wait_for(lambda: len(self._boots) > before, HANGS_S)
        assert done, f"no agent after the start; the console:\n{self.console()[-3000:]}"

    @property
    def boots(self) -> int:
        return len(self._boots)

    def cut_power(self) -> None:
        """Reset the processor at once, as a power cut does: what was not yet on the disk is lost."""
        self._say("qmp", {"execute": "system_reset"})

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for connection in self._sockets.values():
            connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def console(self) -> str:
        return (self._folder / "console").read_text("utf-8", "replace")

    # --- what the test lets it do -----------------------------------------------------------------------------------------

    def ask(self, do: str, *arguments: object) -> dict[str, Any]:
        """Let the agent do something, and return its answer. Raises AssertionError where it fails."""
        with self._answered:
            self._numbers += 1
            number = self._numbers
            self._say("agent", {"number": number, "do": do, "with": arguments})
            done = self._answered.wait_for(lambda: number in self._answers, HANGS_S)
            assert done, f"no answer to {do} {arguments}; the console:\n{self.console()[-3000:]}"
            answer = self._answers.pop(number)
        answer.pop("number")
        assert "error" not in answer, f"{do} {arguments}: {answer['error']}"
        return answer

    def order(self, do: str, *arguments: object) -> None:
        """Let the agent do what it cannot answer any more."""
        self._say("agent", {"number": 0, "do": do, "with": arguments})

    def run(self, lines: str) -> str:
        """Run lines of bash as root, and return what they printed. Raises AssertionError if they fail."""
        answer = self.ask("bash", lines)
        assert answer["code"] == 0, f"exit code {answer['code']}: {lines}\n{answer['text'][-3000:]}"
        return str(answer["text"])

    def says(self, lines: str) -> str:
        return str(self.ask("bash", lines)["text"]).strip()

    def status(self) -> dict[str, Any]:
        """Return the status of the gate that runs, {} while none does."""
        return self.ask("gate")

    def idle(self, *, other_than: int = 0) -> dict[str, Any]:
        """Wait until a gate waits for a badge, with another process than `other_than`, and return its status."""
        end_s = time.monotonic() + HANGS_S
        while time.monotonic() < end_s:
            answer = self.ask("idle", other_than)
            if "pid" in answer:
                return answer
        raise AssertionError(f"no gate that waits for a badge:\n{self.says(_LOG)[-3000:]}")

    def tap(self) -> list[Event]:
        """Tap a badge, wait until the line is on, and return what happened."""
        return self._tap(What.ON)

    def tap_off(self) -> list[Event]:
        """Tap the badge again, wait until the line is off, and return what happened."""
        return self._tap(What.OFF)

    def _tap(self, until: What) -> list[Event]:
        """Hold the badge to the reader. A gate that has just started says to lift it first; then a person taps again."""
        place = self.line.here()
        end_s = time.monotonic() + HANGS_S
        lifts = self._lifts()
        while time.monotonic() < end_s:
            time.sleep(max(0.0, self._tapped_s + _APART_S - time.monotonic()))
            self._tapped_s = time.monotonic()
            self.line.add(Event(What.TAP, time.monotonic()))
            self._sockets["reader"].sendall(BADGE)
            asked = lifts
            while time.monotonic() < end_s and lifts == asked:
                if self.line.comes(until, place, _LOOK_S):
                    return self.line.since(place)
                lifts = self._lifts()
        raise AssertionError(f"not {until} after a tap:\n{self.says(_LOG)[-3000:]}")

    def _lifts(self) -> int:
        """Return how often the gate has said to lift the badge."""
        return self.says(_LOG).count("Lift your badge")

    def journal(self) -> list[dict[str, Any]]:
        lines = self.run("runuser -u fabgate -- fabgate journal --json").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def newest(self, fact: str) -> dict[str, Any]:
        """Return what the newest entry of a kind says, such as "session.ended". Raises IndexError without such an entry."""
        found: dict[str, Any] = [entry for entry in self.journal() if entry["type"] == f"fabgate.{fact}.v1"][-1]["data"]
        return found

    # --- what QEMU says ---------------------------------------------------------------------------------------------------

    def _say(self, name: str, message: dict[str, object]) -> None:
        self._sockets[name].sendall(json.dumps(message).encode() + b"\n")

    def _read_agent(self, connection: socket.socket) -> None:
        with suppress(OSError), connection.makefile("rb") as lines:
            for line in lines:
                try:
                    answer = json.loads(line)
                except ValueError:  # the rest of an answer that a reset has cut off
                    continue
                with self._answered:
                    if "boot" in answer and "number" not in answer:
                        self._boots.append(answer["boot"])
                    else:
                        self._answers[answer["number"]] = answer
                    self._answered.notify_all()

    def _read_qmp(self, connection: socket.socket) -> None:
        with suppress(OSError), connection.makefile("rb") as lines:
            for line in lines:
                at_s = time.monotonic()
                if json.loads(line).get("event") == "RESET":
                    self.line.add(Event(What.RESET, at_s))
