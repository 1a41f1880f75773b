"""Checks what gate.yaml says about meters together: who says that the machine works, and who counts its energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fabgate.yaml_reading.yaml_file import Reading

_DRIVER = ".driver"


def meters_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the driver of each meter, by its dotted key."""
    return {key: name for key, name in values.items() if _is_meter(key) and key.endswith(_DRIVER)}


def is_threshold(name: str) -> bool:
    """Return whether this option of a meter says above which level the machine works."""
    return name.startswith("running_above_")


def senses_work(values: Mapping[str, Any]) -> bool:
    """Return whether these values name an input or a meter that says that the machine works, or a wrong one."""
    return values.get("inputs.running_pin", ...) is not None or bool(_thresholds(values))


def check_meters(reading: Reading, drivers: Mapping[str, Any], output: Any) -> None:
    """Check all meters; `drivers` are their classes by key, `output` is that of the output or None.

    One part alone says that the machine works, because two would contradict each other, and one alone counts energy, because
    the sum of two would count what flows through both twice.
    """
    values = reading.values
    says = ["inputs.running_pin"] if values.get("inputs.running_pin") is not None else []
    says += _thresholds(values)
    for key in says[1:]:
        reading.wrong(
            key, f"found it beside {says[0]}, wanted one of them; only one part can say that the machine works"
        )
    counting = [key for key, driver in drivers.items() if getattr(driver, "counts", False)]
    for key in counting[1:]:
        first = counting[0].removesuffix(_DRIVER)
        reading.wrong(key, f"found a second meter that counts energy, wanted one; {first} counts it already")
    for key, driver in drivers.items():
        if getattr(driver, "of_output", False) and output is not None and not hasattr(output, "power_w"):
            reading.wrong(
                key,
                f"found {values[key]} with the output {values['output.driver']!r}, wanted an output that measures, such as"
                " shelly; this one does not",
            )


def _thresholds(values: Mapping[str, Any]) -> list[str]:
    return [
        key
        for key, value in values.items()
        if _is_meter(key) and is_threshold(key.rpartition(".")[2]) and value is not None
    ]


def _is_meter(key: str) -> bool:
    return key.partition(".")[0].partition("[")[0] == "meter"
