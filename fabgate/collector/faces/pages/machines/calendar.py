"""The calendar: weekly opening hours and special days. Gates receive them in rosters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.formats import time_format
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import errors, gates_informed
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.machines import week
from fabgate.collector.faces.pages.machines.calendar_forms import SpecialForm, TonightForm, WeeklyForm
from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import Change, Opening, SpecialDay
from fabgate.collector.members.access import opening_hours, roster
from fabgate.collector.members.people.blocks import today
from fabgate.collector.money.paper.figures import NOTHING
from fabgate.collector.recording.broker import announcing

FormT = TypeVar("FormT", WeeklyForm, SpecialForm)


def calendar(request: HttpRequest) -> HttpResponse:
    """Show weekly hours, coming special days, and the resulting hours of the next days."""
    scope = request.GET.get("for", "")
    return _page(request, WeeklyForm(initial={"scope": scope}), SpecialForm(initial={"scope": scope}))


def weekly(request: HttpRequest) -> HttpResponse:
    """Add weekly hours."""
    form = WeeklyForm(request.POST)
    if not form.is_valid():
        return _page(request, form, SpecialForm())
    typed = form.cleaned_data
    row = Opening(days=sorted(typed["days"]), start=typed["start"], to=typed["to"], **form.meant())
    return _added(request, row) or _page(request, _set_already(form), SpecialForm(), status=409)


def special(request: HttpRequest) -> HttpResponse:
    """Add a special day."""
    form = SpecialForm(request.POST)
    if not form.is_valid():
        return _page(request, WeeklyForm(), form)
    typed = form.cleaned_data
    row = SpecialDay(day=typed["day"], start=typed["start"], to=typed["to"], note=typed["note"].strip(), **form.meant())
    return _added(request, row) or _page(request, WeeklyForm(), _set_already(form), status=409)


def tonight(request: HttpRequest) -> HttpResponse:
    """Extend the last of today's hours; until 06:00, those of the day before."""
    now = _now()
    with _one_by_one():
        found = opening_hours.Calendar(now.date())
        day = opening_hours.night_at(found, now)
        rows = SpecialDay.objects.filter(day=day, machine=None, category="").select_for_update(no_key=True)
        set_before = list(rows)
        form = TonightForm(request.POST, hours=week.tonight_in_words(found, now))
        if not form.has_conflicts() and form.is_valid() and found.spans(None, day) is None:
            form.add_error("to", _("No opening hours are set: the workshop is always open."))
        hours = opening_hours.hours_until(found, now, form.cleaned_data["to"]) if form.is_valid() else []
        if hours and (wrong := _not_late(day, hours[-1], now) or _shortens(found, day, hours)):
            form.add_error("to", wrong)
        if is_right := not form.conflicts and form.is_valid():
            for row in set_before:
                with audit.change(account_of(request).name, "hours.removed", row):
                    _delete(row)
            note = _("Open late tonight")
            gates = _add(request, [SpecialDay(day=day, start=start, to=to, note=note) for start, to in hours])
    return _saved(request, gates) if is_right else _page(request, WeeklyForm(), SpecialForm(), form)


def remove(request: HttpRequest) -> HttpResponse:
    """Remove hours or a special day; the log keeps them."""
    pk = request.POST.get("pk", "")
    model: type[Opening | SpecialDay] | None = _KINDS.get(request.POST.get("kind", ""))
    with _one_by_one():
        row = None
        if model is not None and pk.isascii() and pk.isdigit() and len(pk) < 18:
            row = model.objects.filter(pk=int(pk)).select_for_update(no_key=True).first()
        if row is None:
            raise errors.Conflict(_("Someone else has already removed this."))
        with audit.change(account_of(request).name, "hours.removed", row) as change:
            _delete(row)
            gates = _rebuild(change)
    return _saved(request, gates)


#: The name in the form -> model.
_KINDS: Final[Mapping[str, type[Opening | SpecialDay]]] = {"weekly": Opening, "special": SpecialDay}


def _now() -> datetime:
    """Return the current time in the site's zone."""
    return datetime.now(ZoneInfo(settings.ENVIRONMENT.tz))


def _not_late(day: date, hours: tuple[time, time], now: datetime) -> str:
    """Return an error if the hours do not extend those of tonight; empty otherwise."""
    if opening_hours.is_night(now) and day == now.date() and opening_hours.span(*hours)[1] > opening_hours.NIGHT_MIN:
        return _(
            "It is night, and no opening hours are set for yesterday. Choose a time from now until 06:00, or add a"
            " special day."
        )
    if opening_hours.is_ambiguous(*hours):
        text = _("Start and end would both be %(time)s. Choose a later time; a time after midnight is on the next day.")
        return text % {"time": time_format(hours[0], "H:i")}
    if opening_hours.ends_tomorrow(*hours):
        text = _(
            "The time that you entered would be tomorrow, %(time)s. Choose a later time today, or a time in the night until 06:00."
        )
        return text % {"time": time_format(hours[1], "H:i")}
    if opening_hours.is_over(day, *hours, now):
        text = _(
            "It is already %(time)s: this would close the workshop. Choose a later time; it may be after midnight."
        )
        return text % {"time": time_format(now, "H:i")}
    return ""


def _shortens(calendar: opening_hours.Calendar, day: date, hours: Iterable[tuple[time, time]]) -> str:
    """Return an error if the hours would end earlier than the current ones; empty otherwise.

    They may end earlier than those of a special day, but not than the usual ones: so a mistyped time can be corrected.
    """
    late = [opening_hours.span(*one) for one in hours]
    usual, set_now = calendar.usual(None, day.isoweekday()), calendar.spans(None, day)
    if any(one is not None and opening_hours.covers(one, late) for one in (usual, set_now)):
        return ""
    ends = opening_hours.clock(max(end for _start, end in set_now or []))
    text = _("The workshop is already open until %(time)s. Choose a later time. To close earlier, add a special day.")
    return text % {"time": ends}


def _added(request: HttpRequest, row: Opening | SpecialDay) -> HttpResponse | None:
    """Add a row and update the gates; return None if the row exists already."""
    with _one_by_one():
        same = {name: getattr(row, name) for name in audit.fields_of(type(row)) if name != "id"}
        if type(row).objects.filter(**same).exists():
            return None
        gates = _add(request, [row])
    return _saved(request, gates)


@contextmanager
def _one_by_one() -> Iterator[None]:
    """Serialise changes of hours, so that a form sent twice is noticed. Ingest waits for the end only."""
    with transaction.atomic(), pulse.deferred():
        pulse.lock_hours()
        yield


def _set_already(form: FormT) -> FormT:
    form.add_error("scope", _("This is already set, by someone else or because the form was sent twice."))
    return form


def _add(request: HttpRequest, rows: Sequence[Opening | SpecialDay]) -> list[Any]:
    gates: list[Any] = []
    for row in rows:
        with audit.change(account_of(request).name, "hours.set", row) as change:
            row.save()
            if row is rows[-1]:
                gates = _rebuild(change)
    return gates


def _delete(row: Opening | SpecialDay) -> None:
    type(row).objects.filter(pk=row.pk).delete()  # unlike row.delete(), this keeps the id for the log


def _rebuild(change: Change) -> list[Any]:
    """Rebuild the rosters; call it inside the block of `change`."""
    gates = roster.rebuild(only_changed=True)
    change.rosters = roster.versions(gates)
    return gates


def _saved(request: HttpRequest, gates: list[Any]) -> HttpResponse:
    if gates and not announcing.announce(gates, timeout_s=announcing.PAGE_S):
        messages.warning(
            request,
            _("Saved. The message broker is offline; the gates will be updated when they next fetch their roster."),
        )
    elif gates:
        messages.success(request, _("Saved. The gates are being updated."))
    else:
        messages.success(request, _("Saved. No gate is affected within the next seven days."))
    return see_other(reverse("machines-calendar"))


def _page(
    request: HttpRequest,
    weekly_form: WeeklyForm,
    special_form: SpecialForm,
    tonight_form: TonightForm | None = None,
    *,
    status: int = 400,
) -> HttpResponse:
    now = today()
    tonight_form = tonight_form or TonightForm(hours=week.tonight_in_words(opening_hours.Calendar(now), _now()))
    hours = [
        {
            "row": row,
            "scope": _scope(row),
            "days": _days(row.days),
            "hours": week.span(opening_hours.span(row.start, row.to)),
        }
        for row in Opening.objects.select_related("machine").order_by("machine__name", "category", "start", "id")
    ]
    days = [
        {
            "row": row,
            "scope": _scope(row),
            "hours": week.span(opening_hours.span(row.start, row.to)) if row.start else "",
        }
        for row in SpecialDay.objects.filter(day__gte=now - timedelta(days=1))
        .select_related("machine")
        .order_by("day", "machine__name", "category", "start", "id")
    ]
    newest = Change.objects.filter(kind__in=("opening", "specialday")).order_by("-at", "-id").first()
    forms = (weekly_form, special_form, tonight_form)
    shown = {
        "hours": sorted(hours, key=lambda one: one["scope"] is not None),
        "days": days,
        "week": week.ahead(),
        "weekly": weekly_form,
        "special": special_form,
        "tonight": tonight_form,
        "known": gates_informed.by(newest) if newest is not None and newest.rosters else None,
    }
    if tonight_form.conflicts:
        status = 409
    elif not any(form.is_bound for form in forms):
        status = 200
    return render(request, "machines/calendar.html", shown, status=status)


def _scope(row: Opening | SpecialDay) -> Any:
    return row.machine or row.category or None


def _days(days: list[int]) -> str:
    """Return weekdays with ranges, such as Mon-Fri and Sun."""
    found: list[list[int]] = []
    for day in days:
        if found and day == found[-1][-1] + 1:
            found[-1].append(day)
        else:
            found.append([day])
    return ", ".join(_run(run) for run in found)


def _run(run: list[int]) -> str:
    first, last = str(WEEKDAYS_ABBR[run[0] - 1]), str(WEEKDAYS_ABBR[run[-1] - 1])
    if len(run) == 1:
        return first
    return f"{first}, {last}" if len(run) == 2 else f"{first}{NOTHING}{last}"
