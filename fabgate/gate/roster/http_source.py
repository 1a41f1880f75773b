"""Fetches the roster from the collector: sealed, over HTTP, and only when it has changed.

The seal of an answer covers the gate's nonce, so that an old answer cannot be replayed; the seal of a 304 also covers
version and date, so that "nothing changed" can be trusted like a roster. The age counts from the last confirmation. The
version of one collector never decreases; a roster of another source has to be adopted on the gate (``origin``).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from fabgate import wire
from fabgate.badge import key_mark
from fabgate.errors import FabgateError, SealError, UsageError
from fabgate.gate.clock import fsync_directory
from fabgate.gate.config.authorities import Authorities, tls_context
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.roster import lazy_roster, origin
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.source import RosterConfirmed, RosterRefused, RosterStored, replace_stored
from fabgate.mqtt import certificates
from fabgate.rules.vocabulary import Now
from fabgate.seal import Keys, entry_hash, to_text

log = logging.getLogger(__name__)

#: How long the collector may be silent, and how long a complete answer may take: the largest roster, compressed, takes
#: less at 100 kB/s. Without the second limit, single bytes would keep the only thread that fetches waiting for ever.
TIMEOUT_S: Final = 10
WHOLE_TIMEOUT_S: Final = 180
MAX_BYTES: Final = 64 * 1024 * 1024
RETRY_FIRST_S: Final = 2.0
#: How often a confirmation that changes nothing else is written: a write each minute would wear out the card.
RECEIPT_EVERY_MS: Final = 15 * 60_000
#: How often to check, between two fetches, whether a person on the gate has adopted a roster.
ADOPTION_EVERY_S: Final = 1.0
#: The address of an object in an error: older urllib3 (also that of Debian 13) put a new one into each error.
_ADDRESS: Final = re.compile(r"<([\w.]+) object at 0x[0-9a-f]+>", re.IGNORECASE)


class Receipt(msgspec.Struct, frozen=True):
    """A file next to the stored roster: which roster it is, and when it was last confirmed, by which clock."""

    version: int
    hash: str
    etag: str = ""
    boot: str = ""
    boot_ms: int = 0
    wall_ms: int | None = None
    #: Which authorities were trusted after it was read; "" if not yet those that it names. With other ones it is fetched again.
    authorities: str = ""


class HttpSource:
    """Fetches rosters from a collector. `post` takes ``RosterStored``, ``RosterConfirmed`` and ``RosterRefused``."""

    def __init__(
        self,
        config: Config,
        stored: Path,
        post: Callable[[object], None],
        *,
        boot: str,
        now: Callable[[], Now],
        badge_keys: Mapping[str, bytes] = MappingProxyType({}),
        authorities: Authorities | None = None,
        timeout_s: float = TIMEOUT_S,
        whole_timeout_s: float = WHOLE_TIMEOUT_S,
    ) -> None:
        assert config.roster.url is not None
        assert config.roster.token_file is not None
        assert config.gate_key_file is not None
        self._topics = config.topics
        self._url = f"{config.roster.url.rstrip('/')}/api/v1/gates/{config.gate}/roster"
        self._token_file = config.roster.token_file
        self._keys = Keys.load(config.gate_key_file)
        self._every_s = config.roster.fetch_every_s
        self._stored = stored
        self._receipt_path = stored.with_suffix(".json")
        self._post = post
        self._boot = boot
        self._now = now
        self._timeout_s = timeout_s
        self._whole_timeout_s = whole_timeout_s
        #: The authority of the collector's certificate; without one, the authorities that this computer trusts.
        self._ca = config.roster.ca
        self._mqtt = config.mqtt
        self._authorities = authorities or Authorities(config)
        self._stop = threading.Event()
        self._fetch_wanted = threading.Event()
        #: The stored roster is damaged: the next one replaces it, even if it has the same version.
        self._is_damaged = False
        self._badge_keys = badge_keys
        self._refused: str | None = None
        self._adoptions = origin.AdoptionFile(stored)
        #: The source of the stored roster.
        self._source = ""
        #: The receipt of the stored roster; only this thread replaces it, others read it as a whole.
        self._receipt = self._read_receipt()
        #: The receipt that this process wrote last.
        self._written: Receipt | None = None

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()
        self._fetch_wanted.set()

    def fetch_now(self) -> None:
        """Fetch now. Thread-safe."""
        self._fetch_wanted.set()

    def replace_damaged(self) -> None:
        """Fetch the complete roster, to replace the stored one, which is damaged. Thread-safe."""
        self._is_damaged = True
        self._fetch_wanted.set()

    def run(self) -> None:
        """Fetch regularly until asked to stop."""
        every_s = float(self._every_s)
        retry_s = RETRY_FIRST_S
        while not self._stop.is_set():
            if self.fetch():
                retry_s = RETRY_FIRST_S
                self._pause(every_s)
            elif self._pause(min(retry_s, every_s)):
                retry_s = RETRY_FIRST_S  # a fetch was requested, perhaps over the network, which then works again
            else:
                retry_s = min(retry_s * 2, every_s)
            if not self._stop.is_set():
                self._fetch_wanted.clear()  # before the fetch: a request during it asks for another one
        if self._receipt is not None and self._written != self._receipt and self._receipt.boot == self._boot:
            with contextlib.suppress(OSError):  # the receipt on disk is older: the roster then looks older than it is
                self._write(self._receipt)

    def _pause(self, most_s: float) -> bool:
        """Wait; return True, and early, when a fetch was requested or a roster was adopted."""
        left_s = most_s
        while left_s > 0:
            if self._fetch_wanted.wait(min(left_s, ADOPTION_EVERY_S)) or self._adoptions.arrived():
                return True
            left_s -= ADOPTION_EVERY_S
        return False

    def offered(self) -> tuple[wire.Roster, str]:
        """Return the roster that the collector offers now, and its source; nothing is stored.

        Raises UsageError, SealError or OSError where the answer is not a roster that this gate can trust.
        """
        nonce = secrets.token_urlsafe(16)
        answer, body = self._ask(nonce, etag="")
        if answer.status_code != 200:
            raise self._unexpected(answer)
        roster = self._verified(answer, body, nonce)
        return roster, _source_of(roster)

    def fetch(self) -> bool:
        """Fetch once; return whether the collector confirmed or sent a roster. An error is posted once."""
        try:
            self._fetch()
        except (OSError, ValueError, FabgateError) as error:
            # The errors of requests are OSErrors; a token that is not text is a ValueError.
            reason = _ADDRESS.sub(r"\1", str(error))  # otherwise each try would be a new error, and a new entry
            if reason != self._refused:
                self._refused = reason
                self._post(RosterRefused(reason))
            return False
        self._refused = None
        return True

    def _fetch(self) -> None:
        receipt = self._receipt
        nonce = secrets.token_urlsafe(16)
        knows = receipt is not None and receipt.authorities == self._authorities.digest
        in_full = not knows or self._is_damaged or self._adoptions.waits()
        answer, body = self._ask(nonce, etag="" if receipt is None or in_full else receipt.etag)
        if answer.status_code == 304 and receipt is not None:
            self._confirmed(answer, receipt, nonce)
        elif answer.status_code == 200:
            self._new_roster(self._verified(answer, body, nonce), answer, body, receipt)
        else:
            raise self._unexpected(answer)

    def _ask(self, nonce: str, *, etag: str, ca: Path | None = None) -> tuple[Any, bytes]:
        """Return the collector's answer, and its body where it is a roster. Raises UsageError or OSError.

        `ca` has the authorities to trust, if not those of now.
        """
        from fabgate.gate.roster import http_session  # noqa: PLC0415 - requests: a second on a Pi

        headers = {
            "Authorization": f"Bearer {self._token_file.read_text(encoding='utf-8').strip()}",
            wire.HEADER_NONCE: nonce,
            wire.HEADER_BOOT: self._boot,
        }
        if etag:
            headers["If-None-Match"] = etag
        try:
            with http_session.session(self._whole_timeout_s) as http:
                verify = True if self._ca is None else str(ca or self._authorities.file(self._ca))
                answer = http.get(self._url, headers=headers, timeout=self._timeout_s, verify=verify, stream=True)
                return answer, _read(answer, self._url) if answer.status_code == 200 else b""
        except http_session.CutError:
            raise UsageError(
                f"{self._url}: found no complete answer after {self._whole_timeout_s:g} s, wanted one in that time; the"
                " network or the collector is too slow, or a proxy between them delays the answer"
            ) from None
        except OSError as error:
            if problem := certificates.trouble(error, "collector's"):
                raise UsageError(f"{self._url}: {problem}") from error
            if problem := http_session.no_answer(error, self._timeout_s):
                raise http_session.NoAnswerError(f"{self._url}: {problem}") from error
            raise

    def _unexpected(self, answer: Any) -> UsageError:
        return UsageError(
            f"{self._url}: found HTTP {answer.status_code}, wanted 200 or 304; check the token and the gate's name"
        )

    def _confirmed(self, answer: Any, receipt: Receipt, nonce: str) -> None:
        covered = wire.sealed_same(receipt.version, answer.headers.get("Date", ""), nonce)
        seal = answer.headers.get(wire.HEADER_SEAL)
        self._keys.verify(seal, wire.PURPOSE_ROSTER_SAME, self._topics.account, covered)
        self._keep(receipt)
        self._post(RosterConfirmed())

    def _verified(self, answer: Any, body: bytes, nonce: str) -> wire.Roster:
        """Return the roster of an answer. Raises SealError or UsageError where this gate cannot trust it."""
        seal = answer.headers.get(wire.HEADER_SEAL)
        self._keys.verify(seal, wire.PURPOSE_ROSTER, self._topics.account, wire.sealed_roster(body, nonce))
        roster = lazy_roster.decode(body)
        if (roster.site, roster.gate) != (self._topics.site, self._topics.gate):
            raise SealError(f"found the roster of {roster.site}/{roster.gate}, wanted that of {self._topics.account}")
        self._check_badge_key(roster.badge_key_id, roster.badge_key_mark)
        if not roster.collector:
            raise UsageError(
                "found a roster that does not name its collector, wanted the collector's id: update the collector"
            )
        return roster

    def _new_roster(self, roster: wire.Roster, answer: Any, body: bytes, receipt: Receipt | None) -> None:
        source = _source_of(roster)
        digest = to_text(entry_hash(body))
        adopted = is_known = False
        etag = answer.headers.get("ETag", "")
        if receipt is not None and self._stored.exists():
            adopted = self._adoptions.allows(roster, source)
            # An adoption changes the source. Within one source nothing replaces a newer roster.
            if source == self._source:
                _check_order(roster, digest, receipt)
            elif not (adopted or self._is_damaged):  # there are no readable members to keep in a damaged roster
                raise UsageError(origin.refusal(self._source, source))
            is_known = roster.version == receipt.version and receipt.hash != "" and not self._is_damaged and not adopted
        # Before the roster is in force: a gate that reports a roster has its authorities.
        self._authorities.take(roster.authorities, lambda file: self._try(file, etag))
        trusted = "" if self._authorities.problem else self._authorities.digest
        if receipt is not None and is_known:
            self._keep(msgspec.structs.replace(receipt, etag=etag, authorities=trusted))
            self._post(RosterConfirmed())
            return
        refusal = replace_stored(
            roster, self._stored, source=source, always=self._is_damaged, unguarded=adopted
        ).refusal
        self._source = source
        if adopted:
            self._adoptions.use_up()
        self._is_damaged = False  # if it was set during the fetch, it meant the file that is now replaced
        try:
            self._keep(Receipt(version=roster.version, hash=digest, etag=etag, authorities=trusted))
        finally:
            # Also if the receipt cannot be written: the earlier roster must not admit a member that the new one blocks.
            self._post(RosterStored(roster.version, len(roster.members), adopted=adopted))
        if refusal is not None:
            self._post(RosterRefused(refusal, roster.version))

    def _try(self, ca: Path, etag: str) -> None:
        """Raise OSError, ValueError or FabgateError if the authorities in `ca` do not lead to collector and broker."""
        if self._ca is not None:
            self._ask(secrets.token_urlsafe(16), etag=etag, ca=ca)
        if self._mqtt is not None and self._mqtt.tls is not None:
            from fabgate.doctor import reach  # noqa: PLC0415 - only while an authority is replaced

            host, port = self._mqtt.host, self._mqtt.port
            try:
                reach.reach(host, port, tls_context(self._mqtt.tls, ca))
            except OSError as error:
                raise UsageError(reach.why(error, host=host, port=port)[0]) from error

    def _check_badge_key(self, kid: str | None, mark: str | None) -> None:
        if self._is_other_key(kid, mark):
            raise UsageError(
                f"found a roster whose badges are digested under another key with the id {kid!r} than that of this gate: no"
                " badge would be recognised. Copy the collector's badge key file to the gate, and restart it"
            )
        if kid is not None and self._badge_keys and kid not in self._badge_keys:
            raise UsageError(
                f"found a roster whose badges are digested under the key {kid!r}; this gate has"
                f" {', '.join(self._badge_keys)}: no badge would be recognised. Copy the new badge key file to the gate first"
            )

    def _is_other_key(self, kid: str | None, mark: str | None) -> bool:
        key = self._badge_keys.get(kid or "")
        return key is not None and mark is not None and mark != key_mark(key)

    # --- the receipt --------------------------------------------------------------------------------------------------

    def _read_receipt(self) -> Receipt | None:
        try:
            with contextlib.closing(Directory(self._stored)) as directory:
                version, self._source = directory.version, directory.source
                is_known = not self._is_other_key(directory.badge_key_id, directory.badge_key_mark)
        except UsageError:
            return None
        receipt = read_receipt(self._receipt_path)
        # The receipt is damaged, or that of the earlier roster. The roster is valid anyway, and no older one may
        # replace it.
        if receipt is None or receipt.version != version:
            return Receipt(version=version, hash="")
        # The key of this gate was replaced: without hash and ETag the same roster is fetched in full.
        return receipt if is_known else msgspec.structs.replace(receipt, hash="", etag="")

    def age_ms(self, now: Now) -> int | None:
        """Return how long ago the roster was last confirmed; None where neither boot clock nor wall clock can tell."""
        return age_ms(self._receipt, now, self._boot)

    def _keep(self, receipt: Receipt) -> None:
        """Remember that this roster was confirmed now, on disk for a new roster or when a write is due."""
        now = self._now()
        # An unsynchronised wall clock may be years ahead, and the roster would never become stale.
        wall_ms = round(now.local.timestamp() * 1000) if now.synced and now.local is not None else None
        kept = msgspec.structs.replace(receipt, boot=self._boot, boot_ms=now.boot_ms, wall_ms=wall_ms)
        self._receipt = kept  # valid while this process runs, even if the disk cannot be written
        written = self._written
        if written is not None and _undated(kept) == _undated(written):
            is_first_dated = written.wall_ms is None and kept.wall_ms is not None
            if kept.boot_ms - written.boot_ms < RECEIPT_EVERY_MS and not is_first_dated:
                return
        self._write(kept)

    def _write(self, receipt: Receipt) -> None:
        fresh = self._receipt_path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(receipt))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._receipt_path)
        fsync_directory(self._receipt_path.parent)
        self._written = receipt


def _undated(receipt: Receipt) -> Receipt:
    return msgspec.structs.replace(receipt, boot="", boot_ms=0, wall_ms=None)


def read_receipt(path: Path) -> Receipt | None:
    """Return the receipt next to a stored roster, or None where it is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Receipt)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
        return None


def age_ms(receipt: Receipt | None, now: Now, boot: str) -> int | None:
    """Return the age of a confirmation: by the boot clock within a boot, else by the wall clock, never below 0."""
    if receipt is None:
        return None
    if receipt.boot == boot:
        return max(0, now.boot_ms - receipt.boot_ms)
    if receipt.wall_ms is None or now.local is None:
        return None
    age = round(now.local.timestamp() * 1000) - receipt.wall_ms
    return age if age >= 0 else None


def _source_of(roster: wire.Roster) -> str:
    assert roster.collector is not None  # _verified refuses such a roster
    return origin.of_collector(roster.collector)


def _check_order(roster: wire.Roster, digest: str, receipt: Receipt) -> None:
    """Raise UsageError for a roster that is older than the stored one of the same source, or has its version."""
    is_other = roster.version == receipt.version and receipt.hash not in ("", digest)
    if roster.version < receipt.version or is_other:
        raise UsageError(
            f"found roster version {roster.version}, but version {receipt.version} is stored: an older roster never"
            " replaces a newer one"
        )


def _read(answer: Any, url: str) -> bytes:
    body = io.BytesIO()  # its value is not copied; a copy would block the other threads
    for chunk in answer.iter_content(65536):
        body.write(chunk)
        if body.tell() > MAX_BYTES:
            raise UsageError(f"{url}: the roster is larger than {MAX_BYTES} bytes")
    return body.getvalue()
