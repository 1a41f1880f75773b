"""The collector's web server with TLS, and clients that trust its certificate."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fabgate.collector.ground.base.environ import Environment
from tests.collector.serving import serving
from tests.support.patience import HANGS_S


@dataclass(frozen=True)
class Served:
    """Where pages are served with TLS, and which authority signed their certificate."""

    port: int
    authority: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def plain(self, source: str = "127.0.0.1") -> socket.socket:
        """Connect, and begin no handshake."""
        return socket.create_connection(("127.0.0.1", self.port), HANGS_S, source_address=(source, 0))

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)

    def shaken(self, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """Connect with TLS."""
        return self.client().wrap_socket(self.plain(source), server_hostname="127.0.0.1")


def with_tls(env: Environment, certificates: Path, name: str = "broker") -> Environment:
    """Return an environment in which the web process speaks TLS with a certificate of tests/support/certificates.py."""
    pair = {"web_cert": certificates / f"{name}.pem", "web_key": certificates / f"{name}.key"}
    return replace(env, **pair, web_ca=certificates / "ca.pem", https=True, hsts=False, proxies="")


@contextmanager
def serving_tls(env: Environment, certificates: Path) -> Iterator[Served]:
    """Serve on a free port of this computer while the block runs."""
    with serving(with_tls(env, certificates)) as address:
        yield Served(int(address.rpartition(":")[2]), certificates / "ca.pem")
