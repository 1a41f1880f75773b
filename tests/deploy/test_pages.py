"""Checks that a volunteer can follow the pages of the installation word by word, and that they name only what exists."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from fabgate.cli.arguments import parser
from fabgate.gate.config import gate_yaml
from tests.deploy.places import CONFIG, DOCS, HARDWARE, ROOT, SYSTEMD, blocks
from tests.support.patience import HANGS_S

INSTALL = DOCS / "install-by-hand.md"
#: The pages of the packages, which make test-install follows (tests/install/newcomer.py).
COLLECTOR, GATE = DOCS / "install.md", DOCS / "install-a-gate.md"
PAGES = [COLLECTOR, GATE, INSTALL, *sorted(HARDWARE.glob("*.md"))]
#: What a page of one screen has at most.
SCREEN_LINES = 60


def calls(page) -> list[tuple[str, str]]:
    """Return each call of fabgate on a page: "block" or "prose", and its arguments."""
    text = page.read_text(encoding="utf-8")
    lines = [("block", line) for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += [("prose", quoted) for quoted in re.findall(r"`([^`\n]+)`", prose)]
    found = []
    for where, line in lines:
        if not line.startswith("ln ") and (
            call := re.fullmatch(r"(?:sudo |.*/bin/)?(fabgate|fabgate-collector) (.*?)(?: &&)?", line)
        ):
            found.append((where, ("collector " if call.group(1) == "fabgate-collector" else "") + call.group(2)))
    return found


CALLS = sorted({(page.name, *call) for page in PAGES for call in calls(page)})


def is_valid(arguments: list[str]) -> bool:
    try:
        parser(arguments).parse_args(arguments)
    except SystemExit as end:
        return not end.code
    return True


def test_the_pages_contain_calls():
    assert len(CALLS) > 15


@pytest.mark.parametrize(("page", "where", "call"), CALLS)
def test_every_fabgate_command_on_a_page_exists(page, where, call):
    arguments = shlex.split(call.replace("VERB", "gates"))
    # In prose a verb may appear without its arguments.
    assert is_valid(arguments if where == "block" else [*arguments, "--help"]), f"{page}: fabgate {call}"


def test_two_pages_of_one_screen_have_the_whole_path():
    assert [line for page in (COLLECTOR, GATE) for block in blocks(page, "sh") for line in block.splitlines()] == [
        "sudo apt install ./fabgate-collector_*.deb",
        "sudo fabgate-collector setup",
        "sudo fabgate-collector first-link",
        "sudo fabgate join collector.local",
        "sudo fabgate doctor",
    ]
    assert all(len(page.read_text("utf-8").splitlines()) <= SCREEN_LINES for page in (COLLECTOR, GATE))


def test_the_first_verb_of_the_collector_on_the_page_works_in_an_empty_folder(tmp_path):
    """Most verbs refuse an empty data folder, and a volunteer who follows the page must not see such an error."""
    verbs = [call.split() for where, call in calls(INSTALL) if where == "block" and call.startswith("collector ")]
    verb = verbs[0]
    env = {**os.environ, "FABGATE_SITE": "lyon", "FABGATE_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "fabgate", *verb], env=env, check=False, capture_output=True, text=True, timeout=HANGS_S
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "collector.db").exists()


@pytest.mark.parametrize("restored", [True, False])
def test_a_collector_whose_restore_was_refused_is_not_started(tmp_path, restored):
    (block,) = (block for block in blocks(INSTALL, "sh") if "--replace" in block)
    done = tmp_path / "done"
    code = {"systemctl": 0, "fabgate-collector": 0 if restored else 2}
    for program, exit_code in code.items():
        (tmp_path / program).write_text(f'#!/bin/sh\necho "$(basename "$0") $1" >>{done}\nexit {exit_code}\n')
        (tmp_path / program).chmod(0o755)
    # A shell into which this is pasted continues after a line that failed.
    subprocess.run(["sh"], input=block, text=True, check=False, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert done.read_text().splitlines() == [
        *("systemctl stop", "fabgate-collector restore"),
        *(["systemctl start"] if restored else []),
    ]


def test_what_the_page_says_one_may_see_is_a_text_of_the_program():
    files = [*SYSTEMD.iterdir(), *(path for path in (ROOT / "fabgate").rglob("*") if path.suffix in {".py", ".html"})]
    program = re.sub(r'"\s+f?"', "", "\n".join(path.read_text("utf-8") for path in files))
    table = INSTALL.read_text("utf-8").partition("## When it does not work")[2]
    seen = [
        quoted for cell in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for quoted in re.findall('"(.+?)"', cell)
    ]
    assert len(seen) > 10
    for quoted in seen:  # "…" and the owner of a certificate are filled in
        for part in re.split("…|(?:broker|collector)'s", quoted):
            assert part.strip() in program, quoted


def test_the_repository_has_every_file_that_the_page_installs():
    text = INSTALL.read_text()
    named = re.findall(r"/opt/fabgate-src/((?:systemd|config)/\S+)", text)
    assert named
    for name in named:
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"fabgate-collector[a-z@-]*\.(?:target|service)", text):
        assert (SYSTEMD / name).is_file(), name


def test_the_page_installs_everything_in_systemd():
    text = INSTALL.read_text()
    for path in SYSTEMD.iterdir():
        assert path.name in text, path.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_a_target(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_gate_on_the_page_is_a_valid_configuration(tmp_path, papers):
    alone, members, joined = blocks(INSTALL, "yaml")
    (tmp_path / "members.yaml").write_text(members)
    (tmp_path / "gate.yaml").write_text(alone.replace("/etc/fabgate", str(tmp_path)))
    assert gate_yaml.load(tmp_path / "gate.yaml").topics.account == "lyon/laser-1"

    from fabgate.gate.roster import file

    found = gate_yaml.load(tmp_path / "gate.yaml")
    roster = file.read(found.roster.file, key=bytes(32), topics=found.topics, fallback=found.machine.rules())
    assert [member.name for member in roster.members] == ["Ada"]

    for name in ("token", "mqtt.password"):
        (tmp_path / name).touch()
    shutil.copy(papers / "ca.pem", tmp_path / "ca.crt")
    for name in ("seal.keys", "badge.keys"):
        (tmp_path / name).write_text("s1:" + "A" * 43 + "=\n")
    with_collector = re.sub(r"^roster:.*\n", joined, alone, flags=re.MULTILINE)
    (tmp_path / "gate.yaml").write_text(with_collector)
    assert gate_yaml.load(tmp_path / "gate.yaml").mqtt.port == 8883


def test_the_accounts_on_the_page_match_the_access_list():
    accounts = set(re.findall(r"mosquitto_passwd (?:-c )?\S+ (\S+)", INSTALL.read_text()))
    assert accounts == {"lyon/collector", "lyon/laser-1"}
    assert "user lyon/collector" in (CONFIG / "mosquitto.acl").read_text().splitlines()


def test_the_collectors_settings_on_the_page_are_valid(tmp_path):
    from fabgate.collector.ground.base import environ

    (block,) = blocks(INSTALL, "ini")
    found = dict(line.split("=", 1) for line in block.splitlines())
    for name in ("FABGATE_MQTT_CA", "FABGATE_MQTT_PASSWORD_FILE"):
        found[name] = str(tmp_path / "file")
    (tmp_path / "file").touch()
    settings = environ.read(found, need_site=True)
    listeners = re.findall(r"^listener (\d+)", (CONFIG / "mosquitto.conf").read_text(), re.MULTILINE)
    assert [str(settings.mqtt_gate_port), str(settings.mqtt_port)] == listeners


# --- gate and collector on one computer -------------------------------------------------------------------------------


def commands(page=INSTALL) -> list[str]:
    return [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]


def test_gate_and_collector_use_the_same_folder_and_share_no_secret():
    made = [line for line in commands() if line.startswith("install -d") and line.endswith(" /etc/fabgate")]
    assert made == ["install -d -m 755 /etc/fabgate"] * 2
    collectors = set(
        re.findall(r"^install -m 640 -g fabgate-collector \S+ /etc/fabgate/(\S+)$", "\n".join(commands()), re.MULTILINE)
    )
    assert "collector.password" in collectors
    joined = blocks(INSTALL, "yaml")[2]
    assert not collectors & set(re.findall(r"[\w.]+", joined))


def test_the_virtual_environment_is_not_made_twice():
    assert "test -x /opt/fabgate/bin/python || python3 -m venv /opt/fabgate" in commands()


def test_programs_that_the_page_calls_are_on_the_path():
    assert "ln -sf /opt/fabgate/bin/fabgate /usr/local/bin/fabgate" in commands()
    installed = " ".join(line for line in commands() if "apt install" in line).split()
    for program in ("curl", "openssl", "nginx"):
        assert program in installed


def test_the_brokers_files_belong_to_its_own_user_and_group():
    """Mosquitto warns about any other owner, and will refuse it in a later version."""
    for line in commands():
        if line.startswith("install") and " -o mosquitto " in line:
            assert " -g mosquitto " in line


def test_typing_the_host_name_alone_leads_to_the_pages():
    (nginx,) = blocks(INSTALL, "nginx")
    assert "listen 80;" in nginx
    assert "return 301 https://$host$request_uri;" in nginx


def test_no_log_of_a_proxy_has_the_link_of_a_big_display():
    (nginx,) = blocks(INSTALL, "nginx")
    display = nginx.partition("location /display/ {")[2].partition("}")[0]
    assert "access_log off;" in display
    assert "error_log /dev/null crit;" in display  # while the collector restarts
    assert "access_log off;" in nginx.partition("listen 80;")[2].partition("}")[0]
    (caddy,) = (block for block in blocks(INSTALL, "text") if "reverse_proxy" in block)
    assert "exclude http.log.error" in caddy


def test_each_block_of_the_caddyfile_opens_at_the_end_of_a_line():
    """Caddy 2.6 refuses ``request_body { max_size 5MB }``: "Unexpected next token after '{' on same line"."""
    (caddy,) = (block for block in blocks(INSTALL, "text") if "reverse_proxy" in block)
    assert all(line.endswith("{") for line in caddy.splitlines() if "{" in line)


def test_the_gates_configuration_names_the_authority_of_the_collectors_certificate():
    assert "ca: ca.crt}" in blocks(INSTALL, "yaml")[2].splitlines()[0]
    for page in (*PAGES, DOCS / "reference.md", SYSTEMD / "fabgate-gate.service"):
        assert "REQUESTS_CA_BUNDLE" not in page.read_text(), page.name


def test_the_page_says_what_a_switch_to_postgresql_means_for_data_and_backups():
    text = INSTALL.read_text().partition("**PostgreSQL**")[2].partition("**Members**")[0]
    assert "the new database is empty" in text
    assert "systemctl disable --now fabgate-collector-backup.timer" in text


@pytest.mark.parametrize("target", ["test", "bench", "bench-collector"])
def test_targets_that_need_a_broker_install_it_first(target):
    rule = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "sh tools/apt mosquitto" in rule[1]
