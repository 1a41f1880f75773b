"""Says which trainings that were just granted give no access yet, because one that they require is missing."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.words import people_labels
from fabgate.collector.ground.models import Grant, Training
from fabgate.collector.members.people import trainings


def warn(request: HttpRequest, grants: Sequence[Grant]) -> None:
    """Show a message for each of these grants of one person that gives no access yet."""
    for grant, missing in trainings.without_prerequisites(grants):
        text = _("%(training)s gives no access yet. Also required, and missing: %(missing)s.")
        messages.warning(request, text % {"training": grant.training, "missing": named(missing)})


def named(missing: Sequence[Training]) -> str:
    """Return the names of trainings, the first one to learn first."""
    return people_labels.listed([str(training) for training in missing])
