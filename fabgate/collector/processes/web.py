"""The web process: uvicorn, with TLS of its own or behind a proxy if other computers use it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings

from fabgate.collector.faces.pages import rights
from fabgate.collector.ground.base.env_values import bracketed
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.db import postgresql
from fabgate.collector.members.access import roster
from fabgate.collector.members.accounts import first_link
from fabgate.collector.processes.listening import connections, handshakes, sockets
from fabgate.collector.processes.listening.certificate import Certificate
from fabgate.collector.recording.broker import announcing
from fabgate.errors import FabgateError, UsageError

log = logging.getLogger(__name__)

#: How long requests in progress may still take at the end, in seconds.
STOP_S = 5


class Server(uvicorn.Server):
    """uvicorn, which also ends event streams when it stops: they would never end.

    It serves port 80, too, on sockets and with an application of its own.
    """

    def __init__(self, config: uvicorn.Config, guard: connections.Guard, plain: uvicorn.Config) -> None:
        super().__init__(config)
        self._guard, self._plain = guard, plain
        #: The sockets of port 80.
        self.plain_sockets: Sequence[socket.socket] = ()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections."""
        await super().startup(sockets=sockets)
        loop, config = asyncio.get_running_loop(), self._plain
        config.load()

        def connection() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn calls it
                config=config, server_state=self.server_state, app_state={}
            )

        for bound in self.plain_sockets:
            self.servers.append(
                await loop.create_server(connection, sock=bound, backlog=connections.BACKLOG_OF_PORT_80)
            )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, after the requests in progress."""
        self._guard.end_handshakes()
        await super().shutdown(sockets=sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals to the end of the process.

        uvicorn would raise its signal again at its end, for an outer handler. There is none, so that a signal before
        this ends the process at once: a handler that only ignores it would lose it.
        """
        if threading.current_thread() is threading.main_thread():  # only it may set handlers
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; called as a signal handler."""
        # Views can be imported only once Django is set up.
        from fabgate.collector.faces.pages.events import stream  # noqa: PLC0415

        super().handle_exit(sig, frame)
        stream.end_all()


def run() -> None:
    """Serve until SIGTERM or SIGINT."""
    env: Environment = settings.ENVIRONMENT
    # After a restore, versions must rise above those that gates have seen, so every start rebuilds all rosters.
    built = roster.rebuild()
    log.info("rosters built for %d gates", len(built))
    if built:
        announcing.announce(built)
    found = opened(env)
    if link := first_link.when_needed(env):
        sys.stderr.write(
            f"Nobody can sign in yet. Open this link once, within a day, to become the manager:\n  {link}\n"
        )
        sys.stderr.flush()
    postgresql.keep_connections()
    rights.table()  # loads every page
    serving = server(env)
    serving.plain_sockets = found.get(sockets.HTTP, ())
    for name, bound in found.items():
        scheme = "https" if env.web_cert and name == sockets.HTTPS else "http"
        for one in bound:
            log.info("serving %s://%s:%d", scheme, bracketed(one.getsockname()[0]), one.getsockname()[1])
    serving.run(sockets=found[sockets.HTTPS])


def server(env: Environment) -> Server:
    """Return the server; it serves on sockets from `opened`. Raises FabgateError if the certificate gives no TLS."""
    from fabgate.collector.processes.asgi import application, port_80_application  # noqa: PLC0415 (sets Django up)

    class Guarded(connections.Connection):
        guard = connections.Guard(env.proxies)

    class OfPort80(connections.Connection):
        guard = connections.Guard("", most=connections.MOST_OF_PORT_80)

    pages: Callable[..., asyncio.BaseProtocol] = Guarded
    if env.web_cert and env.web_key:
        certificate, turns = Certificate(env.web_cert, env.web_key), handshakes.Turns()

        def pages(*args: Any, **named: Any) -> asyncio.BaseProtocol:
            return handshakes.Door(Guarded(*args, **named), certificate.context(), turns)

    return Server(_config(env, application, pages), Guarded.guard, _config(env, port_80_application(env), OfPort80))


def _config(env: Environment, application: Any, connection: Callable[..., asyncio.BaseProtocol]) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=connection,  # type: ignore[arg-type]  # uvicorn only calls it
        lifespan="off",
        backlog=connections.BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # processes/asgi.py adds it where it is missing
        proxy_headers=bool(env.proxies),
        forwarded_allow_ips=env.proxies,
        timeout_keep_alive=round(connections.IDLE_S),
        timeout_graceful_shutdown=STOP_S,
    )


def opened(env: Environment) -> dict[str, list[socket.socket]]:
    """Return the sockets of the pages and of port 80: those of systemd, and otherwise our own. Raises as `listen` does."""
    found = sockets.handed_over()
    if sockets.HTTPS not in found:
        found[sockets.HTTPS] = [listen(env)]
    elif not env.web_cert:
        raise UsageError(
            "systemd has opened a port for pages with TLS, but FABGATE_WEB_CERT is not set; set it and FABGATE_WEB_KEY, or"
            " switch the socket off: systemctl disable --now fabgate-collector-https.socket"
        )
    elif env.web_port not in (ports := {one.getsockname()[1] for one in found[sockets.HTTPS]}):
        log.warning(
            "FABGATE_WEB_PORT: found %d, but systemd has opened %s; links in mails and pages name the first",
            *(env.web_port, ports),
        )
    if sockets.HTTP not in found and env.web_http_port:
        found[sockets.HTTP] = [_bound(env, env.web_http_port, "FABGATE_WEB_PORT_HTTP")]
    return found


def listen(env: Environment) -> socket.socket:
    """Return the bound socket. Raises FabgateError if another program has the port now, and UsageError if it can never work."""
    return _bound(env, env.web_port, "FABGATE_WEB_PORT")


def _bound(env: Environment, port: int, variable: str) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in env.web_host else socket.AF_INET
        return socket.create_server((env.web_host, port), family=family, backlog=connections.BACKLOG)
    except OSError as error:
        # Not UsageError, which ends `run`: the program that has the port may be ending, the network may be starting.
        passes = error.errno in {errno.EADDRINUSE, errno.EADDRNOTAVAIL}
        advice = "choose another port, or stop the program that uses it"
        if error.errno == errno.EACCES:
            unit = f"fabgate-collector-{'https' if port == env.web_port else 'http'}.socket"
            advice = f"let systemd open it (systemctl enable --now {unit}), or choose one above 1023"
        raise (FabgateError if passes else UsageError)(
            f"FABGATE_WEB_HOST and {variable}: {env.web_host}:{port} is not available ({error.strerror or error}); {advice}"
        ) from error
