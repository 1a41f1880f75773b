"""Says which trainings give no access, because one that they require is missing: when they are granted, and when it is lost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fabgate.collector.faces.pages.words import people_labels
from fabgate.collector.ground.models import Grant, Training
from fabgate.collector.members.people import trainings

#: The most names in a message.
_MOST: Final = 5


def warn(request: HttpRequest, grants: Sequence[Grant]) -> None:
    """Show a message for each of these grants of one person that gives no access yet."""
    for grant, missing in trainings.without_prerequisites(grants):
        text = _("%(training)s gives no access yet. Also required, and missing: %(missing)s.")
        messages.warning(request, text % {"training": grant.training, "missing": named(missing)})


def warn_of_revoked(request: HttpRequest, lost: Collection[Grant]) -> None:
    """Show which trainings of a person give no access any more, because one that they require was revoked."""
    if names := sorted({str(grant.training) for grant in lost}):
        text = ngettext(
            "Without the revoked training, %(names)s gives no access any more.",
            "Without the revoked training, %(names)s give no access any more.",
            len(names),
        )
        messages.warning(request, text % {"names": _first(names)})


def warn_of_changed(request: HttpRequest, training: Training, lost: Collection[Grant]) -> None:
    """Show who lacks what a training requires from now on, so that it gives them no access any more."""
    people = {grant.member_id: str(grant.member) for grant in sorted(lost, key=lambda grant: grant.member.folded)}
    if people:
        text = ngettext(
            "%(n)d person lacks the training that %(training)s now requires, and loses the access that %(training)s"
            " gave: %(names)s.",
            "%(n)d people lack the training that %(training)s now requires, and lose the access that %(training)s"
            " gave: %(names)s.",
            len(people),
        )
        shown = {"n": len(people), "training": training, "names": _first(list(people.values()))}
        messages.warning(request, text % shown)


def _first(names: Sequence[str]) -> str:
    """Return the first names of a list, and how many more there are."""
    more = len(names) - _MOST
    if more <= 0:
        return people_labels.listed(names)
    return _("%(names)s and %(n)d more") % {"names": ", ".join(names[:_MOST]), "n": more}


def named(missing: Sequence[Training]) -> str:
    """Return the names of trainings, the first one to learn first."""
    return people_labels.listed([str(training) for training in missing])
