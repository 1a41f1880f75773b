"""Is what the collector's figures rest on right? The same processes as in a measurement, with little to do."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from bench.collector import home as homes
from bench.collector.home import cached, check_stored_once, empty, ingest
from bench.collector.pages import open_pages
from bench.intake.backlog import backlog
from bench.intake.floor import waits_ms
from bench.peers.broker import broker
from bench.peers.browser import moments
from bench.process import BenchError
from bench.run import Run


@pytest.fixture
def run(tmp_path):
    return Run("collector", tmp_path, tmp_path)


def test_a_backlog_is_stored_once_and_what_is_not_would_be_found(run):
    home = empty(run)
    with broker(run, settings=()) as port, ingest(home, port):
        outcome = backlog(port, "p1", 2, 120)
    check_stored_once(home, "p1", outcome)
    for name in ("entries", "ended", "energised_ms", "refused"):
        wrong = msgspec.structs.replace(outcome, **{name: getattr(outcome, name) + 1})
        with pytest.raises(BenchError, match="found"):
            check_stored_once(home, "p1", wrong)


def test_the_books_are_what_pages_reports_and_files_show(run, monkeypatch, tmp_path):
    monkeypatch.setattr(homes, "CACHE", tmp_path / "kept")
    home = cached(run, 300)
    ((sessions, on_ms),) = home.rows("SELECT count(*), sum(counted_ms) FROM collector_usagesession")
    ((days, sums_ms),) = home.rows("SELECT sum(sessions), sum(counted_ms) FROM collector_usageday")
    assert home.rows("SELECT sum(sessions), sum(counted_ms) FROM collector_usagemonth") == [(days, sums_ms)]
    ((entries,),) = home.rows("SELECT count(*) FROM collector_entry")
    assert (sessions, days, entries) == (300, 300, 600)
    assert on_ms == sums_ms
    with open_pages(home) as client:
        page = client.get("/use?period=all&machine=1")
        assert page["ms"] > 0
        ((of_machine,),) = home.rows("SELECT count(*) FROM collector_usagesession WHERE machine_id = 1")
        assert page["rows"] == min(of_machine, 50) > 0
        file = client.get("/use/export.csv?period=all")
        assert file["bytes"] > 300 * 100
        with pytest.raises(BenchError, match="404"):
            client.get("/nowhere")


def test_the_books_are_made_once(run, monkeypatch, tmp_path):
    monkeypatch.setattr(homes, "CACHE", tmp_path / "kept")
    one, other = cached(run, 20), cached(run, 20)
    same = "SELECT id FROM collector_usagesession ORDER BY id"
    assert one.rows(same) == other.rows(same)
    assert one.data != other.data
    assert replace(one, data=other.data) == other


def test_an_event_is_on_a_page_with_the_first_pulse_that_is_as_new():
    pages = [[(10.0, 4), (10.2, 7)], [(10.1, 6), (10.4, 9)]]
    assert waits_ms([(9.9, 5)], pages) == pytest.approx([300, 200])
    with pytest.raises(BenchError, match="never received"):
        waits_ms([(9.9, 8)], pages)


def test_a_browser_has_drawn_once_every_region_that_shows_it_was_in_an_answer_asked_for_afterwards():
    heard = [[1000, 4, ["machines"]], [1200, 5, ["machines", "here"]], [1350, 6, ["here"]], [1380, 7, []]]
    asked = [
        [900, 1500, ["machines"]],
        [1100, 1180, ["machines", "here"]],
        [1300, 1450, ["machines"]],
        [1300, 1470, ["here"]],
        [1400, 0, ["here"]],
    ]
    assert moments(heard, asked) == [(1.18, 4), (1.47, 5), (1.38, 7)]
