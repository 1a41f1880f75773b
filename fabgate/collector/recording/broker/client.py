"""A client of the broker with the collector's account and certificate, not connected yet."""

from __future__ import annotations

import ssl
from pathlib import Path

import paho.mqtt.client as paho

from fabgate.collector.ground.base.environ import Environment
from fabgate.errors import UsageError
from fabgate.mqtt.client import new_client


def client_of(env: Environment, client_id: str) -> paho.Client:
    """Return a client with the collector's account and certificate, not connected yet. Raises UsageError, OSError."""
    client = new_client(client_id, tls_context(env))
    _log_in(client, env)
    return client


def _log_in(client: paho.Client, env: Environment) -> None:
    """Set the user and password from the environment. Raises UsageError."""
    if env.mqtt_username:
        client.username_pw_set(env.mqtt_username, _password(env.mqtt_password_file))


def _password(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"FABGATE_MQTT_PASSWORD_FILE: {path} cannot be read ({error})") from error


def tls_context(env: Environment) -> ssl.SSLContext | None:
    """Return the TLS context of the environment; None for a broker without TLS. Raises UsageError."""
    if not env.mqtt_ca:
        return None
    try:
        context = ssl.create_default_context(cafile=str(env.mqtt_ca))
    except OSError as error:  # ssl.SSLError is an OSError
        raise UsageError(f"FABGATE_MQTT_CA: {env.mqtt_ca} is not a certificate authority ({error})") from error
    if env.mqtt_cert and env.mqtt_key:
        try:
            # With a password given, OpenSSL does not ask for one: a daemon would wait forever for the answer.
            context.load_cert_chain(env.mqtt_cert, env.mqtt_key, password="")
        except OSError as error:
            raise UsageError(
                f"FABGATE_MQTT_CERT and FABGATE_MQTT_KEY: found {env.mqtt_cert} and {env.mqtt_key}, wanted a certificate"
                f" in PEM and its key without a passphrase ({error})"
            ) from error
    return context
