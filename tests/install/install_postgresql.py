"""The package of the collector with PostgreSQL in place of SQLite: it has the library for it, and copies by pg_dump."""

from __future__ import annotations

import pytest

from tests.install import builds, computer
from tests.install.computer import COLLECTOR
from tests.support.patience import wait

START = "systemctl start fabgate-collector.target"


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_collector_on_postgresql_is_updated_goes_back_and_starts_with_the_computer(systems, suite, seen):
    root = systems.bare(suite)
    computer.install(root, COLLECTOR)
    computer.set_up_on_postgresql(root)
    assert computer.complaints(root, COLLECTOR) == set()
    assert not root.exists(f"{computer.DATA[COLLECTOR]}/collector.db")
    computer.use(root, builds.LATER, suite)
    done = root.run("apt-get upgrade -y -q")
    assert ".dump: the collector from before this update" in done
    wait(lambda: computer.page(root), "a page of the updated collector")
    assert computer.has_tables_of(root, builds.LATER)
    computer.use(root, builds.THIS, suite)
    assert "THE COLLECTOR IS OFF" in computer.install(root, COLLECTOR)
    root.run(f"fabgate-collector rollback --yes && {START}")
    wait(lambda: computer.page(root), "a page of the collector that went back")
    assert computer.has_tables_of(root, builds.THIS)
    assert computer.has_row(root)
    assert "Nothing was altered." in root.run("fabgate-collector verify")
    root.cut_power()
    root.start()
    wait(lambda: computer.page(root), "a page after the start of the computer")
    assert computer.has_row(root)
    seen(root.says(f"{computer.AS_POSTGRES} psql -At -c 'SHOW server_version'"))


def test_purge_with_the_answer_yes_leaves_the_database_and_says_so(systems):
    root = systems.bare()
    computer.install(root, COLLECTOR)
    computer.set_up_on_postgresql(root)
    root.run(f"echo {COLLECTOR} {COLLECTOR}/delete-data boolean true | debconf-set-selections")
    assert "kept the books in PostgreSQL" in root.run(f"apt-get purge -y -q {COLLECTOR}")
    assert not root.exists("/etc/fabgate/database.url")
    rows = "SELECT count(*) FROM collector_gate"
    assert root.says(f"{computer.AS_POSTGRES} psql -At -d fabgate -c '{rows}'") == "1"
