"""Writes the gate.yaml of an emulated gate, which runs on this computer and joins this collector.

Its reader is a socket on which ``fabgate tap`` places badges, and its output switches nothing. Its files are in
FABGATE_DATA/emulated/NAME, which ``backup`` does not copy.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from fabgate import wire
from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.base.env_values import EVERYWHERE, LONGEST_SOCKET, bracketed
from fabgate.collector.ground.base.environ import Environment
from fabgate.errors import UsageError

FOLDER: Final = "emulated"
#: Every path and name is written as JSON, which is also valid YAML.
_YAML: Final = """\
# A gate without hardware, written by `gate-add --emulated`. The rules of its machine come from the
# collector. `fabgate check` names every mistake in this file; config/gate.yaml explains every key.
site: {site}
gate: {gate}
state_dir: state
demo: true                      # anybody on this computer can tap any badge
lang: {lang}
machine: {{name: {title}}}
reader: {{driver: simulated, control_socket: {socket}}}
output: {{driver: memory}}        # switches nothing
panel: {{driver: log}}            # prints what light, sound and display would show
roster:
  url: {url}{ca}
  token_file: {token}
gate_key_file: {seal}
badge_key_file: {badge}
mqtt:
{mqtt}
clock: {{source: assume-synced}}  # the collector's own clock
"""


def folder_of(env: Environment, gate: str) -> Path:
    """Return the folder of an emulated gate."""
    return env.data / FOLDER / gate


def check(env: Environment, gate: str) -> None:
    """Raise UsageError if the path of the reader's socket would be longer than Linux allows."""
    size = len(os.fsencode(_socket(env, gate)))
    if size > LONGEST_SOCKET:
        raise UsageError(
            f"--emulated: the path of the reader's socket would have {size} bytes, wanted at most {LONGEST_SOCKET};"
            " choose a shorter FABGATE_DATA"
        )


def write(env: Environment, gate: str, title: str) -> Path:
    """Write the gate's gate.yaml unless there is one; return its path. Raises UsageError as ``check`` does."""
    check(env, gate)
    folder, keys = folder_of(env, gate), env.gate_directory(gate)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    host = "127.0.0.1" if env.web_host in EVERYWHERE else env.web_host
    values = {
        "site": env.site,
        "gate": gate,
        "lang": env.lang,
        "title": title or gate,
        "socket": str(_socket(env, gate)),
        # The web process on this computer, without a proxy in between.
        "url": env.address if env.web_cert else f"http://{bracketed(host)}:{env.web_port}",
        "token": str(keys / "token"),
        "seal": str(keys / "seal.keys"),
        "badge": str(keys / "badge.keys"),
    }
    ca = f"\n  ca: {_quoted(str(env.web_ca))}" if env.web_cert and env.web_ca.is_file() else ""
    text = _YAML.format(mqtt=_mqtt(env, gate), ca=ca, **{name: _quoted(value) for name, value in values.items()})
    path = folder / "gate.yaml"
    if not path.exists():
        path.write_text(text, encoding="utf-8")
    return path


def _socket(env: Environment, gate: str) -> Path:
    return folder_of(env, gate) / "reader.sock"


def _mqtt(env: Environment, gate: str) -> str:
    """Return the section ``mqtt``: the collector's broker, with an account of the gate if the broker has accounts."""
    lines = [f"host: {_quoted(env.mqtt_host)}", f"port: {env.mqtt_gate_port}"]
    if env.mqtt_ca:
        lines.append(f"tls: {{ca: {_quoted(str(env.mqtt_ca))}}}")
    if env.mqtt_username:
        lines.append(f"username: {_quoted(wire.GateTopics(env.site, gate).account)}")
        if env.broker_control:
            lines.append(f"password_file: {_quoted(str(env.gate_directory(gate) / data_folder.PASSWORD))}")
        else:
            lines.append("password_file: mqtt.password  # write the password of the gate's broker account into it")
    return "\n".join(f"  {line}" for line in lines)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
