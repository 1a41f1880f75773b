"""What stands on the panel, and what passes over it? The state of the rules, and for some seconds what has just happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import structs

from fabgate import wire
from fabgate.drivers.panels import Notice
from fabgate.gate.panel import messages
from fabgate.gate.panel.notices import Notices
from fabgate.rules import vocabulary as w

_KIND: Final = w.SignalKind
#: These are heard also where something that has just happened is shown before them: power is about to go.
_URGENT: Final = frozenset({_KIND.WARNING, _KIND.GRACE})


class Face:
    """The panel of one machine, called `machine` on it; `lang` is the language of the place."""

    def __init__(self, notices: Notices, machine: str, lang: str) -> None:
        self._notices = notices
        self._machine = machine
        self._lang = lang
        self._shown: tuple[w.Shown, wire.Lock | None] | None = None
        self._power_was_cut = False

    def power_was_cut(self) -> None:
        """Say that the last session was found open, until somebody uses the machine."""
        self._power_was_cut = True

    def show(
        self, happened: Sequence[w.Signal], state: w.Shown, *, mode: w.Mode, lock: wire.Lock | None, boot_ms: int
    ) -> None:
        """Show each of `happened` for some seconds, and `state` from then on where it changed.

        `mode` and `lock` are the machine's; `boot_ms` is the time from which times left are counted.
        """
        blocked = state.kind is _KIND.BLOCKED
        self._power_was_cut = self._power_was_cut and (blocked or state.kind is _KIND.IDLE)
        before, self._shown = self._shown, (state, lock if blocked else None)
        stands = None
        if self._shown != before:
            stands = self._stands(state, mode, lock, boot_ms)
            if not happened:
                self._notices.show(stands)
            elif state.kind not in _URGENT:
                stands = structs.replace(stands, sound="")
        for signal in happened:
            told = messages.moment(signal, self._machine, lang=self._lang, mode=mode, lock=lock, blocked=blocked)
            self._notices.show(told, then=stands)
            stands = None

    def _stands(self, state: w.Shown, mode: w.Mode, lock: wire.Lock | None, boot_ms: int) -> Notice:
        if self._power_was_cut and state.kind is _KIND.IDLE:
            return messages.power_was_cut(self._lang)
        return messages.notice(state.at(boot_ms), self._machine, lang=self._lang, mode=mode, lock=lock)
