"""Doctor, self-test and commissioning sheet speak the language of the gate: every text has its French, and no other one's."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files

import pytest
from pypdf import PdfReader

from fabgate.doctor import commissioning
from fabgate.doctor.finding import fail, lines, ok, warn
from fabgate.doctor.shipped import shipped
from fabgate.gate.selftest import steps
from fabgate.gate.selftest.terminal import Terminal
from fabgate.phrases import lang_of, phrases
from fabgate.po import read_po
from tests.doctor.english import templates

CATALOGUE = read_po(files("fabgate").joinpath("locale", "fr", "LC_MESSAGES", "examination.po").read_text("utf-8"))
TEXTS = {source: target for source, target in CATALOGUE.items() if source}
#: Strings of these modules that no person reads, or that say the same in French.
NOT_WORDS = {
    "char-i2c rw",
    "low low",
    "reader of none",
    "{1}/{2}, fabgate {3}",
    " and ",
    " or ",
}
PLACE = re.compile(r"\{\d\}")
COMMAND = re.compile(
    r"(?:systemctl|raspi-config|journalctl|passwd|dmesg|usermod|chmod|getent|nmcli|timedatectl) [^,)»]*"
)


def filled(text: str) -> str:
    return PLACE.sub(lambda place: f"x{place[0][1]}/y", text)


def is_covered(template: str) -> bool:
    """Say whether the catalogue has a text, or a whole of which it is a part: ``, with {1}``."""
    shape = ".*".join(map(re.escape, PLACE.split(template)))
    return template in TEXTS or any(re.search(shape, source) for source in TEXTS)


def test_every_text_of_doctor_self_test_and_calibration_has_its_french():
    found = {text for text in templates() if "\\" not in text and not re.match(r" {4}\w+_\{1\}", text)} - NOT_WORDS
    assert len(found) > 290
    assert "the gate runs, but has no status yet" in found
    assert "{1} members" in found
    assert sorted(text for text in found if not is_covered(text)) == []


@pytest.mark.parametrize("source", TEXTS)
def test_a_text_becomes_its_own_french_with_its_values(source):
    target = TEXTS[source]
    assert sorted(PLACE.findall(source)) == sorted(PLACE.findall(target))
    assert phrases("fr")(filled(source)) == filled(target)
    assert phrases("en")(filled(source)) == filled(source)


def test_a_command_is_the_same_in_both_languages_without_a_space_that_no_shell_knows():
    for source, target in TEXTS.items():
        for command in COMMAND.findall(target):
            assert "\u202f" not in command
            assert "\u00a0" not in command
        for word in ("systemctl", "raspi-config", "journalctl", "passwd pi", "--", "hardware/", "docs/"):
            assert source.count(word) == target.count(word), target


def test_values_are_translated_where_they_are_words_and_kept_where_they_are_not():
    said = phrases("fr")
    assert said("3 members, confirmed 2 h ago; the roster is stale after 1 d") == (
        "3 membres, confirmée il y a 2 h\u202f; la liste est périmée après 1 d"
    )
    assert said("/dev/spidev0.0 and /dev/spidev1.0 are there") == "/dev/spidev0.0 et /dev/spidev1.0 sont là"
    assert said("the light is amber and blinks") == "le voyant est orange et clignote"
    assert said("the running gate reports reader: chip is silent") == (
        "la borne en marche signale lecteur\u00a0: chip is silent"
    )
    assert said("light: misread") == "voyant\u00a0: misread"
    assert said("a driver of another package says this") == "a driver of another package says this"


def test_the_doctors_lines_are_in_the_language_of_the_gate_and_ids_stay():
    found = [
        ok("clock", "synchronised (the running gate)"),
        warn("disk-space", "only 40 MB are free for /var/lib/fabgate", "replace it"),
        fail("line-off", "/usr/lib/fabgate/line-off is not the one of this version", "install -D x"),
    ]
    assert lines(found, phrases("fr")) == [
        "ok    clock       synchronisée (la borne en marche)",
        "warn  disk-space  seulement 40 Mo sont libres pour /var/lib/fabgate",
        "                  → replace it",
        "FAIL  line-off    /usr/lib/fabgate/line-off n\u2019est pas celui de cette version",
        "                  → install -D x",
        "",
        "1 en échec, 1 avertissement, 1 ok, 0 sans vérification",
    ]
    assert lines(found)[-1] == "1 failed, 1 warning, 1 ok, 0 not checked"


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("lang: fr\nsite: [broken", "fr"),
        ("site: lyon\n", "en"),
        ('gate: x\nlang: "fr"\n', "fr"),
        ("# lang: fr\n", "en"),
    ],
)
def test_the_language_is_read_from_a_gate_yaml_with_mistakes_too(tmp_path, text, lang):
    (tmp_path / "gate.yaml").write_text(text)
    assert lang_of(tmp_path / "gate.yaml") == lang


def test_without_a_gate_yaml_it_is_english(tmp_path):
    assert lang_of(tmp_path / "gate.yaml") == "en"
    assert phrases("pt")("no session began") == "no session began"


def test_a_person_is_asked_in_their_language_and_may_answer_in_either():
    said = io.StringIO()
    person = Terminal(io.StringIO("x\noui\nyes\nn\nr\n"), said, lang="fr")
    person.tell("Press the stop button. Leave the badge on the reader.")
    assert [person.ask("Is this true: the power is off?") for _ in range(4)] == ["y", "y", "n", "r"]
    first, second, *_ = said.getvalue().split("\n")
    assert first == "Appuyez sur le bouton d\u2019arrêt. Laissez le badge sur le lecteur."
    assert second.startswith("Est-ce bien le cas\u00a0: la tension est coupée\u202f? [o/n, r\u00a0: encore une fois] ")
    step = steps.StepResult("stop button recorded", "", steps.FAILED, "there is no such entry")
    assert steps.line(step, phrases("fr")) == (
        "  échec         bouton d\u2019arrêt enregistré (cet enregistrement n\u2019existe pas)"
    )


def bold_words(body: bytes) -> Iterator[str]:
    """Yield what a PDF prints in a bold font, without spaces."""
    for page in PdfReader(io.BytesIO(body)).pages:
        found: list[str] = []

        def note(
            text: str, _: object, __: object, font: dict[str, str] | None, ___: object, found: list[str] = found
        ) -> None:
            if font is not None and font["/BaseFont"].endswith("Bold"):
                found.append(re.sub(r"\s+", "", text))

        page.extract_text(visitor_text=note)
        yield from found


def test_the_sheet_to_sign_is_in_the_language_of_the_gate():
    expected = "the read-back changes to 'closed' when the contactor switches"
    rows = [("read-back", expected, "failed", "the read-back was not 'open' before the first tap")]
    made_at = datetime(2026, 3, 1, tzinfo=UTC)
    for lang, words in (
        (
            "fr",
            (
                "Mise en service",
                "retour d\u2019état du contacteur",
                "échec",
                "C. À la machine",
                "Si une étape a échoué",
                "Nom",
            ),
        ),
        ("en", ("Commissioning", "read-back", "failed", "C. At the machine", "If a step failed", "Name")),
    ):
        body = commissioning.document([("Machine", "Light")], rows, made_at=made_at, lang=lang)
        text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(body)).pages)
        text = re.sub(r"\s+", " ", text)
        assert [word for word in (*words, "Light") if word not in text] == []
        # What stands around the tables says when a row applies, and in which state of the mains it is done.
        page = shipped(commissioning._PAGES[lang]) or ""
        notes = [note for part in commissioning.parts(page) for note in (*part.before, *part.after)]
        notes += commissioning.introduction(page)
        assert len(notes) == 4
        plain = re.sub(r"\s+", "", text)
        assert [note for note in notes if re.sub(r"\s+|\*\*", "", note) not in plain] == []
        # What is bold on the page is a warning, and bold on paper; no mark is printed.
        cells = [cell for part in commissioning.parts(page) for row in part.rows for cell in row]
        marked = [words for found in (*notes, *cells) for words in re.findall(r"\*\*(.*?)\*\*", found)]
        bold = "".join(bold_words(body))
        assert len(marked) > 10
        assert [words for words in marked if re.sub(r"\s+", "", words) not in bold] == []
        assert "**" not in text
        assert any(re.search("Rows 3 to 7 are done dead|lignes 3 à 7 se font hors tension", note) for note in notes)
        assert not any("____" in note or "☐" in note or note.startswith("|") for note in notes)


def test_the_sheet_has_the_same_rows_to_tick_in_each_language():
    every = [list(commissioning.parts(shipped(page) or "")) for page in commissioning._PAGES.values()]
    assert len(every) == 2
    english, french = ([(len(part.before), len(part.rows), len(part.after)) for part in parts] for parts in every)
    assert english == french
    assert len(english) == 3
    assert min(rows for _, rows, _ in english) > 8
