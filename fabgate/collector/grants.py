"""How does a member get a training, and how is it taken back? ``training-grant`` and ``training-revoke``, and pages."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from datetime import date

from django.db import transaction
from django.utils.translation import gettext as _

from fabgate.collector import blocks, changes, floor, names, roster
from fabgate.collector.models import Change, Grant, Member, Training
from fabgate.errors import UsageError

_MAX_TEXT = 200


def grant_command(args: argparse.Namespace) -> int:
    """Grant a training from the command line, and tell the gates."""
    member, training = _both(args)
    since = _day(args.since, "--since") or blocks.today()
    grant, change = give(
        member,
        training,
        args.stage,
        actor=changes.cli_actor(args.actor),
        since=since,
        until=_day(args.until, "--until"),
        trainer=names.line(args.trainer or ""),
    )
    if change is None:
        sys.stdout.write(f"{member} has {training} ({grant.stage}) from {grant.since} already; nothing changed\n")
        return 0
    return _say(f"{member} has {training} ({grant.stage}) from {grant.since}", change)


def revoke_command(args: argparse.Namespace) -> int:
    """Take a training back from the command line, and tell the gates."""
    member, training = _both(args)
    changed = revoke_all(member, training, actor=changes.cli_actor(args.actor), reason=args.reason)
    return _say(f"{member} has {training} no more", changed[-1])


def give(
    member: Member,
    training: Training,
    stage: str,
    *,
    actor: str,
    since: date,
    until: date | None = None,
    trainer: str = "",
) -> tuple[Grant, Change | None]:
    """Grant a training; return it, and the change with the rosters that carry it; None: it was granted already.

    Raises UsageError.
    """
    ((grant, change),) = _give([member], training, stage, actor, since, until, trainer)
    return grant, change


def give_all(
    members: Sequence[Member],
    training: Training,
    stage: str,
    *,
    actor: str,
    since: date,
    until: date | None = None,
    trainer: str = "",
) -> list[tuple[Grant, Change | None]]:
    """Grant a training to everybody who was there, or to nobody, as `give` does; the rosters are built once."""
    return _give(members, training, stage, actor, since, until, trainer)


def revoke(grant: Grant, *, actor: str, reason: str, on: date | None = None) -> Change:
    """Take one grant back, from today on or from a day; it stays written down. Raises UsageError."""
    on = on or blocks.today()
    if not reason.strip() or len(reason) > _MAX_TEXT:
        raise UsageError(
            _("reason: found %(found)d letters, wanted 1 to %(most)d that say why")
            % {"found": len(reason.strip()), "most": _MAX_TEXT}
        )
    with changes.made(actor, "grant.revoked", grant, reason=reason) as change:
        held = Grant.objects.select_for_update(no_key=True).get(pk=grant.pk)
        if held.revoked_on is not None:
            raise UsageError(
                _("it was taken back already, on %(day)s by %(who)s") % {"day": held.revoked_on, "who": held.revoked_by}
            )
        held.revoked_on, held.revoked_by, held.reason = on, actor, reason
        held.save(update_fields=["revoked_on", "revoked_by", "reason"])
        change.rosters = roster.versions(roster.rebuild(only_changed=True))
    grant.refresh_from_db()
    return change


def revoke_all(member: Member, training: Training, *, actor: str, reason: str) -> list[Change]:
    """Take back every grant of a training that a member still has. Raises UsageError where there is none."""
    held = list(Grant.objects.filter(member=member, training=training, revoked_on=None).order_by("since", "id"))
    if not held:
        raise UsageError(
            _("%(member)s does not have %(training)s; there is nothing to take back")
            % {"member": member, "training": training}
        )
    return [revoke(grant, actor=actor, reason=reason) for grant in held]


def _give(
    members: Sequence[Member], training: Training, stage: str, actor: str, since: date, until: date | None, trainer: str
) -> list[tuple[Grant, Change | None]]:
    mistakes = []
    if stage not in Grant.STAGES:
        said: dict[str, object] = {"found": stage[:40], "wanted": ", ".join(Grant.STAGES)}
        mistakes.append(_("stage: found '%(found)s', wanted %(wanted)s") % said)
    if until is not None and until < since:
        said = {"found": until, "since": since}
        mistakes.append(_("until: found %(found)s, wanted %(since)s (since) or a later day") % said)
    if len(trainer) > _MAX_TEXT:
        said = {"found": len(trainer), "most": _MAX_TEXT}
        mistakes.append(_("trainer: found %(found)d letters, wanted at most %(most)d") % said)
    if sign := names.unseen(trainer):
        mistakes.append(
            _("trainer: found %(sign)s, wanted a name of signs that people see; type it instead of copying it")
            % {"sign": sign}
        )
    mistakes += [
        _("%(member)s left on %(day)s; let them in again first") % {"member": member, "day": member.left_on}
        for member in members
        if member.left_on is not None and member.left_on <= since
    ]
    if mistakes:
        raise UsageError("\n".join(mistakes))
    given: dict[str, tuple[Grant, Change | None]] = {}
    with transaction.atomic(), floor.told_last():
        # Of a form that is sent twice the second one waits here, and then finds what the first one wrote.
        list(Member.objects.select_for_update(no_key=True).filter(pk__in=[one.pk for one in members]).order_by("pk"))
        _refuse_suspended(members, training, stage, since)
        # What was said of that day last.
        standing = Grant.objects.filter(member__in=members, training=training, since=since, revoked_on=None)
        last = {grant.member_id: grant for grant in standing.order_by("id")}
        fresh = []
        for member in members:
            held = last.get(member.pk)
            if held is not None and (held.stage, held.until) == (stage, until):
                given[member.pk] = held, None
            else:
                fresh.append(member)
        for member in fresh:
            grant = Grant(member=member, training=training, stage=stage, since=since, until=until, trainer=trainer)
            with changes.made(actor, "grant.given", grant) as change:
                grant.save()
                if member is fresh[-1]:
                    change.rosters = roster.versions(roster.rebuild(only_changed=True))
            given[member.pk] = grant, change
    return [given[member.pk] for member in members]


def _refuse_suspended(members: Sequence[Member], training: Training, stage: str, day: date) -> None:
    """Raise UsageError where a suspension holds on a day: what is granted would open nothing (docs/decisions/0044)."""
    if stage == Grant.SUSPENDED:
        return
    said = Grant.objects.filter(member__in=members, training=training, stage=Grant.SUSPENDED, revoked_on=None)
    text = _("%(member)s is suspended from %(training)s since %(day)s; take the suspension back first")
    mistakes = [
        text % {"member": grant.member, "training": training, "day": grant.since}
        for grant in said.select_related("member", "training").order_by("member__folded", "since")
        if grant.holds_on(day)
    ]
    if mistakes:
        raise UsageError("\n".join(mistakes))


def _both(args: argparse.Namespace) -> tuple[Member, Training]:
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


def _say(what: str, change: Change) -> int:
    gates = roster.known_by(change.rosters).gates
    sys.stdout.write(f"{what}; {roster.tell(gates) if gates else 'no roster says anything else'}\n")
    return 0
