"""What does Django need to know about the collector's only app?"""

from __future__ import annotations

from django.apps import AppConfig


class CollectorConfig(AppConfig):
    """The app; its label stands in every table's name."""

    name = "fabgate.collector"
    label = "collector"
    default_auto_field = "django.db.models.BigAutoField"
