"""Are the builds those of hardware/README.md, and does a gate take what they say?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from fabgate.collector.cli.arguments import machines
from fabgate.collector.members.machines import builds

HARDWARE = Path(__file__).parents[4] / "hardware"
PLUG = {"host": "192.168.1.40", "device_id": "shellyplugsg3-8cbfeaa03350"}


def documented() -> dict[str, object]:
    """Return the sections of gate.yaml on the page, by the name of their build."""
    page = (HARDWARE / "README.md").read_text("utf-8").partition("## gate.yaml\n")[2]
    return {
        title.lower(): yaml.safe_load(text)
        for title, text in re.findall(r"^(\w+)[^\n]*:\n```yaml\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    }


def test_each_build_is_there_with_its_wires():
    drawn = {path.stem for path in (HARDWARE / "builds").glob("*.yaml")} - {"board", "layout", "options", "parts"}
    assert drawn | {builds.EMULATED} == builds.BUILDS.keys() == set(machines.BUILDS)
    wanted = documented()
    assert wanted.keys() == {"bench", "standard", "plug"}
    for name in drawn:
        values = PLUG if name == builds.PLUG else {}
        assert yaml.safe_load(builds.sections(name, values)) == wanted["standard" if "phases" in name else name], name


@pytest.mark.parametrize("host", ["plug.lan", "192.168.1.400", "1.2.3", '1.2.3.4", x: "', ""])
def test_the_address_of_a_plug_is_an_address(host):
    assert builds.mistakes("plug", PLUG | {"host": host})
    assert not builds.mistakes("plug", PLUG)
