"""Finds what a person changed in units: lines for a drop-in, and drop-ins that name the installation by hand."""

from __future__ import annotations

from collections.abc import Iterator

from fabgate.by_hand.part import ETC_UNITS, Part, by_hand_copy
from fabgate.computer import Computer
from fabgate.doctor import shipped

#: The drop-in with what a person had changed in the unit itself.
DROP_IN = "40-from-the-installation-by-hand.conf"
_HEAD = "# Lines that a person had changed in the unit of the installation by hand. fabgate use-package wrote this.\n"


def changed(computer: Computer, part: Part, name: str) -> tuple[str, list[str]]:
    """Compare a unit with the one that its own installation brought.

    Return the text of a drop-in with what was changed, "" if nothing was; and the lines that it cannot take over, because
    without the package's own ones a machine can stay on, or stay out of use.
    """
    text = computer.text(f"{ETC_UNITS}/{name}")
    if not text:
        return "", []
    wanted = shipped.settings([by_hand_copy(computer, name) or (shipped.shipped(f"systemd/{name}") or "")])
    found = shipped.settings([text])
    wanted, found = _adapted(part, wanted), _adapted(part, found)
    carried: dict[str, list[str]] = {}
    left: list[str] = []
    for setting in dict.fromkeys([*found, *wanted]):
        section, key = setting
        before, now = wanted.get(setting, []), found.get(setting, [])
        if before == now or section == "Install":
            continue
        if shipped.counts_for_safety(setting):
            left += [f"{key}={value}" for value in now] or [f"without {key}="]
            continue
        added = shipped.is_list(key) and now[: len(before)] == before
        lines = now[len(before) :] if added else ["", *now] if shipped.is_list(key) else now or [""]
        carried.setdefault(section, []).extend(f"{key}={value}" for value in lines)
    sections = [f"[{section}]\n" + "".join(f"{line}\n" for line in lines) for section, lines in carried.items()]
    return (_HEAD + "".join(sections) if sections else ""), left


def _adapted(part: Part, settings: shipped.Settings) -> shipped.Settings:
    return {setting: [part.adapted(value) for value in values] for setting, values in settings.items()}


def with_old_paths(computer: Computer, part: Part) -> Iterator[str]:
    """Yield a sentence for each line of a drop-in that would go on using a file of the installation by hand."""
    for path in computer.system.found(f"{ETC_UNITS}/*.d/*.conf"):
        if not part.unit.fullmatch(path.parent.name.removesuffix(".d")):
            continue
        shown = f"/{path.relative_to(computer.system.root)}"
        for line in path.read_text("utf-8", errors="replace").splitlines():
            plain = line.strip()
            if plain[:1] not in ("#", ";") and (better := part.adapted(plain)) != plain:
                yield f"{shown}: found {plain}, wanted the package's file; write {better}"
