"""Are catalogues read and compiled as gettext would? What gates need of it is in tests/gate/panel/test_messages.py."""

from __future__ import annotations

import io
from gettext import GNUTranslations

from fabgate.po import compiled, read_po

HEADER = 'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=2; plural=(n > 1);\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
PLURAL = 'msgid "%d day"\nmsgid_plural "%d "\n"days"\nmsgstr[0] "%d jour"\nmsgstr[1] "%d "\n"jours"\n'


def test_both_forms_of_a_plural_are_read_and_found():
    texts = read_po(HEADER + PLURAL + 'msgid "one"\nmsgstr "un"\n')
    assert texts["%d day\0%d days"] == "%d jour\0%d jours"
    catalogue = GNUTranslations(io.BytesIO(compiled(texts)))
    assert [catalogue.ngettext("%d day", "%d days", n) for n in (0, 1, 2)] == ["%d jour", "%d jour", "%d jours"]
    assert catalogue.gettext("one") == "un"


def test_a_plural_of_which_a_form_is_missing_is_not_finished():
    assert read_po('msgid "a"\nmsgid_plural "b"\nmsgstr[0] "c"\nmsgstr[1] ""\n') == {}
    assert read_po('msgid "a"\nmsgid_plural "b"\nmsgstr[0] ""\nmsgstr[1] "c"\n') == {}


def test_a_word_with_two_meanings_is_told_apart_by_its_context():
    texts = read_po(
        HEADER + 'msgid "For"\nmsgstr "Durée"\n\nmsgctxt "which "\n"machines"\nmsgid "For"\nmsgstr "Pour"\n'
    )
    catalogue = GNUTranslations(io.BytesIO(compiled(texts)))
    assert catalogue.gettext("For") == "Durée"
    assert catalogue.pgettext("which machines", "For") == "Pour"
