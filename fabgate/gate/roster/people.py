"""Converts a roster's members, barred people, hours and machine rules into the rules' own types."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.rules import vocabulary

_MINUTES_OF_DAY = 24 * 60
#: `date.fromisoformat` reads 20270301 and 2027-W09-1 too.
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def member(found: wire.Member) -> vocabulary.Member:
    """Return the rules' member. Raises UsageError naming every invalid level, date, window and number."""
    wrong: list[str] = []
    made = vocabulary.Member(
        id=found.id,
        name=found.name,
        lang=found.lang,
        level=_word(vocabulary.Level, found.level, "level", wrong),
        grant=found.grant,
        valid_until=None if found.valid_until is None else _date(found.valid_until, wrong),
        grace_days=_whole(found.grace_days, "grace_days", "days", wrong),
        windows=tuple(_window(window, wrong) for window in found.windows),
        limit_ms=None if found.limit_s is None else _ms(found.limit_s, "limit_s", wrong, least=1),
        supervised=found.supervised,
        until_reason=found.until_reason or "expired",
    )
    if not found.id or found.id.startswith("emergency:"):
        wrong.append(f"id: found {found.id!r}, wanted text that does not start with 'emergency:'")
    if wrong:
        raise UsageError(f"member {found.id}: {'; '.join(wrong)}")
    return made


def barred(found: wire.Barred, hours: tuple[vocabulary.Window, ...] = ()) -> vocabulary.Barred:
    """Return the rules' form of a badge that is known and refused. `hours` are the machine's opening hours.

    The hours do not apply to a badge without a person, such as a lost one.
    """
    windows = () if found.id is None or found.at_all_hours else hours
    return vocabulary.Barred(
        reasons=tuple(found.reasons) or ("no-access",), id=found.id, lang=found.lang, windows=windows
    )


def hours(found: list[wire.Window]) -> tuple[vocabulary.Window, ...]:
    """Return a machine's hours. Raises UsageError naming every invalid time and weekday."""
    wrong: list[str] = []
    made = tuple(_window(window, wrong) for window in found)
    if wrong:
        raise UsageError(f"hours: {'; '.join(wrong)}")
    return made


def machine_rules(found: wire.MachineRules) -> vocabulary.MachineRules:
    """Return the rules of the machine. Raises UsageError naming each invalid value."""
    wrong = wire.machine_mistakes(found)
    if wrong:
        raise UsageError("; ".join(f"machine.{mistake}" for mistake in wrong))
    lock = found.lock
    return vocabulary.MachineRules(
        mode=vocabulary.Mode(found.mode),
        limit_ms=found.limit_s * 1000,
        max_ms=found.max_s * 1000,
        idle_off_ms=None if found.idle_off_s is None else found.idle_off_s * 1000,
        warn_ms=found.warn_s * 1000,
        grace_ms=found.grace_s * 1000,
        finishes_jobs=found.finish == "wait",
        finish_max_ms=found.finish_max_s * 1000,
        run_on_ms=found.run_on_s * 1000,
        warm_up_ms=found.warm_up_s * 1000,
        handover=found.handover,
        supervision=vocabulary.Supervision(found.supervisor),
        sponsor=found.sponsor,
        refuses_when_stale=found.on_stale == "deny",
        observe_until=found.observe_until,
        lock=None if lock is None else vocabulary.Lock(lock.id, lock.when == "now", lock.reason, lock.back),
    )


def holder(blob: bytes, hours: tuple[vocabulary.Window, ...] = ()) -> vocabulary.Holder:
    """Return the holder in a row of the stored roster; `hours` are the machine's."""
    person = _PERSON_DECODER.decode(blob)
    return (
        member(person.member)
        if person.member is not None
        else barred(person.barred or wire.Barred(badges=[], reasons=[]), hours)
    )


def stored_member(blob: bytes) -> wire.Member | None:
    """Return the member in a row of the stored roster, without badges; None for a person who is barred."""
    return _PERSON_DECODER.decode(blob).member


class StoredPerson(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of the stored roster: a member, or a person who is barred."""

    member: wire.Member | None = None
    barred: wire.Barred | None = msgspec.field(name="refusal", default=None)


_PERSON_DECODER = msgspec.json.Decoder(StoredPerson)


W = TypeVar("W", bound=StrEnum)


# Each of these adds a mistake to `wrong` and returns a replacement, so that all mistakes of a person are reported at once.


def _word(kind: type[W], text: str, key: str, wrong: list[str]) -> W:
    try:
        return kind(text)
    except ValueError:
        *others, last = kind
        wrong.append(f"{key}: found {text!r}, wanted {', '.join(others)} or {last}")
        return last


def _whole(number: int, key: str, unit: str, wrong: list[str], least: int = 0) -> int:
    if not least <= number <= wire.MAX_SECONDS:
        limit = f"{least} or more" if number < least else f"at most {wire.MAX_SECONDS}"
        wrong.append(f"{key}: found {number}, wanted {limit} {unit}")
    return number


def _ms(seconds: int, key: str, wrong: list[str], least: int = 0) -> int:
    return _whole(seconds, key, "seconds", wrong, least) * 1000


def _date(text: str, wrong: list[str]) -> date | None:
    with suppress(ValueError):
        if _DATE.fullmatch(text) is not None:
            return date.fromisoformat(text)
    wrong.append(f"valid_until: found {text!r}, wanted a date such as 2027-03-01")
    return None


def _window(window: wire.Window, wrong: list[str]) -> vocabulary.Window:
    days = frozenset(window.days)
    if not days or not days <= frozenset(range(1, 8)):
        wrong.append(f"windows: found the days {window.days}, wanted ISO weekdays, 1 (Monday) to 7")
    return vocabulary.Window(days, _minute(window.start, wrong), _minute(window.to, wrong))


def _minute(text: str, wrong: list[str]) -> int:
    hours, colon, minutes = text.partition(":")
    if colon and text.isascii() and hours.isdecimal() and minutes.isdecimal() and len(minutes) == len("00"):
        found = int(hours[:3]) * 60 + int(minutes)
        if int(minutes) < 60 and found <= _MINUTES_OF_DAY:
            return found
    wrong.append(f"windows: found the time {text!r}, wanted HH:MM")
    return 0
