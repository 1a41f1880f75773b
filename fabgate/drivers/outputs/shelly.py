"""Switches a machine with a Shelly plug of the second generation or later, over HTTP on the local network.

The plug has a timer of its own: every order to switch on says after how many seconds it falls off (``toggle_after``). While
a machine is used the order is repeated; when the gate, the network or the access point dies, the machine loses its power
within ``off_after_s``. An order to switch off never has a timer, which would switch on again.

*What the plug says is believed as far as it can know it.* ``output`` is the plug's last order, not the state of its contact. Only
watts that flow after an order to switch off prove that the contact has welded. 0 W prove nothing: the machine may stand still. docs/outputs has limits, set-up and what an attacker in the same network can do.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Annotated, Final

import msgspec

from fabgate.drivers.outputs.confirmed import PACKET_LIFE_S, Confirmed
from fabgate.drivers.outputs.shelly_plug import ShellyPlug, Status
from fabgate.drivers.outputs.shelly_rpc import DeviceLink, NoAnswerError
from fabgate.errors import HardwareError

#: The timer begins again this many times before it would end, so that some orders may be lost.
_ORDERS_A_TIMER: Final = 3
#: A status that is older than this says nothing of now; the gate asks once a second.
_FRESH_S: Final = 3.0
#: A look this long after an order finds the timer of that order; a later one may find that of a hand, with the same duration.
_FIRST_LOOK_S: Final = 1.5
#: No other device gets the address of a plug sooner: until then, an order off after a lost answer waits for nothing else.
_OTHER_AFTER_S: Final = 2.0


class ShellyOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``output: {driver: shelly}``.

    `host` is an address and no name, so that switching off never waits for a name server. `device_id` is on the plug's page
    (Settings, Device information), and keeps the gate from switching another plug that got its address. `password_file` has
    one line. `off_after_s` is after how many seconds of silence the plug falls off. From `welded_w` watts on, a current that
    flows although the plug is off means a welded contact, but not within `meter_lag_ms` after it was switched off: its meter
    averages. `timeout_ms` is for one request.
    """

    host: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?!$)|$)){4}$",
            description="an IPv4 address, such as 192.168.1.40, that the router reserves for the plug",
        ),
    ]
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 80
    device_id: Annotated[
        str,
        msgspec.Meta(
            pattern="^shelly[a-z0-9]+-[0-9a-f]{12}$",
            description="the id on the plug's page, such as shellyplugsg3-8cbfeaa03350",
        ),
    ]
    password_file: Path
    switch: Annotated[int, msgspec.Meta(ge=0, le=3)] = 0
    off_after_s: Annotated[int, msgspec.Meta(ge=10, le=30)] = 30
    welded_w: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    meter_lag_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_500
    timeout_ms: Annotated[int, msgspec.Meta(ge=200, le=2_000)] = 1_000


class ShellyOutput:
    """The contract of outputs on a network, on a plug."""

    Options = ShellyOptions
    blocks = True

    def __init__(self, options: ShellyOptions) -> None:
        self._options = options
        self._link = DeviceLink(options.host, options.port, options.device_id, timeout_s=options.timeout_ms / 1000)
        self._plug = ShellyPlug(self._link, options.switch)
        self._clock = time.monotonic
        self._is_open = False
        #: What its answers prove about the time that it was on.
        self.confirmed = Confirmed()
        #: For how many seconds the plug may stay on after the gate's last order.
        self.stays_on_s = options.off_after_s + PACKET_LIFE_S
        self._status: Status | None = None
        self._status_s = 0.0
        #: The timer that runs in the plug, as far as it is known: None after an order that has begun another one.
        self._timer: tuple[float | None, float | None] | None = None
        #: Since when the plug's answers show that its last order was off; None while they do not.
        self._off_since_s: float | None = None
        #: Until when the plug stays on for certain, counted from when the last confirmed order was sent.
        self._on_until_s = 0.0
        self._rearm_at_s = 0.0
        #: When an order on was last confirmed.
        self._confirmed_s = float("-inf")
        self._is_welded = False
        #: Whether the plug may be on by an order of this gate, as before the first answer.
        self._may_be_on = True
        #: Whether an order off has found it on by somebody else's; the next ``tend`` tells it.
        self._was_found_on = False

    # --- the contract of outputs --------------------------------------------------------------------------------------

    def open(self) -> None:
        """Switch the plug off, and check that it is the right one and set up safely. Raises HardwareError."""
        self._is_open = False
        self._unlock()
        self._plug.check_identity()
        self._order_off()
        if self._look().on:
            raise HardwareError(f"{self._link} does not switch off")
        if unsafe := self._plug.unsafe_settings():
            raise HardwareError(f"{self._link} is not set up safely: {'; '.join(unsafe)}")
        self._is_open = True

    def set(self, *, on: bool) -> None:
        """Switch; return from on only once the plug has confirmed it. Off is one attempt, and never raises.

        On raises HardwareError, and then tries to switch off.
        """
        if not on:
            self._off()
            return
        if not self._is_open:
            raise HardwareError(f"{self._link} is not in use yet")
        confirmed = self._was_found_on = False
        try:
            self._plug.check_doubt()
            self._order_on()
            confirmed = self._look().on
        finally:
            if not confirmed:
                self._off()
        if not confirmed:
            raise HardwareError(f"{self._link} did not switch on: it protects itself, or somebody pressed its button")

    def read_back(self) -> bool | None:
        """Return True where watts flow although the plug is off: its contact has welded. Otherwise None, never False.

        It is what was seen last; nothing is asked.
        """
        return True if self._is_welded else None

    def close(self) -> None:
        """Switch off. Never raises."""
        self._off()
        self._is_open = False

    # --- what an output on a network has beside it --------------------------------------------------------------------

    def tend(self, *, on: bool) -> bool:
        """Ask the plug how it is; return whether it was on. Let its timer begin again if it shall be on, and is.

        A plug that was on and shall be off is switched off; it was on, too, if another order off has just found it on by
        somebody else's. A plug that went off by itself stays off: nothing is switched on here. Raises HardwareError when it
        does not answer.
        """
        status = self._look()
        if not on:
            was_on = status.on or self._was_found_on
            if status.on:
                self._off()  # if its answer is lost, the plug was on all the same
            self._was_found_on = False
            return was_on
        # A plug that is on without a timer would stay on for ever: somebody else gave that order.
        is_due = status.on and (self._clock() >= self._rearm_at_s or status.timer is None)
        if is_due and self._link.hurried_s is None and not self._order_on():
            self._off()  # it had gone off since the look, and this order has switched it on again
            return False
        return status.on

    def remaining_s(self) -> float:
        """Return for how many seconds the plug stays on for certain if it is not reached again; 0 while it is off."""
        return max(0.0, self._on_until_s - self._clock())

    def hurry(self) -> None:
        """End the request that runs soon, because an order to switch off waits. From any thread."""
        self._link.hurried_s = self._clock()

    def problems(self) -> list[str]:
        """Ask the plug, without switching it, what could switch the machine on without the gate; each is a sentence.

        Raises HardwareError when it does not answer: then nothing is known.
        """
        try:
            self._unlock()
            self._plug.check_identity()
            return self._plug.unsafe_settings()
        except NoAnswerError:
            raise
        except HardwareError as error:
            return [str(error)]

    def warnings(self) -> list[str]:
        """Ask the plug, without switching it, what should be set up better; each is a sentence. Raises HardwareError."""
        self._unlock()
        return self._plug.lacking_settings()

    @property
    def power_w(self) -> float | None:
        """The watts that the plug measured last; None while they are not known.

        ``tend`` asks about once a second, on or off. From any thread.
        """
        status = self._fresh()
        return None if status is None else status.power_w

    @property
    def energy_wh(self) -> int | None:
        """The plug's own counter in whole watt-hours, rounded down; None while it is not known.

        It counts on through restarts of the plug. A smaller number than before means that somebody has reset it. From any
        thread.
        """
        status = self._fresh()
        return None if status is None else status.energy_wh

    @property
    def is_known_off(self) -> bool:
        """Whether the plug has confirmed an order off, or said that it is off, since the last order on."""
        return not self._may_be_on

    def _fresh(self) -> Status | None:
        """Return the newest status, unless it is old because a request hangs."""
        return self._status if self._clock() - self._status_s <= _FRESH_S else None

    # ------------------------------------------------------------------------------------------------------------------

    def _order_on(self) -> bool:
        """Send the one order that powers; return whether the plug was on before. Raises HardwareError."""
        sent_s = self._clock()
        self._off_since_s, self._is_welded, self._may_be_on = None, False, True
        self.confirmed.orders_on()
        self._timer = None
        was_on = self._plug.order_on(self._options.off_after_s)
        self._confirmed_s = self._clock()
        self.confirmed.was_ordered_on(sent_s, self._confirmed_s, was_on=was_on)
        self._on_until_s = sent_s + self._options.off_after_s
        self._rearm_at_s = sent_s + self._options.off_after_s / _ORDERS_A_TIMER
        return was_on

    def _order_off(self) -> None:
        self._on_until_s = 0.0
        if self._plug.order_off() and not self._may_be_on:
            self._was_found_on = True
        self._may_be_on = False
        self.confirmed.saw_off()

    def _off(self) -> None:
        """Try once to switch off. The next ``tend`` shows whether it did, and the plug's timer runs."""
        self._link.hurried_s = None  # this is what the request before had to hurry for
        if self._link.is_unlocked:
            with contextlib.suppress(HardwareError):
                with contextlib.suppress(NoAnswerError):  # no other device is switched off either
                    self._plug.check_doubt(older_than_s=_OTHER_AFTER_S)
                self._order_off()

    def _look(self) -> Status:
        """Ask for the status, and judge the contact by it. Raises HardwareError; then nothing is known."""
        try:
            self._plug.check_doubt()
            sent_s = self._clock()
            found = self._plug.status()
        except HardwareError:
            self._status, self._is_welded = None, False
            raise
        now_s = self._clock()
        self._may_be_on = self._may_be_on and found.on
        if found.on:
            # Without a timer, or with another one than that of the gate's last order, it may have been off in between.
            self.confirmed.saw_on(sent_s, now_s, unbroken=self._is_ours(found.timer, sent_s))
            self._timer = found.timer or self._timer
        else:
            self.confirmed.saw_off()
        if found.on:
            self._off_since_s = None
        elif self._off_since_s is None:
            self._off_since_s = now_s
        is_settled = self._off_since_s is not None and now_s - self._off_since_s >= self._options.meter_lag_ms / 1000
        self._status, self._status_s = found, now_s
        self._is_welded = is_settled and found.power_w is not None and found.power_w >= self._options.welded_w
        return found

    def _is_ours(self, timer: tuple[float | None, float | None] | None, asked_s: float) -> bool:
        """Return whether the gate's last order has begun this timer. A hand may begin one, too, where auto-off is set."""
        if timer is None or self._timer is not None:
            return timer is not None and timer == self._timer
        return timer[1] == self._options.off_after_s and asked_s - self._confirmed_s <= _FIRST_LOOK_S

    def _unlock(self) -> None:
        path = self._options.password_file
        try:
            password = path.read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise HardwareError(f"{path}: the password of the plug cannot be read ({error})") from error
        if not password:
            raise HardwareError(f"{path}: found nothing, wanted the password of the plug in one line")
        self._link.unlock(password)
