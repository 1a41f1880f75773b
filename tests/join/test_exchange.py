"""Do both sides agree only if both know the code, and can nobody else read or prove anything?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabgate.errors import SealError, UsageError
from fabgate.join import exchange, messages
from fabgate.join.code import Code
from fabgate.join.exchange import Agreement, Begun, Proof, Sender

CODE = Code("K7", "QF2M9X4T")
EXCHANGE = "0" * 32
#: A message of a gate: the point of Ed25519 from which all others are made.
RIGHT = b"A" + b"\x58" + b"\x66" * 31


def agreed(gate: Code = CODE, collector: Code = CODE, named: str = EXCHANGE) -> tuple[Agreement, Agreement]:
    """Return what the gate and the collector have after an exchange."""
    begun = Begun(gate)
    answer, theirs = exchange.answer(collector, named, begun.message)
    return begun.agreement(EXCHANGE, answer), theirs


def test_with_one_code_both_have_the_same():
    gate, collector = agreed()
    assert gate == collector
    for proof in Proof:
        assert collector.proves(proof, gate.proof(proof))
    for sender in Sender:
        assert collector.open(sender, gate.seal(sender, b"a token")) == b"a token"


def test_each_exchange_has_another_key():
    assert agreed()[0] != agreed()[0]


@pytest.mark.parametrize(
    ("gate", "collector", "named"),
    [
        (Code("K7", "QF2M9X4V"), CODE, EXCHANGE),
        (Code("K8", "QF2M9X4T"), CODE, EXCHANGE),
        (CODE, CODE, "0" * 31 + "1"),
    ],
)
def test_with_another_code_name_or_exchange_nothing_fits(gate, collector, named):
    theirs, ours = agreed(gate, collector, named)
    for proof in Proof:
        assert not ours.proves(proof, theirs.proof(proof))
    for sender in Sender:
        with pytest.raises(SealError):
            ours.open(sender, theirs.seal(sender, b"a token"))


def test_a_proof_says_one_thing_only():
    gate, collector = agreed()
    for said in Proof:
        assert [proof for proof in Proof if collector.proves(proof, gate.proof(said))] == [said]
    assert not collector.proves(Proof.GATE_AGREES, "é" * 64)


def test_what_one_side_sealed_cannot_be_sent_back_to_it():
    gate, collector = agreed()
    with pytest.raises(SealError):
        gate.open(Sender.COLLECTOR, gate.seal(Sender.GATE, b"a token"))
    with pytest.raises(SealError):
        collector.open(Sender.GATE, "é")


@settings(max_examples=50)
@given(st.data())
def test_a_changed_content_is_refused(data):
    gate = Agreement(b"k" * 32)
    sealed = gate.seal(Sender.GATE, b"a token")
    place = data.draw(st.integers(0, len(sealed.rstrip("=")) - 2))
    other = "B" if sealed[place] == "A" else "A"
    with pytest.raises(SealError):
        gate.open(Sender.GATE, sealed[:place] + other + sealed[place + 1 :])


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"A",
        b"A" + bytes(32),
        b"A" + b"\1" + bytes(31),  # the neutral element
        b"A" + b"\2" + bytes(31),  # no point of the curve
        b"A" + b"\xff" * 32,
        b"S" + RIGHT[1:],
        b"B" + RIGHT[1:],
        RIGHT + b"\0",
        RIGHT[:-1],
    ],
)
def test_what_is_no_message_of_a_gate_is_refused(message):
    assert len(exchange.answer(CODE, EXCHANGE, RIGHT)[0]) == exchange.MESSAGE_BYTES
    with pytest.raises(UsageError, match="something else than a message of SPAKE2"):
        exchange.answer(CODE, EXCHANGE, message)


@pytest.mark.parametrize("side", [b"A", b"B"])
def test_a_gate_refuses_its_own_message_as_the_answer(side):
    begun = Begun(CODE)
    with pytest.raises(UsageError, match="something else than a message of SPAKE2"):
        begun.agreement(EXCHANGE, side + begun.message[1:])


def test_no_secret_is_shown_by_accident():
    assert repr(Agreement(b"secret")) == "Agreement()"


def test_messages_are_read_as_they_were_written_and_others_refused():
    begin = messages.Begin("K7", Begun(CODE).message)
    assert messages.decode(messages.encode(begin), messages.Begin) == begin
    long = b" " * messages.MAX_BYTES + messages.encode(begin)
    for body in (b"", b"{}", b"\xff", b'{"code":"k7","message":""}', long):
        with pytest.raises(UsageError, match="found a message"):
            messages.decode(body, messages.Begin)


def test_the_keys_are_those_of_decision_148():
    """A gate and a collector of different versions agree, so these values never change."""
    agreement = exchange._agreement("K7", EXCHANGE, b"A" + bytes(32), b"B" + bytes(32), bytes(range(32)))
    assert agreement.secret.hex() == "3fadf039b9558d334402286aa2283b1151b85e612e8b66035a90b2daba2d384c"
    assert agreement.proof(Proof.GATE_AGREES) == "f312af0a253e93cd75c57ab37d6a121098e1bc836af5781e77dd9835d42f6669"
    assert agreement.derived(Sender.GATE).hex() == "7c490cc6378a3ffadc0de4648f0cdd7ae3ca385cdc9c70fd6580ca80dfd7107f"
