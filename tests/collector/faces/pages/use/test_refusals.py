"""Who was refused, where, and why, and which unknown badges come again and again?"""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest

from fabgate.collector.ground.models import Badge, Block, Gate, Refusal
from fabgate.collector.members.people import reasons
from fabgate.gate.panel import messages
from tests.collector.faces.pages.used import MINUTE, NOON, Used, body, machine, text

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def used(database) -> Used:
    used = Used()
    used.refuse("badge-m-1", "m-1", NOON, "expired", "training-missing")
    used.refuse("stranger00", None, NOON + MINUTE, "unknown-badge", gate="lathe-1")
    used.refuse("stranger00", None, NOON + 2 * MINUTE, "unknown-badge")
    used.refuse("badge-m-2", "m-2", NOON + 3 * MINUTE, "blocked-estop")
    return used


def listed(response) -> list[str]:
    return re.findall(r"<td class=\"reason\" data-label=\"Reason\">([^<]*)</td>", response.content.decode())


def test_refusals_are_listed_with_every_reason_the_newest_first(used, browse):
    response = browse("accountant").get("/use/refusals")
    assert listed(response) == [
        "Emergency stop pressed",
        "Unknown badge",
        "Unknown badge",
        "Membership expired, training missing",
    ]
    assert "Zoé Müller" in text(response)


def test_they_are_summed_by_reason_machine_and_unknown_badge(used, browse):
    found = browse("accountant").get("/use/refusals").context
    assert found["reasons"] == [("Unknown badge", 2), ("Emergency stop pressed", 1), ("Membership expired", 1)]
    assert found["machines"] == [("Band saw", 3), ("Metal lathe", 1)]
    assert [(row["badge"], row["times"]) for row in found["strangers"]] == [("stranger00", 2)]


def test_where_the_clock_was_wrong_it_says_when_it_was_received(used, browse):
    page = "/use/refusals"
    assert "wrong clock" not in text(browse("accountant").get(page))
    late = Refusal.objects.get(reasons=["blocked-estop"])
    Refusal.objects.filter(pk=late.pk).update(clock_off_ms=-3_600_000, seen_at=NOON + 63 * MINUTE)
    shown = text(browse("manager").get(page))
    assert shown.count("wrong clock; received") == 1
    assert f"wrong clock; received {NOON:%-d %b %Y}, 13:03" in shown
    assert "wrong clock; received" in text(browse("trainer").get("/people/m-2"))


def test_where_the_clock_was_wrong_lists_and_files_go_by_when_it_was_received(used, browse):
    first = Refusal.objects.get(member="m-1")
    years_ago = first.at.replace(year=2016)
    Refusal.objects.filter(pk=first.pk).update(at=years_ago, clock_off_ms=-1, seen_at=NOON + 4 * MINUTE)
    client = browse("manager")
    assert listed(client.get("/use/refusals"))[0] == "Membership expired, training missing"
    assert client.get("/use/refusals").context["strangers"][0]["last"] == NOON + 2 * MINUTE
    rows = list(csv.DictReader(io.StringIO(body(client.get("/use/export.csv?what=refusals")).decode("utf-8-sig"))))
    late = f"{NOON + 4 * MINUTE:%Y-%m-%dT%H:%M:%S}.000+00:00"
    assert [row["Received, if the clock was wrong (UTC)"] for row in rows] == ["", "", "", late]
    assert rows[-1]["When (UTC)"].startswith("2016-")


@pytest.mark.parametrize(
    ("query", "count"),
    [("reason=training-missing", 1), ("reason=unknown-badge", 2), ("member=zoé müller", 1), ("period=today", 0)],
)
def test_a_filter_shows_what_fits_it(used, browse, query, count):
    assert len(listed(browse("accountant").get(f"/use/refusals?{query}"))) == count


def test_a_refusal_stays_where_it_was_when_its_gate_is_moved(used, browse):
    client = browse("accountant")
    before = re.findall(r'data-label="Machine">([^<]*)<', client.get("/use/refusals").content.decode())
    assert before == ["Band saw", "Band saw", "Metal lathe", "Band saw"]
    Gate.objects.filter(name="saw-1").update(machine=machine("lathe"))
    assert client.get("/use/refusals").context["machines"] == [("Band saw", 3), ("Metal lathe", 1)]
    assert re.findall(r'data-label="Machine">([^<]*)<', client.get("/use/refusals").content.decode()) == before
    used.refuse("badge-m-1", "m-1", NOON + 9 * MINUTE, "expired")
    assert client.get("/use/refusals").context["machines"] == [("Band saw", 3), ("Metal lathe", 2)]


def test_a_machine_can_be_chosen(used, browse):
    assert len(listed(browse("accountant").get(f"/use/refusals?machine={machine('lathe')}&period=all"))) == 1


def test_more_than_a_month_of_everybody_is_refused(used, browse):
    assert browse("accountant").get("/use/refusals?period=all").status_code == 400


def test_a_badge_is_never_shown_in_full(used, browse):
    assert "stranger00" not in text(browse("accountant").get("/use/refusals")).replace("badge=stranger00", "")


def test_an_unknown_badge_that_has_an_owner_by_now_says_whose_it_is(used, browse):
    client = browse("manager")
    assert "badge=stranger00" in client.get("/use/refusals").content.decode()
    Badge.objects.create(digest="stranger00", member_id="m-1")
    page = client.get("/use/refusals").content.decode()
    assert "badge=stranger00" not in page
    assert "This is now the badge of Zoé Müller" in page


def test_a_badge_that_was_reported_lost_says_who_had_it(used, browse):
    row = Badge.objects.create(digest="stranger00", member_id="m-1", since=NOON - timedelta(days=9))
    row.end(Badge.LOST, "desk", NOON)
    client = browse("manager")
    page = text(client.get("/use/refusals"))
    had = f"Zoé Müller had this badge until {NOON:%-d %b %Y} (reported lost)"
    assert page.count(had) == 3  # in each line, and where unknown badges are counted
    assert page.count("Lost badge <code>stranger") == 2
    assert "badge=stranger00" in page
    taken = csv.DictReader(io.StringIO(body(client.get("/use/export.csv?what=refusals")).decode("utf-8-sig")))
    assert [row["Person"] for row in taken if row["Badge"] == "stranger"] == ["Lost badge", "Lost badge"]


def lines(client) -> list[str]:
    """What each refusal of the strange badge is labelled, the newest first; on the page and in the file."""
    page = text(client.get("/use/refusals")).partition("<tbody>")[2]
    shown = re.findall(r"<span>([^<]*?) <code>stranger</code>(?:<br><small[^>]*>([^<]*))?", page)
    taken = csv.DictReader(io.StringIO(body(client.get("/use/export.csv?what=refusals")).decode("utf-8-sig")))
    assert [row["Person"] for row in taken if row["Badge"] == "stranger"] == [name for name, _ in reversed(shown)]
    return [f"{name}: {said}" for name, said in shown]


def test_a_refusal_is_labelled_by_who_had_the_badge_at_its_time_and_not_by_who_has_it_now(used, browse):
    """It was refused twice; between the two it was given to somebody, who lost it, and then to somebody else."""
    first, second = Refusal.objects.filter(badge="stranger00").order_by("about")
    client = browse("manager")
    assert lines(client) == ["Unknown badge: ", "Unknown badge: "]
    between = first.about + (second.about - first.about) / 3
    row = Badge.objects.create(digest="stranger00", member_id="m-1", since=between)
    had = f"Zoé Müller had this badge until {NOON:%-d %b %Y} (reported lost)"
    assert lines(client) == ["Unknown badge: At that time it was the badge of Zoé Müller", "Unknown badge: "]
    row.end(Badge.LOST, "desk", between + (second.about - between) / 2)
    assert lines(client) == [f"Lost badge: {had}", "Unknown badge: "]
    Badge.objects.create(digest="stranger00", member_id="m-2", since=second.about + timedelta(hours=1))
    assert lines(client) == [f"Lost badge: {had}", "Unknown badge: "]
    page = client.get("/use/refusals").content.decode()
    assert "badge=stranger00" not in page  # it is somebody's: nothing is offered any more
    assert "This is now the badge of Bjørn Sørensen" in page


@pytest.mark.parametrize("member", ["m-77", "m/77"])
def test_somebody_who_is_not_known_here_has_no_page_to_go_to(used, browse, member):
    used.refuse("badge-m-77", member, NOON + 5 * MINUTE, "no-access")
    client = browse("manager")
    page = text(client.get("/use/refusals"))
    assert f'<td class="who" data-label="Person">{member}</td>' in page
    assert 'href="/people/m-1"' in page


def test_reasons_of_the_same_words_are_one_choice_that_finds_them_all(used, browse):
    used.refuse("badge-m-1", "m-1", NOON + 4 * MINUTE, "blocked-lock-now")
    used.refuse("badge-m-1", "m-1", NOON + 5 * MINUTE, "blocked-lock-idle")
    client = browse("manager")
    choices = client.get("/use/refusals").context["form"].fields["reason"].choices
    (word,) = [word for word, said in choices if said == "Locked by staff"]
    assert len(listed(client.get("/use/refusals", {"reason": word}))) == 2


def test_each_reason_that_displays_or_blocks_name_has_a_text():
    assert messages.PUBLIC | messages.REFERENCES.keys() | dict(Block.REASONS).keys() <= reasons.REFUSED.keys()


def test_an_empty_list_says_so(browse):
    assert "No refusals in this period" in text(browse("accountant").get("/use/refusals"))
