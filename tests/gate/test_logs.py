"""Nobody who reads our words can stop the loop that owns the power."""

from __future__ import annotations

import logging
import threading

from fabgate.gate.logs import QUEUE_LINES, unblocked_logging
from tests.support.patience import HANGS_S


class Stuck(logging.Handler):
    """A terminal stopped with Ctrl-S: it takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.let_go.wait(HANGS_S)
        self.lines.append(record.getMessage())


def test_a_handler_that_hangs_stops_nobody_and_the_rest_is_dropped() -> None:
    root, stuck = logging.getLogger(), Stuck()
    before = list(root.handlers)
    root.handlers[:] = [stuck]
    try:
        with unblocked_logging():
            for number in range(QUEUE_LINES * 3):
                logging.getLogger("fabgate").warning("line %d", number)
            stuck.let_go.set()
        assert root.handlers == [stuck]
    finally:
        root.handlers[:] = before
    assert stuck.lines[0] == "line 0"
    assert len(stuck.lines) <= QUEUE_LINES + 2


def test_the_last_words_are_written() -> None:
    root, handler = logging.getLogger(), Stuck()
    handler.let_go.set()
    before = list(root.handlers)
    root.handlers[:] = [handler]
    try:
        with unblocked_logging():
            logging.getLogger("fabgate").warning("goodbye")
    finally:
        root.handlers[:] = before
    assert handler.lines == ["goodbye"]
