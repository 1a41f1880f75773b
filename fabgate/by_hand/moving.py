"""Carries out a plan, and undoes it. Each step can be repeated: after a kill at any moment the same steps lead to the same end."""

from __future__ import annotations

from fabgate.by_hand import of_collector
from fabgate.by_hand.part import Part
from fabgate.by_hand.plan import Plan, State
from fabgate.computer import Computer
from fabgate.errors import FabgateError


class MoveError(FabgateError):
    """A step failed; the plan is to be undone."""


def forward(computer: Computer, part: Part, plan: Plan) -> Plan:
    """Stop the part, move its files to the backup folder, and change its tables. Raises MoveError and OSError."""
    # The power of a gate goes off here: line-off runs after the service.
    _stop(computer, part)
    # The links of `systemctl enable` come first: without them nothing starts with the computer before the move has ended.
    for name in plan.moves:
        _move(computer, plan, name)
    for name, text in plan.drop_ins.items():
        computer.write(name, text)
    plan = _copy_database(computer, plan)
    if plan.tables:
        # The account cannot make it in /var/lib.
        owner = ("-o", part.account, "-g", part.account)
        _need(computer, "install", "-d", "-m", "700", *owner, of_collector.COPIES)
        _need(computer, part.program, "migrate")  # it makes a copy first
    _need(computer, "systemctl", "daemon-reload")
    return plan.saved(computer, state=State.IN_USE)


def start(computer: Computer, part: Part, plan: Plan) -> Plan:
    """Enable and start what the package brings, as far as it was before. Raises MoveError and OSError."""
    if plan.enabled:
        _need(computer, "systemctl", "enable", *plan.enabled)
    if plan.started:
        _need(computer, "systemctl", "start", *plan.started)
        _watch(computer, part, plan)
    computer.remove_empty("/usr/lib/fabgate")
    return plan.saved(computer, state=State.DONE)


def back(computer: Computer, part: Part, plan: Plan) -> Plan:
    """Restore exactly what was before, and start it. Raises MoveError and OSError."""
    if plan.tables and not plan.kept and of_collector.tables(computer) != plan.tables:
        raise MoveError(f"the tables are those of the package now; `{part.program} rollback` says the way back")
    _stop(computer, part)
    # First, so that nothing starts with the computer before everything is restored.
    for name in part.links(computer):
        if name not in plan.moves or computer.is_there(plan.backup(name)):
            computer.remove(name)
    plan = plan.saved(computer, state=State.BACK)
    plan = _restore_database(computer, plan)
    _restore_files(computer, plan)
    _need(computer, "systemctl", "daemon-reload")
    if plan.started:
        _need(computer, "systemctl", "start", *plan.started)
    return plan.saved(computer, state=State.UNDONE)


def _move(computer: Computer, plan: Plan, name: str) -> None:
    if computer.is_there(name) and not computer.is_there(plan.backup(name)):
        computer.copy(name, plan.backup(name))
    computer.remove(name)


def _restore_files(computer: Computer, plan: Plan) -> None:
    for name in plan.drop_ins:
        if name not in plan.moves or computer.is_there(plan.backup(name)):
            computer.remove(name)
            computer.remove_empty(name.rpartition("/")[0])
    for name in reversed(plan.moves):  # the links of `systemctl enable` last
        if computer.is_there(plan.backup(name)):
            computer.copy(plan.backup(name), name)


def _restore_database(computer: Computer, plan: Plan) -> Plan:
    for name in () if plan.copied is None else plan.kept:
        if name in (plan.copied or ()):
            computer.copy(plan.backup(name), name)
        else:
            computer.remove(name)
    # Only once: what is recorded from now on must not be replaced by a repetition.
    return plan.saved(computer, copied=None)


def _copy_database(computer: Computer, plan: Plan) -> Plan:
    if plan.copied is not None or not plan.kept:
        return plan
    there = [name for name in plan.kept if computer.is_there(name)]
    for name in there:
        computer.copy(name, plan.backup(name))
    return plan.saved(computer, copied=there)


def _stop(computer: Computer, part: Part) -> None:
    running = [unit for unit in part.running if computer.is_active(unit)]
    if running:
        _need(computer, "systemctl", "stop", *running)


def _watch(computer: Computer, part: Part, plan: Plan) -> None:
    """Wait for a while, and make sure that what was started runs, and was not started a second time meanwhile."""
    services = [unit for unit in plan.started if unit.endswith(".service")]
    before = [_restarts(computer, unit) for unit in services]
    for _ in range(part.watched_s):
        computer.pause(1)
        for unit, count in zip(services, before, strict=True):
            state = computer.state(unit)
            if state != "active" or _restarts(computer, unit) != count:
                raise MoveError(f"{unit}: found it {state}, wanted active; journalctl -u {unit} -n 30 says why")


def _restarts(computer: Computer, unit: str) -> str:
    return computer.run("systemctl", "show", "-p", "NRestarts", "--value", unit).out.strip()


def _need(computer: Computer, *command: str) -> None:
    answer = computer.run(*command)
    if answer.code:
        raise MoveError(f"{' '.join(command)} ended with exit code {answer.code}: {answer.said}")
