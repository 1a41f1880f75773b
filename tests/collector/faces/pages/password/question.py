"""The question for the password, as it is in a page."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

from django.test import Client
from django.utils import timezone

from fabgate.collector.faces.pages.password import password_again
from fabgate.collector.members.accounts import sign_in

QUESTION = "Confirm your password"


def grow_stale(client: Client, by: timedelta = password_again.LASTS) -> None:
    """Let the password have been typed longer ago."""
    session = client.session
    session[sign_in._PASSWORD_AT] = (timezone.now() - by).timestamp()
    session.save()


def hidden(page: str) -> list[tuple[str, str]]:
    """Return the hidden fields of the question besides those that the page adds to each form."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.partition("<article")[2])
    return [(name, unescape(value)) for name, value in found if name not in password_again.OF_THE_PAGE]
