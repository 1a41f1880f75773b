"""What the threads say, in the rules' words; and that nothing is taken for something else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fabgate.drivers.panels import Notice
from fabgate.drivers.panels.log import LogOptions
from fabgate.errors import UsageError
from fabgate.gate.config.gate_yaml import Driver, Inputs, Mqtt, RosterSource
from fabgate.gate.panel.panel_thread import PanelThread
from fabgate.gate.roster.source import RosterConfirmed, RosterRefused
from fabgate.gate.uplink.events import LinkChanged, MarkMoved, OwnCertificate, RosterNudged
from fabgate.gate.workers import WORKS_AFTER_MS, WorkerFailed, WorkerRestarted
from fabgate.rules import vocabulary
from tests.gate.shell import Bench, gate_config, let_pass, running, wait, write_roster
from tests.gate.wires import Wires


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with running(tmp_path, mqtt=Mqtt(host="127.0.0.1", port=1)) as found:
        yield found


def test_what_nobody_knows_is_an_error(bench: Bench) -> None:
    with pytest.raises(TypeError, match="found the unknown event"):
        bench.daemon._reports.translate("?", bench.time.clock().now())


def test_a_mark_reaches_the_journal(bench: Bench) -> None:
    bench.written()
    bench.post(MarkMoved(2))
    wait(lambda: bench.daemon._journal.mark == 2, "the mark")


def test_the_link_is_shown_and_each_problem_is_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        bench.post(LinkChanged(connected=False, problem="no route to host"))
    bench.wait_for_status(lambda found: found["mqtt"]["problem"] == "no route to host")
    assert caplog.text.count("no route to host") == 1


def test_the_gates_own_certificate_is_a_problem_from_30_days_before_its_end_until_it_is_renewed(bench: Bench) -> None:
    now = bench.time.clock().now().local
    assert now is not None
    bench.post(OwnCertificate(now + timedelta(days=12, hours=1)))
    (said,) = bench.wait_for_status(lambda found: found["problems"])["problems"]
    assert "certificate: the gate's own certificate expires on " in said
    assert ", in 12 days: put a new certificate into the file that mqtt.tls.cert names" in said
    bench.post(OwnCertificate(now + timedelta(days=365)))
    bench.wait_for_status(lambda found: not found["problems"])
    bench.post(OwnCertificate(now - timedelta(days=1)))
    assert "certificate expired on" in bench.wait_for_status(lambda found: found["problems"])["problems"][0]


def test_a_nudge_is_nothing_to_a_gate_with_a_file(bench: Bench) -> None:
    bench.post(RosterNudged())
    assert bench.causes == []


def test_a_refused_roster_is_a_problem_until_one_is_confirmed(bench: Bench) -> None:
    bench.post(RosterRefused("x" * 5_000, 7))
    assert len(bench.wait_for_entries("roster.rejected")[0].reason) == 2_000
    bench.wait_for_status(lambda found: found["problems"])
    bench.post(RosterConfirmed())
    bench.wait_for_status(lambda found: not found["problems"])


def test_an_idle_time_where_nothing_feels_the_machine_is_a_problem_until_one_of_both_changes(tmp_path: Path) -> None:
    told = (
        "idle-off: machine.idle_off_s: found 600 without inputs.running_pin, wanted both; the gate cannot tell that the machine"
        " is idle. Wire run-sense (hardware/wiring.md) and name its pin, give a meter its thresholds (docs/sensing.md), or leave"
        " out idle_off_s"
    )
    members = tmp_path / "roster.json"
    bench = Bench(tmp_path)
    try:
        bench.start()
        bench.wait_for_status(lambda found: not found["problems"])
        write_roster(members, idle_off_s=600)
        bench.wait_for_status(lambda found: found["problems"] == [told])
        bench.stop()
        bench.start()  # by the roster that is stored, before any other comes
        bench.wait_for_status(lambda found: found["pid"] and found["problems"] == [told])
        write_roster(members)
        bench.wait_for_status(lambda found: not found["problems"])
        write_roster(members, idle_off_s=600)
        bench.wait_for_status(lambda found: found["problems"] == [told])
        bench.stop()
        bench.config = gate_config(tmp_path, inputs=Inputs(running_pin=24))
        bench.inputs = Wires("running")
        bench.start()
        bench.wait_for_status(lambda found: not found["problems"])
    finally:
        bench.close()


def test_an_idle_time_of_a_collector_is_a_problem_that_names_the_collectors_verb(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    try:
        write_roster(tmp_path / "roster.json", idle_off_s=600)
        bench.start()
        bench.wait_for_status(lambda found: found["problems"])
        bench.stop()
        token = tmp_path / "token"
        token.write_text("secret")
        bench.config = gate_config(
            tmp_path, roster=RosterSource(url="http://127.0.0.1:1/", token_file=token, fetch_every_s=3_600)
        )
        bench.start()  # its rules stay those that are stored
        told = "or remove the rule at the collector, on the machine's page or with `fabgate-collector machine-set MACHINE idle_off_s=`"
        bench.wait_for_status(
            lambda found: any(text.startswith("idle-off") and told in text for text in found["problems"])
        )
    finally:
        bench.close()


def test_a_holder_without_grace_where_a_supervisors_card_is_needed_is_a_problem_and_the_gate_runs(bench: Bench) -> None:
    members = bench.config.roster.file
    assert members is not None
    write_roster(members, mode="hold", grace_s=0)
    bench.wait_for_status(lambda found: any("grace: machine.grace_s: found 0" in text for text in found["problems"]))
    write_roster(members, mode="hold", grace_s=1)
    bench.wait_for_status(lambda found: not found["problems"])


def test_a_thread_that_runs_again_is_no_problem_any_more(bench: Bench) -> None:
    bench.post(WorkerFailed("uplink", "ValueError: x"))
    bench.wait_for_status(lambda found: found["problems"] == ["thread-uplink: ValueError: x"])
    bench.post(WorkerRestarted("uplink"))
    bench.advance(WORKS_AFTER_MS + 1)
    bench.wait_for_status(lambda found: not found["problems"])


def test_the_cause_of_a_journal_falls_with_the_last_of_its_reasons(bench: Bench) -> None:
    reports = bench.daemon._reports
    assert reports.journal.note_problem("late", "slow") == [vocabulary.CheckpointLate("slow")]
    assert reports.journal.note_problem("sick", "broken") == [
        vocabulary.CauseRaised(vocabulary.Cause.JOURNAL, "broken")
    ]
    assert reports.journal.note_problem("late", None) == []
    assert reports.journal.note_problem("late", None) == []
    assert reports.problems["journal"] == "broken"
    assert reports.journal.note_problem("sick", None) == [vocabulary.CauseCleared(vocabulary.Cause.JOURNAL)]
    assert "journal" not in reports.problems


# --- the panel --------------------------------------------------------------------------------------------------------


def test_the_newest_notice_is_shown_on_the_configured_panel(tmp_path: Path) -> None:
    shown = tmp_path / "panel"
    notices = PanelThread(Driver(driver="log", options=LogOptions(file=str(shown))))
    for word in ("one", "two"):
        notices.show(Notice("green", "short", (word,)))
    notices.stop()
    notices.run()
    assert shown.read_text() == "[green+short] two\n"


def test_a_refusal_passes_and_what_stood_before_is_shown_again_in_silence(tmp_path: Path) -> None:
    shown = tmp_path / "panel"
    notices = PanelThread(Driver(driver="log", options=LogOptions(file=str(shown))))
    thread = threading.Thread(target=notices.run)
    thread.start()
    notices.show(Notice("green", "short", ("Hello Ada",)))
    notices.show(Notice("red", "low low", ("Not allowed",), for_s=3_600))
    wait(lambda: shown.exists() and shown.read_text().endswith("Not allowed\n"), "the refusal")
    let_pass(notices)
    wait(lambda: shown.read_text().endswith("Not allowed\n[green] Hello Ada\n"), "the session's own words")
    notices.show(Notice("off", "short short", ("Session ended",), for_s=3_600), then=Notice("off"))
    wait(lambda: shown.read_text().endswith("Session ended\n"), "the end")
    let_pass(notices)
    wait(lambda: shown.read_text().endswith("Session ended\n[off] \n"), "the dark panel")
    notices.stop()
    thread.join()


def test_without_a_panel_notices_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    notices = PanelThread(None)
    notices.show(Notice("red", "", ("Not allowed",)))
    notices.stop()
    notices.run()
    assert "[red] Not allowed" in caplog.text


def test_a_panel_that_nobody_has_ends_its_thread_with_a_reason() -> None:
    with pytest.raises(UsageError, match="panel driver"):
        PanelThread(Driver(driver="hologram")).run()


def test_a_panel_that_fails_is_started_again_and_the_machine_works_on(tmp_path: Path) -> None:
    panel = Driver(driver="log", options=LogOptions(file=str(tmp_path / "no" / "such" / "folder")))
    with running(tmp_path / "gate", panel=[panel]) as bench:
        bench.use("ada")
        bench.wait_for_status(lambda found: any(line.startswith("panel: ") for line in found["problems"]))
        assert bench.output.on
