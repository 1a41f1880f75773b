"""The e-mails that carry a one-time link."""

from __future__ import annotations

from django.utils import timezone, translation
from django.utils.translation import gettext as _

from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.mails import Mail
from fabgate.collector.ground.models import OneTimeLink


def with_link(link: OneTimeLink, address: str) -> Mail:
    """Return the e-mail with `address`, which opens `link`, in the account's language or else that of the page."""
    account = link.account
    assert account is not None
    with translation.override(account.lang or translation.get_language()):
        values = {
            "name": account,
            "login": account.name,
            "link": address,
            "until": date_format(timezone.localtime(link.expires_at), "DATETIME_FORMAT"),
        }
        if link.purpose == OneTimeLink.RESET:
            subject = _("A new password for your account")
            body = _(
                "Hello %(name)s,\n\nUse this link to choose a new password for the account %(login)s:\n\n%(link)s\n\n"
                "It works once, until %(until)s. If you did not ask for it, inform the people who run the"
                " workshop.\n"
            )
        else:
            subject = _("Your account at the workshop")
            body = _(
                "Hello %(name)s,\n\nUse this link to choose the password of your account:\n\n%(link)s\n\nIt works"
                " once, until %(until)s. Your username is %(login)s.\n"
            )
        return Mail(account.email, subject, body % values)
