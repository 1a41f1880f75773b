"""The demo's wire, its observer and its cards."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from fabgate.demo import taps
from fabgate.demo.network import Cable
from fabgate.demo.observer import Observer
from fabgate.demo.process import DemoError, wait_for
from fabgate.demo.script import folder_of
from fabgate.demo.seen import _state
from fabgate.drivers.emulated import control
from fabgate.drivers.readers.simulated import SimulatedOptions, SimulatedReader
from fabgate.errors import HardwareError, UsageError
from tests.support.patience import HANGS_S


@pytest.fixture
def echo():
    """A server that sends back what it gets; gives its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(peer,), daemon=True).start()

    def answer(peer: socket.socket) -> None:
        with peer:
            while data := peer.recv(100):
                peer.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


def answer_to(sock: socket.socket, text: bytes) -> bytes:
    sock.sendall(text)
    return sock.recv(100)


def test_a_cable_carries_until_it_is_pulled_and_again_when_it_is_plugged(echo) -> None:
    cable = Cable(echo)
    with socket.create_connection(("127.0.0.1", cable.port), timeout=HANGS_S) as sock:
        assert answer_to(sock, b"hello") == b"hello"
        cable.pull()
        assert sock.recv(100) == b""
    with socket.create_connection(("127.0.0.1", cable.port), timeout=HANGS_S) as sock:
        assert sock.recv(100) == b""  # refused while it is pulled
    cable.plug()
    with socket.create_connection(("127.0.0.1", cable.port), timeout=HANGS_S) as sock:
        assert answer_to(sock, b"again") == b"again"
    cable.close()


def test_one_wire_leads_to_several_servers_and_is_pulled_as_one(echo) -> None:
    cable = Cable(echo)
    second = cable.lead_to(echo)
    assert not cable.is_pulled
    for port in (cable.port, second):
        with socket.create_connection(("127.0.0.1", port), timeout=HANGS_S) as sock:
            assert answer_to(sock, b"hello") == b"hello"
    cable.pull()
    assert cable.is_pulled
    for port in (cable.port, second):
        with socket.create_connection(("127.0.0.1", port), timeout=HANGS_S) as sock:
            assert sock.recv(100) == b""
    cable.close()


def test_a_cable_to_nowhere_closes_what_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    cable = Cable(port)
    with socket.create_connection(("127.0.0.1", cable.port), timeout=HANGS_S) as sock:
        assert sock.recv(100) == b""
    cable.close()


def test_the_observer_sees_each_stretch_and_counts_a_death_as_the_line_falling(tmp_path: Path) -> None:
    observer = Observer(tmp_path / "pins", 17)
    with (tmp_path / "pins").open("w") as pins:
        pins.write("1000 17 1\n2000 4 1\n3000 17 0\n5000 17 1\n")
        pins.flush()
        wait_for("the second stretch", lambda: observer.on)
        assert [(seen.on_ns, seen.off_ns, seen.killed) for seen in observer.stretches()] == [(1000, 3000, False)]
    wait_for("the end of the pipe", lambda: not observer.on)
    last = observer.stretches()[-1]
    assert last.on_ns == 5000
    assert last.killed
    assert abs(last.off_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) < 5_000_000_000


def test_a_tap_finds_reader_and_card_by_their_names_in_a_demo(tmp_path: Path) -> None:
    path = tmp_path / "saw-1.sock"
    reader = SimulatedReader(SimulatedOptions(control_socket=str(path)))
    reader.open()
    (tmp_path / "people.json").write_text('{"ada": "04:A1:B2:C3"}')
    seen = []
    looking = threading.Event()

    def look() -> None:
        while not looking.is_set():
            seen.append(reader.poll())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        assert taps.tap("saw-1", "Ada", for_ms=120, data=tmp_path) == 0
    finally:
        looking.set()
        thread.join()
        control.release(str(path))
    assert bytes.fromhex("04A1B2C3") in [card.uid for card in seen if card is not None]


def test_a_tap_reports_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found no reader at"):
        taps.tap(str(tmp_path / "none.sock"), "04A1B2C3", for_ms=100)
    os.mkfifo(tmp_path / "dead.sock")
    with pytest.raises(HardwareError, match="no answer"):
        taps.tap(str(tmp_path / "dead.sock"), "04A1B2C3", for_ms=100)


def test_a_demo_wants_an_empty_folder_that_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    for folder, problem in (
        (tmp_path, "the folder is not empty; give a new one"),
        (tmp_path / "old", "no folder can be used there"),
        (tmp_path / "old" / "new", "no folder can be used there"),
        (Path("/proc/new"), "no folder can be used there"),
        (tmp_path / ("n" * 100), "wanted at most 92"),
    ):
        with pytest.raises(UsageError, match=problem) as found, folder_of(folder):
            pass
        assert str(found.value).startswith(f"--data {folder}: ")
    with folder_of(None) as temporary:
        assert temporary.is_dir()
    assert not temporary.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_demo_wants_a_folder_that_it_may_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="cannot be written by you"), folder_of(tmp_path):
        pass


def test_a_folder_whose_paths_just_fit_takes_a_socket(tmp_path: Path) -> None:
    room = 92 - len(os.fsencode(tmp_path)) - 1
    if room < 1:
        pytest.skip("the temporary folder's own path is too long")
    with folder_of(tmp_path / ("n" * room)) as folder, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(folder / "printer-1.sock"))


def test_waiting_for_what_does_not_come_names_it() -> None:
    with pytest.raises(DemoError, match="waited 0 s for Godot"):
        wait_for("Godot", lambda: False, timeout_s=0)


@pytest.mark.parametrize(
    ("causes", "state"),
    [([], "free"), (["lock-idle"], "locked"), (["lock-now", "estop"], "blocked"), (["flag"], "blocked")],
)
def test_a_machine_that_is_only_locked_is_not_shown_as_out_of_service(causes: list[str], state: str) -> None:
    gate = SimpleNamespace(is_powered=True, process=SimpleNamespace(running=True))
    assert _state(gate, {"state": "blocked", "causes": causes}) == state  # type: ignore[arg-type]
