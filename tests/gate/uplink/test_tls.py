"""The connection over TLS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fabgate.demo.processes.ports import free_port
from fabgate.gate.config.gate_yaml import Tls
from fabgate.gate.uplink.events import (
    LinkChanged,
    OwnCertificate,
)
from fabgate.mqtt import certificates
from tests.gate.shell import wait
from tests.gate.uplink.harness import (
    Harness,
    listening,
    needs_broker,
)
from tests.support.certificates import make_certificates, sign
from tests.support.mosquitto import Mosquitto

pytestmark = [pytest.mark.broker, needs_broker]


def test_entries_arrive_over_tls_with_an_own_authority_and_certificate(
    tmp_path: Path, papers: Path, make: Callable[..., Harness]
) -> None:
    tls = (papers / "broker.pem", papers / "broker.key", papers / "ca.pem")
    broker = Mosquitto(tmp_path / "broker", tls=tls, plain_port=free_port()).start()
    try:
        with listening(broker.plain_port) as listener:
            own = Tls(ca=papers / "ca.pem", cert=papers / "gate.pem", key=papers / "gate.key")
            harness = make(broker.port, entries=50, tls=own).start()
            listener.take(harness, 50, "the entries")
            assert listener.seqs() == list(range(1, 51))
            assert harness.of(OwnCertificate) == [OwnCertificate(certificates.ends(papers / "gate.pem"))]
    finally:
        broker.stop()


def test_a_gate_that_drops_an_authority_connects_again_and_one_that_takes_one_does_not(
    tmp_path: Path, papers: Path, make: Callable[..., Harness]
) -> None:
    def named(*names: str) -> str:
        return "".join((papers / f"{name}.pem").read_text() for name in names)

    ca = tmp_path / "both.pem"
    ca.write_text(named("ca", "other-ca"))
    broker = Mosquitto(tmp_path / "broker", tls=(papers / "broker.pem", papers / "broker.key")).start()
    try:
        harness = make(broker.port, tls=Tls(ca=ca)).start()
        harness.config.state_dir.mkdir()
        authorities = harness.uplink._network._authorities
        changes = len(harness.of(LinkChanged))
        authorities.take(named("ca", "other-ca", "broker"), lambda _: None)
        looked: list[bool] = []
        looks = authorities.still_trusts
        authorities.still_trusts = lambda known: looked.append(looks(known)) or looked[-1]  # type: ignore[func-returns-value,method-assign]
        wait(lambda: len(looked) >= 2, "the network to look twice")
        assert len(harness.of(LinkChanged)) == changes
        authorities.take(named("ca"), lambda _: None)
        wait(lambda: len(harness.of(LinkChanged)) >= changes + 2, "the next connection")
        down, up = harness.of(LinkChanged)[changes : changes + 2]
        assert (down.connected, up.connected) == (False, True)
        assert down.problem == "the authority of the workshop has changed"
    finally:
        broker.stop()


# paho forgets to close the socket of a handshake that failed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_whose_authority_is_not_known_is_not_trusted(
    tmp_path: Path, papers: Path, make: Callable[..., Harness]
) -> None:
    broker = Mosquitto(tmp_path / "broker", tls=(papers / "broker.pem", papers / "broker.key")).start()
    try:
        harness = make(broker.port, tls=Tls(ca=papers / "other-ca.pem")).start(up=False)
        wait(lambda: harness.of(LinkChanged), "the problem")
        assert "certificate verify failed" in harness.of(LinkChanged)[0].problem
        plain = make(broker.port).start(up=False)
        wait(lambda: plain.of(LinkChanged), "the problem")
        assert not plain.of(LinkChanged)[0].connected
    finally:
        broker.stop()


# paho forgets to close the socket of a handshake that failed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_gate_names_an_expired_certificate_of_its_broker(tmp_path: Path, make: Callable[..., Harness]) -> None:
    own = tmp_path / "papers"
    own.mkdir()
    sign(make_certificates(own), "broker", days=-1)
    broker = Mosquitto(tmp_path / "broker", papers=own).start()
    try:
        harness = make(broker.port, tls=Tls(ca=own / "ca.pem")).start(up=False)
        wait(lambda: harness.of(LinkChanged), "the problem")
        assert harness.of(LinkChanged)[0].problem.startswith(
            "the broker's certificate has expired: renew the certificate"
        )
    finally:
        broker.stop()
