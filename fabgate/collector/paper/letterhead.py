"""The sender of a document: the workshop's name, and the lines below it."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Letterhead:
    """The workshop's name, and lines such as its address and numbers."""

    name: str
    lines: tuple[str, ...] = ()


def current() -> Letterhead:
    """Return the letterhead of new documents."""
    return Letterhead(settings.ENVIRONMENT.site)
