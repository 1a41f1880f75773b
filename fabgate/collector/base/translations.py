"""In which languages do the pages speak? English, and those with a catalogue under ``fabgate/collector/locale``.

Django reads compiled catalogues only. Ours are kept as text, compiled in memory when Django starts and merged into
its own, so that an editable checkout and an installed package speak the same, without gettext's programs.
"""

from __future__ import annotations

import io
from gettext import GNUTranslations
from importlib.resources import files
from typing import Final

from django.utils.translation import trans_real

from fabgate.po import compiled, read_po

#: Languages with a catalogue beside English, in which the sources are written.
LANGUAGES: Final = ("fr",)


def texts(lang: str) -> dict[str, str]:
    """Return the finished translations of a language by their English, of all its files together."""
    found: dict[str, str] = {}
    folder = files("fabgate.collector").joinpath("locale", lang, "LC_MESSAGES")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".po"):
            found |= read_po(file.read_text(encoding="utf-8"))
    return found


def load() -> None:
    """Merge our catalogues into Django's."""
    for lang in LANGUAGES:
        catalogue = trans_real.translation(lang)
        catalogue.merge(GNUTranslations(io.BytesIO(compiled(texts(lang)))))
