"""Can anybody prepay where prices exclude VAT? Credit is paid in with VAT, and would be used up without it.

All ways are tried: start, settlements by page and verb, credit, lists of members, closing. The rows of settlements and the
terms have one writer each, which refuses or never changes them.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fabgate.collector.cli import verbs
from fabgate.collector.ground.models import Change, Member, PrepaidChange, PrepaidEntry
from fabgate.collector.money.billing import closing, terms
from fabgate.collector.money.billing.charges import decisions
from fabgate.collector.money.billing.prepaid import ledger, modes, words
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.billing.prepaid.settlement import Settled
from fabgate.errors import FabgateError, UsageError
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, MONTH
from tests.collector.faces.pages.used import Used, text

pytestmark = pytest.mark.usefixtures("env", "told")

FABGATE = Path(terms.__file__).parents[3]
WHY = "prices exclude VAT here, but credit is paid in with VAT"
LATER = billing.NOON + timedelta(days=400)
PAYERS = ("m-1", "m-2", modes.EVERYBODY)
MONTHS = (FIRST, terms.next_month(FIRST))


@pytest.fixture
def shop_without_vat(shop: Used) -> Used:
    terms.start("EUR", FIRST, "UTC", includes_vat=False, actor="maya")
    billing.rule("price=0.10")
    return shop


def verb(*words: str) -> None:
    parser = argparse.ArgumentParser()
    verbs.add_verbs(parser)
    args = parser.parse_args([*words])
    verbs.function_of(args)(args)


def check() -> None:
    """Nobody prepays, in any month, and no credit is there."""
    assert not PrepaidChange.objects.filter(prepays=True).exists()
    assert not PrepaidEntry.objects.exists()
    known = modes.Modes.now()
    ids = [*Member.objects.values_list("pk", flat=True), modes.EVERYBODY, "group:1", "payer:1"]
    for month in (*MONTHS, FIRST + timedelta(days=300)):
        assert not any(known.prepays(pk, month) for pk in ids)
        settled = Settled.of(month=month)
        assert {settled.charge("c", pk, month) for pk in ids} == {words.RECEIVABLE}


@pytest.mark.parametrize("payer", PAYERS)
def test_the_page_refuses_in_words(shop_without_vat, browse, payer):
    answer = browse("manager").post("/month/prepaid", {"who": payer, "prepays": "yes", "since": MONTH})
    assert answer.status_code == 400
    assert WHY in text(answer)
    check()
    assert (
        browse("accountant").post("/month/prepaid", {"who": payer, "prepays": "no", "since": MONTH}).status_code == 303
    )
    check()


@pytest.mark.parametrize("words", [["m-1"], ["m-1", "--from", MONTH], ["--everybody"]])
def test_the_verb_refuses_in_words(shop_without_vat, words):
    with pytest.raises(UsageError, match=WHY):
        verb("bill-prepaid", *words)
    check()
    verb("bill-prepaid", *words, "--off")
    check()


def test_nobody_prepays_before_billing_is_started_with_other_prices(database):
    """Terms are chosen once: neither before them nor by other ones can somebody begin to prepay."""
    Used()
    for payer in PAYERS:
        with pytest.raises(UsageError, match="billing has not been started"):
            modes.set_mode(payer, FIRST, prepays=True, actor="maya")
    terms.start("EUR", FIRST, "UTC", includes_vat=False, actor="maya")
    for includes_vat in (True, None):
        with pytest.raises(UsageError, match="it cannot be started again"):
            terms.start("EUR", FIRST, "UTC", includes_vat=includes_vat, actor="maya")
    with pytest.raises(UsageError, match=WHY):
        modes.set_mode("m-1", FIRST, prepays=True, actor="maya")
    check()


def test_a_list_of_members_has_no_settlement(shop_without_vat, browse):
    manager = browse("manager")
    for column in ("prepays", "prepaid", "settlement", "credit"):
        listed = f"id,name,{column}\nm-1,Ada King,yes\n".encode()
        preview = manager.post("/people/import", {"file": io.BytesIO(listed)}, follow=True)
        if (token := preview.context.get("token") if preview.context else None) is not None:
            manager.post(f"/people/import/{token}", {})
        check()
    assert not Change.objects.filter(kind__startswith="prepaid").exists()


def act(chance: random.Random, shop: Used, step: int) -> None:
    payer, month = chance.choice(PAYERS), chance.choice(MONTHS)
    now = datetime.now(UTC)
    match chance.choice(["mode", "mode", "off", "verb", "credit", "start", "line", "session", "close"]):
        case "mode":
            modes.set_mode(payer, month + timedelta(days=chance.randint(0, 400)), prepays=True, actor="maya")
        case "off":
            modes.set_mode(payer, month, prepays=False, actor="maya")
        case "verb":
            verb("bill-prepaid", *([payer] if payer else ["--everybody"]), "--from", f"{month:%Y-%m}")
        case "credit":
            ledger.credit(payer, chance.randint(1, 9_999), Paid("cash"), author="kim", now=now)
        case "start":
            includes_vat = chance.choice([True, False, None])
            terms.start("EUR", FIRST, "UTC", includes_vat=includes_vat, actor="maya")
        case "line":
            decisions.add_line("m-1", "glue", chance.randint(-900, 900), day=FIRST, author="maya", is_meant=True)
        case "session":
            shop.session(f"s-{step}", "m-1", billing.NOON, chance.randint(1, 90))
        case "close":
            closing.close(month, LATER, actor="maya", reason="a test")


@pytest.mark.parametrize("life", range(4))
def test_no_sequence_of_acts_lets_anybody_prepay(shop_without_vat, life):
    chance = random.Random(life)
    for step in range(30):
        with contextlib.suppress(FabgateError):
            act(chance, shop_without_vat, step)
        check()


def writers(model: str, column: str) -> set[str]:
    """Return the files that make rows of a model, or set a column."""
    found: set[str] = set()
    for path in FABGATE.rglob("*.py"):
        if "migrations" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _writes(node, model):
                found.add(path.name)
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(target, ast.Attribute) and target.attr == column for target in targets):
                    found.add(path.name)
    return found


def _writes(node: ast.Call, model: str) -> bool:
    called: Any = node.func
    if isinstance(called, ast.Name):
        return called.id == model
    is_writing = isinstance(called, ast.Attribute) and called.attr in {
        *("create", "get_or_create", "update_or_create", "bulk_create", "update", "bulk_update"),
    }
    return is_writing and any(isinstance(part, ast.Name) and part.id == model for part in ast.walk(called))


def test_settlements_and_terms_have_one_writer_each():
    """So each payer who prepays has passed the question of `set_mode`, and terms stay as they were chosen."""
    assert writers("PrepaidChange", "prepays") == {"modes.py"}
    assert writers("BillingTerms", "includes_vat") == {"terms.py"}
