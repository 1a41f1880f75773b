"""Is a file complete, exact to the millisecond, harmless in a spreadsheet, and is it written down who took it?"""

from __future__ import annotations

import asyncio
import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from openpyxl import load_workbook

from fabgate.collector.faces.pages.use.exports import tables
from fabgate.collector.ground.models import Change, Correction, Review, UsageSession
from fabgate.collector.ground.tables import csv_file, xlsx_file
from fabgate.collector.ground.tables import table as kinds
from fabgate.collector.money.paper.figures import NOTHING
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages.use.exports.exported import sheet, some, table
from tests.collector.faces.pages.used import MINUTE, NOON, body, machine, text
from tests.collector.paying import organisation

pytestmark = pytest.mark.usefixtures("database")


def test_sessions_come_with_names_and_exact_milliseconds(used, browse):
    client = browse("accountant")
    rows = table(client.get("/use/export.csv?what=sessions"))
    assert [(row["Session"], row["Person"], row["Powered on (ms)"]) for row in rows] == [
        ("s-1", "Zoé Müller", "1799877"),
        ("s-2", "'=1+2", "1200000"),
    ]
    assert rows[0]["Started (UTC)"] == NOON.isoformat(timespec="milliseconds")
    assert datetime.fromisoformat(rows[0]["Ended (local)"]) == NOON + 30 * MINUTE
    assert (rows[1]["Uncertain"], rows[1]["Uncertainty (ms)"], rows[1]["To review"]) == (
        "yes",
        "900001",
        "End uncertain",
    )
    assert [row["Energy (Wh)"] for row in rows] == ["340", ""]
    lines = table(client.get(f"/use/export.csv?what=usage&first={NOON:%Y-%m-%d}&last={NOON:%Y-%m-%d}"))
    assert sorted((line["Energy (Wh)"], line["Sessions measured"]) for line in lines) == [("", "0"), ("340", "1")]


def test_an_organisation_that_pays_is_named_in_the_file(used, browse):
    UsageSession.objects.filter(pk="s-1").update(payer=organisation().pk)
    row = table(browse("accountant").get("/use/export.csv?what=sessions"))[0]
    assert (row["Payer number"], row["Payer"]) == ("payer:1", "Université Lumière")


def test_what_is_contested_or_settled_stands_in_the_file_as_in_the_queue(used, browse):
    client = browse("accountant")

    def waits() -> dict[str, tuple[str, str]]:
        rows = table(client.get("/use/export.csv?what=sessions"))
        return {row["Session"]: (row["To review"], row["Uncertain"]) for row in rows}

    corrections.contest(UsageSession.objects.get(pk="s-1"), "I left at four", author="ada")
    assert waits() == {"s-1": ("Contested", "yes"), "s-2": ("End uncertain", "yes")}
    for review in Review.objects.all():
        corrections.accept(review, author="eve")
    assert waits() == {"s-1": ("", ""), "s-2": ("", "yes")}


def test_what_is_still_open_belongs_to_days_that_are_not_over(used, browse):
    used.begin("s-now", "m-1", used.now - MINUTE)
    client = browse("accountant")
    wanted = {"": True, "?period=today": True, "?period=all": True, "?period=last-month": False}
    for query, there in wanted.items():
        sessions = [row["Session"] for row in table(client.get(f"/use/export.csv{query}"))]
        assert ("s-now" in sessions) == there, query
        if query != "?period=all":
            assert ("s-now" in text(client.get(f"/use{query}"))) == there, query


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("first=2026-11-01&last=2026-11-30", "lyon-sessions-2026-11-01--2026-11-30"),
        ("period=all", "lyon-sessions-all-time-{today}"),
        ("what=usage&month=2026-02", "lyon-usage-2026-02-01--2026-02-28"),
        ("what=refusals&first=2026-11-01&last=2026-11-02", "lyon-refusals-2026-11-01--2026-11-02"),
    ],
)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_file_is_named_after_the_days_that_it_covers(used, browse, query, name, form):
    answer = browse("accountant").get(f"/use/export.{form}?{query}")
    answer.close()
    name = name.format(today=datetime.now(UTC).date())  # midnight may have passed since this file was read
    assert answer["Content-Disposition"] == f'attachment; filename="{name}.{form}"'


#: What a cell of each kind may be. What is no text is written down unseen: none of it begins as a formula does.
CELLS = {
    kinds.TEXT: r"(?s).*",
    kinds.NUMBER: r"\d*",
    kinds.PLAIN: r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00)?",
    kinds.DURATION: r"\d+",
    kinds.MOMENT: r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d)?",
    kinds.DAY: r"\d{4}-\d\d-\d\d",
}


@pytest.mark.parametrize("what", ["sessions", "usage", "refusals"])
def test_each_column_holds_what_it_says(used, what):
    used.begin("s-3", "m-1", NOON + 120 * MINUTE)
    form, take = tables._WHAT[what]
    asked: Any = form(QueryDict("period=all" if what == "sessions" else f"first={NOON:%Y-%m-%d}&last={NOON:%Y-%m-%d}"))
    assert asked.is_valid(), asked.errors
    made = take(asked)
    rows = list(made.rows)
    assert rows
    for row in rows:
        for column, cell in zip(made.columns, row, strict=True):
            is_number = column.kind in {kinds.NUMBER, kinds.DURATION}
            assert isinstance(cell, int) == is_number or (column.kind == kinds.NUMBER and cell == ""), column
            assert re.fullmatch(CELLS[column.kind], str(cell)), column


def test_a_session_that_ends_while_the_file_is_written_stands_in_it_once(used):
    used.begin("s-now", "m-1", used.now - MINUTE)
    form = tables._UnlimitedSessions(QueryDict("period=all"))
    assert form.is_valid(), form.errors
    rows = iter(tables._sessions(form).rows)
    found = [next(rows)]
    used.end("s-now", "m-1", used.now, 60_000)
    assert sorted(row[0] for row in [*found, *rows]) == ["s-1", "s-2", "s-now"]


def test_a_session_that_ended_for_a_reason_that_its_gate_does_not_say_is_not_called_open(used, browse):
    used.session("s-3", "m-1", NOON + 120 * MINUTE, 5, reason="")
    client = browse("accountant")
    rows = {row["Session"]: row["Why it ended"] for row in table(client.get("/use/export.csv"))}
    assert (rows["s-3"], "still open" in rows.values()) == (NOTHING, False)
    for page in ("/use/s-3", f"/use/moment?machine={machine()}&day={NOON:%Y-%m-%d}&time=14:02"):
        assert f"{NOTHING} still open" not in text(client.get(page)), page
        assert f"{NOTHING} <time" in text(client.get(page)), page


def test_a_refusal_whose_time_nobody_knows_is_not_told_as_if_it_were_known(used, browse):
    used.journals["lathe-1"].synced = False
    used.refuse("e" * 64, "m-2", used.now, "expired", gate="lathe-1")
    client = browse("accountant")
    rows = table(client.get("/use/export.csv?what=refusals"))
    assert [(row["Badge"], row["Time unknown: received at"]) for row in rows] == [
        ("b" * 8, ""),
        ("e" * 8, "yes"),
    ]
    asked = f"machine={machine('lathe')}&day={used.now:%Y-%m-%d}&time={used.now:%H:%M:%S}"
    assert "≈ </span>" in text(client.get(f"/use/moment?{asked}"))
    assert "≈ </span>" not in text(client.get(f"/use/moment?machine={machine()}&day={NOON:%Y-%m-%d}&time=12:05"))


@pytest.mark.parametrize("what", ["sessions", "usage", "refusals"])
def test_a_file_asks_for_no_name_by_itself(used, browse, what):
    client, asked = browse("accountant"), []
    days = f"first={NOON:%Y-%m-%d}&last={NOON:%Y-%m-%d}&by=machine-member"
    client.get("/use")
    for batch in range(2):
        for number in range(batch * 20, batch * 20 + 3 + 17 * batch):
            who = f"emergency:{number}" if number % 2 else f"gone-{number}"
            used.session(f"s-{who}", who, NOON + (61 + number * 5) * MINUTE, 3)
            used.refuse(f"{number:064x}", who, NOON + (65 + number * 5) * MINUTE, "expired")
        with CaptureQueriesContext(connection) as queries:
            rows = table(client.get(f"/use/export.csv?what={what}&{days}"))
        asked.append(len(queries))
        assert {"gone-0", "Emergency badge 1"} <= {row["Person"] for row in rows}
    assert asked[0] == asked[1]


@pytest.mark.parametrize("count", [0, 1, kinds._AT_ONCE, 2 * kinds._AT_ONCE + 1])
def test_no_row_is_lost_between_two_looks(count, tmp_path):
    rows: list[list[kinds.Cell]] = [[f"who {n}", n, n * 1000] for n in range(count)]
    content = b"".join(csv_file.write_csv(some(rows, "text number duration"), ",")).decode("utf-8-sig")
    assert [line.split(",")[1] for line in content.splitlines()[1:]] == [str(n) for n in range(count)]
    with (tmp_path / "sheet.xlsx").open("w+b") as file:
        xlsx_file.write_xlsx(file, some(rows, "text number duration"))
    found = list(load_workbook(tmp_path / "sheet.xlsx").active.values)[1:]
    assert [(who, number) for who, number, _span in found] == [(who, number) for who, number, _ms in rows]


def test_the_filters_of_the_page_hold_and_a_file_may_be_of_years(used, browse):
    client = browse("accountant")
    used.session("s-old", "m-1", NOON - timedelta(days=70), 5)
    assert [row["Session"] for row in table(client.get("/use/export.csv?period=all"))] == ["s-old", "s-1", "s-2"]
    assert [row["Session"] for row in table(client.get("/use/export.csv?member=m-4"))] == ["s-2"]
    assert [row["Session"] for row in table(client.get(f"/use/export.csv?machine={machine()}"))] == ["s-1"]


def test_open_sessions_come_last_without_an_end(used, browse):
    used.begin("s-3", "m-2", used.now - 5 * MINUTE)
    row = table(browse("accountant").get("/use/export.csv"))[-1]
    assert (row["Session"], row["Ended (UTC)"], row["Why it ended"]) == ("s-3", "", "still open")


NAMES = {"Person", "Person number"}


@pytest.mark.parametrize(
    ("by", "heads", "lines"),
    [
        ("", ["Machine"], [["Band saw"], ["Metal lathe"]]),
        ("machine", ["Machine"], [["Band saw"], ["Metal lathe"]]),
        ("member", ["Person number", "Person"], [["m-1", "Zoé Müller"], ["m-4", "'=1+2"]]),
        (
            "machine-member",
            ["Machine", "Person number", "Person"],
            [["Band saw", "m-1", "Zoé Müller"], ["Metal lathe", "m-4", "'=1+2"]],
        ),
        ("category", ["Category"], [["student"], ["not stated"]]),
    ],
)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_file_of_usage_has_the_lines_of_the_page_and_names_only_where_the_page_has_them(
    used, browse, by, heads, lines, form
):
    client, query = browse("accountant"), f"what=usage&first={NOON:%Y-%m-%d}&last={NOON:%Y-%m-%d}&by={by}"
    response = client.get(f"/use/export.{form}?{query}")
    rows = table(response) if form == "csv" else sheet(response)
    assert [[str(row[head]) for head in heads] for row in rows] == [
        [text.lstrip("'") if form == "xlsx" else text for text in line] for line in lines
    ]
    assert [int(row["Powered on (ms)"]) for row in rows] == [1_799_877, 1_200_000]
    assert (NAMES & rows[0].keys()) == (NAMES & set(heads))
    shown = client.get(f"/use/usage?{query}").context["lines"]
    assert [(line["ms"], line["sessions"]) for line in shown] == [
        (str(row["Powered on (ms)"]), str(row["Sessions"])) for row in rows
    ]
    if not NAMES & set(heads):
        assert not any("Müller" in str(value) or value == "m-1" for row in rows for value in row.values())


def test_refusals_come_with_every_reason(used, browse):
    (row,) = table(browse("accountant").get("/use/export.csv?what=refusals"))
    assert (row["Person"], row["Reason"], row["Badge"]) == (
        "Zoé Müller",
        "Membership expired, training missing",
        "bbbbbbbb",
    )


def test_heads_and_words_are_in_the_language_of_the_account(used, browse, account):
    response = browse(account("accountant", lang="fr")).get("/use/export.csv")
    with translation.override("en"):  # the file is made while it is sent, when nobody's language is in force any more
        rows = table(response)
    assert rows[0]["Durée (ms)"] == "1799877"
    assert rows[0]["Motif de fin"] == "Badge présenté"
    assert rows[0]["Personne"] == "Zoé Müller"


def test_who_took_what_is_in_the_log_before_anything_leaves(used, browse):
    browse("auditor").get("/use/export.csv?what=usage&by=member").close()
    change = Change.objects.get(verb="data.exported")
    assert (change.actor, change.after) == ("auditor", {"what": "usage", "form": "csv", "by": "member"})


def test_the_answer_is_a_file_with_its_length(used, browse):
    response = browse("accountant").get("/use/export.xlsx")
    assert response["Content-Disposition"].startswith('attachment; filename="lyon-sessions-')
    assert int(response["Content-Length"]) == len(body(response))


@pytest.mark.parametrize(
    ("query", "status"), [("what=secrets", 404), ("member=nobody", 400), ("first=x", 400), ("what=usage&month=x", 400)]
)
def test_what_cannot_be_exported_is_refused_and_not_logged(used, browse, query, status):
    assert browse("accountant").get(f"/use/export.csv?{query}").status_code == status
    assert not Change.objects.filter(verb="data.exported").exists()


@pytest.mark.parametrize(
    ("language", "column", "said"), [("en", "Corrected", "Payer, Powered on"), ("fr", "Corrigée", "Payeur, Durée")]
)
def test_what_was_put_right_is_said_in_the_language_of_the_file(used, browse, language, column, said):
    for field, value in ((Correction.TIME, "60000"), (Correction.PAYER, "m-3")):
        corrections.correct("s-1", field, value, author="eve", reason="x")
    row = table(browse("accountant").get("/use/export.csv", headers={"accept-language": language}))[0]
    assert row[column] == said


def test_a_file_is_sent_piece_by_piece_under_asgi_too(used, account):
    client = AsyncClient(headers={"host": "localhost"})
    who = account("accountant")

    async def take() -> bytes:
        await client.aforce_login(who)
        response = await client.get("/use/export.csv")
        return b"".join([piece async for piece in response.streaming_content])

    assert b"s-1" in asyncio.run(take())


@pytest.mark.parametrize("page", ["/use?period=today", "/use/usage?month=2020-01", "/use/refusals?period=today"])
def test_a_time_in_which_nothing_was_can_be_taken_along_too(used, browse, page):
    client = browse("accountant")
    link = re.search(r'href="(/use/export\.csv\?[^"]*)"', client.get(page).content.decode())
    assert link is not None
    assert table(client.get(html.unescape(link[1]))) == []
    assert sheet(client.get(html.unescape(link[1]).replace(".csv", ".xlsx"))) == []


def test_a_form_with_a_mistake_offers_no_file(used, browse):
    assert "/use/export.csv" not in browse("accountant").get("/use?period=all").content.decode()
