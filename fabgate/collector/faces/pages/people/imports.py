"""Imports a list: the upload of either kind, and the preview and import of members. Trainings are in import_trainings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any, Final, NamedTuple

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from fabgate import days
from fabgate.collector.faces.pages import errors, gates_informed
from fabgate.collector.faces.pages.access_control import see_other
from fabgate.collector.faces.pages.forms.day_field import unlikely
from fabgate.collector.faces.pages.month import difference
from fabgate.collector.faces.pages.people import shortcuts
from fabgate.collector.faces.pages.people.badges import short_forms
from fabgate.collector.faces.pages.words import people_labels
from fabgate.collector.ground.base.body_limit import MAX_FILE_BYTES, MEGABYTE
from fabgate.collector.ground.base.environ import LANGS
from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import Change, Grant, Member, Payer
from fabgate.collector.ground.tables.csv_file import dialect_of
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import blocks, leaving
from fabgate.collector.members.people.import_list import file as members_file
from fabgate.collector.members.people.import_list import lists, store, uploads
from fabgate.collector.members.people.import_list import preview as members_diff
from fabgate.collector.members.people.import_list.columns import MEMBERS, TRAININGS, Columns
from fabgate.collector.members.people.import_list.dates import DAY_FIRST, MONTH_FIRST
from fabgate.collector.members.people.import_list.list_file import ListFile
from fabgate.collector.members.people.import_list.preview import Difference, Field, Known, Unconfirmed
from fabgate.collector.money.billing import member_plans
from fabgate.collector.money.paper.figures import NOTHING
from fabgate.errors import UsageError

_COLUMNS: Final = {
    "id": gettext_lazy("Number"),
    "name": gettext_lazy("Name"),
    "first_name": gettext_lazy("Given name, if the name column has only the surname"),
    "badges": gettext_lazy("Badges"),
    "lang": gettext_lazy("Language"),
    "level": gettext_lazy("Level"),
    "valid_until": gettext_lazy("Member until"),
    "machines": gettext_lazy("Machines"),
    "email": gettext_lazy("E-mail"),
    "category": gettext_lazy("Category"),
    "plan": gettext_lazy("Plan"),
    "payer": gettext_lazy("Payer (a member's number, or an organisation's name)"),
    "minor": gettext_lazy("Minor"),
    "joined_on": gettext_lazy("Member since"),
}
#: What the form sends if all new people of a list are confirmed at once.
_ALL: Final = "all"
#: The most characters of a wrong number that are shown again.
_MOST_TYPED: Final = 20
#: Examples of cells, by column.
_WRITTEN: Final = {
    "lang": LANGS,
    "level": Member.LEVELS,
    "valid_until": ("2027-03-31", "31/03/2027"),
    "minor": (gettext_lazy("yes"), gettext_lazy("no")),
    "joined_on": ("2026-03-31", "31/03/2026"),
}
_TRAINING_COLUMNS: Final = {
    "id": gettext_lazy("The person's number"),
    "training": gettext_lazy("Training"),
    "since": gettext_lazy("First day"),
    "stage": gettext_lazy("Stage"),
    "until": gettext_lazy("Last day; leave empty to use the validity that is set for the training"),
    "trainer": gettext_lazy("Trainer: a member by number or name, or someone with an account"),
}
_TRAINING_WRITTEN: Final = {
    "since": ("2026-03-31", "31/03/2026"),
    "stage": [people_labels.STAGES[stage][1] for stage in (Grant.AUTONOMOUS, Grant.SUPERVISED, Grant.INSTRUCTOR)],
    "until": ("2027-03-31", "31/03/2027"),
}
#: The titles that a column may have, its meaning, and examples of cells.
_Fact = tuple[Mapping[str, None], Any, Iterable[Any]]


class _Kind(NamedTuple):
    """One kind of list, with the texts of its page; `template` is the URL name of an empty list."""

    title: str
    text: str
    columns: list[_Fact]
    hint: str
    template: str


class UploadForm(forms.Form):
    """A file from a spreadsheet. `called` is its name, once the form is valid."""

    called: str

    file = forms.FileField(
        label=gettext_lazy("Your list"),
        help_text=gettext_lazy("CSV or XLSX, at most 5 MB."),
        error_messages={"empty": gettext_lazy("This file is empty."), "required": gettext_lazy("Choose a file.")},
        widget=forms.FileInput({"accept": ".csv,.tsv,.txt,.xlsx"}),
    )

    def clean_file(self) -> bytes:
        """Refuse a file that is larger than a list of people can be."""
        upload = self.cleaned_data["file"]
        if upload.size > MAX_FILE_BYTES:
            text = _("This file is %(found)d MB; a list of people can be at most %(most)d MB.")
            raise forms.ValidationError(
                text % {"found": -(-upload.size // MEGABYTE), "most": MAX_FILE_BYTES // MEGABYTE}
            )
        self.called = str(upload.name)
        found: bytes = upload.read()
        return found


def upload(request: HttpRequest) -> HttpResponse:
    """Ask for a file; keep one that can be read for an hour, and preview it."""
    form = UploadForm(request.POST or None, request.FILES or None) if request.method == "POST" else UploadForm()
    if request.method == "POST" and form.is_valid():
        raw: bytes = form.cleaned_data["file"]
        try:
            is_of_trainings = lists.parse(raw, form.called) is TRAININGS
        except UsageError as error:
            form.add_error("file", str(error).splitlines())
        else:
            page = "people-import-trainings" if is_of_trainings else "people-import-preview"
            return see_other(reverse(page, args=[uploads.keep(raw)]))
    status = 200 if request.method == "GET" else 400
    return render(request, "people/import.html", {"form": form, "kinds": _kinds()}, status=status)


def template(_request: HttpRequest) -> HttpResponse:
    """Return an empty list of members with all columns."""
    return _template(MEMBERS, _("members"))


def trainings_template(_request: HttpRequest) -> HttpResponse:
    """Return an empty list of trainings with all columns."""
    return _template(TRAININGS, _("trainings"))


def _template(columns: Columns, name: str) -> HttpResponse:
    """Return an empty list as CSV for a spreadsheet in the page's language."""
    head = dialect_of(get_language() or "").separator.join(map(columns.title, columns.names))
    response = HttpResponse(f"\N{BYTE ORDER MARK}{head}\r\n".encode(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _kinds() -> list[_Kind]:
    return [
        _Kind(
            title=_("A list of people"),
            text=_(
                "The first row contains the column titles, in English or French. Only the number is required; a new"
                " person also needs a name, unless the file has a column of badges. The preview asks before it adds"
                " anyone. A missing column changes nothing; an empty cell clears the field."
            ),
            columns=_facts(MEMBERS, _COLUMNS, _WRITTEN),
            hint=_(
                "If a cell contains several badges or machines, put semicolons between them. Use short names for"
                " machines, such as laser-2."
            ),
            template="people-import-template",
        ),
        _Kind(
            title=_("A list of trainings"),
            text=_(
                "One row for each training of a person. A file with a column for the training is read as a list"
                " of trainings. The people and trainings in it must exist already."
            ),
            columns=_facts(TRAININGS, _TRAINING_COLUMNS, _TRAINING_WRITTEN),
            hint=_(
                "An import lowers no stage and lifts no suspension: rows that would do so are listed, but change"
                " nothing."
            ),
            template="people-import-trainings-template",
        ),
    ]


def _facts(columns: Columns, titles: Mapping[str, Any], written: Mapping[str, Iterable[Any]]) -> list[_Fact]:
    return [(dict.fromkeys((columns.title(name), name)), titles[name], written.get(name, ())) for name in columns.names]


def preview(request: HttpRequest, token: str) -> HttpResponse:
    """Preview what a file would change; then import it."""
    raw = uploads.kept(token)
    if raw is None:
        raise UsageError(_("This file is no longer stored here. Choose it again."))
    dates = (request.POST if request.method == "POST" else request.GET).get("dates", "")
    file = members_file.parse(raw, dates=dates)
    known = Known.now()
    plans_from = _plans_from(request)
    found = members_diff.difference(file, known, plans_from)
    if request.method != "POST":
        return _page(request, found, token)
    if request.POST.get("seen") != found.fingerprint:
        return _page(request, found, token, is_stale=True)
    if difference.of_plans(request, found.plans, found.plans_from):  # another one than the preview showed
        return _page(request, found, token)
    left = " ".join(request.POST.get("left", "").split())
    if left and left != str(len(found.vanished)):
        return _page(request, found, token, miscounted=left)
    is_complete = request.POST.get("complete") == "yes" or bool(left)
    confirmed = _confirmed(request, found)
    try:
        prepared = store.prepare(found.to_take(confirmed, is_complete=is_complete))
    except Unconfirmed as error:
        return _page(request, found, token, unconfirmed=str(error))
    before = short_forms.shared()
    try:
        # SQLite has no other writer from here on, so everything else is done before.
        with transaction.atomic(), pulse.deferred():
            store.lock(file, prepared)
            if (now := Known.now()) != known:  # compare again with the rows as they are now
                found = members_diff.difference(file, now, plans_from)
            change = _take(request, found, prepared, confirmed, is_complete=is_complete, left=left)
    except store.Overtaken:
        change = None
    if change is None:
        found = members_diff.difference(members_file.parse(raw, dates=dates), Known.now(), plans_from)
        return _page(request, found, token, is_stale=True)
    uploads.forget(token)
    gone = len(found.vanished) if is_complete else None
    gates_informed.report_change(request, _done(len(confirmed), len(found.changed), gone), change)
    short_forms.warn_of_new(request, before)
    return see_other(reverse("people"))


def _done(new: int, changed: int, gone: int | None) -> str:
    """Return the message after an import; `gone` is None for a list that is not complete."""
    parts = [
        ngettext("%(n)d new person", "%(n)d new people", new) % {"n": new},
        ngettext("%(n)d changed", "%(n)d changed", changed) % {"n": changed},
    ]
    if gone is not None:
        parts.append(ngettext("%(n)d has left", "%(n)d have left", gone) % {"n": gone})
    return _("Import complete: %(what)s.") % {"what": ", ".join(parts)}


def _confirmed(request: HttpRequest, found: Difference) -> set[str]:
    """Return the ids of the new people who are ticked, each alone or all at once."""
    new, ticked = {person.row.id for person in found.new}, request.POST.getlist("add")
    return new.intersection(ticked) if found.asks_for_each else new if ticked == [_ALL] else set()


def _plans_from(request: HttpRequest) -> date | None:
    """Return the chosen first day of the plans in a list; None without one."""
    sent = request.POST if request.method == "POST" else request.GET
    try:
        day = days.read(sent.get("plans_from", ""))
    except days.UnlikelyDay as error:
        raise UsageError(unlikely(error)) from None
    except ValueError:
        return None
    member_plans.check_day(day, blocks.today())
    return day


def _take(
    request: HttpRequest,
    found: Difference,
    prepared: store.Prepared,
    confirmed: Collection[str],
    *,
    is_complete: bool,
    left: str,
) -> Change | None:
    """Import the list; return None if it would change something that the preview did not show.

    If the list `is_complete`, missing members are marked as left; many of them only if `left` is their number.
    """
    if request.POST.get("seen") != found.fingerprint:
        return None
    is_counted = found.may_end_counted and left == str(len(found.vanished))
    if is_complete and not (found.may_end or is_counted):
        raise UsageError(_("This list cannot end any membership. The preview gives the reason."))
    if not prepared.members and not is_complete:
        raise UsageError(_("This list changes nothing."))
    actor = shortcuts.actor(request)
    try:
        store.write(prepared, actor=actor, plans_from=found.plans_from, new=confirmed)
        if is_complete:  # also rebuilds the rosters
            return leaving.leave(*found.vanished, actor=actor, reason="import")
        with audit.acting_as(actor):
            return Change(rosters=roster.versions(roster.rebuild(only_changed=True)))
    except leaving.LastManager:
        raise errors.Conflict(_("At least one manager must remain. Make someone else manager first.")) from None


def _page(
    request: HttpRequest,
    found: Difference,
    token: str,
    *,
    is_stale: bool = False,
    miscounted: str = "",
    unconfirmed: str = "",
) -> HttpResponse:
    names = Member.names() | dict(Payer.organisations().values_list("pk", "name"))
    names |= {row.id: row.name for row in found.file.rows if row.name}
    context = {
        "found": found,
        "difference": difference.of_plans(request, found.plans, found.plans_from),
        "new": [(person, _shown(person.fields, names)) for person in found.new],
        "changed": [(person, _shown(person.fields, names)) for person in found.changed],
        "badge_notes": [
            *store.lost_badge_notes(found.file),
            *store.moved_badge_notes(found.file),
            *store.left_member_notes(found.file),
        ],
        "lines": rows_with_errors(found.file),
        "token": token,
        "is_stale": is_stale,
        "miscounted": miscounted[:_MOST_TYPED],
        "unconfirmed": unconfirmed,
        "confirmed": _confirmed(request, found),
        "takes": len(found.new) + len(found.changed),
        "other_order": other_order(found.file),
    }
    status = 409 if is_stale else 400 if miscounted or unconfirmed else 200
    return render(request, "people/import_preview.html", context, status=status)


def rows_with_errors(file: ListFile) -> list[tuple[str, str]]:
    """Return each error with its rows, ordered by the first of them."""
    shown = []
    for mistake in file.mistakes:
        where = _("Row %(line)d") % {"line": mistake.line}
        if mistake.also is not None:
            where = _("Rows %(first)d and %(second)d") % {"first": mistake.also, "second": mistake.line}
        shown.append((min(mistake.line, mistake.also or mistake.line), where, mistake.text))
    return [(where, text) for _first, where, text in sorted(shown, key=lambda one: one[0])]


def other_order(file: ListFile) -> str:
    """Return the other order of day and month than the one in which the dates of a file were read."""
    return MONTH_FIRST if file.dates.order == DAY_FIRST else DAY_FIRST


def _shown(fields: list[Field], names: Mapping[str, str]) -> list[tuple[Any, str, str]]:
    return [_field(field, names) for field in fields]


def _field(field: Field, names: Mapping[str, str]) -> tuple[Any, str, str]:
    if field.name == "payer_id":
        return _("Payer"), _payer(field.before, names), _payer(field.after, names)
    return _COLUMNS[field.name], _text(field.before), _text(field.after)


def _payer(pk: str | None, names: Mapping[str, str]) -> str:
    if pk is None:
        return _("themselves")
    return f"{names[pk]} ({pk})" if pk in names else pk


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, date):
        return people_labels.short(value)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or NOTHING
    return str(value) if value not in (None, "") else NOTHING
