"""Starts a demo: its folder, its workshop with three gates, and how it ends by a signal."""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fabgate.demo.furnishing.places import Workplace
from fabgate.demo.processes.workshop import Workshop
from fabgate.errors import UsageError

#: The gate at which a card stays in a holder for as long as its member works.
HOLDER: Final = "saw-1"
#: The names of the machines, by the language of the workshop.
TITLES: Final = {
    "en": ("Laser 1", "Table saw", "3D printer"),
    "fr": ("Laser 1", "Scie", "Imprimante"),
}
#: The most bytes of the folder's path: Linux allows 107 for a socket, and the longest file name is a gate's.
LONGEST_PATH: Final = 107 - len("/printer-1.sock")


def print_in_any_encoding() -> None:
    """Print a question mark for letters that the terminal's encoding lacks, such as accents on displays."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


@contextmanager
def folder_of(data: Path | None) -> Iterator[Path]:
    """Yield the folder of a demo: a temporary one, or an empty one that is kept."""
    if data is None:
        with tempfile.TemporaryDirectory(prefix="fabgate-demo-") as temporary:
            yield Path(temporary)
        return
    folder = data.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        full = any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"--data {data}: no folder can be used there ({error.strerror}); give a new one") from error
    if full:
        raise UsageError(f"--data {data}: the folder is not empty; give a new one")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"--data {data}: the folder cannot be written by you; give another one")
    if len(os.fsencode(folder)) > LONGEST_PATH:
        raise UsageError(
            f"--data {data}: the path has {len(os.fsencode(folder))} bytes, wanted at most {LONGEST_PATH} "
            "(a socket's address has no room for more); give a shorter one"
        )
    yield folder


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does, so that no process is left."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def open_workshop(
    folder: Path,
    *,
    timed_s: int = 5,
    lang: str | None = None,
    has_past: bool = False,
    web_is_up: Callable[[Workshop], None] = lambda _: None,
) -> Workshop:
    """Bring up broker, collector and three gates; the collector serves their sealed rosters.

    The printer's sessions last `timed_s` seconds. With `has_past`, the collector has ten weeks of sessions and
    refusals. `web_is_up` is called once pages can be opened, before the gates are ready.
    """
    workshop = Workshop(folder, lang=lang)
    try:
        workshop.furnish(_places(timed_s, workshop.lang), today=workshop.today() if has_past else None)
        workshop.start_collector()
        for gate in workshop.gates:
            gate.launch()
        web_is_up(workshop)
        for gate in workshop.gates:
            gate.await_ready()
        workshop.worker.start()
    except BaseException:
        workshop.close()
        raise
    return workshop


def _places(timed_s: int, lang: str) -> tuple[Workplace, ...]:
    laser, saw, printer = TITLES[lang]
    timed: dict[str, object] = {"mode": "timed", "limit_s": timed_s, "max_s": 600, "warn_s": timed_s // 2}
    return (
        Workplace(
            "laser-1",
            "laser",
            laser,
            {"mode": "tap", "limit_s": 7200, "handover": True},
            panels=("lights", "oled"),
            fobs="rdm6300",
        ),
        Workplace(HOLDER, "saw", saw, {"mode": "hold", "limit_s": 7200, "grace_s": 1}, panels=("lcd",)),
        Workplace(
            "printer-1",
            "printer",
            printer,
            timed,
            before={"mode": "timed", "limit_s": 1800, "max_s": 14_400},
            fobs="number10",
            on_plug=True,
        ),
    )
