"""A Shelly plug: digests of the standard, what is refused, what a lost answer leaves, and what its watts prove."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from functools import partial

import msgspec
import pytest

from fabgate.drivers.emulated.outputs.plug import Plug
from fabgate.drivers.emulated.outputs.shelly import EmulatedShelly
from fabgate.drivers.outputs.shelly import ShellyOptions, ShellyOutput
from fabgate.drivers.outputs.shelly_rpc import DeviceLink, authorization, challenge, digest
from fabgate.errors import HardwareError
from tests.drivers.outputs.plugs import PASSWORD, shelly_options


@pytest.fixture
def shelly():
    with EmulatedShelly(Plug()) as found:
        yield found


@pytest.fixture
def output(shelly, tmp_path):
    found = ShellyOutput(shelly_options(shelly, tmp_path))
    found.open()
    yield found
    found.close()


def test_the_digest_is_that_of_the_standard():
    # RFC 7616, section 3.9.1: SHA-256, qop=auth
    proof = authorization(
        digest("Mufasa", "http-auth@example.org", "Circle of Life"),
        "http-auth@example.org",
        "/dir/index.html",
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        count=1,
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in proof
    assert "nc=00000001" in proof


def test_a_challenge_is_read_as_plugs_write_it():
    # as a Plug S Gen3 and a 1 Mini Gen3 have sent it; a nonce of firmware 2 ends with "="
    text = 'Digest qop="auth", realm="shellyplugsg3-8cbfeaa03350", nonce="MTc3MzI1ODI2Ng==", algorithm=SHA-256'
    assert challenge(text) == {
        "qop": "auth",
        "realm": "shellyplugsg3-8cbfeaa03350",
        "nonce": "MTc3MzI1ODI2Ng==",
        "algorithm": "SHA-256",
    }
    assert challenge('Basic realm="shelly"') == {}


def test_power_is_an_order_with_a_timer_and_off_is_one_without(output, shelly):
    shelly.requests.clear()
    began = time.monotonic()
    output.set(on=True)
    assert time.monotonic() - began < 0.3
    output.set(on=False)
    orders = [target for target in shelly.requests if "Set" in target]
    assert orders == [
        "/rpc/Switch.Set?id=0&on=true&toggle_after=30",
        "/rpc/Switch.Set?id=0&on=false",
    ]


def test_a_plug_that_nobody_tends_falls_off_and_stays_off(tmp_path):
    now = [1_000.0]
    with EmulatedShelly(Plug(clock=lambda: now[0])) as shelly:
        output = ShellyOutput(shelly_options(shelly, tmp_path, off_after_s=20))
        output.open()
        output.set(on=True)
        now[0] += 19.9
        assert shelly.plug.on  # the gate is killed meanwhile
        now[0] += 0.1
        assert not shelly.plug.on
        now[0] += 86_400
        assert not shelly.plug.on
        assert not output.tend(on=True)  # it is not switched on again, although it shall be on
        assert not shelly.plug.on


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda plug: setattr(plug, "password", None), "has no password"),
        (lambda plug: plug.config["cloud"].update(enable=True), "the cloud is on"),
        (lambda plug: plug.config["mqtt"].update(enable=True), "MQTT is on"),
        (lambda plug: plug.config["ws"].update(enable=True), "the outbound WebSocket is on"),
        (lambda plug: plug.config.update(matter={"enable": True}), "Matter is on"),
        (lambda plug: plug.config["switch:0"].update(initial_state="restore_last"), "initial_state.* is restore_last, wanted off"),
        (lambda plug: plug.config["switch:0"].update(auto_on=True), "auto-on"),
        (lambda plug: plug.jobs.append({"id": 1, "enable": True}), "it has 1 active schedule, wanted none"),
        (lambda plug: plug.hooks.extend([{"id": 1, "enable": True}] * 2), "it has 2 active webhooks, wanted none"),
        (lambda plug: plug.scripts.append({"id": 1, "enable": False, "running": True}), "it has 1 active script"),
        (lambda plug: plug.config.pop("switch:0"), "has no switch 0"),
        (lambda plug: plug.config.update(cloud=None), "answers cloud with something that is no object"),
        (lambda plug: plug.jobs.append(None), "answers Schedule.List with something that is no object"),
        (lambda plug: setattr(plug, "scripts", 5), "answers Script.List with something that is no list"),
        (lambda plug: setattr(plug, "device_id", "shellyplugsg3-000000000002"), "found the device 'shellyplugsg3-0.*reserve"),
    ],
)  # fmt: skip
def test_a_plug_that_could_switch_the_machine_on_by_itself_is_not_used(shelly, tmp_path, change, wanted):
    output = ShellyOutput(shelly_options(shelly, tmp_path))
    change(shelly.plug)
    with pytest.raises(HardwareError, match=wanted):
        output.open()
    with pytest.raises(HardwareError, match="is not in use yet"):
        output.set(on=True)
    assert shelly.plug.history == []


def test_what_is_there_but_not_active_does_no_harm(shelly, tmp_path):
    shelly.plug.jobs.append({"id": 1, "enable": False})
    shelly.plug.scripts.append({"id": 1, "enable": False, "running": False})
    del shelly.plug.config["ws"]
    output = ShellyOutput(shelly_options(shelly, tmp_path))
    assert output.problems() == []
    output.open()


def test_a_wrong_password_is_named_and_stands_in_no_error(shelly, tmp_path):
    options = shelly_options(shelly, tmp_path)
    options.password_file.write_text("another secret")
    with pytest.raises(HardwareError, match=r"the password is wrong \(output.password_file\)") as caught:
        ShellyOutput(options).open()
    assert "another secret" not in str(caught.value)
    options.password_file.write_text(" \n")
    with pytest.raises(HardwareError, match="found nothing, wanted the password"):
        ShellyOutput(options).open()


def test_another_device_at_the_address_is_not_given_a_proof(output, shelly):
    shelly.plug.restart()
    shelly.plug.device_id = "shellyplugsg3-000000000002"
    with pytest.raises(HardwareError, match="another device has this address"):
        output.set(on=True)
    assert shelly.plug.history == []


def test_a_device_without_a_password_that_got_the_address_is_not_switched_on_or_off(output, shelly):
    output.set(on=True)
    shelly.loses_requests = True
    with pytest.raises(HardwareError, match="does not answer"):
        output.tend(on=True)
    shelly.loses_requests = False
    shelly.plug.device_id, shelly.plug.password = "shellyplugsg3-000000000002", None
    shelly.plug.press_button()
    shelly.plug.press_button()  # it is on without a timer
    shelly.requests.clear()
    with pytest.raises(HardwareError, match="found the device 'shellyplugsg3-0"):
        output.tend(on=True)
    with pytest.raises(HardwareError, match="found the device"):
        output.set(on=True)
    output.set(on=False)
    assert not [target for target in shelly.requests if "Set" in target]


def test_the_emulated_button_begins_a_timer_only_where_auto_off_is_set():
    now_s = [100.0]
    plug = Plug(clock=lambda: now_s[0])
    plug.press_button()
    now_s[0] += 3_600
    assert plug.on
    plug.press_button()
    plug.config["switch:0"] |= {"auto_off": True, "auto_off_delay": 35.0}
    plug.press_button()
    now_s[0] += 34.9
    assert plug.on
    now_s[0] += 0.1
    assert not plug.on


def test_a_nonce_that_the_plug_has_forgotten_costs_no_order(output, shelly):
    shelly.plug.restart()
    output.set(on=True)
    assert shelly.plug.on
    assert shelly.plug.history[0][1] is True
    assert len(shelly.plug.history) == 1


@pytest.mark.parametrize("fault", ["loses_answers", "hangs", "loses_requests"])
def test_an_order_without_an_answer_is_an_error_and_is_never_sent_again(output, shelly, fault):
    setattr(shelly, fault, True)
    shelly.requests.clear()
    with pytest.raises(HardwareError, match="does not answer"):
        output.set(on=True)
    assert [target for target in shelly.requests if "Set" in target] == [
        "/rpc/Switch.Set?id=0&on=true&toggle_after=30",
        "/rpc/Switch.Set?id=0&on=false",  # whatever became of the first
    ]
    assert not shelly.plug.on


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
        b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"output":"true"}',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + b"[" * 9,
        b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
        b"x" * 100_000,
    ],
)
def test_anything_else_than_the_answer_is_an_error_and_no_power_counts_as_confirmed(output, shelly, answer):
    shelly.answers = answer
    with pytest.raises(HardwareError):
        output.set(on=True)
    with pytest.raises(HardwareError):
        output.tend(on=True)
    assert (output.power_w, output.energy_wh, output.read_back()) == (None, None, None)
    shelly.answers = None
    output.tend(on=False)
    assert not shelly.plug.on


def test_an_order_off_that_waits_ends_a_request_that_hangs(shelly, tmp_path):
    output = ShellyOutput(shelly_options(shelly, tmp_path, timeout_ms=2_000))
    output.open()
    shelly.hangs = True
    began = time.monotonic()
    timer = threading.Timer(0.02, output.hurry)
    timer.start()
    with pytest.raises(HardwareError, match="no answer in time"):
        output.tend(on=True)
    assert time.monotonic() - began < 1
    timer.join()
    shelly.hangs = False
    output.set(on=False)
    output.set(on=True)  # the hurry is over
    assert shelly.plug.on


def test_an_order_off_that_waits_ends_an_attempt_to_connect(tmp_path):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as callers:
        for _ in range(2):
            caller = callers.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        link = DeviceLink(*full.getsockname(), "shellyplugsg3-8cbfeaa03350", timeout_s=20.0)
        link.hurried_s = began = time.monotonic()
        with pytest.raises(HardwareError, match="no answer in time"):
            link.call("Switch.GetStatus")
        assert time.monotonic() - began < 10


def test_a_plug_that_somebody_switched_without_a_timer_gets_its_timer_at_once(output, shelly):
    output.set(on=True)
    shelly.plug.press_button()
    shelly.plug.press_button()
    assert shelly.plug._timer is None
    assert output.tend(on=True)
    assert shelly.plug._timer is not None


def test_an_order_to_stay_on_that_switched_on_instead_is_taken_back(tmp_path):
    now = [1_000.0]
    with EmulatedShelly(Plug(clock=lambda: now[0])) as shelly:
        output = ShellyOutput(shelly_options(shelly, tmp_path))
        output._clock = lambda: now[0]
        output.open()
        output.set(on=True)
        now[0] += 15
        exchange = output._link.exchange

        def press_first(target: str, *given):
            if "on=true" in target:  # somebody presses the button between the look and the order
                shelly.plug.press_button()
            return exchange(target, *given)

        output._link.exchange = press_first
        assert not output.tend(on=True)
        assert [on for _, on in shelly.plug.history] == [True, False, True, False]


def test_watts_while_off_prove_a_welded_contact_once_the_meter_has_settled(tmp_path):
    now = [1_000.0]
    with EmulatedShelly(Plug(clock=lambda: now[0])) as shelly:
        output = ShellyOutput(shelly_options(shelly, tmp_path, meter_lag_ms=1_000))
        output._clock = lambda: now[0]
        output.open()
        shelly.plug.load_w = 60.0
        output.set(on=True)
        assert (output.power_w, output.energy_wh) == (60.0, 0)
        assert output.read_back() is None
        now[0] += 25
        assert output.tend(on=True)
        now[0] += 125
        shelly.plug.welded = True
        assert not output.tend(on=False)
        assert output.read_back() is None  # the meter may still show what flowed before
        now[0] += 1
        output.tend(on=False)
        assert output.read_back() is True
        assert output.energy_wh == 2  # 151 s of 60 W are 2.5 Wh, rounded down
        shelly.plug.load_w = 4.9
        output.tend(on=False)
        assert output.read_back() is None


def test_the_plugs_own_measurements_are_none_where_it_has_no_meter(output, shelly, monkeypatch):
    shelly.plug.load_w = 100.0
    status = shelly.plug._status
    monkeypatch.setattr(shelly.plug, "_status", lambda: {"output": status()["output"], "aenergy": {"total": None}})
    assert not output.tend(on=False)
    assert (output.power_w, output.energy_wh, output.read_back()) == (None, None, None)


@pytest.mark.parametrize("host", ["plug.local", "192.168.1", "192.168.1.256", "192.168.1.4 ", "::1", "1.2.3.4.5"])
def test_a_name_is_no_address_because_off_would_wait_for_it(tmp_path, host):
    given = {"host": host, "device_id": "shellyplugsg3-8cbfeaa03350", "password_file": "p"}
    read = partial(msgspec.convert, type=ShellyOptions, dec_hook=lambda kind, value: kind(value))
    with pytest.raises(msgspec.ValidationError, match="host"):
        read(given)
    assert read({**given, "host": "192.168.1.40"}).port == 80


def test_the_emulated_plug_refuses_what_was_sent_before(shelly):
    plug, target = Plug(), "/rpc/Switch.Set?id=0&on=true"
    nonce = challenge(dict(plug.answer(target).headers)["WWW-Authenticate"])["nonce"]
    ha1 = digest("admin", plug.device_id, PASSWORD)
    proof = authorization(ha1, plug.device_id, target, nonce=nonce, count=1, cnonce="c")
    assert plug.answer(target, proof).status == 200
    assert plug.answer(target, proof).status == 401
    assert plug.answer(target.replace("true", "false"), proof).status == 401
    assert plug.answer("/rpc/Nothing", proof).status == 401
