"""Is what grows with the years found along an index, by every version of Django, in a database made by any of them?

SQLite uses a partial index only where the text of a query says what the index's condition says (docs/decisions/0033).
So we write conditions on a yes or no ourselves, and each Django writes them alike.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from django.apps import apps
from django.db import connection, models
from django.test import Client

from fabgate import wire
from fabgate.collector.ground.db.migration import GROWING
from fabgate.collector.ground.models import Account, ApiKey, UsageSession
from fabgate.collector.ground.models.fields import Flag
from fabgate.collector.members.access import roster
from fabgate.collector.processes.worker import Worker
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from tests.browser import sample_data
from tests.collector.gates import Journal
from tests.collector.plans import Asked, Walk, listening, plans
from tests.collector.rosters import add

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite alone goes by the text of a condition")

#: Walks that are short, or seldom. Indexes of few rows:
SHORT: Final = {"session_open", "session_unended"}
#: What is read from one end on, as far as a page reaches.
ONE_PAGE: Final = re.compile(r"ORDER BY .* (?:DESC|ASC) LIMIT \d+$")
#: Who was refused without being a member: no index has badge and date in an order that fits.
STRANGERS: Final = "refusal_stranger"
#: Which gates ever stood beside a machine: one page asks the sums of months, a row a person, machine and month.
EVER: Final = 'SELECT DISTINCT "collector_usagemonth"."gate_id"'
#: What a restored image of a gate's card had ended: asked once for each image.
OF_AN_IMAGE: Final = '"opened_seq" > '
#: How many changes each author made, or of each kind: counted in an index alone, where the log is sorted by them.
COUNTED: Final = {"change_by", "change_what"}


@pytest.fixture
def asked(env: Any, told: list[Any]) -> Asked:
    """What ingest, pages, API, rosters and the worker ask of a workshop that has been open for two months."""
    found = sample_data.fill()
    now = datetime.now(UTC)
    with listening() as statements:
        _gates_say(now)
        _programs_ask(env)
        roster.rebuild()
        Worker().turn(now + timedelta(days=2))  # the loan is over
        _people_look(found["pages"])
        corrections.correct("s-undated", "purpose", "maintenance", author="maya", reason="the spindle")
    return statements


def _gates_say(now: datetime) -> None:
    """Deliver what is seldom: a boot without a date, one that gets its date later, a journal that forks, rubbish."""
    store = Store("lyon")
    journal = Journal(gate="hall-1")
    journal.write("gate.started", version="1", time=now - timedelta(hours=9))
    journal.start("s-before")
    journal.write("access.refused", badge="b" * 64, reasons=["unknown-badge"])
    journal.boot, journal.synced = "boot-2", False
    journal.write("gate.started", version="1")
    journal.start("s-undated")
    journal.end("s-undated", 60_000)
    store.store([*journal.messages(), journal.status(), journal.state(state="idle")], now)
    store.store([journal.write("clock.synced", time=now)], now)
    lost = journal.write("gate.stopping", reason="x")
    store.store([Received(lost.topic, b"{", journal.name, str(journal.head + 5))], now)
    new = journal.fork(mark=2)
    store.store(new.messages(), now)
    store.store([new.status(floor=2), *journal.messages()], now)
    store.greetings()


def _programs_ask(env: Any) -> None:
    add("hall-2", "laser")
    token = (env.gate_directory("hall-2") / "token").read_text().strip()
    key = ApiKey.make("Invoices", ["sessions:read"], made_by=None, expires_at=None)[1]
    for path, headers in (
        ("/api/v1/gates/hall-2/roster", {"Authorization": f"Bearer {token}", wire.HEADER_NONCE: "n" * 16}),
        ("/api/v1/sessions?limit=5", {"Authorization": f"Bearer {key}"}),
        ("/metrics", {}),
        ("/healthz", {}),
    ):
        answer = Client(headers={"host": "localhost", **headers}).get(path)
        assert answer.status_code == 200 or path == "/healthz", (path, answer.content)  # which says that no ingest runs


def _people_look(pages: list[dict[str, str]]) -> None:
    """Open every page, and the lists by each of their filters."""
    who = ["", "&member=m-1", "&machine=1", "&member=m-1&machine=1"]
    sessions = [f"/use?period={when}{one}" for one in who for when in ("last-month", "all") if one or when != "all"]
    lists = [
        *sessions,
        *(f"{one}&reason=badge" for one in sessions),
        *(f"{one}&uncertain=on" for one in sessions),
        *(f"/use/refusals?period=last-month{one}" for one in who),
        *(f"/use/usage?period=last-month{one}" for one in who),
        *(f"/use?sort={column}" for column in ("person", "machine", "ended", "-on", "-running", "reason")),
        *(f"/use/refusals?sort={column}" for column in ("when", "person", "machine", "reason")),
        *(f"/log?sort={column}" for column in ("when", "by", "what")),
    ]
    for page in [*pages, *({"path": path, "as": sample_data.MANAGER} for path in lists)]:
        client = Client(headers={"host": "localhost"}, SERVER_NAME="localhost")
        if page["as"]:
            client.force_login(Account.objects.get(name=page["as"]))
        answer = client.get(page["path"])
        assert answer.status_code in {200, 303, 404}, page


def is_long(walk: Walk) -> bool:
    """Return whether the walk becomes longer with the years."""
    is_seldom = OF_AN_IMAGE in walk.statement or walk.statement.startswith(EVER)
    is_short = walk.index in {*SHORT, *COUNTED, STRANGERS} or ONE_PAGE.search(walk.statement) or is_seldom
    return walk.table in GROWING and not is_short


def flagged() -> dict[str, set[str]]:
    """Return which flags the condition of each index or constraint names, by its name; only of those that name one."""
    found = {}
    for model in apps.get_app_config("collector").get_models():
        for index in (*model._meta.indexes, *model._meta.constraints):
            fields = map(model._meta.get_field, _named(getattr(index, "condition", None)))
            found[index.name] = {field.column for field in fields if isinstance(field, Flag)}
    return {name: flags for name, flags in found.items() if flags}


def conditions() -> dict[str, str]:
    """Return the statement that made each of these indexes, without what stands before its condition."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        return {name: sql.partition(" WHERE ")[2] for name, sql in cursor.fetchall() if name in flagged()}


def make_as_django_6_1() -> None:
    """Make these indexes again, with conditions as Django 6.1 writes them of a BooleanField."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        for name, sql in cursor.fetchall():
            if name in flagged():
                start, where, condition = sql.partition(" WHERE ")
                for flag in flagged()[name]:
                    condition = re.sub(f'NOT "{flag}"', f'"{flag}" = 0', condition)
                    condition = re.sub(f'"{flag}"(?! =)', f'"{flag}" = 1', condition)
                cursor.execute(f"DROP INDEX {name}")
                cursor.execute(start + where + condition)


def test_what_grows_is_found_along_an_index(asked):
    found = plans(asked)
    assert list(filter(is_long, found.walks)) == []
    assert flagged().keys() <= found.indexes  # or no query needs it
    make_as_django_6_1()  # or this test could not fail
    assert set(filter(is_long, plans(asked).walks))
    assert not plans(asked).indexes & flagged().keys()


def test_every_django_writes_conditions_on_flags_alike(database):
    assert conditions().keys() == flagged().keys()
    assert set(conditions().values()) == {
        'NOT "is_copy"',
        '"counts"',
        '("ended_at" IS NOT NULL AND "uncertain")',
        '(NOT "has_end" AND "reason" IS NULL)',
        *('NOT "has_end"', 'NOT "start_timed"', 'NOT "last_timed"'),
    }
    make_as_django_6_1()
    assert '"counts" = 1' in conditions().values()


def test_conditions_name_no_other_yes_or_no(database):
    """Of a plain BooleanField each version of Django would write something else."""
    for model in apps.get_app_config("collector").get_models():
        for one in (*model._meta.indexes, *model._meta.constraints):
            for name in _named(getattr(one, "condition", None)):
                field = model._meta.get_field(name)
                assert isinstance(field, Flag) or not isinstance(field, models.BooleanField), (one.name, name)


def _named(condition: models.Q | None) -> set[str]:
    """Return the fields that a condition names."""
    if condition is None:
        return set()
    parts = [_named(one) if isinstance(one, models.Q) else {one[0].split("__")[0]} for one in condition.children]
    return set().union(*parts)


def test_a_flag_is_compared_with_yes_or_no_alone(database):
    with pytest.raises(TypeError, match="wanted True or False"):
        list(UsageSession.objects.filter(has_end=models.F("uncertain")))
