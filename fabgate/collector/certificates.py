"""What is said of the end of the broker's certificate, which the ingest reads from its connection?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

#: A certificate that ends so soon is to be renewed now: nothing connects to the broker once it has ended.
RENEW_WITHIN: Final = timedelta(days=30)


def is_due(ends: datetime | None, now: datetime) -> bool:
    """Return whether the certificate is to be renewed; `ends` is None where it is unknown or there is no TLS."""
    return ends is not None and ends - now <= RENEW_WITHIN


def trouble(ends: datetime | None, now: datetime) -> str:
    """Return in words what is to be done about the certificate; "" where nothing is. The day is that of UTC."""
    if ends is None or not is_due(ends, now):
        return ""
    renew = "renew it (docs/install.md, “Renew the broker's certificate”)"
    if ends <= now:
        return f"the broker's certificate expired on {ends:%Y-%m-%d}: {renew}"
    days = (ends - now).days
    left = "less than a day" if not days else f"{days} day{'s' if days > 1 else ''}"
    return f"the broker's certificate ends on {ends:%Y-%m-%d}, in {left}: {renew}"
