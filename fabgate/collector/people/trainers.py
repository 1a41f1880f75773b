"""Who may grant which training, how far back and up to which stage, and who is meant by a trainer's name?

The rules are docs/decisions/0062. They hold for accounts; a verb on the command line acts as the site itself.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from fabgate.collector.base.search_key import folded
from fabgate.collector.models import Account, Grant, Member, Training
from fabgate.collector.people import names
from fabgate.errors import UsageError

#: How far back a trainer dates a grant.
MONTH: Final = timedelta(days=31)
#: Members of one name that a message lists.
_NAMED: Final = 6


def trained_by(account: Account) -> QuerySet[Training]:
    """Return the trainings that an account may grant: a manager each, a trainer theirs and those that name no trainer."""
    if account.role == Account.MANAGER:
        return Training.objects.all()
    if account.role != Account.TRAINER:
        return Training.objects.none()
    theirs = Training.trainers.through.objects.filter(account=account).values("training")
    return Training.objects.filter(Q(trainers=None) | Q(pk__in=theirs)).distinct()


def refuse_others(account: Account, training: Training) -> None:
    """Raise UsageError where an account may neither grant a training nor take it back."""
    if not trained_by(account).filter(pk=training.pk).exists():
        text = _("%(training)s: Only its trainers and managers grant it and take it back.")
        raise UsageError(text % {"training": training})


def stages_of(account: Account) -> list[str]:
    """Return the stages that an account may grant: only managers make instructors."""
    is_manager = account.role == Account.MANAGER
    return [stage for stage in Grant.STAGES if is_manager or stage != Grant.INSTRUCTOR]


def earliest(account: Account, today: date) -> date:
    """Return the first day from which an account may grant something."""
    return date.min if account.role == Account.MANAGER else today - MONTH


def refuse(account: Account, training: Training, stage: str, since: date, today: date) -> None:
    """Raise UsageError where an account may not grant this stage of a training from this day on."""
    refuse_others(account, training)
    if stage in Grant.STAGES and stage not in stages_of(account):
        raise UsageError(only_managers())
    if since < earliest(account, today):
        raise UsageError(too_far_back())


def only_managers() -> str:
    """Return that a stage is not a trainer's to give."""
    return _("Only a manager makes instructors. Choose another stage.")


def too_far_back() -> str:
    """Return that a day is not a trainer's to choose."""
    return _("Only a manager dates a grant more than a month back. Choose a later day.")


def named(typed: str) -> str:
    """Return how the trainer who is meant is written down: an account as others read it, a member with their number.

    Meant is an account by either of its names, or a member by number, name, or both as pages show them; accents and
    capitals may be missing. Raises UsageError where that is none of them, or several members.
    """
    typed = names.line(typed)
    wanted = folded(typed)
    account = Account.objects.filter(name=Account.as_name(typed)).first()
    others = Account.objects.exclude(display_name="").order_by("name")
    account = account or next((one for one in others if folded(one.display_name) == wanted), None)
    if account is not None:
        return str(account)
    behind = typed.rpartition("(")[2].removesuffix(")")
    for member in Member.objects.filter(pk__in={typed, behind}):
        if typed == member.pk or wanted == folded(_written(member)):
            return _written(member)
    found = [_written(one) for one in Member.objects.filter(folded=wanted).order_by("pk")] if wanted else []
    if len(found) == 1:
        return found[0]
    if found:
        more = " …" if len(found) > _NAMED else ""
        raise UsageError(
            _("Several people match: %(some)s%(more)s.") % {"some": ", ".join(found[:_NAMED]), "more": more}
        )
    text = _("Neither a member nor an account is called “%(typed)s”. Write a trainer's number or name.")
    raise UsageError(text % {"typed": names.shown(typed[:64])})


def _written(member: Member) -> str:
    return f"{member.name} ({member.pk})" if member.name else member.pk
