"""Checks that collector.env names exactly the variables that the collector reads."""

import inspect
import os
import re
import subprocess

import pytest

from fabgate.collector.ground.base import environ
from tests.deploy.places import CONFIG, SYSTEMD
from tools.packages import paths

TEXT = (CONFIG / "collector.env").read_text()
LINES = dict(re.findall(r"^#?(FABGATE_[A-Z_]+)=(.*)$", TEXT, re.MULTILINE))


def test_it_names_every_variable_of_the_collector_and_no_other():
    assert set(LINES) == set(re.findall(r'"(FABGATE_[A-Z_]+)"', inspect.getsource(environ)))


def test_a_comment_explains_each_variable():
    for paragraph in TEXT.split("\n\n")[1:]:
        assert paragraph.startswith("# ")


def test_the_shipped_file_is_valid_without_editing():
    assert environ.read(settings_of(TEXT), need_site=True).site == "lyon"


def test_the_commented_lines_show_the_defaults():
    shown = environ.read({name: value for name, value in LINES.items() if value}, need_site=True)
    assert shown == environ.read({"FABGATE_SITE": "lyon"}, need_site=True)


def test_units_and_manual_verbs_read_the_same_settings(tmp_path):
    # systemd's EnvironmentFile= reads lines; collector-verb lets a shell read them.
    uncommented = re.sub(r"^#(FABGATE_)", r"\1", TEXT, flags=re.MULTILINE)
    (tmp_path / "collector.env").write_text(uncommented)
    line = f"set -a; . {tmp_path}/collector.env; exec env"
    printed = subprocess.run(
        ["sh", "-c", line], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert settings_of(printed.stdout) == settings_of(uncommented)


def test_collector_verb_runs_as_the_collectors_account_and_passes_its_arguments(tmp_path):
    runuser = tmp_path / "runuser"
    runuser.write_text('#!/bin/sh\nprintf "%s\\n" "$FABGATE_SITE" "$PWD" "$@"\n')
    runuser.chmod(0o755)
    (tmp_path / "env").write_text(f"FABGATE_SITE=lyon\nFABGATE_DATA={tmp_path}\n")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "FABGATE_COLLECTOR_ENV": str(tmp_path / "env")}
    helper = SYSTEMD / "collector-verb"
    out = subprocess.run(
        [helper, "lock", "saw", "--reason", "a b"], env=env, capture_output=True, text=True, check=True
    )
    assert out.stdout.splitlines() == [
        *("lyon", str(tmp_path), "-u", "fabgate-collector", "--", "/opt/fabgate/bin/fabgate", "collector"),
        *("lock", "saw", "--reason", "a b"),
    ]


def test_collector_verb_stays_root_for_the_verb_that_changes_files_of_root(tmp_path):
    program = tmp_path / "fabgate"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$FABGATE_SITE" "$@"\n')
    program.chmod(0o755)
    (tmp_path / "env").write_text(f"FABGATE_SITE=lyon\nFABGATE_DATA={tmp_path}/gone\n")
    env = {"PATH": "/usr/bin:/bin", "FABGATE_COLLECTOR_ENV": str(tmp_path / "env"), "FABGATE_BIN": str(tmp_path)}
    command = [SYSTEMD / "collector-verb", "use-package", "--yes"]
    out = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == ["lyon", "collector", "use-package", "--yes"]


def refusal(**variables: str) -> str:
    """Return what collector-verb says where it cannot run a verb."""
    env = {"PATH": "/usr/bin:/bin", **variables}
    done = subprocess.run([SYSTEMD / "collector-verb", "gates"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_collector_verb_says_what_to_do_where_settings_or_data_are_missing(tmp_path):
    settings = tmp_path / "collector.env"
    said = refusal(FABGATE_COLLECTOR_ENV=str(settings))
    assert said.startswith(f"error: found no {settings}, wanted the settings")
    assert said.endswith(f"install -D -m 640 -g fabgate-collector /opt/fabgate-src/config/collector.env {settings}")
    settings.write_text(f"FABGATE_SITE=lyon\nFABGATE_DATA={tmp_path}/gone\n")
    said = refusal(FABGATE_COLLECTOR_ENV=str(settings))
    assert said.endswith(f"install -d -m 700 -o fabgate-collector -g fabgate-collector {tmp_path}/gone")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_collector_verb_wants_root_where_it_may_not_read_the_settings(tmp_path):
    settings = tmp_path / "collector.env"
    settings.touch(mode=0)
    assert refusal(FABGATE_COLLECTOR_ENV=str(settings)).endswith("sudo fabgate-collector gates")


def test_the_example_that_the_package_names_is_in_it(tmp_path):
    text = paths.adapted((SYSTEMD / "collector-verb").read_text(), "fabgate-collector")
    assert " /usr/share/doc/fabgate-collector/examples/collector.env $settings" in text


def settings_of(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(FABGATE_[A-Z_]+)=(.*)$", text, re.MULTILINE))
