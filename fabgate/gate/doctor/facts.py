"""Reads the facts that several checks of a gate need, each once."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from fabgate.doctor import shipped
from fabgate.doctor.finding import UndeterminedError
from fabgate.doctor.system import System, existing
from fabgate.errors import UsageError
from fabgate.gate.config import gate_yaml
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.terminal.running import gate_runs

UNIT: Final = "fabgate-gate.service"


class Facts:
    """What is known of the gate that the file `path` describes, on the computer whose files `system` reads."""

    def __init__(self, path: Path, system: System) -> None:
        self.path = path
        self.system = system
        self.now = datetime.now(UTC)

    @cached_property
    def config(self) -> Config:
        """Return gate.yaml. Raises UndeterminedError where it has mistakes, and PermissionError for another account."""
        try:
            return gate_yaml.load(self.path)
        except PermissionError:
            raise
        except (UsageError, OSError) as error:
            raise UndeterminedError("gate.yaml has mistakes") from error

    @cached_property
    def is_pi(self) -> bool:
        """Return whether this is a Raspberry Pi."""
        model = self.system.read("/proc/device-tree/model", "/sys/firmware/devicetree/base/model")
        return (model or "").startswith("Raspberry Pi")

    @cached_property
    def unit(self) -> shipped.Settings | None:
        """Return the settings of the gate's unit; None where it is not installed."""
        return shipped.effective(self.system, UNIT)

    @cached_property
    def persistent(self) -> dict[str, str]:
        """Return persist_gpio_outputs of each kernel module that has it."""
        paths = self.system.found("/sys/module/pinctrl_*/parameters/persist_gpio_outputs")
        return {path.parts[-3]: path.read_text().strip() for path in paths}

    @cached_property
    def config_txt(self) -> str | None:
        """Return the firmware's config.txt; None where there is none."""
        return self.system.read("/boot/firmware/config.txt", "/boot/config.txt")

    @cached_property
    def runs(self) -> bool:
        """Return whether the gate runs."""
        return gate_runs(self.config.state_dir)

    @cached_property
    def status(self) -> dict[str, Any] | None:
        """Return what the gate last wrote about itself; None where it never ran."""
        with suppress(FileNotFoundError, ValueError):
            found: dict[str, Any] = json.loads((self.config.state_dir / "status.json").read_text("utf-8"))
            return found
        return None

    @cached_property
    def used(self) -> dict[str, Any]:
        """Return each key of gate.yaml for a pin, a bus or a level, as far as it is set."""
        config = self.config
        groups = [("output", config.output.options), ("inputs", config.inputs)]
        groups[1:1] = [(self.reader_key(place), reader.options) for place, reader in enumerate(config.reader)]
        groups += [("panel", panel.options) for panel in config.panel]
        groups += [("meter", meter.options) for meter in config.meter]
        found = {
            f"{group}.{key}": value
            for group, options in groups
            for key, value in msgspec.structs.asdict(options).items()
            if value is not None
            and (key.endswith("pin") or key in ("bus", "device", "i2c_bus", "spi_bus", "readback_closed"))
        }
        if "output.readback_pin" not in found:
            found.pop("output.readback_closed", None)
        return found

    def reader_key(self, place: int) -> str:
        """Return the key of a reader's section, by its place in gate.yaml."""
        return "reader" if len(self.config.reader) == 1 else f"reader[{place}]"

    @cached_property
    def pin_keys(self) -> dict[int, str]:
        """Return which key of gate.yaml uses which GPIO."""
        return {value: key for key, value in self.used.items() if key.endswith("pin")}

    @property
    def is_emulated(self) -> bool:
        """Return whether hardware of this gate is emulated; a gate may say `demo: true` and have none."""
        config = self.config
        sections = (config.output, *config.reader, *config.panel, *config.meter)
        return config.demo and any(
            section.driver == "simulated" or "emulated" in msgspec.structs.asdict(section.options).values()
            for section in sections
        )


def throttled(system: System) -> int | None:
    """Return the firmware's get_throttled; on a kernel without it, whether its voltage sensor has raised an alarm."""
    for path in system.found("/sys/devices/platform/soc*/soc*firmware/get_throttled"):
        return int(path.read_text().strip(), 16)
    if (answer := system.ask("vcgencmd", "get_throttled")) is not None:
        return int(answer.partition("=")[2], 16)
    for path in system.found("/sys/class/hwmon/hwmon*/name"):
        if path.read_text().strip() == "rpi_volt":
            return int(path.with_name("in0_lcrit_alarm").read_text().strip())
    return None


def card(system: System, state_dir: Path) -> dict[str, str | int | None] | None:
    """Return the facts of ``pi.card_wear``."""
    mount = system.mount_of(existing(state_dir))
    partition = "" if mount is None else mount.source.rpartition("/")[2]
    device = partition.rpartition("p")[0]
    if not partition.startswith("mmcblk"):
        return None

    def number(name: str) -> int | None:
        text = system.read(name)
        return None if text is None else int(text, 0)

    sectors, kilobytes = number(f"/sys/block/{device}/size"), number(f"/sys/fs/ext4/{partition}/lifetime_write_kbytes")
    return {
        "errors": number(f"/sys/fs/ext4/{partition}/errors_count"),
        "life": system.read(f"/sys/block/{device}/device/life_time"),
        "end_of_life": number(f"/sys/block/{device}/device/pre_eol_info"),
        "bytes": None if sectors is None else sectors * 512,
        "written": None if kilobytes is None else kilobytes * 1024,
    }
