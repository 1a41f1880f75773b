"""Sends tables as CSV and XLSX (tables/): CSV as spreadsheets of the language read it."""

from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from typing import IO, Any, Final, cast

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import translation
from django.utils.translation import get_language

from fabgate.collector.ground.tables.csv_file import dialect_of, write_csv
from fabgate.collector.ground.tables.table import Table
from fabgate.collector.ground.tables.xlsx_file import write_xlsx

#: Bytes sent at once.
_CHUNK: Final = 64 * 1024
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def as_csv(request: HttpRequest, name: str, table: Table) -> StreamingHttpResponse:
    """Return the rows as CSV, which is written while it is sent."""
    chunks = _in_language(get_language(), write_csv(table, *dialect_of(get_language() or "")))
    return stream(request, f"{name}.csv", "text/csv; charset=utf-8", chunks)


def as_xlsx(request: HttpRequest, name: str, *tables: Table) -> StreamingHttpResponse:
    """Return each table as a sheet. Raises TooLong for too many rows."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (closed after it has been sent)
    try:
        write_xlsx(file, *tables)
    except BaseException:
        file.close()
        raise
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    answer = stream(request, f"{name}.xlsx", XLSX_TYPE, _blocks(file))
    answer.headers["Content-Length"] = str(size)
    # Closes the file even if the browser disconnects before reading.
    cast("Any", answer)._resource_closers.append(file.close)  # noqa: SLF001 (Django closes these with the answer)
    return answer


def _in_language(language: str | None, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Produce each chunk in the language of the request, which is no longer active while the response is sent."""
    while True:
        with translation.override(language):
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(_CHUNK):
        yield block


def stream(request: HttpRequest, name: str, kind: str, chunks: Iterator[bytes]) -> StreamingHttpResponse:
    """Return a file that is written while it is sent."""
    # Under ASGI, Django would read a plain iterator to its end before sending.
    content: Any = _async_chunks(chunks) if isinstance(request, ASGIRequest) else chunks
    answer = StreamingHttpResponse(content, content_type=kind)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


async def _async_chunks(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    following: Callable[[], Any] = sync_to_async(lambda: next(chunks, None))
    while (chunk := await following()) is not None:
        yield chunk
