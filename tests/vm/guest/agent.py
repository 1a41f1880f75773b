"""Does in the guest what the test says: a line of JSON each, over a port of virtio, and answers with one.

What matters for the order of things is marked first: a capital letter goes to the I/O port that the pins write to as well, so
that this computer sees both in their order.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

PORT = 0xE9
AGENT = Path("/dev/virtio-ports/agent")
STATUS = Path("/var/lib/fabgate/status.json")
UNIT = "fabgate-gate.service"
LOOK_S = 0.1  # the processor is an emulated one: looking all the time would take it from the gate


def mark(letter: str) -> None:
    """Let this computer see that something happens now."""
    port = os.open("/dev/port", os.O_WRONLY)
    os.lseek(port, PORT, os.SEEK_SET)
    os.write(port, letter.encode())
    os.close(port)


def main_pid() -> int:
    asked = ["systemctl", "show", "--property=MainPID", "--value", UNIT]
    return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)


def is_active() -> bool:
    """Has systemd heard that the gate is ready? It ends one that takes too long."""
    return subprocess.run(["systemctl", "is-active", "--quiet", UNIT], check=False).returncode == 0


def bash(lines: str) -> dict[str, Any]:
    done = subprocess.run(
        ["bash", "-c", lines], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return {"code": done.returncode, "text": done.stdout.decode("utf-8", "replace")}


def gate() -> dict[str, Any]:
    """Return the status of the gate whose process runs, {} if it has written none yet."""
    try:
        status: dict[str, Any] = json.loads(STATUS.read_text("utf-8"))
        command = Path(f"/proc/{status['pid']}/cmdline").read_bytes()
    except (OSError, ValueError):
        return {}
    return status if b"fabgate" in command and status["boot"] == BOOT else {}


def idle(other_than: int) -> dict[str, Any]:
    """Wait for a gate that waits for a badge, with another process than `other_than`; return its status, {} after a minute."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = gate()
        if found.get("state") == "idle" and found["roster"] and found["pid"] != other_than and is_active():
            return found
        time.sleep(LOOK_S)
    return {}


def kill(name: str) -> dict[str, Any]:
    """Send a signal to the process of the gate, and mark it with K."""
    pid = main_pid()
    number = signal.Signals[f"SIG{name}"]
    mark("K")
    os.kill(pid, number)
    return {"pid": pid}


def kill_again(times: int) -> dict[str, Any]:
    """Kill the gate `times` times, as soon as it is there again."""
    pids: list[int] = []
    while len(pids) < times:
        pid = main_pid()
        if pid and pid not in pids:
            mark("K")
            os.kill(pid, signal.SIGKILL)
            pids.append(pid)
        time.sleep(LOOK_S)
    return {"pids": pids}


def kill_on_read_only_disk() -> dict[str, Any]:
    """Let no program write to the disk any more, as after an error of a card; then kill the gate, and mark it with K."""
    Path("/proc/sys/kernel/sysrq").write_text("1")
    pid = main_pid()
    Path("/proc/sysrq-trigger").write_text("u")
    while os.access("/etc", os.W_OK):
        time.sleep(LOOK_S)
    mark("K")
    os.kill(pid, signal.SIGKILL)
    return {"pid": pid}


def panic() -> dict[str, Any]:
    """Let the kernel panic, and mark it with K."""
    Path("/proc/sys/kernel/sysrq").write_text("1")
    mark("K")
    Path("/proc/sysrq-trigger").write_text("c")
    return {}


DO = {
    "bash": bash,
    "gate": gate,
    "idle": idle,
    "kill": kill,
    "kill_again": kill_again,
    "kill_on_read_only_disk": kill_on_read_only_disk,
    "panic": panic,
}
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def say(line: io.FileIO, message: dict[str, Any]) -> None:
    """Write a line of JSON. The port takes 32 KiB at once."""
    left = json.dumps(message).encode() + b"\n"
    while left:
        left = left[line.write(left) :]


def main() -> None:
    with AGENT.open("r+b", buffering=0) as line:
        say(line, {"boot": BOOT})
        received = b""
        while True:
            received += line.read(65536)
            while b"\n" in received:
                request, _, received = received.partition(b"\n")
                asked = json.loads(request)
                try:
                    answer = DO[asked["do"]](*asked["with"])
                except Exception as error:  # noqa: BLE001 - the test reports it
                    answer = {"error": f"{type(error).__name__}: {error}"}
                say(line, {"number": asked["number"], **answer})


main()
