"""A gate's side of a join over HTTP, step by step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.test import Client

from fabgate.collector.ground.models import JoinCode
from fabgate.collector.members.machines import joins
from fabgate.join import code, exchange, messages
from fabgate.join.exchange import Agreement, Proof, Sender

OFFER = messages.Offer("t" * 43, "p" * 48, "10000000abcdef01", "0.2.0")


def new_code(gate: str = "saw-1", machine: str = "saw", **more: Any) -> JoinCode:
    options = {"build": "standard", "address": "https://collector.lan", "actor": "maya", "now": datetime.now(UTC)}
    return joins.make(gate, machine, **(options | more))


class Joining:
    """One gate that joins: the requests in their order, each of which may be repeated."""

    def __init__(self, typed: str, *, address: str = "192.168.1.20", offer: messages.Offer = OFFER) -> None:
        self.code, self.offer = code.parse(typed), offer
        self._client = Client(enforce_csrf_checks=True, REMOTE_ADDR=address)
        self.begun = exchange.Begun(self.code)
        self.exchange = ""
        self.agreement = Agreement(b"")

    def begin(self) -> int:
        answer = self._post(messages.BEGIN, messages.Begin(self.code.name, self.begun.message))
        if answer.status_code == 200:
            found = messages.decode(answer.content, messages.Begun)
            self.exchange = found.exchange
            self.agreement = self.begun.agreement(found.exchange, found.message)
        return answer.status_code

    def agree(self, *, proof: str = "") -> int:
        sealed = self.agreement.seal(Sender.GATE, messages.encode(self.offer))
        answer = self._post(
            messages.AGREE, messages.Agree(self.exchange, proof or self.agreement.proof(Proof.GATE_AGREES), sealed)
        )
        if answer.status_code == 200:
            found = messages.decode(answer.content, messages.Agreed)
            assert self.agreement.proves(Proof.COLLECTOR_AGREES, found.proof)
            self.identity = messages.decode(self.agreement.open(Sender.COLLECTOR, found.sealed), messages.Identity)
        return answer.status_code

    def finish(self, *, proof: str = "") -> int:
        answer = self._post(
            messages.FINISH, messages.Finish(self.exchange, proof or self.agreement.proof(Proof.GATE_FINISHES))
        )
        if answer.status_code == 200:
            found = messages.decode(answer.content, messages.Finished)
            assert self.agreement.proves(Proof.COLLECTOR_FINISHES, found.proof)
        return answer.status_code

    def join(self) -> list[int]:
        return [self.begin(), self.agree(), self.finish()]

    def _post(self, path: str, message: Any) -> Any:
        answer = self._client.post(path, messages.encode(message), content_type="application/json")
        self.said = answer.content.decode(errors="replace")
        return answer
