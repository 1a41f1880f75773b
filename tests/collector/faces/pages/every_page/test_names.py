"""Is a name what it looks like, however it came in: by a page, in a list, or by command?"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import pytest
from django.urls import reverse

from fabgate.collector.cli import machines
from fabgate.collector.ground.models import Group, Machine, Member, Plan, Training
from fabgate.collector.members.people import names, trainings
from fabgate.collector.members.people.blocks import today
from fabgate.collector.members.people.import_list import file
from fabgate.errors import UsageError

#: Turns what follows, takes no room, is a mark of an encoding, moves a terminal, is drawn as nothing.
UNSEEN = ["\u202e", "\u200b", "\ufeff", "\x1b", "\u200f", "\u00ad", "\u3164"]
#: Whatever is a space to somebody.
SPACES = ["\u2028", "\u00a0", "\t", "\n", "\u202f", "  ", "\x85"]


@pytest.mark.parametrize("sign", UNSEEN)
def test_a_sign_that_nobody_sees_is_found(sign):
    assert names.unseen(names.line(f"Ada{sign}Lovelace")) == f"U+{ord(sign):04X}"


@pytest.mark.parametrize("space", SPACES)
def test_every_kind_of_space_becomes_one(space):
    assert names.line(f" Ada{space}Lovelace{space}") == "Ada Lovelace"


@pytest.mark.parametrize(
    "name", ["Zoé Müller-Østergård", "O\u2019Neill", "Łęcka", "山田 太郎", "עדה", "ada 🛠", "नमस्ते", "a=1;b"]
)
def test_names_that_people_have_are_names(name):
    assert (names.line(name), names.unseen(name)) == (name, "")


@pytest.fixture
def manager(browse, env, told) -> Any:
    Machine.objects.create(name="saw")
    Member.objects.create(id="m-1", name="Ada King")
    return browse("manager")


PERSON = {"lang": "en", "grace_days": "0", "level": "user"}
#: A route, what stands in its path, what is typed besides, and each field that is a name.
FORMS = [
    ("people-new", {}, {**PERSON, "id": "m-4", "name": "Ada"}, ("name", "category")),
    ("people-edit", {"pk": "m-1"}, {**PERSON, "name": "Ada"}, ("name", "category")),
    ("people-group-new", {}, {"kind": Group.CLASS, "name": "3B"}, ("name",)),
    ("people-training-new", {}, {"title": "Laser"}, ("title",)),
    ("machines-new", {}, {"name": "drill", "preset": "saw"}, ("title", "category")),
    ("machines-one", {"name": "saw"}, {}, ("title", "category")),
    ("accounts-new", {}, {"name": "karim", "role": "desk"}, ("display_name",)),
    ("accounts-keys", {}, {"name": "Bills", "scopes": ["sessions:read"]}, ("name",)),
    ("floor-displays", {}, {"name": "Entrance", "lang": "en"}, ("name",)),
    ("machines-calendar-special", {}, {"day": str(today())}, ("note",)),
    ("floor-lock", {"name": "saw"}, {"why": "own", "when": "idle"}, ("words",)),
]


@pytest.mark.parametrize("sign", ["\u202e", "\u200b", "\ufeff"])
@pytest.mark.parametrize(
    ("route", "places", "typed", "field"),
    [pytest.param(*form[:3], field, id=f"{form[0]}-{field}") for form in FORMS for field in form[3]],
)
def test_a_page_names_the_sign_that_it_does_not_take(manager, route, places, typed, field, sign):
    answer = manager.post(reverse(route, kwargs=places), {**typed, field: f"Ada{sign}B"})
    assert answer.status_code == 400
    assert f"an invisible character (U+{ord(sign):04X})" in answer.content.decode()


def test_a_page_makes_one_line_of_a_name(manager):
    typed = {**PERSON, "id": "m-4", "name": "Grace\u2028\u00a0Hopper", "category": "young\tadult"}
    assert manager.post("/people/new", typed).status_code == 303
    found = Member.objects.get(pk="m-4")
    assert (found.name, found.folded, found.category) == ("Grace Hopper", "grace hopper", "young adult")


@pytest.mark.parametrize("sign", UNSEEN)
@pytest.mark.parametrize("column", ["id", "name", "category", "plan"])
def test_a_list_names_the_sign_that_it_does_not_take(database, column, sign):
    Plan.objects.create(name="y")
    said = {"id": "m-4", "name": "Ada", "category": "x", "plan": "y", "badges": ""}
    row = ",".join({**said, column: f"a{sign}b"}.values())
    found = file.parse(f"{','.join(said)}\n{row}\n".encode())
    assert [str(one) for one in found.mistakes] == [
        f"line 2: {column}: found the invisible character U+{ord(sign):04X}; type the text instead of pasting it"
    ]


@pytest.mark.parametrize("sign", UNSEEN)
@pytest.mark.parametrize(
    "column", ["email", "lang", "level", "valid_until", "machines", "minor", "joined_on", "payer", "badges"]
)
def test_what_a_mistake_quotes_of_a_list_shows_what_nobody_sees(database, column, sign):
    said = {"id": "m-4", "badges": ""} | {column: f"a{sign}b"}
    rows = [",".join(said), ",".join(f'"{cell}"' for cell in said.values())]
    (mistake,) = file.parse(chr(10).join(rows).encode()).mistakes
    assert names.unseen(str(mistake)) == ""
    assert f"a[U+{ord(sign):04X}]b" in str(mistake)


@pytest.mark.parametrize("sign", UNSEEN)
def test_what_a_mistake_quotes_of_a_header_and_of_an_id_does_so_too(database, sign):
    with pytest.raises(UsageError) as caught:
        file.parse(f"id,x{sign}y".encode())
    assert f"unknown column 'x[U+{ord(sign):04X}]y'" in str(caught.value)
    found = file.parse(f"id,badges\nm{sign}4,04A1B2C3\nm{sign}4,04A1B2C3".encode())
    assert all(names.unseen(str(one)) == "" for one in found.mistakes)
    assert f"line 3: id: 'm[U+{ord(sign):04X}]4' is already on line 2" in [str(one) for one in found.mistakes]


def test_a_number_is_taken_as_it_is_or_not_at_all(database):
    found = file.parse("id,name,badges\nm\u00a04,Ada,\n".encode())
    assert "id: found the invisible character U+00A0" in str(found.mistakes[0])


def test_a_list_makes_one_line_of_a_name(database):
    found = file.parse('id,name,badges\nm-4,"Ada\u2028\u00a0 Lovelace",\n'.encode())
    assert [row.name for row in found.rows] == ["Ada Lovelace"]


@pytest.mark.parametrize("sign", UNSEEN)
def test_a_command_does_not_take_it_either(database, sign):
    Machine.objects.create(name="saw")
    training = Training.objects.create(name="saw")
    ada = Member.objects.create(id="m-1")
    with pytest.raises(UsageError, match="visible characters"):
        machines.set_rules(Namespace(name="saw", rules=[], preset=None, title=f"Sa{sign}w"))
    with pytest.raises(UsageError, match=r"trainer: found U\+"):
        trainings.grant_training(ada, training, "autonomous", actor="cli:ada", since=today(), trainer=f"In{sign}es")
    with pytest.raises(UsageError, match="--reason: found"):
        machines.lock(Namespace(gate="saw-1", reason=f"Belt{sign}", back=None, when="idle", actor="ada", json=False))
