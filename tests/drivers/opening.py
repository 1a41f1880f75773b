"""Opens emulated devices, which are threads of the test: on a busy computer they may answer late."""

from __future__ import annotations

import re
from typing import Protocol

from fabgate.errors import HardwareError
from tests.support.patience import wait


class Opens(Protocol):
    """A driver."""

    def open(self) -> None: ...


def open_again(device: Opens, *, late: str) -> None:
    """Open a device until it answers, as a gate does. An error that does not match the pattern `late` is raised."""

    def is_open() -> bool:
        try:
            device.open()
        except HardwareError as error:
            if not re.search(late, str(error)):
                raise
            return False
        return True

    wait(is_open, "an answer of the device")
