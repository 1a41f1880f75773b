"""What must rows of the first collector say in the new columns?

Badges: eight bare digits can be two cards, so that they are spelled with colons now (12:34:56:78). Sessions: what
counts is what the entries say, as long as nobody has corrected anything. Sums by day are made at the next start.
"""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F, Q
from django.utils import timezone

from fabgate import badge


def respell(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Spell every badge as badge.py does; where that one is carried already, the older spelling of it ends."""
    badges = apps.get_model("collector", "Badge").objects
    for row in badges.order_by("id"):
        try:
            spelling = str(badge.parse(row.spelling))
        except badge.AmbiguousError:
            spelling = str(badge.parse(f"hex:{row.spelling}"))
        if spelling == row.spelling:
            continue
        if badges.filter(spelling=spelling, ended_at=None).exists():
            row.ended_at, row.ended_by, row.end_reason = timezone.now(), "the new spelling", "replaced"
        row.spelling = spelling
        row.save()


def count(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Let what the entries say count."""
    sessions = apps.get_model("collector", "UsageSession").objects
    sessions.update(used_by=F("member"), payer=F("member"), purpose="own", counted_ms=F("energised_ms"))
    sessions.filter(basis="maintainer").update(purpose="maintenance")
    sessions.filter(Q(uncertainty_ms__gt=0) | Q(review__isnull=False)).update(uncertain=True)
    reviews = apps.get_model("collector", "Review").objects
    waiting = sessions.filter(review__isnull=False).values_list("id", "review").iterator()
    now = timezone.now()
    reviews.bulk_create(
        (reviews.model(session_id=session, why=why, opened_at=now) for session, why in waiting), batch_size=300
    )


class Migration(migrations.Migration):
    """Nothing is taken back: the columns would be gone."""

    dependencies = [("collector", "0002_workshop_week")]
    operations = [
        migrations.RunPython(respell, migrations.RunPython.noop),
        migrations.RunPython(count, migrations.RunPython.noop),
    ]
