"""Seals prove who made a payload; hash chains prove that no journal entry was changed or removed.

A *seal* is the HMAC-SHA-256 of ``purpose 0 site/gate 0 payload``. It is sent with the payload, not inside it, so no
canonical JSON is needed. In a *chain* each journal entry contains the BLAKE2b-256 of the stored bytes of the one before.
Gates make the chain, collectors check it; both make and check seals.

Sources: RFC 2104 (HMAC), RFC 7693 (BLAKE2). Test vectors are in docs/vectors.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fabgate.errors import SealError, UsageError

HASH_BYTES = 32
#: The hash in an acknowledgement of entry 0, which does not exist.
ZERO_HASH = bytes(HASH_BYTES)
MIN_KEY_BYTES = 16
_KID = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True)
class Keys:
    """The keys of one gate: all of them verify, the first one signs.

    ``by_id`` maps a key id to its bytes, in the order of the file.
    """

    by_id: Mapping[str, bytes] = field(repr=False)  # a key is never logged

    @classmethod
    def parse(cls, text: str, *, where: str = "key file") -> Keys:
        """Return the keys of ``kid:key`` lines, the key as base64; blank lines and ``#`` comments are skipped.

        Raises UsageError naming the line, but never a key.
        """
        by_id: dict[str, bytes] = {}
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            kid, colon, encoded = line.partition(":")
            if not colon or not _KID.fullmatch(kid):
                raise UsageError(f"{where}, line {number}: wanted 'kid:base64-key' with a kid of letters and digits")
            try:
                key = base64.b64decode(encoded.strip(), validate=True)
            except ValueError:  # binascii.Error is a ValueError; text that is not ASCII raises ValueError itself
                raise UsageError(f"{where}, line {number}: the key of '{kid}' is not base64") from None
            if len(key) < MIN_KEY_BYTES:
                raise UsageError(
                    f"{where}, line {number}: the key of '{kid}' has {len(key)} bytes, wanted at least {MIN_KEY_BYTES}"
                    " (make one with: head -c 32 /dev/urandom | base64)"
                )
            if kid in by_id:
                raise UsageError(f"{where}, line {number}: found the key id '{kid}' again, wanted it once")
            by_id[kid] = key
        if not by_id:
            raise UsageError(f"{where}: found no key, wanted at least one 'kid:base64-key' line")
        return cls(by_id)

    @classmethod
    def load(cls, path: Path) -> Keys:
        """Read a key file. Raises UsageError when it is missing or malformed."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: the key file cannot be read ({error})") from error
        return cls.parse(text, where=str(path))

    def seal(self, purpose: str, gate: str, payload: bytes) -> str:
        """Return ``kid:base64`` for `payload`, sealed for `purpose` and ``site/gate``."""
        kid = next(iter(self.by_id))
        return f"{kid}:{base64.b64encode(_mac(self.by_id[kid], purpose, gate, payload)).decode()}"

    def verify(self, seal: str | None, purpose: str, gate: str, payload: bytes) -> str:
        """Return the id of the key that made `seal`. Raises SealError when none of the keys did."""
        if not seal:
            raise SealError(f"found no seal on a {purpose} for {gate}, wanted one")
        kid, _, encoded = seal.partition(":")
        key = self.by_id.get(kid)
        if key is None:
            known = ", ".join(self.by_id)
            raise SealError(
                f"the {purpose} for {gate} is sealed with the key '{kid[:32]}', but the known keys are {known}: copy the"
                " newest key file here, and restart"
            )
        # Compared as text: several base64 texts decode to the same bytes, and only one is valid.
        wanted = base64.b64encode(_mac(key, purpose, gate, payload))
        if not hmac.compare_digest(encoded.encode(errors="replace"), wanted):
            raise SealError(
                f"the seal of a {purpose} for {gate} is wrong: the payload was changed, or is for another gate"
            )
        return kid


def _mac(key: bytes, purpose: str, gate: str, payload: bytes) -> bytes:
    return hmac.digest(key, b"\0".join((purpose.encode(), gate.encode(), payload)), "sha256")


def entry_hash(stored: bytes) -> bytes:
    """Return the 32-byte hash of a stored entry, which is the ``prev`` of the next one."""
    return hashlib.blake2b(stored, digest_size=HASH_BYTES).digest()


def first_prev(journal: str) -> bytes:
    """Return the ``prev`` of entry 1: the hash of the journal's id."""
    return entry_hash(journal.encode())


def to_text(digest: bytes) -> str:
    """Return `digest` as it is written in messages: base64."""
    return base64.b64encode(digest).decode()


def from_text(text: str) -> bytes:
    """Return the 32 bytes of a hash in a message. Raises SealError for any other text."""
    try:
        digest = base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error is a ValueError; text that is not ASCII raises ValueError itself
        digest = b""
    if len(digest) != HASH_BYTES:
        raise SealError(f"found {text[:60]!r}, wanted the base64 of a {HASH_BYTES}-byte hash")
    return digest


def first_break(entries: Iterable[tuple[int, bytes, bytes]], *, after: int, prev: bytes) -> int | None:
    """Return the number of the first entry that does not continue the chain, or None when the chain is whole.

    `entries` are (seq, the entry's own ``prev``, stored bytes) in order; the first one has the number ``after + 1`` and
    follows `prev`.
    """
    for seq, carried, stored in entries:
        after += 1
        if seq != after or carried != prev:
            return after
        prev = entry_hash(stored)
    return None
