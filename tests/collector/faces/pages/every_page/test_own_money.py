"""Does no sequence of acts let an account lower its own bill, or change money before the password is typed?

Chance chooses who does what, one act after the other: a manager rearranges who pays for whom, and Ada, who is m-1, tries
everything that her role has a form for. What she may not change is read from the tables, without the code that refuses.
"""

from __future__ import annotations

import random
import uuid
from typing import Any

import pytest

from fabgate import badge
from fabgate.collector.ground.models import (
    Badge,
    Group,
    ManualLine,
    Member,
    Payer,
    Plan,
    PlanChange,
    PrepaidChange,
    PrepaidEntry,
    TariffRule,
)
from fabgate.collector.members.people.badges import Card
from fabgate.collector.members.people.blocks import today
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.conftest import PASSWORD
from tests.collector.faces.pages.counter import ADA, NEW
from tests.collector.faces.pages.password.money import ALWAYS_WRITTEN, concerns_money, stored, written
from tests.collector.faces.pages.password.question import QUESTION, grow_stale, hidden
from tests.collector.paying import organisation

pytestmark = pytest.mark.usefixtures("house")

OWN, PEOPLE = "m-1", ("m-1", "m-2", "m-3")
STEPS = 45


def own_payers() -> set[str]:
    """Return who pays for Ada, for her groups, and for what is used with their badges."""
    found = {OWN, Member.objects.get(pk=OWN).payer_id}
    for group in Group.objects.all():
        if group.members.filter(pk=OWN).exists() or group.payer_id == OWN:
            found |= {group.roster_id, group.payer_id}
    return {payer for payer in found if payer}


def own_bill() -> dict[str, Any]:
    """Return all on which Ada's bill depends, apart from prices for everybody."""
    payers, month = own_payers(), today().replace(day=1)
    people = [member.pk for member in Member.objects.all() if member.pk == OWN or member.payer_id in payers]
    plans = PlanChange.objects.filter(member__in=people)
    names = {change.plan_id for change in plans if change.plan_id}
    theirs = [group for group in Group.objects.all() if group.roster_id in payers]
    default = PrepaidChange.objects.filter(payer="", since__lte=month).order_by("-since").first()
    settled = {
        payer: PrepaidChange.objects.filter(payer=payer, since__lte=month).order_by("-since").first()
        for payer in payers
    }
    return {
        "payers": sorted(payers),
        "plans": sorted(plans.values_list("member", "since", "plan"), key=str),
        "terms": sorted(Plan.objects.filter(pk__in=names).values_list("pk", "free_minutes", "discount_percent")),
        "rules": sorted(TariffRule.objects.filter(plan__in=names).values_list("pk", flat=True)),
        "lines": sorted(ManualLine.objects.filter(payer__in=payers).values_list("pk", "amount_minor")),
        "credit": sorted(PrepaidEntry.objects.filter(payer__in=payers).values_list("pk", "amount_minor")),
        "settled": {
            payer: (own or default).prepays if own or default else None for payer, own in sorted(settled.items())
        },
        "groups": sorted(group.pk for group in theirs),
        "ended": sorted(group.pk for group in theirs if group.ended_on),
        "badges": sum(Badge.objects.filter(group=group, ended_at=None).count() for group in theirs),
        "own badge": Badge.objects.filter(digest=Card.spelled(badge.parse(ADA)).digest, ended_at=None)
        .exclude(member=OWN)
        .count(),
    }


class Acts:
    """Every form about money that a desk, an accountant or a manager has, with values that chance chooses."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def _group(self) -> Group:
        return self.rng.choice(list(Group.objects.order_by("pk")))

    def _payer(self) -> str:
        return self.rng.choice([*PEOPLE, *Payer.organisations().values_list("pk", flat=True)])

    def _anybody(self) -> str:
        return self.rng.choice([self._payer(), self._group().roster_id])

    def _plan(self) -> Plan:
        return self.rng.choice(list(Plan.objects.order_by("pk")))

    def _people(self) -> str:
        return "\n".join(pk for pk in PEOPLE if self.rng.random() < 0.4)

    def edit_group(self) -> tuple[str, dict[str, Any]]:
        group = self._group()
        return f"/people/groups/{group.pk}/edit", {"name": group.name, "kind": "company", "people": self._people()}

    def new_group(self) -> tuple[str, dict[str, Any]]:
        name = f"Company {self.rng.random()}"
        return "/people/groups/new", {"name": name, "kind": "company", "people": self._people()}

    def end_group(self) -> tuple[str, dict[str, Any]]:
        group = self._group()
        return f"/people/groups/{group.pk}/end", {"over": "0" if group.ended_on else "1"}

    def group_badge(self) -> tuple[str, dict[str, Any]]:
        return f"/people/groups/{self._group().pk}/badge", {"typed": self.rng.choice([ADA, NEW, self._card()])}

    def give(self) -> tuple[str, dict[str, Any]]:
        return f"/people/{self.rng.choice(PEOPLE)}/give", {"typed": self.rng.choice([ADA, self._card()])}

    def _card(self) -> str:
        return f"04{self.rng.randrange(16**12):012X}"

    def end_badge(self) -> tuple[str, dict[str, Any]]:
        rows = list(Badge.objects.filter(ended_at=None).order_by("pk"))
        return f"/people/badges/{self.rng.choice(rows).pk if rows else 0}/end", {"reason": "returned"}

    def payer(self) -> tuple[str, dict[str, Any]]:
        return f"/people/{self.rng.choice(PEOPLE)}/payer", {"payer": self.rng.choice([self._payer(), ""])}

    def group_payer(self) -> tuple[str, dict[str, Any]]:
        return f"/people/groups/{self._group().pk}/payer", {"payer": self.rng.choice([self._payer(), ""])}

    def person_plan(self) -> tuple[str, dict[str, Any]]:
        plan = self.rng.choice([str(self._plan().pk), ""])
        return f"/people/{self.rng.choice(PEOPLE)}/plan", {"plan": plan, "since": str(today())}

    def plan_terms(self) -> tuple[str, dict[str, Any]]:
        typed = {"free_minutes": self.rng.randrange(900), "discount_percent": self.rng.randrange(100)}
        return f"/month/plans/{self._plan().pk}", typed

    def rule(self) -> tuple[str, dict[str, Any]]:
        day = billing.FIRST.replace(year=billing.FIRST.year + 1, day=self.rng.randrange(1, 28))
        return "/month/tariffs/new", billing.typed(price="0", plan=self._plan().name, since=day.isoformat())

    def line(self) -> tuple[str, dict[str, Any]]:
        typed = {"sure": "1", "text": "Plywood", "day": f"{billing.FIRST}", "amount": "-5", "is_meant": "1"}
        return f"/month/line/{self._anybody()}", typed

    def credit(self) -> tuple[str, dict[str, Any]]:
        typed = {"amount": "9", "method": "cash", "till_number": "", "is_meant": "1"}
        return f"/credit/{self._anybody()}/add", {**typed, "form_key": str(uuid.UUID(int=self.rng.getrandbits(128)))}

    def settlement(self) -> tuple[str, dict[str, Any]]:
        who = self.rng.choice(["", self._anybody()])
        return "/month/prepaid", {"who": who, "prepays": self.rng.choice(["yes", "no"]), "since": f"{today():%Y-%m}"}


_ALL = [act for name, act in vars(Acts).items() if not name.startswith("_")]
#: What each role has a form for.
ACTS = {
    "manager": _ALL,
    "desk": [
        *(Acts.edit_group, Acts.new_group, Acts.end_group, Acts.group_badge, Acts.give, Acts.end_badge),
        *(Acts.person_plan, Acts.credit),
    ],
    "accountant": [
        *(Acts.payer, Acts.group_payer, Acts.plan_terms, Acts.rule, Acts.line, Acts.credit, Acts.settlement),
    ],
}
#: What takes away only: a closed group, and a badge that was returned, whose bill nobody runs up any more.
TAKES_AWAY = {"ended", "badges"}


@pytest.mark.parametrize("role", ["desk", "accountant"])
@pytest.mark.parametrize("seed", range(2))
def test_no_sequence_of_acts_lowers_ones_own_bill_or_changes_money_without_the_password(browse, account, role, seed):
    rng = random.Random(f"{role} {seed}")
    billing.start()
    for name in ("student", "staff", "other"):
        Plan.objects.create(name=name)
    organisation()
    for name in ("Foo SARL", "Bar SARL"):
        Group.objects.create(name=name, kind=Group.COMPANY)
    acts, manager, ada = Acts(rng), browse("manager"), browse(account(role, "ada", member_id=OWN))
    done, refused, asked = 0, 0, 0
    for _step in range(STEPS):
        client = rng.choice([manager, ada, ada])
        path, typed = rng.choice(ACTS[role if client is ada else "manager"])(acts)
        bill, before = own_bill(), None
        if client is ada and rng.random() < 0.3:
            grow_stale(client)
            before = stored()
        answer = client.post(path, typed)
        if before is not None and QUESTION in answer.content.decode():
            asked += 1
            assert {table for table, _column, _row in written(before, stored())} <= ALWAYS_WRITTEN
            answer = client.post(path, dict(hidden(answer.content.decode())) | {"password_again": PASSWORD})
        elif before is not None:
            assert not [row for row in written(before, stored()) if concerns_money(*row)], path
            client.post("/sign-in", {"name": "ada", "password": PASSWORD})
        assert answer.status_code in (200, 303, 400, 403, 404, 409), path
        if client is manager:
            continue
        done, refused = done + (answer.status_code == 303), refused + (answer.status_code == 403)
        now = own_bill()
        if path.endswith("/end"):
            assert now["badges"] <= bill["badges"]
            assert set(bill["ended"]) <= set(now["ended"])
            bill, now = ({k: v for k, v in one.items() if k not in TAKES_AWAY} for one in (bill, now))
        assert now == bill, f"{path} {typed}: {answer.status_code}"
    assert done > 3
    assert refused > 3
    assert asked
