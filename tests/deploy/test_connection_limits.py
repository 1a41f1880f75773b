"""Checks the limits for each address that config/fabgate.nft sets, in a network namespace of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.deploy.places import CONFIG, DOCS, SYSTEMD, blocks
from tests.support.patience import HANGS_S

RULES = CONFIG / "fabgate.nft"
#: A network without anything else in it, in which we are root.
NAMESPACE = ("unshare", "--user", "--map-root-user", "--net")

#: Opens connections to PORT from one address until one is refused, then one from another address.
SCRIPT = """
import json, socket, subprocess, sys

rules, port, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
for _ in range(2):
    subprocess.run(["nft", "-f", rules], check=True)
listener = socket.create_server(("127.0.0.1", port), backlog=2 * most)
held = []

def connect(address):
    try:
        held.append(socket.create_connection(("127.0.0.1", port), source_address=(address, 0)))
    except ConnectionError:
        return False
    return True

opened = 0
while opened < most and connect("127.0.0.2"):
    opened += 1
refused = not connect("127.0.0.2")
other = connect("127.0.0.3")
held.pop(0).close()
listener.accept()[0].close()
print(json.dumps([opened, refused, other, connect("127.0.0.2")]))
"""


def _can_limit() -> bool:
    if not all(map(shutil.which, ("unshare", "ip", "nft"))):
        return False
    return subprocess.run([*NAMESPACE, "nft", "list", "ruleset"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _can_limit(), reason="nftables or network namespaces are not available here")
@pytest.mark.parametrize(("port", "most"), [(8883, 50), (8884, 50), (443, 400), (80, 400)])
def test_an_address_has_limited_connections_and_keeps_no_other_out(port, most):
    command = [*NAMESPACE, sys.executable, "-c", SCRIPT, str(RULES), str(port), str(most)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANGS_S)
    assert json.loads(found.stdout) == [most, True, True, True]


@pytest.mark.skipif(not _can_limit(), reason="nftables or network namespaces are not available here")
def test_the_collectors_port_is_not_limited():
    command = [*NAMESPACE, sys.executable, "-c", SCRIPT, str(RULES), "8885", "500"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANGS_S)
    assert json.loads(found.stdout) == [500, False, True, True]


#: Starts, reloads and stops the unit's way, beside another table, and prints which tables there are after each.
UNIT = """
import json, shlex, subprocess, sys

rules, start, reload, stop = sys.argv[1:]
subprocess.run(["nft", "add", "table", "inet", "of_another"], check=True)
found = []
for line in (start, start, reload, stop, stop):
    command = shlex.split(line.removeprefix("-").replace("/usr/sbin/", "").replace("/etc/fabgate/fabgate.nft", rules))
    subprocess.run(command, check=not line.startswith("-"), stderr=subprocess.DEVNULL)
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    found.append(sorted(listed.stdout.split("table inet ")))
print(json.dumps([[name.strip() for name in names if name] for names in found]))
"""


@pytest.mark.skipif(not _can_limit(), reason="nftables or network namespaces are not available here")
def test_the_unit_loads_and_deletes_its_table_and_leaves_others_alone():
    unit = (SYSTEMD / "fabgate-firewall.service").read_text()
    lines = [re.search(rf"^{name}=(.*)$", unit, re.MULTILINE)[1] for name in ("ExecStart", "ExecReload", "ExecStop")]
    command = [*NAMESPACE, sys.executable, "-c", UNIT, str(RULES), *lines]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANGS_S)
    loaded, stopped = ["fabgate", "of_another"], ["of_another"]
    assert json.loads(found.stdout) == [loaded, loaded, loaded, stopped, stopped]


def test_the_limits_are_for_the_listeners_of_gates_and_the_proxy():
    listeners = re.findall(r"^#?listener (\d+)$", (CONFIG / "mosquitto.conf").read_text(), re.MULTILINE)
    (proxy,) = blocks(DOCS / "install-by-hand.md", "nginx")
    served = re.findall(r"listen (\d+)", proxy)
    limited = re.findall(r"tcp dport \{ (.*?) \}", RULES.read_text())
    assert [ports.split(", ") for ports in limited] == [listeners, served]
