"""The page "Add a gate": a code, the line to paste, and who has used it from where."""

from __future__ import annotations

import hashlib
import html
import os
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import override_settings

from fabgate.collector.faces.pages.joins import forms, package
from fabgate.collector.ground.models import Gate, JoinCode
from fabgate.collector.members.machines import builds, joins
from tests.collector.faces.pages.counter import text
from tests.collector.join.joining import OFFER, Joining, new_code

pytestmark = pytest.mark.usefixtures("env", "told")
TYPED = {"machine": "saw", "gate": "saw-9", "build": "standard"}


def shown(client, code: JoinCode) -> str:
    answer = client.get(f"/joins/{code.pk}")
    assert answer.status_code == 200
    return html.unescape(text(answer))


def test_a_manager_gets_a_code_and_the_command_with_the_address_of_the_page(browse, env, saw):
    client = browse("manager")
    with override_settings(ALLOWED_HOSTS=["collector.lan"], ENVIRONMENT=replace(env, https=True)):
        answer = client.post("/joins/new", TYPED, headers={"host": "collector.lan"})
    code = JoinCode.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/joins/{code.pk}")
    assert (code.gate, code.machine, code.build, code.address) == ("saw-9", "saw", "standard", "https://collector.lan")
    page = shown(client, code)
    assert joins.text_of(code) in page
    assert "sudo fabgate join collector.lan" in page
    assert "No gate has used this code yet." in page
    assert not Gate.objects.filter(name="saw-9").exists()


def test_a_new_machine_is_described_with_its_gate(browse):
    typed = {"machine": "", "name": "mill", "title": "Mill", "preset": "cnc", "gate": "mill-1", "build": "bench"}
    assert browse("manager").post("/joins/new", typed).status_code == 303
    code = JoinCode.objects.get()
    assert (code.machine, code.title, code.preset) == ("mill", "Mill", "cnc")


def test_a_plug_has_its_own_address(browse, saw):
    client = browse("manager")
    plug = {**TYPED, "build": "plug"}
    answer = client.post("/joins/new", plug)
    assert answer.status_code == 400
    assert text(answer).count("as the plug&#x27;s own page shows it") == 2
    plug |= {"plug_host": "192.168.1.40", "plug_id": "shellyplugsg3-8cbfeaa03350"}
    assert client.post("/joins/new", plug).status_code == 303
    assert '"192.168.1.40", device_id: "shellyplugsg3-8cbfeaa03350"' in builds.sections(
        "plug", JoinCode.objects.get().build_values
    )
    assert "plug.password" in shown(client, JoinCode.objects.get())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"gate": "Saw 9"}, "Use lowercase letters"),
        ({"gate": ""}, "This field is required"),
        ({"machine": ""}, "This field is required"),
        ({"machine": "", "name": "calendar", "preset": "saw"}, "This name is reserved"),
        ({"build": "none"}, "Select a valid choice"),
        ({"build": "emulated"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_gets_no_code(browse, saw, wrong, said):
    answer = browse("manager").post("/joins/new", TYPED | wrong)
    assert answer.status_code == 400
    assert said in text(answer)
    assert not JoinCode.objects.exists()


def test_a_gate_that_exists_is_replaced_only_where_somebody_says_so(browse, gate):
    client = browse("manager")
    typed = {"machine": "laser", "gate": gate.name, "build": "standard"}
    answer = client.post("/joins/new", typed)
    assert answer.status_code == 400
    assert "Tick the box below" in text(answer)
    assert client.post("/joins/new", typed | {"replaces": "on"}).status_code == 303
    assert JoinCode.objects.get().replaces


def test_a_simulated_workshop_has_gates_without_hardware(env):
    assert dict(forms._BUILDS).keys() == builds.BUILDS.keys()
    with override_settings(ENVIRONMENT=replace(env, simulated=True)):
        assert "emulated" in dict(forms.JoinForm().fields["build"].choices)


def test_the_machine_from_whose_page_one_comes_is_chosen(browse, saw, gate):
    client = browse("manager")
    page = text(client.get("/joins/new?machine=saw"))
    assert '<option value="saw" selected>' in page
    assert 'value="saw-1"' in page
    assert 'value="laser-1"' not in text(client.get("/joins/new?machine=laser"))


def test_the_page_shows_who_tried_and_who_joined_from_where(browse, saw):
    client = browse("manager")
    code = new_code("saw-9")
    wrong = Joining(f"{code.name}00000000", address="192.168.1.66")
    wrong.begin()
    wrong.agree()
    page = shown(client, code)
    assert "wrong code" in page
    assert "from 192.168.1.66" in page
    gate = Joining(joins.text_of(code))
    gate.begin()
    gate.agree()
    page = shown(client, code)
    assert "is writing its files" in page
    assert joins.text_of(code) not in page
    gate.finish()
    page = shown(client, code)
    assert "saw-9 has joined." in page
    assert f"serial number {OFFER.serial}" in page
    assert 'href="/gates/saw-9"' in page


def test_a_closed_and_an_old_code_are_shown_no_more(browse, saw):
    client = browse("manager")
    closed = new_code("saw-8")
    for _ in range(5):
        Joining(joins.text_of(closed)).begin()
    old = new_code("saw-9")
    JoinCode.objects.filter(pk=old.pk).update(made_at=old.made_at - timedelta(minutes=16))
    for code, said in ((closed, "closed after five attempts"), (old, "no longer valid")):
        page = shown(client, code)
        assert said in page
        assert joins.text_of(code) not in page
        assert "/joins/new?machine=saw" in page


def test_an_auditor_sees_who_used_a_code_and_not_the_code(browse, saw):
    code = new_code("saw-9")
    client = browse("auditor")
    page = shown(client, code)
    assert "Attempts" in page
    assert joins.text_of(code) not in page
    assert client.get("/joins/new").status_code == 403


# --- the line to paste ------------------------------------------------------------------------------------------------

GATE, READER = "fabgate-gate_0.2.0~dev7+gabc_all.deb", "fabgate-mfrc522_0.2.0~dev7+gabc_all.deb"


@pytest.fixture
def apt(tmp_path) -> Path:
    """A repository with an older package, and both of a version."""
    pool = tmp_path / "apt" / "pool" / "trixie"
    pool.mkdir(parents=True)
    (pool / "fabgate-gate_0.1.0_all.deb").write_bytes(b"old")
    os.utime(pool / "fabgate-gate_0.1.0_all.deb", (1, 1))
    (pool / GATE).write_bytes(b"new")
    (pool / READER).write_bytes(b"reader")
    return tmp_path / "apt"


@pytest.mark.parametrize("removed", [GATE, READER])
def test_without_all_packages_the_line_only_joins(apt, removed):
    (apt / "pool" / "trixie" / removed).unlink()
    (apt / "pool" / "trixie" / "fabgate-gate_0.1.0_all.deb").unlink()
    assert package.line(apt, "http://10.0.0.5:8000") == "sudo fabgate join http://10.0.0.5:8000"
    (apt / "pool" / "trixie" / removed.replace("0.2.0", "$(id)")).touch()
    assert package.line(apt, "https://collector.lan") == "sudo fabgate join collector.lan"


def test_the_line_compares_the_newest_packages_before_it_installs_them(apt):
    line = package.line(apt, "https://collector.lan:8443")
    new, reader = (hashlib.sha256(content).hexdigest() for content in (b"new", b"reader"))
    assert line == (
        "cd /tmp"
        f" && curl -fsS -O http://collector.lan/apt/pool/trixie/{GATE} -O http://collector.lan/apt/pool/trixie/{READER}"
        f" && printf '%s\\n' '{new}  {GATE}' '{reader}  {READER}' | sha256sum -c"
        f" && sudo apt-get update && sudo apt-get install -y ./{GATE} ./{READER} && sudo fabgate join collector.lan:8443"
    )
    (apt / "pool" / "trixie" / GATE).write_bytes(b"newer, and so another one")
    os.utime(apt / "pool" / "trixie" / GATE, (3, 3))
    assert new not in package.line(apt, "https://collector.lan:8443")


@pytest.mark.parametrize("changed", ["", GATE, READER])
def test_a_package_that_was_changed_on_its_way_is_not_installed(apt, tmp_path, changed):
    line = package.line(apt, "https://collector.lan").replace("cd /tmp", f"cd {tmp_path}")
    tools = tmp_path / "bin"
    tools.mkdir()
    copied = f"cp {apt}/pool/trixie/*0.2.0* .\n" + (f"printf x >>{changed}\n" if changed else "")
    (tools / "curl").write_text(f"#!/bin/sh\n{copied}")
    (tools / "sudo").write_text('#!/bin/sh\necho "$@" >>done\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    subprocess.run(["sh", "-c", line], cwd=tmp_path, env={"PATH": f"{tools}:/usr/bin:/bin"}, check=False)
    done = tmp_path / "done"
    wanted = ["apt-get update", f"apt-get install -y ./{GATE} ./{READER}", "fabgate join collector.lan"]
    assert (done.read_text().splitlines() if done.exists() else []) == ([] if changed else wanted)
