from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

import pytest

from fabgate.collector.ground.base import environ
from fabgate.collector.ground.base.env_values import ELSEWHERE
from fabgate.errors import UsageError


def test_nothing_but_the_site_is_needed():
    found = environ.read({"FABGATE_SITE": "lyon", "TZ": "UTC"}, need_site=True)
    assert (found.site, found.mqtt_host, found.mqtt_port, found.tz) == ("lyon", "127.0.0.1", 1883, "UTC")
    assert found.mqtt_username is None


def test_every_mistake_is_one_line_and_all_are_reported_at_once(tmp_path):
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
    assert all("wanted" in line or "set it" in line for line in lines)


def test_a_certificate_authority_means_the_tls_port(tmp_path):
    (tmp_path / "ca.pem").touch()
    found = environ.read({"FABGATE_MQTT_CA": str(tmp_path / "ca.pem")}, need_site=False)
    assert found.mqtt_port == 8883


def test_gates_use_the_collectors_port_unless_they_have_one_of_their_own():
    assert environ.read({"FABGATE_MQTT_PORT": "1999"}, need_site=False).mqtt_gate_port == 1999
    own = {"FABGATE_MQTT_PORT": "8885", "FABGATE_MQTT_GATE_PORT": "8883"}
    assert environ.read(own, need_site=False).mqtt_gate_port == 8883


def test_a_missing_site_is_a_mistake_only_where_it_is_needed():
    assert environ.read({}, need_site=False).site == ""
    with pytest.raises(UsageError, match="FABGATE_SITE: not set"):
        environ.read({}, need_site=True)


ROOT = Path(__file__).parents[4]
REFERENCE = ROOT / "docs" / "reference.md"


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
        (["FABGATE_MQTT_KEY"], ["FABGATE_MQTT_KEY: not set, but FABGATE_MQTT_CERT is; set both"]),
        (["FABGATE_MQTT_CERT"], ["FABGATE_MQTT_CERT: not set, but FABGATE_MQTT_KEY is; set both"]),
        (["FABGATE_MQTT_CA"], ["FABGATE_MQTT_CA: not set, but FABGATE_MQTT_CERT is"]),
        (
            ["FABGATE_MQTT_CA", "FABGATE_MQTT_KEY"],
            ["FABGATE_MQTT_KEY: not set", "FABGATE_MQTT_CA: not set"],
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
    with pytest.raises(UsageError, match=rf"{name}: found .* \(not a file\)"):
        environ.read({**pem, name: str(tmp_path)}, need_site=False)
    # root may read everything: what the system would say to another account
    monkeypatch.setattr(os, "access", lambda path, _mode: str(path) != pem[name])
    with pytest.raises(UsageError, match=rf"{name}: found .* \(this account has no right to read it\)"):
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
    assert {"FABGATE_DATA", "FABGATE_LANG", "FABGATE_MQTT_HOST", "FABGATE_WEB_PORT"} <= defaults.keys()


# --- a broker of our own ----------------------------------------------------------------------------------------------

SOCKET = "/run/fabgate-broker/control/socket"


def test_with_a_broker_of_its_own_the_collector_has_its_account_and_a_password_in_its_folder(tmp_path):
    given = {"FABGATE_SITE": "lyon", "FABGATE_DATA": str(tmp_path), "FABGATE_BROKER_CONTROL": SOCKET}
    found = environ.read(given, need_site=True)
    assert (str(found.broker_control), found.mqtt_username) == (SOCKET, "lyon/collector")
    assert found.mqtt_password_file == tmp_path / "mqtt.password"
    (tmp_path / "own").touch()
    own = environ.read(
        given | {"FABGATE_MQTT_PASSWORD_FILE": str(tmp_path / "own"), "FABGATE_MQTT_USERNAME": "lyon/collector"},
        need_site=True,
    )
    assert own.mqtt_password_file == tmp_path / "own"


def test_another_account_than_that_of_the_collectors_own_broker_is_a_mistake():
    (told,) = mistakes(FABGATE_BROKER_CONTROL=SOCKET, FABGATE_MQTT_USERNAME="lyon/ingest")
    assert told.startswith("FABGATE_MQTT_USERNAME: found 'lyon/ingest', but with FABGATE_BROKER_CONTROL the account is")


@pytest.mark.parametrize("path", ["socket", "/" + 107 * "x"])
def test_a_path_that_no_socket_can_have_is_a_mistake(path):
    (told,) = mistakes(FABGATE_BROKER_CONTROL=path)
    assert told.startswith(f"FABGATE_BROKER_CONTROL: found {path!r}, wanted the path of a socket")


# --- the pages --------------------------------------------------------------------------------------------------------


def test_a_database_is_named_by_a_url_or_by_a_file_that_holds_it(tmp_path):
    url = "postgresql://fabgate:s3cret@db.lan:5432/fabgate"
    (tmp_path / "url").write_text(url + "\n")
    assert environ.read({"FABGATE_DATABASE_URL": url}, need_site=False).database_url == url
    found = environ.read({"FABGATE_DATABASE_URL_FILE": str(tmp_path / "url")}, need_site=False)
    assert found.database_url == url
    assert "s3cret" not in repr(found)
    with pytest.raises(UsageError, match="FABGATE_DATABASE_URL_FILE: found FABGATE_DATABASE_URL as well"):
        environ.read({"FABGATE_DATABASE_URL": url, "FABGATE_DATABASE_URL_FILE": str(tmp_path / "url")}, need_site=False)


@pytest.mark.parametrize(
    "url", ["mysql://a:s3cret@b/c", "s3cret", "postgresql://a:s3cret@b", "postgresql://a:s3cret@b:x/c"]
)
def test_another_database_is_refused_without_showing_its_password(url):
    with pytest.raises(UsageError, match="wanted postgresql://USER:PASSWORD@HOST") as caught:
        environ.read({"FABGATE_DATABASE_URL": url}, need_site=False)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "said", "https"),
    [
        ("127.0.0.1", "", False),
        ("::1", "", False),
        ("localhost", "", False),
        ("0.0.0.0", "", True),
        ("collector.lan", "", True),
        ("127.0.0.1", "1", True),
        ("0.0.0.0", "0", False),
    ],
)
def test_https_is_expected_unless_only_this_computer_is_served(host, said, https):
    assert environ.read({"FABGATE_WEB_HOST": host, "FABGATE_HTTPS": said}, need_site=False).https is https


@pytest.fixture
def tls(tmp_path):
    """The pages' certificate and key."""
    for name in ("cert", "key"):
        (tmp_path / name).touch()
    return {f"FABGATE_WEB_{name.upper()}": str(tmp_path / name) for name in ("cert", "key")}


def test_a_certificate_of_the_pages_means_tls_its_port_and_no_proxy(tls):
    found = environ.read(tls, need_site=False)
    assert [str(found.web_cert), str(found.web_key)] == list(tls.values())
    assert (found.https, found.web_port, found.proxies) == (True, 443, "")
    without = environ.read({}, need_site=False)
    assert (without.https, without.web_port, without.proxies) == (False, 8000, "127.0.0.1")


@pytest.mark.parametrize(
    ("has_tls", "said", "hsts"), [(False, "", False), (False, "1", True), (True, "", False), (True, "1", True)]
)
def test_browsers_remember_tls_only_where_somebody_said_so(tls, has_tls, said, hsts):
    assert environ.read({**(tls if has_tls else {}), "FABGATE_HTTPS": said}, need_site=False).hsts is hsts


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"FABGATE_WEB_KEY": ""}, "FABGATE_WEB_KEY: not set, but FABGATE_WEB_CERT is; set both"),
        ({"FABGATE_WEB_CERT": ""}, "FABGATE_WEB_CERT: not set, but FABGATE_WEB_KEY is; set both"),
        ({"FABGATE_HTTPS": "0"}, "FABGATE_HTTPS: found 0, but FABGATE_WEB_CERT is set"),
        ({"FABGATE_PROXIES": "10.0.0.1"}, "FABGATE_PROXIES: set, but FABGATE_WEB_CERT is, too"),
    ],
)
def test_what_contradicts_tls_is_a_mistake(tls, change, told):
    found = mistakes(**{**tls, **change})
    assert any(line.startswith(told) for line in found)


@pytest.mark.parametrize("folder", ["", "../.."])
def test_port_80_serves_no_folder_with_the_keys_in_it(tmp_path, folder):
    (line,) = mistakes(FABGATE_DATA=str(tmp_path), FABGATE_WEB_APT=os.path.normpath(tmp_path / folder))
    assert line.startswith("FABGATE_WEB_APT: found ")


@pytest.mark.parametrize(
    ("more", "address"),
    [
        ({}, "https://localhost"),
        ({"FABGATE_ALLOWED_HOSTS": "box.lan"}, "https://box.lan"),
        ({"FABGATE_ALLOWED_HOSTS": "box.lan", "FABGATE_WEB_PORT": "8443"}, "https://box.lan:8443"),
    ],
)
def test_with_tls_of_its_own_the_address_has_its_port(tls, more, address):
    assert environ.read({**tls, **more}, need_site=False).address == address


def test_a_switch_is_on_or_off():
    with pytest.raises(UsageError, match="FABGATE_SIMULATED: found 'yes', wanted 1 or 0"):
        environ.read({"FABGATE_SIMULATED": "yes"}, need_site=False)


@pytest.mark.parametrize(
    ("env", "address"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"FABGATE_WEB_HOST": "::1"}, "http://[::1]:8000"),
        ({"FABGATE_WEB_HOST": "0.0.0.0", "FABGATE_HTTPS": "0"}, "http://localhost:8000"),
        (
            {"FABGATE_WEB_HOST": "0.0.0.0", "FABGATE_HTTPS": "0", "FABGATE_ALLOWED_HOSTS": "box.lan"},
            "http://box.lan:8000",
        ),
        ({"FABGATE_HTTPS": "1", "FABGATE_ALLOWED_HOSTS": "localhost,.lan,box.lan"}, "https://box.lan"),
    ],
)
def test_the_address_that_is_printed_is_the_one_that_a_person_can_open(env, address):
    assert environ.read(env, need_site=False).address == address


def mistakes(**said: str) -> list[str]:
    try:
        environ.read(said, need_site=False)
    except UsageError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize("name", ["FABGATE_WEB_HOST", "FABGATE_MQTT_HOST"])
@pytest.mark.parametrize(
    ("value", "is_right"),
    [
        *((value, True) for value in ("127.0.0.1", "::1", "fe80::1%eth0", "broker.lan", "0.0.0.0", "my_broker", "x")),
        *((value, False) for value in ("http://x", "x:1883", "a b", "x/", "-x", "x.", "é")),
    ],
)
def test_a_host_is_a_name_or_an_address_alone(name, value, is_right):
    told = mistakes(**{name: value})
    assert [line[: len(name) + 8] for line in told] == ([] if is_right else [f"{name}: found "])


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("collector.lan, [::1],.example.org,*", None),
        ("collector.lan,https://collector.lan", "'https://collector.lan'"),
        ("collector.lan:8000", "'collector.lan:8000'"),
    ],
)
def test_allowed_hosts_are_names_alone(value, wrong):
    told = mistakes(FABGATE_ALLOWED_HOSTS=value)
    assert len(told) == (wrong is not None)
    assert all(line.startswith(f"FABGATE_ALLOWED_HOSTS: found {wrong}, wanted names alone") for line in told)


@pytest.mark.parametrize(("value", "is_right"), [("10.0.0.1, 10.1.0.0/16", True), ("*", True), ("proxy.lan", False)])
def test_proxies_are_addresses(value, is_right):
    assert bool(mistakes(FABGATE_PROXIES=value)) != is_right


def test_the_form_of_the_log_is_one_of_two():
    assert environ.read({"FABGATE_LOG": "json"}, need_site=False).log == "json"
    assert mistakes(FABGATE_LOG="xml") == ["FABGATE_LOG: found 'xml', wanted text or json; set FABGATE_LOG=text"]


def test_a_secret_is_set_directly_or_in_a_file_and_never_shown(tmp_path):
    (tmp_path / "token").write_text("abc\n")
    found = environ.read({"FABGATE_METRICS_TOKEN_FILE": str(tmp_path / "token")}, need_site=False)
    assert found.metrics_token == "abc"
    assert "abc" not in repr(found)
    both = {"FABGATE_METRICS_TOKEN": "abc", "FABGATE_METRICS_TOKEN_FILE": str(tmp_path / "token")}
    assert mistakes(**both) == [
        "FABGATE_METRICS_TOKEN_FILE: found FABGATE_METRICS_TOKEN as well, wanted one of them; unset one"
    ]


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("FABGATE_ALLOWED_HOST", "FABGATE_ALLOWED_HOSTS"),
        ("FABGATE_MQTT_PASSWORD", "FABGATE_MQTT_PASSWORD_FILE"),
        ("FABGATE_WEBPORT", "FABGATE_WEB_PORT"),
        ("FABGATE_PORT", "FABGATE_MQTT_GATE_PORT or FABGATE_MQTT_PORT or FABGATE_WEB_PORT"),
        ("FABGATE_HOSTS", "FABGATE_ALLOWED_HOSTS"),
        ("FABGATE_PROXY", "FABGATE_PROXIES"),
        ("FABGATE_DATABASE", "FABGATE_DATABASE_URL or FABGATE_DATABASE_URL_FILE"),
        ("FABGATE_DB_URL", "FABGATE_DATABASE_URL"),
        ("FABGATE_TIMEZONE", "FABGATE_TZ"),
        ("FABGATE_SMTP", "FABGATE_SMTP_URL or FABGATE_SMTP_URL_FILE"),
        ("fabgate_https", "FABGATE_HTTPS"),
        ("Fabgate_Site", "FABGATE_SITE"),
    ],
)
def test_an_unknown_variable_is_reported_with_a_suggestion(slip, meant):
    (told,) = mistakes(**{slip: "x"})
    assert told.startswith(f"{slip}: found an unknown variable, wanted {meant}")
    assert told.endswith("; rename it, or unset it")


def test_an_unknown_variable_without_a_similar_one_is_a_mistake_too():
    assert mistakes(FABGATE_SECRET="x") == [
        "FABGATE_SECRET: found an unknown variable, wanted one that docs/reference.md names; unset it"
    ]
    assert len(mistakes(FABGATE_WEBPORT="x", FABGATE_WEB_PORT="80")) == 1


def test_variables_of_other_programs_are_ignored():
    assert mistakes(**dict.fromkeys(ELSEWHERE, "x"), PATH="/bin", FABGATEWAY="x") == []


def test_every_variable_that_a_file_of_ours_reads_is_known():
    files = [ROOT / "Makefile", *(ROOT / "systemd").iterdir()]
    files += [path for folder in ("fabgate", "tools", "tests") for path in (ROOT / folder).rglob("*.py")]
    read = re.compile(r"""environ(?:\.get\(|\[)"(FABGATE_[A-Z_]+)"|\$\{(FABGATE_[A-Z_]+)|@(FABGATE_[A-Z_]+)=""")
    texts = [path.read_text("utf-8") for path in files if path.is_file()]
    found = {name for text in texts for names in read.findall(text) for name in names if name}
    assert found - set(re.findall(r'"(FABGATE_[A-Z_]+)"', inspect.getsource(environ))) == ELSEWHERE.keys()
    told = REFERENCE.read_text("utf-8")
    assert all(f"`{name}`" in told for name in ELSEWHERE)
