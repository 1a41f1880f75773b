"""The person at the terminal of a self-test."""

from __future__ import annotations

from typing import TextIO


class Terminal:
    """Asks in `said` and reads answers from `keys`."""

    def __init__(self, keys: TextIO, said: TextIO) -> None:
        self._keys = keys
        self._said = said

    def tell(self, text: str) -> None:
        """Print a text."""
        print(text, file=self._said, flush=True)

    def ask(self, question: str) -> str:
        """Ask until the answer is y, n or r. Raises EOFError at the end of the input."""
        while True:
            print(f"{question} [y/n, r: once more] ", end="", file=self._said, flush=True)
            answer = self._keys.readline()
            if not answer:
                raise EOFError
            word = answer.strip().lower()[:1]
            if word in ("y", "n", "r"):
                return word
