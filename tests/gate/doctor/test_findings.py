"""Each finding of ``fabgate doctor``, on a Pi whose files a test breaks."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fabgate.badge import key_mark
from fabgate.doctor.finding import Outcome
from fabgate.doctor.system import System
from fabgate.gate.doctor import pi
from fabgate.gate.doctor.examination import CHECKS, examine
from fabgate.phrases import phrases
from tests.deploy.places import SYSTEMD
from tests.gate.doctor.emulated_pi import TCP_HEAD, UNIT, EmulatedPi
from tests.support.certificates import make_certificates

OK, WARN, FAIL, NOT_CHECKED = Outcome.OK, Outcome.WARN, Outcome.FAIL, Outcome.NOT_CHECKED
#: `raspberry`, by: openssl passwd -6 -salt fabgate raspberry
RASPBERRY = "$6$fabgate$55R1N/hBXhdOYzyUHo8Zgyfko2XKJRvJHLja.eAui.eQcsN9kGwED27mKsMr/TpakDheqteHlh4ZqoAbDs5fb."
CONFIG_TXT = "/boot/firmware/config.txt"
DROP_IN = f"{UNIT}.d/own.conf"
THROTTLED = "/sys/devices/platform/soc/soc:firmware/get_throttled"
PERSIST = "/sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs"


def test_a_gate_that_runs_as_installed_has_nothing_to_put_right(pi):
    findings = pi.findings()
    assert list(findings) == list(CHECKS)
    not_ok = {name: finding.outcome for name, finding in findings.items() if finding.outcome is not OK}
    # What this gate does not have, and what a running gate must not be asked.
    assert not_ok == dict.fromkeys(
        ("pin-library", "i2c", "reader-device", "output", "collector", "broker-rights", "certificate"), NOT_CHECKED
    )


def test_on_another_computer_nothing_about_a_pi_is_called_ok(tmp_path):
    (tmp_path / "root").mkdir()
    findings = examine(tmp_path / "gate.yaml", System(tmp_path / "root"))
    assert not {finding.id for finding in findings if finding.outcome is OK}
    assert [finding.id for finding in findings if finding.outcome is FAIL] == ["configuration"]


def test_what_another_account_may_read_is_no_mistake(tmp_path, monkeypatch):
    def is_file(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied", "/etc/fabgate/keys/roster.key")

    (tmp_path / "gate.yaml").write_text("gate_key_file: /etc/fabgate/keys/roster.key\n")
    monkeypatch.setattr(Path, "is_file", is_file)  # root, as which tests may run, reads everything
    found = {finding.id: finding for finding in examine(tmp_path / "gate.yaml", System(tmp_path))}
    assert {found[name].outcome for name in ("configuration", "gate", "roster")} == {NOT_CHECKED}
    assert "no right to read /etc/fabgate/keys/roster.key" in found["configuration"].text


def written(name: str, text: str) -> Callable[[EmulatedPi], None]:
    return lambda pi: pi.write(name, text)


def changed(name: str, pattern: str, text: str) -> Callable[[EmulatedPi], None]:
    return lambda pi: pi.change(name, pattern, text)


def removed(name: str) -> Callable[[EmulatedPi], None]:
    return lambda pi: pi.remove(name)


def with_a_disk_of(write_ms: float) -> Callable[[EmulatedPi], None]:
    def fault(pi: EmulatedPi) -> None:
        pi.system.write_ms = write_ms

    return fault


def beside_a_collector(*ports: int) -> Callable[[EmulatedPi], None]:
    """A collector on the gate's computer, where other computers reach these ports."""

    def fault(pi: EmulatedPi) -> None:
        pi.write("/etc/systemd/system/fabgate-collector.target", "[Unit]\n")
        pi.write("/proc/net/tcp", TCP_HEAD + "".join(EmulatedPi.listens("00000000", port) for port in ports))

    return fault


def reconfigured(old: str, new: str) -> Callable[[EmulatedPi], None]:
    return lambda pi: pi.reconfigure(old, new)


def reported(**changes: object) -> Callable[[EmulatedPi], None]:
    return lambda pi: pi.report(**changes)


def with_default_password(pi: EmulatedPi) -> None:
    pi.write("/etc/passwd", "pi:x:1000:1000::/home/pi:/bin/bash\n")
    pi.write("/etc/shadow", f"pi:{RASPBERRY}:19000:0:99999:7:::\n")


def with_an_old_image(pi: EmulatedPi) -> None:
    pi.write(CONFIG_TXT, "dtparam=spi=on\n")
    pi.write(PERSIST, "Y\n")


def with_an_open_key_in_a_closed_folder(pi: EmulatedPi) -> None:
    (pi.state / "badge.key").touch(0o644)
    pi.state.chmod(0o700)


def with_a_serial_reader(pi: EmulatedPi) -> None:
    pi.reconfigure("{driver: mfrc522}", "{driver: serial, format: rdm6300}")
    pi.write("/dev/serial0", "")
    pi.write("/proc/cmdline", "console=tty1 root=PARTUUID=1\n")


def with_a_serial_reader_that_repeats(pause_ms: int) -> Callable[[EmulatedPi], None]:
    def fault(pi: EmulatedPi) -> None:
        with_a_serial_reader(pi)
        reported(longest_pauses_ms=[pause_ms])(pi)

    return fault


def with_a_serial_reader_and_its_drop_in(pi: EmulatedPi) -> None:
    with_a_serial_reader(pi)
    pi.write(f"{UNIT}.d/20-fabgate-serial.conf", (SYSTEMD / "20-fabgate-serial.conf").read_text())


def with_a_serial_reader_by_its_number(pi: EmulatedPi) -> None:
    with_a_serial_reader_and_its_drop_in(pi)
    pi.reconfigure("{driver: serial, ", "{driver: serial, port: /dev/ttyUSB0, ")
    pi.write("/dev/ttyUSB0", "")


def with_two_readers(pi: EmulatedPi) -> None:
    pi.reconfigure("{driver: mfrc522}", "[{driver: mfrc522}, {driver: serial, format: rdm6300}]")
    problems = {"reader 1 (mfrc522)": "", "reader 2 (serial)": "it hangs"}
    readers = [{"name": name, "problem": problem} for name, problem in problems.items()]
    reported(problems=["reader: reader 2 (serial): it hangs"], readers=readers)(pi)


def with_a_console_on_the_line_of_the_reader(pi: EmulatedPi) -> None:
    with_a_serial_reader(pi)
    pi.write("/proc/cmdline", "console=serial0,115200 console=tty1\n")


def with_a_keyboard_reader(pi: EmulatedPi) -> None:
    path = "/dev/input/by-id/usb-reader-event-kbd"
    pi.reconfigure("{driver: mfrc522}", f"{{driver: keyboard, event_path: {path}, format: number10}}")
    pi.write(path, "")


def with_a_keyboard_reader_and_its_drop_in(pi: EmulatedPi) -> None:
    with_a_keyboard_reader(pi)
    pi.write(f"{UNIT}.d/20-fabgate-keyboard.conf", (SYSTEMD / "20-fabgate-keyboard.conf").read_text())


def with_a_display(pi: EmulatedPi) -> None:
    pi.reconfigure("inputs:", "panel: [{driver: oled}, {driver: log}]\ninputs:")
    pi.write("/dev/i2c-1", "")


def with_a_display_and_its_drop_in(pi: EmulatedPi) -> None:
    with_a_display(pi)
    pi.write(f"{UNIT}.d/20-fabgate-i2c.conf", (SYSTEMD / "20-fabgate-i2c.conf").read_text())


def with_no_password(pi: EmulatedPi) -> None:
    pi.write("/etc/passwd", "+\npi:x:1000:1000::/home/pi:/bin/bash\n")
    pi.write("/etc/shadow", "+\npi::19000:0:99999:7:::\n")


def with_an_emmc_that_does_not_tell(pi: EmulatedPi) -> None:
    pi.write("/sys/block/mmcblk0/device/life_time", "0x00 0x00\n")
    pi.remove("/sys/fs/ext4/mmcblk0p2/lifetime_write_kbytes")


def with_overlay_in_memory(pi: EmulatedPi) -> None:
    pi.write(
        "/proc/mounts",
        "overlayroot / overlay rw,lowerdir=/media/root-ro,upperdir=/media/root-rw/overlay 0 0\n"
        "tmpfs-root /media/root-rw tmpfs rw 0 0\n",
    )


def without_pins(pi: EmulatedPi) -> None:
    pi.reconfigure("{driver: gpio, pin: 17, readback_pin: 27, readback_closed: high}", "{driver: memory}")
    pi.reconfigure("inputs: {stop_pin: 22}\n", "")
    with_a_serial_reader(pi)


def of_another_account(needs: str | None) -> Callable[[EmulatedPi], None]:
    """Let the gate have an account of its own; or none, or one that lacks only the right to one file."""

    def fault(pi: EmulatedPi) -> None:
        pi.write(
            "/etc/passwd", "" if needs is None else f"fabgate:x:{os.getuid() + 1}:{os.getgid() + 1}::/:/bin/false\n"
        )
        for path in (*pi.folder.glob("*.yaml"), *pi.state.iterdir()):
            path.chmod(0o666)
        pi.state.chmod(0o777)
        if needs is not None:
            (pi.folder / needs).chmod(0o770 if needs == "state" else 0o660)

    return fault


def with_a_journal_of_root(pi: EmulatedPi) -> None:
    (pi.state / "journal.db").touch()
    of_another_account("members.yaml")(pi)
    (pi.folder / "members.yaml").chmod(0o644)
    (pi.state / "journal.db").chmod(0o644)


def with_a_key_in_a_closed_folder(pi: EmulatedPi) -> None:
    """The account may read the key, but not enter its folder."""
    (pi.folder / "keys").mkdir()
    (pi.folder / "keys" / "badge.keys").write_text(f"k1:{'A' * 43}=\n")
    pi.reconfigure("site: lyon", "site: lyon\nbadge_key_file: keys/badge.keys")
    of_another_account("members.yaml")(pi)
    (pi.folder / "members.yaml").chmod(0o644)
    (pi.folder / "keys" / "badge.keys").chmod(0o644)
    (pi.folder / "keys").chmod(0o700)


def _papers(pi: EmulatedPi) -> Path:
    (pi.folder / "papers").mkdir()
    return make_certificates(pi.folder / "papers")


def with_a_broker_that_speaks_tls(pi: EmulatedPi) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_papers(pi) / "broker.pem", pi.folder / "papers" / "broker.key")

    def serve() -> None:
        with contextlib.suppress(OSError):  # the test has closed it
            while True:
                client, _ = pi.broker.accept()
                with contextlib.suppress(OSError), context.wrap_socket(client, server_side=True) as secured:
                    secured.recv(1)

    threading.Thread(target=serve, daemon=True).start()


def with_a_key(stored: bytes, own: bytes, kid: str | None = "k1") -> Callable[[EmulatedPi], None]:
    """Store a roster under one key, and give the gate another file of keys."""

    def fault(pi: EmulatedPi) -> None:
        (pi.folder / "badge.keys").write_text(f"k1:{base64.b64encode(own).decode()}\n")
        pi.reconfigure("site: lyon", "site: lyon\nbadge_key_file: badge.keys")
        pi.store_roster(badge_key_id=kid, badge_key_mark=key_mark(stored))

    return fault


def with_a_new_key_of_its_own(pi: EmulatedPi) -> None:
    (pi.state / "badge.key").write_bytes(b"B" * 32)
    pi.store_roster(badge_key_mark=key_mark(b"A" * 32))


FAULTS: list[tuple[str, Callable[[EmulatedPi], None], Outcome, str]] = [
    # finding, fault, outcome, what its texts contain
    ("configuration", reconfigured("stop_pin: 22", "flag_pin: 16"), WARN, "when the 24 V return"),
    ("configuration", reconfigured("{stop_pin: 22}", "{stop_pin: 22, running_pin: 24}"), WARN, "24 V"),
    ("configuration", reconfigured("{stop_pin: 22}", "{estop_pin: 23, running_pin: 24}"), OK, ""),
    ("configuration", reconfigured("pin: 17", "pin: 2"), FAIL, "fabgate check"),
    ("gate", EmulatedPi.stop, WARN, "systemctl enable --now fabgate-gate"),
    ("gate", reported(problems=["roster: old"]), WARN, "roster: old"),
    ("unit", removed(UNIT), FAIL, "install -m 644"),
    ("unit", changed(UNIT, "^WatchdogSec=3", "WatchdogSec=30"), FAIL, "found 30 in place of 3"),
    ("unit", changed(UNIT, "^ExecStopPost=.*\n", ""), FAIL, "ExecStopPost: found nothing"),
    ("unit", changed(UNIT, "^MemoryMax=200M", "MemoryMax=50M"), WARN, "MemoryMax"),
    ("unit", written(DROP_IN, "[Service]\nExecStartPre=\n"), FAIL, "own.conf"),
    ("unit", written(DROP_IN, "[Service]\nDeviceAllow=char-ttyUSB rw\n"), OK, "own.conf"),
    (
        "unit",
        written(DROP_IN, "[Service]\nRestartPreventExitStatus=1\n"),
        FAIL,
        "RestartPreventExitStatus: found 1 in place of nothing",
    ),
    ("unit", written(DROP_IN, "[Unit]\nConditionPathExists=/mnt/usb\n"), FAIL, "ConditionPathExists"),
    ("unit", written(DROP_IN, "[Service]\nRestartPreventExitStatus=\n"), OK, "own.conf"),
    ("unit", written(DROP_IN, "[Service]\nEnvironment=FABGATE_SIMULATED_OUTPUT=1\n"), FAIL, "may power a real machine"),
    ("unit", changed("/etc/passwd", "^fabgate:.*\n", ""), FAIL, "the account fabgate does not exist"),
    ("unit", removed("/etc/systemd/system/multi-user.target.wants/fabgate-gate.service"), WARN, "systemctl enable"),
    ("line-off", removed("/usr/lib/fabgate/line-off"), FAIL, "-m 755"),
    ("line-off", changed("/usr/lib/fabgate/line-off", "=0", "=1"), FAIL, "not the one of this version"),
    ("line-off", lambda pi: (pi.root / "usr/lib/fabgate/line-off").chmod(0o644), FAIL, "chmod 755"),
    ("pin-release", written(PERSIST, "Y\n"), FAIL, "strict_gpiod"),
    ("pin-release", removed(PERSIST), NOT_CHECKED, "the kernel does not say"),
    ("strict-gpiod", changed(CONFIG_TXT, "^dtparam=strict.*", "#dtparam=strict_gpiod"), OK, "without strict_gpiod"),
    ("strict-gpiod", with_an_old_image, FAIL, "echo dtparam=strict_gpiod"),
    ("strict-gpiod", removed(CONFIG_TXT), NOT_CHECKED, "config.txt"),
    ("pin-library", changed(UNIT, "^Environment=GPIO.*\n", ""), FAIL, "GPIOZERO_PIN_FACTORY=lgpio"),
    ("pin-library", written(DROP_IN, "[Service]\nEnvironment=GPIOZERO_PIN_FACTORY=rpigpio\n"), FAIL, "rpigpio"),
    (
        "pin-library",
        lambda pi: None,
        NOT_CHECKED,
        "the libraries were not checked: the files are of another computer",
    ),
    ("pin-library", without_pins, NOT_CHECKED, "no part of this gate is on pins"),
    ("lgpio-folder", changed(UNIT, "^Environment=LG_WD.*\n", ""), FAIL, "LG_WD is not set"),
    ("lgpio-folder", changed(UNIT, "^RuntimeDirectory=.*\n", ""), FAIL, "RuntimeDirectory=fabgate"),
    ("pins", reconfigured("pin: 17", "pin: 26"), WARN, "output.pin is 26, but the table has 17 (header pin 11)"),
    (
        "pins",
        reconfigured("{driver: gpio, pin: 17, readback_pin: 27, readback_closed: high}", "{driver: memory}"),
        OK,
        "",
    ),
    ("pins", reconfigured("readback_closed: high", "readback_closed: low"), WARN, "readback_closed is low"),
    (
        "pins",
        reconfigured("pin: 17,", "pin: 17, second_pin: 26,"),
        WARN,
        "second_pin is 26, but the table has 21 (header pin 40)",
    ),
    (
        "pins",
        reconfigured("inputs:", "panel: {driver: lights, red_pin: 5}\ninputs:"),
        WARN,
        "panel.red_pin is 5, but the table has 13",
    ),
    ("i2c", with_a_display, FAIL, "20-fabgate-i2c.conf"),
    ("i2c", with_a_display_and_its_drop_in, OK, "/dev/i2c-1"),
    ("i2c", reconfigured("inputs:", "panel: {driver: oled}\ninputs:"), FAIL, "i2c_arm=on"),
    ("boot-pins", written(CONFIG_TXT, "gpio=16-18=op,dh\n"), FAIL, "output.pin"),
    ("boot-pins", written(CONFIG_TXT, "dtoverlay=w1-gpio,gpiopin=22\n"), FAIL, "inputs.stop_pin"),
    ("boot-pins", written(CONFIG_TXT, "dtoverlay=spi1-2cs\n"), FAIL, "uses GPIO 17, which is output.pin"),
    ("boot-pins", written(CONFIG_TXT, "dtoverlay=w1-gpio\ngpio=17=op,dl\n"), OK, ""),
    ("spi", removed("/dev/spidev0.0"), FAIL, "do_spi 0"),
    ("spi", written("/etc/group", "gpio:x:986:\nspi:x:989:fabgate\n"), WARN, "usermod -aG gpio fabgate"),
    ("reader", reported(problems=["reader: the MFRC522 is unplugged"]), FAIL, "unplugged"),
    ("reader", EmulatedPi.stop, NOT_CHECKED, "another computer"),
    ("reader", with_a_serial_reader, OK, "does not notice an unplugged one"),
    ("reader", with_a_serial_reader, OK, "Power the reader from the gate's supply"),
    ("reader", with_a_serial_reader_that_repeats(450), OK, "the reader repeats a badge after up to 450 ms"),
    ("reader", with_a_serial_reader_that_repeats(900), WARN, "gone_after_ms is 1000"),
    ("reader", with_a_serial_reader_that_repeats(920), WARN, "set gone_after_ms to 1900 or more"),
    ("reader-device", with_a_serial_reader, FAIL, "20-fabgate-serial.conf"),
    ("reader-device", with_a_serial_reader_and_its_drop_in, OK, "/dev/serial0 is there"),
    (
        "reader-device",
        with_a_serial_reader_by_its_number,
        WARN,
        "after a restart /dev/ttyUSB0 may be another USB device",
    ),
    ("reader-device", with_a_console_on_the_line_of_the_reader, FAIL, "do_serial_cons 1"),
    ("reader-device", reconfigured("{driver: mfrc522}", "{driver: serial, format: rdm6300}"), FAIL, "do_serial_hw 0"),
    ("reader-device", with_two_readers, FAIL, "reader 1 (mfrc522): the reader mfrc522 is not on a serial line"),
    ("reader-device", with_two_readers, FAIL, "| reader 2 (serial): there is no /dev/serial0"),
    (
        "reader",
        with_two_readers,
        FAIL,
        "| reader 2 (serial): the running gate reports reader: it hangs",
    ),
    ("reader", with_two_readers, FAIL, "reader 1 (mfrc522): the running gate uses this reader"),
    ("pins", with_two_readers, OK, "reader.reset_pin 25"),
    ("reader-device", with_a_keyboard_reader, FAIL, "20-fabgate-keyboard.conf"),
    ("reader-device", with_a_keyboard_reader_and_its_drop_in, OK, "usb-reader-event-kbd is there"),
    ("watchdog", written("/sys/class/watchdog/watchdog0/state", "inactive\n"), FAIL, "10-fabgate-watchdog.conf"),
    ("watchdog", removed("/sys/class/watchdog/watchdog0/state"), NOT_CHECKED, "no hardware watchdog"),
    ("power-supply", written(THROTTLED, "50005\n"), FAIL, "too low now"),
    ("power-supply", written(THROTTLED, "50000\n"), WARN, "at some time"),
    ("power-supply", written(THROTTLED, "80008\n"), WARN, "heat"),
    ("power-supply", removed(THROTTLED), NOT_CHECKED, "firmware"),
    ("clock", reported(clock_synced=False), FAIL, "timedatectl"),
    ("clock", reconfigured("site:", "clock: {source: assume-synced}\nsite:"), NOT_CHECKED, "assume-synced"),
    ("disk-kind", written("/proc/mounts", "tmpfs / tmpfs rw 0 0\n"), FAIL, "in memory"),
    ("disk-kind", with_overlay_in_memory, FAIL, "Overlay File System"),
    (
        "disk-kind",
        written("/proc/mounts", "overlay / overlay rw,lowerdir=/lower,upperdir=/upper/data 0 0\n"),
        FAIL,
        "usually",
    ),
    ("disk-kind", written("/proc/mounts", "/dev/mmcblk0p2 / ext4 ro 0 0\n"), FAIL, "read-only"),
    ("disk-kind", written("/proc/mounts", "rootfs / rootfs rw 0 0\ntmpfs / tmpfs rw 0 0\n"), FAIL, "in memory"),
    ("disk-kind", removed("/proc/mounts"), NOT_CHECKED, "/proc/mounts"),
    ("card-wear", written("/sys/fs/ext4/mmcblk0p2/errors_count", "3\n"), FAIL, "errors recorded by the file system: 3"),
    ("card-wear", written("/sys/fs/ext4/mmcblk0p2/lifetime_write_kbytes", "9600000000\n"), WARN, "replace the card"),
    ("card-wear", removed("/sys/fs/ext4/mmcblk0p2/lifetime_write_kbytes"), NOT_CHECKED, "does not report its wear"),
    ("card-wear", written("/sys/block/mmcblk0/device/life_time", "0x01 0x0b\n"), FAIL, "used up"),
    ("card-wear", written("/sys/block/mmcblk0/device/life_time", "0x09 0x01\n"), WARN, "90 %"),
    ("card-wear", with_an_emmc_that_does_not_tell, NOT_CHECKED, "does not report its wear"),
    ("card-wear", written("/proc/mounts", "/dev/sda1 / ext4 rw 0 0\n"), NOT_CHECKED, "not on an SD card"),
    ("network", written("/sys/class/net/wlan0/operstate", "down\n"), FAIL, "wlan0 (down)"),
    ("broker", reported(mqtt={"connected": False, "problem": "Not authorized"}), FAIL, "Not authorized"),
    ("broker", lambda pi: pi.broker.close(), FAIL, "refuses the connection"),
    ("broker", reconfigured("127.0.0.1", "broker.invalid"), FAIL, "the name broker.invalid is unknown"),
    ("roster", lambda pi: (pi.state / "roster.db").unlink(), FAIL, "no badge is known"),
    ("roster", lambda pi: (pi.state / "roster.db").write_bytes(b"junk" * 2_000), FAIL, "the stored roster is damaged"),
    ("account-files", lambda pi: None, OK, "can use its files"),
    ("account-files", of_another_account(None), NOT_CHECKED, "not known"),
    ("account-files", of_another_account("members.yaml"), FAIL, "members.yaml"),
    ("account-files", of_another_account("state"), FAIL, "/state,"),
    ("account-files", with_a_journal_of_root, FAIL, "state/journal.db"),
    ("account-files", with_a_key_in_a_closed_folder, FAIL, "keys/badge.keys"),
    ("broker", with_a_broker_that_speaks_tls, FAIL, "speaks TLS, but this side is set up without TLS"),
    ("roster", with_a_key(b"A" * 32, b"B" * 32), FAIL, "has the same id as the roster's key, but is a different one"),
    ("roster", with_a_key(b"A" * 32, b"B" * 32, None), FAIL, "is a different one"),
    ("roster", with_a_key(b"A" * 32, b"A" * 32, "k2"), FAIL, "need the key k2, which"),
    ("roster", with_a_key(b"A" * 32, b"A" * 32), OK, "1 member"),
    ("roster", with_a_new_key_of_its_own, FAIL, "stored under another key than"),
    ("secret-files", lambda pi: (pi.folder / "members.yaml").chmod(0o644), FAIL, "chmod o-rwx"),
    ("secret-files", with_an_open_key_in_a_closed_folder, OK, "by their owners only"),
    ("default-user", with_default_password, FAIL, "passwd pi"),
    ("default-user", with_no_password, FAIL, "needs no password"),
    ("default-user", written("/etc/passwd", "pi:x:1000:1000::/home/pi:/bin/bash\n"), WARN, "sudo fabgate doctor"),
    ("default-user", written("/etc/passwd", "pi:x:1000:1000::/home/pi:/usr/sbin/nologin\n"), OK, "no account pi"),
    ("open-ports", written("/proc/net/tcp", TCP_HEAD + EmulatedPi.listens("00000000", 5900)), WARN, "port 5900"),
    ("disk-speed", with_a_disk_of(60), WARN, "takes 60.0 ms to be on the disk"),
    ("disk-speed", with_a_disk_of(1_500), FAIL, "takes 1500.0 ms to be on the disk"),
    ("open-ports", beside_a_collector(443, 8883), OK, "443 (https), 8883 (broker)"),
    ("open-ports", beside_a_collector(443, 5432), WARN, "port 5432 too"),
    ("open-ports", removed("/proc/net/tcp"), NOT_CHECKED, "/proc/net/tcp"),
]


@pytest.mark.parametrize(
    ("name", "fault", "outcome", "told"), FAULTS, ids=[f"{name}-{number}" for number, (name, *_) in enumerate(FAULTS)]
)
def test_a_fault_is_found_and_its_next_step_is_told(pi, name, fault, outcome, told):
    fault(pi)
    finding = pi.finding(name)
    assert finding.outcome is outcome, finding
    assert told in f"{finding.text} {finding.next_step}"
    if name == "configuration":  # mistakes in gate.yaml are told in English, as fabgate check tells them
        return
    french = phrases("fr")(finding.text)
    quoted = re.sub(r"signale .*|Inappropriate.*", "", french)  # what a driver says, and a library
    assert not re.search(r"\b(?:the|is|are|not|does|of|has|this|cannot)\b", quoted), french
    assert bool(finding.next_step) is (outcome in (WARN, FAIL)) or outcome is NOT_CHECKED


def test_pixels_want_the_spi_device_of_their_own_bus():
    devices = {"/dev/spidev0.0": True, "/dev/spidev1.0": False}
    found = pi.spi(devices, groups={}, account="fabgate", is_pi=True)
    assert (found.outcome, found.text) == (FAIL, "there is no /dev/spidev1.0: SPI is off")
    assert "dtoverlay=spi1-1cs" in found.next_step
    found = pi.spi(dict.fromkeys(devices, True), groups={}, account="fabgate", is_pi=True)
    assert (found.outcome, found.text) == (OK, "/dev/spidev0.0 and /dev/spidev1.0 are there")
