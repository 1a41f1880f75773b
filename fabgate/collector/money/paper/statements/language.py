"""The language of a statement: that of its payer, or else that of the site."""

from __future__ import annotations

from django.conf import settings

from fabgate.collector.money.billing.statements.compose import Statement


def of(statement: Statement) -> str:
    """Return the code of a language that there is."""
    lang: str = statement.words.payer.get("lang", "")
    return lang if lang in dict(settings.LANGUAGES) else str(settings.ENVIRONMENT.lang)
