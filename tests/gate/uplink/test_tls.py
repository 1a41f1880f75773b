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
