"""A gate with anything emulated switches nothing: every combination of real and emulated parts, against a rule of its own."""

from __future__ import annotations

import itertools

import pytest

from fabgate.errors import UsageError
from fabgate.gate.config.hardware import SIMULATED_OUTPUT
from tests.deploy.places import CONFIG, SYSTEMD

#: By kind of part: its line of gate.yaml, and whether it is emulated.
READERS = (
    ("reader: {driver: mfrc522}", False),
    ("reader: {driver: simulated, control_socket: s}", True),
    ("reader: [{driver: mfrc522}, {driver: simulated, control_socket: s}]", True),
    ("reader: {driver: mfrc522, chip: emulated, control_socket: s}", True),
)
PANELS = ((None, False), ("panel: [{driver: log}, {driver: oled, chip: emulated, i2c_socket: d}]", True))
METERS = ((None, False), ("meter: {driver: ads1115, chip: emulated, i2c_socket: m}", True))
CLOCKS = ((None, False), ("clock: {source: emulated}", True))
#: The line, and whether it can power a machine.
OUTPUTS = (
    ("output: {driver: gpio, pin: 17}", True),
    ("output: {driver: gpio, pin: 17, pins: real}", True),
    ("output: {driver: shelly, host: 192.168.1.40, device_id: shellyplugsg3-8cbfeaa03350, password_file: p}", True),
    ("output: {driver: shelly, host: 127.0.0.1, device_id: shellyplugsg3-8cbfeaa03350, password_file: p}", True),
    ("output: {driver: gpio, pin: 17, pins: emulated}", False),
    ("output: {driver: memory}", False),
)


@pytest.mark.parametrize("said", [None, "0", "yes", "1"])
@pytest.mark.parametrize(("output", "is_real"), OUTPUTS)
def test_a_real_output_is_refused_next_to_anything_emulated(load, folder, monkeypatch, output, is_real, said):
    (folder / "p").touch()
    monkeypatch.delenv(SIMULATED_OUTPUT, raising=False)
    if said is not None:
        monkeypatch.setenv(SIMULATED_OUTPUT, said)
    for parts in itertools.product(READERS, PANELS, METERS, CLOCKS):
        reader, panel, meter, clock = (line for line, _ in parts)
        lines = {"demo": "demo: true", "reader": reader, "panel": panel, "meter": meter, "clock": clock}
        if not (is_real and any(emulated for _, emulated in parts) and said != "1"):
            load(**lines, output=output)
            continue
        with pytest.raises(UsageError, match="output: found the real output") as caught:
            load(**lines, output=output)
        (found,) = str(caught.value).splitlines()
        named = found.partition("(")[2].partition(")")[0]
        kinds = zip(("reader", "panel", "meter", "clock"), parts, strict=True)
        assert [kind in named for kind, _ in kinds] == [emulated for _, emulated in parts]


def test_no_unit_and_no_example_says_that_an_output_is_simulated():
    files = [path for path in (*SYSTEMD.iterdir(), *CONFIG.iterdir()) if path.is_file()]
    assert len(files) > 10
    assert [path.name for path in files if SIMULATED_OUTPUT in path.read_text("utf-8")] == []
