"""What an admin does on a computer with our packages: install, set up, tap, look, update, go back."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.install import builds
from tests.install.roots import Done, Root
from tests.support.patience import wait

GATE: Final = "fabgate-gate"
COLLECTOR: Final = "fabgate-collector"
BOTH: Final = (GATE, COLLECTOR)
SERVICES: Final = {
    GATE: ("fabgate-gate.service",),
    COLLECTOR: tuple(f"fabgate-collector@{name}.service" for name in ("ingest", "web", "worker")),
}
SETTINGS: Final = {GATE: "/etc/fabgate/gate.yaml", COLLECTOR: "/etc/fabgate/collector.env"}
DATA: Final = {GATE: "/var/lib/fabgate", COLLECTOR: "/var/lib/fabgate-collector"}
ACCOUNTS: Final = {GATE: "fabgate", COLLECTOR: "fabgate-collector"}
BADGE: Final = "04:A1:B2:C3:D4:E5:F6"
#: A row of the collector that must live through everything.
ROW: Final = "laser-1"
CONFIG_TXT: Final = "/boot/firmware/config.txt"
PAGE: Final = "http://127.0.0.1:8000/healthz"
AS_POSTGRES: Final = "cd / && runuser -u postgres --"  # it may not read /root
#: A purge forgets what was enabled, so a person enables it again.
ENABLE: Final = "systemctl enable --now fabgate-gate.service fabgate-collector.target fabgate-collector-backup.timer"
#: What the doctor finds in any root of nspawn: it has no network for its clock, and its disk is an overlay.
OF_ANY_ROOT: Final = {"clock", "disk-kind"}
SOURCE: Final = "/etc/apt/sources.list.d/fabgate.sources"
#: A gate with an emulated reader, without the lines that say from where it has its roster.
GATE_YAML: Final = """\
site: lyon
gate: laser-2
state_dir: /var/lib/fabgate
demo: true
machine: {name: Laser 2, limit_s: 7200}
reader: {driver: simulated, control_socket: /run/fabgate/reader.sock}
output: {driver: memory}
"""
_ALONE: Final = "roster: {file: /etc/fabgate/members.yaml}\n"
_MEMBERS: Final = f'members:\n  - {{id: m-1, name: Ada, badges: ["{BADGE}"]}}\n'
_ENV: Final = "FABGATE_SITE=lyon\nFABGATE_TZ=Europe/Paris\n"


# --- apt --------------------------------------------------------------------------------------------------------------


def use(root: Root, version: str, suite: str) -> Done:
    """Name the repository of one version to apt, and read its list. The lists of Debian stay as they are."""
    keys = f"/srv/apt/{version}/release-keys.asc"
    lines = f"Types: deb\nURIs: file:/srv/apt/{version}\nSuites: {suite}\nComponents: main\nSigned-By: {keys}\n"
    root.write(SOURCE, lines)
    only = f"-o Dir::Etc::sourcelist={SOURCE} -o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=0"
    return root.run(f"apt-get update -q {only}", check=False)


def offered(root: Root, package: str) -> str:
    """Return the version that the repository in use has."""
    listed = root.says(f"apt-cache madison {package} | grep /srv/apt/")
    return listed.split("|")[1].strip()


def install_command(root: Root, *packages: str) -> str:
    """Return the command that installs, updates or goes back to what the repository in use has."""
    wanted = " ".join(f"{package}={offered(root, package)}" for package in packages)
    return f"apt-get install -y -q --allow-downgrades {wanted}"


def install(root: Root, *packages: str) -> Done:
    return root.run(install_command(root, *packages))


def version(root: Root, package: str) -> str:
    """Return the version of an installed package, "" if it is not installed, and its state if that is half."""
    said = root.says(f"dpkg-query --show --showformat '${{db:Status-Abbrev}} ${{Version}}' {package}").split()
    if not said or said[0] not in {"ii", "rc", "un"}:
        return "" if not said or "no" in said else " ".join(said)
    return said[1] if said[0] == "ii" else ""


def changed_files(root: Root, *packages: str) -> str:
    """Return what dpkg finds of a package that is not as it was packed."""
    return root.says(f"dpkg --verify {' '.join(packages)}; dpkg --audit")


# --- setting up -------------------------------------------------------------------------------------------------------


def set_up(root: Root, *packages: str) -> None:
    """Write the settings of an installed package, and start it, as its README.Debian says."""
    if COLLECTOR in packages:
        start_collector(root)
        add_row(root)
        copy_nightly(root)
    if GATE in packages:
        root.write("/etc/fabgate/gate.yaml", GATE_YAML + _ALONE, mode=0o640, owner="root:fabgate")
        root.write("/etc/fabgate/members.yaml", _MEMBERS, mode=0o640, owner="root:fabgate")
        root.run("runuser -u fabgate -- fabgate check /etc/fabgate/gate.yaml")
        root.run("systemctl enable --now fabgate-gate")
        idle(root)


def set_up_on_postgresql(root: Root) -> None:
    """Install PostgreSQL in a root with the package of the collector, and set up the collector on it, as docs/install-by-hand.md says."""
    root.run("apt-get update -q && apt-get install -y -q --download-only postgresql", online=True)
    root.run("apt-get install -y -q postgresql")
    root.run(f"{AS_POSTGRES} psql -q -c \"CREATE ROLE fabgate LOGIN PASSWORD 'secret'\"")
    root.run(f"{AS_POSTGRES} createdb --owner=fabgate --encoding=UTF8 --template=template0 fabgate")
    url = "/etc/fabgate/database.url"
    root.write(url, "postgresql://fabgate:secret@127.0.0.1/fabgate\n", mode=0o640, owner="root:fabgate-collector")
    start_collector(root, f"FABGATE_DATABASE_URL_FILE={url}\n")
    add_row(root)


def start_collector(root: Root, more: str = "") -> None:
    """Write the settings of a new collector, with `more` lines, and start it until it has a page, without the nightly copy."""
    root.write("/etc/fabgate/collector.env", _ENV + more, mode=0o640, owner="root:fabgate-collector")
    root.run("install -d -m 700 -o fabgate-collector -g fabgate-collector /var/lib/fabgate-collector")
    root.run("fabgate-collector migrate")
    root.run("systemctl enable --now fabgate-collector.target")
    wait(lambda: page(root), "a page of the collector")


def add_row(root: Root) -> None:
    root.run(f"fabgate-collector gate-add {ROW} --machine {ROW} --title 'Laser 1' --preset laser --emulated")


def let_ada_use(root: Root, machine: str) -> None:
    """Import one member, who may use one machine, with the badge of `tap`."""
    file = "/var/lib/fabgate-collector/members.csv"
    rows = f"id,name,badges,machines\nm-1,Ada,{BADGE},{machine}\n"
    root.write(file, rows, owner="fabgate-collector:fabgate-collector")
    root.run(f"fabgate-collector import-members {file} --new 1")


def copy_nightly(root: Root) -> None:
    """Let the collector be copied each night, and now."""
    root.run(
        "systemctl enable --now fabgate-collector-backup.timer && systemctl start fabgate-collector-backup.service"
    )


def state_of(root: Root, unit: str) -> tuple[str, str]:
    """Return whether a unit is enabled, and whether it is active."""
    return root.says(f"systemctl is-enabled {unit}"), root.says(f"systemctl is-active {unit}")


def running(root: Root, package: str) -> bool:
    return all(root.says(f"systemctl is-active {unit}") == "active" for unit in SERVICES[package])


def processes(root: Root) -> str:
    """Return the processes of our accounts, "" if there are none."""
    return root.says("ps -o pid,args -u fabgate,fabgate-collector --no-headers 2>/dev/null")


# --- the gate ---------------------------------------------------------------------------------------------------------


def status(root: Root) -> dict[str, Any]:
    """Return the status of the gate, {} while it does not run."""
    said = root.run("runuser -u fabgate -- fabgate status --json", check=False).text
    try:
        found: dict[str, Any] = json.loads(said)
    except ValueError:
        return {}
    return found if found.get("alive") else {}


def idle(root: Root) -> dict[str, Any]:
    """Wait until the gate waits for a badge, and return its status. In its first moment it has no roster, and refuses all."""

    def ready() -> dict[str, Any]:
        found = status(root)
        return found if found.get("state") == "idle" and (found.get("roster") or {}).get("version") else {}

    return wait(ready, "a gate that waits for a badge")


def tap(root: Root) -> None:
    """Tap a badge, and wait until the gate has changed its state."""
    before = wait(lambda: status(root).get("state"), "a gate that runs")
    root.run(f"fabgate tap {SETTINGS[GATE]} {BADGE}")
    wait(lambda: status(root).get("state", before) != before, "an answer to the tap")


def journal(root: Root) -> list[dict[str, Any]]:
    lines = root.run("runuser -u fabgate -- fabgate journal --json").text.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def newest(root: Root, fact: str) -> dict[str, Any]:
    """Return what the newest entry of a kind says, such as "session.ended". Raises IndexError without such an entry."""
    found: dict[str, Any] = [entry for entry in journal(root) if entry["type"] == f"fabgate.{fact}.v1"][-1]["data"]
    return found


def chain_is_whole(root: Root) -> bool:
    return root.run("runuser -u fabgate -- fabgate audit verify", check=False).code == 0


# --- the collector ----------------------------------------------------------------------------------------------------


def page(root: Root) -> dict[str, Any]:
    """Return what the page for monitors says, {} while none answers."""
    read = f"import urllib.request as u; print(u.urlopen('{PAGE}', timeout=20).read().decode())"
    done = root.run(f'python3 -c "{read}"', check=False)
    return json.loads(done.text) if done.code == 0 else {}


def has_row(root: Root) -> bool:
    """Is the gate there that `set_up` has added?"""
    return ROW in root.says("fabgate-collector gates")


def has_tables_of(root: Root, version: str) -> bool:
    """Does the doctor find all migrations of a version, and no more?"""
    lines = root.says("fabgate-collector doctor").splitlines()
    return any(" migrations " in line and f"all {builds.STEPS[version]} are applied" in line for line in lines)


def complaints(root: Root, program: str) -> set[str]:
    """Return the names of what a doctor calls a failure, without what is so in any root."""
    lines = root.says(f"{program} doctor").splitlines()
    assert any(line.startswith("ok ") for line in lines), "\n".join(lines)
    return {line.split()[1] for line in lines if line.startswith("FAIL")} - OF_ANY_ROOT
