"""``fabgate doctor`` examines the gate and its computer; ``selftest`` and ``calibrate`` ask a person at the machine."""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime

from fabgate.errors import FabgateError, UsageError


def doctor(arguments: argparse.Namespace) -> int:
    """Examine the gate and its computer; exit code 1 when a check failed."""
    from fabgate.cli.run import load
    from fabgate.doctor import finding
    from fabgate.doctor.system import System
    from fabgate.gate.doctor.examination import examine
    from fabgate.phrases import lang_of, phrases

    if not arguments.root.is_dir():
        raise UsageError(f"--root: found no folder {arguments.root}, wanted that of a computer's files")
    with suppress(UsageError, OSError):  # mistakes are findings
        load(arguments.config)  # the reader of a demo that is stopped is opened
    findings = examine(arguments.config, System(arguments.root.absolute()))
    if arguments.json:
        print(json.dumps(finding.as_json(findings), indent=2))
    else:
        print("\n".join(finding.lines(findings, phrases(lang_of(arguments.config)))))
    return finding.exit_code(findings)


def selftest(arguments: argparse.Namespace) -> int:
    """Test the running gate with a person; exit code 1 when a step failed or was not done."""
    from fabgate.gate.config import gate_yaml
    from fabgate.gate.selftest import steps
    from fabgate.gate.selftest.terminal import Terminal
    from fabgate.gate.selftest.watch import Watch
    from fabgate.phrases import phrases

    if not sys.stdin.isatty():
        raise UsageError("selftest asks a person at the machine: run it in a terminal")
    config = gate_yaml.load(arguments.config)
    if arguments.sheet is not None:
        from fabgate.doctor import commissioning

        commissioning.ready(arguments.sheet)
    person = Terminal(sys.stdin, sys.stderr if arguments.json else sys.stdout, lang=config.lang)
    watch = Watch(config, patience_s=arguments.wait)
    status, head = watch.status(), watch.head()
    test = steps.SelfTest(config, person, watch)
    stopped: FabgateError | None = None
    try:
        test.run()
    except (EOFError, KeyboardInterrupt):
        test.steps.append(steps.StepResult("the rest", "", steps.NOT_DONE, "the person left"))
    except FabgateError as error:
        test.steps.append(steps.StepResult("the rest", "", steps.NOT_DONE, str(error)))
        stopped = error
    found, made_at = test.steps, datetime.now(UTC)
    is_ok = all(step.outcome in (steps.OK, steps.NOT_INSTALLED) for step in found)
    missing = [step.name for step in found if step.outcome == steps.NOT_INSTALLED]
    if missing:
        person.tell(f"not installed: {', '.join(missing)}")
    if arguments.sheet is not None:
        facts = [
            ("Machine", str(status["machine"])),
            ("Gate", f"{config.site}/{config.gate}, fabgate {status['version']}"),
            ("Journal", phrases(config.lang)(f"{status['journal']['id']}, after entry {head}")),
            ("Tested", made_at.strftime("%Y-%m-%d %H:%M UTC")),
        ]
        rows = [(step.name, step.expected, step.outcome, step.detail) for step in found]
        commissioning.write(arguments.sheet, facts, rows, made_at=made_at, lang=config.lang)
        person.tell(f"The sheet to sign: {arguments.sheet}")
    if arguments.json:
        import msgspec

        print(json.dumps({"ok": is_ok, "steps": msgspec.to_builtins(found)}, indent=2))
    if stopped is not None:
        raise stopped
    person.tell("ok: every step" if is_ok else "NOT ok: do not put the machine into service")
    return 0 if is_ok else 1


def calibrate(arguments: argparse.Namespace) -> int:
    """Find a meter's thresholds with a person. Exit code 1: none separates the two states."""
    from fabgate.gate.config import gate_yaml
    from fabgate.gate.selftest import calibration
    from fabgate.gate.selftest.terminal import Terminal
    from fabgate.gate.selftest.watch import Watch

    if not sys.stdin.isatty():
        raise UsageError("calibrate asks a person at the machine: run it in a terminal")
    config = gate_yaml.load(arguments.config)
    person = Terminal(sys.stdin, sys.stderr if arguments.json else sys.stdout, lang=config.lang)
    run = calibration.Calibration(config, person, Watch(config, patience_s=arguments.wait), pause=time.sleep)
    try:
        found = run.run()
    except EOFError:
        person.tell("The measurement is not complete: the person left.")
        return 1
    except calibration.NotFoundError as error:
        person.tell(str(error))
        return 1
    if arguments.json:
        import msgspec

        print(json.dumps(msgspec.to_builtins(found), indent=2))
    else:
        print(
            "\n".join(
                [
                    "Write these two lines into the section meter of gate.yaml, then restart the gate:",
                    "",
                    *calibration.as_yaml(found),
                ]
            )
        )
    return 0
