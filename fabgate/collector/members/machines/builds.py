"""The builds of hardware/README.md: what a gate.yaml says of the wires of each.

tests/collector/members/machines/test_builds.py compares them with that page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from fabgate.errors import UsageError

_BENCH: Final = """\
reader: {driver: mfrc522}
output: {driver: gpio, pin: 17, readback_pin: 27, readback_closed: high}
inputs: {stop_pin: 22}
panel: [{driver: lights}]
"""
_STANDARD: Final = """\
reader: {driver: mfrc522}
output: {driver: gpio, pin: 17, readback_pin: 27, readback_closed: high}
inputs: {stop_pin: 22, estop_pin: 23, running_pin: 24, flag_pin: 16}
panel: [{driver: lights}, {driver: oled}, {driver: buzzer}]
"""
_PLUG: Final = """\
reader: {driver: mfrc522}
output: {driver: shelly, host: PLUG_HOST, device_id: PLUG_ID, password_file: /etc/fabgate/plug.password}
panel: [{driver: lights}, {driver: oled}, {driver: buzzer, buzzer: passive}]
"""
_EMULATED: Final = """\
demo: true   # nothing is wired: anybody on this computer can tap any badge
reader: {driver: simulated, control_socket: /run/fabgate/reader.sock}
output: {driver: memory}
panel: {driver: log}
"""
EMULATED: Final = "emulated"
PLUG: Final = "plug"
BUILDS: Final[Mapping[str, str]] = {
    "bench": _BENCH,
    "standard": _STANDARD,
    "three-phases": _STANDARD,
    "three-phases-no-neutral": _STANDARD,
    PLUG: _PLUG,
    EMULATED: _EMULATED,
}
#: The values of a plug that the build does not say, as its driver needs them (drivers/outputs/shelly.py).
PLUG_VALUES: Final = {
    "host": re.compile(r"((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?!$)|$)){4}"),
    "device_id": re.compile(r"shelly[a-z0-9]+-[0-9a-f]{12}"),
}


def mistakes(build: str, values: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a build and its values; one text for each."""
    if build not in BUILDS:
        return [f"found the build '{build}', wanted one of {', '.join(BUILDS)}"]
    wanted = PLUG_VALUES if build == PLUG else {}
    wrong = [
        f"found no usable {name} of the plug, wanted it as its page shows it (docs/outputs)"
        for name, form in wanted.items()
        if not form.fullmatch(values.get(name, ""))
    ]
    return wrong + [f"found a {name} for the build '{build}', which has none" for name in values if name not in wanted]


def sections(build: str, values: Mapping[str, str]) -> str:
    """Return the lines of gate.yaml. Raises UsageError for a build or values that cannot be."""
    if wrong := mistakes(build, values):
        raise UsageError("\n".join(wrong))
    text = BUILDS[build]
    for name, place in (("host", "PLUG_HOST"), ("device_id", "PLUG_ID")):
        text = text.replace(place, json.dumps(values.get(name, "")))
    return text
