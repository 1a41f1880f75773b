"""Does every string of a page have French, with the same places in it, and is nothing shown that is not translated?"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.utils import translation
from django.utils.translation import gettext, ngettext, pgettext, trans_real

from fabgate.collector.ground import catalogues
from tests.collector.faces.pages import mistakes, strings

TEMPLATES = sorted((strings.ROOT / "templates").rglob("*.html"))
#: Names, which are the same in every language.
SAME = {"fabgate", "English", "Français", "CSV", "XLSX", "PDF", "SHA", "ms"}
SAME |= {"Android", "Debian", "Fedora", "Firefox", "Linux", "Ubuntu", "Windows", "iPad", "iPhone", "macOS"}
#: Attributes that are read to a person.
READ = {"title", "aria-label", "alt", "placeholder", "data-label", "data-done"}


@pytest.mark.parametrize("lang", catalogues.LANGUAGES)
def test_every_string_has_its_translation(lang):
    known = catalogues.texts(lang)
    missing = {text: where for text, where in strings.all_of_them().items() if text not in known}
    assert not missing


def test_no_mistake_that_a_page_can_show_is_plain_english():
    assert not mistakes.untranslated()


def test_mistakes_of_the_model_are_found_from_the_pages():
    found = mistakes.reached()
    assert {
        mistakes.Place("members/accounts/manage", "link_for"),
        mistakes.Place("members/people/import_list/file", "parse"),
    } <= found
    assert mistakes.Place("processes/backup", "backup") not in found


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ('raise UsageError(f"{name} is off")', [" is off"]),
        ('raise UsageError(_("%(name)s is off") % {"name": name})', []),
        ('mistakes.append("nothing")', ["nothing"]),
        ('mistakes = [f"no {n}" for n in names]', ["no "]),
        ('raise UsageError("\\n".join(_("line") for _ in found))', []),
        ('log.info("nobody sees it")', []),
    ],
)
def test_words_that_nobody_translated_are_told_from_others(code, words):
    found = [word.value for said in mistakes.said(ast.parse(code)) for word in mistakes.plain(said)]
    assert found == words


@pytest.mark.parametrize("lang", catalogues.LANGUAGES)
def test_nothing_is_translated_that_no_page_shows(lang):
    assert catalogues.texts(lang).keys() - strings.all_of_them().keys() == {""}


@pytest.mark.parametrize("lang", catalogues.LANGUAGES)
def test_a_translation_has_the_places_of_its_source(lang):
    for source, target in catalogues.texts(lang).items():
        if source:
            wanted, found = (
                [set(re.findall(r"%\(\w+\)[sd]|%[sd]|</?\w+>", part)) for part in text.split("\0")]
                for text in (source, target)
            )
            assert set().union(*wanted) == set().union(*found), source


def test_french_signs_stand_behind_a_space_that_keeps_them_on_their_line():
    wrong = re.compile("(?<=\\S) [:;?!»](?!\\w)|« |[\N{NO-BREAK SPACE}][;?!]|\N{NARROW NO-BREAK SPACE}:")
    assert not {target for target in catalogues.texts("fr").values() if wrong.search(target)}


def test_one_word_says_in_french_who_belongs_to_the_workshop():
    assert not {target for target in catalogues.texts("fr").values() if "adhérent" in target}


def test_one_word_says_in_french_that_a_review_is_settled():
    """A treasurer reads “réglée” as “paid”. Answers to contests, payments, and what programs get are something else."""
    other = re.compile(r"\bowes\b|another way|^Contested: |^time of")
    settled = {
        source: target
        for source, target in catalogues.texts("fr").items()
        if re.search(r"\bsettled?\b|resolved by", source, re.IGNORECASE) and not other.search(source)
    }
    assert len(settled) > 10
    assert not {source: target for source, target in settled.items() if not re.search("tranch", target, re.IGNORECASE)}


def test_french_apostrophes_are_curved():
    assert not {target for target in catalogues.texts("fr").values() if re.search(r"\w'\w", target)}


def otherwise(ours: dict[str, str], lang: str) -> dict[str, tuple[str, str]]:
    """Return the texts that Django's own pages and forms show too, and that would say something else there by ours."""
    # As it is before ours are merged into it, of Django and every app of it that is installed.
    djangos = trans_real.DjangoTranslation(lang)._catalog
    found = {}
    for source, target in ours.items():
        for form, text in zip(("", 0), (source, source.partition("\0")[0]), strict=True):
            theirs = djangos.get(text if form == "" else (text, form))
            said = target.partition("\0")[0]
            if source and theirs is not None and theirs != said:
                found[source] = said, theirs
    return found


@pytest.mark.parametrize("lang", catalogues.LANGUAGES)
def test_no_text_of_djangos_gets_another_meaning_by_ours(lang):
    assert not otherwise(catalogues.texts(lang), lang)


def test_a_text_that_would_say_something_else_in_djangos_forms_is_found():
    ours = {
        "Time": "Durée",
        "No": "Non",
        "%(num)d day\0%(num)d days": "%(num)d journée\0%(num)d journées",
        "Saw": "Scie",
    }
    assert otherwise(ours, "fr").keys() == {"Time", "%(num)d day\0%(num)d days"}


def test_the_pages_speak_french_and_plurals_are_right():
    with translation.override("fr"):
        assert gettext("Sign in") == "Se connecter"
        assert [ngettext("%(n)d browser is signed out.", "%(n)d browsers are signed out.", n) for n in (0, 1, 2)] == [
            "%(n)d navigateur est déconnecté.",
            "%(n)d navigateur est déconnecté.",
            "%(n)d navigateurs sont déconnectés.",
        ]
        assert gettext("Enter a valid email address.") != "Enter a valid email address."  # Django's own
    with translation.override("en"):
        assert gettext("Sign in") == "Sign in"


def test_a_word_says_in_french_what_it_means_where_it_stands():
    with translation.override("fr"):
        assert gettext("For") == "Durée"  # of how long it is on
        assert pgettext("which machines", "For") == "Pour"
        assert [pgettext("time of day", word) for word in ("From", "To")] == ["De", "À"]
        assert [gettext(word) for word in ("From", "To")] == ["Du", "Au"]  # days
        assert (gettext("Until"), pgettext("day", "Until")) == ("Jusqu\u2019à", "Jusqu\u2019au")
        assert (gettext("Active"), pgettext("key", "Active")) == ("Actif", "Active")  # of a group, of a key
        assert pgettext("sessions", "Ended") == "Terminées"
        assert pgettext("place", "At") == "Où"


class Shown(HTMLParser):
    """Collects what a person would read of a template, with what is translated taken out."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.words += [value or "" for name, value in attrs if name in READ]


def untranslated(text: str) -> set[str]:
    text = re.sub(r"{% *comment.*?endcomment *%}|{#.*?#}", "", text, flags=re.DOTALL)
    text = re.sub(r"{% *blocktrans.*?endblocktrans(?:late)? *%}", "", text, flags=re.DOTALL)
    text = re.sub(r"{%.*?%}|{{.*?}}|{\w*}", "", text, flags=re.DOTALL)  # the last one is a cell of {% each %}
    text = re.sub(r"<(pre|code|kbd)\b.*?</\1>", "", text, flags=re.DOTALL)  # what is typed, word for word
    shown = Shown()
    shown.feed(text)
    found = {word.strip() for word in shown.words if re.search(r"[^\W\d_]{2}", word)}
    return {text for text in found if not set(re.findall(r"[^\W\d_]{2,}", text)) <= SAME}


def wrong(check: Callable[[str], Any]) -> dict[str, Any]:
    """Return what the check finds in each template, by its path; only of those in which it finds anything."""
    found = {str(path.relative_to(strings.ROOT)): check(path.read_text(encoding="utf-8")) for path in TEMPLATES}
    return {path: what for path, what in found.items() if what}


def test_a_template_shows_no_word_that_is_not_translated():
    assert not wrong(untranslated)


def glued(text: str) -> list[str]:
    """Return each colon behind a value that no translation can set a space before, as French does."""
    text = re.sub(r"{% *blocktrans.*?endblocktrans(?:late)? *%}", "", text, flags=re.DOTALL)
    text = re.sub(r"<(pre|code|kbd)\b.*?</\1>", "", text, flags=re.DOTALL)
    return re.findall(r"(?:}}|%})(?:</\w+>)?:", text)


def test_a_template_glues_no_colon_to_a_value():
    assert not wrong(glued)


def test_the_check_finds_a_glued_colon():
    text = "{{ a }}: b <b>{% if c %}</b>: d {% blocktranslate %}{{ e }}:{% endblocktranslate %} <code>{{ f }}:</code>"
    assert glued(text) == ["}}:", "%}</b>:"]


def quoted(text: str) -> list[str]:
    """Return each value in English quotation marks that no translation can turn into others."""
    return re.findall(r"“{{[^}]*}}", re.sub(r"{% *blocktrans.*?endblocktrans(?:late)? *%}", "", text, flags=re.DOTALL))


def test_a_template_quotes_a_value_as_its_readers_language_does():
    assert not wrong(quoted)


def test_the_check_finds_a_value_in_english_marks():
    assert quoted("“{{ a }}” {% blocktranslate %}“{{ b }}”{% endblocktranslate %}") == ["“{{ a }}"]


def test_the_check_finds_a_bare_word():
    assert untranslated('<p title="Two">One {% translate "Three" %}{{ four }}</p>') == {"One", "Two"}


def test_the_strings_are_found_in_all_their_forms(tmp_path):
    template = tmp_path / "t.html"
    template.write_text(
        "{% translate \"a 'b'\" %}{% translate 'c' as d %}{% blocktranslate with x=y %}e {{ x }}{% endblocktranslate %}"
        "{% blocktranslate count n=m %}{{ n }} f{% plural %}{{ n }} g{% endblocktranslate %}{% include 'x' with y=_('h') %}"
        "{% translate 'i' context 'j' %}"
    )
    assert set(strings.of_template(template)) == {"a 'b'", "c", "e %(x)s", "%(n)s f\0%(n)s g", "h", "j\4i"}
    module = tmp_path / "m.py"
    module.write_text('_("a")\ngettext_lazy("b" "c")\nngettext("d", "e", n)\npgettext_lazy("f", "g")\n')
    assert set(strings.of_python(module)) == {"a", "bc", "d\0e", "f\4g"}
