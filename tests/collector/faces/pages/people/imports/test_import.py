"""Is a list looked at before it is taken, field by field; is a broken line named, the rest taken, and nobody deleted?"""

from __future__ import annotations

import html
import os
import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from fabgate import badge
from fabgate.collector.ground.models import Account, Badge, Change, Member
from fabgate.collector.members.people.blocks import today
from fabgate.collector.members.people.import_list import uploads
from fabgate.collector.members.people.import_list.columns import MEMBERS
from tests.collector.faces.pages.counter import ADA, NEW, ZOE, said, tapped, text, trained
from tests.collector.faces.pages.people.imports.importing import ALL, look, take, upload
from tests.collector.paying import paying
from tests.collector.workbooks import workbook

pytestmark = pytest.mark.usefixtures("house")

#: What is said of one that a program wrote.
FORMULA = "contains a formula without a value: open the file in a spreadsheet and save it, or type the value"


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_what_the_page_says_that_cells_hold_is_taken(manager, lang):
    Account.objects.update(lang=lang)
    shown = [
        (names, [str(one) for one in written])
        for names, _title, written in manager.get("/people/import").context["kinds"][0].columns
    ]
    assert [len(written) for _names, written in shown if written] == [2, 3, 2, 2, 2]
    for names, written in shown:
        for name in names if written else ():
            for cell in written:
                page = look(manager, f"id,badges,{name}\nm-1,{ADA},{cell}\n")
                assert not page.context["lines"], (name, cell)


def changed(page):
    return page.context["found"].changed


def test_a_line_without_a_number_says_that_nothing_stands_there(manager):
    page = look(manager, f"id,name,badges\nm-1,Ada,{ADA}\n,Nobody,{NEW}\n")
    assert page.context["lines"] == [("Row 3", "id: found nothing, wanted 1 to 64 characters")]


def test_nothing_changes_before_the_list_is_taken_and_then_all_of_it(manager, broker):
    trained("m-2")
    page = look(
        manager,
        f"id;Nom;Badge;Valable jusqu'au\nm-1;Ada King;{ADA};2030-03-01\nm-2;Zoé Müller-Østergård;{ZOE};\nm-9;Noémie;{NEW};\n",
    )
    assert {
        person.row.id: [(f.name, f.before, str(f.after)) for f in person.fields]
        for person in page.context["found"].changed
    } == {"m-1": [("name", "Ada Lovelace", "Ada King"), ("valid_until", None, "2030-03-01")]}
    assert [person.row.id for person in page.context["found"].new] == ["m-9"]
    assert page.context["found"].unchanged == 1
    assert [member.pk for member in page.context["found"].vanished] == ["m-3"]
    shown = text(page)
    assert "<del>Ada Lovelace</del>" in shown
    assert "<ins>Ada King</ins>" in shown
    assert not Change.objects.exists()
    response = take(manager, page)
    assert (response.status_code, said(response)) == (303, "Import complete: 1 new person, 1 changed.")
    assert Member.objects.get(pk="m-1").name == "Ada King"
    assert Badge.objects.get(spelling=NEW, ended_at=None).holder == "m-9"
    assert Member.objects.get(pk="m-3").left_on is None
    assert set(Change.objects.values_list("key", flat=True)) >= {"m-1", "m-9"}
    assert not Change.objects.filter(key="m-2").exists()
    assert broker.told
    assert manager.get(page.request["PATH_INFO"]).status_code == 400


def test_who_would_pay_is_shown_by_name_before_it_is_taken(manager):
    Member.objects.filter(pk="m-3").update(payer=paying("m-1"))
    raw = f"id,name,badges,payeur\nm-1,Ada Lovelace,{ADA},m-9\nm-2,Zoé Müller-Østergård,{ZOE},\nm-3,Élise Noël,,\nm-9,Mairie,,\n"
    page = look(manager, raw)
    shown = text(page)
    assert "Payer: <del>themselves</del>" in shown
    assert "<ins>Mairie (m-9)</ins>" in shown
    assert "<del>Ada Lovelace (m-1)</del>" in shown
    take(manager, page)
    assert dict(Member.objects.values_list("pk", "payer")) == {"m-1": "m-9", "m-2": None, "m-3": None, "m-9": None}
    broken = look(
        manager,
        ALL.replace("badges", "badges,payer").replace("\n", ",m-99\n").replace("badges,payer,m-99", "badges,payer"),
    )
    assert {where for where, _what in broken.context["lines"]} == {"Row 2", "Row 3", "Row 4"}


def test_a_workbook_is_taken_as_a_csv_is(manager):
    take(manager, look(manager, workbook(("id", "name", "badges"), ("m-1", "Ada King", ADA), ("m-9", "Noémie", NEW))))
    assert Member.objects.get(pk="m-1").name == "Ada King"
    assert Badge.objects.filter(spelling=NEW).exists()


def test_a_formula_without_a_value_and_an_error_are_mistakes_and_change_nobody(manager):
    rows = (
        ("id", "name", "badges"),
        ("m-1", "=A1", ADA),
        ("=A2", "Bob", ""),
        ("m-2", "#REF!", ""),
        ("m-3", "Élise", ""),
    )
    page = look(manager, workbook(*rows))
    assert page.context["lines"] == [
        ("Row 2", "name: " + FORMULA),
        ("Row 3", "id: " + FORMULA),
        ("Row 4", "name: contains the error #REF!: fix it in a spreadsheet, or type the value"),
    ]
    assert take(manager, page).status_code == 303
    assert dict(Member.objects.values_list("pk", "name")) == {
        "m-1": "Ada Lovelace",
        "m-2": "Zoé Müller-Østergård",
        "m-3": "Élise",
    }


def test_a_column_that_is_called_by_a_formula_without_a_value_is_not_left_out(manager):
    response = upload(manager, workbook(("id", "name", "=A1"), ("m-1", "Ada", "x")))
    assert response.status_code == 400
    assert response.context["form"].errors["file"] == ["line 1: C: " + FORMULA]


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_broken_lines_are_named_and_the_others_can_be_taken(manager):
    page = look(
        manager,
        "id,name,badges,email,minor\n"
        f"m-1,Ada King,{ADA},ada@example.org,no\n"
        "m-7,Phone,08A1B2C3,,\n"
        "m-8,Wrong,hello,nowhere,maybe\n"
        f"m-9,Noémie,{NEW},,yes\n",
    )
    assert [where for where, _what in page.context["lines"]] == ["Row 3", "Row 4", "Row 4", "Row 4"]
    assert "is a random UID" in page.context["lines"][0][1]
    assert "Import the other 2" in text(page)
    assert "The other rows can be imported now." in text(page)
    assert take(manager, page).status_code == 303
    assert set(Member.objects.values_list("pk", flat=True)) == {"m-1", "m-2", "m-3", "m-9"}
    assert Member.objects.get(pk="m-9").minor


def test_where_every_line_is_broken_no_others_are_promised(manager):
    page = text(look(manager, "id,name,badges\nm-7,Phone,08A1B2C3\n"))
    assert "Fix them in the file and import it again." in page
    assert "Nothing to import." in page
    assert "The other rows can be imported now." not in page


def test_of_two_lines_that_cannot_both_be_true_neither_is_taken(manager):
    page = look(manager, f"id,name,badges\nm-8,One,{NEW}\nm-9,Two,{NEW}\nm-7,Three,\nm-7,Four,\nm-6,Six,\n")
    assert [where for where, _what in page.context["lines"]] == ["Rows 2 and 3", "Rows 4 and 5"]
    assert [person.row.id for person in page.context["found"].new] == ["m-6"]


def test_mistakes_stand_in_the_order_of_lines(manager):
    many = "".join(f"m-{n},Name,\n" for n in range(20, 26))
    page = look(manager, f"id,name,badges\nm-8,One,{NEW}\nm-9,Two,{NEW}\n{many}m-7,Ten,{NEW}\nm-6,Eleven,hello\n")
    assert [where for where, _what in page.context["lines"]] == ["Rows 2 and 3", "Rows 2 and 10", "Row 11"]


def test_a_badge_is_not_taken_from_somebody_whose_own_line_is_broken(manager):
    page = look(manager, f"id,name,badges,lang\nm-1,Ada,,klingon\nm-9,New,{ADA},fr\nm-8,Fine,,fr\n")
    assert [where for where, _what in page.context["lines"]] == ["Row 2", "Row 3"]
    take(manager, page)
    assert Badge.objects.get(spelling=ADA, ended_at=None).holder == "m-1"


def test_a_badge_of_somebody_who_is_not_in_the_list_is_a_mistake_even_if_only_its_digest_is_known(manager, browse):
    browse("desk").post(f"/people/enrol?badge={tapped(NEW)}", {"member": "m-3", "kind": "personal"})
    page = look(manager, f"id,name,badges\nm-9,Thief,{NEW}\nm-8,Other,{ADA}\n")
    assert {what for _where, what in page.context["lines"]} == {
        f"badges: {ADA} already belongs to 'm-1'",
        f"badges: {NEW} already belongs to 'm-3'",
    }


def test_a_badge_that_was_enrolled_by_a_tap_stays_and_is_spelled_once_a_list_names_it(manager, browse):
    found = tapped(NEW)
    browse("desk").post(f"/people/enrol?badge={found}", {"member": "m-3", "kind": "personal"})
    take(manager, look(manager, ALL.replace("Élise Noël,", "Élise,")))
    row = Badge.objects.get(digest=found)
    assert (row.spelling, row.ended_at) == ("", None)
    take(manager, look(manager, ALL.replace("Élise Noël,", f"Élise N.,{NEW}")))
    row.refresh_from_db()
    assert (row.spelling, row.key_id, row.ended_at) == (NEW, "", None)
    assert Badge.objects.filter(digest=found).count() == 1


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "This file is empty"),
        (b"name\nAda\n", "the column &#x27;id&#x27; is missing"),
        (b"id,colour\nm-1,red\n", "unknown column &#x27;colour&#x27;"),
        (b"PK\x03\x04nothing", "cannot be read as a workbook"),
        (b"\xd0\xcf\x11\xe0", "old Excel file"),
        (b'id,name\nm-1,"Ada\n', "is a closing quotation mark missing?"),
    ],
)
def test_what_is_no_list_is_said_so_and_kept_nowhere(manager, house, raw, expected):
    response = upload(manager, raw)
    assert response.status_code == 400
    assert expected in text(response)
    assert not (house.data / "uploads").exists()


def test_a_file_must_be_chosen_and_be_no_larger_than_a_list_of_people(manager):
    assert manager.post("/people/import").status_code == 400
    response = upload(manager, b"id\n" + b"x" * (5 * 1024 * 1024))
    assert response.status_code == 400
    assert "a list of people can be at most 5 MB" in text(response)


# --- badges to look at ------------------------------------------------------------------------------------------------


def test_a_lost_badge_of_whoever_lost_it_is_no_change_and_of_somebody_else_is_told_before_it_is_taken(manager):
    for pk in ("m-1", "m-2"):
        Badge.objects.get(member=pk).end(Badge.LOST, "maya", timezone.now())
    page = look(manager, f"id,badges\nm-1,{ADA}\nm-3,{ZOE}\n")
    assert [person.row.id for person in page.context["found"].changed] == ["m-3"]
    assert "line 2: the badge 7B-..80 of m-1 was reported lost; it gives no access to any machine" in text(page)
    assert "line 3: the badge 7B-..80 of m-3 was reported lost by m-2; ask m-2 before you import the list" in text(page)
    take(manager, page)
    assert dict(Badge.objects.filter(ended_at=None).values_list("spelling", "member")) == {ZOE: "m-3"}


@pytest.mark.parametrize("how", ["loan", "tap"])
@pytest.mark.parametrize("name", ["Zoé Müller-Østergård", "Zoé M."])
def test_a_badge_that_the_list_gives_to_another_person_is_shown_for_both_and_goes_to_them(manager, browse, how, name):
    kind = {"kind": "loan", "until": str(today())} if how == "loan" else {"kind": "personal"}
    Badge.objects.filter(member="m-2").update(ended_at=timezone.now())
    given = browse("desk").post(f"/people/enrol?badge={tapped(NEW)}", {"member": "m-2", **kind})
    assert given.status_code == 303
    if how == "loan":
        Badge.objects.filter(ended_at=None, member="m-2").update(spelling=NEW)
    page = look(manager, f"id,name,badges\nm-1,Ada Lovelace,{ADA}\nm-2,{name},\nm-3,Élise Noël,{NEW}\n")
    shown = {one.row.id: [(f.before, f.after) for f in one.fields if f.name == "badges"] for one in changed(page)}
    assert shown == {"m-2": [([NEW], [])], "m-3": [([], [NEW])]}
    assert "line 4: m-3 gets the badge 7B-..80; m-2 no longer has it" in text(page).replace(
        badge.parse(NEW).masked(), "7B-..80"
    )
    assert take(manager, page).status_code == 303
    assert Badge.objects.get(digest=tapped(NEW), ended_at=None).holder == "m-3"


def test_who_has_left_gets_no_badge_by_a_list_and_that_is_told(manager):
    Member.objects.filter(pk="m-3").update(left_on=today())
    page = look(manager, f"id,name,badges\nm-3,Élise N.,{NEW}\n")
    assert f"line 2: m-3 left on {today()}; readmit this person" in text(page)
    assert [field.name for person in page.context["found"].changed for field in person.fields] == ["name"]
    take(manager, page)
    assert Member.objects.get(pk="m-3").name == "Élise N."
    assert not Badge.objects.filter(spelling=NEW).exists()


def test_what_somebody_else_forgot_meanwhile_is_in_nobodys_way(house):
    (house.data / "uploads").mkdir(parents=True)
    (house.data / "uploads" / "gone").symlink_to(house.data / "nowhere")
    assert uploads.kept(uploads.keep(b"id")) == b"id"


# --- meanwhile --------------------------------------------------------------------------------------------------------


def test_what_somebody_changed_meanwhile_is_looked_at_again(manager):
    page = look(manager, ALL.replace("Ada Lovelace", "Ada King"))
    Member.objects.filter(pk="m-1").update(name="Augusta")
    response = take(manager, page)
    assert response.status_code == 409
    assert "<del>Augusta</del>" in text(response)
    assert Member.objects.get(pk="m-1").name == "Augusta"
    assert take(manager, response).status_code == 303


def test_a_list_that_changes_nothing_is_said_so(manager):
    page = look(manager, ALL)
    assert "Nothing to import" in text(page)
    assert take(manager, page).status_code == 400


def test_a_list_is_kept_for_an_hour_for_its_owner_alone(manager, house):
    page = look(manager, ALL)
    (file,) = (house.data / "uploads").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    old = file.stat().st_mtime - timedelta(hours=2).total_seconds()
    os.utime(file, (old, old))
    assert manager.get(page.request["PATH_INFO"]).status_code == 400
    look(manager, ALL)
    assert not file.exists()
    assert uploads.kept("../secret.key") is None
    assert manager.get("/people/import/nonsense").status_code == 400


def test_only_a_manager_imports(browse):
    for role in ("desk", "trainer", "auditor"):
        assert upload(browse(role), ALL).status_code == 403


@pytest.mark.parametrize(("lang", "name"), [("en", ["name"]), ("fr", ["nom", "name"])])
def test_the_page_lists_each_column_as_its_reader_may_call_it_and_a_list_that_does_is_read(browse, account, lang, name):
    manager = browse(account("manager", name="chef", lang=lang))
    facts = re.findall(r"<dt>(.*?)</dt>", text(manager.get("/people/import")))[: len(MEMBERS.names)]
    columns = [re.findall(r"<code>([^<]+)</code>", one) for one in facts]
    assert columns[1] == name
    assert columns[3] == ["badges"]  # the same in both
    header = ",".join(names[0] for names in columns)
    assert MEMBERS.header(header.split(","), problems := []) == list(MEMBERS.names)
    assert problems == []


def test_the_line_of_a_mistake_in_the_columns_is_said_in_ones_own_language(account, browse):
    file = SimpleUploadedFile("people.csv", b"nobody,knows\n1,2\n")
    answer = browse(account("manager", lang="fr")).post("/people/import", {"file": file})
    assert answer.status_code == 400
    assert "ligne 1\u00a0: " in answer.content.decode()
    assert "line 1" not in answer.content.decode()


def test_a_column_in_a_mistake_is_called_as_in_its_readers_language(account, browse):
    manager = browse(account("manager", lang="fr"))
    for content, told in (
        (
            "nom\nAda",
            "la colonne « identifiant » manque ; ajoutez-la, ainsi que celles dont vous avez besoin parmi : nom",
        ),
        ("identifiant,id\nada,ada", "« identifiant »"),
        ("identifiant,name,quoi\nada,Ada,1", "identifiant, nom, prénom, badges"),
    ):
        file = SimpleUploadedFile("people.csv", content.encode())
        assert told in shown(manager.post("/people/import", {"file": file})), content
    lines = "identifiant,nom,niveau,payeur,membre_jusqu_au,mineur\nada,Ada,chef,eve,mars 2027,peut-être\n"
    answer = shown(look(manager, lines))
    for told in ("niveau : ", "payeur : ", "membre_jusqu_au : ", "mineur : "):
        assert told in answer
    for english in ("level", "payer : ", "valid_until", "minor"):
        assert english not in answer


def shown(answer) -> str:
    """What a person reads: no tags, and each kind of space a plain one."""
    plain = html.unescape(re.sub(r"<[^>]+>", " ", text(answer)))
    return " ".join(plain.split())
