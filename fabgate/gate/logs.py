"""Logs without blocking the loop that owns the power: through a queue that drops lines when it is full.

Otherwise a terminal stopped with Ctrl-S, a pipe without a reader or a journald that hangs on the same card would stop
the loop in the middle of a line.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

QUEUE_LINES: Final = 1_000


class _DroppingHandler(logging.handlers.QueueHandler):
    """Drops a line when the queue is full: losing a line is better than losing control of the power."""

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a line, or drop it."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return


@contextmanager
def unblocked_logging() -> Iterator[None]:
    """Put a queue between the loggers of this process and their handlers until the end of the block."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    lines: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_LINES)
    listener = logging.handlers.QueueListener(lines, *handlers, respect_handler_level=True)
    root.handlers[:] = [_DroppingHandler(lines)]
    listener.start()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        # The last lines are written if they can be; a reader that never reads is not waited for.
        thread = listener._thread  # noqa: SLF001 - stop() would join without a limit
        if not lines.full():
            listener.enqueue_sentinel()
        if thread is not None:
            thread.join(timeout=1.0)
