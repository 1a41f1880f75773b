"""Sends mails, and explains why one could not be sent. Without a mail server pages offer links instead."""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime, make_msgid
from typing import Final
from urllib.parse import quote, urlencode

from django.conf import settings
from django.utils.encoding import punycode
from django.utils.translation import gettext as _

from fabgate.collector.ground.base import smtp
from fabgate.collector.ground.base.environ import Environment

log = logging.getLogger(__name__)
#: How many characters of a mail server's answer are shown.
MAX_ANSWER: Final = 120


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a mail; `kind` is its media type, such as application/pdf."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to one person, in their language."""

    to: str
    subject: str
    body: str
    attachments: tuple[Attachment, ...] = ()

    @property
    def url(self) -> str:
        """Return a link that opens the mail in the sender's own mail program."""
        about = urlencode({"subject": self.subject, "body": self.body}, quote_via=quote)
        return f"mailto:{quote(self.to, safe='@+')}?{about}"


class ServerProblem(str):
    """Why no mail could be sent: the server cannot be reached, or refuses us."""

    __slots__ = ()


def can_send() -> bool:
    """Return whether a mail server is configured."""
    env: Environment = settings.ENVIRONMENT
    return env.smtp is not None


def send(mails: Sequence[Mail]) -> list[str]:
    """Send mails in order. Return for each why it could not be sent, in words; "" if the server accepted it.

    A ServerProblem is one that other mails have, too.
    """
    env: Environment = settings.ENVIRONMENT
    assert env.smtp is not None
    built = [_built(mail) for mail in mails]
    errors = iter(smtp.hand_over(env.smtp, [one for one in built if isinstance(one, EmailMessage)]))
    found: list[str] = []
    for one in built:
        error = next(errors) if isinstance(one, EmailMessage) else None
        problem = one if isinstance(one, str) else why(error) if error else ""
        found.append(ServerProblem(problem) if error and not isinstance(error, smtp.OF_ONE) else problem)
        # without the recipient and the server's answer, which may name them: the audit log has both
        if not problem:
            log.info("a mail was sent")
        elif error:
            log.warning("a mail could not be sent: %s", type(error).__name__)
    return found


def why(error: OSError) -> str:
    """Return in words why a mail could not be sent."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return _("the mail server refused our username or password (%(answer)s)") % {"answer": _answer(error)}
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return _("the mail server refused the address (%(answer)s)") % {"answer": _line(code, text)}
    if isinstance(error, smtplib.SMTPResponseException):
        return _("the mail server refused the mail (%(answer)s)") % {"answer": _answer(error)}
    if isinstance(error, ssl.SSLError):
        return _("no secure connection to the mail server (%(answer)s)") % {
            "answer": _line("", error.reason or str(error))
        }
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return _("the mail server lacks a function that is needed (%(answer)s)") % {"answer": _line("", str(error))}
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return _("the mail server does not answer")
    return _("the mail server cannot be reached (%(answer)s)") % {"answer": _line("", error.strerror or str(error))}


def _built(mail: Mail) -> EmailMessage | str:
    """Return a mail as it is sent, or in words why it cannot be built. That concerns no other mail."""
    local, _at, domain = mail.to.rpartition("@")
    try:
        to = smtp.address_of(f"{local}@{punycode(domain)}")
    except ValueError:
        log.warning("a mail could not be sent: invalid address")
        return _("the address is not valid")
    try:
        message = _message(mail, to)
        message.as_bytes()  # what is sent; an error here would hide which of the mails before it were sent
    except Exception as error:
        log.exception("a mail could not be built")
        return _("the mail cannot be composed (%(error)s)") % {"error": f"{type(error).__name__}: {error}"}
    return message


def _message(mail: Mail, to: Address) -> EmailMessage:
    """Return a mail as it is sent."""
    env: Environment = settings.ENVIRONMENT
    message = EmailMessage(SMTP)
    assert env.mail_from is not None
    message["From"] = env.mail_from
    message["To"] = to
    # A name may come from a spreadsheet with a line break, which a header cannot have.
    message["Subject"] = " ".join(mail.subject.splitlines())
    message["Date"] = localtime()
    message["Message-ID"] = make_msgid(domain=env.mail_from.domain)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    # Every server accepts it, however long the lines are.
    message.set_content(mail.body, cte="quoted-printable")
    for file in mail.attachments:
        main, _slash, sub = file.kind.partition("/")
        message.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
    return message


def _answer(error: smtplib.SMTPResponseException) -> str:
    return _line(error.smtp_code, error.smtp_error)


def _line(code: int | str, text: bytes | str) -> str:
    answer = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join(f"{code} {answer}".split())[:MAX_ANSWER]
