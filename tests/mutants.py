"""Break the rules by hand, one fault at a time, and see that their tests fail.

Each fault replaces a piece of source that occurs exactly once in ``fabgate/rules``, in a temporary copy; the tests of
the rules then run on the copy and must fail. The working tree is never touched. Exit code 1 if a fault is not caught,
or no longer fits the source (then correct the fault, or the rules have lost what it breaks).

    python -m tests.mutants
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: As tests/conftest.py has it: the same examples each time, and none fails because the computer is busy.
UNTIMED = """\
from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("untimed")
"""


@dataclass(frozen=True)
class Fault:
    """A mistake that a person might make: `right` becomes `wrong`."""

    name: str
    right: str
    wrong: str


FAULTS = [
    # --- the two rules ---
    Fault(
        "power on at the tap, before the disk",
        "        self._go(Step.AUTHORISED, session=None, pending=pending)\n",
        "        self._go(Step.AUTHORISED, session=None, pending=pending)\n        self.commands.append(SetPower(on=True))\n",
    ),
    Fault(
        "the record before the off",
        """\
            others = [command for command in self.commands if not isinstance(command, SetPower)]
            self.commands = [SetPower(on=False), *others]
""",
        "            self.commands.append(SetPower(on=False))\n",
    ),
    Fault(
        "nothing is decided again when the start is on disk",
        "        session = self._may_still_begin()  # so that after a slow write no machine starts without its member\n",
        "        session = pending.session\n",
    ),
    Fault(
        "a handover without the disk",
        "        self._go(Step.HANDOVER, session=first, pending=Pending(newcomer, at + JOURNAL_MS, token))\n",
        "        self._go(Step.HANDOVER, session=first, pending=Pending(newcomer, at + JOURNAL_MS, token))\n"
        "        self.committed(token)\n",
    ),
    Fault(
        "a start that was recorded is cancelled without an end",
        "            facts.append(pending.session.ended(reason, Meter()))\n",
        "            pass\n",
    ),
    # --- who may start ---
    Fault(
        "only the first reason of a refusal",
        "        return Decision(None, blocks + own)\n",
        "        return Decision(None, (blocks + own)[:1])\n",
    ),
    Fault(
        "maintainers work despite the emergency stop",
        "    return cause is Cause.FLAG and isinstance(holder, Member)",
        "    return cause in (Cause.FLAG, Cause.ESTOP) and isinstance(holder, Member)",
    ),
    Fault(
        "a member who needs a supervisor starts alone",
        "    if not decision.needs_supervisor:\n        return (Start(",
        "    if True:\n        return (Start(",
    ),
    Fault(
        "any member's badge consents like a supervisor's",
        "    if holder is not None and machine.may_supervise(holder):\n        return (AcceptSupervisor(",
        "    if holder is not None:\n        return (AcceptSupervisor(",
    ),
    Fault(
        "a supervisor sponsors a guest whom the rules do not allow",
        "machine.look_up(guest) is None and machine.may_sponsor(holder)",
        "machine.look_up(guest) is None and machine.may_supervise(holder)",
    ),
    Fault(
        "a member who needs a supervisor takes a machine over",
        " and machine.phase is Phase.ACTIVE and not decision.needs_supervisor\n",
        " and machine.phase is Phase.ACTIVE\n",
    ),
    Fault(
        "a member who needs a supervisor cancels that supervisor's own start",
        "    if machine.comes_after_supervisor(badge, holder):\n        return (_refuse_in_use(",
        "    if False:\n        return (_refuse_in_use(",
    ),
    Fault(
        "the pause after unknown badges is for everyone",
        "        if refusal.unknown and not self._answers(",
        "        if not self._answers(",
    ),
    # --- each intent wrong ---
    Fault(
        "a card that was not tapped counts as tapped",
        "                self._see_card(badge)\n",
        "                do(taps.presented(machine, badge, None, flag_asks=False))\n",
    ),
    Fault(
        "a second tap does not cancel",
        "    return *back, CancelStart()\n",
        "    return back\n",
    ),
    Fault(
        "a tap during the run-on only switches off",
        "        return Cut(), TapAgain(badge, guest)\n",
        "        return (Cut(),)\n",
    ),
    Fault(
        "a supervisor's badge gives more time",
        "    return _end_by_badge(machine, badge, session.supervisor)\n",
        "    return extension(machine, session) or _end_by_badge(machine, badge, session.supervisor)\n",
    ),
    Fault(
        "a card that leaves its holder has no grace time, and no end",
        "        return gone, *grace(machine)\n",
        "        return (gone,)\n",
    ),
    Fault(
        "a lock that waits for the job cuts it",
        "        return *intents, *end_with_notice(machine, EndReason.LOCK, cause)\n",
        "        return *intents, Cut(EndReason.LOCK)\n",
    ),
    Fault(
        "the emergency stop waits for the job",
        "    if cause in CUT:\n",
        "    if cause in CUT and str(machine.phase) != 'finishing-job':\n",
    ),
    Fault(
        "a member who is blocked in mid-session is cut",
        "    return (EndByRules(EndReason.REVOKED),) if reasons and machine.active else ()\n",
        "    return (Cut(EndReason.REVOKED),) if reasons and machine.active else ()\n",
    ),
    Fault(
        "an input that reports the end of the job is ignored",
        "        return count, EndJob()\n",
        "        return (count,)\n",
    ),
    Fault(
        "a person may end a job that an input reports",
        "    if not machine.run_sense or (by is not None and machine.is_guessing):\n",
        "    if True:\n",
    ),
    Fault(
        "a manager extends beyond the longest time",
        "        return min(by_ms, self.limit_ms, self.max_at - self.limit_at)\n",
        "        return min(by_ms, self.limit_ms)\n",
    ),
    Fault(
        "the fan's run-on is counted as work",
        "session=session._replace(meter=session.meter.run(at, on=False), term=term))",
        "session=session._replace(term=term))",
    ),
    Fault(
        "another mode applies in mid-session",
        "        rules = replace(rules, mode=machine.rules.mode)\n",
        "        pass\n",
    ),
    Fault(
        "a supervisor clears a danger",
        "            if tap.rank is not Level.MAINTAINER:\n",
        "            if not tap.rank.supervises:\n",
    ),
    Fault(
        "the panel asks for a supervisor while the disk is awaited",
        "        kind = SignalKind.SUPERVISOR if phase is Phase.AWAIT_SUPERVISOR else SignalKind.WAIT\n",
        "        kind = SignalKind.WAIT if pending.session.supervisor is None else SignalKind.SUPERVISOR\n",
    ),
    # --- each deadline off by one millisecond, or missing ---
    Fault("the disk has a millisecond too long", "JOURNAL_MS: Final = 3_000\n", "JOURNAL_MS: Final = 3_001\n"),
    Fault(
        "the supervisor has a millisecond too long",
        "SUPERVISOR_MS: Final = 30_000\n",
        "SUPERVISOR_MS: Final = 30_001\n",
    ),
    Fault(
        "a deadline is handled a millisecond late",
        "if timer[0] <= self.machine.now.boot_ms]",
        "if timer[0] < self.machine.now.boot_ms]",
    ),
    Fault(
        "the limit comes a millisecond late",
        "        limit_at = min(at_ms + self.limit_ms, max_at)\n",
        "        limit_at = min(at_ms + self.limit_ms + 1, max_at)\n",
    ),
    Fault(
        "the idle time-out comes a millisecond late",
        "        return self.still_since + rules.idle_off_ms\n",
        "        return self.still_since + rules.idle_off_ms + 1\n",
    ),
    Fault(
        "the grace time is a millisecond too long",
        "SetGrace(machine.now.boot_ms + machine.rules.grace_ms)",
        "SetGrace(machine.now.boot_ms + machine.rules.grace_ms + 1)",
    ),
    Fault(
        "the fan runs a millisecond too long",
        "run_on_until=min(at_ms + rules.run_on_ms, last.off_by)",
        "run_on_until=min(at_ms + rules.run_on_ms, last.off_by) + 1",
    ),
    Fault(
        "a job has a millisecond too long",
        "        finish_until = min(at_ms, self.limit_at) + rules.finish_max_ms\n",
        "        finish_until = min(at_ms, self.limit_at) + rules.finish_max_ms + 1\n",
    ),
    Fault("a job may run for ever", "            yield term.finish_until, self._end_job\n", "            pass\n"),
    Fault(
        "a limit comes without a warning",
        "            due += [at for at in warnings if at > self.machine.now.boot_ms]\n",
        "            pass\n",
    ),
    # --- each order swapped ---
    Fault(
        "the cause before the end of the start that it cancels",
        "    intents = (add, CancelStart(), RecordFacts((blocked,)))\n",
        "    intents = (add, RecordFacts((blocked,)), CancelStart())\n",
    ),
    Fault(
        "the refusal before the end of the start that is refused",
        "        return CancelStart(), _refuse(machine, session, objections)\n",
        "        return _refuse(machine, session, objections), CancelStart()\n",
    ),
    Fault(
        "the cause before the end of the session that it cuts",
        "        self._record(session.ended(session.end_reason, meter, actor=session.end_actor), *facts)\n",
        "        self._record(*facts, session.ended(session.end_reason, meter, actor=session.end_actor))\n",
    ),
    Fault(
        "the newcomer's start before the end of the first session",
        """\
            first.ended(EndReason.HANDOVER, first.meter.stop(at)),
            newcomer.started(self.machine.rules.mode, energised_from_ms=at),
""",
        """\
            newcomer.started(self.machine.rules.mode, energised_from_ms=at),
            first.ended(EndReason.HANDOVER, first.meter.stop(at)),
""",
    ),
    Fault(
        "the event before what is overdue",
        """\
        self._power.run_overdue()
        self._answer(event)
        self._follow_faults()
        self._power.run_overdue()""",
        """\
        self._answer(event)
        self._follow_faults()
        self._power.run_overdue()""",
    ),
    # --- notices ---
    Fault(
        "a notice comes a millisecond late",
        "        return self._replace(deadline_at=at_ms + notice_ms(rules), spares_job=works)\n",
        "        return self._replace(deadline_at=at_ms + notice_ms(rules) + 1, spares_job=works)\n",
    ),
    Fault("a notice may be shorter than half a minute", "max(rules.warn_ms, NOTICE_LEAST_MS)", "max(rules.warn_ms, 0)"),
    Fault("a notice may take an hour", "NOTICE_LEAST_MS), NOTICE_MOST_MS)", "NOTICE_LEAST_MS), 3_600_000)"),
    Fault(
        "each cause sets a deadline of its own",
        "    if session is None or session.term.deadline_at is not None:\n        return ()\n    ends",
        "    if session is None:\n        return ()\n    ends",
    ),
    Fault(
        "a tap postpones the end after a notice",
        "        if self.deadline_at is not None:\n            return None\n",
        "        pass\n",
    ),
    Fault(
        "a manager postpones the end after a notice",
        "        if self.deadline_at is not None:\n            return 0\n",
        "        pass\n",
    ),
    Fault(
        "in timed mode no tap ends a session after a notice",
        "    if mode is Mode.TIMED and session.term.deadline_at is None:\n",
        "    if mode is Mode.TIMED:\n",
    ),
    Fault(
        "a job that began after the notice is finished",
        "            self._cut(session.notice_reason if self.machine.active else None)\n",
        "            self._end_by_rules(session.notice_reason)\n",
    ),
    Fault(
        "a job that ran when the cause came is cut",
        "        return None if self.spares_job else self.deadline_at\n",
        "        return self.deadline_at\n",
    ),
    Fault(
        "the job after the one that was spared is spared too",
        "        term = session.term if machine.working else session.term._replace(spares_job=False)\n",
        "        term = session.term\n",
    ),
    Fault(
        "while the fan runs a job may outlast the deadline",
        "        if term.cut_at is not None and (machine.active or machine.working):\n",
        "        if term.cut_at is not None and machine.active:\n",
    ),
    Fault(
        "without an input a machine that may work gets a notice",
        "    return (GiveNotice(reason, why), *ends) if machine.run_sense else ends\n",
        "    return (GiveNotice(reason, why), *ends)\n",
    ),
    Fault(
        "a blocked member gets a notice",
        "    return bool(reasons) and LAPSES.union(dated).issuperset(reasons)\n",
        "    return bool(reasons)\n",
    ),
    Fault(
        "closing time is seen at the next checkpoint only",
        "            yield right_ends[0], self._follow_access\n",
        "            pass\n",
    ),
    Fault(
        "closing time comes a millisecond early",
        "    return max(1, -(-(later - local - shift) // timedelta(milliseconds=1)))\n",
        "    return max(1, -(-(later - local - shift) // timedelta(milliseconds=1)) - 1)\n",
    ),
    Fault("an hour is lost at the change to summer time", "(later - local - shift)", "(later - local)"),
    Fault(
        "the panel counts to the limit and not to closing time",
        "    until_ms = term.limit_at if right_ends is None else min(term.limit_at, right_ends[0])\n",
        "    until_ms = term.limit_at\n",
    ),
    # --- a meter that is broken ---
    Fault(
        "a broken meter keeps a person from ending a session",
        "            return reason not in (EndReason.BADGE, EndReason.BUTTON, EndReason.REMOVED)\n",
        "            return True\n",
    ),
    Fault(
        "a limit does not treat a broken meter as work",
        "            return reason not in (EndReason.BADGE, EndReason.BUTTON, EndReason.REMOVED)\n",
        "            return False\n",
    ),
    Fault(
        "a manager elsewhere is believed about a broken meter",
        "(by is not None and machine.is_guessing)",
        "machine.is_guessing",
    ),
    Fault(
        "one tap switches off although an input reports work",
        "        return self.working and self.at_work <= self.broken\n",
        "        return self.working and bool(self.broken)\n",
    ),
    Fault(
        "the second tap of another person switches off",
        " and session.asked == by:",
        " and session.asked is not None:",
    ),
    Fault(
        "a second tap counts for ever",
        "                yield session.asked_until + 1, partial(self.do, (intents.AskAgain(None, None),))\n",
        "                pass\n",
    ),
    Fault(
        "two taps switch off although no meter is broken",
        "    if by is not None and machine.broken and session.asked",
        "    if by is not None and session.asked",
    ),
    Fault(
        "a stop button that cannot be read is a person's word",
        "else in_session.stop_unreadable(machine))",
        "else in_session.stop_pressed(machine, actor))",
    ),
    Fault(
        "a stop button that cannot be read leaves the power on for a job that nothing reports",
        "EndByRules(EndReason.FAULT, assumes_job=False)",
        "EndByRules(EndReason.FAULT)",
    ),
    Fault(
        "a stop button that cannot be read ends a job that a broken meter counts as work",
        "        return job_done(machine, machine.session, None)\n    return stop_pressed(machine, None)\n",
        "        return stop_pressed(machine, None)\n    return stop_pressed(machine, None)\n",
    ),
    Fault(
        "running time that is not known is counted",
        "on=self.working, known=not self.is_guessing)",
        "on=self.working)",
    ),
    # --- several readers ---
    Fault("a fob with two chips is two taps", "at_ms - before[1] <= ECHO_MS:", "at_ms < before[1]:"),
    Fault(
        "each reader forgets the taps of the others", "before[0] != reader and at_ms", "before[0] == reader and at_ms"
    ),
    Fault(
        "an echo has an echo",
        "            return True\n        self._counted = {",
        "            self._counted[person] = (before[0], at_ms)\n            return True\n        self._counted = {",
    ),
    Fault(
        "a fob of another number is another person",
        "        return badge if holder is None or holder.id is None else holder.id\n",
        "        return badge\n",
    ),
    Fault("a session begins beside the holder", "beside=reader != holder)", "beside=False)"),
    Fault(
        "a card that lies beside the holder is in it",
        "        if not self._power.machine.place.beside:\n",
        "        if True:\n",
    ),
    Fault(
        "who is sent to the holder is not taken there",
        "def _refuse_beside_holder(badge: str, holder: Holder | None) -> Refuse:\n"
        "    return _refuse(badge, holder, (NOT_IN_HOLDER,), for_its_reader=True)\n",
        "def _refuse_beside_holder(badge: str, holder: Holder | None) -> Refuse:\n"
        "    return _refuse(badge, holder, (NOT_IN_HOLDER,))\n",
    ),
    Fault(
        "a badge on a reader with a fault clears a danger",
        "        rank = Level.USER if machine.place.has_fault else machine.rank_of(holder)\n",
        "        rank = machine.rank_of(holder)\n",
    ),
    Fault(
        "who is refused by a reader with a fault taps another one in vain",
        "(blocked_by(Cause.READER),), for_its_reader=True)",
        "(blocked_by(Cause.READER),))",
    ),
    Fault(
        "a guest's card in the holder counts as out of it",
        "        return (start, SeeCard(guest, present=True)) if is_held else (start,)\n",
        "        return (start,)\n",
    ),
    Fault(
        "a card that leaves another reader left the holder",
        "if machine.rules.mode is not Mode.HOLD or machine.beside_holder:",
        "if machine.rules.mode is not Mode.HOLD:",
    ),
    Fault("one broken reader closes the machine", "if len(self._faults) < len(self._places):", "if not self._faults:"),
    Fault("in hold mode any reader proves the card", "return self._faults.get(self._holder)", "return None"),
    Fault(
        "another mode needs no other readers", "        self._follow_faults()  # another mode", "        # another mode"
    ),
]


def place(fault: Fault) -> Path | None:
    """Return the one file of the rules that `fault` fits, or None."""
    paths = [
        path
        for path in sorted((ROOT / "fabgate/rules").rglob("*.py"))
        for _ in range(path.read_text().count(fault.right))
    ]
    return paths[0].relative_to(ROOT) if len(paths) == 1 else None


def run_tests(fault: Fault | None) -> tuple[int, str]:
    """Run the tests of the rules on a copy with `fault`; return pytest's exit code, and the test that failed first."""
    with tempfile.TemporaryDirectory(prefix="fabgate-mutant-") as folder:
        copy = Path(folder)
        # Not the page of states: a diagram that no longer fits does not prove that behaviour is tested.
        ignored = shutil.ignore_patterns("__pycache__", "test_states_page*")
        shutil.copytree(ROOT / "fabgate/rules", copy / "fabgate/rules", ignore=ignored)
        shutil.copytree(ROOT / "tests/rules", copy / "tests/rules", ignore=ignored)
        shutil.copy(ROOT / "fabgate/__init__.py", copy / "fabgate")
        shutil.copy(ROOT / "tests/__init__.py", copy / "tests")
        shutil.copy(ROOT / "pyproject.toml", copy)
        (copy / "tests/conftest.py").write_text(UNTIMED)
        if fault is not None:
            where = place(fault)
            assert where is not None
            path = copy / where
            path.write_text(path.read_text().replace(fault.right, fault.wrong))
        # The random sequences run last: most faults are caught before them, in seconds.
        tests = sorted((copy / "tests/rules").glob("test_*.py"), key=lambda path: ("any_order" in path.name, path.name))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "-p", "no:xdist", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, *tests],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    output = (done.stdout + done.stderr).strip().splitlines() or [""]
    return done.returncode, failed[0].split(" - ")[0].removeprefix("FAILED tests/rules/") if failed else output[-1]


def main() -> int:
    argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").partition("\n")[0]).parse_args()
    lost = [fault for fault in FAULTS if place(fault) is None]
    for unfit in lost:
        show(f"does not fit   {unfit.name}: its text must occur exactly once in fabgate/rules")
    wrong = 0
    with ThreadPoolExecutor(2) as pool:
        began = time.monotonic()
        # The rules as they are must pass, or every fault would seem to be caught.
        runs = {pool.submit(run_tests, fault): fault for fault in [None, *FAULTS] if fault not in lost}
        for n, run in enumerate(as_completed(runs), 1):
            fault, (code, test) = runs[run], run.result()
            good = code == (0 if fault is None else 1)  # 1: tests failed; any other code proves nothing
            wrong += not good
            verdict = ("caught" if fault else "unharmed") if good else ("SURVIVED" if fault else "BROKEN")
            name = fault.name if fault else "the rules as they are"
            show(f"{n:2}/{len(runs)} {time.monotonic() - began:5.0f} s  {verdict:8}  {name}: {test}")
    show(f"{len(FAULTS) - len(lost)} faults tried, {wrong + len(lost)} not caught")
    return 1 if wrong or lost else 0


def show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
