"""The line between a gate and the collector of this process, which a test cuts or listens to."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from fabgate.gate.joining.requests import LaterError

#: The path of a request, and its body or that of its answer.
Heard = tuple[str, bytes]


class CutError(LaterError):
    """The line is cut."""


class Line:
    """Passes requests on. `before` and `after` are called with what passes, and may raise."""

    def __init__(self, address: str = "192.168.1.20") -> None:
        self._client = Client(enforce_csrf_checks=True, REMOTE_ADDR=address)
        self.requests: list[Heard] = []
        self.answers: list[Heard] = []
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Send a request."""
        self.before()
        self.requests.append((path, body))
        answer = self._client.post(path, body, content_type="application/json")
        self.answers.append((path, answer.content))
        self.after()
        return answer.status_code, answer.content
