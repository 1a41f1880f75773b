"""A collector and a broker with TLS whose certificates can change, and a gate that knows them by its authorities."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from fabgate import wire
from fabgate.collector.setup.authority import authority
from fabgate.collector.setup.authority.authority import Authority, Use
from fabgate.collector.setup.authority.names import Names
from fabgate.doctor import reach
from fabgate.gate.config.authorities import Authorities
from fabgate.gate.config.gate_yaml import Config, Mqtt, RosterSource, Tls
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.http_source import HttpSource
from fabgate.mqtt import authorities as certificates
from tests.gate.fakes import Time
from tests.gate.roster.collector import Collector, Server, roster
from tests.gate.shell import gate_config
from tests.support.patience import HANGS_S

NAMES = Names(("workshop.local",))


@cache
def made(name: str) -> Authority:
    """Return the authority of this name."""
    return authority.make(name, NAMES, datetime.now(UTC))


def pem(*names: str) -> str:
    """Return the certificates of authorities as one file."""
    return "".join(made(name).certificate_pem.decode() for name in names)


def fingerprints(*names: str) -> set[str]:
    return {certificates.fingerprint(one) for one in certificates.certificates(pem(*names))}


class Signed:
    """The TLS of one server: a new connection gets the certificate that it has now."""

    def __init__(self, folder: Path, use: Use, name: str) -> None:
        self._file, self._use = folder / f"{use.value}.pem", use
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.by = ""
        self.sign(name)

    def sign(self, name: str) -> None:
        """Let the authority `name` sign the certificate."""
        issued = authority.issue(made(name), self._use, NAMES, datetime.now(UTC))
        self._file.write_bytes(issued.certificate_pem + issued.key_pem)
        self.context.load_cert_chain(self._file)
        self.by = name


class Greeter:
    """What a broker does up to its first message: it accepts connections with TLS."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.is_up = True
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            with plain, contextlib.suppress(OSError):
                plain.settimeout(HANGS_S)
                if self.is_up:
                    with self._tls.wrap_socket(plain, server_side=True):
                        pass

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


class TlsHarness:
    """A gate that begins with the authority `a` in its /etc, and whose collector names `a` in its roster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.pages, self.broker_tls = Signed(folder, Use.PAGES, "a"), Signed(folder, Use.BROKER, "a")
        self.collector = Collector(current=roster(authorities=pem("a")))
        self.server = Server(self.collector, self.pages.context)
        self.broker = Greeter(self.broker_tls.context)
        (folder / "token").write_text("the-token\n")
        self.ca = folder / "ca.crt"
        self.ca.write_text(pem("a"))
        self.posted: list[object] = []
        self.restart()

    def config(self) -> Config:
        url = f"https://127.0.0.1:{self.collector.port}"
        source = RosterSource(url=url, token_file=self.folder / "token", ca=self.ca)
        mqtt = Mqtt(host="127.0.0.1", port=self.broker.port, tls=Tls(ca=self.ca))
        found = gate_config(self.folder, roster=source, mqtt=mqtt)
        found.state_dir.mkdir(exist_ok=True)
        return found

    def restart(self) -> None:
        """Start the gate anew: what is on its disk is all that it knows."""
        config, clock = self.config(), Time().clock()
        self.stored = config.state_dir / "roster.db"
        self.authorities = Authorities(config)
        self.source = HttpSource(
            config,
            self.stored,
            self.posted.append,
            boot=clock.boot,
            now=clock.now,
            authorities=self.authorities,
            timeout_s=HANGS_S,
        )

    def publish(self, *names: str, version: int | None = None) -> None:
        """Let the collector make a roster that names these authorities."""
        version = self.collector.current.version + 1 if version is None else version
        self.collector.current = roster(version, authorities=pem(*names))

    def fetch(self) -> bool:
        self.posted.clear()
        self.collector.asked.clear()
        return self.source.fetch()

    @property
    def trusted(self) -> set[str]:
        return set(self.authorities.fingerprints)

    @property
    def version(self) -> int:
        if not self.stored.exists():
            return 0
        with contextlib.closing(Directory(self.stored)) as directory:
            return directory.version

    def reaches(self, port: int) -> bool:
        """Return whether a new connection of the gate would succeed."""
        context = ssl.create_default_context(cafile=self.authorities.file(self.ca))
        try:
            reach.reach("127.0.0.1", port, context)
        except ssl.SSLCertVerificationError:
            return False
        return True

    def asked_in_full(self) -> bool:
        """Return whether the first request of the last fetch was for the whole roster."""
        return "If-None-Match" not in self.collector.asked[0]

    def close(self) -> None:
        self.server.close()
        self.broker.close()


@contextlib.contextmanager
def harness(folder: Path) -> Iterator[TlsHarness]:
    found = TlsHarness(folder)
    try:
        yield found
    finally:
        found.close()


def named(roster: wire.Roster) -> set[str]:
    """Return the fingerprints of the authorities in a roster."""
    return {certificates.fingerprint(one) for one in certificates.certificates(roster.authorities)}
