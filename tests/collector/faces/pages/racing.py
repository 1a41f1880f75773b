"""Two browsers that send a form at the same moment: both have looked before either of them writes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.support import statements
from tests.support.patience import HANGS_S

#: How a statement begins that writes, or keeps others from writing.
_WRITES = re.compile(r"\s*(BEGIN|INSERT|UPDATE|DELETE)\b|.*\bFOR (NO KEY )?UPDATE\b|.*\bpg_advisory", re.DOTALL)
#: A request that writes nothing never comes to the meeting.


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Do each in a thread with a connection of its own, and none writes before all are about to; return the outcomes.

    An outcome is what the work returned, or the exception that it raised.
    """
    from django.db import connection

    statements.several_at_once()
    meeting = threading.Barrier(len(works))
    outcomes: list[Any] = [None] * len(works)

    def run(place: int) -> None:
        has_met = False

        def meet(execute: Any, sql: str, *rest: Any) -> Any:
            nonlocal has_met
            if not has_met and _WRITES.match(sql):
                has_met = True
                with suppress(threading.BrokenBarrierError):
                    meeting.wait(HANGS_S)
            return execute(sql, *rest)

        try:
            with connection.execute_wrapper(meet):
                outcomes[place] = works[place]()
        except Exception as error:  # noqa: BLE001 (the test looks at it)
            outcomes[place] = error
        finally:
            if not has_met:
                meeting.abort()
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not meeting.broken, "one of them wrote nothing, or before it had looked: this was no race"
    return outcomes


def sent(client: Any, address: str, typed: Any) -> Callable[[], Any]:
    """Return what sends a form; an error of the server is its answer, as a browser sees it."""
    client.raise_request_exception = False
    return lambda: client.post(address, typed)
