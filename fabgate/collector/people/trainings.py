"""How does a member get a training, and how is it taken back? ``training-grant`` and ``training-revoke``, and pages."""

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
#: Why somebody among many is granted nothing: they are suspended, hold more, or hold as much (docs/decisions/0060).
SUSPENDED, MORE, AS_MUCH = "suspended", "more", "as-much"
KEPT: Final = (SUSPENDED, MORE, AS_MUCH)


class Lowers(UsageError):  # noqa: N818 (it names what happened)
    """A grant would leave a member less than they hold, and the caller did not say that this is meant."""

    def __init__(self, held: Grant, stage: str) -> None:
        self.held = held
        text = _("%(member)s holds %(training)s as %(held)s, from %(since)s; %(stage)s would leave them less")
        said = {"member": held.member, "training": held.training, "held": held.stage}
        super().__init__(text % {**said, "since": held.since, "stage": stage})


class Outcome(NamedTuple):
    """What became of one member to whom a training was granted together with others."""

    member: Member
    #: With the rosters that carry it, in the last change of all; None: nothing was granted.
    change: Change | None
    #: One of KEPT; empty where it was granted.
    kept: str = ""


def grant_command(args: argparse.Namespace) -> int:
    """Grant a training from the command line, and tell the gates."""
    member, training = _both(args)
    since = _day(args.since, "--since") or blocks.today()
    try:
        grant, change = give(
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
        raise UsageError(f"{error}; if that is meant, add --lower") from None
    if change is None:
        sys.stdout.write(f"{member} has {training} ({grant.stage}) from {grant.since} already; nothing changed\n")
        return 0
    return _say(f"{member} has {training} ({grant.stage}) from {grant.since}", change)


def revoke_command(args: argparse.Namespace) -> int:
    """Take a training back from the command line, and tell the gates."""
    member, training = _both(args)
    changed = revoke_all(member, training, actor=audit.cli_actor(args.actor), reason=args.reason)
    return _say(f"{member} has {training} no more", changed[-1])


def give(
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
    """Grant a training; return it, and the change with the rosters that carry it; None: it was granted already.

    An account as `actor` keeps to what it may grant (people/trainers.py); a name acts as the site itself. Raises UsageError, and
    Lowers where the member holds more and `lowers` does not say that less is meant.
    """
    trainer = _checked([member], training, stage, actor, since, until, trainer)
    with transaction.atomic(), pulse.deferred():
        said = _said_of([member], training, since)[member.pk]
        if held := _suspension(said, since) if stage != Grant.SUSPENDED else None:
            text = _("%(member)s is suspended from %(training)s since %(day)s; take the suspension back first")
            raise UsageError(text % {"member": member, "training": training, "day": held.since})
        same = [grant for grant in said if grant.since == since and grant.revoked_on is None]
        if same and (same[-1].stage, same[-1].until) == (stage, until):
            return same[-1], None
        grant = Grant(member=member, training=training, stage=stage, since=since, until=until, trainer=trainer)
        lowered = effect(said, grant, blocks.today()).lowered
        if lowered is not None and stage != Grant.SUSPENDED and not lowers:
            raise Lowers(lowered, stage)
        return grant, _write([grant], actor)[0]


def give_all(
    members: Sequence[Member],
    training: Training,
    stage: str,
    *,
    actor: Account | str,
    since: date,
    until: date | None = None,
    trainer: str = "",
) -> list[Outcome]:
    """Grant a training to those of many whom it gives more; the rosters are built once.

    The others keep what they have, and their outcome says why: nothing that is said of many lowers one of them or lifts
    a suspension. To suspend many is meant for each of them. Raises UsageError, and then nothing was granted.
    """
    trainer = _checked(members, training, stage, actor, since, until, trainer)
    with transaction.atomic(), pulse.deferred():
        said, today = _said_of(members, training, since), blocks.today()
        kept: dict[str, str] = {}
        fresh = []
        for member in members:
            grant = Grant(member=member, training=training, stage=stage, since=since, until=until, trainer=trainer)
            if why := _kept(said[member.pk], grant, effect(said[member.pk], grant, today)):
                kept[member.pk] = why
            else:
                fresh.append(grant)
        written = dict(zip((grant.member_id for grant in fresh), _write(fresh, actor), strict=True))
    return [Outcome(one, written.get(one.pk), kept.get(one.pk, "")) for one in members]


def revoke(grant: Grant, *, actor: str, reason: str, on: date | None = None) -> Change:
    """Take one grant back, from today on or from a day; it stays written down. Raises UsageError."""
    on = on or blocks.today()
    if not reason.strip() or len(reason) > _MAX_TEXT:
        raise UsageError(
            _("reason: found %(found)d letters, wanted 1 to %(most)d that say why")
            % {"found": len(reason.strip()), "most": _MAX_TEXT}
        )
    with audit.change(actor, "grant.revoked", grant, reason=reason) as change:
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


def revoke_all(member: Member, training: Training, *, actor: Account | str, reason: str) -> list[Change]:
    """Take back every grant of a training that a member still has. Raises UsageError: not theirs, or there is none."""
    if isinstance(actor, Account):
        trainers.refuse_others(actor, training)
    held = list(Grant.objects.filter(member=member, training=training, revoked_on=None).order_by("since", "id"))
    if not held:
        raise UsageError(
            _("%(member)s does not have %(training)s; there is nothing to take back")
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
    """Return how the trainer is written down. Raises UsageError."""
    if isinstance(actor, Account):
        trainers.refuse(actor, training, stage, since, blocks.today())
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
    return trainers.named(trainer) if trainer else ""


def _said_of(members: Sequence[Member], training: Training, since: date) -> dict[str, list[Grant]]:
    """Return what was said of members and a training that counts on a day or later, while no other request changes it.

    Of a form that is sent twice the second request waits here, and then finds what the first one wrote.
    """
    list(Member.objects.select_for_update(no_key=True).filter(pk__in=[one.pk for one in members]).order_by("pk"))
    found: dict[str, list[Grant]] = defaultdict(list)
    said = Grant.not_taken_back(since).filter(member__in=members, training=training)
    for grant in said.select_related("member", "training"):
        found[grant.member_id].append(grant)
    return found


def _suspension(said: Sequence[Grant], since: date) -> Grant | None:
    """Return the suspension that holds on the first day of a grant, or today (docs/decisions/0044)."""
    days = {since, max(since, blocks.today())}
    suspended = (grant for grant in said if grant.stage == Grant.SUSPENDED)
    return next((grant for grant in suspended if any(map(grant.holds_on, days))), None)


def _kept(said: Sequence[Grant], fresh: Grant, found: Effect) -> str:
    """Return why one of many keeps what they have: one of KEPT; empty: they are granted `fresh`."""
    if fresh.stage == Grant.SUSPENDED:
        return "" if found.lowered is not None else AS_MUCH
    if _suspension(said, fresh.since) is not None:
        return SUSPENDED
    if found.lowered is not None:
        return MORE
    return "" if found.gains else AS_MUCH


def _write(grants: Sequence[Grant], actor: Account | str) -> list[Change]:
    """Store grants, each with a change of its own; the last one carries the rosters."""
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
