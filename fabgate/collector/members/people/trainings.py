"""Grants and revokes trainings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from django.db import transaction
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit, member_lock, pulse, statements
from fabgate.collector.ground.models import Account, Change, Grant, Member, Training
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import blocks, trainers
from fabgate.collector.members.people.grant_effects import effect
from fabgate.errors import UsageError

_MAX_TEXT = 200


class Lowers(UsageError):  # noqa: N818 (it names what happened)
    """A grant would lower a member's stage, and the caller did not say that this is intended."""

    def __init__(self, held: Grant, stage: str) -> None:
        self.held = held
        text = _(
            "%(member)s already has %(training)s at the stage '%(held)s' from %(since)s; '%(stage)s' would be lower"
        )
        named = {"member": held.member, "training": held.training, "held": held.stage}
        super().__init__(text % {**named, "since": held.since, "stage": stage})


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
    """Grant a training; return the grant, and its change with the new rosters, or None if it was granted already.

    If `actor` is an account, its rights apply (members/people/trainers.py); a name may grant everything. Raises
    UsageError, and Lowers if the member has a higher stage and `lowers` is False.
    """
    trainer = checked_trainer([member], training, stage, actor, since, until, trainer)
    with transaction.atomic(), pulse.deferred():
        member_lock.take([member])
        grants = grants_held([member.pk], [training], since)[member.pk, training.pk]
        if held := suspension(grants, since) if stage != Grant.SUSPENDED else None:
            text = _("%(member)s has been suspended from %(training)s since %(day)s; revoke the suspension first")
            raise UsageError(text % {"member": member, "training": training, "day": held.since})
        same = [grant for grant in grants if grant.since == since and grant.revoked_on is None]
        if same and (same[-1].stage, same[-1].until) == (stage, until):
            return same[-1], None
        grant = Grant(member=member, training=training, stage=stage, since=since, until=until, trainer=trainer)
        lowered = effect(grants, grant, blocks.today()).lowered
        if lowered is not None and stage != Grant.SUSPENDED and not lowers:
            raise Lowers(lowered, stage)
        return grant, store([grant], actor)[0]


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
                _("the training was already revoked, on %(day)s by %(who)s")
                % {"day": held.revoked_on, "who": held.revoked_by}
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
            _("%(member)s does not have the training %(training)s; there is nothing to revoke")
            % {"member": member, "training": training}
        )
    return [revoke(grant, actor=_called(actor), reason=reason) for grant in held]


def checked_trainer(
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
    stored = ""
    try:
        stored = trainers.stored_name(trainer) if trainer else ""
    except UsageError as error:
        mistakes.append(_("trainer: %(problem)s") % {"problem": error})
    mistakes += [
        _("%(member)s left on %(day)s; readmit them first") % {"member": member, "day": member.left_on}
        for member in members
        if member.left_on is not None and member.left_on <= since
    ]
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return stored


def grants_held(
    members: Collection[str], trainings: Sequence[Training], since: date
) -> dict[tuple[str, int], list[Grant]]:
    """Return the grants that members have on `since` or later, ordered by `since`, by ids of member and training."""
    found: dict[tuple[str, int], list[Grant]] = defaultdict(list)
    held = Grant.not_revoked(since).filter(training__in=trainings).select_related("member", "training")
    for ids in statements.chunks(sorted(members)):
        for grant in held.filter(member__in=ids):
            found[grant.member_id, grant.training_id].append(grant)
    return found


def without_prerequisites(grants: Sequence[Grant]) -> list[tuple[Grant, list[Training]]]:
    """Return which of these grants give no access yet, each with the trainings that it requires and the member lacks.

    They count for each other. It is decided for the first day of each, or today if that is later.
    """
    known, today = Training.objects.in_bulk(), blocks.today()
    required = {grant.training_id: _required(grant.training, known) for grant in grants}
    trainings = list({one.pk: one for before in required.values() for one in before}.values())
    if not trainings:
        return []
    held = grants_held({grant.member_id for grant in grants}, trainings, today)
    for grant in grants:
        if grant.pk is None:
            held[grant.member_id, grant.training_id].append(grant)
    found = []
    for grant in grants:
        day = max(grant.since, today)
        missing = []
        for one in required[grant.training_id]:
            own = Grant.applicable(sorted(held[grant.member_id, one.pk], key=lambda row: row.since), day)
            if own is None or own.stage == Grant.SUSPENDED:
                missing.append(one)
        if missing and grant.stage != Grant.SUSPENDED:
            found.append((grant, missing))
    return found


def without_access(*, member: Member | None = None, training: Training | None = None) -> set[Grant]:
    """Return the valid and coming grants that give no access, because a required training is missing.

    They are those of a member, or those of a training and of all that require it.
    """
    today = blocks.today()
    wanted = Grant.not_revoked(today).exclude(stage=Grant.SUSPENDED).select_related("member", "training")
    if member is not None:
        wanted = wanted.filter(member=member)
    if training is not None:
        known = Training.objects.in_bulk()
        wanted = wanted.filter(
            member__left_on=None,
            training__in=[one for one in known.values() if one == training or training in _required(one, known)],
        )
    held = [grant for grant in wanted if grant.holds_on(max(grant.since, today))]
    return {grant for grant, _missing in without_prerequisites(held)}


def _required(training: Training, known: Mapping[int, Training]) -> list[Training]:
    """Return the trainings that a training requires, directly or indirectly, the first one to learn first."""
    found, at = [training], training.prerequisite_id
    while at is not None and known[at] not in found:
        found.insert(0, known[at])
        at = known[at].prerequisite_id
    return found[:-1]


def suspension(grants: Sequence[Grant], since: date) -> Grant | None:
    """Return the suspension that is valid on the first day of a grant, or today (docs/decisions/0044)."""
    days = {since, max(since, blocks.today())}
    suspended = (grant for grant in grants if grant.stage == Grant.SUSPENDED)
    return next((grant for grant in suspended if any(map(grant.holds_on, days))), None)


def store(grants: Sequence[Grant], actor: Account | str) -> list[Change]:
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
