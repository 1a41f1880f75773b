"""The languages of displays: English, and those with a catalogue under ``fabgate/locale``.

The ``.po`` files are compiled in memory (po.py) when this module is imported, so that no tap waits for the disk.
"""

from __future__ import annotations

import io
import logging
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import Final

from fabgate.po import compiled, read_po

log = logging.getLogger(__name__)

SOURCE_LANG: Final = "en"
#: Languages with a catalogue. To add one: copy ``fr``, translate it, and add it here and in ``gate/config/gate_yaml.py``.
LANGUAGES: Final = ("fr",)


def for_language(wanted: str | None, default: str = SOURCE_LANG) -> NullTranslations:
    """Return the catalogue for a language tag such as ``fr`` or ``fr-CH``, or for the `default` language."""
    for tag in (wanted, default):
        catalogue = CATALOGUES.get((tag or "").replace("_", "-").partition("-")[0].lower())
        if catalogue is not None:
            return catalogue
    return CATALOGUES[SOURCE_LANG]


def _load() -> dict[str, NullTranslations]:
    catalogues: dict[str, NullTranslations] = {SOURCE_LANG: NullTranslations()}
    for lang in LANGUAGES:
        file = files("fabgate").joinpath("locale", lang, "LC_MESSAGES", "fabgate.po")
        try:
            texts = read_po(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            # A gate with English texts is better than a gate that does not start.
            log.warning("%s: this language is not available (%s)", file, error)
            continue
        catalogues[lang] = GNUTranslations(io.BytesIO(compiled(texts)))
    return catalogues


CATALOGUES: Final = _load()
