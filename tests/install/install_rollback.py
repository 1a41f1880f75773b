"""An update changes the tables of the collector: its way back by `fabgate-collector rollback`, and an update that cannot go on."""

from __future__ import annotations

import json
import re

import pytest

from tests.install import builds, computer
from tests.install.computer import COLLECTOR
from tests.install.roots import Root
from tests.support.patience import wait

COPIES = "/var/lib/fabgate-collector-copies"
START = "systemctl start fabgate-collector.target fabgate-collector-backup.timer"
#: A gate that is added after the update, so that going back loses it.
LATER_ROW = "saw-1"


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_an_update_changes_the_tables_and_every_printed_command_leads_back(systems, suite, seen):
    root = systems.installed(COLLECTOR, suite=suite)
    old = computer.version(root, COLLECTOR)
    _update(root, suite)
    root.run(f"fabgate-collector gate-add {LATER_ROW} --machine saw")
    told = root.run("fabgate-collector rollback")
    assert f"cli:fabgate-collector: gate added, {LATER_ROW}" in told
    # The very lines that are printed, in their order; apt-get reads them as apt does, without a question.
    commands = re.findall(r"^  \d\. (.*)$", told.text, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["systemctl", COLLECTOR, "apt", COLLECTOR]
    for command in commands[:2]:
        root.run(command)
    lost = json.loads(root.says("cat lost.json"))
    assert LATER_ROW in json.dumps(lost)
    done = root.run(commands[2].replace("apt install", "apt-get install -y -q"))
    assert "THE COLLECTOR IS OFF" in done
    assert root.says("dpkg --audit") == ""
    assert computer.version(root, COLLECTOR) == old
    root.run(commands[3])
    root.run(START)
    _is_well(root, version=builds.THIS)
    assert LATER_ROW not in root.says("fabgate-collector gates")
    verified = root.run("fabgate-collector verify")
    assert "Nothing was altered." in verified
    # What came after the way back is not lost by going back once more.
    root.run(f"fabgate-collector gate-add {LATER_ROW} --machine saw")
    root.run("systemctl stop fabgate-collector.target && systemctl stop 'fabgate-collector@*'")
    assert "nothing was changed" in root.run("fabgate-collector rollback --yes")
    assert LATER_ROW in root.says("fabgate-collector gates")
    seen(
        f"to {builds.NUMBERS[builds.LATER]} with a table more, back to {old}; verify: {verified.text.splitlines()[-1]}"
    )


def test_a_full_disk_stops_an_update_before_the_tables_change(systems, seen):
    root = systems.installed(COLLECTOR)
    root.run(f"rm -rf {COPIES} && mkdir {COPIES} && mount -t tmpfs -o size=64k none {COPIES}")
    computer.use(root, builds.LATER, "trixie")
    done = root.run("apt-get upgrade -y -q", check=False)
    assert done.code == 100
    assert f"the disk of {COPIES}/before-update is full" in done
    assert "THE COLLECTOR IS OFF" in done
    # The start of the computer, or a person, must not do what the package has just refused.
    root.run(START)
    wait(lambda: "wanted a copy of them before they change" in _log(root), "the reason in the log")
    assert not computer.page(root)
    assert _steps(root) == builds.STEPS[builds.THIS]
    assert root.run("dpkg --configure -a", check=False).code != 0
    root.run(f"mount -o remount,size=64m {COPIES} && dpkg --configure -a")
    _is_well(root, version=builds.LATER)
    seen(next(line for line in done.text.splitlines() if line.startswith("error: "))[:160])


def test_without_the_copies_the_way_back_is_refused_and_nothing_changes(systems, seen):
    root = systems.installed(COLLECTOR)
    _update(root, "trixie")
    root.run(f"rm -r {COPIES}")
    root.run("systemctl stop fabgate-collector.target && systemctl stop 'fabgate-collector@*'")
    for more in ("", " --yes"):
        done = root.run(f"fabgate-collector rollback{more}", check=False)
        assert done.code == 2
        assert f"--copies: found no folder {COPIES}/before-update" in done
        assert "Traceback" not in done
    root.run(START)
    _is_well(root, version=builds.LATER)
    seen(done.text.strip())


def test_going_back_beside_a_collector_that_starts_is_refused_or_whole(systems, seen):
    root = systems.installed(COLLECTOR)
    _update(root, "trixie")
    computer.use(root, builds.THIS, "trixie")
    computer.install(root, COLLECTOR)  # it leaves the collector off
    # systemd starts the collector again and again, each time in vain: the tables are those of the later version.
    root.run(START)
    refused = 0
    while (done := root.run("fabgate-collector rollback --yes", check=False)).code:
        refused += 1
        assert done.code == 2, done.text
        assert "Traceback" not in done
        assert refused < 100, done.text
    _is_well(root, version=builds.THIS)
    # A start that is under way, and a collector that runs, are in its way: it says so, and changes nothing.
    computer.use(root, builds.LATER, "trixie")
    computer.install(root, COLLECTOR)
    wait(lambda: computer.page(root), "a page")
    done = root.run("fabgate-collector rollback --yes", check=False)
    assert done.code == 2
    _is_well(root, version=builds.LATER)
    seen(f"refused {refused} times before it went back; beside a running one: {done.text.strip()[:120]}")


def _update(root: Root, suite: str) -> None:
    """Update to a version that has a table more, and see that it runs."""
    computer.use(root, builds.LATER, suite)
    done = root.run("apt-get upgrade -y -q")
    assert f"{COPIES}/before-update/" in done
    _is_well(root, version=builds.LATER)
    assert computer.complaints(root, COLLECTOR) == set()


def _is_well(root: Root, *, version: str) -> None:
    wait(lambda: computer.page(root), "a page of the collector")
    wait(lambda: computer.running(root, COLLECTOR), "the collector")
    assert computer.has_row(root)
    assert computer.has_tables_of(root, version)
    assert root.says("dpkg --audit") == ""


def _log(root: Root) -> str:
    return root.says("journalctl -u fabgate-collector@web --no-pager -o cat -n 50")


def _steps(root: Root) -> int:
    """Return how many migrations the database has."""
    read = "import sqlite3 as s; c=s.connect('file:/var/lib/fabgate-collector/collector.db?mode=ro',uri=True);"
    read += "print(c.execute('select count(*) from django_migrations where app=?',('collector',)).fetchone()[0])"
    return int(root.says(f'python3 -c "{read}"'))
