"""Judges the facts that only a collector has. Each function takes facts and returns a finding, and does nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from fabgate import installed
from fabgate.collector.ground.base import data_folder
from fabgate.doctor.finding import Finding, fail, not_checked, ok, warn
from fabgate.mqtt.rights import SMALLER_PACKETS, Rights

#: A copy is made every night: one night may be missed, and a week is too long.
COPY_MISSING: Final = timedelta(days=8)
#: So long before its end an authority should be replaced: each phone needs the new one, and some gates may be off.
NEW_AUTHORITY: Final = timedelta(days=365)
#: Governments change time zones a few times a year, and some announce it only a few weeks before.
ZONES_YEARS: Final = 2
RESTART_BROKER: Final = "journalctl -u fabgate-broker -n 30; systemctl restart fabgate-broker"
_RESTART: Final = "systemctl restart fabgate-collector.target"


def database(trouble: str, version: str, weak: Mapping[str, str]) -> Finding:
    """Judge whether the database answers; `weak` are the settings with which it may lose what it confirmed."""
    if trouble:
        return fail(
            "database",
            f"it does not answer: {trouble}",
            "set FABGATE_DATA or FABGATE_DATABASE_URL_FILE to its place, start PostgreSQL, or restore a copy",
        )
    if weak:
        shown = ", ".join(f"{name} = {value}" for name, value in weak.items())
        return fail(
            "database",
            f"{version} has {shown}: a power cut may lose entries that gates have deleted",
            "remove these lines from postgresql.conf; systemctl reload postgresql",
        )
    return ok("database", f"{version} answers")


def migrations(
    *, applied: Collection[str], missing: Sequence[str], newer: Sequence[str], is_before_release: bool
) -> Finding:
    """Judge whether the tables are those of this version."""
    if not applied:
        return fail("migrations", "the database has no tables of a collector", "fabgate-collector migrate")
    if is_before_release:
        return fail(
            "migrations",
            "the database is from before fabgate 0.1.0, and no migration brings it there",
            "keep it with the version that made it, and start a new collector in an empty FABGATE_DATA (docs/reference.md)",
        )
    if newer:
        return fail(
            "migrations",
            f"the database is of a newer version ({newer[-1]})",
            "install the version of fabgate that used it last, or a newer one; or go back to the copy from before the update:"
            " fabgate-collector rollback",
        )
    if missing:
        return fail(
            "migrations",
            f"{len(missing)} migrations are missing, from {missing[0]} on",
            installed.new_tables(_RESTART),
        )
    return ok("migrations", f"all {len(applied)} are applied")


def process(name: str, trouble: str) -> Finding:
    """Judge a process by its heartbeat, as /healthz does."""
    if trouble:
        return fail(name, trouble, f"journalctl -u fabgate-collector@{name} -n 30; {_RESTART}")
    return ok(name, "its heartbeat is fresh, and reports no problem")


def authority(where: str, ends: Sequence[datetime], lacking: Sequence[str], now: datetime) -> Finding:
    """Judge the authority of broker and pages.

    `ends` are those of the certificates in the file `where`, the one that signs first; `lacking` are the gates that do not
    know each of them.
    """
    if not ends:
        return fail("authority", f"{where} has no certificate", "sudo fabgate-collector setup")
    # Of two, the newer one ends later. If it is not the one that signs, it waits.
    is_waiting = max(ends) > ends[0]
    if is_waiting and lacking:
        return warn(
            "authority",
            f"a new authority waits, because these gates do not report it: {', '.join(lacking)}",
            "switch them on or update them; fabgate-collector gates; then sudo fabgate-collector authority-turn",
        )
    if is_waiting:
        todo = "sudo fabgate-collector authority-turn, once phones and computers have its certificate too"
        return warn("authority", "a new authority waits, and each gate knows it", todo)
    if ends[0] - now < NEW_AUTHORITY:
        text = f"it ends on {ends[0]:%Y-%m-%d}: no gate, phone or computer can connect from then on"
        return warn("authority", text, "make another one: sudo fabgate-collector authority-turn")
    return ok("authority", f"valid until {ends[0]:%Y-%m-%d}")


def gates(troubles: Sequence[str], known: int, silent: int) -> Finding:
    """Judge all gates together; that one is off is no problem, because machines are switched off at night."""
    if found := "; ".join(filter(None, troubles)):
        return warn("gates", found, "fabgate-collector gates; on the gate: sudo fabgate doctor")
    return ok("gates", f"{known} gate{'' if known == 1 else 's'} of machines in use, {silent} offline")


def books(trouble: str, ended: str | None) -> Finding:
    """Judge the last verification of the books."""
    if ended is None:
        return not_checked("books", "they were never verified", "the worker does it at night; fabgate-collector verify")
    if trouble:
        judged = fail if "altered" in trouble else warn
        return judged("books", trouble, "fabgate-collector verify names what it found (docs/verify.md)")
    return ok("books", f"nothing was altered, at the verification of {ended}")


def copies(newest: datetime | None, now: datetime, *, where: str, count: int) -> Finding:
    """Judge the age of the newest copy."""
    todo = "systemctl enable --now fabgate-collector-backup.timer; systemctl start fabgate-collector-backup.service"
    if newest is None:
        return fail("copies", f"there is no copy in {where}: a broken disk would lose everything", todo)
    age = now - newest
    text = f"{count} in {where}, the newest of {newest:%Y-%m-%d %H:%M} UTC"
    if age > COPY_MISSING:
        return fail("copies", f"{text}: {age.days} days old", f"{todo}; journalctl -u fabgate-collector-backup")
    if age > data_folder.COPY_LATE:
        return warn(
            "copies", f"{text}: {age.days} days old", "journalctl -u fabgate-collector-backup; systemctl list-timers"
        )
    return ok("copies", f"{text}. Does another computer fetch them?")


def time_zones(first_line: str | None, now: datetime, trouble: str) -> Finding:
    """Judge the time zone, and the age of the time zone data by the first line of tzdata.zi: ``# version 2025b``."""
    if trouble:
        return fail(
            "time-zone", trouble, f"set one FABGATE_TZ for all processes in /etc/fabgate/collector.env; {_RESTART}"
        )
    version = (first_line or "").rpartition(" ")[2]
    if not version[:4].isdecimal():
        return not_checked("time-zone", "the version of the time zone data is unknown")
    if now.year - int(version[:4]) >= ZONES_YEARS:
        return warn(
            "time-zone",
            f"the time zone data is of {version}: hours of opening may be wrong",
            "apt update; apt install tzdata",
        )
    return ok("time-zone", f"all processes use the same; the time zone data is of {version}")


def broker_rights(
    rights: Rights, publish: Mapping[str, bool], subscribe: Collection[str], *, is_own: bool = False
) -> Finding:
    """Compare what the broker allows with what the collector needs: to `publish` a topic, and to subscribe.

    A broker that `is_own` gets its rights from the collector.
    """
    name = "broker-rights"
    missing = [topic for topic, may in publish.items() if may and rights.published[topic]]
    missing += [topic for topic in subscribe if rights.subscribed[topic]]
    if missing:
        return fail(
            name,
            f"the broker refuses what the collector needs: {', '.join(missing)}",
            RESTART_BROKER
            if is_own
            else "put your site into the collector's part of /etc/mosquitto/fabgate.acl; systemctl restart mosquitto",
        )
    if [topic for topic, may in publish.items() if not may and not rights.published[topic]]:
        return warn(
            name,
            "the broker has no access list for this account, so perhaps none for gates: one could write entries of another",
            f"install {installed.example('mosquitto.conf')} and {installed.example('mosquitto.acl')} (docs/install-by-hand.md); systemctl restart mosquitto",
        )
    if rights.packet_trouble:
        return warn(name, rights.packet_trouble, SMALLER_PACKETS)
    return ok(name, "the account may publish and subscribe to what the collector needs, and not more")


def broker_accounts(others: Sequence[str], without: Sequence[str], count: int) -> Finding:
    """Judge the accounts of a broker of our own: `others` are not as wanted, and gates `without` one have a token."""
    name = "broker-accounts"
    if others:
        return fail(
            name,
            f"accounts of the broker are not those of the database: {', '.join(others)}",
            "wait for ten seconds after a change; journalctl -u fabgate-collector@worker -n 30",
        )
    if without:
        return warn(
            name,
            f"gates that have a token have no account at the broker: {', '.join(without)}",
            "fabgate-collector gate-add GATE --machine MACHINE --new-token makes it, and new keys",
        )
    return ok(name, f"the broker has the {count} accounts of the database")
