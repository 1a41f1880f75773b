"""Which rules of a machine are mistakes, in a roster, and in the forms and files in which a person writes them?"""

from __future__ import annotations

from fabgate.wire.machine_rules import MACHINE_WORDS, MAX_SECONDS, MachineRules


def machine_mistakes(rules: MachineRules) -> list[str]:
    """Return the invalid values of a machine's rules, each as ``field: found …, wanted …``."""
    mistakes = [
        f"{name}: found {getattr(rules, name)!r}, wanted {', '.join(words[:-1])} or {words[-1]}"
        for name, words in MACHINE_WORDS.items()
        if getattr(rules, name) not in words
    ]
    if rules.lock is not None and rules.lock.when not in ("now", "idle"):
        mistakes.append(f"lock.when: found {rules.lock.when!r}, wanted now or idle")
    for name in rules.__struct_fields__:
        seconds = getattr(rules, name) if name.endswith("_s") else None
        # a limit of 0 would mean no limit, but power always has a deadline
        least = 1 if name in ("limit_s", "max_s", "idle_off_s") else 0
        if seconds is not None and not least <= seconds <= MAX_SECONDS:
            limit = f"{least} or more" if seconds < least else f"at most {MAX_SECONDS}"
            mistakes.append(f"{name}: found {seconds}, wanted {limit} seconds")
    if rules.max_s < rules.limit_s:
        mistakes.append(f"max_s: found {rules.max_s}, wanted {rules.limit_s} (limit_s) or more")
    return mistakes


def warning_mistakes(rules: MachineRules) -> dict[str, str]:
    """Return the error for each time that is not longer than its warning, by field: ``warn_s: found …, wanted …``.

    For forms and files in which a person writes the rules. A roster with such rules is valid: the gate then warns for a
    quarter of the time at most.
    """
    times = {"limit_s": rules.limit_s, "idle_off_s": rules.idle_off_s}
    return {
        name: f"warn_s: found {rules.warn_s}, wanted less than {seconds} ({name}); the warning comes before the end"
        for name, seconds in times.items()
        if seconds is not None and rules.warn_s >= seconds
    }


def holder_mistake(rules: MachineRules) -> str | None:
    """Return ``grace_s: found …, wanted …`` where a second person is needed and a card can never leave its holder.

    The member's card has to make room for the supervisor's, and hold mode without a grace time then ends the session.
    For forms and files in which a person writes the rules. A roster with such rules is valid: the gate refuses members
    who need a supervisor, and serves all others.
    """
    second = "sponsor: true" if rules.sponsor else f"supervisor: {rules.supervisor}"
    if rules.mode != "hold" or rules.grace_s > 0 or (rules.supervisor == "never" and not rules.sponsor):
        return None
    return (
        f"grace_s: found 0 with mode: hold and {second}, wanted 1 or more; the member's card has to leave the holder for"
        " the supervisor's. Or set supervisor: never and sponsor: false"
    )
