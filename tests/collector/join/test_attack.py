"""Can somebody in the network join, learn a secret, or leave half a gate? The attacker knows decision 148, not the code."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate.collector.ground.models import Gate, JoinAttempt, JoinCode
from fabgate.collector.members.machines import joins
from fabgate.errors import FabgateError, SealError, UsageError
from fabgate.gate.config import gate_yaml
from fabgate.gate.joining import steps
from fabgate.gate.joining.files import Files
from fabgate.gate.joining.requests import RefusedError
from fabgate.join import code as codes
from tests.collector.join import attacker
from tests.collector.join.attacker import Keys, Side
from tests.collector.join.joining import new_code
from tests.collector.join.lines import Line

pytestmark = pytest.mark.usefixtures("env")
ADDRESS = "https://collector.lan"
BEGIN, AGREE, FINISH = (f"/api/v1/join/{step}" for step in ("begin", "agree", "finish"))
OFFER = {"token": "t" * 43, "broker_password": "p" * 43, "serial": "1", "version": "1"}
GUESSES = ["00000000", "QF2M9X4T", "ZZZZZZZZ"]
Post = Callable[[str, bytes], tuple[int, bytes]]


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(tmp_path / "pi" / "gate.yaml")


def joined_by(post: Post, files: Files, code: JoinCode) -> Any:
    """Let our own gate join with the right code."""
    return steps.join(ADDRESS, post, files, ask_code=lambda: codes.parse(joins.text_of(code)))


def attempted(line: Line, name: str, guess: str) -> tuple[int, Keys, str, str]:
    """Join as a gate with a guess; return the status of the second answer, the keys, the exchange, and what was sealed."""
    side = Side(b"A", guess)
    status, body = line.post(BEGIN, attacker.asked(code=name, message=side.message))
    if status != 200:
        return status, Keys(b""), "", ""
    exchange = json.loads(body)["exchange"]
    keys = side.keys(name, exchange, attacker.message_in(body))
    sealed = keys.seal("gate seals", OFFER)
    status, body = line.post(AGREE, attacker.asked(exchange=exchange, proof=keys.proof("gate agrees"), sealed=sealed))
    return status, keys, exchange, json.loads(body)["sealed"] if status == 200 else ""


# --- the second implementation is one ---------------------------------------------------------------------------------


def test_with_the_right_code_it_joins():
    code, line = new_code(), Line()
    status, keys, exchange, sealed = attempted(line, code.name, code.secret)
    assert status == 200
    identity = keys.open("collector seals", sealed)
    assert identity["gate"] == "saw-1"
    kid, _, key = identity["seal_keys"].strip().partition(":")
    assert (kid, base64.b64decode(key)) == (f"s-{exchange[:8]}", keys.of("seal key"))
    status, body = line.post(FINISH, attacker.asked(exchange=exchange, proof=keys.proof("gate finishes")))
    assert (status, json.loads(body)["proof"]) == (200, keys.proof("collector finishes"))
    assert Gate.by_token("saw-1", OFFER["token"]) is not None


# --- wrong codes ------------------------------------------------------------------------------------------------------


def test_the_fifth_wrong_code_closes_it_also_for_guesses_at_once():
    code, line = new_code(), Line("192.168.1.66")
    sides = [Side(b"A", guess) for guess in (*GUESSES, "11111111", "22222222", code.secret)]
    begun = [line.post(BEGIN, attacker.asked(code=code.name, message=side.message)) for side in sides]
    assert [status for status, _body in begun] == [200, 200, 200, 200, 200, 403]
    for side, (_status, body) in zip(sides[:5], begun, strict=False):
        exchange = json.loads(body)["exchange"]
        keys = side.keys(code.name, exchange, attacker.message_in(body))
        status, said = line.post(
            AGREE,
            attacker.asked(exchange=exchange, proof=keys.proof("gate agrees"), sealed=keys.seal("gate seals", OFFER)),
        )
        assert status == 403
        assert b"proof" not in said
    assert attempted(line, code.name, code.secret)[0] == 403
    assert set(code.attempts.values_list("state", "address")) == {(JoinAttempt.WRONG, "192.168.1.66")}
    assert not Gate.objects.exists()


def test_an_answer_to_a_wrong_guess_tells_nothing_about_the_right_one():
    """The collector proves nothing before the gate has: there is nothing with which a code could be tried later."""
    code, line = new_code(), Line()
    attempted(line, code.name, GUESSES[0])
    assert [list(json.loads(body)) for path, body in line.answers if path == BEGIN] == [["exchange", "message"]]
    assert all(body.startswith(b"the code") for path, body in line.answers if path == AGREE)


# --- between both -----------------------------------------------------------------------------------------------------


class InTheMiddle:
    """Answers the gate in place of the collector, with a guess, as an attacker with a certificate of their own can do."""

    def __init__(self, guess: str) -> None:
        self.side = Side(b"B", guess)
        self.exchange = "e" * 32
        self.gate_yaml = "state_dir: state\n"
        self.heard: dict[str, Any] = {}

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.heard[path] = json.loads(body)
        if path == BEGIN:
            return 200, attacker.asked(exchange=self.exchange, message=self.side.message)
        keys = self.keys(self.side.guess)
        identity = {"site": "lyon", "gate": "evil", "machine": "x", "seal_keys": "", "badge_keys": ""}
        identity["gate_yaml"] = self.gate_yaml
        if path == AGREE:
            sealed = keys.seal("collector seals", identity)
            return 200, attacker.asked(proof=keys.proof("collector agrees"), sealed=sealed)
        return 200, attacker.asked(proof=keys.proof("collector finishes"))

    def keys(self, tried: str) -> Keys:
        begun = self.heard[BEGIN]
        return self.side.keys(begun["code"], self.exchange, base64.b64decode(begun["message"]), tried=tried)


def test_somebody_who_answers_with_the_right_code_is_believed(files):
    """Or the next test would show nothing."""
    code = new_code()
    identity = joined_by(InTheMiddle(code.secret).post, files, code)
    assert identity.gate == "evil"


@pytest.mark.parametrize("text", ["", "[]", "state_dir: 1", "site: lyon"])
def test_a_gate_yaml_that_is_none_is_not_written(files, text):
    code = new_code()
    middle = InTheMiddle(code.secret)
    middle.gate_yaml = text
    with pytest.raises(UsageError, match="without state_dir"):
        joined_by(middle.post, files, code)
    assert not files.config.exists()


def test_somebody_who_answers_without_the_code_has_one_guess_and_reads_nothing(files):
    code = new_code()
    middle = InTheMiddle(GUESSES[0])
    with pytest.raises(SealError, match="somebody who does not know the code"):
        joined_by(middle.post, files, code)
    heard = middle.heard[AGREE]
    for tried in (*GUESSES, code.secret):  # also the right one: it is too late for another guess
        keys = middle.keys(tried)
        assert heard["proof"] != keys.proof("gate agrees")
        assert keys.open("gate seals", heard["sealed"]) is None
    assert not files.config.exists()
    # The code is as good as before.
    assert joined_by(Line().post, files, code).gate == "saw-1"


def test_somebody_who_passes_all_on_reads_nothing(files):
    code, line = new_code(build="emulated"), Line()
    identity = joined_by(line.post, files, code)
    sent, got = (json.loads(body) for path, body in (*line.requests, *line.answers) if path == AGREE)
    for guess in (*GUESSES, code.secret):
        side = Side(b"B", guess)
        keys = side.keys(code.name, sent["exchange"], attacker.message_in(line.requests[0][1]))
        assert keys.open("gate seals", sent["sealed"]) is None
        assert keys.open("collector seals", got["sealed"]) is None
    everything = b"".join(body for _path, body in (*line.requests, *line.answers))
    for secret in (identity.seal_keys, identity.badge_keys, code.secret):
        assert secret.strip().encode() not in everything


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_changed_on_the_way_no_half_gate_is_left(data, tmp_path_factory):
    Gate.objects.all().delete()
    JoinCode.objects.all().delete()
    code, line = new_code(build="emulated"), Line()
    files = Files(tmp_path_factory.mktemp("pi") / "gate.yaml")
    place = data.draw(st.integers(0, 5))
    passed = [0]

    def changed(body: bytes) -> bytes:
        passed[0] += 1
        if passed[0] - 1 != place:
            return body
        at, byte = data.draw(st.integers(0, max(0, len(body) - 1))), data.draw(st.binary(min_size=0, max_size=3))
        return body[:at] + byte + body[at + 1 :]

    def post(path: str, body: bytes) -> tuple[int, bytes]:
        status, answer = line.post(path, changed(body))
        return status, changed(answer)

    try:
        joined_by(post, files, code)
    except FabgateError:
        _finish_by_hand(files)
    assert Gate.by_token("saw-1", _token(files)) is not None


def _finish_by_hand(files: Files) -> None:
    """Do what the messages ask of a person: run it again, and if that is refused make a new code."""
    for _ in range(4):
        code = JoinCode.objects.order_by("-pk").first()
        assert code is not None
        try:
            joined_by(Line().post, files, code)
        except RefusedError:
            if code.agreed is not None or code.is_closed:
                is_there = Gate.objects.exclude(token_hash="").exists()
                new_code(build="emulated", replaces=is_there)
        else:
            return
    pytest.fail("the gate does not join")


def _token(files: Files) -> str:
    config = gate_yaml.load(files.config)
    assert config.roster.token_file is not None
    return (files.folder / config.roster.token_file).read_text().strip()


# --- replay -----------------------------------------------------------------------------------------------------------


def test_a_join_that_is_sent_again_changes_nothing(files, env):
    code, line = new_code(build="emulated"), Line()
    joined_by(line.post, files, code)
    before = _state(env)
    again = Line("192.168.1.66")
    statuses = [again.post(path, body)[0] for path, body in line.requests]
    assert statuses == [409, 200, 200]  # only the side with the keys of that exchange can read the answers
    assert _state(env) == before
    assert again.answers[2] == line.answers[2]


def test_a_join_that_is_sent_again_for_another_code_is_refused(files, env):
    code, line = new_code(build="emulated"), Line()
    joined_by(line.post, files, code)
    other = new_code("mill-1", "mill")
    JoinCode.objects.filter(pk=code.pk).delete()
    JoinCode.objects.filter(pk=other.pk).update(name=code.name)
    before = _state(env)
    again = Line("192.168.1.66")
    assert [again.post(path, body)[0] for path, body in line.requests] == [200, 404, 404]
    assert _state(env) == before


def test_the_join_of_a_gate_that_was_replaced_gives_nothing_back(files, env, tmp_path):
    code, line = new_code(build="emulated"), Line()
    joined_by(line.post, files, code)
    joined_by(Line().post, Files(tmp_path / "new" / "gate.yaml"), new_code(build="emulated", replaces=True))
    before = _state(env)
    assert Line("192.168.1.66").post(*line.requests[2])[0] == 409
    assert _state(env) == before


def test_an_offer_of_another_exchange_is_refused():
    code, line = new_code(), Line()
    side = Side(b"A", code.secret)
    _status, body = line.post(BEGIN, attacker.asked(code=code.name, message=side.message))
    exchange = json.loads(body)["exchange"]
    keys = side.keys(code.name, exchange, attacker.message_in(body))
    other = Keys(b"k" * 32)
    for sealed in (other.seal("gate seals", OFFER), keys.seal("collector seals", OFFER), ""):
        status, _ = line.post(AGREE, attacker.asked(exchange=exchange, proof=keys.proof("gate agrees"), sealed=sealed))
        assert status == 400
    assert JoinAttempt.objects.get().state == JoinAttempt.BEGUN


def _state(env: Any) -> Any:
    folder = env.data / "gates"
    secrets = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return list(Gate.objects.values_list("name", "token_hash", "roster_version")), secrets


# --- two gates with one code ------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations([0, 0, 0, 1, 1, 1]))
def test_of_two_gates_one_joins_whatever_comes_first(order):
    Gate.objects.all().delete()
    JoinCode.objects.all().delete()
    code = new_code()
    gates = [_steps_of(code, f"{number}" * 43, f"192.168.1.{number}") for number in (1, 2)]
    seen: list[list[tuple[int, bytes]]] = [[], []]
    for one in order:
        seen[one].append(next(gates[one]))
    joined = [[status for status, _body in answers] == [200, 200, 200] for answers in seen]
    assert sorted(joined) == [False, True]
    winner, loser = joined.index(True), joined.index(False)
    assert f"used for the gate saw-1 already, from 192.168.1.{winner + 1}".encode() in b"".join(
        body for _status, body in seen[loser]
    )
    assert Gate.by_token("saw-1", f"{winner + 1}" * 43) is not None


def _steps_of(code: JoinCode, token: str, address: str) -> Any:
    """Yield the answer to each of three requests; one that was refused sends the next ones all the same."""
    line, side = Line(address), Side(b"A", code.secret)
    status, body = line.post(BEGIN, attacker.asked(code=code.name, message=side.message))
    yield status, body
    exchange = json.loads(body)["exchange"] if status == 200 else "0" * 32
    keys = side.keys(code.name, exchange, attacker.message_in(body)) if status == 200 else Keys(b"")
    sealed = keys.seal("gate seals", OFFER | {"token": token})
    yield line.post(AGREE, attacker.asked(exchange=exchange, proof=keys.proof("gate agrees"), sealed=sealed))
    yield line.post(FINISH, attacker.asked(exchange=exchange, proof=keys.proof("gate finishes")))
