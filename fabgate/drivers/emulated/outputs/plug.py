"""An emulated Shelly plug: its relay, its timer, its button, its meter, its settings, and who may ask what.

``Plug.answer`` takes what stands in the first line and in the Authorization header of a request, and returns what the
device would answer; ``shelly`` serves it over HTTP. Time is the `clock` that it was made with, so that a test can let an hour
pass at once. It is written from shelly-api-docs.shelly.cloud/gen2, and not from what our driver sends.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

#: How many nonces the device keeps, and for how long each counts ("Authentication", firmware 2.0).
NONCES: Final = 32
NONCE_S: Final = 3_600
_FIELD: Final = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


class Reply(NamedTuple):
    """What the device answers: a status code, headers, and a body."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Plug:
    """One plug. `load_w` is what the machine in it draws while it has power."""

    def __init__(
        self,
        password: str | None = "let me in",  # noqa: S107 - of a plug that does not exist
        *,
        device_id: str = "shellyplugsg3-8cbfeaa03350",
        clock: Callable[[], float] = time.monotonic,
        counts_nonces: bool = True,
    ) -> None:
        """Make a plug. With `counts_nonces` it refuses a request that was sent before, as firmware 2.0 does."""
        self.device_id = device_id
        self.counts_nonces = counts_nonces
        self.password = password
        self.load_w = 0.0
        #: The contact is welded: the machine has power whatever the relay does.
        self.welded = False
        #: When the relay changed, and to what.
        self.history: list[tuple[float, bool]] = []
        self.config: dict[str, Any] = {
            "ble": {"enable": False},
            "cloud": {"enable": False, "server": "shelly-cloud.example:6022/jrpc"},
            "mqtt": {"enable": False, "server": None},
            "switch:0": {"id": 0, "name": None, "in_mode": "momentary", "initial_state": "off", "auto_on": False,
                         "auto_on_delay": 60.0, "auto_off": False, "auto_off_delay": 60.0},
            "ws": {"enable": False, "server": None},
        }  # fmt: skip
        self.jobs: list[dict[str, Any]] = []
        self.hooks: list[dict[str, Any]] = []
        self.scripts: list[dict[str, Any]] = []
        self._clock = clock
        #: People, and the thread that serves it, may come at the same time.
        self._lock = threading.RLock()
        self._on = False
        self._timer: tuple[float, float] | None = None
        self._source = "init"
        self._wh = 0.0
        self._metered_s = clock()
        self._numbers = itertools.count(1)
        #: When each nonce was given, and how often it was used.
        self._nonces: dict[str, tuple[float, int]] = {}

    # --- what people and the world do ---------------------------------------------------------------------------------

    @property
    def on(self) -> bool:
        """Whether the relay is told to be on."""
        with self._lock:
            self._pass_time()
            return self._on

    @property
    def powers(self) -> bool:
        """Whether the machine has power."""
        return self.on or self.welded

    def press_button(self) -> None:
        """Press its button: on becomes off and off becomes on, with no timer but auto-off where that is set."""
        with self._lock:
            self._switch(not self.on, "button")

    def restart(self) -> None:
        """Pull it out and plug it in again: it does not know its timer and its nonces any more."""
        with self._lock:
            self._pass_time()
            self._nonces.clear()
            self._switch({"on": True, "off": False}.get(self.config["switch:0"]["initial_state"], self._on), "init")

    # --- what the network does ----------------------------------------------------------------------------------------

    def answer(self, target: str, proof: str = "") -> Reply:
        """Return the answer to ``GET target`` with this Authorization header."""
        with self._lock:
            return self._answer(target, proof)

    def _answer(self, target: str, proof: str) -> Reply:
        parts = urlsplit(target)
        method, asked = parts.path.removeprefix("/rpc/"), dict(parse_qsl(parts.query))
        if not parts.path.startswith("/rpc/"):
            return Reply(404, b"Not Found")
        if self.password is not None and method != "Shelly.GetDeviceInfo" and not self._is_proven(proof, target):
            return self._challenge()
        result = self._call(method, asked)
        if result is None:
            return Reply(404, json.dumps({"code": 404, "message": f"No handler for {method}"}).encode())
        return Reply(200, json.dumps(result).encode(), (("Content-Type", "application/json"),))

    def _call(self, method: str, asked: dict[str, str]) -> Any:
        match method:
            case "Shelly.GetDeviceInfo":
                protected = self.password is not None
                return {"id": self.device_id, "mac": self.device_id[-12:].upper(), "model": "S3PL-00112EU", "gen": 3,
                        "ver": "2.0.0", "app": "PlugSG3", "auth_en": protected,
                        "auth_domain": self.device_id if protected else None}  # fmt: skip
            case "Shelly.GetConfig":
                return self.config
            case "Schedule.List":
                return {"jobs": self.jobs, "rev": 0}
            case "Webhook.List":
                return {"hooks": self.hooks, "rev": 0}
            case "Script.List":
                return {"scripts": self.scripts}
            case "Switch.GetStatus" if asked.get("id") == "0":
                return self._status()
            case "Switch.Set" if asked.get("id") == "0" and asked.get("on") in ("true", "false"):
                was_on = self.on
                after = asked.get("toggle_after")
                self._switch(asked["on"] == "true", "HTTP_in", None if after is None else float(after))
                return {"was_on": was_on}
        return None

    def _status(self) -> dict[str, Any]:
        self._pass_time()
        found: dict[str, Any] = {"id": 0, "source": self._source, "output": self._on}
        if self._timer is not None:
            found |= {"timer_started_at": round(self._timer[0], 2), "timer_duration": self._timer[1]}
        watts = self.load_w if self.powers else 0.0
        return found | {"apower": watts, "voltage": 230.1, "current": round(watts / 230.1, 3), "freq": 50.0,
                        "aenergy": {"total": round(self._wh, 3), "by_minute": [0.0, 0.0, 0.0], "minute_ts": 0},
                        "temperature": {"tC": 31.2, "tF": 88.2}}  # fmt: skip

    # --- its inside ---------------------------------------------------------------------------------------------------

    def _switch(self, on: bool, source: str, toggle_after_s: float | None = None) -> None:
        self._pass_time()
        own = self.config.get("switch:0", {})
        if on and toggle_after_s is None and own.get("auto_off"):
            toggle_after_s = own["auto_off_delay"]
        self._timer = None if toggle_after_s is None else (self._clock(), toggle_after_s)
        self._set(on, source, self._clock())

    def _set(self, on: bool, source: str, at_s: float) -> None:
        self._source = source
        if on != self._on:
            self._on = on
            self.history.append((at_s, on))

    def _pass_time(self) -> None:
        """Count what flowed until now, and let the timer flip the relay when it is over."""
        now_s = self._clock()
        if self._timer is not None and now_s >= sum(self._timer):
            over_s, self._timer = sum(self._timer), None
            self._count(over_s)
            self._set(not self._on, "timer", over_s)
        self._count(now_s)

    def _count(self, until_s: float) -> None:
        watts = self.load_w if self._on or self.welded else 0.0
        self._wh += watts * max(0.0, until_s - self._metered_s) / 3_600
        self._metered_s = max(until_s, self._metered_s)

    def _challenge(self) -> Reply:
        now_s = self._clock()
        nonce = hashlib.sha256(f"{now_s} {next(self._numbers)}".encode()).hexdigest()[:22] + "=="
        if len(self._nonces) >= NONCES:
            self._nonces.pop(min(self._nonces, key=lambda one: self._nonces[one][0]))
        self._nonces[nonce] = (now_s, 0)
        text = f'Digest qop="auth", realm="{self.device_id}", nonce="{nonce}", algorithm=SHA-256'
        return Reply(401, b"", (("WWW-Authenticate", text),))

    def _is_proven(self, proof: str, target: str) -> bool:
        found = {name: quoted or plain for name, quoted, plain in _FIELD.findall(proof.removeprefix("Digest "))}
        nonce, counted = found.get("nonce", ""), found.get("nc", "")
        if nonce not in self._nonces or not re.fullmatch("[0-9a-f]{1,8}", counted):
            return False
        given_s, used = self._nonces[nonce]
        if self._clock() - given_s > NONCE_S or (self.counts_nonces and int(counted, 16) <= used):
            return False  # too old, or a request that was sent before
        if found.get("uri") != target or found.get("realm") != self.device_id or found.get("username") != "admin":
            return False
        ha1 = _sha256(f"admin:{self.device_id}:{self.password}")
        ha2 = _sha256(f"GET:{target}")
        wanted = _sha256(f"{ha1}:{nonce}:{counted}:{found.get('cnonce', '')}:auth:{ha2}")
        if found.get("response") != wanted:
            return False
        self._nonces[nonce] = (given_s, int(counted, 16))
        return True


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
