"""What is wrong with a gate, as the status and the doctor show it."""

from __future__ import annotations


class Problems(dict[str, str]):
    """The problems of one gate: texts for people, by key."""

    def note(self, key: str, text: str | None) -> None:
        """Note a problem, or with None its end."""
        if text is None:
            self.pop(key, None)
        else:
            self[key] = text
