"""At closing time: is whoever left a machine on written to, once, in their language, and is what became of it told?"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.utils import timezone

from fabgate.collector.ground.base import smtp
from fabgate.collector.ground.models import Change, Gate, Journal, Machine, Member
from tests.collector.mailing import use_mail

CLOSING, WRITE = "/floor/closing", "/floor/closing/write"


@pytest.fixture(autouse=True)
def gates(database) -> None:
    now = datetime.now(UTC)
    Member.objects.create(id="m-1", name="Zoé Müller", email="zoe@example.org", lang="fr")
    Member.objects.create(id="m-2", name="Bob Brown", email="bob@example.org")
    Member.objects.create(id="m-3", name="Léa Fournier")
    for number, title in enumerate(("Bandsaw", "Laser", "Lathe"), 1):
        machine = Machine.objects.create(name=f"machine-{number}", title=title)
        gate = Gate.objects.create(name=f"gate-{number}", machine=machine, online=True, seen_at=now, boot="b")
        Journal.objects.create(name=f"j-{number}", gate=gate)
        using = {"state": "active", "session": f"s-{number}", "session_member": f"m-{number}"}
        Gate.objects.filter(pk=gate.pk).update(**using, state_since=now - timedelta(minutes=30))


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def logged() -> list[tuple[str, ...]]:
    rows = Change.objects.order_by("id").values_list("actor", "verb", "key", "reason", "after")
    return [(actor, verb, key, reason, after["machine"]) for actor, verb, key, reason, after in rows]


def test_a_member_is_written_to_in_their_language_with_the_machine_and_since_when(browse, mail_server):
    got = mail_server()
    response = browse("desk").post(WRITE, {"gate": "gate-1"})
    assert (response.status_code, response["Location"]) == (303, CLOSING)
    assert said(response) == ["Bandsaw: e-mail sent to Zoé Müller."]
    ((recipient, message),) = got.taken
    assert (recipient, message["Subject"]) == ("zoe@example.org", "La machine «\xa0Bandsaw\xa0» est encore allumée")
    since = timezone.localtime(Gate.objects.get(name="gate-1").state_since)
    text = message.get_content()
    assert text.startswith("Bonjour Zoé,")
    assert "La machine «\xa0Bandsaw\xa0» est allumée avec votre badge depuis " in text
    assert f"{since:%H:%M}" in text
    assert "éteignez-la sur place" in text
    assert logged() == [("desk", "member.mailed", "m-1", "", "machine-1")]


def test_nobody_is_written_to_twice_within_the_hour_about_the_same_session(browse, mail_server):
    got = mail_server()
    desk = browse("desk")
    desk.post(WRITE, {"gate": "gate-1"})
    page = desk.get(CLOSING).content.decode()
    assert re.search(r"mail sent: \d\d:\d\d", page)
    assert 'value="gate-1"' not in page
    response = browse("maintainer").post(WRITE, {"gate": "gate-1"})
    assert said(response) == ["Bandsaw: Zoé Müller already got an e-mail within the last hour."]
    assert len(got.taken) == 1
    Change.objects.update(at=datetime.now(UTC) - timedelta(minutes=61))
    desk.post(WRITE, {"gate": "gate-1"})
    Gate.objects.filter(name="gate-1").update(session="s-9")  # the next session is another matter
    desk.post(WRITE, {"gate": "gate-1"})
    assert len(got.taken) == 3


def test_two_who_press_at_the_same_time_write_one_mail(browse, mail_server):
    desk, other = browse("desk"), browse("maintainer")
    told: list[str] = []

    def press(verb: str) -> None:
        if verb == "DATA":
            told.extend(said(other.post(WRITE, {"gate": "gate-1"})))
            connection.close()

    got = mail_server(meanwhile=press)
    desk.post(WRITE, {"gate": "gate-1"})
    assert told == ["Bandsaw: Zoé Müller already got an e-mail within the last hour."]
    assert len(got.taken) == 1


def test_all_are_written_to_at_once_and_of_each_is_told_what_became_of_it(browse, mail_server):
    got = mail_server(refused={"bob@example.org"})
    response = browse("desk").post(WRITE, {"gate": ""})
    refusal = "the mail server refused the address (550 5.1.1 no such user here)"
    assert said(response) == [
        "Bandsaw: e-mail sent to Zoé Müller.",
        f"Laser: the e-mail to Bob Brown could not be sent: {refusal}.",
        "Lathe: Léa Fournier has no e-mail address.",
    ]
    assert [recipient for recipient, _ in got.taken] == ["zoe@example.org"]
    assert logged()[2:] == [("desk", "member.not-mailed", "m-2", refusal, "machine-2")]


def test_what_could_not_be_sent_can_be_tried_again(browse, mail_server, monkeypatch):
    got = mail_server(hangs_at="CONNECT")
    monkeypatch.setattr(smtp, "TIMEOUT_S", 0.1)
    desk = browse("desk")
    assert said(desk.post(WRITE, {"gate": "gate-2"})) == [
        "Laser: the e-mail to Bob Brown could not be sent: the mail server does not answer."
    ]
    got.hangs_at = ""
    monkeypatch.undo()
    use_mail(monkeypatch, got.url(query="?tls=none"))
    desk.post(WRITE, {"gate": "gate-2"})
    assert [recipient for recipient, _ in got.taken] == ["bob@example.org"]


def test_a_machine_that_was_switched_off_meanwhile_is_nobodys_matter(browse, mail_server):
    got = mail_server()
    Gate.objects.filter(name="gate-1").update(state="idle")
    assert said(browse("desk").post(WRITE, {"gate": "gate-1"})) == ["Everything is off already; no e-mail was sent."]
    assert not got.taken


def test_without_a_server_the_button_opens_the_same_in_the_own_mail_program(browse):
    desk = browse("desk")
    page = desk.get(CLOSING).content.decode()
    links = set(re.findall(r'role="button"[^>]*href="(mailto:[^"]+)"', page))
    (bobs,) = [link for link in links if link.startswith("mailto:bob@example.org?")]
    text = unquote(bobs)
    assert "subject=Laser is still on" in text
    assert "body=Hello Bob," in text
    assert "Laser has been on with your badge since " in text
    assert len(links) == 2
    assert 'formaction="/floor/closing/write' not in page
    assert "No e-mail address" in page
    response = desk.post(WRITE, {"gate": "gate-1"})
    assert response.status_code == 400
    assert "FABGATE_SMTP_URL" in response.content.decode()


@pytest.mark.parametrize(
    ("role", "may"), [("desk", True), ("maintainer", True), ("manager", True), ("trainer", False), ("auditor", False)]
)
def test_who_may_lock_may_write(browse, mail_server, role, may):
    got = mail_server()
    client = browse(role)
    assert ("/floor/closing/write" in client.get(CLOSING).content.decode()) is may
    assert client.post(WRITE, {"gate": "gate-1"}).status_code == (303 if may else 403)
    assert bool(got.taken) is may


def test_a_machine_and_a_member_with_line_ends_in_their_names_add_no_header(browse, mail_server):
    got = mail_server()
    Machine.objects.filter(name="machine-2").update(title="Laser\r\nBcc: eve@example.org")
    Member.objects.filter(pk="m-2").update(name="Bob\r\nBcc: eve@example.org")
    browse("desk").post(WRITE, {"gate": "gate-2"})
    ((recipient, message),) = got.taken
    assert (recipient, message["Bcc"]) == ("bob@example.org", None)
