"""Options for a plug in software."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fabgate.drivers.emulated.outputs.shelly import EmulatedShelly
from fabgate.drivers.outputs.shelly import ShellyOptions

PASSWORD = "let me in"


def shelly_options(shelly: EmulatedShelly, folder: Path, **others: Any) -> ShellyOptions:
    """Return the options with which a gate switches this plug."""
    file = folder / "plug.password"
    file.write_text(f"{PASSWORD}\n", encoding="utf-8")
    given = {"device_id": shelly.plug.device_id, "timeout_ms": 300, **others}
    return ShellyOptions(host="127.0.0.1", port=shelly.port, password_file=file, **given)
