"""Imports a list of trainings: preview of each grant, import. The upload is in imports."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fabgate.collector.faces.pages import gates_informed
from fabgate.collector.faces.pages.access_control import see_other
from fabgate.collector.faces.pages.people import imports, prerequisites, shortcuts
from fabgate.collector.faces.pages.words import people_labels
from fabgate.collector.faces.pages.words.people_labels import Chip
from fabgate.collector.ground.db import pulse
from fabgate.collector.ground.models import Grant
from fabgate.collector.members.people import many_grants
from fabgate.collector.members.people.import_list import trainings, uploads
from fabgate.collector.members.people.import_list.trainings import TrainingsFile
from fabgate.collector.members.people.many_grants import Planned
from fabgate.collector.members.people.trainings import without_prerequisites
from fabgate.errors import UsageError


class _Shown(NamedTuple):
    """A grant, its stage, and the days on which it is valid."""

    grant: Grant
    stage: Chip
    days: str


def preview(request: HttpRequest, token: str) -> HttpResponse:
    """Preview what a list grants; then import it."""
    raw = uploads.kept(token)
    if raw is None:
        raise UsageError(_("This file is no longer stored here. Choose it again."))
    dates = (request.POST if request.method == "POST" else request.GET).get("dates", "")
    file = trainings.parse(raw, dates=dates)
    if request.method != "POST":
        return _page(request, file, many_grants.plan(file.grants, locks=False))
    with transaction.atomic(), pulse.deferred():
        planned = many_grants.plan(file.grants, locks=True)
        if request.POST.get("seen") != _fingerprint(file, planned):
            return _page(request, file, planned, is_stale=True)
        count = sum(not one.kept for one in planned)
        if not count:
            raise UsageError(_("This list changes nothing."))
        change = many_grants.store_imported(planned, actor=shortcuts.actor(request))
    uploads.forget(token)
    lacking = len(without_prerequisites([one.grant for one in planned if not one.kept]))
    text = ngettext("Import complete: %(n)d grant.", "Import complete: %(n)d grants.", count)
    gates_informed.report_change(request, text % {"n": count}, change)
    if lacking:
        text = ngettext(
            "%(n)d grant gives no access yet: a required training is missing.",
            "%(n)d grants give no access yet: a required training is missing.",
            lacking,
        )
        messages.warning(request, text % {"n": lacking})
    return see_other(reverse("people-trainings"))


def _page(
    request: HttpRequest, file: TrainingsFile, planned: Sequence[Planned], *, is_stale: bool = False
) -> HttpResponse:
    granted: dict[str, list[_Shown]] = defaultdict(list)
    for one in planned:
        if not one.kept:
            granted[str(one.grant.training)].append(_shown(one.grant))
    kept = [
        (people_labels.KEPT[why], [_shown(one.grant) for one in planned if one.kept == why]) for why in many_grants.KEPT
    ]
    fresh = [one.grant for one in planned if not one.kept]
    context = {
        "without": [(grant, prerequisites.named(missing)) for grant, missing in without_prerequisites(fresh)],
        "file": file,
        "lines": imports.rows_with_errors(file),
        "other_order": imports.other_order(file),
        "granted": [(training, _by_name(grants)) for training, grants in sorted(granted.items())],
        "kept": [(text, _by_name(grants)) for text, grants in kept if grants],
        "takes": sum(map(len, granted.values())),
        "unchanged": sum(bool(one.kept) for one in planned),
        "fingerprint": _fingerprint(file, planned),
        "is_stale": is_stale,
    }
    return render(request, "people/import_trainings.html", context, status=409 if is_stale else 200)


def _shown(grant: Grant) -> _Shown:
    values = {"since": people_labels.short(grant.since), "until": people_labels.short(grant.until)}
    text = _("%(since)s to %(until)s") if grant.until else _("since %(since)s")
    return _Shown(grant, people_labels.stage(grant.stage), text % values)


def _by_name(grants: Iterable[_Shown]) -> list[_Shown]:
    return sorted(grants, key=lambda one: (one.grant.member.name or one.grant.member_id, one.grant.since))


def _fingerprint(file: TrainingsFile, planned: Sequence[Planned]) -> str:
    """Return a hash that is the same as long as the list would make the same grants."""
    grants = [
        (grant.member_id, grant.training_id, grant.stage, grant.since, grant.until, grant.trainer, kept)
        for grant, kept in planned
    ]
    return hashlib.sha256(repr((grants, [str(one) for one in file.mistakes])).encode()).hexdigest()
