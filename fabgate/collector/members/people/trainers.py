"""Decides who may grant which training, how far back and up to which stage, and finds trainers by name.

The rules are in docs/decisions/0062. They apply to accounts. The command line may do everything.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.models import Account, Grant, Member, Training
from fabgate.collector.members.people import names
from fabgate.errors import UsageError

#: How far back a trainer may date a grant.
MONTH: Final = timedelta(days=31)
#: How many members with the same name an error lists.
_NAMED: Final = 6
#: The most characters of a trainer's name that the database stores.
_LONGEST: Final = 200


def trained_by(account: Account) -> QuerySet[Training]:
    """Return the trainings that an account may grant: all for managers, their own or open ones for trainers."""
    if account.role == Account.MANAGER:
        return Training.objects.all()
    if account.role != Account.TRAINER:
        return Training.objects.none()
    theirs = Training.trainers.through.objects.filter(account=account).values("training")
    return Training.objects.filter(Q(trainers=None) | Q(pk__in=theirs)).distinct()


def refuse_training(account: Account, training: Training) -> None:
    """Raise UsageError if an account may not grant and revoke a training."""
    if not trained_by(account).filter(pk=training.pk).exists():
        text = _("%(training)s: only managers and the trainers of this training can grant and revoke it.")
        raise UsageError(text % {"training": training})


def stages_of(account: Account) -> list[str]:
    """Return the stages that an account may grant; only managers may grant `instructor`."""
    is_manager = account.role == Account.MANAGER
    return [stage for stage in Grant.STAGES if is_manager or stage != Grant.INSTRUCTOR]


def earliest_day(account: Account, today: date) -> date:
    """Return the earliest first day that an account may choose for a grant."""
    return date.min if account.role == Account.MANAGER else today - MONTH


def refuse(account: Account, training: Training, stage: str, since: date, today: date) -> None:
    """Raise UsageError if an account may not grant this stage of a training from this day on."""
    refuse_training(account, training)
    if stage in Grant.STAGES and stage not in stages_of(account):
        raise UsageError(only_managers())
    if since < earliest_day(account, today):
        raise UsageError(too_far_back())


def only_managers() -> str:
    """Return the error for a stage that a trainer may not grant."""
    return _("Only a manager can make someone an instructor. Choose another stage.")


def too_far_back() -> str:
    """Return the error for a day that a trainer may not choose."""
    return _("Only a manager can choose a day more than a month ago. Choose a later day.")


def stored_name(typed: str) -> str:
    """Return the trainer's name as it is stored: an account's display name, or a member's name and id.

    Finds an account by username or display name, or a member by id, name, or both as pages show them, regardless of
    accents and capitals. Raises UsageError if there is none, if several members have that name, and for text that is no
    name.
    """
    typed = names.line(typed)
    if len(typed) > _LONGEST:
        text = _("found %(found)d characters, wanted at most %(most)d")
        raise UsageError(text % {"found": len(typed), "most": _LONGEST})
    if sign := names.unseen(typed):
        text = _("found %(sign)s, wanted a name of visible characters; type the name instead of copying it")
        raise UsageError(text % {"sign": sign})
    wanted = folded(typed)
    account = Account.objects.filter(name=Account.as_name(typed)).first()
    others = Account.objects.exclude(display_name="").order_by("name")
    account = account or next((one for one in others if folded(one.display_name) == wanted), None)
    if account is not None:
        return str(account)
    number = typed.rpartition("(")[2].removesuffix(")")
    for member in Member.objects.filter(pk__in={typed, number}):
        if typed == member.pk or wanted == folded(_written(member)):
            return _written(member)
    matches = [_written(one) for one in Member.objects.filter(folded=wanted).order_by("pk")] if wanted else []
    if len(matches) == 1:
        return matches[0]
    if matches:
        more = " …" if len(matches) > _NAMED else ""
        raise UsageError(
            _("Several people match: %(some)s%(more)s.") % {"some": ", ".join(matches[:_NAMED]), "more": more}
        )
    text = _("There is no member and no account called “%(typed)s”. Enter a trainer's number or name.")
    raise UsageError(text % {"typed": names.shown(typed[:64])})


def _written(member: Member) -> str:
    return f"{member.name} ({member.pk})" if member.name else member.pk
