"""Loads the languages of the pages: English, and those with a catalogue in ``fabgate/collector/locale``.

Django reads compiled catalogues only. Ours are text, compiled in memory when Django starts and merged into its own, so
that a checkout and an installed package work the same without gettext's programs.
"""

from __future__ import annotations

import io
from gettext import GNUTranslations
from importlib.resources import files
from typing import Final

from django.core.validators import validate_email
from django.utils.translation import gettext_lazy, trans_real

from fabgate.po import compiled, read_po

#: Languages with a catalogue, besides English.
LANGUAGES: Final = ("fr",)


def texts(lang: str) -> dict[str, str]:
    """Return the translations of a language by their English, from all its files."""
    found: dict[str, str] = {}
    folder = files("fabgate.collector").joinpath("locale", lang, "LC_MESSAGES")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".po"):
            found |= read_po(file.read_text(encoding="utf-8"))
    return found


def load() -> None:
    """Merge our catalogues into Django's. Its one text about an e-mail uses the word of the pages, in both languages."""
    validate_email.message = gettext_lazy("Enter a valid e-mail address.")
    for lang in LANGUAGES:
        catalogue = trans_real.translation(lang)
        catalogue.merge(GNUTranslations(io.BytesIO(compiled(texts(lang)))))
