"""The collector's only Django app."""

from __future__ import annotations

from django.apps import AppConfig


class CollectorConfig(AppConfig):
    """The app; its label is part of every table's name."""

    name = "fabgate.collector"
    label = "collector"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Merge our translations into Django's, and record sign-ins."""
        # Models can be imported only now.
        from fabgate.collector.ground import catalogues  # noqa: PLC0415
        from fabgate.collector.members.accounts import sign_in  # noqa: PLC0415

        catalogues.load()
        sign_in.connect()
