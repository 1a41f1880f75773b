"""The secure channel of OSDP: keys of a session, cryptograms, seals and encryption (SIA OSDP v2.2, annex D).

Each seal (MAC) has the one before in it, so that nothing can be left out, repeated or moved. AES-128 is that of the package
`cryptography`.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from typing import Final

from fabgate.drivers.readers.osdp.frames import MAC_BYTES

BLOCK: Final = 16
RANDOM_BYTES: Final = 8
#: The key with which readers leave the factory (SCBK-D): anybody knows it.
DEFAULT_KEY: Final = bytes(range(0x30, 0x40))


class Session:
    """The keys of one session, made of the device's key and the panel's random number, and its two last seals."""

    def __init__(self, key: bytes, panel_random: bytes) -> None:
        encrypt = _cipher(key)[0]
        made = [encrypt(bytes((0x01, which)) + panel_random[:6] + bytes(8)) for which in (0x82, 0x01, 0x02)]
        self._encrypt, self._decrypt = _cipher(made[0])
        self._mac1, self._mac2 = (_cipher(one)[0] for one in made[1:])
        self._panel_random = panel_random
        self._command_mac = self._reply_mac = bytes(BLOCK)

    def device_cryptogram(self, device_random: bytes) -> bytes:
        """Return what proves that the device has the key."""
        return self._encrypt(self._panel_random + device_random)

    def panel_cryptogram(self, device_random: bytes) -> bytes:
        """Return what proves that the panel has the key."""
        return self._encrypt(device_random + self._panel_random)

    def start(self, panel_cryptogram: bytes) -> bytes:
        """Begin the chain of seals; return its first one, which the device sends as osdp_RMAC_I."""
        self._reply_mac = self._mac2(self._mac1(panel_cryptogram))
        return self._reply_mac

    def seal_command(self, data: bytes) -> bytes:
        """Return the seal of a command."""
        self._command_mac = self._mac(data, self._reply_mac)
        return self._command_mac

    def seal_reply(self, data: bytes) -> bytes:
        """Return the seal of the reply to that command."""
        self._reply_mac = self._mac(data, self._command_mac)
        return self._reply_mac

    def is_reply(self, data: bytes, mac: bytes) -> bool:
        """Return whether `mac` is the seal of a reply, and take note of it."""
        return compare_digest(self.seal_reply(data)[:MAC_BYTES], mac)

    def encrypt_command(self, data: bytes) -> bytes:
        """Return the encrypted data of the next command."""
        return self._encrypted(data, self._reply_mac)

    def decrypt_command(self, data: bytes) -> bytes:
        """Return the data of a command. Raises ValueError for wrong padding."""
        return self._decrypted(data, self._reply_mac)

    def encrypt_reply(self, data: bytes) -> bytes:
        """Return the encrypted data of a reply."""
        return self._encrypted(data, self._command_mac)

    def decrypt_reply(self, data: bytes) -> bytes:
        """Return the data of a reply. Raises ValueError for wrong padding."""
        return self._decrypted(data, self._command_mac)

    def _mac(self, data: bytes, before: bytes) -> bytes:
        padded = data + b"\x80" + bytes(-(len(data) + 1) % BLOCK) if len(data) % BLOCK else data
        for at in range(0, len(padded) - BLOCK, BLOCK):
            before = self._mac1(_xor(padded[at : at + BLOCK], before))
        return self._mac2(_xor(padded[-BLOCK:], before))

    def _encrypted(self, data: bytes, mac: bytes) -> bytes:
        padded = data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)
        before, out = _inverted(mac), b""
        for at in range(0, len(padded), BLOCK):
            before = self._encrypt(_xor(padded[at : at + BLOCK], before))
            out += before
        return out

    def _decrypted(self, data: bytes, mac: bytes) -> bytes:
        if not data or len(data) % BLOCK:
            raise ValueError(f"found {len(data)} encrypted bytes, wanted a multiple of {BLOCK}")
        chain = _inverted(mac) + data
        plain = _xor(self._decrypt(data), chain[: len(data)]).rstrip(b"\0")
        if not plain.endswith(b"\x80"):
            raise ValueError("found encrypted data without its end")
        return plain[:-1]


def _cipher(key: bytes) -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    """Return what encrypts and what decrypts whole blocks, each for itself; the chains are made above."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - an optional package

    cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - a block at a time, for CBC
    return cipher.encryptor().update, cipher.decryptor().update


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")


def _inverted(mac: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in mac)
