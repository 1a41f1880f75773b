"""Is what stands beside an entry packed as paho would pack it?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fabgate import wire
from fabgate.mqtt.properties import packer


@given(journal=st.text("0123456789abcdef-", min_size=1, max_size=64), seq=st.integers(1, (1 << 63) - 1))
def test_it_is_what_paho_makes_of_the_same_properties(journal, seq):
    known = Properties(PacketTypes.PUBLISH)
    known.ContentType = wire.CONTENT_TYPE
    known.UserProperty = [(wire.PROP_JOURNAL, journal), (wire.PROP_SEQ, str(seq))]
    assert packer(journal)(seq).pack() == known.pack()


def test_paho_reads_it_back():
    packed = packer("0f" * 16)(4711).pack()
    found = Properties(PacketTypes.PUBLISH)
    found.unpack(packed)
    assert dict(found.UserProperty) == {wire.PROP_JOURNAL: "0f" * 16, wire.PROP_SEQ: "4711"}
    assert found.ContentType == wire.CONTENT_TYPE
