"""Is what stands beside a message read as paho would read it, whatever it is?"""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties, VariableByteIntegers

from fabgate import wire
from fabgate.mqtt import properties as module
from fabgate.mqtt.properties import packer

PAHO = module._unpack_of_paho  # whatever this process has made of Properties.unpack
PRIVATE = {"packetType", "types", "names", "properties"}
TEXTS = st.one_of(st.text("abcdef0123456789-", max_size=40), st.text(max_size=6))


def read(unpack, buffer: bytes, kind: int = PacketTypes.PUBLISH) -> tuple:
    """What becomes of it: what was found and how long it was, or which error."""
    properties = Properties(kind)
    try:
        same, length = unpack(properties, buffer)
    except Exception as error:  # noqa: BLE001 (which one is what is compared)
        return type(error), str(error)
    assert same is properties
    return {name: value for name, value in vars(properties).items() if name not in PRIVATE}, length


def packed(content_type: str | None, pairs: list[tuple[str, str]], expiry_s: int | None) -> bytes:
    properties = Properties(PacketTypes.PUBLISH)
    if content_type is not None:
        properties.ContentType = content_type
    if pairs:
        properties.UserProperty = pairs
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    return properties.pack()


@given(
    content_type=st.none() | TEXTS,
    pairs=st.lists(st.tuples(TEXTS, TEXTS), max_size=4),
    expiry_s=st.none() | st.integers(0, 100),
    payload=st.binary(max_size=8),
)
def test_whatever_stands_there_is_read_as_paho_reads_it(content_type, pairs, expiry_s, payload):
    buffer = packed(content_type, pairs, expiry_s) + payload
    assert_like_paho(buffer, PacketTypes.PUBLISH)


@given(st.binary(max_size=40), st.sampled_from([PacketTypes.PUBLISH, PacketTypes.CONNACK, PacketTypes.PUBACK]))
@example(b"", PacketTypes.PUBLISH)
@example(b"\x00", PacketTypes.PUBLISH)
@example(b"\x05\x03\x00\x01a", PacketTypes.PUBLISH)  # shorter than it says
@example(b"\x03\x03\x00\x01a", PacketTypes.PUBLISH)  # a text beyond the end
@example(b"\x02\x03\x00", PacketTypes.PUBLISH)
@example(b"\x01\x26", PacketTypes.PUBLISH)
@example(b"\x08\x03\x00\x01a\x03\x00\x01b", PacketTypes.PUBLISH)  # twice what may be there once
@example(b"\x04\x03\x00\x01\x00", PacketTypes.PUBLISH)  # a NUL
@example(b"\x04\x1f\x00\x01a", PacketTypes.PUBACK)  # of another packet
@example(b"\x04\x03\x00\x01a", PacketTypes.PUBACK)
def test_nonsense_is_refused_as_paho_refuses_it_or_left_out(buffer, kind):
    assert_like_paho(buffer, kind)


@given(st.binary(max_size=30))
def test_a_broken_block_is_left_out(noise):
    whole = packer("0f" * 16)(4711).pack()
    for place in range(0, len(whole), 5):
        buffer = whole[:place] + noise + whole[place + len(noise) :]
        assert_like_paho(buffer, PacketTypes.PUBLISH)


@pytest.mark.parametrize("text", ["\ufeff", "a\ufeffb", "\x01", "\ufffe"])
def test_a_text_that_a_broker_lets_through_and_paho_refuses_costs_the_message_its_properties_only(text):
    raw = text.encode()
    block = b"\x26\x00\x07journal" + len(raw).to_bytes(2, "big") + raw
    buffer = bytes((len(block),)) + block + b"the entry"
    found, length = read(module.unpack, buffer)
    assert length == 1 + len(block)
    assert found in ({}, {"UserProperty": [("journal", text)]})


def assert_like_paho(buffer: bytes, kind: int) -> None:
    """What paho reads, we read alike. What it refuses in a message is left out, if it is known where it ends."""
    ours, theirs = read(module.unpack, buffer, kind), read(PAHO, buffer, kind)
    if isinstance(theirs[0], dict) or kind != PacketTypes.PUBLISH:
        assert ours == theirs
    elif isinstance(ours[0], dict):
        length, taken = VariableByteIntegers.decode(buffer)
        assert ours == ({}, length + taken)
        assert ours[1] <= len(buffer)
    else:
        assert ours == theirs


def test_what_was_read_before_is_forgotten():
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "before"
    module.unpack(properties, packer("0f" * 16)(7).pack())
    module.unpack(properties, packer("0e" * 16)(8).pack())
    assert properties.ContentType == wire.CONTENT_TYPE
    assert dict(properties.UserProperty) == {wire.PROP_JOURNAL: "0e" * 16, wire.PROP_SEQ: "8"}


def test_an_entry_never_needs_paho(monkeypatch):
    monkeypatch.setattr(module, "_unpack_of_paho", None)
    found, length = read(module.unpack, packer("0f" * 16)(4711).pack() + b"the entry")
    assert dict(found["UserProperty"]) == {wire.PROP_JOURNAL: "0f" * 16, wire.PROP_SEQ: "4711"}
    assert length == len(packer("0f" * 16)(4711).pack())


def test_paho_reads_by_it_only_where_it_was_told_to():
    code = (
        "from paho.mqtt.properties import Properties as P; before = P.unpack; from fabgate.mqtt import properties as module;"
        " assert P.unpack is before; module.read_quickly(); assert P.unpack is module.unpack"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
