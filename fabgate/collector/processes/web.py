"""The web process: uvicorn; behind a proxy with TLS if other computers use it."""

from __future__ import annotations

import contextlib
import errno
import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType

import uvicorn
from django.conf import settings

from fabgate.collector.faces.pages import rights
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.db import postgresql
from fabgate.collector.members.access import roster
from fabgate.collector.members.accounts import first_link
from fabgate.collector.processes import connections
from fabgate.collector.recording.broker import announcing
from fabgate.errors import FabgateError, UsageError

log = logging.getLogger(__name__)

#: How long requests in progress may still take at the end, in seconds.
STOP_S = 5


class Server(uvicorn.Server):
    """uvicorn, which also ends event streams when it stops: they would never end."""

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
    bound = listen(env)
    if link := first_link.when_needed(env):
        sys.stderr.write(
            f"Nobody can sign in yet. Open this link once, within a day, to become the manager:\n  {link}\n"
        )
        sys.stderr.flush()
    postgresql.keep_connections()
    rights.table()  # loads every page
    log.info("serving http://%s:%d", *bound.getsockname()[:2])
    server(env).run(sockets=[bound])


def server(env: Environment) -> Server:
    """Return the server; it serves on a socket from `listen`."""
    from fabgate.collector.processes.asgi import application  # noqa: PLC0415 (it sets Django up)

    guard = connections.Guard(env.proxies)
    config = uvicorn.Config(
        application,
        http=type("GuardedConnection", (connections.Connection,), {"guard": guard}),
        lifespan="off",
        backlog=connections.BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # processes/asgi.py adds it where it is missing
        forwarded_allow_ips=env.proxies,
        timeout_keep_alive=round(connections.IDLE_S),
        timeout_graceful_shutdown=STOP_S,
    )
    return Server(config)


def listen(env: Environment) -> socket.socket:
    """Return the bound socket. Raises FabgateError if another program has the port now, and UsageError if it can never work."""
    try:
        family = socket.AF_INET6 if ":" in env.web_host else socket.AF_INET
        return socket.create_server((env.web_host, env.web_port), family=family, backlog=connections.BACKLOG)
    except OSError as error:
        # Not UsageError, which ends `run`: the program that has the port may be ending, the network may be starting.
        passes = error.errno in {errno.EADDRINUSE, errno.EADDRNOTAVAIL}
        raise (FabgateError if passes else UsageError)(
            f"FABGATE_WEB_HOST and FABGATE_WEB_PORT: {env.web_host}:{env.web_port} is not available"
            f" ({error.strerror or error}); choose another port, or stop the program that uses it"
        ) from error
