"""Does the doctor find what keeps a PC/SC reader from a gate?"""

from __future__ import annotations

from fabgate.doctor.finding import Outcome
from fabgate.doctor.system import System
from fabgate.gate.doctor.pcsc import pcsc
from tests.deploy.places import SYSTEMD

RULE, MODULES = "etc/polkit-1/rules.d/20-fabgate-pcsc.rules", "etc/modprobe.d/fabgate-nfc.conf"


def test_each_thing_that_a_pcsc_reader_needs_is_looked_at(tmp_path):
    wanted = {
        "proc/modules": "spidev 20480 0 - Live 0x0\n",
        "run/pcscd/pcscd.comm": "",
        RULE: (SYSTEMD / "20-fabgate-pcsc.rules").read_text(),
        MODULES: (SYSTEMD / "fabgate-nfc.conf").read_text(),
    }

    def judged(name="proc/modules", text=wanted["proc/modules"]):
        for path, content in {**wanted, name: text}.items():
            (tmp_path / path).unlink(missing_ok=True)
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                (tmp_path / path).write_text(content)
        found = pcsc(System(tmp_path))
        return found.outcome, f"{found.text}: {found.next_step}"

    assert judged() == (Outcome.OK, "pcscd is there, and the unit has access to it: ")
    for name, text, outcome, part in (
        ("proc/modules", "pn533_usb 20480 0 - Live 0x0\n", Outcome.FAIL, "modprobe.d/; reboot"),
        ("run/pcscd/pcscd.comm", None, Outcome.FAIL, "apt install pcscd python3-pyscard"),
        (RULE, None, Outcome.FAIL, "systemctl restart polkit"),
        (RULE, wanted[RULE].replace("fabgate", "pi"), Outcome.FAIL, "not the one of this version"),
        (MODULES, None, Outcome.WARN, "the kernel's own NFC driver may take the reader"),
    ):
        found = judged(name, text)
        assert found[0] is outcome, found
        assert part in found[1]
