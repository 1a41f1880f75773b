"""Judges a Raspberry Pi as the computer of a gate: pins, SPI, kernel, firmware, watchdog, power and card. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from fabgate import installed
from fabgate.doctor.finding import Finding, fail, not_checked, ok, warn
from fabgate.doctor.shipped import Settings

_CONFIG_TXT: Final = "/boot/firmware/config.txt"
_NO_PI: Final = "this computer is not a Raspberry Pi"
#: Bits of `vcgencmd get_throttled` (raspberrypi.com, documentation of vcgencmd): now, and 16 higher since the start.
_UNDERVOLTAGE: Final = 0x1
_HOT: Final = 0x2 | 0x4 | 0x8
#: Pins that overlays of Raspberry Pi OS use unless told otherwise (/boot/firmware/overlays/README).
_OVERLAY_PINS: Final = {
    "w1-gpio": 4, "gpio-ir": 18, "gpio-shutdown": 3, "gpio-poweroff": 26, "gpio-fan": 12, "pps-gpio": 18, "dht11": 4,
    "spi1-2cs": 17, "spi1-3cs": 17
}  # fmt: skip
#: The names of the Pi's own serial port.
_OWN_PORTS: Final = ("/dev/serial0", "/dev/ttyAMA", "/dev/ttyS")
#: The versions of libraries for pins (setup.cfg, the extra `pi`; docs/decisions/0002): whether exactly, and which one.
_VERSIONS: Final = {
    "gpiozero": (False, "2.0"),
    "lgpio": (False, "0.2.2"),
    "spidev": (False, "3.6"),
    "mfrc522": (True, "0.0.7"),
}
#: How often the whole card may be written. Cells of consumer cards bear 500 to 1,000 erasures, and small writes cost
#: more than their size.
_REWRITES: Final = 250


def pin_release(persistent: Mapping[str, str], *, is_pi: bool) -> Finding:
    """Judge persist_gpio_outputs, by kernel module: whether a pin stays high after its program has died."""
    name = "pin-release"
    if not persistent:
        return not_checked(name, "the kernel does not say whether it releases pins" if is_pi else _NO_PI)
    if any(value.upper() in ("Y", "1") for value in persistent.values()):
        return fail(
            name,
            "the kernel keeps a pin high after its program has died: a machine would stay on (persist_gpio_outputs)",
            f"echo dtparam=strict_gpiod >> {_CONFIG_TXT}; reboot",
        )
    return ok(name, "the kernel releases a pin when its program dies")


def strict_gpiod(config_txt: str | None, persistent: Mapping[str, str], *, is_pi: bool) -> Finding:
    """Judge what config.txt sets for the next start."""
    name = "strict-gpiod"
    if config_txt is None:
        return not_checked(name, f"there is no {_CONFIG_TXT}" if is_pi else _NO_PI)
    if any("strict_gpiod" in params for key, params in _config_lines(config_txt) if key == "dtparam"):
        return ok(name, "config.txt sets strict_gpiod")
    if persistent and all(value.upper() in ("N", "0") for value in persistent.values()):
        return ok(name, "this kernel releases pins without strict_gpiod")
    return fail(
        name,
        "config.txt does not set strict_gpiod: Raspberry Pi OS then keeps pins high",
        f"echo dtparam=strict_gpiod >> {_CONFIG_TXT}; reboot",
    )


def pin_library(unit: Settings | None, found: Mapping[str, str | None], unseen: str = "") -> Finding:
    """Judge the environment of the unit, and the libraries that this gate needs, each with its version.

    A version is None for a library that cannot be imported, and "" for one that does not say it. `unseen` is why the libraries
    were not looked at.
    """
    name = "pin-library"
    missing = [library for library, version in found.items() if version is None]
    others = [
        f"{library} {version}, wanted {'' if exact else 'at least '}{wanted}"
        for library, version in found.items()
        for exact, wanted in (_VERSIONS[library],)
        if version and (version != wanted if exact else _numbers(version) < _numbers(wanted))
    ]
    if missing:
        return fail(name, f"{', '.join(missing)} cannot be imported by this Python", installed.pin_libraries())
    if others:
        return fail(name, f"found {'; '.join(others)}", installed.pin_libraries())
    if unit is None:
        return not_checked(name, "fabgate-gate.service is not installed")
    environment = unit.get(("Service", "Environment"), [])
    factories = [value.partition("=")[2] for value in environment if value.startswith("GPIOZERO_PIN_FACTORY=")]
    if factories[-1:] != ["lgpio"]:
        return fail(
            name,
            f"the unit sets GPIOZERO_PIN_FACTORY to {factories[-1] if factories else 'nothing'}: gpiozero may use another library"
            " without a message",
            "in the unit, set Environment=GPIOZERO_PIN_FACTORY=lgpio",
        )
    if unseen:
        return not_checked(name, f"the unit sets GPIOZERO_PIN_FACTORY=lgpio; the libraries were not checked: {unseen}")
    libraries = ", ".join(f"{library} {version}".strip() for library, version in found.items())
    return ok(name, f"the unit sets GPIOZERO_PIN_FACTORY=lgpio, and this Python has {libraries}")


def _numbers(version: str) -> list[int]:
    """Return the numbers that a version begins with: 2, 0 and 1 for 2.0.1.post3."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    return [int(number) for number in numbers[0].split(".")] if numbers else []


def lgpio_folder(unit: Settings | None) -> Finding:
    """Judge LG_WD: lgpio writes a file into its working folder, and fails if it cannot."""
    name = "lgpio-folder"
    if unit is None:
        return not_checked(name, "fabgate-gate.service is not installed")
    environment = unit.get(("Service", "Environment"), [])
    folders = [value.partition("=")[2] for value in environment if value.startswith("LG_WD=")]
    made = [f"/run/{one}" for value in unit.get(("Service", "RuntimeDirectory"), []) for one in value.split()]
    if folders[-1:] and folders[-1] in made:
        return ok(name, f"lgpio writes into {folders[-1]}, which systemd creates")
    return fail(
        name,
        f"LG_WD is {folders[-1] if folders else 'not set'}, but systemd creates {', '.join(made) or 'no folder'}:"
        " lgpio cannot write its file",
        "in the unit, set RuntimeDirectory=fabgate and Environment=LG_WD=/run/fabgate",
    )


def spi(devices: Mapping[str, bool], *, groups: Mapping[str, Collection[str]], account: str, is_pi: bool) -> Finding:
    """Judge the SPI devices, each with whether it is there, and whether the gate's account is in the groups `spi` and `gpio`."""
    name = "spi"
    absent = [device for device, exists in devices.items() if not exists]
    if not is_pi and absent:
        return not_checked(name, _NO_PI)
    if absent:
        bus = absent[0].removeprefix("/dev/spidev")[:1]
        todo = "raspi-config nonint do_spi 0" if bus == "0" else f"echo dtoverlay=spi{bus}-1cs >> {_CONFIG_TXT}"
        return fail(name, f"there is no {', '.join(absent)}: SPI is off", f"{todo}; reboot")
    outside = [group for group in ("gpio", "spi") if group in groups and account not in groups[group]]
    if outside:
        return warn(
            name,
            f"the account {account} is not in the group {' and '.join(outside)},"
            " so it can use the pins only if systemd starts the gate",
            f"usermod -aG {','.join(outside)} {account}",
        )
    return ok(name, f"{' and '.join(devices)} {'is' if len(devices) == 1 else 'are'} there")


def reader_device(path: str, *, exists: bool, unit: Settings | None, kernel_line: str) -> Finding:
    """Judge the device of a reader on a serial line or a USB input: whether it is there, free, and allowed (its drop-in).

    `kernel_line` is /proc/cmdline, which names the kernel's consoles.
    """
    name = "reader-device"
    is_serial = not path.startswith("/dev/input/")
    if not exists:
        return fail(
            name,
            f"there is no {path}: the reader is unplugged, or the serial port is off",
            "plug the reader in; if it uses the Pi's own serial port, run raspi-config nonint do_serial_hw 0, then"
            " reboot (docs/readers/README.md)",
        )
    if is_serial and path.startswith(_OWN_PORTS) and re.search(r"\bconsole=(serial0|ttyAMA|ttyS)", kernel_line):
        return fail(
            name,
            f"the kernel's console uses {path} too, and reads what the reader sends",
            "raspi-config nonint do_serial_cons 1; reboot",
        )
    allowed = [] if unit is None else unit.get(("Service", "DeviceAllow"), [])
    kinds = "char-tty" if is_serial else "char-input"
    if unit is not None and not any(one.startswith((kinds, path)) for one in allowed):
        drop_in = f"20-fabgate-{'serial' if is_serial else 'keyboard'}.conf"
        return fail(
            name,
            f"the unit has no access to {path}: no badge is read",
            f"install -D -m 644 {installed.file(drop_in)} -t /etc/systemd/system/fabgate-gate.service.d/; systemctl daemon-reload;"
            " systemctl restart fabgate-gate",
        )
    if re.fullmatch(r"/dev/tty(USB|ACM)\d+", path):
        return warn(
            name,
            f"after a restart {path} may be another USB device",
            "name the reader in gate.yaml by its path in /dev/serial/by-id (docs/readers/README.md)",
        )
    return ok(name, f"{path} is there, and the unit has access to it")


def i2c(buses: Mapping[int, bool], unit: Settings | None) -> Finding:
    """Judge the I2C buses of displays and meters: whether each has a device, and whether the unit may use it (its drop-in)."""
    name = "i2c"
    if not buses:
        return not_checked(name, "no display and no meter of this gate is on I2C")
    absent = [f"/dev/i2c-{bus}" for bus, exists in buses.items() if not exists]
    if absent:
        return fail(
            name,
            f"there is no {', '.join(absent)}: I2C is off",
            f"echo dtparam=i2c_arm=on >> {_CONFIG_TXT}; reboot (docs/panels/README.md, docs/sensing.md)",
        )
    if unit is not None and "char-i2c rw" not in unit.get(("Service", "DeviceAllow"), []):
        return fail(
            name,
            "the unit has no access to I2C: a display stays dark, and a meter cannot be read",
            f"install -D -m 644 {installed.file('20-fabgate-i2c.conf')} -t /etc/systemd/system/fabgate-gate.service.d/; systemctl"
            " daemon-reload; systemctl restart fabgate-gate",
        )
    return ok(name, f"{', '.join(f'/dev/i2c-{bus}' for bus in buses)} is there, and the unit has access to it")


def pins(used: Mapping[str, Any], table: Mapping[str, Any] | None) -> Finding:
    """Compare the keys of gate.yaml that name pins and buses with hardware/pins.yaml; `used` has those that are set."""
    name = "pins"
    if table is None:
        return not_checked(name, "this installation has no copy of hardware/pins.yaml")
    if not used:
        return not_checked(name, "gate.yaml names no pin")
    known = {row["key"]: row for row in (*table["pins"], *table["panels"], *table["others"])}
    wanted = {key: row["gpio"] for key, row in known.items()} | {
        "output.readback_closed": table["readback_closed"],
        "reader.bus": 0,
        "reader.device": 0,
        "panel.i2c_bus": 1,
        "panel.spi_bus": 1,
    }
    others = [
        f"{key} is {value}, but the table has {wanted[key]}"
        + (f" (header pin {known[key]['header']})" if key in known else "")
        for key, value in used.items()
        if key in wanted and value != wanted[key]
    ]
    if others:
        return warn(
            name,
            f"gate.yaml differs from the wiring table: {'; '.join(others)}",
            "follow each of these wires from the header to its end (hardware/wiring.md), and correct the wire or gate.yaml",
        )
    return ok(name, f"as in hardware/pins.yaml: {', '.join(f'{key} {value}' for key, value in used.items())}")


def boot_pins(config_txt: str | None, used: Mapping[int, str]) -> Finding:
    """Judge what the firmware does to the gate's pins while the Pi starts; `used` names the key of each pin."""
    name = "boot-pins"
    if config_txt is None:
        return not_checked(name, f"there is no {_CONFIG_TXT}")
    troubles: list[str] = []
    for key, value in _config_lines(config_txt):
        if key == "gpio":
            numbers, _, settings = value.partition("=")
            raises = bool({"dh", "pu"} & set(settings.split(",")))
            troubles += [f"gpio={value} drives {used[pin]}" for pin in _pins_in(numbers) if raises and pin in used]
        elif key == "dtoverlay":
            overlay, *params = value.split(",")
            given = next((param for param in params if re.match(r"(gpio_?pin|gpio)=\d+$", param)), None)
            pin = int(given.partition("=")[2]) if given else _OVERLAY_PINS.get(overlay)
            if pin is not None and pin in used:
                troubles.append(f"dtoverlay={overlay} uses GPIO {pin}, which is {used[pin]}")
    if troubles:
        return fail(
            name,
            f"config.txt takes pins of the gate: {'; '.join(troubles)}",
            f"remove the line from {_CONFIG_TXT}, then reboot",
        )
    return ok(name, "config.txt leaves the gate's pins alone")


def watchdog(state: str | None, timeout_s: str | None, *, is_pi: bool) -> Finding:
    """Judge the hardware watchdog, which resets a Pi that hangs; a reset makes every pin an input."""
    name = "watchdog"
    if state is None:
        return not_checked(name, "there is no hardware watchdog" if is_pi else _NO_PI)
    if state == "active":
        return ok(name, f"the hardware watchdog is armed{f' ({timeout_s} s)' if timeout_s else ''}")
    return fail(
        name,
        "the hardware watchdog is not armed: if the whole Pi hangs, the machine stays on",
        installed.watchdog(),
    )


def power_supply(throttled: int | None, *, is_pi: bool) -> Finding:
    """Judge the bits of get_throttled: a low supply voltage corrupts cards and resets readers."""
    name = "power-supply"
    if throttled is None:
        return not_checked(name, "the firmware does not report the supply voltage" if is_pi else _NO_PI)
    todo = "use the power supply that is made for the Pi, and a short cable; feed nothing else from the Pi's 5 V"
    if throttled & _UNDERVOLTAGE:
        return fail(name, "the supply voltage is too low now", todo)
    if throttled & _UNDERVOLTAGE << 16:
        return warn(name, "the supply voltage was too low at some time since the start", todo)
    if throttled & (_HOT | _HOT << 16):
        return warn(
            name,
            "the processor is, or was, slowed down by heat",
            "ventilate the enclosure, or put a heat sink on the Pi",
        )
    return ok(name, "no undervoltage and no overheating since the start")


def card_wear(card: Mapping[str, str | int | None] | None) -> Finding:
    """Judge what is known of the wear of the card that holds the journal; None where it is not on a card.

    `errors` and `written` are ext4's counters (errors, bytes), `bytes` the card's size, `life` and `end_of_life` the eMMC's
    own (JEDEC JESD84-B51: tenths of its life that are used; 1 normal, 2 warning, 3 urgent).
    """
    name = "card-wear"
    if card is None:
        return not_checked(name, "the data is not on an SD card or an eMMC")
    replace = "replace the card: install the gate on a new card (docs/install-by-hand.md), and keep the gate's journal"
    if errors := card.get("errors"):
        return fail(name, f"errors recorded by the file system: {errors}", f"look at dmesg | grep -i ext4; {replace}")
    # 0 means that the eMMC does not tell.
    if tenths := max((int(word, 16) for word in str(card.get("life") or "").split()), default=0):
        if card.get("end_of_life") == 3 or tenths >= 10:
            return fail(name, "the eMMC says that its life is used up", replace)
        return (warn if tenths >= 8 else ok)(
            name, f"the eMMC says that up to {tenths * 10} % of its life is used", *([replace] if tenths >= 8 else [])
        )
    written, size = card.get("written"), card.get("bytes")
    if not isinstance(written, int) or not isinstance(size, int) or not size:
        return not_checked(name, "an SD card does not report its wear, and its file system does not count writes")
    times = written / size
    text = f"{written / 1e9:.0f} GB were written, {times:.1f} times the size of the card (an SD card does not report its wear)"
    return warn(name, text, replace) if times > _REWRITES else ok(name, text)


def _config_lines(text: str) -> list[tuple[str, str]]:
    """Return key and value of each line of config.txt. Filters such as [pi4] count as if they applied."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [
        (key.strip(), value.strip()) for key, separator, value in (line.partition("=") for line in lines) if separator
    ]


def _pins_in(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.isdecimal():
            found += range(int(first), int(last if last.isdecimal() else first) + 1)
    return found
