"""The settings of a collector that sends mails."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings

from fabgate.collector.ground.base import environ

FROM = "Fab Lab Besançon <workshop@example.org>"


def use_mail(monkeypatch, url: str) -> None:
    """Let mails go to the server at `url`; nowhere, where it is empty."""
    said = {"FABGATE_SMTP_URL": url, "FABGATE_MAIL_FROM": FROM} if url else {}
    read = environ.read(said, need_site=False)
    more = {"smtp": read.smtp, "mail_from": read.mail_from}
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(settings.ENVIRONMENT, **more))
