"""A gate without hardware joins a collector of one's own, with the commands of the README and nothing else."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

from tests.e2e.readme import CARD, FABGATE, run
from tests.support.patience import HANGS_S, wait


def until(home: dict[str, str], arguments: tuple[str, ...], words: str) -> str:
    def printed() -> str | None:
        done = subprocess.run([*FABGATE, *arguments], env=home, capture_output=True, text=True, check=False)
        return done.stdout if words in done.stdout else None

    return wait(printed, f"{words!r} in what `fabgate {' '.join(arguments)}` prints")


def test_what_gate_add_prints_starts_a_gate_and_taps_a_badge(home, started, tmp_path):
    printed = run(home, "collector", "gate-add", "laser-1", "--machine", "laser", "--emulated")
    (tmp_path / "members.csv").write_text(f"id,name,badges,machines\nm-1,Ada Martin,{CARD},laser\n", encoding="utf-8")
    run(home, "collector", "import-members", str(tmp_path / "members.csv"))
    start, tap = re.findall(r"^(?:Start the gate|Tap a badge): +fabgate (.*)$", printed, re.MULTILINE)
    assert "ok: " in run(home, "check", start.split()[-1])
    started.append(subprocess.Popen([*FABGATE, "collector", "run"], env=home, stdin=subprocess.DEVNULL))
    started.append(subprocess.Popen([*FABGATE, *shlex.split(start)], env=home))
    until(home, ("status", "--config", start.split()[-1]), "roster      version")
    run(home, *shlex.split(tap.replace("04:A1:B2:C3", CARD)))
    until(home, ("status", "--config", start.split()[-1]), "active")
    run(home, "tap", "laser-1", CARD)
    period = ("--from", "2026-01-01", "--to", "2100-01-01", "--json")
    found = until(home, ("collector", "sessions", *period), '"reason"')
    assert json.loads(found.splitlines()[0])["member"] == "m-1"


def test_a_broker_with_accounts_is_given_the_account_of_the_gate(home, tmp_path):
    password = tmp_path / "password"
    password.write_text("secret\n", encoding="utf-8")
    accounts = {"FABGATE_MQTT_USERNAME": "lyon/collector", "FABGATE_MQTT_PASSWORD_FILE": str(password)}
    printed = run({**home, **accounts}, "collector", "gate-add", "saw-1", "--machine", "saw", "--emulated")
    config = Path(re.search("^config: (.*)$", printed, re.MULTILINE)[1])
    assert f"account lyon/saw-1 to {config.parent}/mqtt.password." in printed
    text = config.read_text(encoding="utf-8")
    assert 'username: "lyon/saw-1"' in text
    assert "password_file: mqtt.password" in text


def test_a_gate_yaml_that_is_there_is_kept(home):
    add = ("collector", "gate-add", "saw-1", "--machine", "saw", "--emulated", "--json")
    config = Path(json.loads(run(home, *add))["config"])
    config.write_text("# mine\n", encoding="utf-8")
    run(home, *add, "--new-token")
    assert config.read_text(encoding="utf-8") == "# mine\n"


def test_a_folder_whose_path_is_too_long_for_a_socket_is_refused_before_anything_is_made(home, tmp_path):
    data = tmp_path / ("n" * 100)
    arguments = ("collector", "gate-add", "saw-1", "--machine", "saw", "--emulated")
    done = subprocess.run(
        [*FABGATE, *arguments],
        env={**home, "FABGATE_DATA": str(data)},
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert done.returncode == 2
    assert "wanted at most 107; choose a shorter FABGATE_DATA" in done.stderr
    assert not (data / "gates" / "saw-1").exists()
