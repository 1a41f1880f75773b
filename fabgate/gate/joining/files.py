"""What a join writes on this computer. gate.yaml is renamed into place last: until then the gate is what it was before."""

from __future__ import annotations

import grp
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
import yaml

from fabgate import installed
from fabgate.errors import UsageError
from fabgate.gate.clock import fsync_directory
from fabgate.join import messages
from fabgate.join.exchange import Agreement

#: The account of the service, whose group may read its files.
ACCOUNT: Final = "fabgate"
#: It names the repository of the collector, from which apt gets later versions: sources.list(5).
APT_SOURCE: Final = Path("/etc/apt/sources.list.d/fabgate-gate.sources")
_SOURCE: Final = """\
# Written by fabgate join.
Types: deb
URIs: {address}
Suites: trixie
Components: main
Signed-By: {keys}
"""
#: It names the time servers of a gate: timesyncd.conf(5).
TIME_SERVERS: Final = Path("/etc/systemd/timesyncd.conf.d/fabgate.conf")
# systemd-timesyncd asks them in this order until one answers. With NTP= it no longer asks those of Debian by itself.
_TIME: Final = """\
# Written by fabgate join. The collector has the time also without internet.
[Time]
NTP={host} 0.debian.pool.ntp.org 1.debian.pool.ntp.org 2.debian.pool.ntp.org
"""


class Pending(msgspec.Struct, frozen=True):
    """A join that is not finished: with it each step can be repeated."""

    address: str
    exchange: str
    #: As hex.
    agreement: str
    token: str
    broker_password: str

    @property
    def agreed(self) -> Agreement:
        """Return what both sides agreed on."""
        return Agreement(bytes.fromhex(self.agreement))


class Files:
    """The files beside one gate.yaml. They belong to root and to the group of `account`, or to who runs this if it is "".

    `source` is the file that tells apt where later versions are, and `time` the one that names the time servers; None if the
    program does not come from a package. Raises UsageError if there is no such account.
    """

    def __init__(
        self, config: Path, *, account: str = "", source: Path | None = None, time: Path | None = None
    ) -> None:
        self.config = config
        self.folder = config.parent
        self.pending = self.folder / "join.pending"
        #: The gate.yaml from before the join, with what a person wrote into it.
        self.before = config.with_name(f"{config.name}.before-join")
        self._group = _group_of(account) if account else None
        self._source = source
        self._time = time

    def load_pending(self) -> Pending | None:
        """Return the join that is not finished, if there is one."""
        try:
            return msgspec.json.decode(self.pending.read_bytes(), type=Pending)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None  # a damaged one was never used: it is renamed into place as a whole

    def save_pending(self, pending: Pending) -> None:
        """Store it on disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write(self.pending, msgspec.json.encode(pending), mode=0o600)

    def forget_pending(self) -> None:
        """Remove it."""
        self.pending.unlink(missing_ok=True)
        fsync_directory(self.folder)

    def gate_there(self) -> str | None:
        """Return ``site/gate`` of the gate.yaml that is there, "" if the file does not say, or None if there is no file."""
        try:
            found = yaml.safe_load(self.config.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (yaml.YAMLError, UnicodeDecodeError):
            return ""
        return f"{found.get('site')}/{found.get('gate')}" if isinstance(found, dict) else ""

    def install(self, identity: messages.Identity, pending: Pending) -> None:
        """Write the gate's secrets, then its gate.yaml. Done again, it changes nothing."""
        secrets = self.folder / messages.folder(identity.gate, pending.exchange)
        secrets.mkdir(mode=0o750, exist_ok=True)
        self._own(secrets, 0o750)
        texts = {
            messages.TOKEN: f"{pending.token}\n",
            messages.PASSWORD: f"{pending.broker_password}\n",
            messages.SEAL_KEYS: identity.seal_keys,
            messages.BADGE_KEYS: identity.badge_keys,
        }
        if identity.authority:
            texts[messages.AUTHORITY] = identity.authority
        for name, text in texts.items():
            self._write(secrets / name, text.encode())
        fsync_directory(self.folder)
        if self._source is not None:
            self._write_source(self._source, identity.packages)
        if self._time is not None and (host := urlsplit(pending.address).hostname):
            self._time.parent.mkdir(parents=True, exist_ok=True)
            self._write(self._time, _TIME.format(host=host).encode(), mode=0o644)
        fresh = identity.gate_yaml.encode()
        old = self.config.read_bytes() if self.config.exists() else fresh
        if old != fresh:
            self._write(self.before, old)
        self._write(self.config, fresh)

    def _write_source(self, path: Path, address: str) -> None:
        if address:
            text = _SOURCE.format(address=address, keys=installed.RELEASE_KEYS)
            self._write(path, text.encode(), mode=0o644)
        else:  # that of another collector
            path.unlink(missing_ok=True)

    def _write(self, path: Path, content: bytes, *, mode: int = 0o640) -> None:
        fresh = path.with_name(f"{path.name}.new")
        fresh.unlink(missing_ok=True)  # left by a process that was killed
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            self._own(fresh, mode)
            os.fsync(handle)
        fresh.replace(path)
        fsync_directory(path.parent)

    def _own(self, path: Path, mode: int) -> None:
        if self._group is not None:
            os.chown(path, 0, self._group)
        path.chmod(mode)


def _group_of(account: str) -> int:
    try:
        return grp.getgrnam(account).gr_gid
    except KeyError:
        raise UsageError(
            f"found no account {account}, to which a gate's files belong; {installed.account(account)}"
        ) from None
