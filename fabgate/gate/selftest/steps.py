"""The steps of a self-test: what a person does, what they should see, and what the gate says meanwhile.

A step that needs power asks for a maintainer's badge: the tap starts an ordinary session. If the self-test fails or its
terminal is closed, the rules of the gate end the session as they end any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from fabgate import wire
from fabgate.drivers.panels import Notice
from fabgate.gate.config.gate_yaml import Config, driver_class
from fabgate.gate.panel import messages, trial
from fabgate.gate.selftest.watch import Status, Watch
from fabgate.phrases import phrases

OK: Final = "ok"
FAILED: Final = "failed"
NOT_DONE: Final = "not done"
NOT_INSTALLED: Final = "not installed"
#: What each panel of ours has for a person; one of another package may have everything.
_SENSES: Final = {
    "lights": {"light"},
    "neopixel": {"light"},
    "buzzer": {"sound"},
    "oled": {"display"},
    "lcd": {"display"},
}
_EVERYTHING: Final = frozenset({"light", "sound", "display"})
#: Which messages are tried for each.
_TRIED: Final = {
    "light": ("extended", "misread", "refused", "identify"),
    "sound": ("extended", "misread", "refused"),
    "display": ("misread", "extended"),
}
#: Panels whose light may be of several kinds.
_LIGHTS: Final = ("lights", "neopixel")
#: What shows that the button for defects works.
_FLAG_ASKED: Final = {
    "display": "the display asks for a badge to report a defect",
    "light": "the light is amber and blinks",
    "sound": "one short high tone",
}
#: A load that every machine has, and for how many seconds it takes one watt-hour.
_LOAD_W: Final = 100
_WH_S: Final = 3600 // _LOAD_W
_NOTHING_SWITCHED: Final = "in the mode audit nothing is switched"
_SOUNDS: Final = {"short": "one short high tone", "low": "one low tone", "low low": "two low tones"}


class Tester(Protocol):
    """The person at the terminal."""

    def tell(self, text: str) -> None:
        """Show a text."""

    def ask(self, question: str) -> str:
        """Return "y", "n", or "r" for once more. Raises EOFError or KeyboardInterrupt when they leave."""


class StepResult(msgspec.Struct, frozen=True):
    """What came of a step: one line of the sheet. `outcome` is ok, failed, not done or not installed; `detail` is what was observed."""

    name: str
    expected: str
    outcome: str
    detail: str = ""


class SelfTest:
    """One run. ``steps`` has what was done so far."""

    def __init__(self, config: Config, person: Tester, watch: Watch) -> None:
        self._config = config
        self._person = person
        self._watch = watch
        self._rules = wire.MachineRules()
        #: What the panels have for a person.
        self._senses: set[str] = set()
        self.steps: list[StepResult] = []

    def run(self) -> None:
        """Go through all steps. Raises UsageError where the gate does not run, HardwareError where it is silent."""
        status = self._watch.status()
        problems = [*status.get("causes", []), *([status["state"]] if status["state"] != "idle" else [])]
        self._note("gate", "the machine is idle, and nothing forbids its use", failed=", ".join(problems))
        if problems:
            self._person.tell("The machine is in use or out of service: see fabgate status. Nothing else is tested.")
            return
        self._rules = self._watch.rules()
        self._panels()
        if self._powered("off before the first tap", "the power is off") and self._first_session():
            self._other_readers()
            if self._button("stop"):
                self._button("estop")
        self._flag()

    @property
    def _holds(self) -> bool:
        return self._rules.mode == "hold"

    # --- panels -------------------------------------------------------------------------------------------------------

    def _panels(self) -> None:
        for section in self._config.panel:
            if section.driver == "log":
                self._senses |= {"display"} if getattr(section.options, "file", None) else set()
            else:
                self._senses |= _SENSES.get(section.driver, _EVERYTHING)
        for sense, names in _TRIED.items():
            if sense not in self._senses:
                self.steps.append(StepResult(sense, "", NOT_INSTALLED))
                continue
            for name in names:
                self._try(sense, name)

    def _try(self, sense: str, name: str) -> None:
        config = self._config
        notice = messages.passing_notice(trial.MESSAGES[name], config.machine.name or config.gate, lang=config.lang)
        kinds = {getattr(section.options, "lights", "rgb") for section in config.panel if section.driver in _LIGHTS}
        expected = _expected(sense, notice, has_three=kinds == {"three"})
        while True:
            if not self._shows(name):
                why = "the panel showed something else, because the machine was in use"
                self._note(f"{sense}: {name}", expected, failed=why)
                return
            answer = self._person.ask(f"Do you see or hear this: {expected}?")
            if answer != "r":
                self._note(f"{sense}: {name}", expected, failed="" if answer == "y" else "the person says no")
                return

    def _shows(self, name: str) -> bool:
        """Show a message, once the panel shows nothing of its own; return whether it does."""
        folder = self._config.state_dir
        if trial.show(folder, name):
            return True
        self._person.tell("The panel shows something else. Wait until it is gone.")
        return self._watch.wait(lambda now: _is_idle(now) and trial.show(folder, name)) is not None

    # --- sessions -----------------------------------------------------------------------------------------------------

    def _first_session(self) -> bool:
        """Test reader, relay, read-back and run-sense in one session; return whether more sessions make sense."""
        head, before_tap = self._watch.head(), self._watch.status()
        began = self._start()
        name = self._first_reader or "reader"
        expected = "the badge of a maintainer starts a session, which is recorded"
        if began is None:
            self._note(name, expected, failed="no session began")
            return False
        member = str(began.get("member"))
        if not self._watch.is_maintainer(member):
            self._note(name, expected, failed=f"{member} is not a maintainer")
            self._person.tell("This is not the badge of a maintainer. End the session as always; the test ends here.")
            return False
        wrong = "" if self._has_read(name, before_tap, began) else "another reader read the badge"
        self._note(name, expected, failed=wrong, detail=f"{member}, session {began['session']}")
        self._powered("relay on", "the lamp at the contact is lit, or the machine has power")
        why_not = "" if self._rules.mode != "audit" else _NOTHING_SWITCHED
        has_contact = getattr(self._config.output.options, "readback_pin", None) is not None and not why_not
        if has_contact:
            self._read_back("read-back", before_tap, "closed")
        else:
            self.steps.append(StepResult("read-back", "", NOT_INSTALLED, why_not))
        if not self._config.senses_work:
            self.steps.append(StepResult("run-sense", "", NOT_INSTALLED))
        else:
            self._person.tell("Start the machine, let it run for five seconds, and stop it.")
            before = began["running_ms"]
            self._awaited("run-sense", "the gate counts running time", lambda now: now["running_ms"] > before)
        self._meters()
        how, reasons, takes_s = self._way_to_end()
        self._person.tell(how)
        self._awaited("end", "the session ends", _is_idle, more_s=takes_s + self._rules.run_on_s)
        if not self._end("end recorded", str(began["session"]), head, reasons):
            return False
        is_off = self._powered("relay off", "the power is off")
        return is_off and (not has_contact or self._read_back("read-back off", before_tap, "open"))

    def _read_back(self, name: str, before: Status, wanted: str) -> bool:
        """Watch the read-back change to `wanted`. `before` is the status of the idle machine, whose contactor is open."""
        expected = f"the read-back changes to {wanted!r} when the contactor switches"
        if before.get("read_back") != "open":
            return self._note(name, expected, failed="the read-back was not 'open' before the first tap")
        says = self._watch.wait(lambda now: now.get("read_back") == wanted or _has_wrong_read_back(now)) or {}
        wrong = (
            "" if says.get("read_back") == wanted else f"the read-back is {says.get('read_back')!r}: see fabgate status"
        )
        return self._note(name, expected, failed=wrong)

    def _meters(self) -> None:
        """Test each meter that counts energy: one that is silent records 0 Wh for ever."""
        folder = self._config.state_dir
        for place, section in enumerate(self._config.meter):
            if not getattr(driver_class("meter", section.driver), "counts", False):
                continue
            before = trial.levels(folder)[place]
            step_wh = max(1, 1000 // getattr(section.options, "pulses_per_kwh", 1000))
            takes_s = step_wh * _WH_S
            self._person.tell(
                f"Let the machine work, so that it takes {_LOAD_W} W or more, until {before.meter} has counted the"
                f" energy: {takes_s} s at the most."
            )
            counts = lambda _now, before=before, place=place: _counted(before, trial.levels(folder)[place])  # noqa: E731
            self._awaited(before.meter, "the meter counts the energy that the machine takes", counts, more_s=takes_s)

    @property
    def _first_reader(self) -> str:
        """Return the name of the reader with the holder, or of the first one; "" where there is only one."""
        config = self._config
        if len(config.reader) == 1:
            return ""
        holder = config.holder([driver_class("reader", section.driver) for section in config.reader])
        return config.reader_name(holder if self._holds else 0)

    def _other_readers(self) -> None:
        """Test the other readers, each with any badge that it reads."""
        names = [self._config.reader_name(place) for place in range(len(self._config.reader))]
        for name in names if len(names) > 1 else ():
            if name == self._first_reader:
                continue
            before = self._watch.status()
            self._person.tell(f"Tap any badge on {name}.")
            read = lambda now, name=name, before=before: self._has_read(name, before, now)  # noqa: E731
            self._awaited(name, "the reader reads a badge", read)
            if not _is_idle(self._watch.status()):
                self._person.tell(f"End the session: {self._way_to_end()[0]}")
                self._awaited(f"end ({name})", "the session ends", _is_idle, more_s=self._rules.run_on_s)

    @staticmethod
    def _has_read(name: str, before: Status, now: Status) -> bool:
        """Return whether the reader of this name has read a card since `before`; a gate with one reader does not count."""
        counts = [
            next((one["cards_read"] for one in status.get("readers", ()) if one["name"] == name), None)
            for status in (before, now)
        ]
        return counts[0] is None or counts[0] != counts[1]

    def _way_to_end(self) -> tuple[str, tuple[str, ...], int]:
        """Return how a person ends a session, why it has ended then, and how many seconds that takes at most."""
        if self._holds:
            return "Take the badge away.", ("removed", "idle"), self._rules.grace_s
        if self._rules.mode != "timed":
            return "Tap the same badge again.", ("badge", "idle"), 0
        # There a second tap gives more time.
        if self._config.inputs.stop_pin is not None:
            return "Press the stop button.", ("button",), 0
        return "Wait until the session ends by itself. Tap no badge.", ("limit", "idle"), self._rules.max_s

    def _start(self) -> Status | None:
        if not _is_idle(self._watch.status()):
            self._person.tell("The session still runs: end it with the badge that started it.")
            if self._watch.wait(_is_idle) is None:
                return None
        reader = self._first_reader
        how = f"Lay the badge of a maintainer on {reader or 'the reader'}, and leave it there." if self._holds else ""
        self._person.tell(how or f"Tap the badge of a maintainer{f' on {reader}' if reader else ''}.")
        return self._watch.wait(lambda now: now["state"] == "active" and now["session"])

    def _end(self, name: str, session: str, head: int, reasons: Sequence[str]) -> bool:
        ended = self._watch.ended(session, after=head)
        wrong = "there is no such entry" if ended is None else "" if ended.reason in reasons else ended.reason
        detail = "" if ended is None else f"{ended.energised_ms} ms energised, {ended.running_ms} ms running"
        return self._note(name, f"the journal says why: {' or '.join(reasons)}", failed=wrong, detail=detail)

    # --- buttons ------------------------------------------------------------------------------------------------------

    def _button(self, name: str) -> bool:
        """Test a button in a session of its own; return False if the gate has ended it, and there is power all the same."""
        title = {"stop": "stop button", "estop": "emergency stop"}[name]
        if getattr(self._config.inputs, f"{name}_pin") is None:
            self.steps.append(StepResult(title, "", NOT_INSTALLED))
            return True
        self._person.tell(f"Now the {title}.")
        head = self._watch.head()
        began = self._start()
        if began is None:
            self._note(title, "pressing the button ends a session", failed="no session began")
            return True
        self._person.tell(f"Press the {title}." + (" Leave the badge on the reader." if self._holds else ""))
        if name == "stop":
            self._awaited(title, "the session ends", _is_idle, more_s=self._rules.run_on_s)
            self._end(f"{title} recorded", str(began["session"]), head, ("button",))
        else:
            self._awaited(title, "the session ends at once", lambda now: _is_idle(now) and "estop" in now["causes"])
        is_right = self._powered(f"relay off ({title})", "the power is off") or not _is_idle(self._watch.status())
        if name == "estop":
            self._person.tell("Release the emergency stop.")
            released = "the gate is ready again, and starts nothing"
            self._awaited(f"{title} released", released, lambda now: _is_idle(now) and not now["causes"])
            is_right &= self._powered("relay stays off", "the power is still off")
        if self._holds:
            self._person.tell("Take the badge away.")
        return is_right

    def _flag(self) -> None:
        if self._config.inputs.flag_pin is None:
            self.steps.append(StepResult("defect button", "", NOT_INSTALLED))
            return
        seen = next((_FLAG_ASKED[sense] for sense in ("display", "light", "sound") if sense in self._senses), None)
        if seen is None:
            self.steps.append(
                StepResult("defect button", "", NOT_INSTALLED, "there is no panel that could ask for a badge")
            )
            return
        how = "Hold the button for defects for three seconds. Tap no badge for half a minute: nothing is reported."
        self._asked("defect button", seen, how=how)

    # --- results ------------------------------------------------------------------------------------------------------

    def _awaited(self, name: str, expected: str, condition: Callable[[Status], bool], *, more_s: int = 0) -> bool:
        found = self._watch.wait(condition, more_s=more_s)
        return self._note(name, expected, failed="" if found is not None else "this did not happen in time")

    def _powered(self, name: str, expected: str) -> bool:
        """Ask about power, except at a machine that is only watched."""
        if self._rules.mode == "audit":
            self.steps.append(StepResult(name, "", NOT_INSTALLED, _NOTHING_SWITCHED))
            return True
        return self._asked(name, expected)

    def _asked(self, name: str, expected: str, *, how: str = "") -> bool:
        """Ask whether something is so; `how` is what the person does for it, each time."""
        answer = "r"
        while answer == "r":
            if how:
                self._person.tell(how)
            answer = self._person.ask(f"Is this true: {expected}?")
        return self._note(name, expected, failed="" if answer == "y" else "the person says no")

    def _note(self, name: str, expected: str, *, failed: str = "", detail: str = "") -> bool:
        self.steps.append(StepResult(name, expected, FAILED if failed else OK, failed or detail))
        self._person.tell(line(self.steps[-1], phrases(self._config.lang)))
        return not failed


def line(step: StepResult, said: Callable[[str], str] = str) -> str:
    """Return a step for a terminal; `said` returns a text in the person's language."""
    detail = f" ({said(step.detail)})" if step.detail else ""
    return f"  {said(step.outcome):<14}{said(step.name)}{detail}"


def _expected(sense: str, notice: Notice, *, has_three: bool) -> str:
    if sense == "light":
        colour, _, blinks = notice.light.partition(" ")
        if has_three and colour == "white":
            return "all three lights blink"
        return f"the light is {colour}{' and blinks' if blinks else ''}"
    if sense == "sound":
        return _SOUNDS.get(notice.sound, notice.sound)
    return f"the display says {' / '.join(notice.lines)}"


def _is_idle(status: Status) -> bool:
    return bool(status["state"] == "idle")


def _has_wrong_read_back(status: Status) -> bool:
    return "output" in status["causes"] or any(text.startswith("read-back:") for text in status["problems"])


def _counted(before: trial.Level, now: trial.Level) -> bool:
    return None not in (before.energy_wh, now.energy_wh) and before.energy_wh != now.energy_wh
