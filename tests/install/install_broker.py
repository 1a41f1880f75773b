"""The broker as `setup` makes it, on the Mosquitto of both Debians: what a gate may not do, who is kept out, and 200 gates."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import paho.mqtt.client as paho
import pytest

from fabgate import wire
from fabgate.mqtt.client import BROKER_PACKET_BYTES
from tests.install import builds, computer, newcomer, peers
from tests.install.computer import COLLECTOR, GATE
from tests.install.peers import SITE
from tests.install.roots import Root
from tests.support.certificates import make_certificates, sign
from tests.support.patience import wait

BOTH_SUITES = pytest.mark.parametrize("suite", ["bookworm", "trixie"])
#: The gate that tries, and the one that it tries to be.
MINE, OTHER = wire.GateTopics(SITE, "laser-1"), wire.GateTopics(SITE, "saw-1")
BROKER_PEM: Final = "/etc/fabgate/tls/broker.pem"
#: Gates that deliver while others come and go.
DELIVERING, COMING = 50, 200
_STATUS: Final = OTHER.topic("status")
#: Where it may publish nothing: as the other gate, as the collector, at other sites, beside its own topics, to the broker.
TOPICS: Final = (
    *(OTHER.topic(leaf) for leaf in ("status", "state", "reply", "ack", "command", "roster")),
    *(
        OTHER.event(kind)
        for kind in ("session.started", "session.progress", "session.ended", "gate.started", "journal.forked")
    ),
    *(MINE.topic(leaf) for leaf in ("ack", "command", "roster")),
    f"{MINE.base}/event",
    f"{MINE.base}/event/session",
    f"{MINE.base}/event/session/ended/again",
    f"{MINE.base}/event/session/invented",
    f"{MINE.base}/status/again",
    f"{MINE.base}/../{OTHER.gate}/status",
    MINE.base,
    OTHER.base,
    f"{OTHER.base}/",
    f"{_STATUS}/",
    f"/{_STATUS}",
    _STATUS.replace(f"/{OTHER.gate}", f"//{OTHER.gate}"),
    _STATUS.replace("fabgate/v1", "fabgate/v2"),
    _STATUS.replace("fabgate/v1", "fabgate"),
    _STATUS.replace(SITE, "paris"),
    _STATUS.replace(SITE, SITE.upper()),
    _STATUS.upper(),
    f"{_STATUS} ",
    f"{_STATUS}\u200b",
    wire.collector_status_topic(SITE),
    wire.collector_status_topic("paris"),
    f"{wire.ROOT}/{SITE}/roster",
    f"{wire.ROOT}/{SITE}",
    "fabgate",
    "$CONTROL/dynamic-security/v1",
    "$CONTROL/dynamic-security/v1/response",
)
#: What it may not read.
FILTERS: Final = (
    *(OTHER.topic(leaf) for leaf in ("status", "state", "reply", "ack", "command", "roster")),
    *(OTHER.event(kind) for kind in ("session.started", "session.ended")),
    *(MINE.topic(leaf) for leaf in ("status", "state", "reply")),
    MINE.event("session.ended"),
    f"{MINE.base}/#",
    f"{MINE.base}/+",
    f"{MINE.base}/event/#",
    f"{OTHER.base}/#",
    f"{OTHER.base}/+",
    f"{OTHER.base}/event/#",
    f"{OTHER.base}/event/session/+",
    OTHER.base,
    f"{wire.ROOT}/{SITE}/#",
    f"{wire.ROOT}/{SITE}/+/command",
    f"{wire.ROOT}/{SITE}/+/ack",
    f"{wire.ROOT}/+/{MINE.gate}/command",
    f"+/v1/{SITE}/{MINE.gate}/command",
    f"{wire.ROOT}/#",
    f"{wire.ROOT}/+/+/status",
    f"{wire.ROOT}/+/collector/status",
    "fabgate/#",
    "#",
    "+/#",
    "/#",
    "+",
    "+/+/+/+/+",
    f"$share/group/{OTHER.topic('command')}",
    f"$share/group/{OTHER.base}/#",
    "$share/group/#",
    "$SYS/#",
    "$SYS/broker/clients/connected",
    "$CONTROL/#",
    "$CONTROL/dynamic-security/v1/response",
    wire.collector_status_topic("paris"),
)


@BOTH_SUITES
def test_a_gate_can_neither_speak_nor_listen_as_another_one(systems, suite, seen):
    root = _collector(systems, suite)
    assert len(set(TOPICS)) >= 40, len(set(TOPICS))
    assert len(set(FILTERS)) >= 40, len(set(FILTERS))
    gates = {names.gate: _password(root, names.gate) for names in (MINE, OTHER)}
    own = _read(root, "/var/lib/fabgate-collector/mqtt.password").strip()
    for version in (paho.MQTTv311, paho.MQTTv5):
        tried = peers.ask(
            root, "rights", version=version, gates=gates, collector=own, topics=list(TOPICS), filters=list(FILTERS)
        )
        assert [filter_ for filter_, answer in tried["subscribed"].items() if answer.startswith("Granted")] == []
        assert (tried["forged"], tried["lost"]) == ([], [])
        if version == paho.MQTTv5:  # 3.1.1 has no word for a refused publication
            assert [topic for topic, answer in tried["published"].items() if answer == "Success"] == []
            assert tried["limits"] == {"MaximumQoS": 1, "MaximumPacketSize": BROKER_PACKET_BYTES}
    seen(f"{len(TOPICS)} topics and {len(FILTERS)} filters, {root.says('mosquitto -h | head -1')}")


@BOTH_SUITES
def test_the_broker_refuses_strangers_and_connections_without_modern_tls(systems, suite, seen):
    root = _collector(systems, suite)
    mine, other = _password(root, MINE.gate), _password(root, OTHER.gate)
    strangers = [
        (f"{SITE}/unknown", mine),
        (MINE.gate, mine),
        (f"paris/{MINE.gate}", mine),
        (MINE.account, ""),
        (MINE.account, "wrong"),
        (MINE.account, other),
        (MINE.account, mine.swapcase()),
        (MINE.account.upper(), mine),
        (f"{SITE}/collector", mine),
        ("control", mine),
        ("", ""),
    ]
    answers = peers.ask(root, "refusals", accounts=strangers, ports=[peers.GATES, peers.COLLECTOR])
    assert [what for what, answer in answers.items() if answer == "Success"] == []
    assert _may_connect(root, MINE.gate, mine)
    seen(f"{len(answers)} kinds of connection refused")


@BOTH_SUITES
def test_a_gate_refuses_a_broker_with_a_foreign_or_expired_certificate(systems, suite, seen, tmp_path):
    root = systems.bare(suite)
    computer.install(root, COLLECTOR, *((GATE,) if suite == "trixie" else ()))
    root.run(newcomer.SETUP, check=False)
    gate, host = root, f"{root.says('hostname').lower()}.local"
    if suite == "bookworm":  # the package of the gate needs Debian 13
        gate = systems.bare("trixie")
        computer.install(gate, GATE)
        address = root.connect(gate)
        gate.run(f"echo '{address} {host}' >>/etc/hosts")
        gate.type(f"fabgate join {host}", "Code: ", newcomer.code_of(root, MINE.gate))
    else:
        newcomer.join_here(root, MINE.gate)
    computer.let_ada_use(root, MINE.gate)
    wait(lambda: "newest" in root.says("fabgate-collector gates"), "a roster of the gate")
    right = _read(root, BROKER_PEM)
    refused = {}
    for kind, why in (("foreign", "unable to get local issuer certificate"), ("expired", "has expired")):
        since = gate.says("date +%s")
        _serve(root, _certificate(root, tmp_path / kind, host, expired=kind == "expired"))
        refused[kind] = wait(
            lambda why=why, since=since: gate.says(
                f"journalctl --no-pager -o cat -u fabgate-gate --since @{since} | grep '{why}'"
            ),
            f"a gate that refuses the {kind} certificate",
        ).splitlines()[0]
        assert _sessions(root) == 0
        if kind == "foreign":
            computer.idle(gate)
            computer.tap(gate)
            computer.tap(gate)
    _serve(root, right)
    wait(lambda: _sessions(root) == 1, "the session in the books")
    seen("; ".join(refused.values()))


def test_200_gates_come_and_go_while_50_deliver_and_nobody_reconnects(systems, seen, request):
    root = systems.bare()
    computer.install(root, COLLECTOR)
    root.run(newcomer.SETUP, check=False)
    stay = [f"stay-{number}" for number in range(DELIVERING)]
    _add(root, *stay)
    passwords = {name: _password(root, name) for name in stay}
    wait(lambda: _may_connect(root, stay[-1], passwords[stay[-1]]), "accounts for all")
    chance = random.Random(f"{request.config.option.seed}/coming")
    with peers.begin(root, "deliver", gates=passwords) as end:
        coming = [f"guest-{number}" for number in range(COMING)]
        while coming:
            size = chance.randint(1, 20)
            here, coming = coming[:size], coming[size:]
            _add(root, *here)
            last, password = here[-1], _password(root, here[-1])
            wait(lambda last=last, password=password: _may_connect(root, last, password), f"an account for {last}")
            chance.shuffle(here)
            _verbs(root, *(f"gate-revoke {name} --yes" for name in here))
            assert not _may_connect(root, last, password)
        tried = end()
    assert tried["lost"] == []
    assert min(tried["marks"].values()) >= 3, "each gate has delivered"
    assert sum(tried["marks"].values()) == tried["written"]
    assert "Nothing was altered." in root.run("fabgate-collector verify")
    sessions = tried["written"] // 3
    assert _sessions(root) == sessions
    accounts = [line for line in root.says("fabgate-collector doctor").splitlines() if " broker-accounts " in line]
    assert [line.split()[0] for line in accounts] == ["ok"], accounts
    seen(f"{COMING} gates added and revoked; {DELIVERING} delivered {sessions} sessions meanwhile, 0 connections ended")


def _collector(systems, suite: str) -> Root:
    """Return a collector that was set up, with two gates. It is made once for a suite."""

    def make(root: Root) -> None:
        computer.use(root, builds.THIS, suite)
        computer.install(root, COLLECTOR)
        root.run(newcomer.SETUP, check=False)
        _add(root, MINE.gate, OTHER.gate)

    root: Root = systems.made(make, f"broker-{suite}", suite=suite)
    wait(lambda: computer.complaints(root, COLLECTOR) == set(), "a doctor that is content")
    return root


def _add(root: Root, *gates: str) -> None:
    _verbs(root, *(f"gate-add {name} --machine {name}" for name in gates))


def _verbs(root: Root, *verbs: str) -> None:
    root.run("set -e\n" + "\n".join(f"fabgate-collector {verb} >/dev/null" for verb in verbs))


def _password(root: Root, gate: str) -> str:
    return _read(root, f"/var/lib/fabgate-collector/gates/{gate}/mqtt.password").strip()


def _may_connect(root: Root, gate: str, password: str) -> bool:
    answers: dict[str, str] = peers.ask(root, "refusals", accounts=[(f"{SITE}/{gate}", password)], ports=[])
    return list(answers.values()) == ["Success"]


def _read(root: Root, path: str) -> str:
    return (root.path / path.lstrip("/")).read_text("ascii")


def _serve(root: Root, pem: str) -> None:
    """Restart the broker with another certificate."""
    root.write(BROKER_PEM, pem, mode=0o600)
    root.run("systemctl restart fabgate-broker")


def _certificate(root: Root, folder: Path, host: str, *, expired: bool) -> str:
    """Return a certificate with its key for the broker: by the authority of the collector, but expired; or by a foreign one."""
    folder.mkdir()
    make_certificates(folder)
    san = folder / "san"
    san.write_text(san.read_text("ascii").replace("IP:127.0.0.1", f"DNS:localhost,DNS:{host}"), "ascii")
    if expired:
        for name in ("crt", "key"):
            text = _read(root, f"/etc/fabgate/authority/ca.{name}")
            (folder / f"ca.{'pem' if name == 'crt' else name}").write_text(text, "ascii")
    sign(folder, "broker", days=-1 if expired else 365)
    return (folder / "broker.key").read_text("ascii") + (folder / "broker.pem").read_text("ascii")


def _sessions(root: Root) -> int:
    listed = root.run("fabgate-collector sessions --from 2020-01-01 --to 2100-01-01 --json").text
    return sum(line.startswith("{") for line in listed.splitlines())
