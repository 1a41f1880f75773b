from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

import pytest

from fabgate.collector import environ
from fabgate.errors import UsageError


def test_nothing_but_the_site_is_needed():
    found = environ.read({"FABGATE_SITE": "lyon"}, need_site=True)
    assert (found.site, found.mqtt_host, found.mqtt_port, found.tz) == ("lyon", "127.0.0.1", 1883, "UTC")
    assert found.mqtt_username is None


def test_every_mistake_is_one_line_and_all_are_told_at_once(tmp_path):
    wrong = {
        "FABGATE_SITE": "Lyon!",
        "FABGATE_TZ": "Mars/Base",
        "FABGATE_MQTT_PORT": "70000",
        "FABGATE_WEB_PORT": "http",
        "FABGATE_MQTT_CA": str(tmp_path / "ca.pem"),
        "FABGATE_MQTT_PASSWORD_FILE": str(tmp_path / "none"),
    }
    with pytest.raises(UsageError) as caught:
        environ.read(wrong, need_site=True)
    lines = str(caught.value).splitlines()
    assert {line.split(":")[0] for line in lines} == {*wrong, "FABGATE_MQTT_USERNAME"}
    assert all("wanted" in line for line in lines)


def test_a_certificate_authority_means_the_tls_port(tmp_path):
    (tmp_path / "ca.pem").touch()
    found = environ.read({"FABGATE_MQTT_CA": str(tmp_path / "ca.pem")}, need_site=False)
    assert found.mqtt_port == 8883


def test_a_missing_site_is_a_mistake_only_where_it_is_needed():
    assert environ.read({}, need_site=False).site == ""
    with pytest.raises(UsageError, match="FABGATE_SITE: found nothing"):
        environ.read({}, need_site=True)


REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


@pytest.fixture
def pem(tmp_path):
    """Files that are there, by name."""
    for name in ("ca", "cert", "key"):
        (tmp_path / name).touch()
    return {f"FABGATE_MQTT_{name.upper()}": str(tmp_path / name) for name in ("ca", "cert", "key")}


def test_a_certificate_of_ones_own_goes_with_its_key_and_with_an_authority(pem):
    found = environ.read(pem, need_site=False)
    assert [str(found.mqtt_ca), str(found.mqtt_cert), str(found.mqtt_key)] == list(pem.values())


@pytest.mark.parametrize(
    ("without", "told"),
    [
        (["FABGATE_MQTT_KEY"], ["FABGATE_MQTT_KEY: found nothing beside FABGATE_MQTT_CERT, wanted both or none"]),
        (["FABGATE_MQTT_CERT"], ["FABGATE_MQTT_CERT: found nothing beside FABGATE_MQTT_KEY, wanted both or none"]),
        (["FABGATE_MQTT_CA"], ["FABGATE_MQTT_CA: found nothing beside FABGATE_MQTT_CERT"]),
        (
            ["FABGATE_MQTT_CA", "FABGATE_MQTT_KEY"],
            ["FABGATE_MQTT_KEY: found nothing", "FABGATE_MQTT_CA: found nothing"],
        ),
    ],
)
def test_half_a_certificate_is_a_mistake(pem, without, told):
    with pytest.raises(UsageError) as caught:
        environ.read({name: path for name, path in pem.items() if name not in without}, need_site=False)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(start) for line, start in zip(lines, told, strict=True))


@pytest.mark.parametrize("name", ["FABGATE_MQTT_CA", "FABGATE_MQTT_CERT", "FABGATE_MQTT_KEY"])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(pem, name, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=rf"{name}: found .*none.* \(No such file or directory\)"):
        environ.read({**pem, name: str(tmp_path / "none")}, need_site=False)
    with pytest.raises(UsageError, match=rf"{name}: found .* \(it is no file\)"):
        environ.read({**pem, name: str(tmp_path)}, need_site=False)
    # root may read everything: what the system would say to another account
    monkeypatch.setattr(os, "access", lambda path, _mode: str(path) != pem[name])
    with pytest.raises(UsageError, match=rf"{name}: found .* \(this account may not read it\)"):
        environ.read(pem, need_site=False)


def test_the_reference_names_every_variable_once_with_its_default_and_no_other():
    section = REFERENCE.read_text("utf-8").partition("## Environment of the collector\n")[2].partition("\n## ")[0]
    rows = [re.split(r" ?\| ?", line) for line in section.splitlines() if line.startswith("| `")]
    told = {row[1].strip("`"): row[3].strip("`") for row in rows}
    assert set(told) == set(re.findall(r'"(FABGATE_[A-Z_]+)"', inspect.getsource(environ)))
    defaults = {
        name: value for name, value in told.items() if value not in ("none", "**required**") and " " not in value
    }
    assert environ.read({"FABGATE_SITE": "x", **defaults}, need_site=True) == environ.read(
        {"FABGATE_SITE": "x"}, need_site=True
    )
    assert {"FABGATE_DATA", "FABGATE_TZ", "FABGATE_MQTT_HOST", "FABGATE_WEB_PORT"} <= defaults.keys()
