"""What the contract does not say: configuration, references, verbs, a killed process, and one sender at a time."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings

from fabgate.collector.ground.models import Change, Member, PrepaidChange, Sink, SinkLetter
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.sinks import config, decisions, engine, feeds, sending, status
from fabgate.collector.money.billing.sinks.config import Configured
from fabgate.collector.money.billing.sinks.contract import Charge, Refused, Site
from fabgate.collector.money.billing.sinks.drivers.stripe import StripeSink
from fabgate.errors import UsageError
from tests.collector.money.billing.booked import FIRST, MONTHS
from tests.collector.money.billing.sinks import programs
from tests.collector.money.billing.sinks.sent import NOW, Sent
from tests.support.patience import HANGS_S

pytestmark = pytest.mark.usefixtures("database")
MONTH = f"{FIRST:%Y-%m}"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write sinks.yaml."""
    monkeypatch.setattr(config, "path", lambda: tmp_path / "sinks.yaml")
    return lambda text: config.path().write_text(text)


# --- sinks.yaml -------------------------------------------------------------------------------------------------------


def test_every_mistake_is_named_with_its_line(written, books):
    written(
        "a: {driver: file, from: 2027-01}\n"
        "B: {driver: files, from: 2027-01, folder: x}\n"
        "c: {driver: files, from: 2027-13, folder: x, color: red}\n"
        "d: {driver: webhook, from: 2027-01, url: 'http://example.org/', secret_file: s}\n"
        "e: 1\n"
    )
    with pytest.raises(UsageError) as caught:
        config.load()
    lines = [line.partition("sinks.yaml:")[2] for line in str(caught.value).splitlines()]
    assert lines == [
        "1: a.driver: found the driver 'file', wanted a known one; did you mean files?",
        "2: B: found 'B', wanted a name of lower-case letters, digits and hyphens",
        "3: c.color: found an unknown key, wanted one of from, settle_days, folder, separator, takes",
        "3: c.from: found '2027-13', wanted the first month to send, such as 2027-01",
        "4: d: url: found 'http://example.org/', wanted https://, because a secret and names are sent there",
        "5: e: found '1', wanted keys and values",
    ]


def test_two_programs_do_not_write_invoices_for_the_same_minutes(written, books):
    stripe = f"stripe: {{driver: stripe, from: {MONTH}, key_file: k}}\n"
    meter = "meter: {{driver: openmeter, from: {}, url: 'http://127.0.0.1', categories: {}}}\n"
    written(stripe + meter.format(MONTH, "[]"))
    with pytest.raises(UsageError, match=r":2: meter: found together with stripe: both write invoices"):
        config.load()
    written(stripe + meter.format(MONTH, "[laser]"))
    assert [one.name for one in config.load()] == ["stripe", "meter"]


def test_charges_need_billing_and_without_a_file_there_is_no_sink(written, tmp_path):
    assert config.load() == []
    written("a: {driver: files, from: 2027-01, folder: x}\n")
    with pytest.raises(UsageError, match="billing has not been started"):
        config.load()


# --- references -------------------------------------------------------------------------------------------------------


class Picky(programs.KeylessSink):
    needs_reference = True


def test_an_item_of_a_payer_without_a_reference_waits_until_there_is_one(tmp_path, books):
    with programs.KeylessProgram(tmp_path).running() as program:
        plain = program.configured(MONTH)
        program.configured = lambda _since: Configured(plain.name, plain.driver_name, Picky, plain.options)
        sent = Sent(program, with_references=False)
        sent.turn()
        assert program.effects == []
        held = decisions.left(sent.row, SinkLetter.HELD)
        assert {letter.payer for letter in held} == {"m-1", "m-2", "m-3"}
        assert status.of(sent.configured).waiting == 0
        assert sum(month.left_minor for month in status.months(sent.row, FIRST)) == sum(sent.wanted().values())
        for number in (1, 2, 3):
            payer = payers.ensure(payers.of_member(Member.objects.get(pk=f"m-{number}")), actor="eve")
            payers.set_references(payer, {"keyless": f"cus_{number}"}, actor="eve")
        sent.turn()
        sent.check()


# --- verbs ------------------------------------------------------------------------------------------------------------


def test_the_verbs_show_what_was_sent_and_send_again_only_with_sure(written, run, tmp_path, books):
    assert "no sinks" in run("sinks")
    (tmp_path / "books").mkdir()
    written(f"books: {{driver: files, from: {MONTH}, folder: books}}\n")
    (one,) = config.load()
    engine.deliver(one, lambda: NOW)
    assert run("sinks").splitlines()[1].split() == ["books", "files", "up", "to", "date", "0", "0", "0", "0"]
    before = SinkLetter.objects.get(month=MONTHS[1])
    printed = run("sink-replay", "books", "--from", f"{MONTHS[1]:%Y-%m}")
    assert "1 item would be sent to books again" in printed
    assert before.key in printed
    assert not SinkLetter.objects.filter(state=SinkLetter.DUE).exists()
    with pytest.raises(UsageError, match="reason: found 0 characters"):
        run("sink-replay", "books", "--from", MONTH, "--sure")
    assert "2 items will be sent to books again" in run(
        "sink-replay", "books", "--from", MONTH, "--sure", "--reason", "lost"
    )
    assert Change.objects.get(verb="sink.replayed").after["letters"] == 2
    found = json.loads(run("sinks", "books", "--json"))[0]
    assert (found["due"], [letter["state"] for letter in found["letters"]]) == (2, ["due", "due"])
    engine.deliver(one, lambda: NOW)
    assert json.loads(run("sinks", "--json"))[0]["due"] == 0
    for words in (["sink-retry", "books"], ["sink-skip", "books", "nothing"], ["sink-reconcile", "books"]):
        with pytest.raises(UsageError, match=r"no refused items|has no items with these keys|is not paused"):
            run(*words, "--reason", "x")
    with pytest.raises(UsageError, match="found no sink 'shop', wanted books"):
        run("sinks", "shop")


def test_another_month_in_the_folder_stops_the_sink_and_is_not_touched(tmp_path, books):
    folder = programs.Folder(tmp_path)
    there = folder.books / MONTH
    there.mkdir()
    (there / "charges.json").write_text("{}")
    sent = Sent(folder)
    sent.turn()
    assert "found another month than the one that was closed" in sent.row.trouble
    assert [path.name for path in folder.books.iterdir()] == [MONTH]
    assert (there / "charges.json").read_text() == "{}"


# --- processes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Refused("400 Bad Request"), KeyError("note"), TypeError("found a list")])
def test_a_program_that_cannot_say_what_it_has_keeps_no_other_from_getting_theirs(tmp_path, books, error):
    """The process was killed while it sent, so the program is asked first; its answer is nonsense."""

    class Confused(programs.KeylessSink):
        def find(self, items):
            raise error

    (tmp_path / "folder").mkdir()
    with programs.KeylessProgram(tmp_path).running() as one, programs.Folder(tmp_path / "folder").running() as other:
        asked, good = Sent(one).configured, other.configured(MONTH)
        asked = replace(asked, driver=Confused)
        feed = feeds.of(Confused, engine.row_of(asked), asked.options, config.site_of())
        Sink.objects.update(attempt=[item.key for item in feed.after("", 10, NOW)[0]])
        engine.turn([asked, good], lambda: NOW, lambda: False)
        row = Sink.objects.get(name=asked.name)
        assert row.trouble
        assert row.next_at > NOW
        assert other.effects


def test_one_process_sends_at_a_time(written, tmp_path, books):
    (tmp_path / "books").mkdir()
    written(f"books: {{driver: files, from: {MONTH}, folder: books}}\n")
    handle = os.open(settings.ENVIRONMENT.data / sending.LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    assert not sending.turn(lambda: False, print)
    assert not Sink.objects.exists()
    os.close(handle)
    assert not sending.turn(lambda: False, print)
    assert SinkLetter.objects.count() == 2


_PROGRAM = """
import os, signal, sys
from datetime import datetime, timedelta
import django
django.setup()
from fabgate.collector.money.billing.sinks import config, engine
(one,) = config.load()
class Dying(one.driver):
    def send(self, items):
        super().send(items)
        os.kill(os.getpid(), signal.SIGKILL)  # the answer has arrived; nothing is stored
now = datetime.fromisoformat(sys.argv[1])
engine.deliver(config.Configured(one.name, one.driver_name, Dying, one.options), lambda: now)
"""


@pytest.mark.kills
@pytest.mark.sqlite
def test_a_process_that_is_really_killed_after_sending_has_one_effect(written, tmp_path, books):
    with programs.WebhookReceiver(tmp_path).running() as program:
        program.configured(MONTH)
        written(f"hook: {{driver: webhook, from: {MONTH}, url: '{program.url}', secret_file: secret}}\n")
        (tmp_path / "secret.key").write_text("only for tests")  # the log is sealed
        database = settings.DATABASES["default"]["NAME"]
        env = {
            **os.environ,
            "FABGATE_SITE": "lyon",
            "FABGATE_DATA": str(Path(database).parent),
            "FABGATE_SINKS": str(config.path()),
            "DJANGO_SETTINGS_MODULE": "fabgate.collector.settings",
        }
        command = [sys.executable, "-c", _PROGRAM, NOW.isoformat()]
        for expected in (1, 1):
            done = subprocess.run(command, env=env, timeout=HANGS_S, check=False, capture_output=True)
            assert done.returncode == -signal.SIGKILL, done.stderr
            assert len(program.effects) == expected
        sent = Sent(program)
        sent.turn()
        sent.check()


def test_the_thread_looks_again_when_something_has_happened_or_time_has_passed(written, tmp_path, books):
    (tmp_path / "books").mkdir()
    written(f"books: {{driver: files, from: {MONTH}, folder: books}}\n")
    Sink.objects.create(name="books")  # the log of a new one would wake the thread
    thread = sending.Sending(threading.Event())
    assert not thread.look(0)
    assert SinkLetter.objects.count() == 2
    SinkLetter.objects.update(state=SinkLetter.DUE)  # without a pulse
    assert not thread.look(1)
    assert SinkLetter.objects.filter(state=SinkLetter.DUE).count() == 2
    assert not thread.look(1 + sending.TURN_EVERY_S)
    assert not SinkLetter.objects.filter(state=SinkLetter.DUE).exists()
    SinkLetter.objects.update(state=SinkLetter.DEAD)
    decisions.retry(Sink.objects.get(), actor="eve", reason="a test")
    assert not thread.look(2 + sending.TURN_EVERY_S)
    assert not SinkLetter.objects.exclude(state=SinkLetter.SENT).exists()


def test_charges_say_whether_they_were_paid_before(books):
    PrepaidChange.objects.create(payer="m-1", since=FIRST, prepays=True)
    row, site = Sink(name="x"), config.site_of()
    feed = feeds.of(programs.KeylessSink, row, programs.KeylessSink.Options(since=MONTH, url="http://localhost"), site)
    items, _place = feed.after("", 20, NOW)
    assert {(item.payer, item.settlement) for item in items} == {("m-1", "prepaid"), ("m-2", "receivable")}


@pytest.mark.parametrize(
    ("currency", "digits", "minor", "wanted"),
    [
        ("EUR", 2, 1_250, 1_250),
        ("JPY", 0, 1_250, 1_250),
        ("ISK", 0, 5, 500),
        ("MGA", 2, 500, 5),
        ("TND", 3, 1_250, 1_250),
    ],
)
def test_stripe_gets_amounts_as_it_counts_them(tmp_path, currency, digits, minor, wanted):
    sink = StripeSink(
        StripeSink.Options(since=MONTH, key_file=tmp_path), Site("x", "x", ZoneInfo("UTC"), currency, digits)
    )
    assert sink._amount(a_charge(minor)) == wanted


@pytest.mark.parametrize(("currency", "digits", "minor"), [("MGA", 2, 501), ("TND", 3, 1_255)])
def test_stripe_cannot_have_every_amount(tmp_path, currency, digits, minor):
    sink = StripeSink(
        StripeSink.Options(since=MONTH, key_file=tmp_path), Site("x", "x", ZoneInfo("UTC"), currency, digits)
    )
    with pytest.raises(Refused, match="which Stripe cannot store"):
        sink._amount(a_charge(minor))


def a_charge(minor: int) -> Charge:
    return Charge(
        key="k",
        place="p",
        month=FIRST,
        of_month=FIRST,
        payer="m-1",
        amount_minor=minor,
        kind="billed",
        vat_code="",
    )


def test_charges_paid_from_credit_are_not_invoiced_and_need_no_reference(tmp_path, books):
    PrepaidChange.objects.create(payer="m-1", since=FIRST, prepays=True)
    with programs.StripeRecorder(tmp_path).running() as program:
        sent = Sent(program)
        sent.turn()
        paid = sum(letter.amount for letter in sent.row.letters.filter(state=SinkLetter.SKIPPED))
        assert {letter.payer for letter in sent.row.letters.filter(state=SinkLetter.SKIPPED)} == {"m-1"}
        assert sum(amount for _key, amount in program.effects) + paid == sum(sent.wanted().values())
        assert not decisions.left(sent.row, *SinkLetter.STATES).exists()
        assert status.of(sent.configured).unsent == 0
