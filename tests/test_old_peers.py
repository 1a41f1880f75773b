"""Gates and collectors of November 2026 accept each message of today: within v1 there are only additions."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from fabgate import __version__
from tests.support.recording import FOLDER

MESSAGES = sorted((Path(__file__).parent / "golden" / __version__).glob("*.json"))


@pytest.mark.parametrize("file", MESSAGES, ids=lambda file: file.stem)
def test_a_message_of_today_is_valid_by_the_schema_of_its_time(file: Path):
    message = json.loads(file.read_bytes())
    kind, _, rest = file.stem.partition(".")
    validate(message, kind)
    if kind == "entry":
        validate(message["data"], f"data.{rest.removesuffix('.unsynchronised')}")


def validate(message: object, name: str) -> None:
    schema = FOLDER / "schema" / f"{name}.json"
    if schema.exists():  # a kind of message that did not exist then is ignored, or stored as it came
        jsonschema_rs.validator_for(json.loads(schema.read_text())).validate(message)


def test_a_message_that_breaks_the_schema_of_its_time_is_noticed():
    ack = json.loads(next(file for file in MESSAGES if file.stem == "ack").read_bytes())
    with pytest.raises(jsonschema_rs.ValidationError):
        validate({**ack, "seq": "12"}, "ack")
