"""Sends requests to the demo process that simulates the gates: one line of JSON on its socket (demo/live/wall.py)."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings

#: A restarted gate needs some seconds before it reads badges.
TIMEOUT_S: Final = 25.0
MAX_ANSWER: Final = 1_000_000


class Gone(Exception):  # noqa: N818 (it names what happened)
    """The socket does not answer: the demo has ended."""


class DemoRefused(Exception):  # noqa: N818 (it names what happened)
    """The request was refused; the text is the reason."""


def ask(request: Mapping[str, object]) -> dict[str, Any]:
    """Send one request; return the answer. Raises Gone, or DemoRefused."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TIMEOUT_S)
            client.connect(settings.ENVIRONMENT.wall_socket)
            client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline(MAX_ANSWER))
    except (OSError, ValueError) as error:
        raise Gone(str(error)) from error
    if not answer["ok"]:
        raise DemoRefused(answer["error"])
    return answer
