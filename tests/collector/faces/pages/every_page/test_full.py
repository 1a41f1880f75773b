"""Is who writes on a full disk told so, and does who reads go on?"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from fabgate.collector.ground.models import ApiKey, SignIn, Training
from fabgate.collector.members.people.import_list import uploads

pytestmark = pytest.mark.sqlite


@contextlib.contextmanager
def no_room(table: str, verb: str) -> Iterator[None]:
    """Let whatever is written to a table need more room than the database may take: SQLite says then that it is full."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE filler (body BLOB)")
        body = "BEGIN INSERT INTO filler VALUES (zeroblob(1000000)); END"
        cursor.execute(f"CREATE TEMP TRIGGER full AFTER {verb} ON main.{table} {body}")
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count={cursor.fetchone()[0]}")
    try:
        yield
    finally:
        connection.close()  # bound and trigger are of the connection


@pytest.mark.parametrize(("lang", "title"), [("en", "disk is full"), ("fr", "Le disque du collecteur est plein")])
def test_a_page_that_writes_says_that_the_disk_is_full_and_keeps_nothing(account, browse, lang, title):
    client = browse(account("manager", lang=lang))
    client.raise_request_exception = False
    with no_room(Training._meta.db_table, "INSERT"):
        answer = client.post("/people/trainings/new", {"title": "Laser"})
        assert answer.status_code == 507
        assert title in answer.content.decode()
        assert client.get("/people").status_code == 200
    assert not Training.objects.exists()


def test_whoever_reads_needs_no_room_to_be_seen(browse):
    client = browse("desk")
    SignIn.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    with no_room(SignIn._meta.db_table, "UPDATE"):
        assert client.get("/people").status_code == 200


def test_a_program_reads_on_too_and_a_failed_write_is_json_to_it(database):
    _key, token = ApiKey.make("billing", ["sessions:read"], made_by=None, expires_at=None)
    with no_room(ApiKey._meta.db_table, "UPDATE"):
        answer = Client().get("/api/v1/sessions", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200


def test_a_program_is_told_in_json(database, monkeypatch):
    def full(_after):
        raise OSError(28, "No space left on device")

    _key, token = ApiKey.make("billing", ["sessions:read"], made_by=None, expires_at=None)
    monkeypatch.setattr("fabgate.collector.ground.models.LedgerLine.after", full)
    client = Client(raise_request_exception=False)
    answer = client.get("/api/v1/sessions", headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["detail"].partition(".")[0]) == (507, "The collector's disk is full")


def test_a_file_that_finds_no_room_leaves_nothing(env):
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, most[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            uploads.keep(bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    assert not list((env.data / "uploads").iterdir())
