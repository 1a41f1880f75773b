"""Lets gates join with one code (docs/decisions/0148): makes codes, and answers the three steps of a gate that has one.

Nothing of a gate is valid before its last step, and then all of it at once. Each step may be repeated.
"""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Mapping
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import Gate, JoinAttempt, JoinCode, Machine, Pulse
from fabgate.collector.members.machines import builds, enrol_gate, for_gates, gate_yaml
from fabgate.collector.members.machines.enrol_gate import NewMachine, Secrets
from fabgate.errors import FabgateError, UsageError
from fabgate.join import code as codes
from fabgate.join import exchange, messages
from fabgate.join.exchange import Agreement, Proof, Sender

log = logging.getLogger(__name__)


class JoinRefused(FabgateError):  # noqa: N818 (it names what happened)
    """A step is refused; `status` is that of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def make(
    gate: str,
    machine: str,
    *,
    build: str,
    address: str,
    actor: str,
    now: datetime,
    replaces: bool = False,
    new_machine: NewMachine | None = None,
    build_values: Mapping[str, str] | None = None,
) -> JoinCode:
    """Make a code for a gate; an earlier one for it is no longer valid. Raises UsageError with a line for each mistake.

    `machine` is made when the gate joins, if it does not exist by then. `replaces` allows a gate that exists: its secrets stay
    valid until the new ones are.
    """
    new, values = new_machine or NewMachine(), dict(build_values or {})
    mistakes = [*enrol_gate.name_mistakes(gate, machine), *builds.mistakes(build, values)]
    if mistakes:
        raise UsageError("\n".join(mistakes))
    new.make(machine)  # raises UsageError for an unknown preset
    with transaction.atomic():
        if not replaces and _exists(gate):
            text = _("The gate '%(gate)s' already exists: replace its card, or choose another name.")
            raise UsageError(text % {"gate": gate})
        used = set(JoinCode.objects.values_list("name", flat=True))
        name = next(name for name in iter(codes.new_name, "") if name not in used)
        JoinCode.objects.filter(gate=gate).exclude(attempts__state=JoinAttempt.FINISHED).delete()
        made = JoinCode.objects.create(
            name=name,
            secret=codes.new_secret(),
            gate=gate,
            replaces=replaces,
            machine=machine,
            title=new.title,
            preset=new.preset,
            build=build,
            build_values=values,
            address=address,
            made_by=actor,
            made_at=now,
        )
        audit.record(actor, "gate.join-code", Gate(name=gate), reason=f"machine {machine}, build {build}")
    return made


def text_of(code: JoinCode) -> str:
    """Return a code as people read it."""
    return codes.Code(code.name, code.secret).text


def begin(asked: messages.Begin, address: str, now: datetime) -> messages.Begun:
    """Count an attempt, and answer it. Raises JoinRefused, and UsageError for an invalid message."""
    with transaction.atomic():
        code = JoinCode.objects.select_for_update(no_key=True).filter(name=asked.code).order_by("-pk").first()
        if code is None:
            raise JoinRefused(
                404,
                f"found no code that begins with {asked.code}: a newer one has replaced it, or it was typed wrongly; make one on the"
                " collector's page",
            )
        _check_free(code, now)
        if code.is_closed:
            raise JoinRefused(
                403,
                f"the code that begins with {code.name} is closed after {code.MOST_ATTEMPTS} attempts; make a new one on the"
                " collector's page",
            )
        named = secrets.token_hex(16)
        answer, agreement = exchange.answer(codes.Code(code.name, code.secret), named, asked.message)
        code.attempts.create(exchange=named, at=now, address=address, agreement=agreement.secret.hex())
        pulse.notify({Pulse.CHANGE: {""}}, now)
    log.info("a gate begins to join with the code %s, from %s", code.name, address)
    return messages.Begun(named, answer)


def agree(asked: messages.Agree, now: datetime) -> messages.Agreed:
    """Give a gate that knows the code its identity. Raises JoinRefused, and UsageError for an invalid offer."""
    with transaction.atomic():
        # one step of a code after the other
        list(JoinCode.objects.select_for_update(of=("self",), no_key=True).filter(attempts__exchange=asked.exchange))
        attempt, agreement = _attempt(asked.exchange, now)
        code, is_right = attempt.code, agreement.proves(Proof.GATE_AGREES, asked.proof)
        if attempt.state == JoinAttempt.BEGUN:
            if is_right:
                _check_free(code, now)
                offer = _offer(agreement, asked.sealed)
                attempt.state, attempt.agreed_at = JoinAttempt.AGREED, now
                attempt.offer, attempt.serial = asked.sealed, offer.serial
            else:
                attempt.state = JoinAttempt.WRONG
            attempt.save()
            pulse.notify({Pulse.CHANGE: {""}}, now)
    # What counts a wrong code, or what later steps need, is stored by now.
    if attempt.state == JoinAttempt.WRONG or not is_right:
        log.warning("a wrong code for the gate %s, from %s", code.gate, attempt.address)
        left = code.MOST_ATTEMPTS - code.attempts.count()
        more = f"{left} more attempts are left" if left else "it is closed now; make a new one on the collector's page"
        raise JoinRefused(403, f"the code that begins with {code.name} was typed wrongly; {more}")
    identity = messages.encode(_identity(code, attempt, agreement))
    return messages.Agreed(agreement.proof(Proof.COLLECTOR_AGREES), agreement.seal(Sender.COLLECTOR, identity))


def finish(asked: messages.Finish, now: datetime) -> messages.Finished:
    """Make a gate valid that has all its files. Raises JoinRefused."""
    attempt, agreement = _attempt(asked.exchange, now)
    if attempt.agreed_at is None or not agreement.proves(Proof.GATE_FINISHES, asked.proof):
        raise JoinRefused(403, "found no proof that this gate knows the code")
    code, offer = attempt.code, _offer(agreement, attempt.offer)
    given = Secrets(offer.token, offer.broker_password, _seal_keys(attempt, agreement))

    def allow(gate: Gate) -> None:
        """Raise JoinRefused if the gate has got other secrets meanwhile; otherwise note that it has joined."""
        is_own = Gate.by_token(gate.name, offer.token) is not None
        if attempt.state == JoinAttempt.FINISHED and not is_own:
            raise JoinRefused(409, f"the gate {gate.name} has got other keys since; make a new code to join again")
        if gate.token_hash and not (is_own or code.replaces):
            raise _added_meanwhile(code)
        if not JoinAttempt.objects.filter(pk=attempt.pk).update(state=JoinAttempt.FINISHED):
            raise JoinRefused(404, "this code is no longer valid; make a new one on the collector's page")

    row = Gate.by_token(code.gate, offer.token)
    # A kill may have come between the commit of the first time and its files.
    if row is None or attempt.state == JoinAttempt.AGREED or not enrol_gate.has_files(code.gate, given):
        reason = (
            f"joined with the code {code.name} from {attempt.address}, serial number {attempt.serial or 'not known'}"
        )
        enrol_gate.enrol(
            code.gate,
            code.machine,
            actor=code.made_by,
            new_token=True,
            new_machine=NewMachine(code.title, code.preset),
            given=given,
            allow=allow,
            reason=reason,
        )
        log.info("the gate %s has joined, from %s", code.gate, attempt.address)
    return messages.Finished(agreement.proof(Proof.COLLECTOR_FINISHES))


def _exists(gate: str) -> bool:
    return Gate.objects.filter(name=gate).exclude(token_hash="").exists()


def _check_free(code: JoinCode, now: datetime) -> None:
    """Raise JoinRefused unless a gate may join with a code now."""
    if (other := code.agreed) is not None:
        raise JoinRefused(
            409,
            f"the code that begins with {code.name} was used for the gate {code.gate} already, from {other.address}. If that is"
            " this computer, it has joined: sudo fabgate doctor. Otherwise make a new code on the collector's page",
        )
    if now > code.valid_until:
        raise JoinRefused(
            404, f"the code that begins with {code.name} is no longer valid; make a new one on the collector's page"
        )
    if not code.replaces and _exists(code.gate):
        raise _added_meanwhile(code)


def _added_meanwhile(code: JoinCode) -> JoinRefused:
    return JoinRefused(409, f"the gate {code.gate} was added in another way meanwhile; make a new code")


def _attempt(named: str, now: datetime) -> tuple[JoinAttempt, Agreement]:
    """Return an attempt. Raises JoinRefused where nothing of it may be repeated any more."""
    found = JoinAttempt.objects.filter(exchange=named).select_related("code").first()
    if found is None or now > (found.agreed_at or found.at) + JoinCode.REPEATED:
        raise JoinRefused(404, "found no such exchange; make a new code on the collector's page")
    return found, Agreement(bytes.fromhex(found.agreement))


def _offer(agreement: Agreement, sealed: str) -> messages.Offer:
    return messages.decode(agreement.open(Sender.GATE, sealed), messages.Offer)


def _seal_keys(attempt: JoinAttempt, agreement: Agreement) -> str:
    """Return the text of the gate's key file: the same at each repetition. The key's id is random, as the exchange is."""
    key = base64.b64encode(agreement.derived("seal key")).decode()
    return f"s-{attempt.exchange[:8]}:{key}\n"


def _identity(code: JoinCode, attempt: JoinAttempt, agreement: Agreement) -> messages.Identity:
    env: Environment = settings.ENVIRONMENT
    machine = Machine.objects.filter(name=code.machine).first()
    machine = machine or NewMachine(code.title, code.preset).make(code.machine)
    folder = f"{messages.folder(code.gate, attempt.exchange)}/"
    wires = builds.sections(code.build, code.build_values)
    return messages.Identity(
        site=env.site,
        gate=code.gate,
        machine=str(machine),
        gate_yaml=gate_yaml.compose(code.gate, machine, env, code.address, wires=wires, folder=folder),
        seal_keys=_seal_keys(attempt, agreement),
        badge_keys=env.badge_key_file.read_text(encoding="utf-8"),
        authority=env.mqtt_ca.read_text(encoding="utf-8") if env.mqtt_ca else "",
        broker_step=_broker_step(env, code.gate, folder),
        packages=for_gates.source(code.address) if for_gates.packages(env.web_apt) else "",
    )


def _broker_step(env: Environment, gate: str, folder: str) -> str:
    """Return what a person does so that the broker lets the gate in; "" where the collector changes accounts itself."""
    if env.broker_control:
        return ""
    account = wire.GateTopics(env.site, gate).account
    return (
        f"make the account {account} on the broker's computer, with the password in /etc/fabgate/{folder}{messages.PASSWORD}"
        " (docs/install-by-hand.md, part 3)"
    )
