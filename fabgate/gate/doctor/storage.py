"""Checks what the gate keeps: its clock, its disk, its roster, its secrets."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from fabgate.badge import key_mark
from fabgate.doctor import computer
from fabgate.doctor.finding import Finding, fail, not_checked, ok
from fabgate.doctor.system import existing, may, others_may
from fabgate.errors import UsageError
from fabgate.gate.clock import Clock, boot_id, boottime_ms
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.config.keys import badge_key, badge_keys
from fabgate.gate.doctor import service
from fabgate.gate.doctor.facts import Facts
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.http_source import age_ms, read_receipt
from fabgate.rules.vocabulary import Now

#: The journal has a reserve of 1 MiB for the end of a session; an update of the system needs some hundred MB.
_DISK_WARN: Final = 500 * computer.MB
_DISK_FAIL: Final = 50 * computer.MB


def clock(facts: Facts) -> Finding:
    """Check whether the clock is synchronised."""
    source = facts.config.clock.source
    if source in ("assume-synced", "emulated"):
        return not_checked("clock", f"clock.source is {source}")
    if facts.runs and facts.status is not None:
        return computer.clock(synced=facts.status["clock_synced"], by="the running gate")
    return computer.clock(synced=Clock(source).now().synced, by=f"clock.source {source}")


def disk_kind(facts: Facts) -> Finding:
    """Check that the state directory survives a power cut."""
    where = facts.config.state_dir
    return computer.disk_kind(*facts.system.mounts_of(existing(where)), where=str(where))


def disk_space(facts: Facts) -> Finding:
    """Check the free space of the state directory."""
    folder = existing(facts.config.state_dir)
    found = os.statvfs(folder)
    return computer.disk_space(
        shutil.disk_usage(folder).free,
        found.f_favail if found.f_files else None,
        where=str(facts.config.state_dir),
        warn_below=_DISK_WARN,
        fail_below=_DISK_FAIL,
    )


def disk_speed(facts: Facts) -> Finding:
    """Measure how long a write to the state directory takes."""
    return computer.disk_speed(facts.system.sync_times_ms(facts.config.state_dir), where=str(facts.config.state_dir))


def roster(facts: Facts) -> Finding:
    """Check the stored roster and its age."""
    config = facts.config
    stored, from_collector = config.state_dir / "roster.db", config.roster.url is not None
    if not stored.exists():
        return service.roster(members=None, age_s=None, fresh_for_s=0, from_collector=from_collector)
    try:
        directory = Directory(stored)
    except UsageError as error:
        return fail(
            "roster",
            f"the stored roster is damaged, and no badge is known: {error}",
            "restart the gate, which then stores the next roster (systemctl restart fabgate-gate); if that does"
            f" not help, remove {stored} first",
        )
    with closing(directory):
        if trouble := _other_key(config, directory):
            return fail("roster", trouble, "copy the collector's badge.keys to badge_key_file, and restart the gate")
        receipt = read_receipt(config.state_dir / "roster.json")
        if receipt is not None and receipt.version != directory.version:
            receipt = None
        known_ms = age_ms(receipt, Now(boottime_ms(), facts.now, synced=True), boot_id())
        return service.roster(
            members=directory.members,
            age_s=None if known_ms is None else known_ms // 1000,
            fresh_for_s=directory.fresh_for_s,
            from_collector=from_collector,
        )


def _other_key(config: Config, directory: Directory) -> str:
    """Return what is wrong with the badge key of this gate, or ""."""
    if directory.badge_key_mark is None:
        return ""  # the roster does not have it
    if config.badge_key_file is None:
        key = badge_key(config, make=False) if (config.state_dir / "badge.key").exists() else None
        return (
            ""
            if key is None or key_mark(key) == directory.badge_key_mark
            else f"the members were stored under another key than {config.state_dir / 'badge.key'}: no badge is known"
        )
    kid = directory.badge_key_id
    keys = badge_keys(config)
    key = next(iter(keys.values())) if kid is None else keys.get(kid)
    if key is None:
        return f"the badges of the roster need the key {kid}, which is missing in {config.badge_key_file}: no badge is known"
    if key_mark(key) != directory.badge_key_mark:
        return (
            f"the key in {config.badge_key_file} has the same id as the roster's key, but is a different one: no badge"
            " is known"
        )
    return ""


def account_files(facts: Facts) -> Finding:
    """Check that the gate's account can read what gate.yaml names, and can use its state directory."""
    name, config = "account-files", facts.config
    users = (facts.unit or {}).get(("Service", "User"), [])
    account = facts.system.account(users[-1]) if users else None
    if account is None:
        return not_checked(name, "the account of the unit is not known")
    mqtt = config.mqtt
    named = [facts.path, config.roster.ca, *_named_secrets(facts)]
    named += [] if mqtt is None or mqtt.tls is None else [mqtt.tls.ca, mqtt.tls.cert]
    wanted = {path: 4 for path in named if path is not None}
    if config.state_dir.exists():
        wanted[config.state_dir] = 7
        kept = [path for path in sorted(config.state_dir.iterdir()) if path.is_file()]
        wanted |= {path: 6 if path.name.startswith("journal.db") or path.name == "lock" else 4 for path in kept}
    if hindered := [str(path) for path, bits in wanted.items() if not may(path, bits, *account)]:
        return fail(
            name,
            f"the account {users[-1]} cannot use {', '.join(hindered)}",
            f"look at owner and mode of each file and of the folders above it: namei -l {hindered[0]} (docs/install-by-hand.md)",
        )
    return ok(name, f"the account {users[-1]} can use its files (files: {len(wanted)})")


def secret_files(facts: Facts) -> Finding:
    """Check who may read the files with secrets."""
    return computer.secret_files({str(path): others_may(path) for path in _secrets(facts)})


def _secrets(facts: Facts) -> Iterator[Path]:
    state_dir = facts.config.state_dir
    yield from _named_secrets(facts)
    yield from (path for path in (state_dir / "badge.key", state_dir / "journal.db") if path.exists())


def _named_secrets(facts: Facts) -> Iterator[Path]:
    config, mqtt = facts.config, facts.config.mqtt
    named = [config.roster.token_file, config.roster.file, config.gate_key_file, config.badge_key_file]
    named += [getattr(reader.options, "key_file", None) for reader in config.reader]
    named += [] if mqtt is None else [mqtt.password_file, mqtt.tls.key if mqtt.tls else None]
    named.append(getattr(config.output.options, "password_file", None))
    yield from (path for path in named if path is not None)
