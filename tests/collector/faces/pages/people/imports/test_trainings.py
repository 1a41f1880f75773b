"""A list of trainings: previewed grant by grant, imported with its days, and never a step down for anyone."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fabgate.collector.ground.models import Account, Change, Grant, Member, Training
from fabgate.collector.members.people.blocks import today
from fabgate.collector.members.people.import_list.columns import TRAININGS
from tests.collector.faces.pages.counter import admitted, said, served, text, trained
from tests.collector.faces.pages.people.imports.importing import upload
from tests.collector.workbooks import workbook

pytestmark = pytest.mark.usefixtures("house")

HEAD = "id,training,since,stage,until,trainer\n"


def look(client, raw: str | bytes):
    """Upload a list and return its preview."""
    response = upload(client, raw)
    assert response.status_code == 303, text(response)
    assert response.headers["Location"].endswith("/trainings")
    page = client.get(response.headers["Location"])
    assert page.status_code == 200
    return page


def take(client, page, **more):
    return client.post(page.request["PATH_INFO"], {"seen": page.context["fingerprint"], **more})


def grants() -> list[tuple[str, str, str, str, str]]:
    rows = Grant.objects.order_by("since", "id").select_related("training")
    return [(row.member_id, row.training.name, row.stage, str(row.since), str(row.until or "")) for row in rows]


def kept(page) -> dict[str, list[str]]:
    """Return whom the preview leaves as they are, by the first words of the reason."""
    return {str(why).split(":")[0]: [one.grant.member_id for one in rows] for why, rows in page.context["kept"]}


def test_nothing_changes_before_the_list_is_imported_and_then_each_grant_has_its_days(manager, broker):
    page = look(
        manager,
        f"{HEAD}m-1,laser,2025-01-10,supervised,,\nm-1,Laser training,2025-03-01,,,m-2\nm-2,saw,2025-02-01,instructor,2035-01-31,\n",
    )
    shown = text(page)
    assert (page.context["takes"], page.context["unchanged"], page.context["lines"]) == (3, 0, [])
    assert "Laser training" in shown
    assert "Ada Lovelace" in shown
    assert not Grant.objects.exists()
    response = take(manager, page)
    assert (response.status_code, said(response)) == (303, "Import complete: 3 grants.")
    assert grants() == [
        ("m-1", "laser", "supervised", "2025-01-10", ""),
        ("m-2", "saw", "instructor", "2025-02-01", "2035-01-31"),
        ("m-1", "laser", "autonomous", "2025-03-01", ""),
    ]
    assert Grant.objects.get(stage="autonomous").trainer == "Zoé Müller-Østergård (m-2)"
    assert admitted("laser-1") == {"m-1"}
    assert admitted("saw-1") == {"m-2"}
    assert set(broker.told) == {"laser-1", "saw-1"}
    logged = Change.objects.filter(verb="grant.given")
    assert [(row.reason, row.after["since"]) for row in logged.order_by("id")] == [
        ("import", "2025-01-10"),
        ("import", "2025-02-01"),
        ("import", "2025-03-01"),
    ]
    assert manager.get(page.request["PATH_INFO"]).status_code == 400


def test_no_row_lowers_a_stage_or_lifts_a_suspension_and_the_preview_says_which(manager):
    trained("m-1", stage="instructor")
    trained("m-2", stage="suspended")
    trained("m-3", since=date(2025, 1, 1))
    page = look(
        manager,
        f"{HEAD}m-1,laser,{today()},,,\nm-2,laser,2025-06-01,,,\nm-3,laser,2025-01-01,,,\nm-3,saw,2025-01-01,,,\n",
    )
    assert kept(page) == {
        "Suspended": ["m-2"],
        "Already at a higher stage": ["m-1"],
        "Already granted.": ["m-3"],
    }
    before = Grant.objects.count()
    take(manager, page)
    assert Grant.objects.count() == before + 1
    assert {member.id: member.level for member in served("laser-1").members}["m-1"] == "supervisor"
    assert admitted("saw-1") == {"m-3"}


def test_rows_count_in_the_order_of_their_days_and_a_list_can_be_imported_twice(manager):
    raw = f"{HEAD}m-1,laser,2025-03-01,,,\nm-1,laser,2025-01-10,supervised,,\n"
    take(manager, look(manager, raw))
    assert [stage for _member, _training, stage, *_days in grants()] == ["supervised", "autonomous"]
    again = look(manager, raw)
    assert (again.context["takes"], again.context["unchanged"]) == (0, 2)
    assert take(manager, again).status_code == 400
    assert len(grants()) == 2


def test_a_later_grant_renews_a_training_that_expires(manager):
    Training.objects.filter(name="laser").update(expires_after_days=365)
    trained("m-1", since=today() - timedelta(days=400))
    assert admitted("laser-1") == set()
    take(manager, look(manager, f"{HEAD}m-1,laser,{today() - timedelta(days=10)},,,\n"))
    assert admitted("laser-1") == {"m-1"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("M-3,laser,2025-01-01,,,", "id: no member 'M-3'; did you mean 'm-3'?"),
        ("m-9,laser,2025-01-01,,,", "id: no member 'm-9'; add this person first"),
        ("nobody,laser,2025-01-01,,,", "id: no member 'nobody'; add this person first"),
        (",laser,2025-01-01,,,", "id: found nothing, wanted a member's number"),
        ("m-1,lasr,2025-01-01,,,", "training: no training 'lasr'; did you mean 'laser'?"),
        ("m-1,welding,2025-01-01,,,", "training: found 'welding', wanted one of laser, saw"),
        ("m-1,laser,,,,", "since: found nothing, wanted the first day, such as 2026-12-31"),
        ("m-1,laser,soon,,,", "since: found 'soon', wanted a date such as 2026-12-31 or 31/12/2026"),
        ("m-1,laser,2025-01-01,suspended,,", "stage: found 'suspended', wanted autonomous, supervised or instructor"),
        ("m-1,laser,2025-01-02,,2025-01-01,", "until: found 2025-01-01, wanted 2025-01-02 or a later day"),
        (
            "m-1,laser,2025-01-01,,,Grace",
            "trainer: There is no member and no account called “Grace”. Enter a trainer's number or name.",
        ),
    ],
)
def test_a_row_with_an_error_is_named_and_the_others_can_be_imported(manager, row, told):
    page = look(manager, f"{HEAD}{row}\nm-2,saw,2025-01-01,,,\n")
    (line,) = page.context["lines"]
    assert line == ("Row 2", told)
    assert "Import the other 1" in text(page)
    take(manager, page)
    assert [member for member, *_more in grants()] == ["m-2"]


def test_of_two_rows_for_the_same_day_neither_is_imported(manager):
    page = look(manager, f"{HEAD}m-1,laser,2025-01-01,,,\nm-1,laser,2025-01-01,supervised,,\nm-2,saw,2025-01-01,,,\n")
    assert page.context["lines"] == [
        ("Rows 2 and 3", "training: m-1 (Ada Lovelace) already has Laser training from the same day, on line 2")
    ]
    assert page.context["takes"] == 1


def test_people_who_left_keep_their_past_and_get_nothing_new(manager):
    Member.objects.filter(pk="m-1").update(left_on=date(2025, 6, 1))
    page = look(manager, f"{HEAD}m-1,laser,2025-01-01,,,\nm-1,saw,2025-06-01,,,\n")
    assert page.context["lines"] == [("Row 3", "id: m-1 (Ada Lovelace) left on 2025-06-01; readmit them first")]
    take(manager, page)
    assert [(member, training) for member, training, *_more in grants()] == [("m-1", "laser")]
    assert admitted("laser-1") == set()


def test_two_trainings_of_one_title_are_told_apart_by_their_short_names(manager):
    Training.objects.create(name="laser-2", title="Laser training")
    page = look(manager, f"{HEAD}m-1,Laser training,2025-01-01,,,\nm-2,laser-2,2025-01-01,,,\n")
    told = "training: several trainings are called 'Laser training'; use one of the short names: laser, laser-2"
    assert page.context["lines"] == [("Row 2", told)]
    assert page.context["takes"] == 1


@pytest.mark.parametrize("header", ["id,training", "training,since", "training"])
def test_a_list_without_a_column_that_is_needed_says_which(manager, header):
    response = upload(manager, f"{header}\n")
    assert response.status_code == 400
    missing = next(name for name in TRAININGS.required if name not in header.split(","))
    assert f"the column &#x27;{missing}&#x27; is missing" in response.content.decode()


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_what_the_page_says_that_cells_hold_is_understood(manager, lang):
    Account.objects.update(lang=lang)
    columns = manager.get("/people/import").context["kinds"][1].columns
    assert [len(list(written)) for _titles, _title, written in columns if written] == [2, 3, 2]
    titles = {[*names][-1]: next(iter(names)) for names, *_more in columns}
    for names, _title, written in columns:
        for cell in map(str, written):
            cells = {"id": "m-1", "training": "laser", "since": "2025-01-01", [*names][-1]: cell}
            header = ";".join(titles[name] for name in cells)
            page = look(manager, f"{header}\n{';'.join(cells.values())}\n")
            assert not page.context["lines"], (names, cell)


@pytest.mark.parametrize(("lang", "name", "separator"), [("en", "trainings", ","), ("fr", "formations", ";")])
def test_the_template_has_every_column_in_the_pages_language_and_can_be_imported(manager, lang, name, separator):
    Account.objects.update(lang=lang)
    response = manager.get("/people/import/trainings.csv")
    assert response.headers["Content-Disposition"] == f'attachment; filename="{name}.csv"'
    titles = response.content.decode().strip("\N{BYTE ORDER MARK}\r\n").split(separator)
    assert TRAININGS.header(titles, problems := []) == list(TRAININGS.names)
    assert not problems
    page = look(manager, response.content)
    assert (page.context["takes"], page.context["lines"]) == (0, [])
    assert 'href="/people/import/trainings.csv"' in text(manager.get("/people/import"))


def test_the_order_of_ambiguous_dates_is_shown_and_can_be_changed_before_they_are_imported(manager):
    page = look(manager, f"{HEAD}m-1,laser,01/02/2025,,,\n")
    assert "Dates such as 01/02/2025 were read as day/month/year. Both readings are possible" in text(page)
    other = manager.get(f"{page.request['PATH_INFO']}?dates=month-first")
    # What is imported is what that page showed, and not the other order.
    assert take(manager, other).status_code == 409
    assert take(manager, other, dates="month-first").status_code == 303
    assert [since for *_more, since, _until in grants()] == ["2025-01-02"]


def test_a_workbook_is_imported_as_a_csv_is(manager):
    rows = (("id", "training", "since"), ("m-1", "laser", date(2025, 1, 1)))
    take(manager, look(manager, workbook(*rows)))
    assert grants() == [("m-1", "laser", "autonomous", "2025-01-01", "")]


def test_a_list_is_shown_again_where_it_would_not_change_the_same_any_more(manager):
    page = look(manager, f"{HEAD}m-1,laser,2025-01-01,,,\n")
    trained("m-1", stage="suspended")
    stale = take(manager, page)
    assert stale.status_code == 409
    assert "Someone else changed members in the meantime" in text(stale)
    assert kept(stale) == {"Suspended": ["m-1"]}
    assert Grant.objects.count() == 1


def test_only_a_manager_imports_trainings(browse):
    for role in ("desk", "trainer", "auditor"):
        assert upload(browse(role), f"{HEAD}m-1,laser,2025-01-01,,,\n").status_code == 403


def test_the_number_of_statements_does_not_grow_with_the_rows(manager):

    Member.objects.bulk_create(Member(id=f"c-{number}", name=f"Pupil {number}") for number in range(200))
    counts = []
    for some in (range(20), range(20, 200)):
        rows = "".join(f"c-{number},laser,2025-01-01,,,m-1\n" for number in some)
        page = look(manager, HEAD + rows)
        with CaptureQueriesContext(connection) as queries:
            take(manager, page)
        counts.append(len(queries))
    assert counts[1] <= counts[0] + 5
    assert Grant.objects.count() == 200
