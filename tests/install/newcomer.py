"""What somebody does who follows docs/install.md and docs/install-a-gate.md: a few commands and a code, and two forms."""

from __future__ import annotations

import html
import re
from typing import Final

from tests.install import computer
from tests.install.browser import Browser, Page
from tests.install.computer import COLLECTOR
from tests.install.roots import Root

SETUP: Final = "fabgate-collector setup --yes --site lyon --tz Europe/Paris --lang en"
_CODE: Final = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{2}")
_PASSWORD: Final = "purple lathe seventeen"


class Newcomer:
    """Two computers on one cable, and the commands that were typed on them."""

    def __init__(self, collector: Root, pi: Root) -> None:
        self.collector, self.pi = collector, pi
        self.commands: list[str] = []
        #: From the code to a gate that has started.
        self.join_s = 0.0
        self.host = f"{collector.says('hostname').lower()}.local"
        # A root has no multicast, by which computers find HOST.local elsewhere.
        address = collector.connect(pi)
        for root, known in ((collector, "127.0.0.1"), (pi, address)):
            root.run(f"echo '{known} {self.host}' >>/etc/hosts")
        self.browser = Browser(collector)

    def make_collector(self) -> None:
        """Install it, set it up, and become its first manager."""
        self._command(self.collector, f"apt-get install -y -q {COLLECTOR}")
        self._command(self.collector, SETUP, check=False)  # the doctor is not content with the clock of a root
        become_manager(self.browser, self._command(self.collector, "fabgate-collector first-link").split()[-1])

    def make_code(self, gate: str) -> tuple[str, str]:
        """Fill in the form for a gate; return the line to paste, and a code.

        The page has no gates without hardware: its code is for one with a reader, and is shown. The code that is returned is a
        new one, by the command, for the same gate with an emulated reader.
        """
        new = {"name": gate, "title": gate.capitalize(), "preset": "laser"}
        page = self.browser.send(self.address("joins/new"), gate=gate, build="bench", **new)
        line = re.search(r"cd /tmp.*?fabgate join [\w.:-]+", html.unescape(page.source), re.DOTALL)
        assert line, page.text
        assert _CODE.search(page.source), page.text
        return line[0], code_of(self.collector, gate)

    def add_gate(self, gate: str) -> None:
        """Make a code, paste the line on the Pi, and type the code."""
        line, code = self.make_code(gate)
        self.commands.append(line)
        self.join_s = self.pi.type(line, "Code: ", code).answered_s
        self._command(self.pi, "fabgate doctor", check=False)

    def address(self, path: str) -> str:
        return f"https://{self.host}/{path}"

    def page(self, path: str) -> Page:
        """Open a page of the collector."""
        return self.browser.open(self.address(path))

    def _command(self, root: Root, command: str, *, check: bool = True) -> str:
        self.commands.append(command)
        return root.run(command, check=check).text

    def is_content(self) -> bool:
        """Do both doctors find nothing that is not so in any root?"""
        found = computer.complaints(self.pi, "fabgate") | computer.complaints(self.collector, COLLECTOR)
        return not found


def become_manager(browser: Browser, link: str) -> None:
    """Fill in the form to which `first-link` leads."""
    browser.send(link, name="grace", display_name="Grace", password=_PASSWORD)


def code_of(collector: Root, gate: str, more: str = "") -> str:
    """Make a code for a gate with an emulated reader."""
    machine = f"--machine {gate} --title {gate.capitalize()} --preset laser"
    code = _CODE.search(collector.run(f"fabgate-collector join-code {gate} {machine} --build emulated {more}").text)
    assert code
    return code[0]


def join_here(root: Root, gate: str) -> None:
    """Let the gate of a computer join the collector of the same one."""
    root.type("fabgate join localhost", "Code: ", code_of(root, gate))
