"""The gate's keys: its own badge key made once and never guessed, and those that seal."""

from __future__ import annotations

import os

import pytest

from fabgate.errors import UsageError
from fabgate.gate.config import keys
from fabgate.gate.config.gate_yaml import Config, Driver, RosterSource
from fabgate.gate.config.keys import badge_key, gate_keys

LINE = "k1:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU="


@pytest.fixture
def made(tmp_path):
    """Return a configuration with what a test gives it."""
    state = tmp_path / "state"
    state.mkdir()

    def made_(**files) -> Config:
        driver = Driver(driver="memory")
        return Config(
            site="lyon", gate="saw", state_dir=state, reader=[driver], output=driver, roster=RosterSource(), **files
        )

    return made_


def test_a_gate_makes_a_badge_key_once_and_only_it_may_read_it(made):
    config = made()
    key = badge_key(config)
    path = config.state_dir / "badge.key"
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert badge_key(config) == key
    assert path.read_bytes() == key
    assert list(config.state_dir.iterdir()) == [path]


def test_a_key_is_whole_or_not_there_when_the_power_fails_while_it_is_made(made, monkeypatch):
    config = made()

    def crash(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", crash)
        with pytest.raises(KeyboardInterrupt):
            badge_key(config)
    assert not (config.state_dir / "badge.key").exists()
    assert len(badge_key(config)) == 32


def test_whoever_only_asks_makes_no_key(made):
    config = made()
    with pytest.raises(UsageError, match=r"badge\.key: there is no badge key yet; start the gate once"):
        badge_key(config, make=False)
    assert list(config.state_dir.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_key_that_is_none_is_never_used(made, content):
    config = made()
    (config.state_dir / "badge.key").write_bytes(content)
    with pytest.raises(UsageError, match=rf"badge\.key: found {len(content)} bytes, wanted 32; restore the file"):
        badge_key(config)
    assert (config.state_dir / "badge.key").read_bytes() == content


def test_a_key_that_cannot_be_read_or_made_is_one_clear_line(made):
    config = made()
    (config.state_dir / "badge.key").mkdir()
    with pytest.raises(UsageError, match=r"badge\.key: the badge key cannot be read or made \(Is a directory\)"):
        badge_key(config)


def test_a_site_key_comes_from_its_file_and_the_first_is_used(made, tmp_path):
    file = tmp_path / "badge.keys"
    file.write_text(f"{LINE}\nk0:{'QUJD' * 8}\n")
    assert badge_key(made(badge_key_file=file)) == b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    assert list((tmp_path / "state").iterdir()) == []


def test_gate_keys_are_those_of_the_file_or_none(made, tmp_path):
    file = tmp_path / "seal.keys"
    file.write_text(LINE)
    assert gate_keys(made()) is None
    assert list(gate_keys(made(gate_key_file=file)).by_id) == ["k1"]


def test_no_key_ever_stands_in_an_error(made, tmp_path):
    file = tmp_path / "badge.keys"
    file.write_text(f"{LINE}\n{LINE}\n")
    with pytest.raises(UsageError) as caught:
        badge_key(made(badge_key_file=file))
    assert LINE[3:10] not in str(caught.value)
    assert keys.KEY_BYTES == 32
