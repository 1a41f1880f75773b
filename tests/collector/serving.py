"""The collector's own web server, in this process, on the database of the test that asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.processes import web
from tests.support.patience import HANGS_S


@contextmanager
def serving(env: Environment) -> Iterator[str]:
    """Serve on a free port of this computer while the block runs; gives the address."""
    with serving_both(env) as (address, _port):
        yield address


@contextmanager
def serving_both(env: Environment) -> Iterator[tuple[str, int]]:
    """Serve the pages, and what port 80 serves, on two free ports; gives the address of the pages, and the other port."""
    bound, plain = web.listen(env), web.listen(env)
    server = web.server(env)
    server.plain_sockets = [plain]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}", plain.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(HANGS_S)
        assert not thread.is_alive()
