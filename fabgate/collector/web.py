"""How is the collector reached over HTTP? A small threaded server of the standard library, behind a proxy with TLS."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from fabgate.collector import roster
from fabgate.collector.environ import Environment
from fabgate.errors import UsageError

log = logging.getLogger(__name__)

#: A client that sends or takes nothing for so long is dropped.
CLIENT_TIMEOUT_S = 30


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it so)
        log.debug(format, *args)


def command(_args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    env: Environment = settings.ENVIRONMENT
    # After a restore the versions must rise above what the gates have seen, so every start builds all rosters.
    built = roster.rebuild()
    log.info("rosters built for %d gates", len(built))
    if built:
        roster.announce(built)
    server = listen(env)
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for serve_forever, which this very thread runs.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    log.info("serving http://%s:%d", *server.server_address[:2])
    server.serve_forever()
    server.server_close()
    return 0


def listen(env: Environment) -> WSGIServer:
    """Return the bound server. Raises UsageError when the address cannot be had."""
    try:
        return make_server(
            env.web_host, env.web_port, get_wsgi_application(), server_class=_Server, handler_class=_Handler
        )
    except OSError as error:
        raise UsageError(
            f"FABGATE_WEB_HOST and FABGATE_WEB_PORT: found {env.web_host}:{env.web_port}, which cannot be had"
            f" ({error.strerror or error}); choose another port, or stop what has it"
        ) from error
