"""Decides what the panel shows: the state of the machine, and for some seconds what has just happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from msgspec import structs

from fabgate import wire
from fabgate.drivers.panels import Notice
from fabgate.gate.panel import messages
from fabgate.gate.panel.costs import NO_MONEY, Money, Rate
from fabgate.gate.panel.panel_thread import Panels, PanelThread
from fabgate.rules import vocabulary
from fabgate.rules.machine import Session

_KIND: Final = vocabulary.SignalKind
#: An end that moves by less is shown where it was.
UNMOVED_MS: Final = 1_000
#: These keep their sound even when something that has just happened is shown first: power is about to go off.
_URGENT: Final = frozenset({_KIND.WARNING, _KIND.GRACE})

#: What is shown before a session begins.
_BEFORE_A_SESSION: Final = frozenset({_KIND.FREE, _KIND.WAIT})


def since_ms(session: Session | None) -> int | None:
    """Return the boot time from which the session's clock counts; None: it has no power yet."""
    if session is None or session.meter.energised_since is None:
        return None
    return session.meter.energised_since - session.meter.energised_ms


class Screen:
    """The panels of one machine, which it calls `machine`; `lang` is the language of the workshop."""

    def __init__(self, panel: Panels | PanelThread, machine: str, lang: str) -> None:
        self._panel = panel
        self._machine = machine
        self._lang = lang
        self._shown: tuple[vocabulary.Shown, wire.Lock | None] | None = None
        #: The price of the session that goes on, as it was shown last.
        self._rate: Rate | str | None = None
        self._power_was_cut = False
        #: The message of a self-test that was shown last.
        self._tried: Notice | None = None

    def power_was_cut(self) -> None:
        """Show that the last session was cut by a power failure, until the machine is used."""
        self._power_was_cut = True

    def show(
        self,
        happened: Sequence[vocabulary.Signal],
        state: vocabulary.Shown,
        *,
        mode: vocabulary.Mode,
        lock: wire.Lock | None,
        boot_ms: int,
        since_ms: int | None = None,
        money: Money = NO_MONEY,
    ) -> None:
        """Show each of `happened` for some seconds, and then `state` where it has changed.

        `mode` and `lock` are the machine's; remaining times are counted from `boot_ms`, and the time of the session that
        goes on from `since_ms`. `money` has the price of the state, and the costs of the ends among `happened`. If it says
        that the member's credit is low, that is shown for some seconds before the session; otherwise a supervisor reads
        that a member who needs them taps first.
        """
        blocked = state.kind is _KIND.BLOCKED
        state = self._unmoved(state)
        self._power_was_cut = self._power_was_cut and (blocked or state.kind is _KIND.FREE)
        before, self._shown = self._shown, (state, lock if blocked else None)
        rate_before, self._rate = self._rate, money.rate() if state.kind is _KIND.GO else None
        lasting = None
        if self._shown != before or self._rate != rate_before:
            lasting = self._lasting(state, mode, lock, boot_ms, since_ms, money)
            if not happened and self._shown == before:
                self._panel.update(lasting)
            elif not happened:
                begins = before is None or before[0].kind in _BEFORE_A_SESSION
                self._begin(state, lasting, money, begins=begins)
            elif state.kind not in _URGENT:
                lasting = structs.replace(lasting, sound="")
        costs = iter(money.ended)
        for signal in happened:
            cost = next(costs, None) if signal.kind is _KIND.ENDED else None
            passing = messages.passing_notice(
                signal,
                self._machine,
                lang=self._lang,
                mode=mode,
                lock=lock,
                blocked=blocked or (state.kind is _KIND.FLAG_ASK and bool(state.reasons)),
                money=cost,
                boot_ms=boot_ms,
            )
            self._panel.show(passing, then=lasting)
            lasting = None

    def try_out(self, signal: vocabulary.Signal) -> bool:
        """Show a message for a self-test, if the panel shows nothing else; return whether it does.

        What happens later is shown at once, as always.
        """
        is_idle = self._shown is not None and self._shown[0].kind is _KIND.FREE and not self._power_was_cut
        if not is_idle or self._panel.is_passing(but=self._tried):
            return False
        self._tried = messages.passing_notice(signal, self._machine, lang=self._lang)
        self._panel.show(self._tried)
        return True

    def _unmoved(self, state: vocabulary.Shown) -> vocabulary.Shown:
        """Return the state that is shown, if `state` is another one only by an end that moved less than a second.

        Closing time is computed from the wall clock at each look. Its milliseconds waver, and the panel would show the same
        again, with its sound.
        """
        shown = None if self._shown is None else self._shown[0]
        if shown is None or shown.until_ms is None or state.until_ms is None:
            return state
        is_unmoved = abs(shown.until_ms - state.until_ms) < UNMOVED_MS
        return shown if is_unmoved and replace(state, until_ms=shown.until_ms) == shown else state

    def _begin(self, state: vocabulary.Shown, lasting: Notice, money: Money, *, begins: bool) -> None:
        """Show a new state when nothing else has happened; `begins`: if it is a session, that begins now."""
        first: Notice | None = None
        if state.kind is _KIND.GO and money.is_low():
            first = messages.low_credit(state.name, self._machine, lang=state.lang, default=self._lang)
        elif state.kind is _KIND.GO and begins and state.detail == vocabulary.MEMBER_FIRST:
            first = messages.member_first(state.name, self._machine, lang=state.lang, default=self._lang)
        if first is not None:
            self._panel.show(first, then=structs.replace(lasting, sound=""))
        else:
            self._panel.show(lasting)

    def _lasting(
        self,
        state: vocabulary.Shown,
        mode: vocabulary.Mode,
        lock: wire.Lock | None,
        boot_ms: int,
        since_ms: int | None,
        money: Money,
    ) -> Notice:
        if self._power_was_cut and state.kind is _KIND.FREE:
            return messages.power_was_cut(self._lang)
        return messages.notice(
            state.at(boot_ms),
            self._machine,
            lang=self._lang,
            mode=mode,
            lock=lock,
            money=self._rate,
            so_far=money.so_far() if state.kind is _KIND.GO else None,
            boot_ms=boot_ms,
            since_ms=since_ms,
        )
