"""Enrols gates: makes the files that a gate needs, and assigns it to its machine."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.base.key_files import new_key, write_secret
from fabgate.collector.ground.db import audit, duplicate, pulse
from fabgate.collector.ground.models import Change, Gate, Machine
from fabgate.collector.ground.models.machines import MAX_LIFTED
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import presets
from fabgate.collector.members.machines.keys import clones
from fabgate.collector.recording.broker.accounts import passwords
from fabgate.collector.recording.broker.accounts import wanted as accounts
from fabgate.errors import UsageError

#: Suffix of a file that is written, but not in use yet.
_READY: Final = ".new"
#: Names that no machine may have, because they are addresses of other pages.
RESERVED_MACHINES: Final = frozenset({"new", "calendar"})

#: Takes the rules of a machine and a list for mistakes, and returns the new rules.
ChangeRules = Callable[[dict[str, Any], list[str]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class EnrolledGate:
    """A gate that was enrolled, and where its files are."""

    gate: Gate
    directory: Path
    #: The content of each file. It is secret: with it, another device can pose as the gate.
    texts: dict[str, str] = field(repr=False)

    #: The files of `directory` that are copied to the gate; with a broker of our own also the password of its account.
    FILES: ClassVar = data_folder.GATE_FILES


@dataclass(frozen=True, slots=True)
class NewMachine:
    """A machine to create if it does not exist: its title, and its preset or else its first rules."""

    title: str = ""
    preset: str = ""
    rules: dict[str, Any] = field(default_factory=dict)

    def make(self, name: str) -> Machine:
        """Return the machine, not saved. Raises UsageError for an unknown preset."""
        machine = Machine(name=name, title=self.title, rules=dict(self.rules))
        if self.preset:
            presets.apply(machine, self.preset)
        return machine


#: A machine without title and with default rules.
_BARE: Final = NewMachine()


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of a gate that joins: those that it made, and the seal key on which both sides agreed."""

    token: str = field(repr=False)
    broker_password: str = field(repr=False)
    seal_keys: str = field(repr=False)


class AlreadyEnrolled(UsageError):  # noqa: N818 (it names what is in the way)
    """The gate already has a token."""

    def __init__(self, name: str, token_file: Path) -> None:
        super().__init__(
            _("the gate '%(name)s' already has a token (%(file)s); use --new-token to replace it")
            % {"name": name, "file": token_file}
        )


def enrol(
    name: str,
    machine: str,
    *,
    actor: str,
    new_token: bool = False,
    new_machine: NewMachine = _BARE,
    change_rules: ChangeRules = lambda rules, _mistakes: rules,
    given: Secrets | None = None,
    allow: Callable[[Gate], None] = lambda _gate: None,
    reason: str = "",
) -> EnrolledGate:
    """Create a gate, its machine if it does not exist yet, and the files that the gate needs.

    `new_machine` describes the machine to create. `change_rules` returns the new rules of the machine. Secrets are made here
    unless they are `given`. `allow` is called in the transaction,
    when nobody else can change the gate, and may raise. `reason` is for the log.

    Raises UsageError for an invalid name, and AlreadyEnrolled for a gate that has a token, unless it gets a new one.
    The seal key is replaced with the token: a stolen card holds both (docs/decisions/0025).
    """
    mistakes = name_mistakes(name, machine)
    before = Machine.objects.filter(name=machine).first()
    change_rules((before or new_machine.make(machine)).rules, mistakes)
    if mistakes:
        raise UsageError("\n".join(mistakes))
    env: Environment = settings.ENVIRONMENT
    directory = env.gate_directory(name)
    try:
        # Locked from before the commit until the files exist: otherwise two requests at once could give the gate the
        # token of one and the seal key of the other.
        with (
            data_folder.alone(env.data / data_folder.LETTING_IN),
            _all_or_none(directory) as write,
            transaction.atomic(),
            pulse.deferred(),
        ):
            gate = Gate.objects.filter(name=name).first() or Gate(name=name)
            if gate.token_hash and not new_token:
                raise AlreadyEnrolled(name, directory / "token")
            allow(gate)
            verb = "gate.renewed" if gate.token_hash else "gate.let-in"
            with audit.change(actor, verb, gate, reason=reason) as change:
                if gate.pk is None:
                    gate.save()
                change.rosters = _assign(gate, _machine(new_machine.make(machine), actor, change_rules))
                earlier = gate.token_hash
                token = gate.new_token(given.token if given else "")
                if earlier not in ("", gate.token_hash):
                    clones.keys_ended(gate, earlier, datetime.now(UTC))
                gate.save(update_fields=["token_hash"])
                texts = (_kept(given) if given else _texts(env, token)) | _account(env, gate, given)
            gate.refresh_from_db()
            for file, text in texts.items():
                write(file, text)
        for file in EnrolledGate.FILES if given else ():
            if file not in texts:  # of the card before, which somebody copied
                (directory / file).unlink(missing_ok=True)
    except IntegrityError as error:
        if not duplicate.is_there(error):
            raise
        raise AlreadyEnrolled(name, directory / "token") from error
    return EnrolledGate(gate, directory, texts)


def has_files(name: str, given: Secrets) -> bool:
    """Return whether a gate's files have these secrets: a kill may have come before they were put in place."""
    env: Environment = settings.ENVIRONMENT
    wanted = _kept(given) | _password(env, given.broker_password)
    files = {env.gate_directory(name) / file: text for file, text in wanted.items()}
    return all(path.is_file() and path.read_text("utf-8") == text for path, text in files.items())


def name_mistakes(gate: str, machine: str) -> list[str]:
    """Return what is wrong with the names of a gate and its machine."""
    mistakes = []
    for what, named in (("gate", gate), ("machine", machine)):
        try:
            wire.check_name(named, what=what)
        except UsageError as error:
            mistakes.append(str(error))
    if machine in RESERVED_MACHINES:
        text = _("the name '%(name)s' is reserved for a page; choose another name for the machine")
        mistakes.append(text % {"name": machine})
    return mistakes


def _kept(given: Secrets) -> dict[str, str]:
    """Return the content of the files that the collector needs of a gate that has its own."""
    return {data_folder.SEAL_KEYS: given.seal_keys}


def _texts(env: Environment, token: str) -> dict[str, str]:
    """Return the content of the files that a person copies to a gate, with a new seal key."""
    # The key's id is random, so it is new even after an older copy was restored. A gate with an older key then reports that
    # it lacks the key, not that the roster was changed.
    contents = (f"{token}\n", new_key(f"s-{secrets.token_hex(4)}"), env.badge_key_file.read_text(encoding="utf-8"))
    return dict(zip(EnrolledGate.FILES, contents, strict=True))


def _account(env: Environment, gate: Gate, given: Secrets | None) -> dict[str, str]:
    """Let a gate have an account at the collector's own broker; return the file of its password, if there is such a broker."""
    if not env.broker_control:
        return {}
    password = given.broker_password if given else passwords.new_password()
    accounts.give(gate, password)
    return _password(env, password)


def _password(env: Environment, password: str) -> dict[str, str]:
    return {data_folder.PASSWORD: f"{password}\n"} if env.broker_control else {}


def _machine(new: Machine, actor: str, change_rules: ChangeRules) -> Machine:
    """Return the machine that `new` names, created if it does not exist, with its rules changed. Both are logged."""
    defaults = {"title": new.title, "preset": new.preset, "rules": new.rules}
    _, is_new = Machine.objects.get_or_create(name=new.name, defaults=defaults)
    machine = Machine.objects.select_for_update(no_key=True).get(name=new.name)
    mistakes: list[str] = []
    changed = change_rules(machine.rules, mistakes)
    if mistakes:  # the machine was changed meanwhile
        raise UsageError("\n".join(mistakes))
    if changed != machine.rules:
        log: AbstractContextManager[object] = (
            nullcontext() if is_new else audit.change(actor, "machine.updated", machine)
        )
        with log:
            machine.rules = changed
            machine.save(update_fields=["rules"])
    if is_new:
        stored = audit.stored(Machine, [machine.pk])[machine.pk]
        audit.record(actor, "machine.added", machine, after={name: value for name, value in stored.items() if value})
    return machine


@contextmanager
def _all_or_none(directory: Path) -> Iterator[Callable[[str, str], None]]:
    """Yield a function that writes a secret under a name. At the end all files are put in place, or none.

    The database is committed first. By then the files are written, and until then the old secrets are valid.
    """
    ready: list[Path] = []

    def write(name: str, text: str) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / f"{name}{_READY}"
        path.unlink(missing_ok=True)  # left by a process that was killed
        ready.append(path)
        write_secret(path, text)

    try:
        yield write
    except BaseException:
        for path in ready:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            directory.rmdir()  # fails if the directory contains other files, which then stay
        raise
    for path in ready:
        path.replace(path.with_suffix(""))
    data_folder.sync_directory(directory)


def assign(gate: Gate, machine: Machine, *, actor: str) -> Change:
    """Assign a gate to another machine, whose rules and lock apply from then on. The caller announces the rosters."""
    # One after the other until the commit, as in `enrol`: the log compares before and after.
    alone = data_folder.alone(settings.ENVIRONMENT.data / data_folder.LETTING_IN)
    with alone, audit.change(actor, "gate.moved", gate) as change:
        change.rosters = _assign(gate, machine)
    return change


def _assign(gate: Gate, machine: Machine) -> dict[str, int]:
    """Assign a gate to a machine, and return the new rosters; called inside the change."""
    machine = Machine.objects.select_for_update(no_key=True).get(pk=machine.pk)
    planned = _planned(gate, machine)  # before the pulse lock, because planning takes time
    pulse.lock()  # after the machine and before the gate (ground/db/pulse.py)
    gate = Gate.objects.select_for_update(no_key=True).get(pk=gate.pk)
    _set_machine(gate, machine)
    with audit.change(audit.acting(), "machine.updated", machine):
        machine.save(update_fields=["lifted"])
    gate.save(update_fields=["machine"])
    return roster.versions(roster.rebuild([*machine.gates.all()], planned=planned))


def _planned(gate: Gate, machine: Machine) -> roster.Plan:
    """Build the rosters of a machine's gates as if this gate were already assigned to it."""
    gate, machine = Gate.objects.get(pk=gate.pk), Machine.objects.get(pk=machine.pk)
    _set_machine(gate, machine)
    return roster.plan([*machine.gates.exclude(pk=gate.pk), gate])


def _set_machine(gate: Gate, machine: Machine) -> None:
    """Set the machine of a gate.

    A gate lifts a lock only if the roster names it, so a lock of the previous machine is named as lifted here.
    """
    before = gate.machine
    if before is not None and before.pk != machine.pk:
        lifted = [*before.lifted, *([before.lock_id] if before.lock_id else [])]
        machine.lifted = [*machine.lifted, *(one for one in lifted if one != machine.lock_id)][-MAX_LIFTED:]
    gate.machine = machine
