"""Is a broker found that takes larger packets than our clients?"""

from __future__ import annotations

from pathlib import Path

import pytest

from fabgate.mqtt.client import BROKER_PACKET_BYTES, new_client
from fabgate.mqtt.rights import Rights, try_rights
from tests.support.mosquitto import mosquitto


@pytest.mark.parametrize(("found", "said"), [(None, "any size"), (BROKER_PACKET_BYTES + 1, "69633 bytes")])
def test_larger_packets_are_a_problem(found, said):
    assert f"the broker accepts packets of {said}" in Rights(packet_bytes=found).packet_trouble


@pytest.mark.parametrize("found", [BROKER_PACKET_BYTES, 1_000])
def test_packets_as_ours_and_smaller_ones_are_none(found):
    assert Rights(packet_bytes=found).packet_trouble == ""


@pytest.mark.broker
@pytest.mark.parametrize(("lines", "wanted"), [((), None), (("max_packet_size 69632",), BROKER_PACKET_BYTES)])
def test_a_real_broker_says_what_it_takes(tmp_path: Path, lines, wanted):
    with mosquitto(tmp_path / "broker", lines=lines) as broker:
        found = try_rights(new_client(""), "127.0.0.1", broker.port, publish=["a"], subscribe=["b"])
    assert found.packet_bytes == wanted
