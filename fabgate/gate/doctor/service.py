"""Judges the gate as a service: its process, reader, roster, and its account at the broker. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fabgate.doctor.finding import Finding, Outcome, fail, not_checked, ok, warn
from fabgate.gate.terminal.lists import span
from fabgate.mqtt.rights import SMALLER_PACKETS, Rights

_RUNS: Final = "run systemctl enable --now fabgate-gate; journalctl -u fabgate-gate -n 30 says why the gate stopped"


def process(status: Mapping[str, Any] | None, *, runs: bool) -> Finding:
    """Judge whether the gate runs, and what it reports itself; `status` is status.json, None where there is none."""
    name = "gate"
    if not runs:
        return warn(name, "the gate does not run, so the machine cannot be used", _RUNS)
    if status is None:
        return warn(name, "the gate runs, but has no status yet", "wait a moment, and run doctor again")
    if problems := status["problems"]:
        return warn(
            name,
            f"the gate runs and reports: {'; '.join(map(str, problems))}",
            "docs/install-by-hand.md, “When it does not work”",
        )
    return ok(name, f"the gate runs, and reports no problem ({status['state']})")


#: How a finding ends about a reader that only sends.
UNSUPERVISED: Final = (
    "the gate cannot ask this kind of reader anything, so it does not notice an unplugged one: tap a badge to test the"
    " reader. Power the reader from the gate's supply: with a supply of its own, a badge that lies on the reader counts"
    " as tapped when that supply returns"
)


def running_reader(status: Mapping[str, Any] | None, *, supervised: bool, todo: str, name: str = "") -> Finding:
    """Judge the reader by what the running gate reports; it is the only one that may use it.

    `supervised` is False for a reader whose absence cannot be noticed; `todo` is the next step for a broken one. `name` is
    that of one of several readers.
    """
    problems = [] if status is None else [str(one) for one in status["problems"]]
    own = next((one for one in (status or {}).get("readers", []) if one["name"] == name), None)
    if own is not None:
        problems = [f"reader: {own['problem']}"] if own["problem"] else []
    if broken := next((one for one in problems if one.startswith("reader")), None):
        return fail("reader", f"the running gate reports {broken}", todo)
    if status is None:
        return not_checked("reader", "the gate runs and uses the reader, but has no status yet")
    if not supervised:
        return ok("reader", f"the running gate listens to the reader; {UNSUPERVISED}")
    return ok("reader", "the running gate uses this reader; stop the gate to see the version of its chip")


def repetitions(found: Finding, longest_pause_ms: int, gone_after_ms: int) -> Finding:
    """Compare the longest pause between two repetitions of a badge that was seen with the time after which it has gone.

    `found` is what is known of the reader otherwise. One repetition may be lost, so twice the pause has to fit.
    """
    if found.outcome is not Outcome.OK or not longest_pause_ms:
        return found
    wanted_ms = 2 * longest_pause_ms
    text = f"{found.text}; the reader repeats a badge after up to {longest_pause_ms} ms"
    if wanted_ms <= gone_after_ms:
        return ok(found.id, text)
    return warn(
        found.id,
        f"{text}, and gone_after_ms is {gone_after_ms}: if one repetition is lost, a badge left on the reader"
        " starts the machine",
        f"set gone_after_ms to {-(-wanted_ms // 100) * 100} or more (docs/readers/README.md)",
    )


def roster(*, members: int | None, age_s: int | None, fresh_for_s: int, from_collector: bool) -> Finding:
    """Judge the stored roster; `members` is None where there is none, `age_s` where its age is unknown."""
    name = "roster"
    if members is None:
        return fail(
            name, "no roster is stored: no badge is known", "fabgate status says why; fabgate roster fetch asks for one"
        )
    text = f"{members} member{'' if members == 1 else 's'}"
    if not from_collector:
        return ok(name, f"{text}, from a file")
    if age_s is None:
        return warn(
            name,
            f"{text}; it is not known when the collector last confirmed the roster",
            "the roster counts as stale: check clock and collector",
        )
    text += f", confirmed {span(age_s)} ago"
    if age_s > fresh_for_s:
        todo = "check what doctor says about network and collector"
        return fail(name, f"{text}: stale after {span(fresh_for_s)}", todo)
    if age_s > fresh_for_s // 2:
        return warn(
            name,
            f"{text}; the roster is stale after {span(fresh_for_s)}",
            "check what doctor says about network and collector",
        )
    return ok(name, text)


def running_broker(status: Mapping[str, Any] | None) -> Finding:
    """Judge the connection by what the running gate reports: a second one with its account would end it."""
    if status is None:
        return not_checked("broker", "the gate runs, but has no status yet")
    if not status["mqtt"]["connected"]:
        return fail(
            "broker",
            f"the running gate is not connected: {status['mqtt']['problem']}",
            "check password, name and port (docs/install-by-hand.md); on the broker, see journalctl -u mosquitto",
        )
    if waits := next((str(one) for one in status["problems"] if str(one).startswith("delivery: ")), None):
        return fail(
            "broker",
            f"the running gate reports {waits}",
            "on the collector, run fabgate-collector doctor; on the broker, see journalctl -u mosquitto",
        )
    return ok("broker", "the running gate is connected")


def broker_rights(rights: Rights, publish: Mapping[str, bool], subscribe: Mapping[str, bool]) -> Finding:
    """Compare what the broker allows with whether the account may `publish` a topic, and `subscribe` to a filter."""
    name = "broker-rights"
    missing = [topic for topic, may in publish.items() if may and rights.published[topic]]
    missing += [topic for topic, may in subscribe.items() if may and rights.subscribed[topic]]
    if missing:
        return fail(
            name,
            f"the broker refuses what the gate needs: {', '.join(missing)}",
            "compare the account <site>/<gate> with /etc/mosquitto/fabgate.acl (config/mosquitto.acl), and restart mosquitto",
        )
    if published := [topic for topic, may in publish.items() if not may and not rights.published[topic]]:
        return fail(
            name,
            f"the broker lets this gate publish in the name of other accounts: {', '.join(published)}",
            "on the broker's computer, install config/mosquitto.acl (with the package fabgate-collector: of"
            " /usr/share/doc/fabgate-collector/examples) as /etc/mosquitto/fabgate.acl, and restart mosquitto",
        )
    if subscribed := [topic for topic, may in subscribe.items() if not may and not rights.subscribed[topic]]:
        return warn(
            name,
            f"the broker lets this gate subscribe to {', '.join(subscribed)}; the broker's access list decides"
            " which messages arrive",
            "on the broker's computer, install systemd/limit-subscriptions (with the package fabgate-collector: of"
            " /usr/lib/fabgate-collector/share/fabgate; docs/install-by-hand.md), and restart mosquitto",
        )
    if rights.packet_trouble:
        return warn(name, rights.packet_trouble, SMALLER_PACKETS)
    return ok(
        name,
        "the account may do what the gate needs, and nothing in the name of other accounts (topics of entries are not"
        " tried)",
    )
