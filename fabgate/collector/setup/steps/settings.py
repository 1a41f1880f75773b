"""The settings of the collector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fabgate.collector.setup import paths, settings_file
from fabgate.collector.setup.site import Site
from fabgate.computer import Computer

#: The lines that a person decides about.
_IN_WORDS: Final = {
    "FABGATE_SITE": "site",
    "FABGATE_TZ": "time zone",
    "FABGATE_LANG": "language",
    "FABGATE_ALLOWED_HOSTS": "names and addresses",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Writes the lines of collector.env that setup is responsible for; the others stay."""

    computer: Computer
    site: Site

    def plan(self) -> list[str]:
        """Say which lines change."""
        lines = []
        settings = settings_file.read(self._text())
        wanted = self.site.settings()
        changed = [words for name, words in _IN_WORDS.items() if settings.get(name) != wanted[name]]
        # Shown in words where they are the person's, and together where they are ours.
        if any(settings.get(name) != value for name, value in wanted.items() if name not in _IN_WORDS):
            changed.append("how to reach broker and pages")
        if changed or not self.computer.is_there(paths.SETTINGS):
            lines.append(f"write {', '.join(changed) or 'the settings'} to {paths.SETTINGS}")
        return lines

    def do(self) -> None:
        """Write them."""
        text = settings_file.changed(self._text(), self.site.settings())
        self.computer.write(paths.SETTINGS, text, mode=0o640, group=paths.ACCOUNT)

    def _text(self) -> str:
        return self.computer.text(paths.SETTINGS) or self.computer.text(f"{paths.SHIPPED}/collector.env")
