"""Which accounts the broker shall have, by the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fabgate import wire
from fabgate.collector.ground.base import called, data_folder
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.models import BrokerAccount, Gate
from fabgate.collector.recording.broker.accounts import rights
from fabgate.collector.recording.broker.accounts.passwords import Digest
from fabgate.errors import UsageError


def give(gate: Gate, password: str) -> None:
    """Let a gate have an account with this password, in place of any earlier one. Call it inside a transaction."""
    digest = Digest.of(password)
    _store(gate, salt=digest.salt, digest=digest.digest, iterations=digest.iterations)


def take(gate: Gate) -> None:
    """Let a gate have no account any more. Call it inside a transaction."""
    _store(gate, salt="", digest="", iterations=0)


def is_taken(gate: Gate) -> bool:
    """Return whether a gate's account was taken before."""
    return BrokerAccount.objects.filter(gate=gate, digest="").exists()


def is_confirmed(gate: Gate) -> bool:
    """Return whether the broker has confirmed what the database wants for a gate."""
    return BrokerAccount.objects.filter(gate=gate).exclude(confirmed_at=None).exists()


def _store(gate: Gate, **values: Any) -> None:
    values |= {"asked_at": datetime.now(UTC), "confirmed_at": None}
    BrokerAccount.objects.update_or_create(gate=gate, defaults=values)


def topics_of(env: Environment, account: BrokerAccount) -> wire.GateTopics:
    """Return the topics of an account's gate; they have its name, too."""
    return wire.GateTopics(env.site, account.gate.name)


def client(name: str, marked: str, **more: Any) -> dict[str, Any]:
    """Return an account of a gate without its password, both for the plugin's file and as a command has it.

    It is marked with the salt of the database, which names the password: the broker shows a description, and no password.
    """
    return {"username": name, "clientid": name, "textdescription": marked, "roles": [{"rolename": name}], **more}


def roles(env: Environment, accounts: list[BrokerAccount]) -> list[dict[str, Any]]:
    """Return all roles that the broker shall have."""
    gates = [rights.of_gate(topics_of(env, account)) for account in accounts if account.digest]
    return [rights.of_control(env.site), rights.of_collector(env.site), *gates]


def all_accounts() -> list[BrokerAccount]:
    """Return the accounts of all gates, also those that were taken."""
    return list(BrokerAccount.objects.select_related("gate").order_by("gate__name"))


def without_account() -> list[str]:
    """Return the gates that have a token, and never had an account: they were let in before the collector had its broker."""
    gates = Gate.objects.filter(broker_account=None).exclude(token_hash="").order_by("name")
    return list(gates.values_list("name", flat=True))


def document(env: Environment) -> dict[str, Any]:
    """Return the file that the broker reads at its start. Raises UsageError if a password cannot be read."""
    assert env.broker_control is not None
    assert env.mqtt_password_file is not None
    accounts = all_accounts()
    control = _digest_of(
        control_password(env.broker_control),
        "which is made at each start of the broker: systemctl start fabgate-broker",
    )
    own = _digest_of(env.mqtt_password_file, f"which is made by {called.command('migrate')}")
    return {
        "defaultACLAccess": rights.NOTHING,
        "clients": [
            {"username": rights.CONTROL, "roles": [{"rolename": rights.CONTROL}], **control},
            {"username": env.mqtt_username, "roles": [{"rolename": env.mqtt_username}], **own},
            *_gates(env, accounts),
        ],
        "roles": roles(env, accounts),
    }


def control_password(socket: Path) -> Path:
    """Return the file of the password with which accounts are changed over `socket`."""
    return socket.with_name("password")


def read_password(path: Path) -> str:
    """Return the password in a file. Raises OSError or ValueError."""
    return path.read_text("utf-8").strip()


def password_file(env: Environment, account: BrokerAccount) -> Path:
    """Return the file of the password of a gate's account."""
    return env.gate_directory(account.gate.name) / data_folder.PASSWORD


def digest_of(account: BrokerAccount) -> Digest:
    """Return the digest of an account's password."""
    return Digest(account.salt, account.digest, account.iterations)


def _gates(env: Environment, accounts: list[BrokerAccount]) -> Iterator[dict[str, Any]]:
    for account in accounts:
        if account.digest:
            yield client(topics_of(env, account).account, account.salt, **digest_of(account).fields())


def _digest_of(path: Path, hint: str) -> dict[str, Any]:
    try:
        password = read_password(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"found no password in {path} ({error}), {hint}") from error
    if not password:
        raise UsageError(f"found an empty file {path}, wanted a password, {hint}")
    return Digest.of(password).fields()
