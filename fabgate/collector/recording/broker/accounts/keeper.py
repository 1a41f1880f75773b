"""Makes the accounts of a running broker those of the database.

Each turn compares what the broker has with what the database wants, and changes the difference. So nothing has to be
remembered: after a kill at any moment, a restart of the broker or a restored database, the next turn finds what is left to
do. The database notes what the broker has confirmed, and a gate is cut off only from then on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.db import transaction

from fabgate import wire
from fabgate.collector.ground.base import called, data_folder
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.db import pulse
from fabgate.collector.ground.models import BrokerAccount, Pulse
from fabgate.collector.recording.broker.accounts import rights, wanted
from fabgate.collector.recording.broker.accounts.control import Control, RefusedError, end_session

log = logging.getLogger(__name__)

_ROLE_EXISTS: Final = "Role already exists"
_NO_CLIENT: Final = "Client not found"
_NO_ROLE: Final = "Role not found"


class Keeper:
    """Keeps the accounts of one broker. `trouble` is why some are not as they should be; "" if all are."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        #: The password of the broker's start whose roles were compared. Rights change only with the program.
        self._compared = ""
        self.trouble = ""

    @staticmethod
    def is_due() -> bool:
        """Return whether the database has a change that the broker has not confirmed."""
        return BrokerAccount.objects.filter(confirmed_at=None).exists()

    def turn(self) -> None:
        """Compare all accounts, and change those that differ.

        Raises FabgateError if the broker cannot be reached or does not answer, and what the database raises. The next turn does
        what is left.
        """
        with Control(self._env) as control:
            found = control.clients()
            accounts = wanted.all_accounts()  # read after those of the broker: what changes later is not confirmed now
            by_name = {wanted.topics_of(self._env, account).account: account for account in accounts}
            self._compare_roles(control, accounts)
            troubles = [
                *self._take(control, found, by_name),
                *self._give(control, found, by_name),
            ]
        self.trouble = "; ".join(troubles)

    def _take(self, control: Control, found: Mapping[str, Any], by_name: Mapping[str, BrokerAccount]) -> Iterator[str]:
        """Cut off each account that is not wanted; yield what prevents it. This comes first, so that nothing delays it."""
        own = {rights.CONTROL, self._env.mqtt_username}
        unknown = [name for name in found if name not in own and name not in by_name]
        taken = [
            name
            for name, account in by_name.items()
            if not account.digest and (name in found or account.confirmed_at is None)
        ]
        for name in (*unknown, *taken):
            try:
                self._cut_off(control, name)
            except RefusedError as error:
                yield f"{name}: {error}"
            else:
                if name in by_name:
                    _confirm(by_name[name])

    def _give(self, control: Control, found: Mapping[str, Any], by_name: Mapping[str, BrokerAccount]) -> Iterator[str]:
        """Make the accounts that the broker lacks, or has with another password; yield what prevents it."""
        for name, account in by_name.items():
            if not account.digest:
                continue
            if not fits(account, name, found.get(name)):
                try:
                    trouble = self._make(control, account, name, is_there=name in found)
                except RefusedError as error:
                    trouble = f"{name}: {error}"
                if trouble:
                    yield trouble
                    continue
            if account.confirmed_at is None:
                _confirm(account)

    def _make(self, control: Control, account: BrokerAccount, name: str, *, is_there: bool) -> str:
        """Make the account of a gate; return why that is not possible, or "". An earlier password ends in any case."""
        if is_there:
            self._disconnect(control, name)
        path = wanted.password_file(self._env, account)
        try:
            # `enrol_gate` commits first, and then puts the files in place; until then this waits.
            with data_folder.alone(self._env.data / data_folder.LETTING_IN):
                password = wanted.read_password(path)
        except (OSError, ValueError) as error:
            return _lost(account, f"{path} cannot be read ({error})")
        if not wanted.digest_of(account).is_of(password):
            return _lost(account, f"{path} has another password than its account")
        role = rights.of_gate(wanted.topics_of(self._env, account))
        _set_role(control, role)
        control.do({"command": "createClient", "password": password, **wanted.client(name, account.salt)})
        log.info("the broker has an account for the gate %s", account.gate.name)
        return ""

    def _disconnect(self, control: Control, name: str) -> None:
        """Delete an account, which disconnects its client, and end its session: nobody gets what waits in it."""
        control.do({"command": "deleteClient", "username": name}, except_for=_NO_CLIENT)
        end_session(self._env, name)

    def _cut_off(self, control: Control, name: str) -> None:
        """Leave nothing of an account: neither rights nor session nor retained messages."""
        self._disconnect(control, name)
        control.do({"command": "deleteRole", "rolename": name}, except_for=_NO_ROLE)
        control.delete_retained(f"{wire.ROOT}/{name}/#")
        log.info("the broker has no account %s any more", name)

    def _compare_roles(self, control: Control, accounts: list[BrokerAccount]) -> None:
        """Give each account the rights of this version; once for each start of the broker and of this process."""
        if control.password == self._compared:
            return
        found = control.roles()
        for role in wanted.roles(self._env, accounts):
            if (name := role["rolename"]) in found and _rights_of(found[name]) != _rights_of(role):
                control.do({"command": "modifyRole", **role})
        self._compared = control.password


def differences(env: Environment, found: Mapping[str, Any]) -> list[str]:
    """Return the accounts that only the broker or only the database has, or that have another password in each."""
    by_name = {wanted.topics_of(env, account).account: account for account in wanted.all_accounts()}
    lacking = [name for name, account in by_name.items() if account.digest and not fits(account, name, found.get(name))]
    own = {rights.CONTROL, env.mqtt_username}
    return lacking + [name for name in found if name not in own and not (name in by_name and by_name[name].digest)]


def fits(account: BrokerAccount, name: str, found: Mapping[str, Any] | None) -> bool:
    """Return whether an account of the broker is the one that the database wants, with the same password."""
    if found is None or found.get("disabled"):
        return False
    roles = [role["rolename"] for role in found.get("roles", ())]
    return (found.get("clientid"), found.get("textdescription"), roles) == (name, account.salt, [name])


def _set_role(control: Control, role: dict[str, Any]) -> None:
    (answer,) = control.ask({"command": "createRole", **role})
    error = answer.get("error", "")
    if error == _ROLE_EXISTS:
        control.do({"command": "modifyRole", **role})
    elif error:
        raise RefusedError(f"the broker refused createRole: {error}")


def _rights_of(role: Mapping[str, Any]) -> set[tuple[Any, ...]]:
    return {(one["acltype"], one["topic"], one["priority"], one["allow"]) for one in role.get("acls", ())}


def _lost(account: BrokerAccount, why: str) -> str:
    again = called.command(f"gate-add {account.gate.name} --machine MACHINE --new-token")
    return f"{account.gate.name}: {why}; {again} makes a new one"


def _confirm(account: BrokerAccount) -> None:
    """Note that the broker has the account, or has none, unless that was changed meanwhile."""
    same, now = (
        BrokerAccount.objects.filter(pk=account.pk, salt=account.salt, asked_at=account.asked_at),
        datetime.now(UTC),
    )
    with transaction.atomic():
        pulse.lock()  # before the rows of gates (ground/db/pulse.py)
        if same.update(confirmed_at=now):
            pulse.notify({Pulse.FLOOR: {account.gate.name}}, now)
