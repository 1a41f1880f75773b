"""What a line of the log looks like."""

from __future__ import annotations

import io
import json
import logging
import sys
from datetime import datetime, timedelta

import pytest
from django.test import Client

from fabgate.collector.ground.base import logs
from fabgate.collector.ground.models import OneTimeLink
from fabgate.collector.members.accounts import links


@pytest.fixture
def begin(monkeypatch):
    """Set logging up as in a process of its own; returns what gives the lines that it wrote so far."""
    loggers = [logging.getLogger(name) for name in (None, "uvicorn", "django.request", "django.security.csrf")]
    levels = [logger.level for logger in loggers]

    def begin(form: str, process: str):
        out = io.StringIO()
        monkeypatch.setattr(loggers[0], "handlers", [])  # pytest puts its own there as the test begins
        monkeypatch.setattr(sys, "stderr", out)
        monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
        logs.set_up(form, process)
        return lambda: out.getvalue().splitlines()

    yield begin
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def test_a_line_begins_with_the_process_because_run_mixes_them(begin):
    lines = begin("text", "ingest")
    logging.getLogger("fabgate.collector.recording.intake.store").warning("%d messages", 3)
    assert lines() == ["ingest: WARNING fabgate.collector.recording.intake.store: 3 messages"]


def test_a_verb_that_ends_at_once_needs_no_name(begin):
    lines = begin("text", "")
    logging.getLogger("fabgate.collector.members.people.blocks").info("m-1 blocked")
    assert lines() == ["INFO fabgate.collector.members.people.blocks: m-1 blocked"]


def test_a_refused_form_is_logged_once_and_without_its_path(begin):
    lines = begin("text", "web")
    logging.getLogger("django.security.csrf").warning("Forbidden (CSRF cookie not set.): /welcome/secret")
    assert lines() == []


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_error_behind_a_one_time_link_does_not_log_the_link(begin, form, database, monkeypatch):
    def broken(_token):
        raise OSError(28, "No space left on device")

    lines = begin(form, "web")
    token = links.make(OneTimeLink.FIRST, None, "start")
    monkeypatch.setattr(OneTimeLink, "open", broken)
    client = Client(raise_request_exception=False, headers={"host": "localhost"})
    assert client.get(f"/welcome/{token}").status_code == 507
    said = "\n".join(lines())
    assert "welcome" in said
    assert "No space left on device" in said
    assert token not in said


def test_a_requested_address_cannot_forge_a_log_line(begin):
    lines = begin("text", "web")
    logging.getLogger("fabgate.collector.faces.pages.access_control").info(
        "%s: refused", "/x\nweb: INFO y: ada signed in\x1b[2J\x85"
    )
    assert lines() == [
        r"web: INFO fabgate.collector.faces.pages.access_control: /x\x0aweb: INFO y: ada signed in\x1b[2J\x85: refused"
    ]


def test_as_json_a_decision_is_one_line_with_all_that_it_was_given(begin):
    lines = begin("json", "web")
    logging.getLogger("fabgate.collector.faces.pages.access_control").info(
        "é %s", "no", extra={"account": "ada", "tries": 2}
    )
    (line,) = lines()
    found = json.loads(line)
    assert datetime.fromisoformat(found.pop("at")).utcoffset() == timedelta(0)
    assert found == {
        "level": "info",
        "process": "web",
        "where": "fabgate.collector.faces.pages.access_control",
        "message": "é no",
        "account": "ada",
        "tries": 2,
    }


def test_as_json_a_traceback_does_not_break_the_line_even_the_one_that_ends_the_process(begin):
    lines = begin("json", "web")
    try:
        raise ValueError("two\nlines")  # noqa: TRY301 (a traceback is what is tried)
    except ValueError as error:
        logging.getLogger("x").exception("broken")
        sys.excepthook(type(error), error, error.__traceback__)
    first, last = map(json.loads, lines())
    assert (first["message"], last["level"]) == ("broken", "critical")
    assert first["error"].endswith("ValueError: two\nlines")
    assert last["error"] == first["error"]


def test_existing_logging_is_left_unchanged(monkeypatch):
    mine = [logging.NullHandler()]
    monkeypatch.setattr(logging.getLogger(), "handlers", mine)
    logs.set_up("json", "web")
    assert logging.getLogger().handlers is mine
    assert len(mine) == 1
