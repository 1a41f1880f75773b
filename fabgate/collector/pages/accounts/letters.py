"""What is written to somebody to whom a one-time link is sent?"""

from __future__ import annotations

from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from fabgate.collector.models import OneTimeLink
from fabgate.collector.people.mails import Mail


def with_link(link: OneTimeLink, address: str) -> Mail:
    """Return the mail that carries `address`, which opens `link`; in the language of the account, or else this page's."""
    account = link.account
    assert account is not None
    with translation.override(account.lang or translation.get_language()):
        said = {
            "name": account,
            "login": account.name,
            "link": address,
            "until": date_format(timezone.localtime(link.expires_at), "DATETIME_FORMAT"),
        }
        if link.purpose == OneTimeLink.RESET:
            subject = _("A new password for your account")
            body = _(
                "Hello %(name)s,\n\nThis link lets you choose a new password for the account %(login)s:\n\n%(link)s\n\nIt"
                " opens once, and until %(until)s. If you did not ask for it, tell whoever runs the workshop.\n"
            )
        else:
            subject = _("Your account at the workshop")
            body = _(
                "Hello %(name)s,\n\nThis link lets you choose the password of your account:\n\n%(link)s\n\nIt opens once,"
                " and until %(until)s. Your name to sign in is %(login)s.\n"
            )
        return Mail(account.email, subject, body % said)
