"""Grants and revokes trainings, for ``training-grant``, ``training-revoke`` and the pages."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

from django.db import transaction
from django.utils.translation import gettext as _

from fabgate.collector.access import roster
from fabgate.collector.db import audit, pulse
from fabgate.collector.models import Account, Change, Grant, Member, Training
from fabgate.collector.people import blocks, names, trainers
from fabgate.collector.people.grant_effects import Effect, effect
from fabgate.errors import UsageError

_MAX_TEXT = 200
#: Why one of many members gets no grant: they are suspended, or hold a higher or the same stage (docs/decisions/0060).
SUSPENDED, MORE, AS_MUCH = "suspended", "more", "as-much"
KEPT: Final = (SUSPENDED, MORE, AS_MUCH)


class Lowers(UsageError):  # noqa: N818 (it names what happened)
    """A grant would lower a member's stage, and the caller did not say that this is intended."""

    def __init__(self, held: Grant, stage: str) -> None:
        self.held = held
        text = _("%(member)s holds %(training)s as %(held)s, from %(since)s; %(stage)s would lower that")
        said = {"member": held.member, "training": held.training, "held": held.stage}
        super().__init__(text % {**said, "since": held.since, "stage": stage})


class Outcome(NamedTuple):
    """The result for one of several members to whom a training was granted."""

    member: Member
    #: The grant's change, of which the last one carries the rosters; None: nothing was granted.
    change: Change | None
    #: One of KEPT; empty if it was granted.
    kept: str = ""


def grant_command(args: argparse.Namespace) -> int:
    """Grant a training from the command line, and announce the rosters."""
    member, training = _member_and_training(args)
    since = _day(args.since, "--since") or blocks.today()
    try:
        grant, change = grant_training(
            member,
            training,
            args.stage,
            actor=audit.cli_actor(args.actor),
            since=since,
            until=_day(args.until, "--until"),
            trainer=names.line(args.trainer or ""),
            lowers=args.lower,
        )
    except Lowers as error:
        raise UsageError(f"{error}; if that is intended, add --lower") from None
    if change is None:
        sys.stdout.write(f"{member} already has {training} ({grant.stage}) from {grant.since}; nothing changed\n")
        return 0
    return _report(f"{member} has {training} ({grant.stage}) from {grant.since}", change)


def revoke_command(args: argparse.Namespace) -> int:
    """Revoke a training from the command line, and announce the rosters."""
    member, training = _member_and_training(args)
    changed = revoke_training(member, training, actor=audit.cli_actor(args.actor), reason=args.reason)
    return _report(f"{member} no longer has {training}", changed[-1])


def grant_training(
    member: Member,
    training: Training,
    stage: str,
    *,
    actor: Account | str,
    since: date,
    until: date | None = None,
    trainer: str = "",
    lowers: bool = False,
) -> tuple[Grant, Change | None]:
    """Grant a training; return the grant, and its change with the new rosters; None: it was granted already.

    An account as `actor` is held to its rights (people/trainers.py); a name acts for the site itself. Raises
    UsageError, and Lowers if the member has a higher stage and `lowers` is False.
    """
    trainer = _checked([member], training, stage, actor, since, until, trainer)
    with transaction.atomic(), pulse.deferred():
        grants = _locked_grants([member], training, since)[member.pk]
        if held := _suspension(grants, since) if stage != Grant.SUSPENDED else None:
            text = _("%(member)s is suspended from %(training)s since %(day)s; revoke the suspension first")
            raise UsageError(text % {"member": member, "training": training, "day": held.since})
        same = [grant for grant in grants if grant.since == since and grant.revoked_on is None]
        if same and (same[-1].stage, same[-1].until) == (stage, until):
            return same[-1], None
        grant = Grant(member=member, training=training, stage=stage, since=since, until=until, trainer=trainer)
        lowered = effect(grants, grant, blocks.today()).lowered
        if lowered is not None and stage != Grant.SUSPENDED and not lowers:
            raise Lowers(lowered, stage)
        return grant, _store([grant], actor)[0]


def grant_to_many(
    members: Sequence[Member],
    training: Training,
    stage: str,
    *,
    actor: Account | str,
    since: date,
    until: date | None = None,
    trainer: str = "",
) -> list[Outcome]:
    """Grant a training to those members who gain by it; rosters are rebuilt once.

    The others keep what they have, and their outcome says why: a grant to many lowers no stage and lifts no suspension.
    A suspension of many applies to each of them. Raises UsageError, and then nothing is granted.
    """
    trainer = _checked(members, training, stage, actor, since, until, trainer)
    with transaction.atomic(), pulse.deferred():
        grants, today = _locked_grants(members, training, since), blocks.today()
        kept: dict[str, str] = {}
        fresh = []
        for member in members:
            grant = Grant(member=member, training=training, stage=stage, since=since, until=until, trainer=trainer)
            if why := _kept(grants[member.pk], grant, effect(grants[member.pk], grant, today)):
                kept[member.pk] = why
            else:
                fresh.append(grant)
        written = dict(zip((grant.member_id for grant in fresh), _store(fresh, actor), strict=True))
    return [Outcome(member, written.get(member.pk), kept.get(member.pk, "")) for member in members]


def revoke(grant: Grant, *, actor: str, reason: str, on: date | None = None) -> Change:
    """Revoke a grant, from today or another day on; it stays on record. Raises UsageError."""
    on = on or blocks.today()
    if not reason.strip() or len(reason) > _MAX_TEXT:
        raise UsageError(
            _("reason: found %(found)d characters, wanted 1 to %(most)d that say why")
            % {"found": len(reason.strip()), "most": _MAX_TEXT}
        )
    with audit.change(actor, "grant.revoked", grant, reason=reason) as change:
        held = Grant.objects.select_for_update(no_key=True).get(pk=grant.pk)
        if held.revoked_on is not None:
            raise UsageError(
                _("it was revoked already, on %(day)s by %(who)s") % {"day": held.revoked_on, "who": held.revoked_by}
            )
        held.revoked_on, held.revoked_by, held.reason = on, actor, reason
        held.save(update_fields=["revoked_on", "revoked_by", "reason"])
        change.rosters = roster.versions(roster.rebuild(only_changed=True))
    grant.refresh_from_db()
    return change


def revoke_training(member: Member, training: Training, *, actor: Account | str, reason: str) -> list[Change]:
    """Revoke every grant of a training that a member has. Raises UsageError if there is none, or the actor may not."""
    if isinstance(actor, Account):
        trainers.refuse_training(actor, training)
    held = list(Grant.objects.filter(member=member, training=training, revoked_on=None).order_by("since", "id"))
    if not held:
        raise UsageError(
            _("%(member)s does not have %(training)s; there is nothing to revoke")
            % {"member": member, "training": training}
        )
    return [revoke(grant, actor=_called(actor), reason=reason) for grant in held]


def _checked(
    members: Sequence[Member],
    training: Training,
    stage: str,
    actor: Account | str,
    since: date,
    until: date | None,
    trainer: str,
) -> str:
    """Return the trainer's name as it is stored. Raises UsageError."""
    if isinstance(actor, Account):
        trainers.refuse(actor, training, stage, since, blocks.today())
    mistakes = []
    if stage not in Grant.STAGES:
        values: dict[str, object] = {"found": stage[:40], "wanted": ", ".join(Grant.STAGES)}
        mistakes.append(_("stage: found '%(found)s', wanted %(wanted)s") % values)
    if until is not None and until < since:
        values = {"found": until, "since": since}
        mistakes.append(_("until: found %(found)s, wanted %(since)s (since) or a later day") % values)
    if len(trainer) > _MAX_TEXT:
        values = {"found": len(trainer), "most": _MAX_TEXT}
        mistakes.append(_("trainer: found %(found)d characters, wanted at most %(most)d") % values)
    if sign := names.unseen(trainer):
        mistakes.append(
            _("trainer: found %(sign)s, wanted a name of visible characters; type it instead of copying it")
            % {"sign": sign}
        )
    mistakes += [
        _("%(member)s left on %(day)s; readmit them first") % {"member": member, "day": member.left_on}
        for member in members
        if member.left_on is not None and member.left_on <= since
    ]
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return trainers.stored_name(trainer) if trainer else ""


def _locked_grants(members: Sequence[Member], training: Training, since: date) -> dict[str, list[Grant]]:
    """Return the grants of a training that members have on `since` or later, with the members locked.

    Of a form that is sent twice, the second request waits here, and then sees the grants of the first.
    """
    list(Member.objects.select_for_update(no_key=True).filter(pk__in=[one.pk for one in members]).order_by("pk"))
    of_member: dict[str, list[Grant]] = defaultdict(list)
    grants = Grant.not_taken_back(since).filter(member__in=members, training=training)
    for grant in grants.select_related("member", "training"):
        of_member[grant.member_id].append(grant)
    return of_member


def _suspension(grants: Sequence[Grant], since: date) -> Grant | None:
    """Return the suspension that is valid on the first day of a grant, or today (docs/decisions/0044)."""
    days = {since, max(since, blocks.today())}
    suspended = (grant for grant in grants if grant.stage == Grant.SUSPENDED)
    return next((grant for grant in suspended if any(map(grant.holds_on, days))), None)


def _kept(grants: Sequence[Grant], fresh: Grant, its_effect: Effect) -> str:
    """Return why one of several members gets no grant: one of KEPT; empty if `fresh` is granted."""
    if fresh.stage == Grant.SUSPENDED:
        return "" if its_effect.lowered is not None else AS_MUCH
    if _suspension(grants, fresh.since) is not None:
        return SUSPENDED
    if its_effect.lowered is not None:
        return MORE
    return "" if its_effect.gains else AS_MUCH


def _store(grants: Sequence[Grant], actor: Account | str) -> list[Change]:
    """Store grants, each with its own log entry; the last one carries the rosters."""
    written = []
    for grant in grants:
        with audit.change(_called(actor), "grant.given", grant) as change:
            grant.save()
            if grant is grants[-1]:
                change.rosters = roster.versions(roster.rebuild(only_changed=True))
        written.append(change)
    return written


def _called(actor: Account | str) -> str:
    return actor.name if isinstance(actor, Account) else actor


def _member_and_training(args: argparse.Namespace) -> tuple[Member, Training]:
    mistakes: list[str] = []
    member = blocks.find_member(args.id, mistakes)
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
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: found {text[:40]!r}, wanted a date such as 2027-03-01") from None


def _report(what: str, change: Change) -> int:
    gates = roster.applied(change.rosters).gates
    sys.stdout.write(f"{what}; {roster.announce_and_describe(gates) if gates else 'no roster changes'}\n")
    return 0
