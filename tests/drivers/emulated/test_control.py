"""Can somebody outside lay cards on a reader through the control socket, and does it live through nonsense?"""

import json
import socket
import stat
import threading
from pathlib import Path

import pytest

from fabgate.drivers.emulated import ChipBench
from fabgate.drivers.emulated.cards import Card as Plastic
from fabgate.drivers.emulated.chip import Chip
from fabgate.drivers.emulated.control import EMPTY_POLLS, LONGEST_WAIT_S, ControlServer, ask, bench_at, release
from fabgate.drivers.emulated.readers.simulated import SimulatedBench
from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.drivers.readers.simulated import SimulatedReader
from fabgate.errors import HardwareError, UsageError
from fabgate.gate.hardware.reader_thread import POLL_S
from fabgate.rules.presence import Presence
from fabgate.rules.vocabulary import Presented
from fabgate.testing.readers import ManualClock
from tests.support.patience import HANGS_S, wait

UID = "04A1B2C3"


class Diary:
    """A bench that notes what it is told and refuses what it is told to refuse."""

    def __init__(self):
        self.told = []
        self.placed = threading.Event()
        self.empty_polls = EMPTY_POLLS

    def place(self, uid, *, torn):
        self.told.append(("place", uid.hex().upper(), torn))
        self.placed.set()

    def remove(self, uid):
        self.told.append(("remove", uid and uid.hex().upper()))
        if uid == b"\xff" * 4:
            raise UsageError("found no card, wanted FFFFFFFF: place it first")

    def unplug(self):
        self.told.append("unplug")

    def plug(self):
        self.told.append("plug")

    def brown_out(self):
        self.told.append("brown-out")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "control")


@pytest.fixture
def diary():
    return Diary()


@pytest.fixture
def server(path, diary):
    server = ControlServer(path, diary, clock=ManualClock())
    yield server
    server.stop()


@pytest.fixture
def client(server):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(HANGS_S)
        client.connect(server.path)
        yield client


def answer(client):
    line = b""
    while not line.endswith(b"\n"):
        chunk = client.recv(4096)
        if not chunk:
            break
        line += chunk
    return json.loads(line)


def test_each_order_reaches_the_bench(server, path, diary):
    for request in (
        {"do": "place", "uid": UID},
        {"do": "place", "uid": "04:a1:b2:c3:d4:e5:f6", "torn": 2},
        {"do": "remove", "uid": UID},
        {"do": "remove"},
        {"do": "unplug"},
        {"do": "plug"},
        {"do": "brown-out"},
    ):
        assert ask(path, request) == {"ok": True}
    assert diary.told == [
        ("place", UID, None),
        ("place", "04A1B2C3D4E5F6", 2),
        ("remove", UID),
        ("remove", None),
        "unplug",
        "plug",
        "brown-out",
    ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"hello", 'found "hello", wanted a JSON object'),
        (b"\xff\xfe", "wanted a JSON object"),
        (b"[" * 3000, "wanted a JSON object"),
        (b"[]", "found list, wanted a JSON object"),
        (b"{}", "found None as 'do', wanted one of: place, remove, tap, unplug, plug, brown-out"),
        (b'{"do": "explode"}', "found 'explode' as 'do'"),
        (b'{"do": ["place"]}', "as 'do'"),
        (b'{"do": "plug", "uid": "04A1B2C3"}', "found 'uid' with 'plug', wanted nothing"),
        (b'{"do": "place", "uid": "04A1B2C3", "for_ms": 5}', "found 'for_ms' with 'place', wanted torn, uid, waits"),
        (b'{"do": "place"}', "found None as uid"),
        (b'{"do": "place", "uid": 77705923}', "found 77705923 as uid, wanted hex in quotes"),
        (b'{"do": "place", "uid": "4A1B2C3"}', "pairs of hex digits"),
        (b'{"do": "place", "uid": "04A1B2"}', "found a UID of 3 bytes, wanted 4, 7 or 10"),
        (b'{"do": "place", "uid": "88A1B2C3"}', "cascade tag"),
        (b'{"do": "place", "uid": "04A1B2C3", "torn": -1}', "found -1 as 'torn'"),
        (b'{"do": "place", "uid": "04A1B2C3", "torn": true}', "found True as 'torn'"),
        (b'{"do": "place", "uid": "04A1B2C3", "waits": 1}', "found 1 as 'waits', wanted true or false"),
        (b'{"do": "tap", "uid": "04A1B2C3", "for_ms": 20}', "found 20 as 'for_ms', wanted 100 to 60000"),
        (b'{"do": "tap", "uid": "04A1B2C3", "for_ms": "long"}', "as 'for_ms'"),
        (b'{"do": "remove", "uid": "FFFFFFFF"}', "found no card, wanted FFFFFFFF: place it first"),
    ],
)
def test_nonsense_is_answered_and_survived(client, line, error):
    client.sendall(line + b"\n")
    refused = answer(client)
    assert refused["ok"] is False
    assert error in refused["error"]
    client.sendall(b'{"do": "plug"}\n')
    assert answer(client) == {"ok": True}


def test_a_line_without_end_is_refused_and_the_server_lives_on(client, path):
    client.sendall(b"x" * 10_000)
    assert "more than 4096 bytes" in answer(client)["error"]
    assert ask(path, {"do": "plug"}) == {"ok": True}


def test_requests_may_come_in_pieces_and_in_heaps(client, diary):
    client.sendall(b'{"do": "unp')
    client.sendall(b'lug"}\n{"do": "plug"}\n{"do": "brown-out"}\n')
    with client.makefile("rb") as lines:
        assert [json.loads(lines.readline()) for _ in range(3)] == [{"ok": True}] * 3
    assert diary.told == ["unplug", "plug", "brown-out"]


def test_a_tap_is_held_and_answered_when_the_card_is_gone(server, client, path, diary):
    client.sendall(json.dumps({"do": "tap", "uid": UID, "for_ms": 300}).encode() + b"\n")
    assert diary.placed.wait(HANGS_S)
    server._clock.sleep(0.299)
    assert ask(path, {"do": "plug"}) == {"ok": True}  # nobody waits for the tap
    assert diary.told == [("place", UID, None), "plug"]
    server._clock.sleep(0.002)
    server.wake()
    assert answer(client) == {"ok": True}
    assert diary.told[-1] == ("remove", UID)


@pytest.mark.parametrize("request_", [{"do": "tap", "uid": UID}, {"do": "place", "uid": UID, "waits": True}])
def test_a_hand_waits_until_the_reader_has_seen_the_empty_field(server, client, path, diary, request_):
    diary.empty_polls = EMPTY_POLLS - 1
    client.sendall(json.dumps(request_).encode() + b"\n")
    assert ask(path, {"do": "plug"}) == {"ok": True}  # the request before was received
    assert diary.told == ["plug"]
    diary.empty_polls = EMPTY_POLLS
    assert diary.placed.wait(HANGS_S)


def test_a_hand_waits_neither_over_a_card_nor_for_a_reader_that_does_not_poll(server, client, path, diary):
    diary.empty_polls = None
    client.sendall(json.dumps({"do": "place", "uid": UID, "waits": True}).encode() + b"\n")
    assert answer(client) == {"ok": True}
    diary.placed.clear()
    diary.empty_polls = 0
    client.sendall(json.dumps({"do": "tap", "uid": UID}).encode() + b"\n")
    assert ask(path, {"do": "plug"}) == {"ok": True}  # the tap was received: its wait begins before the clock moves
    server._clock.sleep(LONGEST_WAIT_S)
    assert diary.placed.wait(HANGS_S)


def test_a_hand_waits_for_as_many_polls_as_the_rules_want(path):
    """The Reader contract and ``fabgate.rules.presence`` say when a card counts as tapped."""
    presence = Presence()
    for poll in range(EMPTY_POLLS):
        presence.nothing(round(poll * POLL_S * 1000))
    assert presence.saw("a", 1_000) == [Presented("a")]


def test_a_tap_whose_client_hung_up_is_ended_all_the_same(server, client, path, diary):
    client.sendall(json.dumps({"do": "tap", "uid": UID}).encode() + b"\n")
    assert diary.placed.wait(HANGS_S)
    client.close()
    assert ask(path, {"do": "plug"}) == {"ok": True}
    server._clock.sleep(1)
    assert ask(path, {"do": "plug"}) == {"ok": True}
    assert ask(path, {"do": "plug"}) == {"ok": True}
    assert ("remove", UID) in diary.told


def test_a_tapped_card_that_was_taken_away_meanwhile_is_no_error(server, client, diary):
    client.sendall(b'{"do": "tap", "uid": "FFFFFFFF"}\n')  # the diary refuses to remove this one
    assert diary.placed.wait(HANGS_S)
    server._clock.sleep(1)
    server.wake()
    assert answer(client) == {"ok": True}


def test_a_tap_is_long_enough_for_a_reader_that_polls_at_20_hz(path):
    bench, clock, seen = SimulatedBench(), ManualClock(), []
    server = ControlServer(path, bench, clock=clock)
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(json.dumps({"do": "tap", "uid": UID, "for_ms": 300}).encode() + b"\n")
            wait(lambda: bench.look()[0] is not None, "the card")
            while (found := bench.look()[0]) is not None:
                seen.append(found)
                clock.sleep(0.05)
                for _ in range(2):  # whoever is answered twice knows that the clock was looked at in between
                    assert ask(path, {"do": "plug"}) == {"ok": True}
    finally:
        server.stop()
    assert len(seen) >= 6
    assert set(seen) == {Card(bytes.fromhex(UID))}


def test_the_socket_is_for_its_owner_only(server, path):
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_stale_socket_files_are_replaced(path, diary):
    for left in (path, f"{path[:-1]}~"):  # of one that was killed, and of one that was killed before it listened
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(left)
    server = ControlServer(path, diary)
    assert ask(path, {"do": "plug"}) == {"ok": True}
    server.stop()
    server.stop()
    assert list(Path(path).parent.glob("*~")) == []
    assert not Path(path).exists()


def test_a_socket_in_use_is_not_taken_over(server, path, diary):
    with pytest.raises(HardwareError, match="another process listens"):
        ControlServer(path, diary)
    assert ask(path, {"do": "plug"}) == {"ok": True}


def test_a_file_that_is_no_socket_is_left_alone(path, diary):
    Path(path).write_text("precious")
    with pytest.raises(HardwareError, match="not a socket"):
        ControlServer(path, diary)
    assert Path(path).read_text() == "precious"


def test_nobody_there_is_a_hardware_error(path):
    with pytest.raises(HardwareError, match="no answer"):
        ask(path, {"do": "plug"})


def test_hanging_up_without_an_answer_is_a_hardware_error(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def hang_up():
            connection, _ = listener.accept()
            connection.recv(100)
            connection.close()

        rude = threading.Thread(target=hang_up)
        rude.start()
        with pytest.raises(HardwareError, match="closed the connection"):
            ask(path, {"do": "plug"})
        rude.join()


def test_a_client_that_breaks_off_harms_nobody(server, path):
    for _ in range(3):
        rude = socket.socket(socket.AF_UNIX)
        rude.connect(path)
        rude.sendall(b'{"do": "plug"}\n')
        rude.close()
    assert ask(path, {"do": "plug"}) == {"ok": True}


def test_a_bench_stays_until_it_is_released(path):
    first = bench_at(path, SimulatedBench)
    assert bench_at(path, SimulatedBench) is first
    release(path)
    release(path)
    assert bench_at(path, SimulatedBench) is not first
    release(path)


def test_a_chip_bench_lays_real_cards_and_random_ones():
    chip = Chip()
    bench = ChipBench(chip)
    bench.place(b"\x08\x11\x22\x33", torn=None)
    bench.place(bytes.fromhex(UID), torn=1)
    random, plain = chip.field.cards
    assert isinstance(plain, Plastic)
    chip.transfer([0x14 << 1, 0x83])
    assert random.uid[0] == 0x08
    bench.remove(b"\x08\x11\x22\x33")
    assert chip.field.cards == [plain]


def test_a_simulated_card_is_torn_when_it_has_fewer_answers_than_its_length_needs(path):
    bench = bench_at(path, SimulatedBench)
    reader = SimulatedReader(SimulatedReader.Options(control_socket=path))
    reader.open()
    double = bytes.fromhex("04A1B2C3D4E5F6")
    bench.place(double, torn=7)
    assert [reader.poll() for _ in range(3)] == [Card(double), Misread(MisreadReason.TORN), None]
    bench.place(double, torn=None)  # what was torn away can be laid down again
    with pytest.raises(UsageError, match="already"):
        bench.place(double, torn=None)
    with pytest.raises(UsageError, match="found 04A1B2C3D4E5F6 on the reader, wanted 04A1B2C3"):
        bench.remove(bytes.fromhex(UID))
    bench.remove(None)
    with pytest.raises(UsageError, match="no card"):
        bench.remove(double)
    release(path)
