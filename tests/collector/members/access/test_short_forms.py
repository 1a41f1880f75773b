"""Does a shorter form of a badge ever open a machine in somebody else's name? And does each holder get theirs?"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from fabgate import badge
from fabgate.collector.cli import people as verbs
from fabgate.collector.ground.base.key_files import new_key, write_secret
from fabgate.collector.ground.models import Badge, BadgeForm, Change, Group, Machine, Member
from fabgate.collector.members.access import roster, short_forms
from fabgate.collector.members.access.short_forms import Known
from fabgate.collector.members.people import badges
from fabgate.collector.members.people.badges import Card
from fabgate.errors import UsageError
from fabgate.gate.roster.directory import store
from tests.collector.rosters import served

pytestmark = pytest.mark.usefixtures("env")

KEY = bytes(range(32))
FORMS = ("em:number8", "em:w26")
#: Two fobs with the same last three bytes, and one of its own.
ADA, BOB, EVE = "em-hex:0A00B1C2D3", "em-hex:0B00B1C2D3", "em-hex:0A00FFFFFF"
SHORT = "number8:11649747"


def digest(spelling: str, key: bytes = KEY) -> str:
    return badge.digest(badge.parse(spelling), key)


# Few bytes, so that many of these badges share a form.
_SPELLINGS = [f"em-hex:0{a}0000000{b}" for a, b in itertools.product("123", "12")]
_SPELLINGS += ["number8:00000001", "number8:00000002", "w26:0,1", "04A1B2C3"]


@st.composite
def assignments(draw: st.DrawFn) -> list[Known]:
    found = []
    for pk, spelling in enumerate(draw(st.lists(st.sampled_from(_SPELLINGS), unique=True, max_size=7))):
        state = draw(st.sampled_from(["carried", "carried", "carried", "lost", "left"]))
        is_known = not spelling.startswith("number8") or draw(st.booleans())
        said = {"is_carried": state == "carried", "is_lost": state == "lost"}
        found.append(Known(pk, spelling if is_known else "", digest(spelling), draw(st.sampled_from("ABC")), **said))
    return found


@given(assignments(), st.sampled_from([FORMS, FORMS[:1], ()]), st.randoms(use_true_random=False))
@examples(max_examples=40, deadline=None)
def test_no_form_is_accepted_that_could_be_another_badge(known, names, chance):
    found = short_forms.derive(known, names, KEY)
    again = list(known)
    chance.shuffle(again)
    assert short_forms.derive(again, names, KEY) == found
    hands: dict[str, dict[Any, list[str]]] = {}
    for one in known:
        if one.is_carried:
            hands.setdefault(one.holder, {None: []})[None].append(one.digest)
    before = {holder: list(digests[None]) for holder, digests in hands.items()}
    found.add_to(hands)
    if not names:
        assert {holder: digests[None] for holder, digests in hands.items()} == before
    # Whoever could tap something that a reader gives as `digest`, without looking at how forms are derived.
    claims: dict[str, set[Known]] = {}
    made: set[str] = set()
    for one in known:
        claims.setdefault(one.digest, set()).add(one)
        if one.spelling.startswith("em-hex"):
            low = int(one.spelling[-6:], 16)
            for name, short in (("em:number8", f"number8:{low:08d}"), ("em:w26", f"w26:{low >> 16},{low & 65535}")):
                if name in names:
                    claims.setdefault(digest(short), set()).add(one)
                    made.add(digest(short))
    admitted = [(one, holder) for holder, digests in hands.items() for one in digests[None]]
    assert len({one for one, _holder in admitted}) == len(admitted)
    wanted = {
        (one, next(iter(those)).holder)
        for one, those in claims.items()
        if any(each.is_carried for each in those)
        and (one not in made or (len({each.holder for each in those}) == 1 and not any(e.is_lost for e in those)))
    }
    assert set(admitted) == wanted
    barred = found.barred("en", (), "badge-lost")
    assert {one.badges[0] for one in barred} & {one for one, _holder in admitted} == set()


@pytest.fixture
def workshop(gate, told) -> Any:
    machine = Machine.objects.get()
    for name in ("ada", "bob"):
        Member.objects.create(id=name, name=name.title(), lang="fr").machines.add(machine)
    Group.objects.create(name="Class 7", kind=Group.CLASS).machines.add(machine)
    return gate


def use(*forms: str) -> None:
    verbs.badge_forms(argparse.Namespace(forms=list(forms), none=not forms, actor="eve"))


def give(spelling: str, to: str, **more: Any) -> Badge:
    holder: Any = Group.objects.get() if to == "class" else Member.objects.get(pk=to)
    return badges.assign(Card.spelled(badge.parse(spelling)), holder, actor="desk", **more)[0]


def hands(gate, tmp_path) -> dict[str, str]:
    """Return what a gate makes of each badge: the holder, or the reason of the refusal."""
    found = served(gate)
    store(found, tmp_path / "roster.db")  # it refuses a digest that is there twice
    key = roster.badge_key(settings.ENVIRONMENT)
    names = {digest(one, key): one for one in (ADA, BOB, EVE, SHORT, "w26:177,49875", "number8:16777215")}
    admitted = {names.get(one, one): row.id for row in found.members for one in row.badges}
    return admitted | {names.get(one, one): row.reasons[0] for row in found.refusals for one in row.badges}


def test_forms_come_go_and_come_back_with_their_badges(workshop, tmp_path, capsys):
    ada = give(ADA, "ada")
    assert hands(workshop, tmp_path) == {ADA: "ada"}
    assert BadgeForm.objects.count() == 0
    tapped = badges.assign(Card.tapped("a" * 64), Member.objects.get(pk="ada"), actor="desk")[0]
    use(*FORMS)
    assert "1 badge was enrolled by a tap" in capsys.readouterr().out
    badges.end(tapped, Badge.RETURNED, actor="desk")
    assert hands(workshop, tmp_path) == {ADA: "ada", SHORT: "ada", "w26:177,49875": "ada"}
    # The desk cannot give away the number that a reader gives for this badge.
    with pytest.raises(badges.Taken, match="Ada"):
        give(SHORT, "bob")
    bob = give(BOB, "bob")
    assert hands(workshop, tmp_path) == {
        ADA: "ada",
        BOB: "bob",
        SHORT: "badge-shared",
        "w26:177,49875": "badge-shared",
    }
    logged = Change.objects.filter(verb="badge.form-refused").order_by("pk").values_list("key", "after__short_form")
    both = [(str(one.pk), short) for one in (ada, bob) for short in (SHORT, "w26:177,49875")]
    assert sorted(logged) == sorted(both)
    assert set(Change.objects.filter(verb="badge.form-refused").values_list("actor", flat=True)) == {"desk"}
    # Who left with it could tap it; who returned it cannot.
    badges.end(bob, Badge.LOST, actor="desk")
    assert hands(workshop, tmp_path) == {
        ADA: "ada",
        BOB: "badge-lost",
        SHORT: "badge-shared",
        "w26:177,49875": "badge-shared",
    }
    badges.end(give(BOB, "bob"), Badge.RETURNED, actor="desk")
    assert hands(workshop, tmp_path) == {ADA: "ada", SHORT: "ada", "w26:177,49875": "ada"}
    assert Change.objects.filter(verb="badge.form-accepted", key=str(ada.pk)).count() == 2
    write_secret(settings.ENVIRONMENT.badge_key_file, new_key("b2"))
    roster.rebuild()
    assert hands(workshop, tmp_path) == {ADA: "ada", SHORT: "ada", "w26:177,49875": "ada"}
    badges.end(ada, Badge.LOST, actor="desk")
    assert set(hands(workshop, tmp_path).values()) == {"badge-lost"}
    assert hands(workshop, tmp_path).keys() == {ADA, SHORT, "w26:177,49875"}
    give(EVE, "class")
    use("em:number8")
    assert hands(workshop, tmp_path)["number8:16777215"] == Group.objects.get().roster_id
    use()
    assert hands(workshop, tmp_path) == {ADA: "badge-lost", EVE: Group.objects.get().roster_id}
    assert set(BadgeForm.objects.values_list("state", flat=True)) == {BadgeForm.OFF}


def test_a_number_that_was_enrolled_by_itself_is_withdrawn_when_it_fits_two(workshop, tmp_path):
    use("em:number8")
    own = give(SHORT, "ada")
    assert hands(workshop, tmp_path) == {SHORT: "ada"}
    give(ADA, "bob")
    assert hands(workshop, tmp_path) == {ADA: "bob", SHORT: "badge-shared"}
    assert BadgeForm.objects.get(badge=own).state == BadgeForm.SHARED
    badges.end(own, Badge.RETURNED, actor="desk")
    assert hands(workshop, tmp_path) == {ADA: "bob", SHORT: "bob"}


def test_a_form_that_no_reader_makes_is_refused(workshop):
    with pytest.raises(UsageError, match=r"em:number9.*wanted BADGES:FORM such as em:number8"):
        use("em:number9")
