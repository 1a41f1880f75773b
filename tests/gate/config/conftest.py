"""A folder with the files of a gate.yaml, which is made of changed lines."""

from __future__ import annotations

import re

import certifi
import pytest

from fabgate.errors import UsageError
from fabgate.gate.config import gate_yaml
from fabgate.gate.config.gate_yaml import Config
from tests.gate.config.gate_files import KEY, LINES


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the files that a configuration may name."""
    for name in ("members.yaml", "gate.token", "mqtt.password", "ca.pem", "laser-1.pem", "laser-1.key"):
        (tmp_path / name).touch()
    (tmp_path / "collector-ca.pem").symlink_to(certifi.where())  # the one of them that is read
    for name in ("seal.keys", "badge.keys"):
        (tmp_path / name).write_text(KEY)
    return tmp_path


@pytest.fixture
def load(tmp_path, folder):
    """Load a configuration made of the smallest one with lines changed, added or (None) left out."""

    def load_(**lines: str | None) -> Config:
        text = "\n".join(line for line in {**LINES, **lines}.values() if line is not None)
        (tmp_path / "gate.yaml").write_text(text, encoding="utf-8")
        return gate_yaml.load(tmp_path / "gate.yaml")

    return load_


@pytest.fixture
def mistakes(tmp_path, load):
    """Return the mistakes of such a configuration, without the folder."""

    def mistakes_(**lines: str | None) -> list[str]:
        with pytest.raises(UsageError) as caught:
            load(**lines)
        assert caught.value.exit_code == 2
        found = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
        for line in found:
            assert re.match(r"gate\.yaml(:\d+)?: ", line)
        return found

    return mistakes_
