"""The steps of a join. After a kill, or without a network, the same command goes on where it ended."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path

import yaml

import fabgate
from fabgate import wire
from fabgate.errors import FabgateError, SealError, UsageError
from fabgate.gate.joining import requests
from fabgate.gate.joining.files import Files, Pending
from fabgate.gate.joining.requests import Post, RefusedError
from fabgate.gate.journal.reader import JournalReader
from fabgate.join import exchange, messages
from fabgate.join.code import Code
from fabgate.join.exchange import Proof, Sender


def join(
    address: str, post: Post, files: Files, *, ask_code: Callable[[], Code], replaces: bool = False, serial: str = ""
) -> messages.Identity:
    """Join the collector at `address`; return who this gate is now.

    Raises RefusedError where the collector refuses: then the next call needs another code. Raises FabgateError or OSError
    where it can go on.
    """
    pending = files.load_pending()
    if pending is None:
        pending = _begin(address, post, ask_code())
        files.save_pending(pending)  # before the gate says anything by which it could be known
    elif pending.address != address:
        raise UsageError(
            f"found a join with {pending.address} that is not finished: run fabgate join {pending.address}, or remove"
            f" {files.pending}"
        )
    try:
        identity = _agree(post, pending, serial)
    except (RefusedError, SealError):  # there is nothing that could be repeated
        files.forget_pending()
        raise
    _refuse_other(files, identity, replaces=replaces)
    files.install(identity, pending)
    try:
        _finish(post, pending)
    except RefusedError:
        files.forget_pending()
        raise
    files.forget_pending()
    return identity


def serial_number(root: Path = Path("/")) -> str:
    """Return the serial number of this Raspberry Pi; "" on another computer."""
    try:
        return (root / "proc/device-tree/serial-number").read_text("ascii", errors="replace").strip("\0 \n")[:64]
    except OSError:
        return ""


def _begin(address: str, post: Post, code: Code) -> Pending:
    begun = exchange.Begun(code)
    answer = requests.ask(post, messages.BEGIN, messages.Begin(code.name, begun.message), messages.Begun)
    agreement = begun.agreement(answer.exchange, answer.message)
    return Pending(
        address, answer.exchange, agreement.secret.hex(), secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    )


def _agree(post: Post, pending: Pending, serial: str) -> messages.Identity:
    agreed = pending.agreed
    offer = messages.Offer(pending.token, pending.broker_password, serial, fabgate.__version__)
    sealed = agreed.seal(Sender.GATE, messages.encode(offer))
    asked = messages.Agree(pending.exchange, agreed.proof(Proof.GATE_AGREES), sealed)
    answer = requests.ask(post, messages.AGREE, asked, messages.Agreed)
    _check(agreed.proves(Proof.COLLECTOR_AGREES, answer.proof))
    identity = messages.decode(agreed.open(Sender.COLLECTOR, answer.sealed), messages.Identity)
    wire.check_name(identity.site, what="site")
    wire.check_name(identity.gate, what="gate")  # also the name of a folder
    return identity


def _finish(post: Post, pending: Pending) -> None:
    agreed = pending.agreed
    asked = messages.Finish(pending.exchange, agreed.proof(Proof.GATE_FINISHES))
    answer = requests.ask(post, messages.FINISH, asked, messages.Finished)
    _check(agreed.proves(Proof.COLLECTOR_FINISHES, answer.proof))


def _check(is_proved: bool) -> None:
    if not is_proved:
        raise SealError(
            "found an answer of somebody who does not know the code: another computer answers in place of the collector."
            " It got no secret. Check the address and the network, and run the command again"
        )


def _refuse_other(files: Files, identity: messages.Identity, *, replaces: bool) -> None:
    """Raise UsageError if this computer is another gate, as its gate.yaml or its journal says; nothing was changed then."""
    there, account = files.gate_there(), f"{identity.site}/{identity.gate}"
    if there not in (None, account) and not replaces:
        raise UsageError(
            f"{files.config}: found the gate {there or 'that it describes'}, wanted none, or {account}; to make this computer"
            f" {account}, run the command again with --replace; {files.before.name} keeps what is there"
        )
    made = yaml.safe_load(identity.gate_yaml)
    if not (isinstance(made, dict) and isinstance(made.get("state_dir"), str)):
        raise UsageError(
            "found a gate.yaml without state_dir from the collector, wanted one that names it; update the collector"
        )
    state = files.folder / made["state_dir"]
    writer = _writer_of(state / "journal.db")
    if writer not in (None, account):
        raise UsageError(
            f"{state}: found the journal of {writer}, wanted none, or that of {account}; fabgate status says whether all its"
            f" entries are at the collector. Then: systemctl stop fabgate-gate; mv {state} {state}-before; and run the command again"
        )


def _writer_of(journal: Path) -> str | None:
    """Return which gate wrote a journal, or None if no journal can be read: the gate itself deals with that."""
    if not journal.exists():
        return None
    try:
        with contextlib.closing(JournalReader(journal)) as reader:
            return reader.topics.account
    except (FabgateError, OSError, sqlite3.Error):
        return None
