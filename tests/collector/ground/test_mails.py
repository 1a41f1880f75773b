"""Do mails reach a real server as they were meant, and is it told in words when one does not?"""

from __future__ import annotations

from dataclasses import replace
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

import pytest
from django.conf import settings
from django.utils import translation

from fabgate.collector.ground import mails
from fabgate.collector.ground.base import environ, smtp
from fabgate.collector.ground.mails import Attachment, Mail
from fabgate.errors import UsageError
from tests.collector.mailing import use_mail
from tests.support.mailserver import certificate_in, serving

ADA = Mail("ada@example.org", "The saw is still on", "Hello Ada,\n\nthe saw is still on.\n")
BOB = Mail("bob@example.org", "The laser is still on", "Hello Bob\n")


def text(message: EmailMessage) -> str:
    return message.get_content().replace("\r\n", "\n")  # as lines end on the way


def test_a_mail_goes_out_through_tls_after_signing_in(mail_server):
    got = mail_server(account="fab%40lab:s%3Acret")
    got.account = "fab@lab:s:cret"
    assert mails.send([ADA]) == [""]
    ((recipient, message),) = got.taken
    assert recipient == message["To"] == "ada@example.org"
    assert (message["Subject"], text(message)) == (ADA.subject, ADA.body)
    assert message["From"].addresses == (Address("Fab Lab Besançon", "workshop", "example.org"),)
    assert message["Message-ID"].endswith("@example.org>")
    assert message["Date"].datetime.tzinfo
    verbs = [verb for verb, _ in got.said]
    assert verbs == ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]
    assert [is_safe for verb, is_safe in got.said if verb in {"AUTH", "MAIL", "DATA"}] == [True] * 3


def test_tls_from_the_first_byte(mail_server):
    got = mail_server(has_implicit_tls=True)
    assert mails.send([ADA]) == [""]
    assert {is_safe for _, is_safe in got.said} == {True}


def test_a_server_without_tls_is_used_where_it_was_asked_for(mail_server):
    got = mail_server(has_starttls=False, query="?tls=none")
    assert mails.send([ADA, BOB]) == ["", ""]
    assert [recipient for recipient, _ in got.taken] == ["ada@example.org", "bob@example.org"]
    assert [verb for verb, _ in got.said].count("EHLO") == 1  # one connection for all


def test_accents_long_lines_and_a_dot_alone_arrive_as_they_are(mail_server):
    got = mail_server()
    name = "Zoë-Маша-" + "é" * 200
    mail = Mail("ada@example.org", f"Encore allumée : {name}", f"Bonjour {name},\n.\n{'x ' * 1_500}\n")
    assert mails.send([mail]) == [""]
    message = got.taken[0][1]
    assert (message["Subject"], text(message)) == (mail.subject, mail.body)
    assert max(map(len, got.raw[0].split(b"\r\n"))) <= 998  # RFC 5322
    assert got.raw[0].isascii()


def test_a_name_with_a_line_end_adds_no_header(mail_server):
    got = mail_server()
    assert mails.send([Mail(ADA.to, "Saw\r\nBcc: eve@example.org", "x\n")]) == [""]
    ((recipient, message),) = got.taken
    assert (recipient, message["Bcc"], message["Subject"]) == (ADA.to, None, "Saw Bcc: eve@example.org")


@pytest.mark.parametrize("to", ["a@b\r\nBcc: eve@example.org", "a@b>,<eve@example.org", "", "ada", "a b@c", "@"])
def test_what_is_no_address_is_not_sent_to_and_stops_nobody_else(mail_server, to):
    got = mail_server()
    assert mails.send([replace(ADA, to=to), BOB]) == ["the address is not valid", ""]
    assert [recipient for recipient, _ in got.taken] == [BOB.to]


@pytest.mark.parametrize(
    "odd",
    [
        {"subject": "half a character: \ud800"},
        {"body": "half a character: \ud800"},
        {"attachments": (Attachment("two\x0blines.pdf", "application/pdf", b""),)},
    ],
    ids=["subject", "body", "name of a file"],
)
def test_a_mail_that_cannot_be_built_says_why_and_stops_nobody_else(mail_server, odd):
    got = mail_server()
    first, problem, last = mails.send([BOB, replace(ADA, **odd), BOB])
    assert (first, last) == ("", "")
    assert problem.startswith("the mail cannot be composed (")
    assert not isinstance(problem, mails.ServerProblem)
    assert [recipient for recipient, _ in got.taken] == [BOB.to, BOB.to]


def test_a_refused_recipient_is_told_and_stops_nobody_else(mail_server, caplog):
    caplog.set_level("INFO")
    got = mail_server(refused={"ada@example.org"})
    problem, right = mails.send([ADA, BOB])
    assert problem == "the mail server refused the address (550 5.1.1 no such user here)"
    assert right == ""
    assert caplog.messages == ["a mail could not be sent: SMTPRecipientsRefused", "a mail was sent"]
    assert [recipient for recipient, _ in got.taken] == [BOB.to]


def test_a_wrong_password_is_told_once_for_all_and_never_shown(mail_server, caplog):
    caplog.set_level("INFO")
    got = mail_server(account="fab:wrong-s3cret")
    got.account = "fab:right"
    problems = mails.send([ADA, BOB])
    assert set(problems) == {"the mail server refused our username or password (535 5.7.8 wrong name or password)"}
    assert "s3cret" not in caplog.text + repr(settings.ENVIRONMENT)
    assert not got.taken


def test_a_certificate_that_nobody_vouches_for_is_not_believed(mail_server):
    got = mail_server(account="fab:s3cret", trusted=False)
    (problem,) = mails.send([ADA])
    assert problem.startswith("no secure connection to the mail server (")
    assert {verb for verb, _ in got.said} == {"EHLO", "STARTTLS"}  # nothing else was said


def test_a_certificate_of_another_name_is_not_believed(tmp_path, monkeypatch):
    other = certificate_in(tmp_path, "elsewhere.example.org")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    with serving(other, has_implicit_tls=True) as got:
        use_mail(monkeypatch, got.url())
        (problem,) = mails.send([ADA])
    assert problem.startswith("no secure connection to the mail server (")


def test_a_server_that_has_lost_its_tls_gets_no_password(mail_server):
    got = mail_server(account="fab:s3cret", has_starttls=False)
    (problem,) = mails.send([ADA])
    assert problem.startswith("the mail server lacks a function that is needed (STARTTLS")
    assert {verb for verb, _ in got.said} == {"EHLO"}


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "STARTTLS", "RCPT", "DATA"])
def test_a_server_that_hangs_is_given_up_once_for_all(mail_server, monkeypatch, verb):
    got = mail_server(hangs_at=verb)
    monkeypatch.setattr(smtp, "TIMEOUT_S", 0.2)
    assert mails.send([ADA] * 20) == ["the mail server does not answer"] * 20
    assert got.connections <= 1  # none where this computer is so busy that it was given up before it was accepted


def test_what_was_taken_before_a_server_hung_up_is_not_called_lost(mail_server):
    got = mail_server(drops_at="QUIT")
    assert mails.send([ADA]) == [""]
    got.drops_at = "RCPT"
    assert mails.send([ADA, BOB]) == ["the mail server cannot be reached (Connection unexpectedly closed)"] * 2


def test_a_server_that_is_not_there_is_told_in_the_readers_language(monkeypatch):
    use_mail(monkeypatch, "smtp://localhost:1/")
    with translation.override("fr"):
        (problem,) = mails.send([ADA])
    assert problem == "le serveur de messagerie est injoignable (Connection refused)"


# --- the environment --------------------------------------------------------------------------------------------------


def read(**said: str) -> Any:
    return environ.read({f"FABGATE_{name}": value for name, value in said.items()}, need_site=False)


def mistakes(**said: str) -> list[str]:
    try:
        read(**said)
    except UsageError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "username", "password"),
    [
        ("smtp://mail.lan", "mail.lan", 587, "starttls", "", ""),
        ("smtp://a%40b:p%2F%3A@mail.lan/?tls=starttls", "mail.lan", 587, "starttls", "a@b", "p/:"),
        ("smtps://a:p@mail.lan:4650/", "mail.lan", 4650, "tls", "a", "p"),
        ("smtp://localhost?tls=none", "localhost", 25, "none", "", ""),
        ("smtp://a:p@[::1]:2525/?tls=none", "::1", 2525, "none", "a", "p"),
    ],
)
def test_a_server_is_named_by_a_url(url, host, port, tls, username, password, tmp_path):
    wanted = smtp.Server(host=host, port=port, tls=tls, username=username, password=password)
    assert read(SMTP_URL=url, MAIL_FROM="a@b.c").smtp == wanted
    (tmp_path / "url").write_text(url + "\n")
    assert read(SMTP_URL_FILE=str(tmp_path / "url"), MAIL_FROM="a@b.c").smtp == wanted


@pytest.mark.parametrize(
    "url",
    [
        "mail.lan",
        "http://u:s3cret@mail.lan",
        "smtp://u:s3cret@",
        "smtp://u:s3cret@mail.lan:x/",
        "smtp://u:s3cret/@mail.lan",
        "smtp://u:s3#cret@mail.lan",
        "smtp://u:s3cret@mail.lan:99999/",
        "smtp://u:s3cret@mail.lan/inbox",
        "smtp://u:s3cret@mail.lan/?tls=tls",
        "smtp://u:s3cret@mail.lan/?ssl=1",
        "smtps://u:s3cret@mail.lan/?tls=none",
        "smtp://s3cret@mail.lan/",
        "smtp://u:s3crét@mail.lan/",
        "smtp://u:s3cret@mail.lan/?tls=none",
        "smtp://[u:s3cret@mail.lan/",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_its_password(url):
    (told,) = mistakes(SMTP_URL=url, MAIL_FROM="a@b.c")
    assert told.startswith("FABGATE_SMTP_URL: found something else, wanted ")
    assert "s3c" not in told


def test_half_of_it_is_a_mistake():
    (told,) = mistakes(SMTP_URL="smtp://mail.lan")
    assert told.startswith("FABGATE_MAIL_FROM: not set, but FABGATE_SMTP_URL is;")
    (told,) = mistakes(MAIL_FROM="a@b.c")
    assert told.startswith("FABGATE_SMTP_URL: not set, but FABGATE_MAIL_FROM is;")


@pytest.mark.parametrize(
    "text", ["x", "a@b, c@d", "<a@b", "W <a@b> <c@d>", "a@b\r\nBcc: c@d", "é@b.c", "a..b@c", "a@bé.c"]
)
def test_who_writes_has_one_address(text):
    (told,) = mistakes(SMTP_URL="smtp://mail.lan", MAIL_FROM=text)
    assert told.startswith(f"FABGATE_MAIL_FROM: found {text!r}, wanted an address")


def test_a_name_may_stand_before_the_address():
    found = read(SMTP_URL="smtp://mail.lan", MAIL_FROM="J. Dupont <j@b.c>").mail_from
    assert found == Address("J. Dupont", addr_spec="j@b.c")
