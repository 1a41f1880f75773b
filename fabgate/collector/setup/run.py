"""``setup`` and ``renew-certificates``: look, say what will be done, ask, do it, and let the doctor examine the result."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fabgate.collector.setup import examine, paths, settings_file
from fabgate.collector.setup.authority.names import Address, Names
from fabgate.collector.setup.site import Ask, Site, Suggestions, Wishes, choose, hosts_of
from fabgate.collector.setup.steps.broker import Broker, RenewedBroker
from fabgate.collector.setup.steps.certificates import Certificates
from fabgate.collector.setup.steps.clock import Clock
from fabgate.collector.setup.steps.folders import Folders
from fabgate.collector.setup.steps.limits import Limits
from fabgate.collector.setup.steps.services import Services
from fabgate.collector.setup.steps.settings import Settings
from fabgate.collector.setup.steps.step import Step
from fabgate.collector.setup.steps.tables import Tables
from fabgate.computer import Computer
from fabgate.errors import FabgateError, UsageError

Say = Callable[[str], None]
#: How often the doctor looks for processes that have just started, a second apart.
_LOOKS: Final = 10


def setup(
    computer: Computer,
    wishes: Wishes,
    suggested: Suggestions,
    *,
    ask: Ask | None,
    say: Say,
    taken: Path | None = None,
    is_new: bool = False,
) -> int:
    """Set up the collector; return 0, or 1 if the doctor found something. Without `ask` nothing is asked.

    Raises UsageError before the first change, and FabgateError and OSError for a step that failed: the same command
    then goes on from there.
    """
    as_root(computer, "setup")
    with alone(computer):
        settings = settings_file.read(computer.text(paths.SETTINGS))
        site = choose(wishes, settings, suggested, ask)
        if wrong := list(examine.mistakes(computer, site, settings)):
            raise UsageError("\n".join([*wrong, "nothing was changed"]))
        certificates = Certificates(computer, site, taken, is_new)
        steps = _steps(computer, site, certificates)
        say(
            f"This computer is the collector of {site.name} ({site.tz}, {site.lang}), reached as {', '.join(site.names.hosts)}."
        )
        for note in examine.notes(computer):
            say(f"note: {note}")
        if planned := [line for step in steps for line in step.plan()]:
            if ask and not _agrees(planned, ask, say):
                say("Nothing was changed.")
                return 1
            do(steps, say)
            _wait_for_doctor(computer)
        else:
            say("Everything is set up already.")
        return _end(computer, site, certificates.fingerprint(), say)


def renew(computer: Computer, addresses: Sequence[Address], *, say: Say) -> int:
    """Renew each certificate that ends soon, or lacks a name or an address; return 0. Raises as `setup` does."""
    as_root(computer, "renew-certificates")
    with alone(computer):
        site = site_of(computer, addresses)
        # The web process reads a new certificate by itself.
        steps: list[Step] = [Certificates(computer, site), RenewedBroker(computer)]
        if not any(step.plan() for step in steps):
            say("No certificate has to be renewed.")
        do(steps, say)
        return 0


def site_of(computer: Computer, addresses: Sequence[Address]) -> Site:
    """Return the site that was set up here, without zone and language. Raises UsageError if there is none."""
    settings = settings_file.read(computer.text(paths.SETTINGS))
    hosts = hosts_of(settings)
    if not computer.is_there(f"{paths.ETC}/authority") or not hosts:
        raise UsageError("found no collector that was set up, wanted one: sudo fabgate-collector setup")
    return Site(settings.get("FABGATE_SITE", ""), "", "", Names(hosts, tuple(addresses)))


def _steps(computer: Computer, site: Site, certificates: Certificates) -> list[Step]:
    """Return the steps in their order: each one needs what stands before it."""
    return [
        Folders(computer),
        Clock(computer),
        certificates,
        Settings(computer, site),
        Tables(computer),
        Limits(computer),
        Broker(computer),
        Services(computer),
    ]


def _agrees(planned: Sequence[str], ask: Ask, say: Say) -> bool:
    say("It will:")
    for line in planned:
        say(f"  - {line}")
    return ask("Go on? yes or no", "yes").lower() in ("y", "yes")


def do(steps: Sequence[Step], say: Say) -> None:
    """Do what is missing, in this order, and say it. Raises FabgateError and OSError."""
    for step in steps:
        # Looked at again: what an earlier step wrote may want a restart.
        if lines := step.plan():
            for line in lines:
                say(f"- {line}")
            step.do()


def _end(computer: Computer, site: Site, fingerprint: str, say: Say) -> int:
    host = site.names.hosts[0]
    say("")
    code = computer.run(paths.PROGRAM, "doctor", shows=True).code
    say("")
    say(f"Phones and computers get the certificate of this workshop at http://{host}. Compare its SHA-256 there:")
    say_fingerprint(fingerprint, say)
    say("Next, a link for the first manager: sudo fabgate-collector first-link")
    return 1 if code else 0


def say_fingerprint(fingerprint: str, say: Say) -> None:
    """Show a fingerprint in two lines, as a phone does."""
    groups = fingerprint.split(" ")
    for half in (groups[: len(groups) // 2], groups[len(groups) // 2 :]):
        say(f"    {' '.join(half)}")


def _wait_for_doctor(computer: Computer) -> None:
    """Let processes that have just started connect: the doctor would find them missing."""
    for _ in range(_LOOKS):
        if computer.run(paths.PROGRAM, "doctor", "--json").code == 0:
            return
        computer.pause(1.0)


def as_root(computer: Computer, verb: str) -> None:
    """Raise UsageError for an account without rights."""
    if not computer.is_root():
        raise UsageError(f"found an account without rights, wanted root: sudo fabgate-collector {verb}")


@contextmanager
def alone(computer: Computer) -> Iterator[None]:
    """Let no second setup or renewal run at the same time. Raises FabgateError."""
    folder = computer.path(paths.ETC)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FabgateError("another setup or renewal runs on this computer: wait until it has ended") from error
        yield
    finally:
        os.close(lock)
