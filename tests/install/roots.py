"""A Debian system under systemd-nspawn: start it, run commands in it, kill what runs in it, and remove it.

It has no network but its own loopback, so that ports never meet those of this computer or of another root. apt takes from the
cache what was downloaded when the bare system was made.
"""

from __future__ import annotations

import itertools
import os
import pty
import select
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.install import images
from tests.install.images import Image
from tests.support.patience import wait

RUNS: Final = images.CACHE / "runs"
_numbers = itertools.count(1)
_ENVIRONMENT: Final = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
}
#: A command that takes longer hangs. In seconds; an upgrade of Debian says its own.
_HANGS_S: Final = 300.0
#: The unit of a command that is going to be killed.
DOOMED: Final = "doomed.service"


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, with all that it printed."""

    command: str
    code: int
    text: str
    #: The seconds from a typed answer to the end; 0 without one.
    answered_s: float = 0.0

    def __contains__(self, text: str) -> bool:
        return text in self.text


class CommandError(AssertionError):
    """A command in a root ended with another exit code than the test wanted."""

    def __init__(self, done: Done, why: str = "") -> None:
        super().__init__(f"exit code {done.code}: {done.command}\n{done.text[-4000:]}\n{why}".rstrip())


class Root:
    """One copy of an image. `start` boots it; `remove` must be called at the end."""

    def __init__(self, image: Image, name: str, *, repositories: Path) -> None:
        """Copy the image. `repositories` is what the root sees as /srv/apt."""
        unique = f"{os.getpid()}-{next(_numbers)}"
        self.name = f"fabgate-{unique}"
        self._folder = RUNS / f"{unique}-{name}"
        self.path = self._folder / "system"
        self._repositories = repositories
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._image = images.join(image, self._folder / "changes", self._folder / "work", self.path)

    # --- power ------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Boot, and wait until systemd has started everything."""
        command = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--machine", self.name]
        command += ["--private-network", "--resolv-conf=off"]
        command += [f"--bind-ro={self._repositories}:/srv/apt", "--directory", str(self.path)]
        with (self._folder / "console").open("ab") as console:
            self._process = subprocess.Popen(
                # If the tests are killed, the root ends too.
                ["setpriv", "--pdeathsig", "KILL", *command],
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._leader = wait(self._first_process, f"a first process in {self.name}")
        wait(lambda: self.run("test -S /run/systemd/private", check=False).code == 0, "systemd")
        self.run("systemctl is-system-running --wait", check=False)  # "degraded" is for the test to see

    def _first_process(self) -> int:
        process = self._process
        assert process is not None
        if process.poll() is not None:
            console = (self._folder / "console").read_text("utf-8", "replace")
            raise RuntimeError(f"systemd-nspawn ended with exit code {process.returncode}:\n{console[-2000:]}")
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            with suppress(OSError):
                # nspawn forks twice: the first process of the root has number 1 there, and becomes systemd.
                numbers = next(
                    line for line in Path(f"/proc/{child}/status").read_text().splitlines() if "NSpid" in line
                )
                if numbers.split()[-1] == "1" and Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return int(child)
        return 0

    @property
    def leader(self) -> int:
        """The number that the first process of this root has outside."""
        return self._leader

    def cut_power(self) -> None:
        """End all processes at once, as a power cut does. Memory of this computer is not lost, so files are."""
        assert self._process is not None
        os.kill(self._leader, signal.SIGKILL)
        self._process.wait(timeout=_HANGS_S)
        self._process = None

    def stop(self) -> None:
        """Shut down as `poweroff` does."""
        assert self._process is not None
        self.run("systemctl poweroff", check=False)
        self._process.wait(timeout=_HANGS_S)
        self._process = None

    def freeze(self) -> Image:
        """Shut down, and return this root as an image for others. It must not be used any more, but must stay."""
        self.stop()
        subprocess.run(["umount", "--quiet", str(self.path)], check=False)
        return self._image

    def remove(self) -> None:
        if self._process is not None:
            self.cut_power()
        _forget(self._folder)

    # --- commands ---------------------------------------------------------------------------------------------------------

    def run(
        self, command: str, *, check: bool = True, answers: str = "", hangs_s: float = _HANGS_S, online: bool = False
    ) -> Done:
        """Run lines of bash as root and return what they printed. Raises CommandError, unless `check` is False.

        With `online` the command has the network of this computer, to download something. Nothing else of the root has it.
        """
        done = subprocess.run(
            self._enter("bash", "-c", f"cd /root\n{command}", online=online),
            input=answers.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=hangs_s,
            check=False,
        )
        ended = Done(command, done.returncode, done.stdout.decode("utf-8", "replace"))
        if check and ended.code:
            # systemctl says only where to look.
            why = self.says("journalctl --no-pager --lines 60") if "systemctl" in command else ""
            raise CommandError(ended, why)
        return ended

    def _enter(self, *command: str, online: bool = False) -> list[str]:
        kinds = ("mount", "uts", "ipc", "pid", "cgroup", *(() if online else ("net",)))
        entered = ["nsenter", "--target", str(self._leader), *(f"--{kind}" for kind in kinds)]
        return [*entered, "/usr/bin/env", "-i", *(f"{name}={value}" for name, value in _ENVIRONMENT.items()), *command]

    def type(self, command: str, prompt: str, typed: str, *, hangs_s: float = _HANGS_S) -> Done:
        """Run lines on a terminal, and type an answer when the prompt appears, as a person does."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            self._enter("bash", "-c", f"cd /root\n{command}"), stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        text, typed_at = b"", 0.0
        with os.fdopen(ours, "r+b", buffering=0) as terminal:
            until = time.monotonic() + hangs_s
            while select.select([terminal], [], [], max(0.0, until - time.monotonic()))[0]:
                try:
                    text += terminal.read(4096) or b""
                except OSError:  # EIO: the last program has closed the terminal
                    break
                if not typed_at and prompt.encode() in text:
                    terminal.write(f"{typed}\n".encode())
                    typed_at = time.monotonic()
            else:
                process.kill()
        code = process.wait(timeout=_HANGS_S)
        answered_s = time.monotonic() - typed_at if typed_at else 0.0
        ended = Done(command, code, text.decode("utf-8", "replace").replace("\r\n", "\n"), answered_s)
        if ended.code:
            raise CommandError(ended)
        return ended

    def says(self, command: str) -> str:
        """Run a command and return its output without the last line end, whatever its exit code."""
        return self.run(command, check=False).text.strip()

    def doom(self, command: str) -> subprocess.Popen[bytes]:
        """Begin a command as a unit of its own, which `kill` ends with all its processes. Its output is a pipe."""
        named = [f"--setenv={name}={value}" for name, value in _ENVIRONMENT.items()]
        begin = ["systemd-run", "--quiet", "--collect", "--pipe", "--wait", f"--unit={DOOMED}", *named]
        return subprocess.Popen(
            self._enter(*begin, "bash", "-c", command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """End all processes of the command of `doom` at once (SIGKILL)."""
        self.run(f"systemctl kill --signal=KILL {DOOMED}", check=False)

    def interrupt(self, process: subprocess.Popen[bytes], after_s: float, *, power: bool = False) -> bool:
        """Kill the command of `doom`, or with `power` the whole computer, after some seconds. Return whether it still ran."""
        try:
            process.wait(timeout=after_s)
        except subprocess.TimeoutExpired:
            if not power:
                self.kill()
                return True
            self.cut_power()
            self.start()
            return True
        return False

    def write(self, path: str, text: str, *, mode: int = 0o644, owner: str = "root:root") -> None:
        """Write a file, and the folders above it."""
        self.run(
            f"mkdir -p {Path(path).parent} && cat > {path} && chown {owner} {path} && chmod {mode:o} {path}",
            answers=text,
        )

    def connect(self, other: Root, network: str = "10.213.0") -> str:
        """Lay a cable between this root and another one; return the address of this one."""
        pairs = ((self, "1"), (other, "2"))
        ends = [f"fg{root._leader}" for root, _ in pairs]
        subprocess.run(["ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1]], check=True)
        for (root, number), end in zip(pairs, ends, strict=True):
            subprocess.run(["ip", "link", "set", end, "netns", str(root._leader), "name", "eth0"], check=True)
            for words in (("address", "add", f"{network}.{number}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
                # The root may lack the program.
                subprocess.run(["nsenter", "--target", str(root._leader), "--net", "ip", *words], check=True)
        return f"{network}.1"

    def exists(self, path: str) -> bool:
        return self.run(f"test -e {path}", check=False).code == 0


def forget_left_over() -> None:
    """Remove the roots of runs that were killed."""
    with images.locked(RUNS):
        for folder in RUNS.glob("*-*"):
            if not Path("/proc", folder.name.split("-")[0]).exists():
                _forget(folder)


def _forget(folder: Path) -> None:
    subprocess.run(["umount", "--quiet", "--lazy", str(folder / "system")], check=False)
    shutil.rmtree(folder)
