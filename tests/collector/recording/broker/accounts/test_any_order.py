"""Whatever happens in whatever order, kills included: does the broker end with the accounts of the database?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate.collector.ground.models import BrokerAccount, Gate
from fabgate.collector.members.machines.keys import revoke_gate
from fabgate.collector.recording.broker.accounts import keeper as keeping
from fabgate.collector.recording.broker.accounts.control import Control
from fabgate.collector.recording.broker.accounts.keeper import Keeper
from fabgate.errors import FabgateError
from tests.collector.recording.broker.accounts.conftest import password_file
from tests.collector.recording.broker.accounts.own_broker import OwnBroker
from tests.conftest import SOAK
from tests.support.mosquitto import MOSQUITTO

pytestmark = [
    pytest.mark.broker,
    pytest.mark.chance,
    pytest.mark.skipif(not Path(MOSQUITTO).exists(), reason="Mosquitto is not installed here (Debian: mosquitto)"),
]

GATES = ("saw-1", "laser-1", "drill-1")
#: A turn of the worker has some 30 of these places for two gates.
PLACES = 60
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("add", "turn keys", "revoke")), st.sampled_from(GATES)),
        st.tuples(st.just("killed"), st.integers(1, PLACES)),
        st.tuples(st.sampled_from(("turn", "stop", "kill broker", "start", "put back")), st.none()),
    ),
    max_size=14,
)


class Killed(BaseException):
    """The worker was killed."""


@contextmanager
def killed_at(place: int) -> Iterator[None]:
    """End the block before or after its n-th message to the broker or commit, as a kill does."""
    left = place

    def around(function: Any) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            step()
            found = function(*arguments, **options)
            step()
            return found

        return counted

    def step() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    with (
        mock.patch.object(Control, "_publish", around(Control._publish)),
        mock.patch.object(keeping, "_confirm", around(keeping._confirm)),
        mock.patch.object(keeping, "end_session", around(keeping.end_session)),
        suppress(Killed),
    ):
        yield


class World:
    """A broker, the database, and each password that a gate ever had."""

    def __init__(self, broker: OwnBroker, let_in: Any) -> None:
        self.broker, self.let_in = broker, let_in
        self.keeper = Keeper(broker.env)
        self.passwords: dict[str, list[str]] = defaultdict(list)
        self.kept: list[tuple[dict[str, Any], str]] = []

    def step(self, what: str, more: Any) -> None:
        match what:
            case "add" | "turn keys":
                is_there = Gate.objects.filter(name=more).exclude(token_hash="").exists()
                if is_there == (what == "turn keys"):
                    self.let_in(more, new_token=is_there)
                    self.passwords[more].append(password_file(self.broker.env, more).read_text().strip())
            case "revoke" if Gate.objects.filter(name=more).exists():
                revoke_gate.revoke(more, actor="cli:eve")
            case "turn":
                with suppress(FabgateError):
                    self.keeper.turn()
            case "killed":
                with killed_at(more), suppress(FabgateError):
                    self.keeper.turn()
                self.keeper = Keeper(self.broker.env)
            case "stop":
                self.broker.stop()
            case "kill broker":
                self.broker.kill()
            case "start" if self.broker.process is None:
                self.broker.start()
            case "put back":
                self.put_back()

    def put_back(self) -> None:
        """Restore the accounts and passwords of the time before, and keep these for the next time."""
        now = (
            {row.gate_id: row for row in BrokerAccount.objects.all()},
            {name: password_file(self.broker.env, name) for name in GATES},
        )
        texts = {name: path.read_text() for name, path in now[1].items() if path.exists()}
        if self.kept:
            rows, files = self.kept[-1]
            BrokerAccount.objects.all().delete()
            BrokerAccount.objects.bulk_create(rows.values())
            for name, text in files.items():
                password_file(self.broker.env, name).write_text(text)
        self.kept.append((now[0], texts))

    def check(self) -> None:
        """What the database says is confirmed must be so."""
        if self.broker.process is None:
            return
        with Control(self.broker.env) as control:
            found = control.clients()
        for account in BrokerAccount.objects.select_related("gate"):
            name = f"lyon/{account.gate.name}"
            if account.state == "cut-off":
                assert name not in found
            elif account.state == "ready":
                assert keeping.fits(account, name, found.get(name))

    def check_end(self) -> None:
        self.step("start", None)
        self.keeper.turn()
        assert self.keeper.trouble == ""
        with Control(self.broker.env) as control:
            clients, roles = control.clients(), control.roles()
        assert keeping.differences(self.broker.env, clients) == []
        wanted = {
            f"lyon/{name}" for name in BrokerAccount.objects.exclude(digest="").values_list("gate__name", flat=True)
        }
        assert clients.keys() - {"control", "lyon/collector"} == wanted
        assert roles.keys() == clients.keys()
        assert {one.state for one in BrokerAccount.objects.all()} <= {"ready", "cut-off"}
        for name, passwords in self.passwords.items():
            file = password_file(self.broker.env, name).read_text().strip()
            accepted = {password for password in passwords if self.greeting(name, password) == "Success"}
            assert accepted == ({file} if f"lyon/{name}" in wanted else set())

    def greeting(self, name: str, password: str) -> str:
        client = self.broker.connection(f"lyon/{name}", password)
        client.close()
        return client.greeting


@pytest.mark.parametrize("_round", range(20 if SOAK else 1))
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_the_broker_ends_with_the_accounts_of_the_database(broker, let_in, _round, steps):
    Gate.objects.all().delete()
    world = World(broker, let_in)
    world.step("start", None)
    world.keeper.turn()  # nothing is left of the example before
    for what, more in steps:
        world.step(what, more)
        if what != "put back":
            world.check()
    world.check_end()


def test_a_turn_that_is_killed_anywhere_is_finished_by_the_next_one(broker, let_in):
    """Each place once, in a turn that adds a gate, gives one new keys, and cuts one off."""
    for place in range(1, PLACES):
        world = World(broker, let_in)
        Gate.objects.all().delete()
        world.keeper.turn()
        for name in ("saw-1", "laser-1"):
            world.step("add", name)
        world.step("turn", None)
        for what, name in (("turn keys", "saw-1"), ("revoke", "laser-1"), ("add", "drill-1")):
            world.step(what, name)
        world.step("killed", place)
        world.check()
        world.check_end()
