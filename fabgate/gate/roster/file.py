"""Reads the roster file of a gate without a collector: YAML, JSON or CSV, kept by a person.

Members are listed with plain UIDs in any spelling (see fabgate.badge). All mistakes are reported at once, by line, and a
file with a mistake is not used at all. A person with ``reasons`` is known and refused.

.. code-block:: yaml

    machine: {limit_s: 7200}          # optional; overrides gate.yaml
    members:
      - {id: m-1, name: Ada, badges: [04:A1:B2:C3], windows: [1-5 08:00-22:00]}
      - {id: m-2, name: Mo, badges: ["04:A1:B2:C4"], reasons: [suspended]}

A CSV file has the same names as columns. Several badges or windows in one cell are separated by ';', or by ',' where that
cannot be one badge (``123,45678`` is a Wiegand badge); columns by ',' or by ';', as spreadsheets do in half of Europe.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from fabgate import badge, days, wire
from fabgate.errors import UsageError
from fabgate.gate.roster.file_formats import (
    ABSENT,
    KEYS,
    Mistakes,
    Parsed,
    WrittenPerson,
    masked,
    parse,
    shown,
    text_of,
    with_lines,
)
from fabgate.gate.roster.lazy_roster import PackedList
from fabgate.gate.roster.people import member
from fabgate.yaml_reading.yaml_file import near, wanted

_LISTS: Final = ("badges", "windows", "reasons")
_WIEGAND: Final = re.compile(r"(?:(?:w26:)?\s*\d{1,3}|w34:\s*\d{1,5})\s*,\s*\d{1,5}", re.IGNORECASE)
_WINDOW: Final = re.compile(r"([1-7](?:\s*[-,]\s*[1-7])*)\s+(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)")
_KEYS: Final = KEYS
#: The keys of a file besides ``members``.
_OTHER_KEYS: Final = ("machine", "tz")
_MACHINE: Final = {field.encode_name: field.type for field in msgspec.structs.fields(wire.MachineRules)}

#: What is not a regular file: reading it would block for ever, or return nothing.
_KINDS: Final = ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISDIR, "a directory"), (stat.S_ISSOCK, "a socket"))


def read(path: Path, *, key: bytes, topics: wire.GateTopics, fallback: wire.MachineRules) -> wire.Roster:
    """Read a roster file; badges become digests under `key`, the version is the file's time. Raises UsageError.

    Its members and barred people support iteration but no indexing, like those of ``lazy_roster.decode``.
    """
    roster, mistakes = read_with_mistakes(path, key=key, topics=topics, fallback=fallback)
    if mistakes.found:
        raise UsageError(mistakes.text())
    return roster


def read_with_mistakes(
    path: Path, *, key: bytes, topics: wire.GateTopics, fallback: wire.MachineRules
) -> tuple[wire.Roster, Mistakes]:
    """Return the valid part of a roster file, and its mistakes. Raises UsageError for a file that cannot be read."""
    version = _version(path)
    mistakes = Mistakes(path)
    text = text_of(path)
    parsed = parse(path, text, mistakes)
    before = list(mistakes.found)
    roster = _roster(parsed, version, mistakes, key=key, topics=topics, fallback=fallback)
    if mistakes.found and not parsed.has_lines:
        mistakes.found = before
        lined = with_lines(path, text, parsed, mistakes)
        roster = _roster(lined, version, mistakes, key=key, topics=topics, fallback=fallback)
    return roster, mistakes


def _roster(
    parsed: Parsed,
    version: int,
    mistakes: Mistakes,
    *,
    key: bytes,
    topics: wire.GateTopics,
    fallback: wire.MachineRules,
) -> wire.Roster:
    had_mistakes = bool(mistakes.found)
    for name in parsed.rest:
        if name not in _OTHER_KEYS:
            mistakes.at(str(name), f"found an unknown key, wanted {near(str(name), ('members', *_OTHER_KEYS))}")
    machine = _machine(parsed.rest.get("machine"), fallback, mistakes)
    tz = _zone(parsed.rest.get("tz", "UTC"), mistakes)
    members, barred = _people(parsed.people, key, mistakes)
    if not parsed.people and not had_mistakes:
        mistakes.add(None, "found no member, wanted at least one; an empty roster would lock everybody out")
    frame = wire.Roster(
        version=version, site=topics.site, gate=topics.gate, tz=tz, machine=machine, badge_key_mark=badge.key_mark(key)
    )
    lists: dict[str, Any] = {"members": members, "refusals": barred}
    return msgspec.structs.replace(frame, **lists)


def _version(path: Path) -> int:
    """Return the modification time in milliseconds. Raises UsageError for another kind of file: a pipe would block."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "a device")
        raise UsageError(f"{path}: found {kind}, wanted a regular file; write the members to one")
    return status.st_mtime_ns // 1_000_000


# --- people -----------------------------------------------------------------------------------------------------------


def _people(
    people: list[WrittenPerson], key: bytes, mistakes: Mistakes
) -> tuple[PackedList[wire.Member], PackedList[wire.Barred]]:
    members, barred = PackedList(wire.Member), PackedList(wire.Barred)
    ids: dict[str, str] = {}
    holders: dict[str, str] = {}
    for number, (line, raw) in enumerate(people, 1):
        before = len(mistakes.found)
        who = f"member {number}"

        def wrong(text: str, line: int | None = line, who: str = who) -> None:
            mistakes.add(line, f"{who}: {text}")

        person, reasons = _person(raw, wrong)
        place = f"{who}{f' in line {line}' if line else ''}"
        if person.id in ids:
            wrong(f"id: found {person.id!r} again, wanted it once; {ids[person.id]} has it")
        ids.setdefault(person.id, place)
        digests = list(_digests(person, key, holders, place, wrong))
        if len(mistakes.found) > before:
            continue
        try:
            if reasons:
                barred.append(wire.Barred(badges=digests, reasons=reasons, id=person.id, lang=person.lang))
            else:
                members.append(msgspec.structs.replace(person, badges=digests))
        except UnicodeEncodeError:
            wrong("found half a character (a lone surrogate), wanted text; export the file again, as UTF-8")
    return members, barred


def _person(raw: Any, wrong: Callable[[str], None]) -> tuple[wire.Member, list[str]]:
    """Return the valid fields of a person, and why they are refused; every mistake goes to `wrong`."""
    if not isinstance(raw, dict):
        found_text = "a word" if isinstance(raw, str) and raw else shown(raw)  # the word may be a badge
        wrong(f"found {found_text}, wanted keys and values, at least id and badges")
        return wire.Member(id="", badges=[]), []
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in _KEYS:
            wrong(f"{str(key)[:60]}: found an unknown key, wanted {near(str(key), _KEYS)}")
        elif value not in ABSENT:
            try:
                listed = _listed(key, value) if key in _LISTS else value
                values[key] = msgspec.convert(listed, _KEYS[key], strict=False)
            except (msgspec.ValidationError, RecursionError):
                found_text = "something else" if key == "badges" else shown(_culprit(key, value))
                wrong(f"{key}: found {found_text}, wanted {_wanted(key)}")
    for key in ("id", "badges"):
        if raw.get(key) in ABSENT:
            wrong(f"{key}: found nothing, wanted {_wanted(key)}")
    reasons = values.pop("reasons", [])
    _read_last_day(values, wrong)
    person = wire.Member(**{"id": "", "badges": [], **values})
    try:
        member(person if person.id else msgspec.structs.replace(person, id="?"))
    except UsageError as error:
        wrong(str(error).partition(": ")[2])
    return person, reasons


def _read_last_day(values: dict[str, Any], wrong: Callable[[str], None]) -> None:
    """Read `valid_until`. A day that was probably mistyped would lock the person out: report it and leave it out.

    ``member`` reports what is no day.
    """
    text = values.get("valid_until")
    with suppress(ValueError):
        try:
            if text is not None:
                values["valid_until"] = days.read(text).isoformat()
        except days.UnlikelyDay as error:
            del values["valid_until"]
            wrong(f"valid_until: found {text!r}, {error}")


def _listed(key: str, value: Any) -> Any:
    """Return the items of a list that is written as text; windows written as text are parsed."""
    if isinstance(value, str):
        value = [part for piece in value.split(";") for part in _parts(key, piece)]
    if key == "windows" and isinstance(value, list):
        return [_window(part) if isinstance(part, str) else part for part in value]
    return value


def _culprit(key: str, value: Any) -> Any:
    """Return the wrong part of a value, if it is known: of several windows the first wrong one."""
    listed = _listed(key, value) if key == "windows" else None
    texts = [part for part in listed if isinstance(part, str)] if isinstance(listed, list) else []
    return texts[0] if texts else value


def _parts(key: str, piece: str) -> list[str]:
    if key == "badges" and _WIEGAND.fullmatch(piece.strip()):
        return [piece.strip()]
    separated = [piece] if key == "windows" else piece.split(",")
    return [part.strip() for part in separated if part.strip()]


def _window(text: str) -> Any:
    """Return the window that is written as ``1-5 08:00-22:00``. Other text comes back unchanged, and has a wrong type."""
    match = _WINDOW.fullmatch(text.strip())
    if not match:
        return text
    weekdays: list[int] = []
    for part in match[1].split(","):
        first, _, last = part.partition("-")
        weekdays.extend(range(int(first), int(last or first) + 1))
    return {"days": weekdays, "from": match[2].zfill(5), "to": match[3].zfill(5)}


def _digests(
    person: wire.Member, key: bytes, holders: dict[str, str], place: str, wrong: Callable[[str], None]
) -> Iterator[str]:
    for spelling in person.badges:
        try:
            digest = badge.digest(badge.parse(spelling), key)
        except badge.RandomUidError:
            wrong("badges: found a random UID, wanted a card; a phone makes up a new number each time it is read")
            continue
        except UsageError as error:
            wrong(f"badges: {masked(str(error), spelling)}")
            continue
        if digest in holders:
            wrong(f"badges: found {masked(spelling, spelling)}, wanted another card; {holders[digest]} has that one")
        holders.setdefault(digest, place)
        yield digest


# --- the rest of the file ---------------------------------------------------------------------------------------------


def _machine(raw: Any, fallback: wire.MachineRules, mistakes: Mistakes) -> wire.MachineRules:
    if raw in ABSENT:
        return fallback
    if not isinstance(raw, dict):
        mistakes.at("machine", f"found {shown(raw)}, wanted keys and values such as limit_s: 7200")
        return fallback
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in _MACHINE:
            mistakes.at(f"machine.{key}", f"found an unknown key, wanted {near(str(key), _MACHINE)}")
            continue
        if key == "observe_until" and value not in ABSENT:
            values[key] = _moment(value, mistakes)
            continue
        try:
            values[key] = msgspec.convert(None if value in ABSENT else value, _MACHINE[key], strict=False)
        except (msgspec.ValidationError, RecursionError):
            mistakes.at(f"machine.{key}", f"found {shown(value)}, wanted {wanted(_MACHINE[key])}")
    if "limit_s" in values and "max_s" not in values:
        values["max_s"] = max(values["limit_s"], fallback.max_s)
    rules = msgspec.structs.replace(fallback, **values)
    for mistake in wire.machine_mistakes(rules):
        name, _, text = mistake.partition(": ")
        mistakes.at(f"machine.{name}", text)
    return rules


def _moment(value: Any, mistakes: Mistakes) -> datetime | None:
    """Return until when the machine is open to all, or None after reporting a mistake."""
    try:
        return days.read_moment(str(value))
    except days.UnlikelyDay as error:
        text = str(error)
    except ValueError:
        text = "wanted a moment such as 2027-03-01 or 2027-03-01T18:00"
    mistakes.at("machine.observe_until", f"found {shown(value)}, {text}")
    return None


def _zone(name: Any, mistakes: Mistakes) -> str:
    try:
        return ZoneInfo(name).key
    except (KeyError, TypeError, ValueError, OSError, AttributeError):
        mistakes.at("tz", f"found {shown(name)}, wanted a time zone such as Europe/Paris")
        return "UTC"


# --- texts of mistakes ------------------------------------------------------------------------------------------------


def _wanted(key: str) -> str:
    special = {
        "badges": "a list of badges, each as text",
        "windows": "windows such as '1-5 08:00-22:00' (days 1, Monday, to 7)",
        "reasons": "a list of reasons",
        "lang": f"{wanted(_KEYS['lang'])}, the languages of displays",
    }
    return special.get(key) or wanted(_KEYS[key])
