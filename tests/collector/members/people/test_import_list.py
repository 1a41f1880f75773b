"""Importing members from a file as people and spreadsheets write it."""

from __future__ import annotations

import argparse
import codecs
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fabgate import badge, translations
from fabgate.collector.cli import people
from fabgate.collector.ground.models import Badge, Change, Group, Machine, Member, Plan
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import blocks
from fabgate.collector.members.people.import_list import file as members_file
from fabgate.collector.members.people.import_list import rows as members_rows
from fabgate.collector.members.people.import_list import store
from fabgate.collector.members.people.import_list.columns import MEMBERS
from fabgate.collector.money.billing import member_plans
from fabgate.errors import FabgateError, UsageError
from tests.collector.members.people.lists import HEADER, import_, write
from tests.collector.paying import organisation
from tests.collector.rosters import served

pytestmark = pytest.mark.usefixtures("env")


def mistakes(path: Path, text: str | bytes) -> list[str]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError) as caught:
        members_file.read(path)
    return [line.removeprefix(f"{path}, ") for line in str(caught.value).splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "m.csv"


@pytest.fixture
def ada(gate, told, file) -> Member:
    """A member of whom everything is known."""
    import_(file, f"{HEADER}\nm-1,Ada Lovelace,04A1B2C3,fr,supervisor,2027-03-01,laser\n")
    told.clear()
    return Member.objects.get()


def everything(member: Member) -> dict[str, object]:
    member.refresh_from_db()
    return {
        "name": member.name,
        "badges": list(Badge.objects.filter(member=member, ended_at=None).values_list("spelling", flat=True)),
        "lang": member.lang,
        "level": member.level,
        "valid_until": member.valid_until,
        "machines": sorted(machine.name for machine in member.machines.all()),
    }


def test_a_file_of_members_is_imported_and_every_roster_rebuilt(env, gate, told, file):
    write(
        file,
        "m-1,Ada Lovelace,04:A1:B2:C3; dec:0077705924,fr,supervisor,2027-03-01,laser",
        'm-2,"Bob, the builder",04A1B2C3D4E5F6,,,,',
    )
    people.import_members(argparse.Namespace(file=str(file), dates="", plans_from=None, sure=False, new=None))
    found = served(gate)
    assert [(member.id, member.level, len(member.badges)) for member in found.members] == [("m-1", "supervisor", 2)]
    assert [refusal.id for refusal in found.refusals] == ["m-2"]
    assert len(told) == 1
    # The same file again changes nothing; two members may swap their badges.
    people.import_members(argparse.Namespace(file=str(file), dates="", plans_from=None, sure=False, new=None))
    people.import_members(
        argparse.Namespace(
            file=str(write(file, "m-1,Ada,04A1B2C3D4E5F6,,,,", "m-2,Bob,04A1B2C3,,,,laser")),
            dates="",
            plans_from=None,
            sure=False,
            new=None,
        )
    )
    carried = Badge.objects.filter(ended_at=None)
    assert dict(carried.values_list("spelling", "member")) == {"04A1B2C3D4E5F6": "m-1", "04A1B2C3": "m-2"}


@pytest.mark.parametrize(
    ("column", "cell", "stored", "cleared"),
    [
        ("name", "Zoé", "Zoé", ""),
        ("badges", "04A1B2C4", ["04A1B2C4"], []),
        ("lang", "EN", "en", "en"),
        ("level", "maintainer", "maintainer", "user"),
        ("valid_until", "2028-01-01", date(2028, 1, 1), None),
        ("machines", "saw", ["saw"], []),
    ],
)
def test_an_absent_column_leaves_what_is_stored_alone_and_an_empty_cell_clears(
    ada, file, column, cell, stored, cleared
):
    Machine.objects.create(name="saw")
    before = everything(ada)
    import_(file, f"id,{column}\nm-1,{cell}\n")
    assert everything(ada) == {**before, column: stored}
    import_(file, f"id,{column}\nm-1,\n")
    assert everything(ada) == {**before, column: cleared}


#: A cell of each column, and what is stored of it.
CELLS = {
    "name": ("Zoé", "Zoé"),
    "badges": ("04A1B2C4", ["04A1B2C4"]),
    "lang": ("en", "en"),
    "level": ("maintainer", "maintainer"),
    "valid_until": ("2028-01-01", date(2028, 1, 1)),
    "machines": ("saw", ["saw"]),
    "email": ("ada@example.org", "ada@example.org"),
    "category": ("school", "school"),
    "plan": ("student", "student"),
    "payer": ("m-2", "m-2"),
    "minor": ("yes", True),
    "joined_on": ("2020-02-01", date(2020, 2, 1)),
}


@pytest.mark.parametrize("column", sorted(set(MEMBERS.names) - {"id", "first_name"}))
def test_each_column_is_stored_and_each_text_has_a_limit(ada, file, column):
    assert column in CELLS, "add a cell of this column to CELLS; CONTRIBUTING.md has the steps for a field"
    Machine.objects.create(name="saw")
    Plan.objects.create(name="student")
    Member.objects.create(id="m-2", name="Bob")
    cell, stored = CELLS[column]
    import_(file, f"id,{column}\nm-1,{cell}\n")
    ada.refresh_from_db()
    found = {**everything(ada), "plan": member_plans.plans_on(blocks.today()).get("m-1"), "payer": ada.payer_id}
    assert found.get(column, getattr(ada, column, None)) == stored
    if isinstance(stored, str):
        (mistake,) = mistakes(file, f"id,{column}\nm-1,{'x' * 10_000}\n")
        assert len(mistake) < 300


def test_whoever_is_new_has_the_workshops_language_where_the_file_says_none(env, ada, gate, file, monkeypatch):
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(env, lang="fr"))
    Member.objects.update(lang="en")
    import_(file, "id,badges\nm-1,04A1B2C3\nm-2,04A1B2C4\n")
    assert dict(Member.objects.values_list("id", "lang")) == {"m-1": "en", "m-2": "fr"}
    import_(file, "id,lang,badges\nm-1,,04A1B2C3\nm-2,EN,04A1B2C4\n")
    assert dict(Member.objects.values_list("id", "lang")) == {"m-1": "fr", "m-2": "en"}


def test_a_groups_badge_is_spoken_to_in_the_workshops_language(env, gate, monkeypatch):
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(env, lang="fr"))
    closed, opened = (Group.objects.create(name=name, kind="class") for name in ("5b", "6a"))
    opened.machines.add(gate.machine)
    for number, group in enumerate((closed, opened, closed)):
        Badge.objects.create(spelling=f"04A1B2C{number}", digest=f"{number}", group=group)
    Badge.objects.get(digest="2").end(Badge.LOST, "eve", datetime.now(UTC))
    roster.rebuild()
    found = served(gate)
    assert [member.lang for member in found.members] == ["fr"]
    assert [(refusal.reasons, refusal.lang) for refusal in found.refusals] == [
        (["training-missing"], "fr"),
        (["badge-lost"], "fr"),
    ]


def test_a_file_of_ids_alone_changes_nobody(ada, file):
    before = everything(ada)
    import_(file, "id\nm-1\n")
    assert everything(ada) == before


def test_new_members_of_a_file_without_badges_are_added_once_they_are_counted(ada, file, capsys):
    list_ = "numéro,prénom,nom\nm-1,Ada,King\nm-11,Ada,\nzzz,Zoé,M.\n"
    lines = [
        "line 3: 'm-11' (Ada) is not a member yet",
        "line 4: 'zzz' (Zoé M.) is not a member yet",
        "found that 2 people are new; if they are not mistyped, add --new 2",
    ]
    for counted in (None, 1, 3):
        with pytest.raises(UsageError) as caught:
            import_(file, list_, new=counted)
        assert str(caught.value).splitlines() == lines
        assert Member.objects.get().name == "Ada Lovelace"
    import_(file, list_, new=2)
    assert dict(Member.objects.values_list("id", "name")) == {"m-1": "Ada King", "m-11": "Ada", "zzz": "Zoé M."}
    assert "3 members imported (2 new)" in capsys.readouterr().out
    with pytest.raises(UsageError, match="leave out --new"):
        import_(file, list_, new=2)


def test_new_members_who_have_the_name_of_a_member_are_named(ada, file, capsys):
    note = "line 2: lovelace ADA is new with the number '1', and already a member with m-1"
    with pytest.raises(UsageError) as caught:
        import_(file, "id,name\n1,lovelace ADA\n")
    assert note in str(caught.value).splitlines()
    import_(file, "id,name,badges\n1,lovelace ADA,\n")
    assert f"note: {note}" in capsys.readouterr().err.splitlines()
    import_(file, "id,name,badges\n1,lovelace ADA,\n")
    assert "already a member" not in capsys.readouterr().err


def test_an_unknown_id_without_a_name_is_wrong_and_another_members_id_is_not_suggested(ada, file):
    assert mistakes(file, "id,name\nm-11,\nM-1,\n") == [
        "line 2: id: no member 'm-11'; to add this person, fill in the name",
        "line 3: id: no member 'M-1'; did you mean 'm-1'?",
    ]


def test_it_says_how_many_are_new_and_who_was_told(ada, file, capsys):
    import_(file, "id,badges\nm-1,04A1B2C3\nm-2,04A1B2C4;em-hex:0A00B1C2D3;number10:0012345678;w34-hex:007BB26E\n")
    assert capsys.readouterr().out.splitlines()[-1] == "2 members imported (1 new) with 5 badges; laser-1 notified"
    held = set(Badge.objects.filter(member="m-2").values_list("spelling", flat=True))
    assert held == {"04A1B2C4", "em-hex:0A00B1C2D3", "number10:0012345678", "w34-hex:007BB26E"}
    import_(file, "id,name\nm-1,Ada\n")
    assert capsys.readouterr().out == "1 member imported (0 new); laser-1 notified\n"


# --- as spreadsheets write it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(("separator", "machines"), [(",", "laser;saw"), (";", '"laser;saw"'), ("\t", "laser; saw")])
def test_every_separator_and_encoding_of_a_spreadsheet_is_read(gate, told, file, capsys, encoding, separator, machines):
    Machine.objects.create(name="saw")
    capsys.readouterr()
    rows = (("id", "name", "badges", "machines"), ("m-1", "Zoé", "04A1B2C3", machines), ("", "", "", ""))
    import_(file, "\r\n".join(map(separator.join, rows)).encode(encoding))
    found = everything(Member.objects.get())
    assert (found["name"], found["badges"], found["machines"]) == ("Zoé", ["04A1B2C3"], ["laser", "saw"])
    notes = capsys.readouterr().err.splitlines()
    assert notes == (
        [
            f"note: {file}: the file is not UTF-8 and was read as Windows-1252 (Latin-1): check that the accents are right"
        ]
        if encoding == "cp1252"
        else []
    )


def test_columns_may_be_named_in_french_and_in_capitals(gate, told, file):
    import_(
        file,
        "Identifiant;NOM;Badge;Langue;Niveau;Valable jusqu'au;Machine\nm-1;Zoé;04A1B2C3;FR;user;2027-03-01;laser\n",
    )
    assert everything(Member.objects.get()) == {
        "name": "Zoé",
        "badges": ["04A1B2C3"],
        "lang": "fr",
        "level": "user",
        "valid_until": date(2027, 3, 1),
        "machines": ["laser"],
    }


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"PK\x03\x04rest of a workbook", "cannot be read as a workbook; save it again, or as 'CSV UTF-8'"),
        (b"id,name\nm-1,\x81\n", "line 2: found bytes that are not UTF-8, UTF-16 or Windows-1252 text"),
        (codecs.BOM_UTF16_LE + b"i", "line 1: found bytes"),
        (b'id,name\nm-1,"Ada\n', "line 2: cannot be read as CSV"),
        (b"", "line 1: the column 'id' is missing"),
    ],
)
def test_what_is_no_csv_is_refused_with_what_to_do(file, raw, expected):
    assert expected in mistakes(file, raw)[0]


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_every_mistake_is_named_by_its_line_and_nothing_is_imported(env, gate, file):
    Badge.objects.create(spelling="04A1B2C4", digest="x", member=Member.objects.create(id="m-0"))
    write(
        file,
        "m-1,Ada,04A1B2C3,,,,laser",
        "m-2,Bob,04:a1:b2:c3,,,,",
        "m-2,Bob,08A1B2C3,,,,",
        "m-3,Eve,04A1B2C4,de,boss,March 2027,lathe",
        "m-4,Zoe,12345678901;number10:345;em-hex:0A00B1C2D3,,,,",
        ",Nobody,,,,,",
        "m-5,short",
        "shorter",
    )
    with pytest.raises(UsageError) as caught:
        members_file.read(file)
    lines = [line.removeprefix(f"{file}, ") for line in str(caught.value).splitlines()]
    found = [(line.split(":")[0], line.split(":")[1].strip()) for line in lines]
    assert [where for where, _what in found] == sorted(where for where, _what in found), "in one run of lines"
    assert sorted(found) == [
        ("line 3", "badges"),
        ("line 4", "badges"),
        ("line 4", "id"),
        ("line 5", "badges"),
        ("line 5", "lang"),
        ("line 5", "level"),
        ("line 5", "machines"),
        ("line 5", "valid_until"),
        ("line 6", "badges"),
        ("line 6", "badges"),
        ("line 7", "id"),
        ("line 8", "found 2 fields, wanted 7, one for each column; put a field that contains a ',' in quotes"),
        ("line 9", "found 1 field, wanted 7, one for each column; put a field that contains a ',' in quotes"),
    ]
    assert "random UID" in str(caught.value)
    wanted = "found 'number10:345', wanted a badge with all its digits, such as number10:0012345678"
    assert f"line 6: badges: {wanted}" in str(caught.value)
    assert "lang: found 'de', wanted one of en, fr" in str(caught.value)
    with pytest.raises(FabgateError):
        people.import_members(argparse.Namespace(file=str(file), dates="", plans_from=None, sure=False, new=None))
    assert Member.objects.count() == 1


def test_wrong_columns_are_named_with_what_was_meant(file):
    others = (
        "name, first_name, badges, lang, level, valid_until, machines, email, category, plan, payer, minor, joined_on"
    )
    assert mistakes(file, "machins,name,nom,colour\n") == [
        "line 1: unknown column 'machins'; did you mean 'machines'?",
        "line 1: the column 'name' appears twice",
        f"line 1: unknown column 'colour'; possible columns: id, {others}",
        f"line 1: the column 'id' is missing; add it, and any of these that you need: {others}",
    ]


def test_who_pays_is_a_member_or_on_a_line_of_the_file_and_an_empty_cell_means_they_themselves(ada, file):
    rows = ("m-1,04A1B2C3,m-1", "m-2,,m-9", "m-3,,m-1", "m-9,,")
    import_(file, "\n".join(("id,badges,payé par", *rows)))
    paid = dict(Member.objects.values_list("pk", "payer"))
    assert paid == {"m-1": None, "m-2": "m-9", "m-3": "m-1", "m-9": None}
    import_(file, "id,name\nm-2,Bob\n")
    assert Member.objects.get(pk="m-2").payer_id == "m-9"
    import_(file, "id,payer\nm-2,\n")
    assert Member.objects.get(pk="m-2").payer_id is None
    changed = Change.objects.filter(key="m-2").latest("id")
    assert (changed.before, changed.after) == ({"payer": "m-9"}, {"payer": None})
    assert {change.key for change in Change.objects.filter(verb="payer.added")} == {"m-1", "m-9"}


def test_an_organisation_pays_by_its_number_or_its_name(ada, file):
    organisation("Université Lumière", 1)
    organisation("Lycée Ampère", 2)
    import_(file, "id,badges,payer\nm-2,,payer:2\nm-3,,UNIVERSITE  lumiere\n")
    paid = dict(Member.objects.values_list("pk", "payer"))
    assert (paid["m-2"], paid["m-3"]) == ("payer:2", "payer:1")
    assert not Change.objects.filter(verb="payer.added")


def test_an_organisation_that_is_ended_or_one_of_two_with_that_name_is_refused(ada, file):
    for number, name, ended_on in (
        (1, "Lycée", None),
        (2, "lycee", None),
        (3, "Old", date(2026, 3, 1)),
        (4, "Same", date(2026, 3, 1)),
        (5, "Same", None),
    ):
        organisation(name, number, ended_on=ended_on)
    assert mistakes(file, "id,badges,payer\nm-2,,LYCÉE\nm-3,,old\nm-4,,payer:3\nm-5,,payer:4\nm-6,,Lycées\n") == [
        "line 2: payer: several organisations are called 'LYCÉE'; enter one of these ids: payer:1, payer:2",
        "line 3: payer: 'Old' was closed on 2026-03-01; reopen it first, or enter another payer",
        "line 4: payer: 'Old' was closed on 2026-03-01; reopen it first, or enter another payer",
        "line 5: payer: 'Same' was closed on 2026-03-01; reopen it first, or enter another payer",
        "line 6: payer: no member or organisation 'Lycées'; did you mean 'Lycée'?",
    ]
    import_(file, "id,badges,payer\nm-2,,same\n")
    assert Member.objects.get(pk="m-2").payer_id == "payer:5"


def test_a_payer_who_is_no_member_is_named_by_line_with_what_to_do(ada, file):
    assert mistakes(file, "id,badges,payer\nm-7,,M-1\nm-8,,ecole-du-rhone\nm-9,,m-8\n") == [
        "line 2: payer: no member or organisation 'M-1'; did you mean 'm-1'?",
        (
            "line 3: payer: no member or organisation 'ecole-du-rhone'; enter a member's number or an organisation's"
            " name, or add a line for this payer"
        ),
        "line 4: payer: 'm-8' is not a member yet, and the row that would add them has errors",
    ]


@pytest.mark.parametrize("head", ["id,badges,payer\n{0},,m-1{1}", "id,name\nm-1{1},"])
def test_of_many_ids_that_nobody_has_the_first_are_guessed_at_and_all_are_named(ada, file, head):
    names, row = head.split("\n")
    letters = [a + b for a in "abcdefg" for b in "uvwxyz"][:40]
    said = mistakes(file, "\n".join((names, *(row.format(100 + n, letter) for n, letter in enumerate(letters)))))
    assert len(said) == 40
    assert ["did you mean 'm-1'?" in text for text in said] == [True] * 20 + [False] * 20
    assert all(re.search("no member (or organisation )?'m-1", text) for text in said)


def test_whose_payer_and_whose_badge_hang_on_a_line_that_cannot_be_taken_are_all_left_out(ada, file):
    Member.objects.create(id="m-5")
    Badge.objects.create(spelling="04A1B2C9", digest="d9", member_id="m-5")
    rows = ("m-2,08A1B2C3,", "m-5,,m-2", "m-6,04A1B2C9,", "m-7,,m-6", "m-8,,m-1")
    found = members_file.parse("\n".join(("id,badges,payer", *rows)).encode())
    assert [mistake.line for mistake in found.mistakes] == [2, 3, 4, 5]
    assert [row.id for row in found.rows] == ["m-8"]


# --- the log, and what many cost --------------------------------------------------------------------------------------


def log(*verbs: str) -> list[tuple[str, dict, dict]]:
    rows = Change.objects.filter(verb__in=verbs).order_by("id")
    return [(row.key, row.before, row.after) for row in rows]


def test_the_log_keeps_of_each_member_what_was_and_what_became(ada, file):
    Machine.objects.create(name="saw")
    Change.objects.all().delete()
    import_(
        file, f"{HEADER}\nm-1,Ada King,04A1B2C4,fr,supervisor,2027-03-01,saw\nm-2,Bob,04A1B2C5,en,user,,laser;saw\n"
    )
    (first, second) = log("member.imported")
    assert first == (
        "m-1",
        {"name": "Ada Lovelace", "machines": ["laser"]},
        {"name": "Ada King", "machines": ["saw"]},
    )
    assert (second[0], second[1]) == ("m-2", {})
    assert (second[2]["name"], second[2]["machines"]) == ("Bob", ["laser", "saw"])
    assert [(before["ended_at"], after["end_reason"]) for _key, before, after in log("badge.ended")] == [
        (None, "replaced")
    ]
    assert [after["spelling"] for _key, _before, after in log("badge.given")] == ["04A1B2C4", "04A1B2C5"]
    assert {change.reason for change in Change.objects.filter(verb__startswith="badge.")} == {"import"}
    count = Change.objects.count()
    import_(file, f"{HEADER}\nm-1,Ada King,04A1B2C4,fr,supervisor,2027-03-01,saw\n")
    assert Change.objects.count() == count


def test_who_is_imported_is_found_by_their_new_name_and_who_was_not_named_by_the_old_one(ada, file):
    import_(file, "id,name\nm-1,Élise Noël\n")
    assert Member.objects.get().folded == "elise noel"
    import_(file, "id,lang\nm-1,en\n")
    assert Member.objects.get().folded == "elise noel"
    import_(file, "id,badges\nm-1,04A1B2C3\nM-9,04A1B2C9\n")
    assert Member.objects.get(pk="M-9").folded == "m-9"


def many(count: int, name: str = "Person", shift: int = 0) -> str:
    rows = (f'm-{n};{name} {n};04A1B2{n + shift:08X};"laser;saw"' for n in range(count))
    return "\n".join(("id;name;badges;machines", *rows))


def asked(file: Path, text: str) -> int:
    """Return how many questions an import asks of the database, without what it costs to tell the gates."""
    found = members_file.parse(text.encode())
    assert not found.mistakes
    with CaptureQueriesContext(connection) as queries:
        store.write(store.prepare(found), actor="eve")
    return len(queries)


@pytest.mark.parametrize(("name", "shift"), [("Person", 0), ("Somebody", 0), ("Somebody", 5_000)])
def test_a_hundred_members_cost_few_more_questions_than_two(gate, file, name, shift):
    Machine.objects.create(name="saw")
    if (name, shift) != ("Person", 0):
        asked(file, many(102))
    few = asked(file, many(2, name, shift))
    assert asked(file, many(102, name, shift)) - few < 20
    assert Member.objects.filter(name=f"{name} 101").exists()


def test_a_badge_that_a_file_hands_on_keeps_its_printed_number(ada, file):
    Badge.objects.update(number="77")
    import_(file, f"{HEADER}\nm-1,Ada Lovelace,,fr,supervisor,2027-03-01,laser\nm-2,Bob,04A1B2C3,fr,user,,\n")
    assert Badge.objects.get(member="m-2").number == "77"


def test_badges_that_were_tapped_are_spelled_by_a_file_that_names_them(gate, file):
    key = roster.badge_key(settings.ENVIRONMENT)
    Member.objects.create(id="m-1")
    tapped = badge.parse("04A1B2C3")
    Badge.objects.create(digest=badge.digest(tapped, key), key_id="b1", member_id="m-1")
    import_(file, "id,badges\nm-1,04A1B2C3\n")
    (row,) = Badge.objects.all()
    assert (row.spelling, row.ended_at) == (str(tapped), None)


def test_the_languages_are_those_of_the_gates():
    assert set(members_rows.LANGS) == {translations.SOURCE_LANG, *translations.LANGUAGES}


def test_mistakes_are_told_in_the_order_of_lines_and_not_of_letters(env, gate, file):
    good = [f"m-{n},Name,,,,," for n in range(2, 10)]
    write(file, *good, "m-2,Again,,,,,", "m-11,Late,hello,,,,", "m-3,Again,,,,,")
    with pytest.raises(UsageError) as caught:
        members_file.read(file)
    lines = [line.removeprefix(f"{file}, ").split(":")[0] for line in str(caught.value).splitlines()]
    assert lines == ["line 10", "line 11", "line 12"]


def test_a_file_that_is_not_there_is_said_so(file):
    with pytest.raises(UsageError, match="cannot be read"):
        members_file.read(file)


def test_the_command_wants_to_know_how_ambiguous_dates_are_meant(ada, file):
    file.write_text("id,valid_until\nm-1,01/02/2028\n")
    with pytest.raises(
        UsageError,
        match=r"found the date '01/02/2028', which can be read in two ways; add --dates day-first or --dates month-first",
    ):
        members_file.read(file)
    for order, day in (("day-first", date(2028, 2, 1)), ("month-first", date(2028, 1, 2))):
        people.import_members(argparse.Namespace(file=str(file), dates=order, plans_from=None, sure=False, new=None))
        ada.refresh_from_db()
        assert ada.valid_until == day
