"""The verbs of both programs: what they pass on, and what they say where they are not of a package."""

from __future__ import annotations

import pytest

from fabgate import cli
from fabgate.by_hand import use_package
from fabgate.by_hand.part import COLLECTOR, GATE
from fabgate.collector.processes import start

GATE_VERB, COLLECTOR_VERB = ["use-package"], ["collector", "use-package"]


@pytest.mark.parametrize(("words", "part"), [(GATE_VERB, GATE), (COLLECTOR_VERB, COLLECTOR)], ids=["gate", "collector"])
def test_a_program_by_hand_names_the_one_of_the_package(words, part, capsys, monkeypatch):
    monkeypatch.setattr(start, "prepare", None)  # neither database nor folder is used
    monkeypatch.setattr("fabgate.installed.package", lambda: "")
    monkeypatch.setattr(use_package, "run", use_package.run.__wrapped__)
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert f"apt install {part.package}, then sudo {part.program} use-package" in error


@pytest.mark.parametrize(
    ("words", "part", "asks", "ends_session"),
    [
        (GATE_VERB, GATE, True, False),
        ([*GATE_VERB, "--yes"], GATE, False, False),
        ([*GATE_VERB, "--end-session"], GATE, True, True),
        ([*COLLECTOR_VERB, "--yes"], COLLECTOR, False, False),
    ],
)
def test_the_options_reach_the_move(words, part, asks, ends_session, monkeypatch):
    calls = []

    def run(_computer, called, *, ask, say, ends_session):
        calls.append((called, ask is use_package.ask_person, ends_session))
        say("said")
        return 0

    monkeypatch.setattr(use_package, "run", run)
    assert cli.main(words) == 0
    assert calls == [(part, asks, ends_session)]
