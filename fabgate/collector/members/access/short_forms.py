"""Which shorter forms of badges do gates accept? Those that the workshop names, and that belong to one person only.

Readers that shorten numbers know a badge by a part of it (fabgate/badge/short_forms.py). Every badge whose number is known
gets the forms that the workshop names. A form that two holders' badges have belongs to neither: gates refuse it, because
the reader cannot tell the two apart. That also holds while one of the badges is lost, or was never returned: whoever has
it could still tap it (docs/decisions/0112).

Everything follows from the assignments by ``derive``, each time rosters are built. The table of forms is a copy for pages
and for what gates report later; ``keep`` brings it up to date, and logs which forms gates refuse from then on, or accept
again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from django.conf import settings

from fabgate import badge, wire
from fabgate.badge.short_forms import SHORT_FORMS, short_digests
from fabgate.collector.ground.db import audit, bulk
from fabgate.collector.ground.models import Badge, BadgeForm

#: The reason with which gates refuse a form that several people's badges have.
BADGE_SHARED: Final = "badge-shared"
REFUSED, ACCEPTED = "badge.form-refused", "badge.form-accepted"


class Known(NamedTuple):
    """A badge that somebody has, or had and did not return, by its last assignment; `spelling` may be unknown."""

    pk: int
    spelling: str
    digest: str
    holder: str
    lang: str = "en"
    until: datetime | None = None
    is_carried: bool = True
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class FormOfBadge:
    """A form of a badge, as pages show it: its name ("" for an enrolled badge that is itself such a form) and state."""

    badge: int
    form: str
    digest: str
    state: str


@dataclass(frozen=True, slots=True)
class Derived:
    """All short forms. By the digest of an enrolled badge: the forms that gates accept as this badge."""

    accepted: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: The digests that gates refuse because several people's badges have them.
    shared: frozenset[str] = frozenset()
    #: Those of lost badges only, with the language of their last holder.
    lost: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[FormOfBadge] = ()
    #: The ids of the assignments of badges that somebody has now.
    carried: frozenset[int] = frozenset()

    def add_to(self, hands: Mapping[str, dict[date | None, list[str]]]) -> None:
        """Add the forms to the badges that holders have, and take from them those that several have."""
        for by_last_day in hands.values():
            for last, digests in by_last_day.items():
                own = [one for one in digests if one not in self.shared]
                by_last_day[last] = [one for digest in own for one in (digest, *self.accepted.get(digest, ()))]

    def barred(self, lang: str, known: Iterable[str], lost_reason: str) -> list[wire.Barred]:
        """Return the badges that a roster refuses; it refuses those with the digests `known` already."""
        already = set(known)
        shared = [wire.Barred(badges=[one], reasons=[BADGE_SHARED], lang=lang) for one in sorted(self.shared - already)]
        lost = [
            wire.Barred(badges=[one], reasons=[lost_reason], lang=self.lost[one])
            for one in sorted(self.lost.keys() - already)
        ]
        return shared + lost


def derive(known: Iterable[Known], names: tuple[str, ...], key: bytes) -> Derived:
    """Return all short forms of badges. Each badge appears once in `known`; the result does not depend on their order."""
    everything = {one.digest: one for one in sorted(known)}
    makers: dict[str, list[Known]] = defaultdict(list)
    made: list[tuple[Known, str, str]] = []
    for one in everything.values():
        for name, digest in short_digests(one.spelling, names, key) if one.spelling else ():
            makers[digest].append(one)
            made.append((one, name, digest))
    accepted: dict[str, list[str]] = defaultdict(list)
    shared, lost, states = set(), {}, {}
    for digest, those in makers.items():
        own = everything.get(digest)
        claims = those if own is None else [*those, own]
        if all(one.is_lost for one in claims):
            lost[digest] = max(claims).lang
        elif not any(one.is_carried for one in claims):
            continue
        elif len({one.holder for one in claims}) > 1 or any(one.is_lost for one in claims):
            shared.add(digest)
        elif own is None or not own.is_carried:
            # Of two badges of one person, the form lasts as long as the one that is lent for longer, or not at all.
            longest = max((one for one in those if one.is_carried), key=lambda one: (_lasts(one), one.pk))
            accepted[longest.digest].append(digest)
    for digest in makers:
        states[digest] = BadgeForm.SHARED if digest in shared else BadgeForm.ACCEPTED
    rows = [
        FormOfBadge(one.pk, name, digest, states[digest] if one.is_carried else BadgeForm.OUT)
        for one, name, digest in made
    ]
    rows += [
        FormOfBadge(everything[digest].pk, "", digest, BadgeForm.SHARED)
        for digest in shared
        if digest in everything and everything[digest].is_carried
    ]
    carried = frozenset(one.pk for one in everything.values() if one.is_carried)
    return Derived(accepted, frozenset(shared), lost, rows, carried)


def derived(names: tuple[str, ...], key: bytes, now: datetime) -> Derived:
    """Return the short forms of all badges now."""
    return derive(_known(now), names, key) if names else Derived()


def _known(now: datetime) -> list[Known]:
    columns = "pk", "spelling", "digest", "member", "group", "member__lang", "until", "ended_at", "end_reason"
    last = {row[2]: row for row in Badge.objects.order_by("pk").values_list(*columns)}
    return [
        Known(
            pk,
            spelling,
            digest,
            member or f"{wire.GROUP_PREFIX}{group}",
            lang or settings.ENVIRONMENT.lang,
            until,
            is_carried=ended_at is None and (until is None or until > now),
            is_lost=end_reason == Badge.LOST,
        )
        for pk, spelling, digest, member, group, lang, until, ended_at, end_reason in last.values()
        if end_reason != Badge.RETURNED
    ]


def keep(found: Derived) -> None:
    """Bring the table of forms up to date, and log which forms gates refuse from now on, or accept again.

    Call it under the pulse lock, so that it sees every assignment.
    """
    columns = "badge", "form", "pk", "digest", "state"
    stored = {(badge_id, form): row for badge_id, form, *row in BadgeForm.objects.values_list(*columns)}
    if not stored and not found.rows:
        return
    wanted = {(row.badge, row.form): row for row in found.rows}
    changed, was_shared = [], set()
    for (badge_id, form), (pk, digest, state) in stored.items():
        row = wanted.get((badge_id, form)) or FormOfBadge(badge_id, form, digest, BadgeForm.OFF)
        if (digest, state) != (row.digest, row.state):
            changed.append(BadgeForm(pk=pk, badge_id=badge_id, form=form, digest=row.digest, state=row.state))
        if state == BadgeForm.SHARED:
            was_shared.add((badge_id, form))
    bulk.update(changed, ["digest", "state"])
    bulk.insert(
        [
            BadgeForm(badge_id=row.badge, form=row.form, digest=row.digest, state=row.state)
            for at, row in wanted.items()
            if at not in stored
        ]
    )
    is_shared = {at for at, row in wanted.items() if row.state == BadgeForm.SHARED}
    again = {
        (pk, form) for pk, form in was_shared - is_shared if pk in found.carried and (not form or (pk, form) in wanted)
    }
    _log(REFUSED, is_shared - was_shared)
    _log(ACCEPTED, again)


def _log(verb: str, of: Collection[tuple[int, str]]) -> None:
    """Log what happens to forms of badges, given as (badge's id, form)."""
    if not of:
        return
    spelled = dict(Badge.objects.filter(pk__in={pk for pk, _form in of}).values_list("pk", "spelling"))
    events: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (str(pk), {}, {"short_form": shown(spelled[pk], form)}) for pk, form in sorted(of)
    ]
    audit.record_many(audit.acting(), verb, Badge, events)


def shown(spelling: str, form: str) -> str:
    """Return what a reader gives for a badge, such as ``number8:11649747``; "" if its number is not known."""
    if not spelling or not form:
        return spelling
    return str(SHORT_FORMS[form].of(badge.parse(spelling)) or "")


def _lasts(one: Known) -> tuple[bool, datetime]:
    return one.until is None, one.until or datetime.min.replace(tzinfo=UTC)
