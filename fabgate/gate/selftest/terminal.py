"""The person at the terminal of a self-test."""

from __future__ import annotations

from typing import Final, TextIO

from fabgate.phrases import phrases

#: What a person types for an answer, in English and in French.
_ANSWERS: Final = {"y": "y", "o": "y", "n": "n", "r": "r"}


class Terminal:
    """Asks in `said` and reads answers from `keys`, in the language `lang` of the gate's display."""

    def __init__(self, keys: TextIO, said: TextIO, *, lang: str = "en") -> None:
        self._keys = keys
        self._said = said
        self._phrases = phrases(lang)

    def tell(self, text: str) -> None:
        """Print a text."""
        print(self._phrases(text), file=self._said, flush=True)

    def ask(self, question: str) -> str:
        """Ask until the answer is y, n or r. Raises EOFError at the end of the input."""
        prompt = self._phrases(f"{question} [y/n, r: once more] ")
        while True:
            print(prompt, end="", file=self._said, flush=True)
            answer = self._keys.readline()
            if not answer:
                raise EOFError
            word = answer.strip().lower()[:1]
            if word in _ANSWERS:
                return _ANSWERS[word]
