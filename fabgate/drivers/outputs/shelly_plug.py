"""What the gate asks of a Shelly plug, as typed values: its identity, its settings, its status, and the two orders.

Sources: shelly-api-docs.shelly.cloud/gen2, "Shelly", "Switch", "Schedule", "Webhook" and "Script". Answers that are not as
documented there are a HardwareError, never a guess.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fabgate.drivers.outputs.shelly_rpc import DeviceLink
from fabgate.errors import HardwareError

#: Settings that must have one value: their place in Shelly.GetConfig, the value, and why. A plug that does not have a setting
#: does not have what it switches on. MQTT and the outbound WebSocket ask for no password ("Authentication").
_SETTINGS: Final = (
    (("cloud", "enable"), False, "the cloud is on, wanted off: anyone with that account could switch the machine on"),
    (("mqtt", "enable"), False, "MQTT is on, wanted off: anyone with access to the broker could switch the machine on"),
    (("ws", "enable"), False, "the outbound WebSocket is on, wanted off: it needs no password"),
    (("matter", "enable"), False, "Matter is on, wanted off: its controllers could switch the machine on"),
    (("knx", "enable"), False, "KNX is on, wanted off: its devices could switch the machine on"),
)
#: What a plug may hold that switches by itself: the method that lists it, the key of its list, and what it is.
_LISTS: Final = (
    ("Schedule.List", "jobs", "schedule"),
    ("Webhook.List", "hooks", "webhook"),
    ("Script.List", "scripts", "script"),
)


#: With auto-off no later than this, a plug that was switched on at its button does not stay on without limit. It is the
#: longest timer of an order (30 s) and the life of a packet (5 s).
AUTO_OFF_S: Final = 35


class Status(NamedTuple):
    """What the plug says: whether its last order was on, which timer runs, the watts, and its counter in whole Wh."""

    on: bool
    #: When its timer began by its own clock, and for how long; None where none runs.
    timer: tuple[float | None, float | None] | None
    power_w: float | None
    energy_wh: int | None


class ShellyPlug:
    """One switch of the device behind `link`. Every method raises HardwareError when the device does not answer."""

    def __init__(self, link: DeviceLink, switch: int) -> None:
        self.link = link
        self._switch = switch

    def check_identity(self) -> None:
        """Raise HardwareError if this is another device, of the first generation, or without a password."""
        found = self._asked("Shelly.GetDeviceInfo", is_open=True)
        wanted = self.link.device_id
        if found.get("id") != wanted:
            self.link.doubtful_since_s = float("-inf")  # it is another one, whatever it answers from now on
            raise HardwareError(
                f"found the device {_short(found.get('id'))!r} at {self.link.host}, wanted {wanted!r}; correct output.host or"
                " output.device_id, and reserve the plug's address in the router"
            )
        if not isinstance(found.get("gen"), int) or found["gen"] < 2:
            raise HardwareError(f"{self.link} is of the first generation, wanted the second or later")
        if found.get("auth_en") is not True:
            raise HardwareError(
                f"{self.link} has no password, wanted one: set it on its page (Settings, Authentication)"
            )
        self.link.doubtful_since_s = None

    def check_doubt(self, *, older_than_s: float = 0.0) -> None:
        """Check the identity if an answer has been missing for so long: another device may have got the address."""
        since_s = self.link.doubtful_since_s
        if since_s is not None and time.monotonic() - since_s >= older_than_s:
            self.check_identity()

    def unsafe_settings(self) -> list[str]:
        """Return what could switch the machine on without the gate, each as a sentence."""
        config = self._asked("Shelly.GetConfig")
        found = [
            text
            for (part, key), wanted, text in _SETTINGS
            if part in config and self._object(config[part], part).get(key, wanted) != wanted
        ]
        own = config.get(f"switch:{self._switch}")
        if not isinstance(own, Mapping):
            raise HardwareError(f"{self.link} has no switch {self._switch}: correct output.switch")
        if own.get("initial_state") != "off":
            found.append(
                f"its state after a power cut (initial_state) is {_short(own.get('initial_state'))}, wanted off:"
                " the machine would start by itself"
            )
        if own.get("auto_on") is not False:
            found.append("its auto-on timer is on, wanted off: it would switch on again after each off")
        for method, key, what in _LISTS:
            listed = self.link.call(method, may_lack=True)
            rows = None if listed is None else self._object(listed, method).get(key)
            if not isinstance(rows, list | None):
                raise HardwareError(f"{self.link} answers {method} with something that is no list")
            active = [row for row in rows or () if self._is_active(self._object(row, method))]
            if active:
                found.append(f"it has {len(active)} active {what}{'' if len(active) == 1 else 's'}, wanted none")
        return found

    def lacking_settings(self) -> list[str]:
        """Return which settings would limit how long the machine stays on after a person's hand, each as a sentence.

        They are no reason to refuse the plug: it is not known yet of a real one whether a session outlasts its auto-off.
        """
        config = self._asked("Shelly.GetConfig")
        own = self._object(config.get(f"switch:{self._switch}"), "Shelly.GetConfig")
        delay_s = _number(own.get("auto_off_delay"))
        if own.get("auto_off") is True and delay_s is not None and 0 < delay_s <= AUTO_OFF_S:
            return []
        found = f"{delay_s:g} s" if own.get("auto_off") is True and delay_s is not None else "not set"
        why = "a plug that somebody switches off and on at its button in the second before the gate dies stays on without limit"
        return [f"its auto-off is {found}, wanted on, {AUTO_OFF_S} s: {why}"]

    def status(self) -> Status:
        """Return what the plug says about itself now."""
        found = self._asked("Switch.GetStatus", id=self._switch)
        on, watts, energy = found.get("output"), found.get("apower"), found.get("aenergy")
        if not isinstance(on, bool):
            raise HardwareError(f"{self.link} does not say whether it is on")
        watts, total = _number(watts), _number(energy.get("total") if isinstance(energy, Mapping) else None)
        return Status(
            on,
            (_number(found.get("timer_started_at")), _number(found["timer_duration"]))
            if found.get("timer_duration") is not None
            else None,
            watts,
            None if total is None or total < 0 else int(total),
        )

    def order_on(self, off_after_s: int) -> bool:
        """Switch on for `off_after_s` seconds; return whether it was on before. Never sent without that time."""
        return self._was_on(self._asked("Switch.Set", id=self._switch, on=True, toggle_after=off_after_s))

    def order_off(self) -> bool:
        """Switch off, and end its timer; return whether it was on. Never sent with a time: it would switch on after it."""
        return self._was_on(self._asked("Switch.Set", id=self._switch, on=False))

    def _was_on(self, found: Mapping[str, Any]) -> bool:
        was_on = found.get("was_on")
        if not isinstance(was_on, bool):
            raise HardwareError(f"{self.link} does not confirm the order")
        return was_on

    def _asked(self, method: str, *, is_open: bool = False, **parameters: int) -> Mapping[str, Any]:
        return self._object(self.link.call(method, parameters, is_open=is_open), method)

    def _object(self, found: object, what: str) -> Mapping[str, Any]:
        if not isinstance(found, Mapping):
            raise HardwareError(f"{self.link} answers {what} with something that is no object")
        return found

    @staticmethod
    def _is_active(row: Mapping[str, Any]) -> bool:
        return row.get("enable", True) is not False or row.get("running", False) is not False


def _short(value: object) -> str:
    return f"{value!s:.60}"


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12:  # nor NaN
        return float(value)
    return None
