"""What setup does to a computer, what it leaves alone, and that a kill at any moment is healed by running it again."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from pathlib import Path

import pytest

from fabgate.collector.setup import paths, run, settings_file
from fabgate.collector.setup.authority import authority
from fabgate.collector.setup.site import Suggestions, Wishes
from fabgate.errors import FabgateError, UsageError
from tests.collector.setup.computers import FakeComputer, Killed

SUGGESTED = Suggestions("Europe/Paris", "fr", ("atelier.local", "atelier"), (ipaddress.ip_address("192.168.1.20"),))


@pytest.fixture
def computer(tmp_path: Path) -> FakeComputer:
    """Return a Debian with the package."""
    return FakeComputer(tmp_path / "root")


def set_up(computer: FakeComputer, *, suggested: Suggestions = SUGGESTED, **wishes: object) -> list[str]:
    """Run setup without questions; return what it said."""
    said: list[str] = []
    folder, is_new = wishes.pop("taken", None), bool(wishes.pop("is_new", False))
    wanted = Wishes(**{"site": "lyon", **wishes})  # type: ignore[arg-type]
    run.setup(computer, wanted, suggested, ask=None, say=said.append, taken=folder, is_new=is_new)  # type: ignore[arg-type]
    return said


def settings(computer: FakeComputer) -> dict[str, str]:
    """Return the settings of the collector."""
    return settings_file.read(computer.text(paths.SETTINGS))


def test_a_new_computer_becomes_a_collector(computer: FakeComputer) -> None:
    said = set_up(computer)
    assert settings(computer)["FABGATE_ALLOWED_HOSTS"] == "atelier.local,atelier,192.168.1.20"
    assert settings(computer)["FABGATE_TZ"] == "Europe/Paris"
    assert {paths.BROKER_UNIT, paths.FIREWALL_UNIT, paths.TARGET, *paths.SOCKETS.values(), *paths.TIMERS} <= set(
        computer.active
    )
    assert computer.enabled >= {paths.BROKER_UNIT, paths.FIREWALL_UNIT, paths.TARGET, *paths.TIMERS}
    assert "mosquitto.service" not in computer.enabled
    assert computer.path(paths.SETTINGS).stat().st_mode & 0o777 == 0o640
    assert "allow 192.168.0.0/16" in computer.text("/etc/chrony/conf.d/fabgate.conf")
    assert any("http://atelier.local" in line for line in said)
    assert any("first-link" in line for line in said)


def test_the_fingerprint_that_a_person_compares_is_that_of_the_published_certificate(computer: FakeComputer) -> None:
    said = set_up(computer)
    made = authority.load(
        computer.path(paths.CA).read_bytes(),
        computer.path(f"{paths.ETC}/authority/ca.key").read_bytes(),
        whose="it",
        now=computer.now(),
    )
    groups = authority.fingerprint(made.certificate)
    assert groups in " ".join(line.strip() for line in said)


def test_a_second_time_changes_nothing(computer: FakeComputer) -> None:
    set_up(computer)
    before = {path: path.read_bytes() for path in computer.system.root.rglob("*") if path.is_file()}
    changes = computer.changes
    said = set_up(computer)
    assert computer.changes == changes
    assert {path: path.read_bytes() for path in computer.system.root.rglob("*") if path.is_file()} == before
    assert "Everything is set up already." in said


def test_whatever_a_kill_interrupts_the_same_command_completes(tmp_path: Path) -> None:
    whole = FakeComputer(tmp_path / "whole")
    set_up(whole)
    assert whole.changes > 20
    for at in range(whole.changes):
        killed = FakeComputer(tmp_path / str(at))
        killed.kill_at = at
        with pytest.raises(Killed):
            set_up(killed)
        set_up(killed)
        assert killed.summary() == whole.summary(), at
        assert not any(name.name.endswith("new") for name in killed.system.root.rglob("*")), at
        assert "Everything is set up already." in set_up(killed), at


def test_a_kill_between_new_settings_and_the_restart_is_noticed(computer: FakeComputer) -> None:
    set_up(computer)
    computer.kill_at = computer.changes + 1  # the settings are written, and nothing was restarted
    with pytest.raises(Killed):
        set_up(computer, lang="en")
    started = computer.active[paths.WEB]
    set_up(computer)
    assert settings(computer)["FABGATE_LANG"] == "en"
    assert ("systemctl", "restart", paths.TARGET) in computer.commands
    assert computer.active[paths.WEB] != started


def test_other_lines_of_the_settings_stay(computer: FakeComputer) -> None:
    computer.put(
        paths.SETTINGS,
        "# ours\nFABGATE_SITE=lyon\nFABGATE_SMTP_URL=smtp://mail.example/\nFABGATE_MAIL_FROM=a@example.org\nFABGATE_LANG=en\n",
    )
    set_up(computer)
    text = computer.text(paths.SETTINGS)
    assert text.startswith(
        "# ours\nFABGATE_SITE=lyon\nFABGATE_SMTP_URL=smtp://mail.example/\nFABGATE_MAIL_FROM=a@example.org\nFABGATE_LANG=en\n"
    )
    assert settings(computer)["FABGATE_WEB_CERT"] == paths.PAGES


def test_names_that_were_chosen_once_stay(computer: FakeComputer) -> None:
    set_up(computer, hosts=("collector.lan",))
    set_up(computer)
    assert settings(computer)["FABGATE_ALLOWED_HOSTS"] == "collector.lan,192.168.1.20"


def test_a_new_address_renews_both_certificates_and_restarts_the_broker(computer: FakeComputer) -> None:
    set_up(computer)
    said: list[str] = []
    assert run.renew(computer, [ipaddress.ip_address("192.168.1.21")], say=said.append) == 0
    assert [line for line in said if "192.168.1.21" in line] == [
        "- renew the certificate of the broker, because it lacks 192.168.1.21",
        "- renew the certificate of the pages, because it lacks 192.168.1.21",
    ]
    assert ("systemctl", "restart", paths.BROKER_UNIT) in computer.commands
    said.clear()
    run.renew(computer, [ipaddress.ip_address("192.168.1.21")], say=said.append)
    assert said == ["No certificate has to be renewed."]


def test_a_renewal_starts_no_broker_that_a_person_stopped(computer: FakeComputer) -> None:
    set_up(computer)
    computer.run("systemctl", "disable", "--now", paths.BROKER_UNIT)
    assert run.renew(computer, [ipaddress.ip_address("192.168.1.21")], say=lambda _: None) == 0
    assert paths.BROKER_UNIT not in computer.active


@pytest.mark.parametrize("at", range(3))
def test_a_renewal_that_was_killed_restarts_the_broker_the_next_time(computer: FakeComputer, at: int) -> None:
    set_up(computer)
    address = [ipaddress.ip_address("10.0.0.7")]
    computer.kill_at = computer.changes + at
    try:
        run.renew(computer, address, say=lambda _: None)
    except Killed:
        run.renew(computer, address, say=lambda _: None)
    restarts = [command for command in computer.commands if command[1:] == ("restart", paths.BROKER_UNIT)]
    assert restarts


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (
            lambda one: one.put("/etc/systemd/system/fabgate-collector@.service", "ExecStart=/opt/fabgate/bin/x"),
            "use-package",
        ),
        (lambda one: one.path("/usr/sbin/mosquitto").unlink(), "apt install mosquitto"),
        (lambda one: one.listeners.update({443: "nginx"}), "found nginx on port 443"),
        (lambda one: one.listeners.update({8883: "mosquitto"}), "found mosquitto on port 8883"),
        (lambda one: one.put(paths.SETTINGS, "FABGATE_MQTT_HOST=broker.lan\n"), "found FABGATE_MQTT_HOST=broker.lan"),
        (lambda one: one.put(paths.SETTINGS, "FABGATE_SITE=paris\n"), "found the site paris"),
        (lambda one: one.put(paths.SETTINGS, "FABGATE_PROXIES=127.0.0.1\n"), "FABGATE_PROXIES"),
        (lambda one: one.put(paths.SETTINGS, "FABGATE_HTTPS=0\n"), "FABGATE_HTTPS"),
        (lambda one: one.put(paths.SETTINGS, "FABGATE_MQTT_USERNAME=lyon/books\n"), "FABGATE_MQTT_USERNAME"),
        (lambda one: one.put(paths.CA, "a certificate"), "--new-authority"),
    ],
)
def test_what_would_stop_it_half_way_is_named_before_the_first_change(
    computer: FakeComputer, change: object, wanted: str
) -> None:
    change(computer)  # type: ignore[operator]
    with pytest.raises(UsageError, match=wanted):
        set_up(computer)
    assert computer.changes == 0


def test_ports_that_are_its_own_are_no_mistake(computer: FakeComputer) -> None:
    set_up(computer)
    computer.listeners = {443: "systemd", 80: "systemd", 8883: "mosquitto", 8885: "mosquitto"}
    assert "Everything is set up already." in set_up(computer)


@pytest.mark.parametrize("why", ["installed by a person", "drop-in", "a file of a person"])
def test_a_mosquitto_that_somebody_uses_goes_on(computer: FakeComputer, why: str) -> None:
    if why == "installed by a person":
        computer.auto_installed.clear()
    elif why == "drop-in":
        computer.drop_ins = "/etc/systemd/system/mosquitto.service.d/mine.conf"
    else:
        computer.put("/etc/mosquitto/conf.d/mine.conf", "listener 1883")
    set_up(computer)
    assert "mosquitto.service" in computer.enabled
    assert "mosquitto.service" in computer.active


def test_a_first_copy_is_made_at_once(computer: FakeComputer) -> None:
    set_up(computer)
    assert len(list(computer.path(paths.COPIES).iterdir())) == 1


def test_books_on_postgresql_have_copies_of_their_own(computer: FakeComputer) -> None:
    computer.put(paths.SETTINGS, "FABGATE_DATABASE_URL=postgresql://fabgate:secret@127.0.0.1/fabgate\n")
    set_up(computer)
    assert list(computer.path(paths.COPIES).iterdir()) == []
    assert "fabgate-collector-backup.timer" not in computer.enabled


def test_a_missing_program_that_one_can_do_without_is_a_note(computer: FakeComputer) -> None:
    for name in ("/usr/sbin/chronyd", "/usr/sbin/nft", "/usr/sbin/avahi-daemon"):
        computer.path(name).unlink()
    said = set_up(computer)
    assert len([line for line in said if line.startswith("note: ") and "apt install" in line]) == 3
    assert paths.FIREWALL_UNIT not in computer.enabled


def test_another_time_server_stays_and_is_named(computer: FakeComputer) -> None:
    computer.path("/usr/sbin/chronyd").rename(computer.path("/usr/sbin/ntpd"))
    said = set_up(computer)
    assert [line for line in said if "/usr/sbin/ntpd stays" in line]
    assert not [line for line in said if "apt install chrony" in line]


def test_a_name_for_many_hosts_gets_no_certificate_and_stops_no_renewal(computer: FakeComputer) -> None:
    set_up(computer)
    text = computer.text(paths.SETTINGS).replace("HOSTS=atelier.local", "HOSTS=*,.example.org,atelier.local")
    computer.put(paths.SETTINGS, f"{text}\n")
    assert run.renew(computer, SUGGESTED.addresses, say=lambda _: None) == 0


def test_the_doctor_is_awaited_only_after_a_change(computer: FakeComputer) -> None:
    computer.doctor_code = 1
    set_up(computer)
    asked = computer.commands.count((paths.PROGRAM, "doctor", "--json"))
    set_up(computer)
    assert computer.commands.count((paths.PROGRAM, "doctor", "--json")) == asked > 1


def test_a_unit_that_does_not_start_is_named_and_the_next_run_goes_on(computer: FakeComputer) -> None:
    computer.broken.add(paths.BROKER_UNIT)
    with pytest.raises(FabgateError, match=f"the reason of {paths.BROKER_UNIT}"):
        set_up(computer)
    assert paths.TARGET not in computer.enabled
    computer.broken.clear()
    set_up(computer)
    assert paths.TARGET in computer.active


def test_an_authority_made_by_hand_is_taken_from_a_stick(computer: FakeComputer, tmp_path: Path) -> None:
    other = FakeComputer(tmp_path / "other")
    set_up(other)
    stick = other.path(f"{paths.ETC}/authority")
    computer.put(paths.CA, (stick / "ca.crt").read_text())
    set_up(computer, taken=stick)
    assert computer.text(f"{paths.ETC}/authority/ca.key") == (stick / "ca.key").read_text().strip()


def test_an_authority_that_has_ended_is_named_with_the_way_to_a_new_one(computer: FakeComputer) -> None:
    set_up(computer)
    folder = computer.path(f"{paths.ETC}/authority")
    before = computer.text(paths.CA)
    computer.ahead = timedelta(days=authority.AUTHORITY_DAYS + 1)
    with pytest.raises(UsageError, match=f"mv {folder} {folder}-ended, then sudo .* setup --new-authority"):
        set_up(computer)
    folder.rename(f"{folder}-ended")
    set_up(computer, is_new=True)
    assert computer.text(paths.CA) != before
    assert "Everything is set up already." in "\n".join(set_up(computer))


def test_another_authority_and_a_name_outside_it_are_refused_before_the_first_change(
    computer: FakeComputer, tmp_path: Path
) -> None:
    other = FakeComputer(tmp_path / "other")
    set_up(other)
    set_up(computer)
    changes = computer.changes
    with pytest.raises(UsageError, match="another one in"):
        set_up(computer, taken=other.path(f"{paths.ETC}/authority"))
    with pytest.raises(UsageError, match=r"found fablab\.example"):
        set_up(computer, hosts=("fablab.example",))
    assert computer.changes == changes


def test_a_stick_without_the_key_is_refused(computer: FakeComputer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"wanted ca\.crt and ca\.key"):
        set_up(computer, taken=tmp_path)
    assert computer.changes == 0


def test_the_site_has_to_be_named(computer: FakeComputer) -> None:
    with pytest.raises(UsageError, match="--site lyon"):
        set_up(computer, site="")


def test_questions_have_suggestions_and_no_is_an_answer(computer: FakeComputer) -> None:
    asked: list[str] = []

    def ask(question: str, suggestion: str) -> str:
        asked.append(question)
        return "no" if question.startswith("Go on") else suggestion or "lyon"

    assert run.setup(computer, Wishes(), SUGGESTED, ask=ask, say=lambda _: None) == 1
    assert len(asked) == 4
    assert computer.changes == 0


def test_an_account_without_rights_is_sent_to_sudo(computer: FakeComputer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computer, "is_root", lambda: False)
    with pytest.raises(UsageError, match="sudo fabgate-collector setup"):
        set_up(computer)


def test_the_doctor_decides_the_exit_code(computer: FakeComputer) -> None:
    computer.doctor_code = 1
    assert run.setup(computer, Wishes(site="lyon"), SUGGESTED, ask=None, say=lambda _: None) == 1
