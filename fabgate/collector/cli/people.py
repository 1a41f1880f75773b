"""Imports and blocks members, and grants and revokes trainings. An import takes all rows of a list or none."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction

from fabgate.badge.short_forms import read_names
from fabgate.collector.cli.billing.rules import refuse_unseen
from fabgate.collector.cli.days import read_day
from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import Badge, BadgeForm, Block, Change, Collector, Grant, Member, Plan, Training
from fabgate.collector.members.access import roster, short_forms
from fabgate.collector.members.people import blocks, duplicates, many_grants, names, trainings
from fabgate.collector.members.people.import_list import file as members_file
from fabgate.collector.members.people.import_list import store
from fabgate.collector.members.people.import_list import trainings as trainings_file
from fabgate.collector.money.billing import member_plans, terms, trial
from fabgate.collector.recording.broker import announcing
from fabgate.errors import UsageError

#: Why a row is not granted. A row that was granted already needs no note.
_WHY: Final = {
    many_grants.SUSPENDED: "they are suspended",
    many_grants.MORE: "it would lower their stage",
}


def import_members(args: argparse.Namespace) -> int:
    """Import a list of members, rebuild the rosters and announce them."""
    plans_from = _plans_from(args.plans_from, "--plans-from") if args.plans_from is not None else None
    file = members_file.read(Path(args.file), dates=args.dates)
    _print_notes(file.notes)
    prepared = store.prepare(file)
    notes = _notes_of_namesakes(file) if "badges" in file.columns else []
    notes += [*store.lost_badge_notes(file), *store.moved_badge_notes(file), *store.left_member_notes(file)]
    with transaction.atomic(), pulse.deferred():
        store.lock(file, prepared)
        _refuse_unconfirmed(file, args.new)
        if not args.sure:
            _refuse_unseen(*store.new_plans(file, plans_from))
        new = store.write(prepared, actor=audit.cli_actor(None), plans_from=plans_from)
        with audit.acting_as(audit.cli_actor(None)):
            gates = roster.rebuild()
    _print_notes([*notes, *_refused_forms()])
    badges = sum(len(row.badges) for row in file.rows)
    with_badges = f" with {_count(badges, 'badge')}" if "badges" in file.columns else ""
    announced = announcing.announce_and_describe(gates)
    sys.stdout.write(f"{_count(len(file.rows), 'member')} imported ({new} new){with_badges}; {announced}\n")
    return 0


def _refuse_unconfirmed(file: members_file.File, confirmed: int | None) -> None:
    """List the new people of a file without badges, unless they are as many as `confirmed`. Raises UsageError.

    A file with badges is one of people and their badges, and may be imported each night; in any other file, a number that
    does not exist is more often mistyped.
    """
    known = set(Member.objects.values_list("id", flat=True))
    new = [row for row in file.rows if row.id not in known]
    if (confirmed is None and (not new or "badges" in file.columns)) or confirmed == len(new):
        return
    lines = [f"line {row.line}: {names.shown(row.id)!r} ({names.shown(row.name)}) is not a member yet" for row in new]
    lines += _notes_of_namesakes(file)
    are = "person is" if len(new) == 1 else "people are"
    wanted = f"if {'they are' if len(new) != 1 else 'this is'} not mistyped, add --new {len(new)}"
    raise UsageError("\n".join([*lines, f"found that {len(new)} {are} new; {wanted if new else 'leave out --new'}"]))


def _notes_of_namesakes(file: members_file.File) -> list[str]:
    """Return a note for each new person of a file who has the name of a member: a number may have lost its zeros."""
    known = set(Member.objects.values_list("id", flat=True))
    new = [row for row in file.rows if row.id not in known]
    same = duplicates.of_names({row.name for row in new})
    return [
        f"line {row.line}: {names.shown(row.name)} is new with the number {names.shown(row.id)!r}, and already a member"
        f" with {', '.join(map(names.shown, same[row.name]))}"
        for row in new
        if row.name in same
    ]


def plan(args: argparse.Namespace) -> int:
    """Give a member a plan from a day on; without a plan, print which plans they have had."""
    mistakes: list[str] = []
    member = _find_member(args.id, mistakes)
    names = sorted(Plan.objects.values_list("name", flat=True))
    if args.plan is not None and args.plan not in names:
        near = difflib.get_close_matches(args.plan, names, 1)
        wanted = ", ".join(names) or "(none yet: add one with bill-plan)"
        hint = f"did you mean {near[0]!r}?" if near else f"wanted one of: {wanted}"
        mistakes.append(f"found no plan {args.plan[:60]!r}; {hint}")
    if mistakes or member is None:
        raise UsageError("\n".join(mistakes))
    if args.cancel is not None:
        since = _day(args.cancel, "--cancel") or blocks.today()
        found = member_plans.cancel(member, since, blocks.today(), actor=audit.cli_actor(args.actor))
        done = f"the change of {since} is cancelled" if found else f"found no change of {since}; nothing changed"
        sys.stdout.write(f"{member}: {done}\n")
        return 0
    if args.plan is None and not args.none:
        for change in member_plans.history(member):
            sys.stdout.write(f"{change.since}  {change.plan or 'no plan'}\n")
        return 0
    since, named = _plans_from(args.since), args.plan or ""
    if not args.sure:
        _refuse_unseen({member.pk: named}, since)
    changed = member_plans.set_plan(member, named, since, actor=audit.cli_actor(args.actor))
    sys.stdout.write(f"{member}: {named or 'no plan'} from {since}{'' if changed else '; nothing changed'}\n")
    return 0


def _refuse_unseen(plans: Mapping[str, str], since: date) -> None:
    """List what plans from an earlier day on change of past sessions. Raises UsageError if there is something."""
    found = terms.started()
    if found is not None and since < blocks.today():
        refuse_unseen(trial.of_plans(found, plans, since), found, since)


def badge_forms(args: argparse.Namespace) -> int:
    """Set which short forms of badges the workshop's readers give, and update the gates; without any, print them."""
    if args.forms and args.none:
        raise UsageError("found FORM and --none; wanted one of them")
    if args.forms or args.none:
        with transaction.atomic():
            collector = Collector.get(settings.ENVIRONMENT.site)
            with audit.change(audit.cli_actor(args.actor), "collector.badge-forms", collector) as change:
                collector.badge_forms = " ".join(read_names(args.forms))
                collector.save(update_fields=["badge_forms"])
                change.rosters = roster.versions(roster.rebuild(only_changed=True))
        gates = roster.applied(change.rosters).gates
        sys.stdout.write(f"{announcing.announce_and_describe(gates) if gates else 'no roster changes'}\n")
    _print_forms(Collector.get(settings.ENVIRONMENT.site).badge_forms)
    return 0


def _print_forms(names: str) -> None:
    if not names:
        sys.stdout.write("no short forms: gates know each badge by its whole number, or as it was enrolled\n")
        return
    forms = BadgeForm.objects.filter(state__in=BadgeForm.KNOWN).exclude(form="")
    whole, unknown = forms.values("badge").distinct().count(), Badge.objects.filter(ended_at=None, spelling="").count()
    sys.stdout.write(f"{names}: {_count(whole, 'badge')} with short forms\n")
    if unknown:
        were, have = ("was", "has") if unknown == 1 else ("were", "have")
        sys.stdout.write(
            f"{_count(unknown, 'badge')} {were} enrolled by a tap and {have} none, as only the digest is known: type"
            " the number at the desk, or import it\n"
        )
    for line in _refused_forms():
        sys.stdout.write(f"{line}\n")


def _refused_forms() -> Iterator[str]:
    """Yield a line for each short form that gates refuse, because badges of several have it."""
    shared = BadgeForm.objects.filter(state=BadgeForm.SHARED).select_related("badge").order_by("digest", "badge")
    for row in shared:
        form = short_forms.shown(row.badge.spelling, row.form) or "a badge that was enrolled by a tap"
        yield f"gates refuse {form} of {row.badge.holder}: a reader gives it for a badge of somebody else, too"


def import_trainings(args: argparse.Namespace) -> int:
    """Import a list of trainings, rebuild the rosters and announce them."""
    file = trainings_file.read(Path(args.file), dates=args.dates)
    _print_notes(file.notes)
    with transaction.atomic(), pulse.deferred():
        planned = many_grants.plan(file.grants, locks=True)
        change = many_grants.store_imported(planned, actor=audit.cli_actor(None))
    _print_notes(
        f"{grant.member}: {grant.training} from {grant.since} was not granted, because {_WHY[kept]}"
        for grant, kept in planned
        if kept in _WHY
    )
    _note_prerequisites([one.grant for one in planned if not one.kept])
    granted = sum(not one.kept for one in planned)
    gates = roster.applied(change.rosters).gates
    announced = announcing.announce_and_describe(gates) if gates else "no roster changes"
    unchanged = len(planned) - granted
    sys.stdout.write(f"{_count(granted, 'grant')} imported, {unchanged} unchanged; {announced}\n")
    return 0


def _note_prerequisites(grants: Sequence[Grant]) -> None:
    """Print a note for each grant that gives no access yet, because a training that it requires is missing."""
    _print_notes(
        f"{grant.member}: {grant.training} gives no access yet; also required, and missing: {', '.join(map(str, missing))}"
        for grant, missing in trainings.without_prerequisites(grants)
    )


def block(args: argparse.Namespace) -> int:
    """Block a member for one reason; a second call for the same reason changes the end date."""
    mistakes = []
    known = dict(Block.REASONS)
    if args.reason not in known:
        near = difflib.get_close_matches(args.reason, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        mistakes.append(f"--reason: found {args.reason!r}, wanted one of {', '.join(known)}{hint}")
    until = _until(args.until, mistakes)
    member = _find_member(args.id, mistakes)
    if mistakes or member is None:
        raise UsageError("\n".join(mistakes))
    change = blocks.block_member(member, args.reason, until, actor=audit.cli_actor(args.actor))
    gates = roster.applied(change.rosters).gates
    sys.stdout.write(
        f"{member} is blocked: {', '.join(blocks.reasons(member))}; {announcing.announce_and_describe(gates)}\n"
    )
    return 0


def unblock(args: argparse.Namespace) -> int:
    """Lift every block of a member."""
    mistakes: list[str] = []
    member = _find_member(args.id, mistakes)
    if member is None:
        raise UsageError("\n".join(mistakes))
    change = blocks.unblock_member(member, actor=audit.cli_actor(args.actor))
    gates = roster.applied(change.rosters).gates
    sys.stdout.write(f"{member} is no longer blocked; {announcing.announce_and_describe(gates)}\n")
    return 0


def grant(args: argparse.Namespace) -> int:
    """Grant a training from the command line, and announce the rosters."""
    member, training = _member_and_training(args)
    since = _day(args.since, "--since") or blocks.today()
    try:
        grant, change = trainings.grant_training(
            member,
            training,
            args.stage,
            actor=audit.cli_actor(args.actor),
            since=since,
            until=_day(args.until, "--until"),
            trainer=names.line(args.trainer or ""),
            lowers=args.lower,
        )
    except trainings.Lowers as error:
        raise UsageError(f"{error}; if that is intended, add --lower") from None
    if change is None:
        sys.stdout.write(f"{member} already has {training} ({grant.stage}) from {grant.since}; nothing changed\n")
        return 0
    _note_prerequisites([grant])
    return _report(f"{member} has {training} ({grant.stage}) from {grant.since}", change)


def revoke(args: argparse.Namespace) -> int:
    """Revoke a training from the command line, and announce the rosters."""
    member, training = _member_and_training(args)
    before = trainings.without_access(member=member)
    changed = trainings.revoke_training(member, training, actor=audit.cli_actor(args.actor), reason=args.reason)
    lost = sorted({str(grant.training) for grant in trainings.without_access(member=member) - before})
    _print_notes(f"{member}: {one} gives no access any more; it requires {training}" for one in lost)
    return _report(f"{member} no longer has {training}", changed[-1])


def _find_member(member_id: str, mistakes: list[str]) -> Member | None:
    """Return the member with that id, or None and a new line in `mistakes`."""
    member = Member.objects.filter(id=member_id).first()
    if member is None:
        near = names.similar_ids(member_id, Member.objects.values_list("id", flat=True), 3)
        hint = f"did you mean {' or '.join(near)}?" if near else "wanted the id of an imported member"
        mistakes.append(f"found no member {member_id!r}; {hint}")
    return member


def _until(text: str | None, mistakes: list[str]) -> date | None:
    if text is None:
        return None
    try:
        until = read_day(text, "--until")
    except UsageError as error:
        mistakes.append(str(error))
        return None
    if until <= blocks.today():
        mistakes.append(f"--until: found {text}, wanted a later day than today: the block no longer applies on it")
    return until


def _member_and_training(args: argparse.Namespace) -> tuple[Member, Training]:
    mistakes: list[str] = []
    member = _find_member(args.id, mistakes)
    training = Training.objects.filter(name=args.training).first()
    if training is None:
        names = list(Training.objects.order_by("name").values_list("name", flat=True))
        near = difflib.get_close_matches(args.training, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"wanted one of: {', '.join(names) or '(there is none yet)'}"
        mistakes.append(f"found no training {args.training[:63]!r}; {hint}")
    if member is None or training is None:
        raise UsageError("\n".join(mistakes))
    return member, training


def _day(text: str | None, option: str) -> date | None:
    return None if text is None else read_day(text, option)


def _plans_from(text: str | None, option: str = "--from") -> date:
    """Return the first day of a plan: today without a text. Raises UsageError."""
    day = _day(text, option) or blocks.today()
    try:
        member_plans.check_day(day, blocks.today())
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None
    return day


def _report(what: str, change: Change) -> int:
    gates = roster.applied(change.rosters).gates
    sys.stdout.write(f"{what}; {announcing.announce_and_describe(gates) if gates else 'no roster changes'}\n")
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        sys.stderr.write(f"note: {note}\n")
