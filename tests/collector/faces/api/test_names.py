"""Does a fact have one name, and one value, in the API, in webhooks and in files?

Each of the three has the same charges. A name that only one of them has is listed here, so that a second name for a fact of
another one is seen.
"""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fabgate.collector.ground.models import ApiKey, BillingTerms, Collector, LedgerLine, Payer
from fabgate.collector.money.billing.charges import decisions
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import modes
from fabgate.collector.money.billing.sinks import config, feeds
from fabgate.collector.money.billing.sinks.drivers.files import FilesSink
from fabgate.collector.money.billing.sinks.drivers.webhook import WebhookSink
from fabgate.collector.money.billing.vat import rates
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.api.asked import MONTH, NEXT, SECOND, ask, close
from tests.collector.faces.pages.billing import FIRST
from tests.collector.faces.pages.used import Used

pytestmark = pytest.mark.usefixtures("database")

#: Names of facts that only the API has, or that it has once for all rows.
API_ONLY = {"used_by_name", "free_ms", "rule", "sealed", "line", "author", "at"}
#: What an event carries, because it comes alone; the API has it once for all rows.
ONCE = {"currency", "digits", "includes_vat"}
#: The customer's number in the program that gets the webhook.
WEBHOOK_ONLY = {"reference"}
#: For people who open the file: the amount in the main unit.
FILE_ONLY = {"amount"}


@pytest.fixture
def books(charged_shop: Used) -> Used:
    """Two closed months with a correction, a line and a payer who prepays; prices exclude VAT in neither."""
    Collector.get("lyon")
    rates.set_rate("S20", Decimal(20), actor="eve")
    modes.set_mode("m-1", FIRST, prepays=True, actor="eve")
    close(FIRST)
    corrections.correct("s-1", "time", "600000", author="eve", reason="a test")
    decisions.add_line("m-1", "Glue", -309, day=FIRST, author="eve")
    close(SECOND)
    return charged_shop


def in_the_api(token: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for month in (MONTH, NEXT):
        answer = ask(token, f"charges/month?month={month}")
        once = {name: answer[name] for name in ONCE}
        found |= {row["charge_id"]: {**row, **once} for row in answer["charges"] + answer["lines"]}
    return found


def in_webhooks(folder: Path) -> dict[str, dict[str, Any]]:
    options = WebhookSink.Options(since=MONTH, url="http://localhost", secret_file=folder)
    sink = WebhookSink(options, config.site_of())
    feed, place, found = feeds.Charges(FIRST), "", {}
    while True:
        items, place = feed.after(place, 1_000, datetime.now(UTC))
        if not items:
            return found
        for item in items:
            event = json.loads(msgspec.json.encode(sink._event(item)))  # type: ignore[arg-type]
            assert event["id"] == event["data"]["charge_id"]
            found[event["id"]] = event["data"]


def in_files(folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, str]]]:
    """Return the rows of charges.json, and those of charges.csv."""
    sink = FilesSink(FilesSink.Options(since=MONTH, folder=folder), config.site_of())
    feed, place = feeds.Months(FIRST), ""
    while True:
        items, place = feed.after(place, 1, datetime.now(UTC))
        if not items:
            break
        sink.send(items)  # type: ignore[arg-type]
    as_json, as_csv = {}, {}
    for path in folder.glob("*/charges.json"):
        as_json |= {row["charge_id"]: row for row in json.loads(path.read_text())["charges"]}
    for path in folder.glob("*/charges.csv"):
        rows = csv.DictReader(path.read_text("utf-8-sig").splitlines())
        as_csv |= {row["charge_id"]: row for row in rows}
    return as_json, as_csv


def plain(name: str, value: Any) -> Any:
    """Return a value without how it is written: a moment in another zone, an empty cell, a number as text."""
    if name in {"started_at", "ended_at"} and value:
        return datetime.fromisoformat(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def test_a_charge_has_the_same_names_and_values_everywhere(books, token, tmp_path):
    api, webhooks = in_the_api(token), in_webhooks(tmp_path)
    as_json, as_csv = in_files(tmp_path)
    assert api.keys() == webhooks.keys() == as_json.keys() == as_csv.keys()
    assert len(api) == 8
    sources = {"API": api, "webhook": webhooks, "JSON": as_json, "CSV": as_csv}
    names = {source: set().union(*(row.keys() for row in rows.values())) for source, rows in sources.items()}
    assert names["API"] - names["webhook"] == API_ONLY
    assert names["webhook"] - names["API"] == WEBHOOK_ONLY
    assert names["CSV"] - names["API"] - ONCE == FILE_ONLY
    assert names["JSON"] <= names["CSV"]
    for key, row in api.items():
        is_line = "line" in row
        for source, rows in sources.items():
            for name in row.keys() & rows[key].keys():
                if name == "payer_name" or (is_line and name in {"started_at", "ended_at"}):
                    continue  # the engine of sinks adds the legal name; a line has no session, and no times
                assert plain(name, rows[key][name]) == plain(name, row[name]), (source, name)


@pytest.mark.parametrize(("includes_vat", "cell"), [(True, "true"), (False, "false"), (None, "")])
def test_whether_amounts_include_vat_is_in_each_of_them(charged_shop, token, tmp_path, includes_vat, cell):
    Collector.get("lyon")
    BillingTerms.objects.update(includes_vat=includes_vat)
    close(FIRST)
    assert ask(token, "charges")["includes_vat"] is includes_vat
    assert {row["includes_vat"] for row in in_webhooks(tmp_path).values()} == {includes_vat}
    assert {row["includes_vat"] for row in in_files(tmp_path)[1].values()} == {cell}
    assert json.loads((tmp_path / MONTH / "charges.json").read_text())["includes_vat"] is includes_vat


def test_a_session_has_the_same_names_in_the_api_and_in_webhooks(books, tmp_path):
    key = ApiKey.make("Usage", ["sessions:read"], made_by=None, expires_at=None)[1]
    rows = {row["position"]: row for row in ask(key, "sessions")["sessions"]}
    options = WebhookSink.Options(since=MONTH, url="http://localhost", secret_file=tmp_path, takes="usage")
    sink = WebhookSink(options, config.site_of())
    items = feeds.events.Ledger(datetime.min.replace(tzinfo=UTC)).after("", 1_000, datetime.now(UTC))[0]
    events = [json.loads(msgspec.json.encode(sink._event(item)))["data"] for item in items]  # type: ignore[arg-type]
    assert len(events) == LedgerLine.objects.count()
    for event in events:
        row = rows[event["position"]]
        own = event.keys() - row.keys()
        assert own == {"reference", "first", "reverses"}
        for name in event.keys() & row.keys() - {"payer_name", "machine_category"}:
            moments = name in {"at", "started_at", "ended_at"}
            found, wanted = event[name], row[name]
            if moments and found and wanted:
                found, wanted = datetime.fromisoformat(found), datetime.fromisoformat(wanted)
                found, wanted = (one.replace(microsecond=one.microsecond // 1000 * 1000) for one in (found, wanted))
            assert found == wanted, name


# --- sums -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("includes_vat", [True, False])
def test_statements_add_up_to_the_month_with_and_without_vat(charged_shop, token, tmp_path, includes_vat):
    Collector.get("lyon")
    BillingTerms.objects.update(includes_vat=includes_vat)
    decisions.add_line("m-2", "Glue", 309, day=FIRST, author="eve")
    close(FIRST)
    answer = ask(token, "statements")
    unknown = "net_minor" if includes_vat else "gross_minor"
    assert {answer["closed"][unknown], answer["closed"]["vat_minor"]} == {None}
    assert {row["vat_percent"] for row in ask(token, "charges")["charges"]} == {None}
    rates.set_rate("S20", Decimal("20.0"), actor="eve")
    rates.set_rate("", Decimal("5.5"), actor="eve")
    answer = ask(token, "statements")
    for name in ("net_minor", "vat_minor", "gross_minor"):
        sums = [statement[name] for statement in answer["statements"]]
        assert sum(sums) == answer["closed"][name]
        for statement in answer["statements"]:
            assert sum(part[name] for part in statement["by_vat_code"]) == statement[name]
    same = "gross_minor" if includes_vat else "net_minor"
    assert [one[same] for one in answer["statements"]] == [one["amount_minor"] for one in answer["statements"]]
    parts = {part["vat_code"]: part for part in answer["statements"][1]["by_vat_code"]}
    net, tax = (293, 16) if includes_vat else (309, 17)
    assert parts[""] == {
        "vat_code": "",
        "vat_percent": "5.5",
        "net_minor": net,
        "vat_minor": tax,
        "gross_minor": net + tax,
    }
    assert {row["vat_percent"] for row in ask(token, "charges")["charges"]} == {"20"}
    in_files(tmp_path)
    payer_rows = csv.DictReader((tmp_path / MONTH / "payers.csv").read_text("utf-8-sig").splitlines())
    for row, statement in zip(payer_rows, answer["statements"], strict=True):
        for name in ("payer", "net_minor", "vat_minor", "gross_minor"):
            assert row[name] == str(statement[name])


def test_the_month_of_each_is_a_month(books, token, tmp_path):
    assert {row["month"] for row in in_webhooks(tmp_path).values()} == {MONTH, NEXT}
    assert {row["month"] for row in in_the_api(token).values()} == {MONTH, NEXT}


def test_a_payer_has_the_name_of_their_statements_everywhere(books, token):
    """The API had the name by which people know a payer; webhooks and files the legal one."""
    payers.ensure(payers.get("m-1"), actor="eve")
    Payer.objects.filter(pk="m-1").update(name="Ateliers Martin SARL")
    usage = ApiKey.make("Usage", ["sessions:read"], made_by=None, expires_at=None)[1]
    charges = ask(token, f"charges/month?month={MONTH}")
    rows = [*charges["charges"], *ask(usage, "sessions")["sessions"], *ask(token, "statements")["statements"]]
    assert {row["payer_name"] for row in rows if row["payer"] == "m-1"} == {"Ateliers Martin SARL"}
    names = payers.legal_names({row["payer"] for row in rows})
    assert {row["payer"]: row["payer_name"] for row in rows} == names
