"""Is every gate's health said in words, are holes named by number, and do orders reach it?"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.template.defaultfilters import date
from django.utils import timezone, translation

from fabgate.collector.faces.pages.gates import health
from fabgate.collector.ground.models import Boot, Entry, Gate, Heartbeat, Hole, Journal, Machine, Order, Quarantine
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines.keys import clones
from fabgate.collector.recording.broker import announcing
from fabgate.gate import checks, reports
from fabgate.seal import Keys

NOW = datetime.now(UTC)
TODAYS = int(NOW.timestamp() * 1000)
DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def fresh(monkeypatch) -> None:
    """This file may have been read minutes ago: by then every gate would be silent, or its roster yesterday's."""
    now = datetime.now(UTC)
    monkeypatch.setitem(globals(), "NOW", now)
    monkeypatch.setitem(globals(), "TODAYS", int(now.timestamp() * 1000))


@pytest.fixture(autouse=True)
def gate(database) -> Gate:
    machine = Machine.objects.create(name="saw", title="Bandsaw")
    more = {"seen_at": NOW, "boot": "b-2", "journal": "j-2", "reader": "ok", "version": "1.2"}
    found = Gate.objects.create(
        name="bandsaw", machine=machine, online=True, roster_version=TODAYS, reported_roster=TODAYS, **more
    )
    Journal.objects.create(name="j-2", gate=found, head=412, ack_seq=412)
    return found


def of(**said: Any) -> health.Health:
    Gate.objects.update(**said)
    (found,) = health.of(Gate.objects.all(), NOW)
    return found


def test_a_gate_of_which_all_is_here_and_known_is_well():
    found = of()
    assert found.is_ok
    assert found.roster.text.startswith("Up to date (today ")
    assert found.records.text == "412 entries, complete"


@pytest.mark.parametrize(
    ("said", "part", "expected"),
    [
        ({"online": False}, "connection", "Offline"),
        ({"seen_at": None}, "connection", "Never online"),
        ({"seen_at": NOW - timedelta(minutes=5)}, "connection", "Offline"),
        ({"reported_roster": 0}, "roster", "Not fetched yet"),
        ({"reported_roster": TODAYS - 20 * DAY_MS}, "roster", "Has the roster of"),
        ({"roster_confirmed_at": NOW - timedelta(hours=2)}, "roster", "not confirmed since"),
        ({"roster_version": 0}, "roster", "Not built yet"),
        ({"roster_version": 0, "machine": None}, "roster", "No roster: assign a machine"),
        ({"synced": False}, "clock", "Not set"),
        ({"clock_off_ms": 3_599_993}, "clock", "At least 1 h ahead of the collector"),
        ({"clock_off_ms": -7_300_000}, "clock", "At least 2 h behind the collector"),
        ({"clock_off_ms": -9 * DAY_MS, "synced": False}, "clock", "At least 9 days behind the collector"),
        ({"reader": "fault"}, "reader", "Fault"),
    ],
)
def test_what_is_wrong_with_a_gate_is_said_in_words_and_it_is_not_well(said, part, expected):
    found = of(**said)
    assert expected in getattr(found, part).text
    assert not found.is_ok


def test_what_a_silent_gate_said_last_is_not_said_to_be_so_now():
    here, gone = of(), of(online=False)
    assert [(one.state, one.text) for one in (here.clock, here.reader)] == [("ok", "Set"), ("ok", "OK")]
    assert [(one.state, one.text) for one in (gone.clock, gone.reader)] == [
        ("silent", "Was set"),
        ("silent", "Was OK"),
    ]
    unsupervised = of(online=True, reader="unsupervised")
    assert unsupervised.is_ok
    assert unsupervised.reader.text == "OK, but the gate would not notice an unplugged reader"
    assert of(online=False, reader="unsupervised").reader.text == "Was OK"
    broken = of(online=False, reader="fault", synced=False)
    assert (broken.clock.state, broken.reader.state) == ("warn", "bad")


def test_an_old_roster_that_is_still_the_newest_is_all_right():
    found = of(roster_version=TODAYS - 9 * DAY_MS, reported_roster=TODAYS - 9 * DAY_MS)
    assert found.roster.text.startswith("Up to date (")
    assert found.is_ok


def test_two_rosters_of_one_minute_are_told_apart_by_their_seconds():
    minute = TODAYS // 60_000 * 60_000
    text = of(roster_version=minute + 20_000, reported_roster=minute + 10_000).roster.text
    assert ":10; the newest one is of " in text
    assert text.endswith(":20")


def test_a_version_that_no_clock_ever_made_is_no_error():
    assert of(roster_version=7, reported_roster=(1 << 62)).roster.state == "ok"


def test_entries_that_are_not_here_yet_are_counted():
    Journal.objects.update(ack_seq=400)
    assert of().records == health.Check("warn", "12 entries behind")


def test_a_gate_that_never_wrote_has_no_entry():
    Journal.objects.all().delete()
    assert of().records.text == "No entries yet"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("reader: no answer", ("A badge reader has a fault", "no answer")),
        ("thread-uplink: broken pipe", ("A component restarted after a failure: uplink", "broken pipe")),
        (
            "idle-off: found 600",
            ("No sensor shows whether the machine is running: it does not switch off when idle", "found 600"),
        ),
        ("certificate: in 12 days", ("The certificate for the message broker must be renewed", "in 12 days")),
        ("meter-2: no answer", ("A meter cannot be read: the machine counts as running", "no answer")),
        ("panel: no answer", ("A display, light or buzzer does not work", "no answer")),
        ("panel-1: no answer", ("A display, light or buzzer does not work", "no answer")),
        ("weather: it rains", ("weather", "it rains")),
        ("odd", ("odd", "")),
    ],
)
def test_what_a_gate_says_of_its_problems_is_put_in_words_and_kept_where_there_are_none(said, expected):
    assert of(problems=[said]).problems == [expected]


def test_each_problem_that_a_gate_reports_has_a_text():
    files = [Path(checks.__file__), *Path(reports.__file__).parent.glob("*.py")]
    source = "".join(path.read_text("utf-8") for path in files)
    stored = " ".join(re.findall(r"problems\[(.+?)\] =", source))
    keys = {*re.findall(r'"([a-z-]+)"', stored), *re.findall(r'problems\.note\("([a-z-]+)"', source)}
    assert len(keys) > 8
    assert keys <= health.PROBLEMS.keys()


def test_a_gate_that_sends_too_much_is_named_for_an_hour():
    ((said, detail),) = of(too_much_at=NOW).problems
    assert said.startswith("The gate sends too many messages")
    assert not detail, "only what the gate itself says is English for everybody"
    assert of(too_much_at=NOW - timedelta(hours=1)).is_ok


def test_the_list_puts_first_who_should_be_looked_at(browse):
    Gate.objects.create(name="alpha", machine=Machine.objects.get(), online=True, seen_at=NOW, reader="ok")
    Gate.objects.filter(name="alpha").update(roster_version=TODAYS, reported_roster=TODAYS)
    journal = Journal.objects.create(name="a", gate=Gate.objects.get(name="alpha"), head=1, ack_seq=1)
    client = browse("maintainer")
    page = client.get("/gates")
    assert [one.gate.name for one in page.context["found"]] == ["alpha", "bandsaw"]
    assert "All gates OK" in page.content.decode()
    Gate.objects.filter(name="bandsaw").update(synced=False)
    page = client.get("/gates")
    assert [one.gate.name for one in page.context["found"]] == ["bandsaw", "alpha"]
    assert "1 of 2 gates OK" in page.content.decode()
    assert journal.pk


def test_before_the_first_gate_the_list_says_what_to_do(browse):
    Journal.objects.all().delete()
    Gate.objects.all().delete()
    assert "No gate yet" in browse("maintainer").get("/gates").content.decode()


@pytest.mark.parametrize(
    ("left", "lang", "said"),
    [
        (timedelta(days=10, hours=1), "en", "The message broker's certificate expires on %s (in 10 days)."),
        (timedelta(days=1, hours=1), "fr", "Le certificat du serveur MQTT expire le %s (dans 1 jour)."),
        (timedelta(minutes=50), "en", "The message broker's certificate expires on %s (in less than a day)."),
        (timedelta(minutes=-1), "en", "The message broker's certificate expired on %s."),
        (timedelta(minutes=-1), "fr", "Le certificat du serveur MQTT a expiré le %s."),
        (timedelta(days=31), "en", ""),
        (None, "en", ""),
    ],
)
def test_a_certificate_of_the_broker_that_is_to_be_renewed_is_told_above_the_gates(browse, account, left, lang, said):
    ends = None if left is None else NOW + left
    Heartbeat.beat(Heartbeat.INGEST, NOW, broker_until=ends)
    page = unescape(browse(account("maintainer", lang=lang)).get("/gates").content.decode()).replace(
        "\N{RIGHT SINGLE QUOTATION MARK}", "'"
    )
    if said:
        with translation.override(lang):
            assert said % date(timezone.localtime(ends), "SHORT_DATE_FORMAT") in page
    else:
        assert "The message broker's certificate" not in page


def test_what_is_missing_is_named_by_number_and_so_is_what_is_awaited(browse):
    journal = Journal.objects.get()
    Hole.objects.create(journal=journal, first=300, last=303, state=Hole.LOST, found_at=NOW)
    Hole.objects.create(journal=journal, first=310, last=310, state=Hole.LOST, found_at=NOW)
    Hole.objects.create(journal=journal, first=320, last=320, state=Hole.FILLED, found_at=NOW)
    Journal.objects.update(head=420)
    row = {"body": b"", "hash": b"", "arrived_at": NOW, "type": "gate.started"}
    Entry.objects.create(journal=journal, seq=415, uid="u", **row)
    page = browse("maintainer").get("/gates/bandsaw").content.decode()
    for text in (
        "bandsaw: entries 300 to 303 missing",
        "bandsaw: entry 310 missing",
        "bandsaw: entries 413 to 414 awaited",
        "bandsaw: entries 416 to 420 awaited",
    ):
        assert text in page
    assert "320" not in page
    assert "No entries are missing." not in page
    assert of().lost == 5


def test_a_gate_without_holes_says_so(browse):
    assert "No entries are missing." in browse("auditor").get("/gates/bandsaw").content.decode()


def test_a_start_that_goes_on_has_no_end_yet(browse):
    journal = Journal.objects.get()
    hour = timedelta(hours=1)
    for boot, ago in (("b-1", 3), ("b-2", 1)):
        said = {"first_at": NOW - ago * hour, "last_at": NOW - (ago - 1) * hour}
        Boot.objects.create(gate=Gate.objects.get(), boot=boot, journal=journal, seq=1, from_ms=0, **said)
    page = browse("auditor").get("/gates/bandsaw").content.decode()
    assert page.count("; last entry ") == 1
    running = page.partition("; last entry ")[2]
    assert ">now<" in running.partition("</li>")[0]


def test_boots_orders_clones_and_broken_messages_are_shown(browse):
    gate, journal = Gate.objects.get(), Journal.objects.get()
    old = Journal.objects.create(name="j-1", gate=gate, cloned=True, superseded_by=journal)
    where = {"gate": gate, "from_ms": 0}
    Boot.objects.create(boot="b-1", journal=old, seq=1, **where)
    Boot.objects.create(boot="b-2", journal=journal, seq=1, first_at=NOW, last_at=NOW, **where)
    Order.objects.create(
        id="o", gate=gate, command="lock", actor="cli:eve", reason="Belt", at=NOW, until=NOW, outcome="done"
    )
    Quarantine.objects.create(
        gate=gate,
        topic="t",
        seq=9,
        reason="fork",
        detail="other bytes",
        hash=b"",
        body=b"",
        times=3,
        first_at=NOW,
        last_at=NOW,
    )
    gate.quarantine_dropped = 7_000
    gate.save()
    page = browse("maintainer").get("/gates/bandsaw").content.decode()
    for text in (
        "the newest 1000 (at most 4.0\xa0MB) are kept for 90 days",
        "7000 older messages were deleted",
        "At an unknown time: the gate's clock was never set",
        "Another device still writes to an old journal",
        "eve (command line) · Belt",
        "1 message in quarantine",
        "other bytes",
        "Entry numbers received and stored (2 journals)",
    ):
        assert text in page


def test_two_devices_with_the_keys_of_a_gate_are_named_with_what_to_do(browse):
    gate, client = Gate.objects.get(), browse("maintainer")
    assert "No second device has used the keys of this gate." in client.get("/gates/bandsaw").content.decode()
    for minutes, boot, address in (
        (60, "aaaaaaaa-1", "10.0.0.20"),
        (50, "bbbbbbbb-2", "10.0.0.66"),
        (1, "aaaaaaaa-1", "10.0.0.20"),
    ):
        clones.fetched(gate, boot, address, NOW - timedelta(minutes=minutes))
    assert not of().is_ok
    assert of().problems == [("Two devices use its keys", "")]
    page = client.get("/gates/bandsaw").content.decode()
    for text in (
        "cannot see which one is the copy",
        "10.0.0.20",
        "boot id aaaaaaaa…",
        "10.0.0.66",
        "boot id bbbbbbbb…",
        "snapshot",
    ):
        assert text in page
    assert "No second device" not in page
    assert "/joins/new?gate=bandsaw" not in page, "a maintainer makes no codes"
    assert "/joins/new?gate=bandsaw" in browse("manager").get("/gates/bandsaw").content.decode()
    assert "Two devices use its keys" in client.get("/gates").content.decode()
    with translation.override("fr"):
        assert of().problems == [("Deux appareils utilisent ses clés", "")]


def test_a_device_with_old_keys_is_named_and_so_is_the_gate_that_waits_for_new_ones(browse):
    gate, client = Gate.objects.get(), browse("auditor")
    with transaction.atomic():
        clones.keys_ended(gate, Gate.hash_of("old"), NOW)
    Gate.objects.update(token_hash="new")
    clones.refused("bandsaw", "old", "10.0.0.66", NOW)
    waits, card = "it may be the gate itself", "It has an old SD card of this gate, or a copy of one."
    page = client.get("/gates/bandsaw").content.decode()
    assert "A device at 10.0.0.66 used old keys of this gate, and was refused" in page
    assert (waits in page, card in page, of().problems) == (True, False, [])
    clones.fetched(gate, "a", "10.0.0.20", NOW)
    page = client.get("/gates/bandsaw").content.decode()
    assert (waits in page, card in page) == (False, True)
    assert of().problems == [("Old keys were used, and refused", "")]


def test_a_gate_that_is_not_there_is_not_found(browse):
    assert browse("maintainer").get("/gates/none").status_code == 404


@pytest.fixture
def sent(monkeypatch, tmp_path) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(announcing, "publish_once", lambda _env, messages, **_limits: found.extend(messages))
    keys = tmp_path / "seal.keys"
    keys.write_text("s1:" + "0" * 64 + "\n")
    monkeypatch.setattr(roster, "gate_keys", lambda _env, _gate: Keys.load(keys))
    return found


@pytest.mark.parametrize("verb", ["identify", "fetch-roster", "clear-fault"])
def test_a_maintainer_gives_a_gate_its_orders(browse, sent, verb):
    response = browse("maintainer").post("/gates/bandsaw/order", {"verb": verb})
    assert (response.status_code, response.headers["Location"]) == (303, "/gates/bandsaw")
    assert (Order.objects.get().command, len(sent)) == (verb, 1)


@pytest.mark.parametrize("verb", ["", "stop", "extend-15", "lock", "start"])
def test_what_is_no_order_of_this_page_is_refused(browse, sent, verb):
    assert browse("maintainer").post("/gates/bandsaw/order", {"verb": verb}).status_code == 400
    assert not Order.objects.exists()


def test_a_silent_gate_is_offered_no_order(browse, sent):
    maintainer = browse("maintainer")
    assert 'value="identify"' in maintainer.get("/gates/bandsaw").content.decode()
    Gate.objects.update(online=False)
    page = maintainer.get("/gates/bandsaw").content.decode()
    assert 'value="identify"' not in page
    assert "commands cannot reach it" in page
    maintainer.post("/gates/bandsaw/order", {"verb": "identify"})
    assert not Order.objects.exists()


@pytest.mark.parametrize("role", ["desk", "trainer", "accountant", "member"])
def test_gates_are_for_who_looks_after_them(browse, role):
    client = browse(role)
    assert client.get("/gates").status_code == client.get("/gates/bandsaw").status_code == 403
    assert client.post("/gates/bandsaw/order", {"verb": "identify"}).status_code == 403


def test_an_auditor_reads_and_orders_nothing(browse, sent):
    auditor = browse("auditor")
    assert 'value="identify"' not in auditor.get("/gates/bandsaw").content.decode()
    assert auditor.post("/gates/bandsaw/order", {"verb": "identify"}).status_code == 403
