from __future__ import annotations

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
