"""How does the loop that owns the power log without waiting for whoever reads it? Through a queue that drops.

A terminal stopped with Ctrl-S, a pipe that nobody reads or a journald that hangs on the same card as everything else
would otherwise stop the loop in the middle of a line.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MOST_WAITING: Final = 1_000


class _Dropping(logging.handlers.QueueHandler):
    """Drops a line when the queue is full: losing words is better than losing control."""

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a line, or drop it."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return


@contextmanager
def unblocked_logging() -> Iterator[None]:
    """Put a queue between this process's loggers and their handlers until the end of the block."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(MOST_WAITING)
    listener = logging.handlers.QueueListener(waiting, *handlers, respect_handler_level=True)
    dropping = _Dropping(waiting)
    root.handlers[:] = [dropping]
    listener.start()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        # The last words are written if somebody takes them; nobody waits for a reader that never reads.
        thread = listener._thread  # noqa: SLF001 - stop() would join without a limit
        if not waiting.full():
            listener.enqueue_sentinel()
        if thread is not None:
            thread.join(timeout=1.0)
