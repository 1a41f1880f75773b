"""The help of all verbs, and how errors become lines and exit codes."""

from __future__ import annotations

import fcntl
import json
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path

import pytest

import fabgate
from fabgate import cli, errors
from fabgate.cli import arguments, check
from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.errors import FabgateError
from fabgate.gate.config import gate_yaml as gate_config
from fabgate.gate.roster.source import RosterConfirmed, RosterRefused, RosterStored
from tests.cli.running import (
    CONFIG,
    RunningGate,
    every_verb,
    refused,
    run_fabgate,
)


def test_an_unknown_verb_and_the_version():
    refused(run_fabgate("dance"), 2, "invalid choice: 'dance'")
    assert run_fabgate("--version").stdout == f"fabgate {fabgate.__version__}\n"


@pytest.mark.parametrize("words", [[], ["collector"]], ids=["fabgate", "collector"])
def test_without_a_verb_all_are_listed(words, capsys):
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    listed = re.findall(r"^  ([a-z][a-z-]*)  +\S", shown, re.MULTILINE)
    known = {verb[len(words)] for verb in every_verb(arguments.parser([])) if list(verb[: len(words)]) == words}
    assert sorted(listed) == sorted(known)


@pytest.mark.parametrize("verb", every_verb(arguments.parser([])), ids=" ".join)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([*verb, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert " ".join(verb) in shown
    if verb[0] == "collector":
        return  # its own tests look at those
    examples = re.findall(r"^  fabgate (\S.*?)(?:  .*)?$", shown.partition("\nexample")[2], re.MULTILINE)
    assert examples
    for example in examples:
        module, function = arguments.parser([]).parse_args(shlex.split(example)).verb
        assert function == "_".join(verb).replace("-", "_")
        assert callable(getattr(import_module(f"fabgate.cli.{module}"), function))


def test_exit_codes_are_one_each_and_told_by_the_help_of_the_module():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FabgateError)]
    codes = [kind.exit_code for kind in kinds]
    assert sorted(codes) == sorted(set(codes)) == list(range(1, len(codes) + 1))
    for code in codes:
        assert re.search(rf"\b{code} \w", cli.__doc__)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (errors.SealError("wrong seal"), 5, "error: wrong seal\n"),
        (errors.UsageError("one\ntwo"), 2, "error: one\nerror: two\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: [Errno 13] Permission denied: '/x'\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_a_verb_raises_becomes_lines_and_an_exit_code(monkeypatch, capsys, error, code, told):
    def fail(_):
        raise error

    monkeypatch.setattr(check, "check", fail)
    assert cli.main(["check", "x"]) == code
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", told)


def test_run_loads_the_configuration_and_hands_it_to_the_daemon(monkeypatch, config):
    from fabgate.gate import daemon

    seen = []
    monkeypatch.setattr(daemon, "run", lambda found: seen.append(found.topics.account) or 7)
    assert cli.main(["run", "--config", str(config)]) == 7
    assert seen == ["lyon/laser-1"]


def test_output_whose_reader_went_away_is_no_error_and_leaves_no_noise_at_exit(monkeypatch, tmp_path):
    def fail(_):
        raise BrokenPipeError

    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(check, "check", fail)
        monkeypatch.setattr(sys, "stdout", out)
        assert cli.main(["check", "x"]) == 0
        sys.stdout.write("to nobody")
    assert (tmp_path / "out").read_text() == ""


class Sleeper:
    """A reader with a script of what it sees."""

    def __init__(self, _options):
        self.seen = iter(
            [None, Misread(MisreadReason.TORN), Misread(MisreadReason.TORN), None, Card(b"\x04\xa1\xb2\xc3")]
        )
        self.open = self.close = lambda: None

    def poll(self):
        return next(self.seen)


def test_badge_says_once_why_a_card_was_not_read(monkeypatch, config, capsys):

    monkeypatch.setattr(gate_config, "make_driver", lambda kind, section: Sleeper(section))
    assert cli.main(["badge", "--config", str(config)]) == 0
    shown = capsys.readouterr()
    assert shown.err.count("not read: torn") == 1
    assert "04A1B2C3" in shown.out


def test_the_demo_is_played_or_shown(monkeypatch, tmp_path):
    from fabgate.demo import script
    from fabgate.demo.live import terminal

    monkeypatch.setattr(script, "run", lambda data, *, lang: 5 if data else 6)
    monkeypatch.setattr(terminal, "run", lambda data, *, lang, browser: 7 if data is None and browser else 8)
    assert [cli.main(["demo", *more]) for more in (["--script"], ["--script", "--data", str(tmp_path)], [])] == [
        6,
        5,
        7,
    ]


class Collector:
    """What a fetch from a collector may end in."""

    events: tuple[object, ...] = ()
    confirmed = True
    mended = 0

    def __init__(self, _config, _path, post, **_):
        self.post = post

    def replace_damaged(self):
        type(self).mended += 1

    def fetch(self):
        for event in self.events:
            self.post(event)
        return self.confirmed


@pytest.mark.parametrize(
    ("events", "confirmed", "code", "out", "err"),
    [
        ((RosterStored(5, 2),), True, 0, "ok: version 5 with 2 members is stored\n", ""),
        ((RosterStored(5, 1),), True, 0, "ok: version 5 with 1 member is stored\n", ""),
        ((RosterConfirmed(),), True, 0, "ok: the stored roster is still the newest\n", ""),
        ((RosterRefused("wrong seal"),), False, 1, "", "refused: wrong seal\n"),
    ],
)
def test_roster_fetch_tells_what_became_of_it(monkeypatch, capsys, config, events, confirmed, code, out, err):
    from fabgate.gate.roster import http_source

    folder = config.parent
    for name in ("token", "seal", "badges"):
        (folder / name).write_text("k1:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU=")
    text = config.read_text().replace("{file: members.csv}", "{url: 'https://c', token_file: token}")
    config.write_text(f"{text}gate_key_file: seal\nbadge_key_file: badges\n")
    monkeypatch.setattr(Collector, "events", events)
    monkeypatch.setattr(Collector, "confirmed", confirmed)
    monkeypatch.setattr(Collector, "mended", 0)
    monkeypatch.setattr(http_source, "HttpSource", Collector)
    assert cli.main(["roster", "fetch", "--config", str(config)]) == code
    assert capsys.readouterr() == (out, err)
    assert cli.main(["roster", "fetch", "--json", "--config", str(config)]) == code
    as_json = json.loads(capsys.readouterr().out)
    stored = {"version": 5, "members": events[0].members} if "version 5" in out else None
    assert as_json == {"ok": confirmed, "stored": stored, "refused": ["wrong seal"] if err else []}
    assert Collector.mended == 0
    (folder / "state" / "roster.db").write_bytes(b"damaged")
    assert cli.main(["roster", "fetch", "--config", str(config)]) == code
    assert (Collector.mended, capsys.readouterr()) == (1, (out, err)), "it asks for all of it"
    with (folder / "state" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cli.main(["roster", "fetch", "--config", str(config)]) == 2
    assert "the gate is running and fetches the roster every 60 s" in capsys.readouterr().err


def test_an_entry_whose_clock_was_not_known_says_so(tmp_path, capsys):
    text = CONFIG.replace("assume-synced", "timesyncd")
    gate = RunningGate(tmp_path / "gate", text)
    gate.stop()
    assert cli.main(["journal", "--config", str(gate.config)]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    if not Path("/run/systemd/timesync/synchronized").exists():
        assert "(clock unknown)" in first


def test_without_the_collector_and_the_demo_their_verbs_say_what_to_install(monkeypatch, capsys):
    for name in ("fabgate.collector.cli.verbs", "fabgate.demo", "fabgate.demo.live.terminal", "fabgate.demo.script"):
        monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["collector", "usage", "--from", "x"]) == 2
    assert "the collector is not installed" in capsys.readouterr().err
    assert cli.main(["demo", "--script"]) == 2
    assert "pip install 'fabgate[demo]'" in capsys.readouterr().err
