"""May a desk give a card of its own to another person, who would then pay for it? Never, also if a third one had it before.

Chance chooses who does what with four cards: Ada, who is m-1 and at the desk, and a manager. What Ada may not do is read
from the assignments before each act, without the code that refuses.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from fabgate import badge
from fabgate.badge.short_forms import SHORT_FORMS
from fabgate.collector.ground.models import Badge, Change, Group, Member
from fabgate.collector.members.people.blocks import today
from tests.collector.faces.pages.counter import ADA, NEW, text
from tests.collector.paying import paying

pytestmark = pytest.mark.usefixtures("house")

OWN = "m-1"
STEPS = 70
#: Cards as readers give them: whole, and shortened.
WHOLE = ("em-hex:0F0049AFF1", "em-hex:0F00A1B2C3", NEW, ADA)
SHORT = "em:number10"


def spellings(card: str) -> list[str]:
    whole = badge.parse(card)
    short = SHORT_FORMS[SHORT].of(whole)
    return [str(whole), *([str(short)] if short else [])]


CARDS = {spelling: card for card in WHOLE for spelling in spellings(card)}


def lend(client, spelling: str, pk: str):
    return client.post(f"/people/{pk}/lend", {"typed": spelling, "number": "", "until": str(today())})


def take_back(client, spelling: str):
    row = Badge.objects.get(spelling=str(badge.parse(spelling)), ended_at=None)
    assert client.post(f"/people/badges/{row.pk}/end", {"reason": "returned"}).status_code == 303


@pytest.fixture
def ada(browse, account):
    return browse(account("desk", "ada", member_id=OWN))


@pytest.fixture
def company() -> Group:
    """A company to which Ada does not belong."""
    return Group.objects.create(name="Foo SARL", kind=Group.COMPANY)


def test_a_card_that_the_desk_lent_itself_goes_to_no_company(ada, browse, company):
    """It would stay in Ada's pocket, and the company would pay."""
    assert lend(ada, NEW, OWN).status_code == 303
    take_back(ada, NEW)
    # lent to others in between, which hides nothing
    assert lend(ada, NEW, "m-3").status_code == 303
    take_back(ada, NEW)
    path = f"/people/groups/{company.pk}/badge"
    answer = ada.post(path, {"typed": NEW})
    assert answer.status_code == 403
    assert "Someone else at the desk must do this for you." in text(answer)
    assert ada.post("/people/m-3/give", {"typed": NEW}).status_code == 403
    assert not Badge.objects.filter(group=company).exists()
    assert browse("manager").post(path, {"typed": NEW}).status_code == 303
    assert Change.objects.filter(verb="badge.given").latest("pk").after["group"] == company.pk


@pytest.mark.parametrize("first", [0, 1], ids=["whole first", "short first"])
def test_a_card_is_the_same_in_its_short_form(ada, company, first):
    """Also where the workshop has not said which short forms its readers give."""
    own, other = spellings(WHOLE[0])[:: -1 if first else 1]
    assert ada.post(f"/people/{OWN}/give", {"typed": own}).status_code == 303
    take_back(ada, own)
    assert ada.post(f"/people/groups/{company.pk}/badge", {"typed": other}).status_code == 403
    assert ada.post(f"/people/{OWN}/give", {"typed": other}).status_code == 303


class Acts:
    """The ways to hand a card to somebody, and to take it back."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def act(self) -> tuple[str, dict[str, Any]]:
        given = list(Badge.objects.filter(ended_at=None).order_by("pk"))
        typed, who = self.rng.choice(sorted(CARDS)), self.rng.choice(["m-1", "m-2", "m-3"])
        group = self.rng.choice(list(Group.objects.order_by("pk")))
        return self.rng.choice(
            [
                (f"/people/groups/{group.pk}/badge", {"typed": typed}),
                (f"/people/{who}/give", {"typed": typed}),
                (f"/people/{who}/lend", {"typed": typed, "number": "", "until": str(today())}),
                (f"/people/enrol?typed={typed}", {"member": who, "kind": self.rng.choice(["personal", "loan"])}),
                *([(f"/people/badges/{self.rng.choice(given).pk}/end", {"reason": "returned"})] * 3 if given else []),
            ]
        )


def is_barred(given: Badge, before: list[Badge]) -> bool:
    """Return whether Ada may not make this assignment, from all that were made before."""
    if given.member_id == OWN:
        return False
    paid = set(Member.objects.filter(payer=OWN).values_list("pk", flat=True))
    for row in before:
        if CARDS.get(row.spelling) != CARDS[given.spelling]:
            continue
        is_hers = row.member_id == OWN or (row.group is not None and row.group.members.filter(pk=OWN).exists())
        is_paid = row.member_id in paid and given.member_id not in paid
        if (is_hers or is_paid) and not (row.kind == given.kind == Badge.LOAN):
            return True
    return False


@pytest.mark.parametrize("seed", range(4))
def test_no_way_through_other_hands_makes_an_own_card_somebody_elses(ada, browse, company, seed):
    rng = random.Random(seed)
    Group.objects.create(name="Bar SARL", kind=Group.COMPANY).members.add(OWN)
    Member.objects.filter(pk="m-2").update(payer=paying(OWN))
    Badge.objects.filter(spelling=str(badge.parse(ADA))).update(number="")
    acts, manager = Acts(rng), browse("manager")
    done, refused = 0, 0
    for _step in range(STEPS):
        client = rng.choice([manager, ada, ada])
        path, typed = acts.act()
        before = list(Badge.objects.select_related("group").order_by("pk"))
        answer = client.post(path, typed)
        assert answer.status_code in (200, 303, 400, 403, 409), path
        fresh = list(Badge.objects.filter(pk__gt=before[-1].pk).select_related("group"))
        if client is manager:
            assert answer.status_code != 403
        elif answer.status_code == 403:
            refused += 1
            assert not fresh
        else:
            done += len(fresh)
            assert not [row for row in fresh if is_barred(row, before)], f"{path} {typed}"
    assert done
    assert refused
