"""Do the sums add up, by whatever they are asked for?"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import escape, unescape
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict
from django.utils import timezone

from fabgate.collector.faces.pages.use.periods import Period
from fabgate.collector.faces.pages.use.reports import sums
from fabgate.collector.faces.pages.use.reports.usage import UsageForm
from fabgate.collector.ground.models import Machine, Member, UsageDay, UsageMonth, UsageSession
from fabgate.collector.money.paper.figures import NOTHING
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages.used import MINUTE, NOON, Used, machine, text

pytestmark = pytest.mark.usefixtures("database")
DAYS = f"first={NOON:%Y-%m-%d}&last={NOON:%Y-%m-%d}"


@pytest.fixture
def used(database) -> Used:
    used = Used()
    used.session("s-1", "m-1", NOON, 30)
    used.session("s-2", "m-2", NOON + 60 * MINUTE, 20, gate="lathe-1")
    used.session("s-3", "m-1", NOON + 90 * MINUTE, 10, reason="power-loss", uncertainty_ms=900_000)
    return used


def lines(response) -> list[tuple[str, str, str]]:
    found = re.findall(
        r'<tr>\s*<th scope="row">(?:<a[^>]*>)?([^<]+)(?:</a>)?</th>\s*<td[^>]*>(\d+)</td>\s*<td[^>]*>([\d:]+)</td>',
        response.content.decode(),
    )
    return [(title.strip(), sessions, time) for title, sessions, time in found]


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ("machine", [("Band saw", "2", "0:40:00"), ("Metal lathe", "1", "0:20:00")]),
        ("member", [("Zoé Müller", "2", "0:40:00"), ("Bjørn Sørensen", "1", "0:20:00")]),
        ("category", [("student", "2", "0:40:00"), ("adult", "1", "0:20:00")]),
        (
            "machine-member",
            [("Band saw · Zoé Müller", "2", "0:40:00"), ("Metal lathe · Bjørn Sørensen", "1", "0:20:00")],
        ),
    ],
)
def test_the_sums_are_by_what_was_chosen_with_a_total(used, browse, by, wanted):
    found = lines(browse("accountant").get(f"/use/usage?{DAYS}&by={by}"))
    assert found == [*wanted, ("Total", "3", "1:00:00")]


@pytest.mark.parametrize(("by", "more"), [("machine", ""), ("machine-member", " · {}")])
def test_two_machines_of_one_title_are_two_lines_told_apart(used, browse, by, more):
    Machine.objects.filter(name="lathe").update(title="Band saw")
    client = browse("accountant")
    page = client.get(f"/use/usage?{DAYS}&by={by}")
    wanted = [
        ("Band saw (bandsaw)", "Zoé Müller", "2", "0:40:00"),
        ("Band saw (lathe)", "Bjørn Sørensen", "1", "0:20:00"),
    ]
    assert lines(page)[:-1] == [(machine + more.format(who), *told) for machine, who, *told in wanted]
    choices = [label for _key, label in page.context["form"].fields["machine"].choices]
    assert {"Band saw (bandsaw)", "Band saw (lathe)"} < set(choices)
    assert {"Band saw (bandsaw)", "Band saw (lathe)"} == {
        label for _key, label in client.get("/use/moment").context["form"].fields["machine"].choices
    }


def test_only_what_was_chosen_is_summed(used, browse):
    client = browse("accountant")
    assert lines(client.get(f"/use/usage?{DAYS}&member=bjorn"))[-1] == ("Total", "1", "0:20:00")
    assert lines(client.get(f"/use/usage?{DAYS}&machine={machine()}"))[-1] == ("Total", "2", "0:40:00")
    assert lines(client.get(f"/use/usage?{DAYS}&category=student"))[-1] == ("Total", "2", "0:40:00")
    assert "No sessions in this period" in text(client.get(f"/use/usage?{DAYS}&category=+"))


def test_a_category_that_is_written_as_a_dash_is_not_taken_for_none(used, browse):
    Member.objects.filter(pk="m-2").update(category="-")
    used.session("s-dash", "m-2", NOON + 240 * MINUTE, 7)
    used.session("s-none", "m-3", NOON + 300 * MINUTE, 9)
    client = browse("accountant")
    for asked, who, other in (("-", "Bjørn Sørensen", "Zoé Petit"), ("+", "Zoé Petit", "Bjørn Sørensen")):
        shown = text(client.get(f"/use/usage?{DAYS}&by=member&category={asked}")).partition("<tbody>")[2]
        assert (who in shown, other in shown) == (True, False)


def test_a_correction_counts_in_the_sums(used, browse):
    corrections.correct("s-1", "time", "60000", author="eve", reason="x")
    assert lines(browse("accountant").get(f"/use/usage?{DAYS}"))[-1] == ("Total", "3", "0:31:00")


def test_uncertain_minutes_are_flagged_and_the_page_says_on_which_day_they_count(used, browse):
    shown = text(browse("accountant").get(f"/use/usage?{DAYS}"))
    assert "1 session, up to 0:15:00 more" in shown
    assert "Time counts on the day on which the session ended." in shown


def test_the_chart_has_every_day_and_its_numbers_as_text(used, browse):
    first = NOON - timedelta(days=2)
    response = browse("accountant").get(f"/use/usage?first={first:%Y-%m-%d}&last={NOON:%Y-%m-%d}")
    found = re.search(r'<script id="bars" type="application/json">(.*?)</script>', response.content.decode())
    assert found is not None
    told = json.loads(found[1])
    assert told["hours"] == [0, 0, 1]
    assert len(told["labels"]) == 3
    assert "As a table" in text(response)


def test_long_periods_have_bars_by_week_and_by_month(used):
    rows = UsageDay.objects.all()
    year = Period(NOON.date() - timedelta(days=300), NOON.date())
    assert len(sums.bars(rows, year)["labels"]) in {43, 44}
    assert sum(sums.bars(rows, Period(year.first - timedelta(days=700), year.last))["ms"]) == 3_600_000


def test_sessions_are_counted_by_the_weekday_and_hour_of_their_beginning(used):
    found = sums.heat(UsageSession.objects.all())
    counts = {(day, hour): times for day, (_, cells) in enumerate(found.rows) for hour, (times, _) in enumerate(cells)}
    assert {place: times for place, times in counts.items() if times} == {
        (NOON.weekday(), 12): 1,
        (NOON.weekday(), 13): 2,
    }
    assert found.most == 2


@pytest.mark.parametrize("by", [sums.MACHINE, sums.MEMBER, sums.CATEGORY, sums.BOTH])
def test_the_longest_lines_are_the_first_of_all_of_them(used, by):
    rows = UsageDay.objects.all()
    every = sums.lines(rows, by)
    for most in (1, 2, 9):
        found = sums.first_lines(rows, by, most)
        assert found.lines == every[:most]
        assert found.total_lines == len(every)
        assert found.total[4:11] == tuple(map(sum, zip(*(line[4:11] for line in every), strict=True)))
    assert sums.first_lines(rows.filter(used_by="nobody"), by, 9) == ([], sums.Line("", "", "", "", 0, 0, 0, 0, 0), 0)


@pytest.mark.parametrize(
    ("years", "days", "model", "bars"),
    [
        (0, 0, UsageMonth, UsageDay),
        (2, 0, UsageMonth, UsageMonth),
        (0, 1, UsageDay, UsageDay),
        (2, 1, UsageDay, UsageDay),
    ],
)
def test_whole_months_are_read_as_such_and_say_what_their_days_do(used, years, days, model, bars):
    this = NOON.replace(day=1)
    used.session("s-4", "m-1", this - 20 * MINUTE - timedelta(hours=12), 40)  # its end is in another month
    used.session("s-5", "m-2", this - timedelta(days=3), 20)
    used.session("s-6", "m-2", this - timedelta(days=20), 20)
    first = (this - timedelta(days=1)).replace(day=1)
    first = first.replace(year=first.year - years) + timedelta(days=days)
    last = (this + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    form = UsageForm(QueryDict(f"first={first:%Y-%m-%d}&last={last:%Y-%m-%d}"))
    assert form.is_valid(), form.errors
    days = UsageDay.between(form.period.first, form.period.last)
    assert (form.filtered().model, form.by_bar().model) == (model, bars)
    assert sums.lines(form.filtered(), sums.BOTH) == sums.lines(days, sums.BOTH) != []
    assert sums.bars(form.by_bar(), form.period) == sums.bars(days, form.period)
    assert sum(sums.bars(days, form.period)["ms"]) == sum(line.counted_ms for line in sums.lines(days, sums.BOTH))


def test_sums_are_whole_and_exact_however_large(used):
    rows = UsageDay.objects.filter(used_by="m-1")
    long_ms = 2**51 + 1
    rows.update(counted_ms=long_ms)
    row = rows.get()
    row.pk, row.day = None, row.day - timedelta(days=1)
    row.save()
    (line,) = sums.lines(rows, sums.MEMBER)
    (by_day,) = set(sums.bars(rows, Period(row.day, NOON.date()))["ms"])
    assert (line.counted_ms, by_day) == (2 * long_ms, long_ms)
    assert {type(ms) for ms in (line.sessions, line.counted_ms, line.uncertain, by_day)} == {int}


@pytest.mark.parametrize("zone", ["Europe/Paris", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns"])
def test_an_hour_is_the_sites_also_where_it_begins_within_one_of_utc(database, zone):
    used, where = Used(), ZoneInfo(zone)
    noon = NOON.replace(tzinfo=where).astimezone(UTC)
    for minute in (0, 14, 15, 29, 30, 44, 45, 59, 60):
        used.session(f"s-{minute:02}", "m-1", noon + minute * MINUTE, 1)
    with timezone.override(where):
        found = sums.heat(UsageSession.objects.all())
    _, cells = found.rows[NOON.weekday()]
    assert {hour: times for hour, (times, _) in enumerate(cells) if times} == {12: 8, 13: 1}


def test_without_anything_chosen_it_is_this_month_with_its_neighbours(used, browse):
    shown = text(browse("accountant").get("/use/usage"))
    today = datetime.now(UTC).date()
    before = today.replace(day=1) - timedelta(days=1)
    assert f"{today:%B %Y}" in shown
    assert f"month={before:%Y-%m}" in shown


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("month=soon", "Enter year and month, such as 2026-11."),
        ("month=2026-13", "Enter year and month, such as 2026-11."),
        ("first=2026-01-01", "Choose this day as well."),
        ("first=2026-01-02&last=2026-01-01", "The last day is before the first."),
        ("first=1026-01-02&last=2026-01-01", "in the year 1026: did you mean"),
        ("by=colour", "Select a valid choice"),
        ("member=nobody", "No one is called"),
    ],
)
def test_what_cannot_be_summed_is_said(used, browse, query, told):
    response = browse("accountant").get(f"/use/usage?{query}")
    assert response.status_code == 400
    assert told in text(response)


def cells(response) -> list[tuple[str, str]]:
    """Return the title of each line and where it leads."""
    page = response.content.decode()
    body = page[page.index("<tbody>", page.index("sortable")) : page.index("<tfoot>")]
    return [(title, unescape(url)) for url, title in re.findall(r'<th scope="row"><a href="([^"]*)">([^<]*)</a>', body)]


def test_a_line_leads_to_its_sessions(used, browse):
    client = browse("accountant")
    for by in ("machine", "member", "machine-member"):
        for title, url in cells(client.get(f"/use/usage?{DAYS}&by={by}")):
            sessions = client.get(url)
            assert sessions.status_code == 200
            names = {(row["machine"], row["who"]) for row in sessions.context["rows"]}
            assert names
            assert all(set(title.split(" · ")) <= {machine, who} for machine, who in names)


def test_a_line_of_a_category_leads_to_its_people(used, browse):
    client = browse("accountant")
    ((_title, url), *_) = cells(client.get(f"/use/usage?{DAYS}&by=category"))
    people = client.get(url)
    assert people.status_code == 200
    assert people.context["form"].cleaned_data["by"] == "member"


def test_a_bar_leads_to_the_sessions_of_its_days_and_its_table_is_there_without_scripts(used, browse):
    client = browse("accountant")
    response = client.get(f"/use/usage?{DAYS}")
    chart = response.context["bars"]
    (index,) = [index for index, hours in enumerate(chart["hours"]) if hours]
    assert len(client.get(chart["links"][index]).context["rows"]) == len(client.get(f"/use?{DAYS}").context["rows"])
    table = response.content.decode().partition("<noscript>")[2].partition("</noscript>")[0]
    assert table.count("<tr>") == len(chart["labels"])
    assert escape(chart["links"][index]) in table


def test_a_bar_of_a_month_leads_to_no_more_than_a_list_may_show(used, browse):
    client = browse("accountant")
    chart = client.get(f"/use/usage?first={NOON.year - 6}-01-01&last={NOON:%Y-%m-%d}").context["bars"]
    assert all(chart["links"])  # a month is as much as may be shown
    for link in chart["links"][:2]:
        assert client.get(link).status_code == 200


def test_energy_is_summed_over_the_sessions_of_which_it_is_known(used, browse):
    client = browse("accountant")
    assert "Energy" not in text(client.get(f"/use/usage?{DAYS}"))
    used.session("s-4", "m-2", NOON + 200 * MINUTE, 5, energy_wh=1_840)
    used.session("s-5", "m-2", NOON + 220 * MINUTE, 5, gate="lathe-1", energy_wh=0)
    shown = text(client.get(f"/use/usage?{DAYS}&by=machine"))
    assert "Energy of 2 out of 5 sessions. The others were not measured." in shown
    found = {row["title"]: row["energy"] for row in client.get(f"/use/usage?{DAYS}&by=member").context["lines"]}
    assert [value for title, value in found.items() if "Zoé" in title] == [NOTHING]
    assert [value for title, value in found.items() if "Bjørn" in title] == ["1.84\N{NO-BREAK SPACE}kWh"]
    assert "1.84\N{NO-BREAK SPACE}kWh" in client.get("/use/s-4").content.decode()
    assert "Energy" not in text(client.get("/use/s-1"))


@pytest.mark.parametrize("name", ["title", "sessions", "counted_ms", "running_ms", "uncertain", "energy_wh"])
def test_the_table_sorts_by_each_of_its_headers_both_ways(used, browse, name):
    client = browse("accountant")

    def lines(sort: str) -> list[tuple[str, ...]]:
        response = client.get(f"/use/usage?{DAYS}&by=machine-member&sort={sort}")
        return [(row["title"], row["sessions"], row["ms"]) for row in response.context["lines"]]

    up, down = lines(name), lines(f"-{name}")
    assert sorted(up) == sorted(down) == sorted(lines(""))
    if name in {"title", "counted_ms"}:
        assert up == down[::-1] != down
    used.session("s-4", "m-1", NOON + 200 * MINUTE, 1, energy_wh=1)  # without any energy there is no such column
    page = client.get(f"/use/usage?{DAYS}&sort=-{name}").content.decode()
    assert page.count('aria-sort="descending"') == 1
    assert f"sort={name}" in page  # the other way round


def test_an_order_that_is_none_is_the_longest_time_first(used, browse):
    client = browse("accountant")
    usual, odd = (client.get(f"/use/usage?{DAYS}{more}").context["lines"] for more in ("", "&sort=-nothing"))
    assert odd == usual
