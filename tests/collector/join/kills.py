"""A gate that joins and its collector as processes of their own, each of which dies at a chosen moment."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import struct
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from fabgate.errors import FabgateError
from fabgate.gate.joining import steps
from fabgate.gate.joining.files import Files
from fabgate.gate.joining.requests import LaterError
from fabgate.join.code import Code
from tests.collector.join.lines import Line

#: How the process of a gate ends: it has joined, it was refused or cut, or it was killed.
JOINED, REFUSED, KILLED = 0, 1, 9


class Moments:
    """Ends this process at the n-th moment at which something of it may be on the disk, or may not be."""

    def __init__(self, dies_at: int | None) -> None:
        self._left = dies_at

    def pass_one(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                os._exit(KILLED)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with a moment before and after it."""

        def called(*arguments: Any, **named: Any) -> Any:
            self.pass_one()
            found = function(*arguments, **named)
            self.pass_one()
            return found

        return called

    def watch(self) -> None:
        """Put moments around all that this process makes durable, for the rest of its life."""
        for owner, name in (
            (os, "fsync"),
            (pathlib.Path, "replace"),
            (pathlib.Path, "mkdir"),
            (pathlib.Path, "unlink"),
            (BaseDatabaseWrapper, "_commit"),
        ):
            setattr(owner, name, self.around(getattr(owner, name)))


def attempt(files: Files, code: Code, *, gate: int | None, collector: tuple[int, int] | None) -> int:
    """Run ``fabgate join`` once; return how its process ended.

    `gate` is the moment at which the gate dies. `collector` is the number of the request during which it dies, and the
    moment. None: neither does.
    """
    ours, theirs = socket.socketpair()
    child = _forked(lambda: _gate(theirs, files, code, gate))
    theirs.close()
    with ours:
        number = 0
        while (request := _receive(ours)) is not None:
            dies_at = collector[1] if collector is not None and collector[0] == number else None
            answer = _answer(json.loads(request), dies_at)
            number += 1
            if not _send(ours, answer):
                break
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _gate(line: socket.socket, files: Files, code: Code, dies_at: int | None) -> int:
    moments = Moments(dies_at)
    moments.watch()

    def post(path: str, body: bytes) -> tuple[int, bytes]:
        moments.pass_one()
        _send(line, json.dumps([path, body.decode()]).encode())
        answer = _receive(line)
        moments.pass_one()
        if not answer:
            raise LaterError("the collector has died")
        status, text = json.loads(answer)
        return status, text.encode()

    try:
        steps.join("https://collector.lan", post, files, ask_code=lambda: code)
    except FabgateError:
        return REFUSED
    return JOINED


def _answer(request: list[str], dies_at: int | None) -> bytes:
    """Return what the collector answers; empty if it dies before it has."""
    connection.close()  # a process must not go on with the connection of another one
    reading, writing = os.pipe()

    def serve() -> int:
        os.close(reading)
        Moments(dies_at).watch()
        status, body = Line().post(request[0], request[1].encode())
        with os.fdopen(writing, "wb") as file:
            file.write(json.dumps([status, body.decode()]).encode())
        return 0

    child = _forked(serve)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        answer = file.read()
    os.waitpid(child, 0)
    return answer


def _forked(run: Callable[[], int]) -> int:
    """Run a function in a process of its own, whose exit code it returns; return the id of the process."""
    connection.close()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = run()
        except BaseException as error:  # noqa: BLE001 - this process must not go on with the test
            os.write(2, f"{error!r}\n".encode())
        os._exit(code)
    return child


def _send(line: socket.socket, content: bytes) -> bool:
    try:
        line.sendall(struct.pack("!I", len(content)) + content)
    except OSError:
        return False
    return True


def _receive(line: socket.socket) -> bytes | None:
    """Return what the other process sent; None if it has ended."""
    with line.makefile("rb") as file:
        head = file.read(4)
        return file.read(struct.unpack("!I", head)[0]) if len(head) == 4 else None
