"""What a person reads: every signal, every reason, both languages, always four lines of twenty."""

from __future__ import annotations

from decimal import Decimal
from itertools import chain
from string import Formatter
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate import translations, wire
from fabgate.display import MONTHS, RETIRED
from fabgate.display import REASONS as LOCK_REASONS
from fabgate.drivers.panels import COLUMNS, LINES, Clock, Notice
from fabgate.drivers.panels.text import transliterate
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.panel.costs import Certainty, Cost, Rate
from fabgate.gate.panel.messages import OTHER_REFERENCE, PUBLIC, REFERENCES, TEXTS, notice, power_was_cut
from fabgate.po import read_po
from fabgate.rules import access, vocabulary
from fabgate.translations import CATALOGUES, LANGUAGES, for_language

KIND = vocabulary.SignalKind
SPOKEN = ("en", *LANGUAGES)
REASONS = sorted({*PUBLIC, *REFERENCES, "some-new-reason", "no-access", ""})
DETAILS = (
    *(vocabulary.UNFELT, vocabulary.ASKS_AGAIN),
    *(vocabulary.LAST, vocabulary.CLOSING, vocabulary.DEADLINE),
)
MISREADS = ("two-cards", "torn", "random-uid", "lying", "")


def fits(told: Notice) -> None:
    assert len(told.lines) <= LINES
    for line in told.lines:
        assert 0 < len(line) <= COLUMNS, line
        assert line == line.strip()
        assert len(transliterate(line)) <= COLUMNS


def shown(kind, *, machine="Laser 1", lock=None, mode=vocabulary.Mode.TAP, site="en", **signal) -> tuple[str, ...]:
    found = notice(vocabulary.Signal(kind, **signal), machine, lang=site, mode=mode, lock=lock)
    fits(found)
    return found.lines


# --- everything fits --------------------------------------------------------------------------------------------------


names = st.one_of(st.text(max_size=60), st.sampled_from(["", "Ada", "Bartholomew-Maximilian", "Zoe\u0301", "{name}"]))
signals = st.builds(
    vocabulary.Signal,
    kind=st.sampled_from(KIND),
    name=names,
    lang=st.sampled_from([None, "en", "fr", "fr-CH", "de", ""]),
    reasons=st.lists(
        st.one_of(st.sampled_from([*REASONS, *vocabulary.EndReason, *vocabulary.Cause]), st.text(max_size=30)),
        max_size=12,
    ).map(tuple),
    ms=st.integers(min_value=-1, max_value=10 * 366 * 86_400_000),
    detail=st.one_of(names, st.sampled_from([*MISREADS, *vocabulary.FlagKind, *vocabulary.Cause, *DETAILS])),
)
locks = st.one_of(
    st.none(),
    st.builds(
        wire.Lock,
        id=st.just("l"),
        when=st.just("now"),
        reason=names,
        back=st.one_of(st.none(), names, st.dates().map(str)),
    ),
)


amounts = st.decimals(min_value=0, max_value=10**9, allow_nan=False, places=8)
currencies = st.sampled_from(["EUR", "USD", "XAF", "£€{"])
digits = st.integers(min_value=0, max_value=4)
money = st.one_of(
    st.none(),
    names,
    st.builds(Rate, st.one_of(st.none(), amounts), amounts, digits, currencies, st.booleans(), amounts),
    st.builds(Cost, st.integers(min_value=0, max_value=10**20), digits, currencies, st.sampled_from(Certainty)),
)


@given(signals, names, st.sampled_from(SPOKEN), st.sampled_from(vocabulary.Mode), locks, money)
def test_every_message_fits_in_every_language_with_any_name_machine_time_and_price(
    signal, machine, lang, mode, lock, money
):
    fits(notice(signal, machine, lang=lang, mode=mode, lock=lock, money=money))


@pytest.mark.parametrize("lang", SPOKEN)
def test_no_text_is_longer_than_the_display_before_anything_is_filled_in(lang):
    texts = [for_language(lang).gettext(text).split("\n") for text in TEXTS.values()]
    assert [lines for lines in texts if len(lines) > LINES] == []
    for line in chain(*texts):
        places = [name for _, name, _, _ in Formatter().parse(line) if name]
        fixed = len(line.format_map(dict.fromkeys(places, "")))
        # One digit for a reference, and at least six characters of a name, a machine or a reason.
        room = {"ref": 1, "n": 4, "left": 5, "clock": 5, "dd": 2, "mm": 2, "day": 2, "month": 9}
        assert fixed + sum(room.get(name, 6) for name in places) <= COLUMNS, line


@pytest.mark.parametrize("lang", SPOKEN)
def test_no_text_has_a_character_that_only_some_displays_have(lang):
    texts = [*TEXTS.values(), *MONTHS, *LOCK_REASONS, RETIRED]
    letters = set("".join(for_language(lang).gettext(text) for text in texts)) - {"\n"}
    assert {char for char in letters if not char.isascii() and not char.isalpha()} == set()


@pytest.mark.parametrize("lang", SPOKEN)
def test_nothing_ever_says_that_the_machine_is_safe(lang):
    said = " ".join(for_language(lang).gettext(text) for text in TEXTS.values()).lower()
    assert not {"safe", "voltage", "sûr", "tension", "sans danger"} & set(said.replace("\n", " ").split())


# --- the two languages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_text_has_a_translation_and_every_translation_a_text(lang):
    wanted = {*TEXTS.values(), *MONTHS, *LOCK_REASONS, RETIRED}
    found = catalogue(lang)
    assert wanted - found.keys() == set(), "translate these in fabgate/locale"
    assert found.keys() - wanted == {""}, "nothing says these any more"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_translation_uses_only_places_that_are_filled_in(lang):
    for source, target in catalogue(lang).items():
        known = places(source) | ({"dd", "mm"} if "{day}" in source else set())
        assert places(target) <= known, source
        assert "{day}" in source or places(target) == places(source), source


@pytest.mark.parametrize("lang", LANGUAGES)
def test_gettext_reads_what_was_compiled_in_memory(lang):
    for source, target in catalogue(lang).items():
        if source:
            assert CATALOGUES[lang].gettext(source) == target
    assert CATALOGUES[lang].info()["language"] == lang


def test_the_languages_of_the_catalogues_are_those_that_the_configuration_knows():
    assert get_args(get_type_hints(Config, include_extras=True)["lang"]) == SPOKEN


@pytest.mark.parametrize(
    ("wanted", "default", "hello"),
    [
        ("fr", "en", "Bonjour"),
        ("FR", "en", "Bonjour"),
        ("fr-CH", "en", "Bonjour"),
        ("fr_FR.UTF-8", "en", "Bonjour"),
        ("en", "fr", "Hello"),
        ("de", "fr", "Bonjour"),
        (None, "fr", "Bonjour"),
        ("", "en", "Hello"),
        ("../../etc", "en", "Hello"),
        ("de", "it", "Hello"),
    ],
)
def test_a_person_is_spoken_to_in_their_language_else_in_that_of_the_place(wanted, default, hello):
    assert shown(KIND.GO, name="Ada", lang=wanted, site=default)[0] == f"{hello} Ada"


def test_read_po_knows_comments_long_texts_fuzzy_and_unfinished_entries():
    text = (
        '# a comment\nmsgid ""\nmsgstr ""\n"Language: xx\\n"\n\n'
        '#. extracted\nmsgid "one"\nmsgstr "un"\nmsgid "two \\"q\\""\nmsgstr ""\n"de"\n"ux"\n'
        '#, fuzzy\nmsgid "three"\nmsgstr "trois?"\n\nmsgid "four"\nmsgstr ""\n\n'
        '#, python-brace-format\nmsgid ""\n"li"\n"ne\\n"\nmsgstr "ligne\\n"'
    )
    assert read_po(text) == {"": "Language: xx\n", "one": "un", 'two "q"': "deux", "line\n": "ligne\n"}


@pytest.mark.parametrize("text", ["hello", 'msgid "a', "msgid a", 'msgfoo "c"'])
def test_read_po_refuses_what_it_does_not_know(text):
    with pytest.raises(ValueError, match="wanted msgctxt, msgid, msgstr or a comment"):
        read_po(text)


def test_a_language_that_cannot_be_read_is_left_out_and_said(monkeypatch, caplog):
    monkeypatch.setattr(translations, "LANGUAGES", ("xx",))
    assert list(translations._load()) == ["en"]
    assert "this language is not available" in caplog.text


# --- the ten messages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal", "french", "english"),
    [
        (
            {"kind": KIND.GO, "name": "Ada"},
            ("Bonjour Ada", "Laser 1 : à vous", "0:00", "Fin : repassez badge"),
            ("Hello Ada", "Laser 1 is yours", "0:00", "To stop: tap again"),
        ),
        (
            {"kind": KIND.ENDED, "ms": 12 * 60_000, "reasons": ("badge",)},
            ("Session terminée", "12 min", "Nettoyez le poste"),
            ("Session ended", "12 min", "Please clean up"),
        ),
        (
            {"kind": KIND.REFUSED, "reasons": ("training-missing",)},
            ("Accès refusé", "Formation Laser 1", "manquante : voyez", "un encadrant"),
            ("Not allowed", "Laser 1 training", "missing: ask a", "supervisor"),
        ),
        (
            {"kind": KIND.REFUSED, "reasons": ("unknown-badge",)},
            ("Badge inconnu", "Allez à l'accueil"),
            ("Unknown badge", "Go to the desk"),
        ),
        (
            {"kind": KIND.MISREAD, "detail": "torn"},
            ("Badge mal lu", "Une seule carte,", "à plat, 1 seconde"),
            ("Badge not read", "One card only,", "flat, 1 second"),
        ),
        (
            {"kind": KIND.REFUSED, "reasons": ("badge-blocked",)},
            ("Accès impossible", "Merci de passer", "à l'accueil (réf. 7)"),
            ("No access now", "Please go to the", "desk (ref. 7)"),
        ),
        (
            {"kind": KIND.WARNING, "ms": 120_000},
            ("Arrêt dans 2:00", "Pour continuer :", "repassez le badge"),
            ("Stops in 2:00", "To continue:", "tap your badge"),
        ),
        (
            {"kind": KIND.WARNING, "ms": 90_000, "detail": "closing", "reasons": ("outside-hours",)},
            ("Ferme dans 1:30", "Temps épuisé :", "terminez votre pièce"),
            ("Closing in 1:30", "No more time:", "please finish"),
        ),
        (
            {"kind": KIND.WARNING, "ms": 90_000, "detail": "closing", "reasons": ("expired",)},
            ("Votre accès finit", "dans 1:30", "Temps épuisé :", "terminez votre pièce"),
            ("Your access ends", "in 1:30", "No more time:", "please finish"),
        ),
        (
            {"kind": KIND.WARNING, "ms": 90_000, "detail": "deadline", "reasons": ("outside-hours",)},
            ("L'atelier ferme", "Arrêt dans 1:30", "Pour arrêter :", "repassez le badge"),
            ("Closing time", "Stops in 1:30", "To stop now:", "tap again"),
        ),
        (
            {"kind": KIND.WARNING, "ms": 90_000, "detail": "deadline", "reasons": ("lock-idle",)},
            ("Machine verrouillée", "Arrêt dans 1:30", "Pour arrêter :", "repassez le badge"),
            ("Machine locked", "Stops in 1:30", "To stop now:", "tap again"),
        ),
        (
            {
                "kind": KIND.WARNING,
                "ms": 90_000,
                "detail": "deadline",
                "reasons": ("training-expired",),
                "mode": vocabulary.Mode.HOLD,
            },
            ("Accès terminé", "Arrêt dans 1:30", "Pour arrêter :", "retirez le badge"),
            ("Your access ended", "Stops in 1:30", "To stop now:", "remove your badge"),
        ),
        (
            {"kind": KIND.FINISHING, "ms": 90_000, "detail": "asks-again"},
            ("Encore en marche", "Pour éteindre :", "badge ou bouton", "encore une fois"),
            ("Still running", "To switch off:", "tap or press again"),
        ),
        (
            {"kind": KIND.SUPERVISOR, "ms": 30_000},
            ("Encadrant requis", "Passez son badge", "Encore 0:30"),
            ("Supervisor needed", "Tap their badge", "within 0:30"),
        ),
    ],
)
def test_the_messages_are_those_of_the_design(signal, french, english):
    assert shown(lang="fr", **signal) == french
    assert shown(lang="en", **signal) == english


def test_a_power_cut_is_told_in_the_language_of_the_place():
    assert power_was_cut().lines == ("Power was cut", "Session ended", "Check the machine", "then tap again")
    french = power_was_cut("fr")
    assert french.lines == ("Coupure de courant", "Session terminée", "Vérifiez la machine", "puis repassez badge")
    assert french.light == "amber"
    fits(french)


LOCK = wire.Lock(id="l-1", when="now", reason="Courroie cassée", back="2027-03-14")


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        ({"kind": KIND.BLOCKED, "reasons": (vocabulary.Cause.LOCK_NOW,), "detail": "old"}, "Out of service"),
        ({"kind": KIND.BLOCKED, "reasons": (vocabulary.Cause.LOCK_AFTER_JOB,)}, "Out of service"),
        ({"kind": KIND.REFUSED, "reasons": ("blocked-lock-now", "expired")}, "Out of service    +1"),
    ],
)
def test_a_locked_machine_shows_the_managers_reason_and_the_day_it_is_expected_back(signal, expected):
    assert shown(lock=LOCK, **signal) == (expected, "Courroie cassée", "Do not use", "Back: 14 March")


def test_the_day_is_written_as_it_is_in_french():
    lines = shown(KIND.BLOCKED, reasons=(vocabulary.Cause.LOCK_NOW,), lock=LOCK, site="fr")
    assert lines == ("Verrouillée", "Courroie cassée", "Ne pas utiliser", "Retour : 14/03")


@pytest.mark.parametrize(
    ("lock", "lines"),
    [
        (wire.Lock(id="l", when="now", reason="", back=None), ("Locked by staff", "Do not use")),
        (
            wire.Lock(id="l", when="now", reason="The belt is torn, a new one is on its way", back=None),
            ("The belt is torn, a", "new one is on its…", "Do not use"),
        ),
        (
            wire.Lock(id="l", when="now", reason="The belt is torn, a new one", back="next week"),
            ("The belt is torn, a…", "Do not use", "Back: next week"),
        ),
        (
            wire.Lock(id="l", when="now", reason="Belt", back="2027-03-14T08:00:00Z"),
            ("Belt", "Do not use", "Back: 14 March"),
        ),
    ],
)
def test_a_lock_is_told_as_far_as_it_is_known(lock, lines):
    assert shown(KIND.BLOCKED, reasons=(vocabulary.Cause.LOCK_AFTER_JOB,), lock=lock) == ("Out of service", *lines)


def test_a_lock_that_only_the_signal_knows_is_told_by_its_reason():
    assert shown(KIND.BLOCKED, reasons=(vocabulary.Cause.LOCK_NOW,), detail="Belt") == (
        "Out of service",
        "Belt",
        "Do not use",
    )


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_every_reason_that_the_rules_and_the_wire_know_has_its_own_words():
    of_rules = {
        value
        for name, value in vars(access).items()
        if name.isupper() and isinstance(value, str) and not name.startswith("_")
    }
    causes = {access.blocked_by(cause) for cause in vocabulary.Cause}
    assert of_rules | causes | {"start-timeout", "training-missing"} <= PUBLIC
    general = shown(KIND.REFUSED, reasons=("some-new-reason",))
    for reason in PUBLIC:
        assert shown(KIND.REFUSED, reasons=(reason,)) != general, reason


@pytest.mark.parametrize("reason", [*REFERENCES, "some-new-reason", "", "owes-us-300-euros"])
@pytest.mark.parametrize("lang", SPOKEN)
def test_money_discipline_and_what_nobody_knows_are_between_the_member_and_the_desk(reason, lang):
    lines = shown(KIND.REFUSED, reasons=(reason,), lang=lang)
    number = REFERENCES.get(reason, OTHER_REFERENCE)
    title, see = {"en": ("No access now", "desk (ref."), "fr": ("Accès impossible", "à l'accueil (réf.")}[lang]
    assert lines[0] == title
    assert lines[-1] == f"{see} {number})"
    assert not reason or reason not in " ".join(lines)


def test_references_are_one_digit_and_one_reason_each():
    numbers = [*REFERENCES.values(), OTHER_REFERENCE]
    assert len(set(numbers)) == len(numbers)
    assert all(1 <= number <= 9 for number in numbers)


def test_the_worst_reason_is_told_and_the_others_are_counted():
    assert shown(KIND.REFUSED, reasons=("expired", "outside-hours", "suspended"))[0] == "Not allowed       +2"
    assert shown(KIND.REFUSED, reasons=("expired",))[0] == "Not allowed"
    assert shown(KIND.REFUSED, reasons=("suspended", *["x"] * 12), lang="fr")[0] == "Accès impossible +12"
    assert shown(KIND.REFUSED, reasons=("supervisor-needed", "expired"))[0] == "Supervisor needed +1"


@pytest.mark.parametrize("cause", vocabulary.Cause)
@pytest.mark.parametrize("lang", SPOKEN)
def test_a_block_is_told_alike_when_it_arises_and_when_it_refuses(cause, lang):
    told = shown(KIND.BLOCKED, reasons=(cause,), site=lang)
    assert told == shown(KIND.REFUSED, reasons=(access.blocked_by(cause),), lang=lang)
    in_french = "Verrouillée" if cause.startswith("lock") else "Hors service"
    assert told[0] == {"en": "Out of service", "fr": in_french}[lang]


def test_a_block_without_a_reason_is_told_by_its_detail():
    assert shown(KIND.BLOCKED, detail="journal")[1:] == ("Nothing can be", "recorded: go to", "the desk")
    assert shown(KIND.BLOCKED, detail="something new") == ("Out of service", "Go to the desk")


# --- the rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KIND)
def test_every_signal_has_a_light_and_all_but_idle_say_something(kind):
    told = notice(vocabulary.Signal(kind), "Laser 1")
    assert told.light
    assert bool(told.lines) is (kind is not KIND.FREE)


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0 s"), (999, "0 s"), (45_000, "45 s"), (59_999, "59 s"), (60_000, "1 min"), (754_000, "12 min"), (-5, "0 s")],
)
def test_time_is_told_in_minutes_and_below_one_in_seconds(ms, text):
    assert shown(KIND.ENDED, ms=ms)[1] == text


@pytest.mark.parametrize("reason", vocabulary.EndReason)
@pytest.mark.parametrize("lang", SPOKEN)
def test_an_end_that_its_member_did_not_choose_says_why(reason, lang):
    lines = shown(KIND.ENDED, ms=60_000, reasons=(reason,), lang=lang)
    own = reason in ("badge", "button", "removed", "handover", "cancelled", "start-timeout")
    afterwards = reason in ("power-loss", "journal-lost")  # nobody stands there when these are found
    assert len(lines) == (3 if own or afterwards else 4)


def test_a_session_with_a_limit_says_how_long_it_may_last():
    assert shown(KIND.GO, name="Ada", ms=7_200_000)[2] == "0:00 of 120 min"


def test_the_clock_of_a_session_counts_up_from_power_on_and_that_of_a_warning_down():
    go = notice(vocabulary.Signal(KIND.GO, "Ada", ms=7_200_000), "Laser 1", boot_ms=95_000, since_ms=5_000)
    assert go.lines[2] == "1:30 of 120 min"
    assert go.lines_at(95_999)[2] == "1:30 of 120 min"
    assert go.lines_at(3_605_000) == ("Hello Ada", "Laser 1 is yours", "1:00:00 of 120 min", "To stop: tap again")
    warning = notice(vocabulary.Signal(KIND.WARNING, lang="fr", ms=120_000), "Laser 1", boot_ms=1_000)
    assert warning.lines_at(61_001)[0] == "Arrêt dans 0:59"
    assert warning.lines_at(10**9)[0] == "Arrêt dans 0:00"
    for kind, detail, line in (
        (KIND.RUN_ON, "", "Stops in 0:59"),
        (KIND.SUPERVISOR, "", "within 0:59"),
        (KIND.FINISHING, vocabulary.UNFELT, "At most 0:59"),
    ):
        found = notice(vocabulary.Signal(kind, ms=120_000, detail=detail), "Laser 1", boot_ms=1_000)
        assert line in found.lines_at(61_001)
    priced = notice(
        vocabulary.Signal(KIND.GO, "Ada", ms=7_200_000),
        "Laser 1",
        money=Rate(Decimal("0.2"), Decimal(0), 2, "EUR", minimum=Decimal(1)),
    )
    for ms in (0, 600_000, 7_200_000):
        line = priced.lines_at(ms)[1]
        assert line.endswith(" €0.20/min")
        assert len(line.replace("€", "EUR")) == COLUMNS


@given(st.integers(-1_000, 10**12), st.booleans())
def test_a_clock_says_when_its_text_changes(ms, is_down):
    clock = Clock(0, 10**11, is_down)
    pause_ms = clock.changes_in_ms(ms)
    if pause_ms is None:
        assert clock.text(ms) == clock.text(10**13) == "0:00"
    elif ms >= 0:
        assert 0 < pause_ms <= 1_001
        assert clock.text(ms + pause_ms - 1) == clock.text(ms)


def test_where_the_card_stays_the_member_is_told_to_take_it():
    assert shown(KIND.GO, name="Ada", mode=vocabulary.Mode.HOLD)[-1] == "To end: remove badge"


@pytest.mark.parametrize(
    ("detail", "line"),
    [
        ("two-cards", "Two cards at once:"),
        ("random-uid", "No phone, no card"),
        ("lying", "then tap again"),
        ("x", "One card only,"),
    ],
)
def test_a_card_that_is_no_badge_is_told_what_it_is(detail, line):
    assert shown(KIND.MISREAD, detail=detail)[1] == line


def test_a_flag_asks_for_what_it_will_be():
    assert shown(KIND.FLAG_ASK, detail=vocabulary.FlagKind.REPORT)[0] == "Report a defect:"
    assert shown(KIND.FLAG_ASK, detail=vocabulary.FlagKind.DANGER)[0] == "Report a danger:"


def test_a_danger_is_not_confirmed_as_a_defect():
    assert shown(KIND.FLAGGED, detail=vocabulary.FlagKind.REPORT)[1] == "The defect is"
    assert shown(KIND.FLAGGED, detail=vocabulary.FlagKind.DANGER)[1] == "The danger is"
    assert shown(KIND.FLAGGED, detail=vocabulary.FlagKind.DANGER, lang="fr")[1] == "Le danger est"


def test_long_names_are_cut_and_the_sentence_stays():
    lines = shown(KIND.GO, name="Éléonore-Bernadette", lang="fr", machine="Découpe laser grand format")
    assert lines == ("Bonjour Éléonore-Be…", "Découpe la… : à vous", "0:00", "Fin : repassez badge")


def test_a_name_with_braces_and_line_breaks_is_only_a_name():
    assert shown(KIND.GO, name="{0}\n{x.y}")[0] == "Hello {0} {x.y}"


def catalogue(lang: str) -> dict[str, str]:
    file = translations.files("fabgate").joinpath("locale", lang, "LC_MESSAGES", "fabgate.po")
    return read_po(file.read_text(encoding="utf-8"))


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_where_nobody_feels_a_job_its_member_is_told_how_to_end_it_and_until_when():
    told = {"ms": 40 * 60_000, "detail": vocabulary.UNFELT}
    assert shown(KIND.FINISHING, **told) == ("Please finish", "At most 40:00", "When you are done:", "tap again")
    assert shown(KIND.FINISHING, mode=vocabulary.Mode.HOLD, **told)[-1] == "remove your badge"
    assert shown(KIND.FINISHING, lang="fr", **told)[1] == "Encore 40:00 max"
    assert shown(KIND.FINISHING, ms=40 * 60_000)[0] == "Job is running"


@pytest.mark.parametrize("reason", LOCK_REASONS)
def test_a_lock_for_one_of_our_reasons_is_read_in_ones_own_language(reason):
    lock = wire.Lock(id="l", when="idle", reason=reason)
    blocked = {"lock": lock, "reasons": ("lock-idle",)}
    english, french = (shown(KIND.BLOCKED, site=site, **blocked) for site in ("en", "fr"))
    assert " ".join(english[1:-1]) == reason
    assert " ".join(french[1:-1]) == for_language("fr").gettext(reason)
    own = wire.Lock(id="l", when="idle", reason="La courroie")
    assert shown(KIND.BLOCKED, lock=own, reasons=("lock-idle",))[1] == "La courroie"
