"""Checks what gate.yaml says about readers: that several are different devices, and which of them holds cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fabgate.gate.config.hardware import SERIAL_PORTS, kind_of
from fabgate.yaml_reading.yaml_file import Reading, join

#: The options that name a device, alone or together.
_DEVICES: Final = (("port",), ("event_path",), ("control_socket",), ("bus", "device"))


def readers_of(reading: Reading) -> dict[str, str]:
    """Return the driver of each section of ``reader``, as far as it is known."""
    keys = [key for key in reading.values if kind_of(key) == "reader" and key.endswith(".driver")]
    return {key.removesuffix(".driver"): reading.values[key] for key in keys}


def check_readers(reading: Reading, drivers: Mapping[str, Any]) -> None:
    """Check the sections of ``reader``; `drivers` has the class of each one's driver."""
    _check_devices(reading, [*drivers])
    able = [section for section, driver in drivers.items() if getattr(driver, "continuous", None) is not False]
    named = [section for section in drivers if reading.values.get(join(section, "holds"))]
    for section in named:
        if section not in able:
            reading.wrong(
                join(section, "holds"),
                f"found true with the reader {reading.values[join(section, 'driver')]!r}, wanted a reader that sees a card as"
                " long as it stays (continuous)",
            )
    for section in named[1:]:
        reading.wrong(join(section, "holds"), f"found true again, wanted it once; {named[0]} holds the card already")
    if reading.values.get("machine.mode") != "hold" or not drivers:
        return
    if not able:
        found = " and ".join(repr(reading.values[join(section, "driver")]) for section in drivers)
        reading.wrong(
            "machine.mode",
            f"found hold with the reader {found}, wanted a reader that sees a card as long as it"
            " stays (continuous); this one would end every session after the grace time. Or choose tap",
        )
    elif len(able) > 1 and not named:
        reading.wrong(
            "machine.mode",
            f"found hold with the readers {' and '.join(able)}, wanted 'holds: true' at one of them: the card stays there",
        )


def _check_devices(reading: Reading, sections: list[str]) -> None:
    """Check that no two readers use one device."""
    values = reading.values
    used: dict[tuple[object, ...], str] = {}
    seen: list[tuple[str, dict[str, Any]]] = []
    for section in sections:
        options = {name: values[key] for key in values if (name := key.removeprefix(f"{section}.")) != key}
        options.pop("holds", None)
        same = next((other for other, others in seen if others == options), None)
        seen.append((section, options))
        if same is not None:
            reading.wrong(section, f"found the same as {same}, wanted another reader; one device has one section")
            continue
        if "name" in options:
            _check_name(reading, section, options["name"], seen[:-1])
        for names in _DEVICES:
            found = tuple(values.get(join(section, name)) for name in names)
            if None in found or "" in found:
                continue
            # The Pi's own port has several names.
            place = ("serial0",) if found[0] in SERIAL_PORTS else found
            other = used.setdefault((*names, *place), section)
            if other != section:
                key = join(section, names[-1])
                shown = " and ".join(f"{name} {value}" for name, value in zip(names, found, strict=True))
                reading.wrong(key, f"found {shown}, wanted another one; {other} uses it already")


def _check_name(reading: Reading, section: str, name: str | None, others: list[tuple[str, dict[str, Any]]]) -> None:
    """Check that no reader before could be meant by this beginning of a name; without one, any reader is."""
    for other, options in others:
        first = options.get("name")
        if "name" in options and ((name or "").startswith(first or "") or (first or "").startswith(name or "")):
            reading.wrong(
                join(section, "name"),
                f"found {name or 'nothing'}, wanted the name of another reader; {other} takes {first or 'any'}",
            )
