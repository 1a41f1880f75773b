"""Checks a collector: its settings, database, processes, broker, pages, mails and copies."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from django.db import connection

from fabgate import installed, wire
from fabgate.collector.ground.base import data_folder, environ, smtp
from fabgate.collector.ground.base.env_values import EVERYWHERE
from fabgate.collector.ground.base.environ import HTTPS_PORT
from fabgate.collector.ground.db import postgresql
from fabgate.collector.members.machines import gate_keys
from fabgate.collector.processes.doctor import judging
from fabgate.collector.processes.doctor.facts import Facts
from fabgate.doctor import computer, reach, shipped
from fabgate.doctor.finding import Finding, Outcome, UndeterminedError, fail, not_checked, ok
from fabgate.doctor.system import existing, others_may
from fabgate.errors import FabgateError, UsageError
from fabgate.mqtt import certificates
from fabgate.mqtt.client import described
from fabgate.mqtt.rights import try_rights

#: The units of docs/install-by-hand.md.
UNITS: Final = ("fabgate-collector.target", "fabgate-collector@.service", "fabgate-collector-backup.service")
#: The unit of a broker of our own.
_BROKER_UNIT: Final = "fabgate-broker.service"
#: No gate has this name (fabgate/wire/topics.py), so no one receives what is published to it; and no leaf of a gate's
#: topics has this one, so that no collector reads it.
_NO_GATE, _NO_LEAF = "roster", "doctor"
_WITHOUT_TLS: Final = {smtp.NONE: ", without TLS"}


def environment(facts: Facts) -> Finding:
    """Check the variables of the environment."""
    try:
        found = environ.read(facts.variables, need_site=True)
    except UsageError as error:
        return fail(
            "environment", "; ".join(str(error).splitlines()), "correct /etc/fabgate/collector.env (docs/reference.md)"
        )
    return ok("environment", f"the site {found.site}, with its data in {found.data}")


def database(facts: Facts) -> Finding:
    """Check that the database answers, and that it keeps what it confirms."""
    if facts.database_trouble:
        return judging.database(facts.database_trouble, "", {})
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if is_sqlite else "SHOW server_version")
        version = str(cursor.fetchone()[0])
    if is_sqlite:
        size = facts.environment.database.stat().st_size
        return judging.database("", f"SQLite {version}, with {size / computer.MB:.0f} MB,", {})
    return judging.database("", f"PostgreSQL {version} on {postgresql.host()}", postgresql.undurable())


def migrations(facts: Facts) -> Finding:
    """Check that the tables are those of this version."""
    if facts.database_trouble:
        raise UndeterminedError("the database does not answer")
    from fabgate.collector.ground.db import migration  # noqa: PLC0415 - only once Django is set up

    try:
        steps = migration.steps()
    except UsageError as error:
        return fail("migrations", str(error), installed.cleanly())
    return judging.migrations(
        applied=steps.applied,
        missing=steps.missing,
        newer=steps.newer,
        is_before_release=migration.is_before_release(steps.applied),
    )


def units(facts: Facts) -> Finding:
    """Compare the installed units and their drop-ins with the shipped ones."""
    judged = []
    names = (*UNITS, _BROKER_UNIT) if facts.variables.get("FABGATE_BROKER_CONTROL") else UNITS
    for name in names:
        is_there = shipped.effective(facts.system, name) is not None
        judged.append((is_there, shipped.judge_unit("units", name, facts.system)))
    if not installed.package() and not any(is_there for is_there, _ in judged):
        return not_checked("units", "no unit of the collector is installed: it is started in another way")
    findings = [finding for _, finding in judged]
    return next(
        (one for one in findings if one.outcome is not Outcome.OK), ok("units", f"as shipped: {', '.join(names)}")
    )


def ingest(facts: Facts) -> Finding:
    """Check the process that stores entries."""
    return judging.process("ingest", facts.health.parts["ingest"])


def worker(facts: Facts) -> Finding:
    """Check the process that expires loans and blocks."""
    return judging.process("worker", facts.health.parts["worker"])


def web(facts: Facts) -> Finding:
    """Check that the process of the pages accepts connections."""
    found = facts.environment
    host = "localhost" if found.web_host in EVERYWHERE else found.web_host
    try:
        reach.reach(host, found.web_port, None)
    except OSError as error:
        return fail(
            "web", reach.why(error, host=host, port=found.web_port)[0], "journalctl -u fabgate-collector@web -n 30"
        )
    return ok("web", f"it accepts connections at {host}:{found.web_port}")


def pages(facts: Facts) -> Finding:
    """Check the address of the pages, as gates and people use it, and the certificate there."""
    found = facts.environment
    if not found.https or not found.address.startswith("https://"):
        return not_checked(
            "pages", "FABGATE_HTTPS or a public name in FABGATE_ALLOWED_HOSTS is not set: there is no TLS"
        )
    address = urlsplit(found.address)
    ca = found.web_ca if found.web_cert and found.web_ca.is_file() else found.mqtt_ca
    return _reached("pages", address.hostname or "", address.port or HTTPS_PORT, ca, "collector's", facts.now)


def broker(facts: Facts) -> Finding:
    """Check that the broker can be reached, and its certificate."""
    found = facts.environment
    return _reached(
        "broker", found.mqtt_host, found.mqtt_port, found.mqtt_ca, "broker's", facts.now, tls=bool(found.mqtt_ca)
    )


def broker_rights(facts: Facts) -> Finding:
    """Try what the broker lets the collector's account do, in a session of its own."""
    found, name = facts.set_up(), "broker-rights"
    from fabgate.collector.recording.broker.client import client_of  # noqa: PLC0415 - only once Django is set up

    topics = wire.GateTopics(found.site, _NO_GATE)
    publish = {topics.topic(leaf): True for leaf in ("ack", "command", "roster")} | {f"{topics.base}/{_NO_LEAF}": False}
    subscribe = [*wire.collector_subscriptions(found.site), wire.collector_status_topic(found.site)]
    client = client_of(found, f"fabgate-doctor-{secrets.token_hex(8)}")
    try:
        rights = try_rights(client, found.mqtt_host, found.mqtt_port, publish=publish, subscribe=subscribe)
    except OSError as error:
        return not_checked(name, described(error))
    except FabgateError as error:
        todo = "check FABGATE_MQTT_USERNAME and its password; journalctl -u mosquitto"
        return fail(name, str(error), judging.RESTART_BROKER if found.broker_control else todo)
    return judging.broker_rights(rights, publish, subscribe, is_own=found.broker_control is not None)


def broker_accounts(facts: Facts) -> Finding:
    """Compare the accounts of the running broker with those of the database."""
    found, name = facts.set_up(), "broker-accounts"
    if found.broker_control is None:
        return not_checked(name, "accounts of the broker are made by hand: FABGATE_BROKER_CONTROL is not set")
    _ = facts.health  # without a database of this version there is nothing to compare
    # As above.
    from fabgate.collector.recording.broker.accounts.control import Control  # noqa: PLC0415
    from fabgate.collector.recording.broker.accounts.keeper import differences  # noqa: PLC0415
    from fabgate.collector.recording.broker.accounts.wanted import without_account  # noqa: PLC0415

    try:
        with Control(found) as control:
            clients = control.clients()
    except FabgateError as error:
        return fail(name, str(error), judging.RESTART_BROKER)
    return judging.broker_accounts(differences(found, clients), without_account(), len(clients))


def certificate(facts: Facts) -> Finding:
    """Check the collector's own certificate at the broker, and its key."""
    found = facts.environment
    if found.mqtt_cert is None:
        return not_checked("certificate", "this collector has no certificate of its own (FABGATE_MQTT_CERT)")
    return computer.own_certificate(found.mqtt_cert, found.mqtt_key, facts.now, "collector's own")


def authority(facts: Facts) -> Finding:
    """Check how long the authority of broker and pages is valid, and whether gates know the one that takes its place."""
    found, name = facts.set_up(), "authority"
    if found.authority is None:
        return not_checked(name, "broker and pages have no authority in common that this collector knows")
    # Models can be imported only once Django is set up.
    from fabgate.collector.ground import authorities  # noqa: PLC0415
    from fabgate.collector.ground.models import Gate  # noqa: PLC0415
    from fabgate.collector.members.access import roster  # noqa: PLC0415

    ends = [certificates.ends_of(der) for der in authorities.named(found)]
    lacking = []
    if len(ends) > 1:
        _ = facts.health  # without a database of this version, nobody knows the gates
        with_token = Gate.objects.exclude(token_hash="").order_by("name")
        lacking = [gate.name for gate in with_token if not roster.knows_authorities(gate)]
    return judging.authority(str(found.authority), [end for end in ends if end], lacking, facts.now)


def gates(facts: Facts) -> Finding:
    """Check what is known of all gates."""
    parts, counts = facts.health.parts, facts.health.found["gates"]
    troubles = [parts[name] for name in ("clones", "old_keys", "clocks", "messages")]
    return judging.gates(troubles, counts["known"], counts["silent"])


def books(facts: Facts) -> Finding:
    """Check the last verification."""
    return judging.books(facts.health.parts["verification"], facts.health.found["verification"]["ended"])


def copies(facts: Facts) -> Finding:
    """Check the age of the newest copy."""
    if facts.environment.database_url:
        return not_checked("copies", "copies of PostgreSQL are made by pg_dump, and known to you alone")
    found: list[Path] = []
    with suppress(FileNotFoundError):
        found = data_folder.copies(facts.environment.site, facts.copies)
    with suppress(sqlite3.Error):  # the database is judged above
        if missing := gate_keys.unreadable(facts.environment.database, facts.environment.data):
            text = f"copies would lack keys of gates, which cannot be read: {', '.join(missing)}"
            return fail("copies", text, gate_keys.next_step(facts.environment.data))
    newest = datetime.fromtimestamp(found[-1].stat().st_mtime, UTC) if found else None
    return judging.copies(newest, facts.now, where=str(facts.copies), count=len(found))


def mail(facts: Facts) -> Finding:
    """Connect to the mail server and sign in; nothing is sent."""
    server = facts.environment.smtp
    if server is None:
        return not_checked("mail", "no mail server is set (FABGATE_SMTP_URL): no statement is sent")
    try:
        smtp.check(server)
    except OSError as error:
        return fail(
            "mail", f"{server.host}:{server.port}: {error}", "check FABGATE_SMTP_URL: name, port, user and password"
        )
    return ok("mail", f"{server.host}:{server.port} accepts the account{_WITHOUT_TLS.get(server.tls, '')}")


# --- the computer -----------------------------------------------------------------------------------------------------


def clock(facts: Facts) -> Finding:
    """Check whether the clock is synchronised."""
    answer = facts.system.ask("timedatectl", "show", "--property=NTPSynchronized", "--value")
    return computer.clock(synced={"yes": True, "no": False}.get(answer or ""), by="timedatectl")


def time_zone(facts: Facts) -> Finding:
    """Check the time zone of all processes, and the age of the time zone data."""
    text = facts.system.read("/usr/share/zoneinfo/tzdata.zi")
    return judging.time_zones(None if text is None else text.partition("\n")[0], facts.now, facts.health.parts["zone"])


def disk_kind(facts: Facts) -> Finding:
    """Check that the data survives a power cut."""
    data = facts.environment.data
    return computer.disk_kind(*facts.system.mounts_of(existing(data)), where=str(data))


def disk_space(facts: Facts) -> Finding:
    """Check the free space, by the limit of /healthz."""
    data = facts.set_up().data
    from fabgate.collector.faces.api.health import DISK_BYTES  # noqa: PLC0415 - only once Django is set up

    found = os.statvfs(existing(data))
    files = found.f_favail if found.f_files else None
    free = shutil.disk_usage(existing(data)).free
    return computer.disk_space(free, files, where=str(data), warn_below=8 * DISK_BYTES, fail_below=DISK_BYTES)


def disk_speed(facts: Facts) -> Finding:
    """Measure how long a write takes."""
    return computer.disk_speed(facts.system.sync_times_ms(facts.environment.data), where=str(facts.environment.data))


def secret_files(facts: Facts) -> Finding:
    """Check who may read the files with secrets."""
    return computer.secret_files({str(path): others_may(path) for path in _secrets(facts)})


def _secrets(facts: Facts) -> Iterator[Path]:
    found = facts.environment
    yield from (path for name in data_folder.KEPT if (path := found.data / name).is_file())
    yield from (path for path in sorted((found.data / data_folder.GATES).glob("*/*")) if path.is_file())
    others = (found.mqtt_password_file, found.mqtt_key, found.web_key)
    # The password for a broker of our own is made by the first verb.
    yield from (path for path in others if path is not None and path.is_file())


def default_user(facts: Facts) -> Finding:
    """Check for the account pi with its well-known password."""
    return computer.default_user_of(facts.system)


def open_ports(facts: Facts) -> Finding:
    """Check which ports other computers can reach."""
    expected = {22: "SSH", 80: "http", 443: "https", facts.environment.mqtt_gate_port: "broker"}
    todo = (
        "ss -ltnp names the program; let pages and database listen on 127.0.0.1 only, behind the proxy, and let no port of"
        " the broker be without TLS"
    )
    return computer.ports(facts.system.listening(), expected, todo=todo)


def _reached(
    name: str, host: str, port: int, ca: Path | None, whose: str, now: datetime, *, tls: bool = True
) -> Finding:
    context = None
    if tls:
        context = ssl.create_default_context()
        if ca is not None:
            context.load_verify_locations(cafile=ca)
    return computer.reached(name, host, port, context, whose, now)
