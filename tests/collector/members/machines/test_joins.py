"""Does a gate join with a code, once, and only if it knows the code?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from fabgate.collector.ground.models import (
    BrokerAccount,
    Change,
    FetchingBoot,
    FormerToken,
    Gate,
    JoinAttempt,
    JoinCode,
    Machine,
)
from fabgate.collector.members.machines import enrol_gate, joins
from fabgate.collector.members.machines.enrol_gate import NewMachine
from fabgate.collector.members.machines.keys import clones, revoke_gate
from fabgate.collector.recording.broker.accounts.passwords import Digest
from fabgate.errors import UsageError
from fabgate.gate.config import gate_yaml
from fabgate.join import messages
from fabgate.seal import Keys
from tests.collector.join.joining import OFFER, Joining, new_code

pytestmark = pytest.mark.usefixtures("env")


def other_than(code: JoinCode) -> str:
    """Return a code of the same name that a person could have typed wrongly."""
    return f"{code.name}{code.secret[:-1]}{'A' if code.secret[-1] != 'A' else 'B'}"


def pass_time(code: JoinCode, by: timedelta) -> None:
    """Make a code older, and what happened with it."""
    JoinCode.objects.filter(pk=code.pk).update(made_at=code.made_at - by)
    for attempt in code.attempts.all():
        attempt.at -= by
        attempt.agreed_at = attempt.agreed_at and attempt.agreed_at - by
        attempt.save()


def test_a_gate_joins_and_is_valid_from_its_last_step_on(env):
    gate = Joining(joins.text_of(new_code()))
    assert (gate.begin(), gate.agree()) == (200, 200)
    assert not Gate.objects.exists()
    assert not env.gate_directory("saw-1").exists()
    assert gate.finish() == 200
    row = Gate.by_token("saw-1", OFFER.token)
    assert row is not None
    assert str(row.machine) == "saw"
    assert (env.gate_directory("saw-1") / "seal.keys").read_text() == gate.identity.seal_keys
    assert gate.identity.badge_keys == env.badge_key_file.read_text()
    assert len(next(iter(Keys.parse(gate.identity.seal_keys).by_id.values()))) == 32


def test_the_log_has_who_made_the_code_and_who_joined_from_where_and_no_secret():
    code = new_code()
    gate = Joining(joins.text_of(code))
    gate.join()
    made, joined = Change.objects.get(verb="gate.join-code"), Change.objects.get(verb="gate.let-in")
    assert (made.actor, made.key, made.reason) == ("maya", "saw-1", "machine saw, build standard")
    assert joined.actor == "maya"
    assert joined.reason == f"joined with the code {code.name} from 192.168.1.20, serial number {OFFER.serial}"
    everything = str(list(Change.objects.values()))
    for secret in (code.secret, OFFER.token, OFFER.broker_password, gate.agreement.secret.hex()):
        assert secret not in everything


def test_the_machine_is_made_with_its_preset():
    new_code(new_machine=NewMachine("Bandsaw", "saw"))
    gate = Joining(joins.text_of(JoinCode.objects.get()))
    gate.join()
    machine = Machine.objects.get()
    assert (machine.title, machine.preset) == ("Bandsaw", "saw")
    assert gate.identity.machine == "Bandsaw"


def test_what_the_gate_gets_is_a_gate_yaml_with_which_it_starts(tmp_path):
    gate = Joining(joins.text_of(new_code(build="emulated")))
    gate.join()
    folder = tmp_path / messages.folder("saw-1", gate.exchange)
    folder.mkdir()
    for name, text in (
        (messages.TOKEN, OFFER.token),
        (messages.SEAL_KEYS, gate.identity.seal_keys),
        (messages.BADGE_KEYS, gate.identity.badge_keys),
        (messages.PASSWORD, OFFER.broker_password),
    ):
        (folder / name).write_text(text)
    (tmp_path / "gate.yaml").write_text(gate.identity.gate_yaml)
    config = gate_yaml.load(tmp_path / "gate.yaml")
    assert config.topics.account == f"{gate.identity.site}/saw-1"
    assert config.roster.url == "https://collector.lan"


# --- wrong codes ------------------------------------------------------------------------------------------------------


def test_the_fifth_wrong_code_closes_it(env):
    code = new_code()
    said = []
    for _ in range(5):
        gate = Joining(other_than(code), address="192.168.1.66")
        assert (gate.begin(), gate.agree()) == (200, 403)
        said.append(gate.said.strip())
    assert said[0].endswith("4 more attempts are left")
    assert "closed" in said[4]
    right = Joining(joins.text_of(code))
    assert right.begin() == 403
    assert "closed after 5 attempts" in right.said
    assert set(code.attempts.values_list("address", "state")) == {("192.168.1.66", JoinAttempt.WRONG)}
    assert not Gate.objects.exists()


def test_the_right_code_is_taken_at_the_fifth_attempt():
    code = new_code()
    for _ in range(4):
        Joining(other_than(code)).begin()
    assert Joining(joins.text_of(code)).join() == [200, 200, 200]


def test_an_attempt_counts_when_it_begins_whatever_follows():
    code = new_code()
    for _ in range(5):
        assert Joining(joins.text_of(code)).begin() == 200
    assert Joining(joins.text_of(code)).begin() == 403


def test_an_attempt_has_one_guess():
    gate = Joining(joins.text_of(new_code()))
    gate.begin()
    assert gate.agree(proof="0" * 64) == 403
    assert gate.agree() == 403
    assert gate.finish() == 403


def test_a_wrong_proof_of_another_does_not_end_what_was_agreed():
    gate = Joining(joins.text_of(new_code()))
    gate.begin()
    gate.agree()
    assert gate.agree(proof="0" * 64) == 403
    assert gate.finish(proof="0" * 64) == 403
    assert (gate.agree(), gate.finish()) == (200, 200)


def test_nothing_finishes_that_was_not_agreed():
    gate = Joining(joins.text_of(new_code()))
    gate.begin()
    assert gate.finish() == 403
    assert not Gate.objects.exists()


# --- each step again --------------------------------------------------------------------------------------------------


def test_each_step_is_repeated_with_the_same_result(env):
    gate = Joining(joins.text_of(new_code()))
    gate.begin()
    gate.agree()
    first = gate.identity
    assert (gate.agree(), gate.finish(), gate.finish(), gate.agree()) == (200, 200, 200, 200)
    assert gate.identity == first
    assert Change.objects.filter(verb="gate.let-in").count() == 1


def test_a_finish_whose_files_were_lost_in_a_kill_makes_them(env):
    gate = Joining(joins.text_of(new_code()))
    gate.join()
    file = env.gate_directory("saw-1") / "seal.keys"
    file.write_text("another one")
    assert gate.finish() == 200
    assert file.read_text() == gate.identity.seal_keys


def test_a_finish_that_is_repeated_ends_no_token(env):
    gate = Joining(joins.text_of(new_code()))
    gate.join()
    clones.fetched(Gate.objects.get(), "boot", "192.168.1.20", datetime.now(UTC))
    (env.gate_directory("saw-1") / "seal.keys").unlink()
    assert gate.finish() == 200
    assert FetchingBoot.objects.exists()
    assert not FormerToken.objects.exists()


def test_a_finish_that_fails_in_the_middle_leaves_nothing_and_is_repeated(env, monkeypatch):
    gate = Joining(joins.text_of(new_code()))
    gate.begin()
    gate.agree()
    with monkeypatch.context() as patched:
        patched.setattr(enrol_gate, "write_secret", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            gate.finish()
    assert not Gate.objects.exists()
    assert JoinAttempt.objects.get().state == JoinAttempt.AGREED
    assert gate.finish() == 200


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_code_is_valid_for_fifteen_minutes():
    code = new_code()
    begun = Joining(joins.text_of(code))
    begun.begin()
    pass_time(code, timedelta(minutes=15, seconds=1))
    late = Joining(joins.text_of(code))
    assert late.begin() == 404
    assert "no longer valid" in late.said
    assert begun.agree() == 404


def test_what_was_agreed_is_repeated_for_a_day():
    code = new_code()
    gate = Joining(joins.text_of(code))
    gate.begin()
    gate.agree()
    pass_time(code, timedelta(hours=23))
    assert (gate.agree(), gate.finish()) == (200, 200)
    pass_time(code, timedelta(hours=2))
    assert (gate.agree(), gate.finish()) == (404, 404)


def test_old_codes_are_deleted_with_their_attempts():
    code, now = new_code(), datetime.now(UTC)
    Joining(joins.text_of(code)).begin()
    assert JoinCode.forget_old(now + timedelta(hours=24)) == 0
    assert JoinCode.forget_old(now + timedelta(hours=24, minutes=16)) == 1
    assert not JoinAttempt.objects.exists()


# --- two gates, and gates that exist ----------------------------------------------------------------------------------


def test_of_two_gates_with_one_code_the_second_is_refused_by_name():
    code = new_code()
    first, second = Joining(joins.text_of(code)), Joining(joins.text_of(code), address="192.168.1.21")
    first.begin()
    second.begin()
    assert first.agree() == 200
    assert second.agree() == 409
    assert "used for the gate saw-1 already, from 192.168.1.20" in second.said
    assert (second.finish(), first.finish()) == (403, 200)
    assert Joining(joins.text_of(code)).begin() == 409


def test_a_gate_that_exists_is_replaced_only_if_the_code_says_so(env, gate):
    with pytest.raises(UsageError, match="already exists"):
        new_code(gate.name, "laser")
    before = (env.gate_directory(gate.name) / "token").read_text().strip()
    joining = Joining(joins.text_of(new_code(gate.name, "laser", replaces=True)))
    assert (joining.begin(), joining.agree()) == (200, 200)
    assert Gate.by_token(gate.name, before) is not None
    assert joining.finish() == 200
    assert Gate.by_token(gate.name, before) is None
    assert Gate.by_token(gate.name, OFFER.token) is not None


def test_a_gate_that_was_added_in_another_way_meanwhile_is_not_replaced(env):
    joining = Joining(joins.text_of(new_code()))
    joining.begin()
    token = enrol_gate.enrol("saw-1", "saw", actor="eve").texts["token"].strip()
    assert joining.agree() == 409
    assert Gate.by_token("saw-1", token) is not None


def test_a_gate_that_was_added_before_the_last_step_is_not_replaced(env):
    joining = Joining(joins.text_of(new_code()))
    joining.begin()
    joining.agree()
    token = enrol_gate.enrol("saw-1", "saw", actor="eve").texts["token"].strip()
    assert joining.finish() == 409
    assert Gate.by_token("saw-1", token) is not None


def test_an_earlier_join_cannot_take_back_a_gate(env):
    first = Joining(joins.text_of(new_code()))
    first.join()
    second = Joining(
        joins.text_of(new_code(replaces=True)), offer=messages.Offer("u" * 43, "q" * 48, "10000000abcdef02")
    )
    assert second.join() == [200, 200, 200]
    assert first.finish() == 409
    assert Gate.by_token("saw-1", "u" * 43) is not None
    assert (env.gate_directory("saw-1") / "seal.keys").read_text() == second.identity.seal_keys


def test_a_new_code_for_a_gate_ends_the_one_before():
    first = Joining(joins.text_of(new_code()))
    first.begin()
    first.agree()
    new_code()
    assert first.finish() == 404


# --- what is no join --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "machine", "more"),
    [
        ("Saw 1", "saw", {}),
        ("saw-1", "calendar", {}),
        ("saw-1", "saw", {"build": "none"}),
        ("saw-1", "saw", {"build": "plug"}),
        ("saw-1", "saw", {"build_values": {"host": "192.168.1.40"}}),
        ("saw-1", "saw", {"new_machine": NewMachine(preset="none")}),
    ],
)
def test_a_code_for_what_cannot_be_is_not_made(gate, machine, more):
    with pytest.raises(UsageError):
        new_code(gate, machine, **more)
    assert not JoinCode.objects.exists()


@pytest.mark.parametrize("path", [messages.BEGIN, messages.AGREE, messages.FINISH])
def test_another_request_is_refused(path):
    assert Client().get(path).status_code == 405
    for body in (b"", b"{}", b"[]", b"\xff\xfe", b" " * (messages.MAX_BYTES + 1)):
        answer = Client().post(path, body, content_type="application/json")
        assert (answer.status_code, answer["Content-Type"]) == (400, "text/plain; charset=utf-8")


def test_an_unknown_code_and_an_unknown_exchange_are_refused():
    assert Joining("ZZ00-0000-00").begin() == 404
    gate = Joining(joins.text_of(new_code()))
    gate.exchange = "0" * 32
    assert (gate.agree(), gate.finish()) == (404, 404)


def test_an_offer_that_cannot_be_used_is_refused():
    gate = Joining(joins.text_of(new_code()), offer=messages.Offer("short", "p" * 48))
    gate.begin()
    assert gate.agree() == 400
    assert JoinAttempt.objects.get().state == JoinAttempt.BEGUN


def test_a_step_that_is_repeated_while_the_gate_gets_other_keys_takes_nothing_back(env, monkeypatch):
    """The repetition may look before the other change, and act after it."""
    first = Joining(joins.text_of(new_code()))
    first.join()
    looked = enrol_gate.has_files

    def look(*which: object) -> bool:
        monkeypatch.setattr(enrol_gate, "has_files", looked)
        enrol_gate.enrol("saw-1", "saw", actor="eve", new_token=True)
        return looked(*which)  # type: ignore[arg-type]

    monkeypatch.setattr(enrol_gate, "has_files", look)
    token = Gate.objects.get().token_hash
    assert first.finish() == 409
    assert Gate.objects.get().token_hash != token
    assert Gate.by_token("saw-1", OFFER.token) is None


def test_a_code_that_is_made_while_a_gate_finishes_ends_that_one(env, monkeypatch):
    gate = Joining(joins.text_of(new_code()))
    gate.begin()
    gate.agree()
    looked = Gate.by_token

    def look(*which: str) -> Gate | None:
        monkeypatch.setattr(Gate, "by_token", looked)
        new_code()
        return looked(*which)

    monkeypatch.setattr(Gate, "by_token", look)
    assert gate.finish() == 404
    assert not Gate.objects.exists()


# --- the account at the broker ----------------------------------------------------------------------------------------


@pytest.fixture
def own_broker(env, monkeypatch, tmp_path):
    found = replace(env, broker_control=tmp_path / "socket")
    monkeypatch.setattr(settings, "ENVIRONMENT", found)
    return found


def test_the_account_at_the_collectors_own_broker_has_the_password_of_the_gate(own_broker):
    gate = Joining(joins.text_of(new_code()))
    gate.begin()
    gate.agree()
    assert not BrokerAccount.objects.exists()
    assert gate.finish() == 200
    account = BrokerAccount.objects.get(gate__name="saw-1")
    assert Digest(account.salt, account.digest, account.iterations).is_of(OFFER.broker_password)
    assert (own_broker.gate_directory("saw-1") / "mqtt.password").read_text() == f"{OFFER.broker_password}\n"
    assert gate.identity.broker_step == ""


def test_a_gate_that_was_revoked_does_not_come_back_by_its_last_step(own_broker):
    gate = Joining(joins.text_of(new_code()))
    gate.join()
    revoke_gate.revoke("saw-1", actor="eve")
    assert gate.finish() == 409
    assert Gate.by_token("saw-1", OFFER.token) is None


def test_a_code_from_before_a_gate_was_revoked_does_not_bring_it_back(own_broker):
    Joining(joins.text_of(new_code())).join()
    stolen = Joining(joins.text_of(new_code(replaces=True)), offer=messages.Offer("u" * 43, "q" * 48))
    revoke_gate.revoke("saw-1", actor="eve")
    assert stolen.begin() == 404
    assert not Gate.objects.get().token_hash


@pytest.mark.parametrize("steps", [1, 2])
def test_an_exchange_that_began_before_a_gate_was_revoked_does_not_bring_it_back(own_broker, steps):
    Joining(joins.text_of(new_code())).join()
    stolen = Joining(joins.text_of(new_code(replaces=True)), offer=messages.Offer("u" * 43, "q" * 48))
    assert [stolen.begin(), stolen.agree()][:steps] == [200] * steps
    revoke_gate.revoke("saw-1", actor="eve")
    assert (stolen.begin(), stolen.agree(), stolen.finish()) == (404, 404, 404)
    assert not Gate.objects.get().token_hash
    assert BrokerAccount.objects.get().digest == ""


def test_a_gate_that_is_revoked_while_it_finishes_does_not_come_back(own_broker, monkeypatch):
    """The step has read its attempt when the gate is revoked."""
    Joining(joins.text_of(new_code())).join()
    stolen = Joining(joins.text_of(new_code(replaces=True)), offer=messages.Offer("u" * 43, "q" * 48))
    assert [stolen.begin(), stolen.agree()] == [200, 200]
    enrol = enrol_gate.enrol

    def revoke_first(*args: Any, **named: Any) -> Any:
        revoke_gate.revoke("saw-1", actor="eve")
        return enrol(*args, **named)

    monkeypatch.setattr(enrol_gate, "enrol", revoke_first)
    assert (stolen.finish(), stolen.said.strip()) == (
        404,
        "this code is no longer valid; make a new one on the collector's page",
    )
    assert not Gate.objects.get().token_hash


def test_codes_of_other_gates_stay_when_one_is_revoked(own_broker):
    Joining(joins.text_of(new_code())).join()
    other = new_code("drill-1", "drill")
    revoke_gate.revoke("saw-1", actor="eve")
    assert Joining(joins.text_of(other)).join() == [200, 200, 200]


def test_a_gate_that_was_revoked_joins_again_with_a_new_code(own_broker):
    Joining(joins.text_of(new_code())).join()
    revoke_gate.revoke("saw-1", actor="eve")
    again = Joining(joins.text_of(new_code()), offer=messages.Offer("u" * 43, "q" * 48))
    assert again.join() == [200, 200, 200]
    assert Gate.by_token("saw-1", "u" * 43) is not None
