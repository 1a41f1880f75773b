"""``use-package``: checks, says what it will do, asks, moves, and says what is left to do."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import fabgate
from fabgate import installed
from fabgate.by_hand import checks, moving, of_gate
from fabgate.by_hand.part import COLLECTOR, GATE, OPT, Part
from fabgate.by_hand.plan import BACKUPS, Plan, State, unfinished
from fabgate.computer import Computer
from fabgate.errors import FabgateError, UsageError

#: Answers a question of the program: True for yes.
Ask = Callable[[str], bool]
Say = Callable[[str], None]
#: Files that may name the program of the installation by hand, too.
_OTHERS: Final = ("/etc/systemd/system/*.service", "/etc/systemd/system/*/*.conf", "/etc/cron*/*", "/etc/crontab")


def run(computer: Computer, part: Part, *, ask: Ask, say: Say, ends_session: bool) -> int:
    """Move a part to the package; return the exit code.

    Raises UsageError where something is wrong before the first change, and FabgateError where the move failed.
    """
    if installed.package() != part.package:
        raise UsageError(
            f"found the program in {Path(fabgate.__file__).parent}, wanted that of the package: apt install {part.package},"
            f" then sudo {part.program} use-package"
        )
    if not computer.is_root():
        raise UsageError(f"found an account without rights, wanted root: sudo {part.program} use-package")
    with _alone(computer):
        plan = unfinished(computer, part)
        if plan is not None and plan.state is State.BACK:
            say(f"An earlier move failed, and was interrupted while it was undone. Its files are in {plan.folder}.")
            moving.back(computer, part, plan)
            say(f"The installation by hand is as it was, and {_runs(plan)}. The move begins again.")
            plan = None
        if plan is None:
            if not part.is_by_hand(computer):
                say(f"Nothing to do: this computer has no {part.name} that was installed by hand.")
                return 0
            plan = _prepared(computer, part, ask=ask, say=say, ends_session=ends_session)
            if plan is None:
                return 1
            _move(computer, part, plan)
        else:
            say(f"An earlier move was interrupted; it goes on. Its files are in {plan.folder}.")
            _go_on(computer, part, plan, ends_session=ends_session)
    _end(computer, part, plan, say)
    return 0


def _prepared(computer: Computer, part: Part, *, ask: Ask, say: Say, ends_session: bool) -> Plan | None:
    """Check, show the plan, ask, and write it; return None if the person says no."""
    found = checks.examine(computer, part, ends_session=ends_session)
    if found.wrong:
        raise UsageError("\n".join([*found.wrong, "nothing was changed"]))
    plan = Plan(
        folder=f"{BACKUPS}/{part.name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}",
        moves=[*part.files(computer), *(name for name in found.drop_ins if computer.is_there(name))],
        kept=found.kept,
        drop_ins=found.drop_ins,
        enabled=list(dict.fromkeys(name.rpartition("/")[2] for name in part.links(computer))),
        # A copy that is being made is not started again: the timer does it.
        started=[unit for unit in part.running if unit != part.copies and computer.is_active(unit)],
        tables=found.tables,
    )
    for line in _lines(part, plan, found.notes):
        say(line)
    if not ask("Go on?"):
        say("Nothing was changed.")
        return None
    if not ends_session:  # the answer may have taken its time
        _refuse_session(computer, part, "\nnothing was changed")
    computer.path(BACKUPS).mkdir(parents=True, exist_ok=True)
    computer.path(plan.folder).mkdir(mode=0o700, exist_ok=True)
    return plan.saved(computer)


def _refuse_session(computer: Computer, part: Part, more: str = "") -> None:
    if part is GATE and (wrong := list(of_gate.session(computer))):
        raise UsageError("\n".join(wrong) + more)


def _lines(part: Part, plan: Plan, notes: list[str]) -> Iterator[str]:
    yield f"The {part.name} that was installed by hand becomes that of the package {part.package} {fabgate.__version__}."
    yield "Data, keys, settings and drop-ins stay where they are."
    yield from (f"  note: {note}" for note in notes)
    if part is GATE:
        yield "  1. stop the gate: the power of its machine goes off"
    else:
        yield "  1. stop the collector: the gates go on, and keep what they record"
    if plan.tables:
        yield "     copy the database, and change its tables as the package needs them"
    yield f"  2. move these files to {plan.folder}:"
    yield from (f"       {name}" for name in plan.moves)
    for name in plan.drop_ins:
        yield f"     and write {name}"
    yield f"  3. enable: {', '.join(plan.enabled) or 'nothing, because nothing was enabled'}"
    yield f"     start: {', '.join(plan.started) or 'nothing, because nothing ran'}"
    yield "If a step fails, all of it is undone. If this is interrupted, run the same command again."


def _move(computer: Computer, part: Part, plan: Plan) -> None:
    try:
        if plan.state is State.FORWARD:
            plan = moving.forward(computer, part, plan)
        moving.start(computer, part, plan)
    except (FabgateError, OSError) as error:
        current = unfinished(computer, part) or plan
        try:
            moving.back(computer, part, current)
        except (FabgateError, OSError) as further:
            raise FabgateError(
                f"{error}\nthe installation by hand could not be restored ({further}); put that right, and run the same"
                f" command again; its files are in {plan.folder}"
            ) from error
        raise FabgateError(f"{error}\nthe installation by hand is as it was, and {_runs(plan)}") from error


def _go_on(computer: Computer, part: Part, plan: Plan, *, ends_session: bool) -> None:
    """End a move that was interrupted."""
    if plan.state is State.IN_USE:
        # The copy of the database is too old to come back: the package may have recorded something since.
        plan = plan.saved(computer, kept=[], copied=None)
    elif not ends_session:
        _refuse_session(computer, part)
    _move(computer, part, plan)


def _runs(plan: Plan) -> str:
    return "runs again" if plan.started else "does not run, as before"


def _end(computer: Computer, part: Part, plan: Plan, say: Say) -> None:
    say(f"The {part.name} now is that of the package. The doctor examines it:")
    computer.run(part.program, "doctor", shows=True)
    say("")
    say("What is left to do:")
    other = COLLECTOR if part is GATE else GATE
    if other.is_by_hand(computer):
        say(
            f"  - the {other.name} on this computer still uses {OPT}: apt install {other.package}, then sudo {other.program} use-package"
        )
    else:
        named = list(_naming(computer))
        if named:
            say(f"  - these files still name {OPT}, and need {part.program} in its place: {', '.join(named)}")
        say(f"  - when you are content, delete the old program: rm -r {OPT} {OPT}-src")
    say(f"  - the old files are in {plan.folder}; keep them as long as you may want to go back")
    if computer.is_there("/run/reboot-required"):
        say("  - reboot this computer once: sudo reboot")
    say("  - a shell that was open before still looks for the old command: hash -r, or open a new one")


def _naming(computer: Computer) -> Iterator[str]:
    root = computer.system.root
    for path in (path for pattern in _OTHERS for path in computer.system.found(pattern)):
        if path.is_file() and f"{OPT}/" in path.read_text("utf-8", errors="replace"):
            yield f"/{path.relative_to(root)}"


@contextmanager
def _alone(computer: Computer) -> Iterator[None]:
    """Let no second move run at the same time. Raises FabgateError."""
    folder = computer.path("/run")
    folder.mkdir(exist_ok=True)
    with (folder / "fabgate-use-package.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FabgateError("another use-package is running on this computer: wait until it has ended") from error
        yield


def ask_person(question: str) -> bool:
    """Ask the person at the terminal. Raises UsageError without a terminal."""
    if not sys.stdin.isatty():
        raise UsageError(
            "found no terminal to ask, wanted an answer: run it in a terminal, or with --yes; nothing was changed"
        )
    sys.stdout.write(f"{question} [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def say_person(text: str) -> None:
    """Write a line to the person, at once: the doctor writes to the same terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
