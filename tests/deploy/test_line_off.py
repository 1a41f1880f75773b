"""Checks that line-off drives the right line low with whatever is installed, and reports a failure."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fabgate.drivers.emulated.outputs.plug import Plug
from fabgate.drivers.emulated.outputs.shelly import EmulatedShelly
from fabgate.gate.config import gate_yaml as config
from fabgate.gate.config import hardware
from tests.deploy.places import SYSTEMD
from tests.support.patience import HANGS_S

LINE_OFF = SYSTEMD / "line-off"

#: Like the real program of its version, each refuses the arguments of the other. It records the line that it drove.
GPIOSET_2 = """#!/bin/sh
[ "$1 $2" = "-t0 -c" ] || { echo "gpioset: unrecognized line" >&2; exit 1; }
echo "$3 $4" >> "$DRIVEN"
"""
GPIOSET_1 = """#!/bin/sh
[ "$1" = "--mode=exit" ] || { echo "gpioset: invalid option -- 't'" >&2; exit 1; }
echo "$2 $3" >> "$DRIVEN"
"""
BUSY = '#!/bin/sh\necho "gpioset: unable to request lines: Device or resource busy" >&2\nexit 1\n'
HANGING = "#!/bin/sh\nexec sleep 600\n"
#: The exit code of `timeout` when time is over, without waiting for it.
GIVEN_UP = "#!/bin/sh\nexit 124\n"


class Pi:
    """A Pi in a folder: /etc/fabgate, /dev, /sys/bus/gpio/devices, and a PATH with the chosen programs only."""

    def __init__(self, home: Path) -> None:
        self.bin, self.etc, self.dev, self.sys = (home / name for name in ("bin", "etc", "dev", "sys"))
        for folder in (self.bin, self.etc, self.dev, self.sys):
            folder.mkdir()
        for tool in ("sh", "sed", "awk", "tail", "grep", "timeout", "sleep"):
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.driven = home / "driven"
        self.has_chip("gpiochip0", "brcm,bcm2711-gpio")

    def has(self, tool: str, script: str) -> None:
        (self.bin / tool).unlink(missing_ok=True)
        (self.bin / tool).write_text(script)
        (self.bin / tool).chmod(0o755)

    def has_python(self) -> None:
        (self.bin / "python3").symlink_to(shutil.which("python3", path="/usr/bin") or shutil.which("python3"))

    def has_chip(self, name: str, compatible: str) -> None:
        node = self.sys / name / "of_node"
        node.mkdir(parents=True)
        (node / "compatible").write_bytes(b"\0".join([compatible.encode(), b"something,else", b""]))
        (self.dev / name).touch()

    def gate_yaml(self, text: str) -> None:
        (self.etc / "gate.yaml").write_text(text)

    def line_off(self, *before: str, patience: float | None = HANGS_S) -> subprocess.CompletedProcess[str]:
        """Run line-off; `patience` is the time-out of a helper in seconds, None the shipped one."""
        env = {
            "PATH": str(self.bin),
            "LINE_OFF_ETC": str(self.etc),
            "LINE_OFF_DEV": str(self.dev),
            "LINE_OFF_SYS": str(self.sys),
            "DRIVEN": str(self.driven),
        }
        if patience is not None:
            env["LINE_OFF_PATIENCE"] = str(patience)
        return subprocess.run(
            [*before, LINE_OFF], env=env, capture_output=True, text=True, check=False, timeout=HANGS_S
        )

    @property
    def history(self) -> list[str]:
        lines = self.driven.read_text().splitlines() if self.driven.exists() else []
        return [line.replace(f"{self.dev}/", "") for line in lines]


@pytest.fixture
def pi(tmp_path):
    found = Pi(tmp_path)
    found.gate_yaml("output: {driver: gpio, pin: 17}\n")
    return found


@pytest.mark.parametrize("gpioset", [GPIOSET_2, GPIOSET_1], ids=["libgpiod 2", "libgpiod 1"])
def test_it_drives_the_line_low_with_either_generation_of_gpioset(pi, gpioset):
    pi.has("gpioset", gpioset)
    done = pi.line_off()
    assert (done.returncode, pi.history) == (0, ["gpiochip0 17=0"])
    assert done.stderr.startswith("<6>line-off: GPIO 17 of gpiochip0 is low")
    assert done.stderr.endswith("(exit code 0)\n")


def test_it_starts_few_programs(pi, tmp_path):
    """Starting programs takes most of its time, and systemd allows three seconds even on the slowest Pi."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed here: it counts the programs")
    pi.has("gpioset", GPIOSET_1)  # needs a second attempt
    seen = tmp_path / "seen"
    assert pi.line_off(strace, "-f", "-qq", "-o", str(seen), "-e", "trace=execve").returncode == 0
    assert 0 < len(re.findall(r" execve\(.* = 0$", seen.read_text(), re.MULTILINE)) <= 12


def test_the_real_gpioset_accepts_our_arguments_and_fails_only_because_there_is_no_chip(tmp_path):
    gpioset = shutil.which("gpioset")
    if gpioset is None:
        pytest.skip("gpioset is not installed here (Debian package gpiod)")
    version = subprocess.run([gpioset, "--version"], capture_output=True, text=True, check=True).stdout
    arguments = ["-t0", "-c"] if re.search(r"v2\.", version) else ["--mode=exit"]
    done = subprocess.run(
        [gpioset, *arguments, tmp_path / "gpiochip0", "17=0"], capture_output=True, text=True, check=False
    )
    assert "cannot find GPIO chip" in done.stderr or "No such file" in done.stderr


# --- which pin --------------------------------------------------------------------------------------------------------

REST = """site: lyon
gate: laser-1
state_dir: state
reader: {driver: mfrc522}
roster: {file: members.yaml}
"""
SPELLINGS = {
    "in one line": "output: {driver: gpio, pin: 22}\n",
    "in one line, the other way round": "output: {pin: 22,driver: gpio, readback_pin: 27}\n",
    "on lines of their own": "output:\n  driver: gpio\n  pin: 22\n  readback_pin: 27\n",
    "behind the read-back": "output:\n  driver: gpio\n  readback_pin: 27  # pin: 5\n  pin: 22   # the relay\n",
    "over two lines in braces": "output: {driver: gpio,\n         pin: 22}\n",
    "with quotes": "\"output\": {'driver': 'gpio', \"pin\": 22}\n",
    "below pins of other sections": "inputs: {stop_pin: 23}\noutput: {driver: gpio, pin: 22}\n",
    "above pins of other sections": "output:\n  driver: gpio\n  pin: 22\ninputs:\n  stop_pin: 23\n",
    "with a list and blank lines about": "emergency_badges: []\n\n# output: {pin: 5}\noutput:\n\n  driver: gpio\n\n  pin: 22\n",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_it_reads_the_pin_that_the_gate_reads(pi, spelling):
    pi.has("gpioset", GPIOSET_2)
    pi.gate_yaml(REST + SPELLINGS[spelling])
    (pi.etc / "members.yaml").touch()
    assert config.load(pi.etc / "gate.yaml").output.options.pin == 22
    assert (pi.line_off().returncode, pi.history) == (0, ["gpiochip0 22=0"])


def test_a_second_relay_is_driven_low_in_the_same_call(pi):
    pi.has("gpioset", GPIOSET_2.replace("$3 $4", "$3 $4 $5"))
    pi.gate_yaml("output: {driver: gpio, second_pin: 21, pin: 22, readback_pin: 27}\n")
    done = pi.line_off()
    assert (done.returncode, pi.history) == (0, ["gpiochip0 22=0 21=0"])
    assert "GPIO 22 and 21 of gpiochip0 is low" in done.stderr
    (pi.etc / "line-off.conf").write_text("pin=26\nsecond_pin=20\n")
    assert (pi.line_off().returncode, pi.history[1:]) == (0, ["gpiochip0 26=0 20=0"])
    (pi.etc / "line-off.conf").unlink()
    pi.gate_yaml("output: {driver: gpio, pin: 22, second_pin: 8}\n")
    assert (pi.line_off().returncode, pi.history[2:]) == (2, [])


# --- a plug -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def shelly(pi):
    with EmulatedShelly(Plug("let me in")) as found:
        pi.has_python()
        (pi.etc / "plug.password").write_text("let me in\n")
        pi.gate_yaml(
            "output:\n"
            "  driver: shelly\n"
            f"  host: 127.0.0.1\n  port: {found.port}\n  device_id: {found.plug.device_id}\n"
            "  password_file: plug.password  # beside gate.yaml\n"
        )
        yield found


def test_a_plug_is_told_once_to_switch_off(pi, shelly):
    shelly.plug.press_button()
    done = pi.line_off(patience=None)
    assert done.returncode == 0
    assert done.stderr.startswith(f"<6>line-off: the plug {shelly.plug.device_id} at 127.0.0.1 is off")
    assert not shelly.plug.on
    assert shelly.requests == [
        "/rpc/Switch.GetStatus?id=0",
        "/rpc/Switch.Set?id=0&on=false",
    ]  # its challenge, then told


@pytest.mark.parametrize("fault", ["hangs", "away", "another", "open", "password"])
def test_a_plug_that_cannot_be_told_is_reported_within_a_second_and_the_gate_starts_all_the_same(pi, shelly, fault):
    match fault:
        case "hangs":
            shelly.hangs = True
        case "away":
            shelly.pull_out()
        case "another":
            shelly.plug.device_id = "shellyplugsg3-000000000002"
        case "open":  # nor is another device told that has no password
            shelly.plug.device_id, shelly.plug.password = "shellyplugsg3-000000000002", None
        case "password":
            (pi.etc / "plug.password").write_text("a secret")
    done = pi.line_off(patience=None)
    assert done.returncode == 0
    assert re.match(r"<3>line-off: the plug .* was not told to switch off: .*; its own timer does it", done.stderr)
    assert "secret" not in done.stderr
    assert not [target for target in shelly.requests if "Set" in target] or fault == "password"


def test_line_off_conf_overrides_gate_yaml(pi):
    pi.has("gpioset", GPIOSET_2)
    (pi.etc / "line-off.conf").write_text("# a note\npin = 26  # the new relay\nchip=gpiochip4\n")
    assert (pi.line_off().returncode, pi.history) == (0, ["gpiochip4 26=0"])


def test_nothing_in_line_off_conf_is_ever_executed(pi):
    pi.has("gpioset", GPIOSET_2)
    (pi.etc / "line-off.conf").write_text("pin=$(touch owned)17;touch owned\n")
    pi.line_off()
    assert pi.history == ["gpiochip0 17=0"]  # that line is invalid, so gate.yaml counts
    assert not Path("owned").exists()


@pytest.mark.parametrize("pin", ["2", "8", "14", "15", "28", "170", "x", "-1"])
def test_it_refuses_a_pin_that_must_not_be_an_output(pi, pin):
    pi.has("gpioset", GPIOSET_2)
    pi.gate_yaml(f"output: {{driver: gpio, pin: {pin}}}\n")
    done = pi.line_off()
    assert (done.returncode, pi.history) == (2, [])
    assert "wanted 9 to 27 but 14 and 15" in done.stderr


def test_every_safe_pin_is_accepted(pi):
    pi.has("gpioset", GPIOSET_2)
    for pin in sorted(hardware.SAFE_OUTPUT_PINS):
        pi.gate_yaml(f"output: {{driver: gpio, pin: {pin}}}\n")
        assert pi.line_off().returncode == 0
    assert pi.history == [f"gpiochip0 {pin}=0" for pin in sorted(hardware.SAFE_OUTPUT_PINS)]


def test_without_any_configuration_the_error_says_what_to_write(pi):
    (pi.etc / "gate.yaml").unlink()
    done = pi.line_off()
    assert done.returncode == 2
    assert "write pin=17 into line-off.conf (exit code 2)" in done.stderr


def test_an_output_without_a_line_needs_nothing(pi):
    pi.gate_yaml("output: {driver: memory}\n")
    assert pi.line_off().returncode == 0


# --- which chip -------------------------------------------------------------------------------------------------------


def test_on_a_pi_5_it_finds_the_chip_of_the_header_by_its_driver(pi):
    # Kernel 6.6.20: gpiochip0 belongs to the SoC, the header is gpiochip4 (raspberrypi/linux pull request 6144).
    pi.has("gpioset", GPIOSET_2)
    (pi.sys / "gpiochip0/of_node/compatible").write_bytes(b"brcm,brcmstb-gpio\0")
    pi.has_chip("gpiochip4", "raspberrypi,rp1-gpio")
    assert (pi.line_off().returncode, pi.history) == (0, ["gpiochip4 17=0"])


# --- when gpioset fails -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gpioset", [None, BUSY, GIVEN_UP], ids=["missing", "failing", "hanging"])
def test_without_a_working_gpioset_python_calls_the_kernel(pi, gpioset):
    if gpioset:
        pi.has("gpioset", gpioset)
    pi.has_python()
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed here: it simulates a kernel that accepts the request")
    inject = ["-e", "trace=ioctl", "-e", "inject=ioctl:retval=0"]
    done = pi.line_off(strace, "-f", "-qq", "-o", "/dev/null", *inject, "--")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("<6>line-off: GPIO 17 of gpiochip0 is low (ioctl) (exit code 0)\n")


def test_python_requests_one_output_driven_low():
    class Attribute(ctypes.Structure):  # these structs follow linux/gpio.h
        _fields_ = (("id", ctypes.c_uint32), ("padding", ctypes.c_uint32), ("values", ctypes.c_uint64))

    class ConfigAttribute(ctypes.Structure):
        _fields_ = (("attr", Attribute), ("mask", ctypes.c_uint64))

    class LineConfig(ctypes.Structure):
        _fields_ = (
            ("flags", ctypes.c_uint64),
            ("num_attrs", ctypes.c_uint32),
            ("padding", ctypes.c_uint32 * 5),
            ("attrs", ConfigAttribute * 10),
        )

    class LineRequest(ctypes.Structure):
        _fields_ = (
            ("offsets", ctypes.c_uint32 * 64),
            ("consumer", ctypes.c_char * 32),
            ("config", LineConfig),
            ("num_lines", ctypes.c_uint32),
            ("event_buffer_size", ctypes.c_uint32),
            ("padding", ctypes.c_uint32 * 5),
            ("fd", ctypes.c_int32),
        )

    assert LineRequest.from_buffer(ioctl_of_python("/dev/null", "17", "21")[1]).config.attrs[0].mask == 0b11
    number, sent = ioctl_of_python("/dev/null", "17")
    assert number == 0xC0000000 | ctypes.sizeof(LineRequest) << 16 | 0xB4 << 8 | 0x07  # _IOWR(0xB4, 0x07, …)
    request = LineRequest.from_buffer(sent)
    assert (request.num_lines, list(request.offsets)) == (1, [17] + [0] * 63)
    assert (request.consumer, request.event_buffer_size, request.fd) == (b"line-off", 0, 0)
    assert request.config.flags == 1 << 3  # GPIO_V2_LINE_FLAG_OUTPUT only, so not active-low
    attribute = request.config.attrs[0]
    # GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES: line 0 of the request is 0
    assert (request.config.num_attrs, attribute.attr.id, attribute.attr.values, attribute.mask) == (1, 2, 0, 1)


def test_a_line_that_cannot_be_driven_is_reported_with_the_kernels_error(pi):
    pi.has("gpioset", BUSY)
    pi.has_python()
    done = pi.line_off()  # the chip is a plain file here, so the kernel answers ENOTTY
    assert done.returncode == 3
    assert done.stderr == (
        "<2>line-off: GPIO 17 of gpiochip0 CANNOT BE DRIVEN LOW: gpioset failed, then Inappropriate ioctl for device"
        " (exit code 3)\n"
    )


def test_helpers_that_hang_are_abandoned(pi):
    pi.has("gpioset", HANGING)
    pi.has("python3", HANGING)
    done = pi.line_off(patience=0.1)
    assert done.returncode == 3
    assert "CANNOT BE DRIVEN LOW: gpioset hung, then" in done.stderr


def test_the_time_outs_of_helpers_are_shorter_than_the_units_stop_time(pi, tmp_path):
    given = tmp_path / "given"
    pi.has("gpioset", HANGING)
    pi.has("python3", HANGING)
    pi.has("timeout", f'#!/bin/sh\necho "$1" >>{given}\nexit 124\n')  # like one whose time is over
    assert pi.line_off(patience=None).returncode == 3
    stop_s = float(
        re.search(r"^TimeoutStopSec=(\d+)$", (SYSTEMD / "fabgate-gate.service").read_text(), re.MULTILINE)[1]
    )
    assert 0 < sum(map(float, given.read_text().split())) <= stop_s - 1


def test_it_imports_nothing_of_fabgate():
    assert not re.search(r"^\s*(import|from)\b.*fabgate", LINE_OFF.read_text(), re.MULTILINE)
    assert "python3 -ISE" in LINE_OFF.read_text()


def ioctl_of_python(*arguments: str) -> tuple[int, bytearray]:
    """Run the Python part of line-off with a fake ioctl, and return its arguments."""
    import fcntl
    import sys
    from unittest import mock

    script = re.search(r"^ask='(.*?)^'$", LINE_OFF.read_text(), re.MULTILINE | re.DOTALL).group(1)
    with mock.patch.object(fcntl, "ioctl") as ioctl, mock.patch.object(sys, "argv", ["-", *arguments]):
        exec(compile(script, "line-off", "exec"), {})
    _, number, request = ioctl.call_args.args
    return number, request
