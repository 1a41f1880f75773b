"""Sets up the log: one line for each decision on stderr, for journald; JSON with FABGATE_LOG=json."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

#: The values of ``FABGATE_LOG``.
TEXT, JSON = "text", "json"
FORMS: Final = (TEXT, JSON)
_LINE: Final = "%(levelname)s %(name)s: %(message)s"
#: The fields that every record has; others were added with ``extra=``.
_COMMON: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"})


def set_up(form: str, process: str) -> None:
    """Log to stderr, with the name of the process in each line. Does nothing if logging is set up already."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(process) if form == JSON else _Text(process))
    handler.addFilter(_without_link)
    if form == JSON:
        sys.excepthook = _last_word
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    # uvicorn logs a start and an end, as we do, and each missing page; only its errors are useful
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # fontTools logs each font of each PDF.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    logging.getLogger("django.request").setLevel(logging.ERROR)
    # We log refused forms, too. Django's line contains the path, which is secret for a one-time link.
    logging.getLogger("django.security.csrf").setLevel(logging.ERROR)


class Seldom:
    """Logs a warning at most once in `every_s` seconds, and counts those left out, so that they cannot fill the log."""

    def __init__(self, log: logging.Logger, every_s: float = 10.0) -> None:
        self._log, self._every_s = log, every_s
        self._next_s = 0.0
        self._silent = 0

    def __call__(self, text: str, *values: object) -> None:
        """Log the warning, or count it."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            self._silent += 1
            return
        more = f" (and {self._silent} more)" if self._silent else ""
        self._next_s, self._silent = now_s + self._every_s, 0
        self._log.warning(text + more, *values)


#: What looks like the token of a link, in the path of no page.
_LINK: Final = r"[\w-]{40,}"


def _without_link(record: logging.LogRecord) -> bool:
    """Remove the token of a link from errors of its page: the link may still work. Also if its address was mistyped."""
    request = vars(record).pop("request", None)  # Django's request, whose text contains the path
    match = getattr(request, "resolver_match", None)
    token = re.escape(match.kwargs.get("token", "")) if match else _LINK
    if request is not None and token and isinstance(record.args, tuple):
        record.args = tuple(re.sub(token, "…", one) if isinstance(one, str) else one for one in record.args)
    return True


def _last_word(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log an error that ends the process, also on one line."""
    logging.getLogger(__name__).critical("ended by an error that nobody expected", exc_info=(kind, error, trace))


#: Characters that would end a line, or move a terminal's cursor.
_ESCAPED: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


class _Text(logging.Formatter):
    """``web: INFO fabgate.collector.x: message``; with the process, since ``run`` mixes the lines of three."""

    def __init__(self, process: str) -> None:
        super().__init__(f"{process}: {_LINE}" if process else _LINE)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name for it)
        """Return the record as one line, so that no text from outside can forge another line. Tracebacks follow it."""
        record.message = record.message.translate(_ESCAPED)
        return super().formatMessage(record)


class _Json(logging.Formatter):
    """One object a line: `at`, `level`, `process`, `where`, `message`, and fields from ``extra=``."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback is in `error`, so that it stays one line."""
        found: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "where": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            found["error"] = self.formatException(record.exc_info)
        found |= {name: value for name, value in vars(record).items() if name not in _COMMON and name not in found}
        return json.dumps(found, ensure_ascii=False, default=str)
