"""Does a program that reads with cursors end with the charges of the books, whatever happens meanwhile?"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from fabgate.collector.ground.models import (
    ApiKey,
    Charge,
    ClosedMonth,
    IssuedStatement,
    Machine,
    ManualLine,
    UsageSession,
    Waiver,
)
from fabgate.collector.money.billing import member_plans
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.prepaid import ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.billing.statements import archive
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from tests.collector import postgresql
from tests.collector.faces.api.asked import MONTH, NEXT, SECOND, ask, close
from tests.collector.faces.pages.billing import FIRST, NOON
from tests.collector.faces.pages.used import Used
from tests.collector.serving import serving
from tests.support.patience import HANGS_S

pytestmark = pytest.mark.usefixtures("database")
PAGE = Path(__file__).parents[4] / "docs" / "api-billing.md"
LIVES = 60 if os.environ.get("FABGATE_SOAK") else 1 if postgresql.SERVER else 3


class Reader:
    """A program that keeps what it reads, and its cursor. It knows the whole months that `closed` has named."""

    def __init__(self, token: str, path: str, chance: random.Random) -> None:
        self.token, self.path, self.chance = token, path, chance
        self.after, self.rows, self.months = "0", [], []

    def read(self) -> bool:
        answer = ask(self.token, f"{self.path}?after={self.after}&limit={self.chance.randrange(1, 6)}")
        self.rows += answer.get("charges", []) + answer.get("lines", []) + answer.get("statements", [])
        self.months += [answer["closed"]] if answer["closed"] else []
        self.after = answer["next"]
        return bool(answer["more"])


class Life:
    """A workshop in which chance decides what happens next, while two programs read."""

    def __init__(self, shop: Used, token: str, seed: int) -> None:
        self.chance, self.shop, self.count = random.Random(seed), shop, 0
        self.at = NOON + timedelta(days=1)
        self.charges, self.statements = (Reader(token, path, self.chance) for path in ("charges", "statements"))

    def step(self) -> None:
        acts = [self.use] * 4 + [self.correct] * 3 + [self.waive, self.line, self.close]
        self.chance.choice([*acts, *[self.charges.read, self.statements.read] * 3])()

    def use(self) -> None:
        self.count += 1
        self.at += timedelta(hours=self.chance.choice([1, 30, 150]))
        if self.at < datetime.now(UTC):
            self.shop.session(f"t-{self.count}", f"m-{self.chance.randrange(1, 4)}", self.at, self.chance.randrange(50))

    def correct(self) -> None:
        name = self.chance.choice(sorted(UsageSession.objects.values_list("pk", flat=True)))
        field, new = self.chance.choice([("time", "600000"), ("time", "0"), ("payer", "m-3"), ("purpose", "training")])
        try:
            corrections.correct(name, field, new, author="eve", reason="a test")
        except UsageError:
            return  # it is so already

    def waive(self) -> None:
        name = self.chance.choice(sorted(UsageSession.objects.values_list("pk", flat=True)))
        if not Waiver.objects.filter(session=name).exists():
            decisions.waive(name, author="eve", reason="a test")

    def line(self) -> None:
        decisions.add_line("m-1", "Plywood", self.chance.choice([-150, 900]), day=FIRST, author="eve")

    def close(self) -> None:
        if ClosedMonth.objects.count() < 4:
            close(refresh.open_book().open_month)


@pytest.mark.parametrize("seed", range(LIVES))
def test_a_reader_ends_with_what_the_books_have(charged_shop, token, seed):
    life = Life(charged_shop, token, seed)
    for _ in range(45):
        life.step()
    for reader in (life.charges, life.statements):
        while reader.read():
            pass
    final = {month.month for month in ClosedMonth.objects.all()}
    ids = [row.get("line", row["charge_id"]) for row in life.charges.rows]
    assert len(ids) == len(set(ids))
    wanted = {charge.pk: charge.amount_minor for charge in Charge.objects.filter(month__in=final)}
    wanted |= {line.pk: line.amount_minor for line in ManualLine.objects.filter(month__in=final)}
    assert {row.get("line", row["charge_id"]): row["amount_minor"] for row in life.charges.rows} == wanted
    assert [row["month"] for row in life.charges.months] == sorted(f"{month:%Y-%m}" for month in final)
    assert life.charges.months == life.statements.months
    for month in life.charges.months:
        for reader in (life.charges, life.statements):
            own = [row["amount_minor"] for row in reader.rows if row["month"] == month["month"]]
            assert sum(own) == month["amount_minor"]
    # What is not final is in the lists of the open months, and nowhere else.
    refresh.refresh_all()
    for month in {charge.month for charge in Charge.objects.exclude(month__in=final)}:
        answer = ask(token, f"charges/month?month={month:%Y-%m}&limit=1000")
        assert not answer["final"]
        assert {row["charge_id"]: row["amount_minor"] for row in answer["charges"]} == dict(
            Charge.objects.filter(month=month).values_list("pk", "amount_minor")
        )


def test_a_correction_after_closing_comes_as_a_reversal_and_a_new_charge(charged_shop, token):
    member_plans.set_plans({"m-2": "student"}, FIRST, actor="maya")
    close(FIRST)
    first = ask(token, "charges?after=0")
    assert first["includes_vat"] is True
    assert (first["currency"], first["digits"], first["more"], first["closed"]["month"]) == ("EUR", 2, False, MONTH)
    row = next(one for one in first["charges"] if one["session"] == "s-1")
    same = (
        "payer",
        "payer_name",
        "used_by",
        "machine",
        "plan",
        "kind",
        "counted_ms",
        "free_ms",
        "amount_minor",
        "vat_code",
    )
    assert [row[name] for name in same] == [
        *("m-2", "Bjørn Sørensen", "m-2", "lathe", "student", "billed", 21 * 60_000, 10 * 60_000, 110, "S20")
    ]
    [line] = first["lines"]
    assert (line["text"], line["amount_minor"], line["payer_name"]) == ("Plywood, 9 mm", 1250, "Bjørn Sørensen")
    corrections.correct("s-1", "time", "600000", author="eve", reason="a test cut")
    Machine.objects.filter(name="lathe").update(category="metal")  # the month keeps the category of its closing
    refresh.refresh_all()
    assert ask(token, f"charges?after={first['next']}")["charges"] == []
    open_now = ask(token, f"charges/month?month={NEXT}")
    close(SECOND)
    second = ask(token, f"charges?after={first['next']}")
    taken, new = sorted(second["charges"], key=lambda one: one["amount_minor"])
    assert (taken["reverses"], taken["amount_minor"], taken["counted_ms"]) == (row["charge_id"], -110, -21 * 60_000)
    assert (new["of_month"], new["month"], new["amount_minor"]) == (MONTH, NEXT, 0)
    assert [one["machine_category"] for one in (row, new)] == ["", ""]
    assert second["closed"]["before"] == first["closed"]["sha256"]
    assert {one["charge_id"] for one in open_now["charges"]} == {taken["charge_id"], new["charge_id"]}
    assert {one["sealed"] for one in open_now["charges"]} == {None}
    position = UsageSession.objects.count() + 1
    assert (open_now["final"], open_now["position"], open_now["next_page"]) == (False, position, None)


def test_a_month_is_read_in_pages_too_and_each_row_comes_once(charged_shop, token):
    for first in (False, True):
        found, page = [], "0"
        while page is not None:
            answer = ask(token, f"charges/month?month={MONTH}&limit=2&page={page}")
            found += answer["charges"] + answer["lines"]
            page = answer["next_page"]
        assert [row.get("line", row["charge_id"]) for row in found] == [
            *sorted(Charge.objects.values_list("pk", flat=True)),
            1,
        ]
        assert (answer["final"], found[0]["sealed"] is None) == (first, not first)
        statements, page = [], "0"
        while page is not None:
            answer = ask(token, f"statements/month?month={MONTH}&limit=1&page={page}")
            statements += answer["statements"]
            page = answer["next_page"]
        assert [(row["payer"], row["sessions"], row["amount_minor"]) for row in statements] == [
            *(("m-1", 2, 320), ("m-2", 2, 440 + 1250))
        ]
        assert [row["number"] for row in statements] == [f"{MONTH}/m-1", f"{MONTH}/m-2"]
        assert statements[1]["classes"] == [
            {"kind": "billed", "sessions": 2, "counted_ms": 44 * 60_000, "amount_minor": 440},
            {"kind": "line", "sessions": 0, "counted_ms": 0, "amount_minor": 1250},
        ]
        assert (statements[1]["charges_minor"], statements[1]["lines_minor"]) == (440, 1250)
        if not first:
            close(FIRST)


def test_before_billing_is_started_there_is_nothing(token):
    for path in ("charges", "statements"):
        answer = ask(token, path)
        assert answer == {
            "currency": None,
            "digits": None,
            "includes_vat": None,
            path: [],
            "closed": None,
            "next": "0",
            "more": False,
        } | ({"lines": []} if path == "charges" else {})
        assert ask(token, f"{path}/month?month=2027-01")[path] == []


@pytest.mark.parametrize(
    "path", ["charges", "statements", "charges/month?month=2027-01", "statements/month?month=2027-01"]
)
def test_a_key_of_before_does_not_read_money(charged_shop, path):
    old = ApiKey.make("Hours", ["sessions:read"], made_by=None, expires_at=None)[1]
    answer = Client().get(f"/api/v1/{path}", headers={"authorization": f"Bearer {old}"})
    assert answer.status_code == 403
    assert "charges:read" in answer.json()["detail"]
    assert Client().get(f"/api/v1/{path}").status_code == 401


def test_a_key_for_money_does_not_read_sessions(token):
    answer = Client().get("/api/v1/sessions", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 403


def test_a_cursor_of_other_books_is_refused(charged_shop, token):
    """A copy from before the closing was put back, and the month closed again with other money."""
    close(FIRST)
    after = ask(token, "charges?limit=1")["next"]
    end = ask(token, "charges")["next"]
    assert ask(token, f"statements?after={end}")["statements"] == []
    ClosedMonth.objects.all().delete()
    IssuedStatement.objects.all().delete()
    for gone in (after, end):
        assert refused(token, gone) == 409
    decisions.add_line("m-1", "Glue", 100, day=FIRST, author="eve")
    close(FIRST)
    for other in (after, end):
        assert refused(token, other) == 409


def test_a_cursor_of_the_other_list_is_refused(charged_shop, token):
    """It would leave out what its place happens to come after."""
    close(FIRST)
    place, of = ask(token, "charges?limit=1")["next"], ask(token, "statements?limit=1")["next"]
    assert refused(token, of) == 409
    assert refused(token, place, "statements") == 409
    head, _place, sha256 = place.split(".")
    for made_up in ("line-", "line-x", f"line-{'9' * 30}", "9" * 40, "--"):
        assert refused(token, f"{head}.{made_up}.{sha256}") == 409


def refused(token: str, after: str, path: str = "charges") -> int:
    said = {"authorization": f"Bearer {token}"}
    answer = Client().get(f"/api/v1/{path}", {"after": after}, headers=said)
    if answer.status_code == 409:
        assert "with the same `id`" in answer.json()["detail"]
    return answer.status_code


@pytest.mark.parametrize(
    ("path", "name", "value", "wanted"),
    [
        ("charges", "after", "2027-01", "0, or the `next` of an answer as it was"),
        ("charges", "after", "2027-13.end.0123456789abcdef", "0, or the `next` of an answer as it was"),
        ("charges/month", "month", "2027-1", "a month such as 2027-01"),
        ("charges/month", "month", "", "a month such as 2027-01"),
        ("charges/month?month=2027-01", "page", "x", "0, or the `next_page` of an answer as it was"),
        ("statements/month?month=2027-01", "page", "-1", "0, or the `next_page` of an answer as it was"),
        ("statements", "limit", "0", "a whole number from 1 to 1000"),
    ],
)
def test_invalid_parameters_are_named(token, path, name, value, wanted):
    address = f"/api/v1/{path}{'&' if '?' in path else '?'}{name}={value}"
    answer = Client().get(address, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 422
    assert answer.json() == {"detail": f"{name}: found {value!r}, wanted {wanted}"}


def test_a_page_takes_no_query_per_row(charged_shop, token):
    close(FIRST)
    ask(token, "charges")  # the key notes that it was used
    counts = []
    for limit in (2, 3):
        with CaptureQueriesContext(connection) as queries:
            ask(token, f"charges?limit={limit}")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 13


@pytest.fixture
def address(charged_shop) -> Iterator[str]:
    """A server whose first month is closed; the second has a reversal. One of two payers prepays."""
    modes.set_mode("m-1", FIRST, prepays=True, actor="maya")
    ledger.credit("m-1", 5_000, Paid("cash", "4711"), author="kim", now=NOON)
    close(FIRST)
    corrections.correct("s-1", "time", "600000", author="eve", reason="a test cut")
    refresh.refresh_all()
    with serving(replace(settings.ENVIRONMENT, web_port=0)) as found:
        yield found


def run(*command: object, **env: str) -> subprocess.CompletedProcess[str]:
    more = {"env": {**os.environ, **env}} if env else {}
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=HANGS_S, check=False, **more)


def test_the_python_of_the_docs_books_each_month_once(address, token, tmp_path):
    [program] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "book.py").write_text(program, encoding="utf-8")
    (tmp_path / "key").write_text(f"{token}\n")
    command = (sys.executable, tmp_path / "book.py", address, tmp_path / "key", tmp_path / "cursor")
    first = run(*command)
    assert (first.stdout, first.stderr) == (f"{MONTH} m-2 16.90 EUR\n", "")
    assert len(ask(token, "charges")["closed"]["sealed_prepaid"]) == 3  # the mode, the credit, and what was used up
    assert ask(token, "charges")["closed"]["archive"] == archive.digests(date.fromisoformat(f"{MONTH}-01"))
    [paid, owed] = ask(token, f"statements/month?month={MONTH}")["statements"]
    assert (paid["settlement"], owed["settlement"]) == ("prepaid", "receivable")
    assert run(*command).stdout == ""
    close(SECOND)
    connection.close()
    assert run(*command).stdout == f"{NEXT} m-2 -1.10 EUR\n"
    Charge.objects.filter(month=FIRST, session="s-0").update(running_ms=7)  # by somebody with access to the database
    (tmp_path / "cursor").unlink()
    altered = run(*command)
    assert (altered.stdout, altered.returncode) == ("", 1)
    assert "nothing was booked" in altered.stderr


def test_the_curl_of_the_docs_works(address, tmp_path):
    key = ApiKey.make("All", ["charges:read", "sessions:read"], made_by=None, expires_at=None)[1]
    [block] = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    done = run("sh", "-e", "-c", block.replace("2027-01", MONTH), KEY=key, URL=address)
    assert done.returncode == 0, done.stderr
    for part in ('"sessions"', '"closed"', '"final"', '"statements"'):
        assert part in done.stdout
