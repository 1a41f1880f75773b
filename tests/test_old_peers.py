"""Gates and collectors of each released version accept the messages of today: within v1 there are only additions."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from fabgate import __version__
from tests.support.recording import Recording

GOLDEN = Path(__file__).parent / "golden"
#: Those of the last release, and those that have gained fields since.
MESSAGES = [file for folder in (__version__, "next") for file in sorted((GOLDEN / folder).glob("*.json"))]


@pytest.mark.parametrize("file", MESSAGES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_message_of_today_is_valid_by_the_schema_of_its_time(recording: Recording, file: Path):
    message = json.loads(file.read_bytes())
    kind, _, rest = file.stem.partition(".")
    validate(recording, message, kind)
    if kind == "entry":
        validate(recording, message["data"], f"data.{rest.removesuffix('.unsynchronised')}")


def validate(recording: Recording, message: object, name: str) -> None:
    schema = recording.schema(name)
    if schema is not None:  # a kind of message that did not exist then is ignored, or stored as it came
        jsonschema_rs.validator_for(schema).validate(message)


def test_a_message_that_breaks_the_schema_of_its_time_is_noticed(recording: Recording):
    ack = json.loads(next(file for file in MESSAGES if file.stem == "ack").read_bytes())
    with pytest.raises(jsonschema_rs.ValidationError):
        validate(recording, {**ack, "seq": "12"}, "ack")
