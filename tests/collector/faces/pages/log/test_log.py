"""Does the log show every change, the newest first, and find those that a person looks for?"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.apps import apps

from fabgate.collector.faces.pages.log import fields, labels, values
from fabgate.collector.faces.pages.use.exports import tables
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import (
    Block,
    Change,
    Collector,
    Correction,
    Grant,
    Group,
    Machine,
    Member,
    Training,
    UsageSession,
)
from fabgate.collector.money.paper.figures import NOTHING
from tests.collector.faces.pages import strings

NOON = datetime(2026, 11, 12, 12, tzinfo=UTC)


def change(n: int = 0, **more) -> Change:
    return Change.objects.create(
        **{
            "at": NOON + timedelta(minutes=n),
            "actor": "ada",
            "verb": "machine.updated",
            "kind": "machine",
            "key": f"m{n}",
            "before": {"title": "Old"},
            "after": {"title": "New"},
            **more,
        }
    )


def keys(response) -> list[str]:
    return [row["change"].key for row in response.context["rows"]]


def test_a_change_is_told_with_before_and_after(browse, account):
    account("manager", name="ada", display_name="Ada L.")
    change(reason="clearer <name>")
    text = browse("auditor").get("/log").content.decode()
    for part in ("Ada L.", "machine changed", "Title:</span> <del>Old</del>", "<ins>New</ins>", "clearer &lt;name&gt;"):
        assert part in text


def test_a_reason_that_stands_among_the_fields_is_told_once(browse):
    change(kind="block", verb="block.set", before={}, after={"reason": "payment-due"}, reason="payment-due")
    row = browse("auditor").get("/log").context["rows"][0]
    assert (row["fields"], row["reason"]) == ([("Reason", "", "Payment due")], "")


def logged() -> set[str]:
    """Every field that is ever written down: of what changes, of a correction, of an export, of a machine's trainings."""
    # Sessions and the collector itself are written down by what was asked, and never by their columns.
    models = {apps.get_model("collector", kind) for kind in labels.KINDS} - {UsageSession, Collector}
    asked = {name for form, _take in tables._WHAT.values() for name in form.base_fields}
    columns = {audit.SECRETS.get(name, name) for model in models for name in audit.fields_of(model)}
    return columns | {*Correction.FIELDS, *asked} | NOTED


NOTED = {
    "badge_forms",
    "short_form",
    "letters",
    "keys",
    "amount",
    "what",
    "form",
    "trainings",
    "password",
    "sign_ins",
    "audit_head",
    "references",
}


def test_every_field_that_is_ever_logged_has_words():
    assert logged() - values.HIDDEN == fields.FIELDS.keys()


def test_a_field_is_told_in_the_language_of_the_page(browse, account):
    client = browse(account("auditor", lang="fr"))
    change(
        before={"grace_days": 1, "older_than_us": 1, "note": "2026-02-31"},
        after={"grace_days": 2, "older_than_us": 2, "note": "2026-03-01"},
    )
    row = client.get("/log").context["rows"][0]
    assert row["fields"] == [
        ("Jours de grâce", "1", "2"),
        ("Note", "2026-02-31", "01/03/2026"),
        ("older_than_us", "1", "2"),
    ]


def told(client) -> list[tuple[str, str, str]]:
    return client.get("/log").context["rows"][0]["fields"]


@pytest.mark.parametrize(
    ("kind", "before", "after", "said"),
    [
        ("usagesession", {"time": "1800000"}, {"time": 30000}, ("Powered on", "0:30:00", "0:00:30")),
        ("usagesession", {"purpose": "own"}, {"purpose": "group"}, ("Purpose", "Own project", "Group")),
        ("usagesession", {"payer": "m-1"}, {"payer": ""}, ("Payer", "Ada", NOTHING)),
        ("machine", {"lifted": []}, {"lifted": ["e6bc304e"]}, ("Locks removed", NOTHING, "1 lock")),
        ("machine", {"lock_when": ""}, {"lock_when": "now"}, ("When it locks", NOTHING, "at once")),
        ("machine", {"rules": {"limit_s": 3600}}, {"rules": {"limit_s": 5400}}, ("Time limit", "1 h", "1 h 30 min")),
        ("member", {"level": "user"}, {"level": "supervisor"}, ("Level", "Member", "Supervisor")),
        ("member", {"machines": []}, {"machines": ["saw"]}, ("Machines", NOTHING, "Bandsaw")),
        ("account", {"role": "desk"}, {"role": "auditor"}, ("Role", "Desk", "Auditor")),
        ("grant", {"stage": "supervised"}, {"stage": "suspended"}, ("Stage", "With a supervisor", "Suspended")),
        ("badge", {"end_reason": ""}, {"end_reason": "lost"}, ("Why it ended", NOTHING, "reported lost")),
        ("block", {"lifted_by": ""}, {"lifted_by": "maya"}, ("Lifted by", NOTHING, "Maya P.")),
        ("opening", {"days": [1]}, {"days": [1, 7]}, ("Days", "Monday", "Monday, Sunday")),
        ("review", {"decision": ""}, {"decision": "favour"}, ("Decision", NOTHING, "in the member's favour")),
        ("collector", {"reason": "-"}, {"reason": "in-use"}, ("Reason", "-", "machine in use")),
        ("member", {"note": "a"}, {"note": "lost"}, ("Note", "a", "lost")),
    ],
)
def test_a_value_is_told_in_words_and_whom_it_names_by_name(browse, account, kind, before, after, said):
    account("desk", name="maya", display_name="Maya P.")
    Machine.objects.create(name="saw", title="Bandsaw")
    Member.objects.create(id="m-1", name="Ada")
    change(kind=kind, before=before, after=after)
    assert told(browse("manager")) == [said]


def test_a_number_in_a_change_is_told_as_what_it_names(browse):
    saw = Machine.objects.create(name="saw", title="Bandsaw")
    training = Training.objects.create(name="saws", title="Saws")
    group = Group.objects.create(name="2b", kind="class")
    change(before={}, after={"id": 7, "machine": saw.pk, "training": training.pk, "group": group.pk, "online": False})
    assert told(browse("manager")) == [("Group", "", "2b"), ("Machine", "", "Bandsaw"), ("Training", "", "Saws")]


def of(client) -> tuple[str, str]:
    row = client.get("/log").context["rows"][0]
    return row["of"], row["key"]


def test_a_change_says_of_whom_and_of_what_it_is(browse):
    ada, saws = Member.objects.create(id="m-1", name="Ada"), Training.objects.create(name="saws", title="Saws")
    grant = Grant.objects.create(member=ada, training=saws, stage="autonomous", since="2026-01-01")
    held = Block.objects.create(member=ada, reason="payment-due", actor="maya", at=NOON)
    site = Collector.get("lyon")
    client = browse("manager")
    for n, (kind, key, said) in enumerate(
        [
            ("grant", grant.pk, ("Saws, Ada", "")),
            ("block", held.pk, ("Ada", "")),
            ("member", "m-1", ("Ada", "m-1")),
            ("collector", site.pk, (site.site, "")),
            ("opening", 4, ("", "")),
            ("gate", "saw-1", ("saw-1", "")),
        ]
    ):
        change(n, kind=kind, key=str(key))
        assert of(client) == said


def test_what_is_shown_by_its_name_is_found_by_it(browse):
    ada, saws = Member.objects.create(id="m-1", name="Zoé"), Training.objects.create(name="t1", title="Saws")
    grant = Grant.objects.create(member=ada, training=saws, stage="autonomous", since="2026-01-01")
    change(1, kind="grant", key=str(grant.pk))
    change(2, kind="member", key="m-1")
    change(3, kind="member", key="m-2")
    client = browse("manager")
    assert keys(client.get("/log", {"key": "zoe"})) == ["m-1", str(grant.pk)]
    assert keys(client.get("/log", {"key": "saws"})) == [str(grant.pk)]


def test_a_reason_that_the_code_gives_is_told_in_words_and_a_persons_own_as_it_is(browse):
    client = browse("manager")
    for n, (kind, reason, said) in enumerate(
        [
            ("block", "payment-due", "Payment due"),
            ("badge", "import", "by an import"),
            ("account", "reset", "new password"),
            ("machine", "reset", "reset"),
        ]
    ):
        change(n, kind=kind, reason=reason)
        assert client.get("/log").context["rows"][0]["reason"] == said


@pytest.mark.parametrize("text", ["2026-02-31", "2026-13-45T10:00", "0001-01-01T00:00:00+14:00", "2026-11-12T12:00"])
def test_a_note_that_only_looks_like_a_moment_is_told_as_it_is(browse, text):
    change(before={"note": text}, after={"note": ""})
    assert browse("manager").get("/log").context["rows"][0]["fields"] == [("Note", text, labels.value(""))]


def test_every_verb_that_the_code_writes_has_words():
    written = re.compile(r'audit\.(?:change|change_all|record)\([^"]*?"([a-z-]+\.[a-z-]+)"')
    found = [verb for path in strings.ROOT.rglob("*.py") for verb in written.findall(path.read_text(encoding="utf-8"))]
    assert len(found) > 30
    assert set(found) <= labels.VERBS.keys()


def test_the_pages_go_from_the_newest_to_the_oldest_and_back(browse):
    for n in range(120):
        change(n // 2, key=f"k{n}")  # two at each moment
    client = browse("manager")
    first = client.get("/log")
    second = client.get("/log" + first.context["page"].after)
    third = client.get("/log" + second.context["page"].after)
    assert keys(first) + keys(second) + keys(third) == [f"k{n}" for n in reversed(range(120))]
    assert (first.context["page"].before, third.context["page"].after) == ("", "")
    assert keys(client.get("/log" + third.context["page"].before)) == keys(second)
    assert keys(client.get("/log" + second.context["page"].before)) == keys(first)


def test_filters_go_together_and_stay_from_page_to_page(browse):
    for n in range(60):
        change(n, key="laser")
    change(0, key="saw")
    change(0, key="laser", actor="cli:root")
    page = browse("manager").get("/log", {"key": "las", "actor": "ad"})
    assert set(keys(page)) == {"laser"}
    assert "key=las" in page.context["page"].after


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [("2026-11-12", "2026-11-12", 1), ("2026-11-13", "", 0), ("", "2026-11-11", 0), ("2026-11-11", "2026-11-13", 1)],
)
def test_days_are_whole_days_of_the_workshop(browse, first, last, found):
    change()
    assert len(keys(browse("manager").get("/log", {"first": first, "last": last}))) == found


@pytest.mark.parametrize(
    "query",
    [
        {"before": "x"},
        {"after": "9" * 30},
        {"after": "1"},
        {"before": "1_"},
        {"first": "31/31/2026"},
        {"key": "x" * 201},
    ],
)
def test_a_question_that_is_none_is_refused(browse, query):
    assert browse("manager").get("/log", query).status_code == 400


def test_an_empty_log_says_so(browse):
    assert "No changes" in browse("manager").get("/log").content.decode()


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1949-12-31"])
@pytest.mark.parametrize("field", ["first", "last"])
def test_a_day_at_an_end_of_the_calendar_is_refused(browse, field, day):
    response = browse("manager").get("/log", {field: day})
    assert response.status_code == 400
    assert field in response.context["form"].errors


@pytest.mark.parametrize("cursor", ["1_abc", "1_", "x_1", "9" * 18 + "_1", "1_1.5"])
def test_a_cursor_that_the_list_never_gave_is_refused(browse, cursor):
    client = browse("manager")
    assert [client.get("/log", {side: cursor}).status_code for side in ("before", "after")] == [400, 400]


def test_what_was_done_by_command_is_told_from_what_an_account_of_that_name_did(browse, account):
    account("desk", name="maya")
    change(0, key="laser", actor="maya")
    change(0, key="saw", actor="cli:maya")
    page = browse("manager").get("/log").content.decode()
    assert page.count("maya (command line)") == 1
