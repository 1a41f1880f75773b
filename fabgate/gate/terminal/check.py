"""Checks a gate.yaml, the roster file that it names and the plug: ``fabgate check``. Nothing is stored or switched.

A gate starts despite mistakes in its roster file: the last good roster stays in force. This check reports them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fabgate import wire
from fabgate.errors import HardwareError, UsageError
from fabgate.gate.config import gate_yaml
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.config.meters import senses_work
from fabgate.gate.roster import file as roster_file

#: Said where a session may outlast a loss of the supply that closes the contactor. Every wired input reads as pressed then.
NO_SUPPLY_LOSS: Final = (
    "without inputs.estop_pin a session may go on while the contactor's 24 V are missing, and the machine has power again when"
    " they return; wire it to the emergency stop, or close its loop by a link where there is none (hardware/wiring.md)"
)
#: Duplicate badges are found under any key, and the gate's own may be missing or unreadable.
_ANY_KEY = bytes(32)


@dataclass(frozen=True, slots=True)
class Checked:
    """A valid configuration, and the content of its roster file; `roster` is None where the roster is a collector's.

    `unreached` is why an output on a network could not be asked, or ""; `warnings` are what its device lacks, or the wiring.
    """

    config: Config
    roster: wire.Roster | None
    unreached: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def is_job_unfelt(self) -> bool:
        """Whether the time limit cuts a job although the rules say `finish: wait`."""
        rules = _rules_of(self.config, self.roster)
        return rules.finish == "wait" and rules.mode != "audit" and not self.config.senses_work


def check(path: Path, *, ask_output: bool = True) -> Checked:
    """Read gate.yaml and its roster file, and ask an output on a network how it is set up.

    Raises UsageError with a line for every mistake, gate.yaml's first.
    """
    config, reading = gate_yaml.load_with_mistakes(path)
    values, roster = reading.values, None
    without_grace = wire.holder_mistake(_rules(values))
    if without_grace is not None:
        reading.wrong("machine.grace_s", without_grace.removeprefix("grace_s: "))
    mistakes = reading.mistakes
    file = values.get("roster.file")
    if file is not None and file.is_file():  # a missing file is a mistake of gate.yaml
        topics = wire.GateTopics(values.get("site", ""), values.get("gate", ""))
        try:
            roster, wrong = roster_file.read_with_mistakes(file, key=_ANY_KEY, topics=topics, fallback=_rules(values))
        except UsageError as error:
            mistakes.append(str(error))
        else:
            idle_off_s = roster.machine.idle_off_s
            if idle_off_s is not None and not senses_work(values):
                wrong.at("machine.idle_off_s", gate_yaml.NO_RUN_SENSE.format(idle_off_s))
            if without_grace is None and (text := wire.holder_mistake(roster.machine)) is not None:
                wrong.at("machine.grace_s", text.removeprefix("grace_s: "))
            if wrong.found:
                mistakes.append(wrong.text())
    unreached, warnings = _ask_output(path, config, mistakes) if config is not None and ask_output else ("", ())
    if mistakes or config is None:
        raise UsageError("\n".join(mistakes))
    if _may_outlast_supply(config, _rules_of(config, roster)):
        warnings = (*warnings, NO_SUPPLY_LOSS)
    return Checked(config, roster, unreached, warnings)


def _rules_of(config: Config, roster: wire.Roster | None) -> wire.MachineRules:
    return config.machine.rules() if roster is None else roster.machine


def _may_outlast_supply(config: Config, rules: wire.MachineRules) -> bool:
    """Return whether a session may go on while the supply of the contactor is missing.

    Only the emergency stop cuts in every phase. The stop button ends a session as a person does: a job that is sensed, or a
    run-on, keeps its power.
    """
    inputs = config.inputs
    if config.output.driver != "gpio" or config.demo or rules.mode == "audit" or inputs.estop_pin is not None:
        return False
    keeps_power = rules.run_on_s > 0 or (rules.finish == "wait" and config.senses_work)
    return inputs.stop_pin is None or keeps_power


def _ask_output(path: Path, config: Config, mistakes: list[str]) -> tuple[str, tuple[str, ...]]:
    """Add what is wrong with the device of an output on a network; return why it could not be asked, or "", and warnings."""
    try:
        problems = output_problems(config)
        mistakes += [f"{path}: output: {problem}" for problem in problems]
        return "", () if problems else tuple(output_warnings(config))
    except HardwareError as error:
        return str(error), ()


def output_problems(config: Config) -> list[str]:
    """Return what is wrong with the device of an output on a network. Raises HardwareError when it does not answer."""
    ask: Callable[[], list[str]] | None = getattr(gate_yaml.make_driver("output", config.output), "problems", None)
    return [] if ask is None else ask()


def output_warnings(config: Config) -> list[str]:
    """Return what the device of an output on a network should have, and has not. Raises HardwareError when it is silent."""
    ask: Callable[[], list[str]] | None = getattr(gate_yaml.make_driver("output", config.output), "warnings", None)
    return [] if ask is None else ask()


def _rules(values: dict[str, Any]) -> wire.MachineRules:
    """Return the valid rules of a gate.yaml, so that its mistakes are not reported again for the roster file."""
    names = gate_yaml.MachineSection.__struct_fields__
    known = {name: values[f"machine.{name}"] for name in names if f"machine.{name}" in values}
    limit_s, max_s = known.setdefault("limit_s", 1), known.get("max_s")
    if max_s is not None and max_s < limit_s:
        del known["max_s"]
    if not senses_work(values):
        known.pop("idle_off_s", None)
    return gate_yaml.MachineSection(**known).rules()
