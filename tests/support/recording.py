"""What gates and collectors of each released version said and kept; see tests/recorded/README.md."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from fabgate import wire
from fabgate.seal import Keys

FOLDER = Path(__file__).parent.parent / "recorded"
TOPICS = wire.GateTopics("demo", "laser-1")


class Message(msgspec.Struct, frozen=True):
    """One recorded MQTT message."""

    topic: str
    properties: dict[str, str]
    payload: str

    @property
    def body(self) -> bytes:
        return self.payload.encode()


@dataclass(frozen=True)
class Recording:
    """The recording in one folder, which has the name of its version."""

    #: The folders in ``site.tar.gz``: the gate's state, and the collector's data.
    SITE_PARTS: ClassVar = (TOPICS.gate, "collector")

    folder: Path

    @property
    def version(self) -> str:
        return self.folder.name

    @cached_property
    def _stream(self) -> list[Message]:
        lines = (self.folder / "stream.jsonl").read_bytes().splitlines()
        return [msgspec.json.decode(line, type=Message) for line in lines]

    def messages(self, leaf: str = "") -> Iterator[Message]:
        """Yield the gate's and the collector's messages in order; with `leaf`, only those of ``…/laser-1/<leaf>``."""
        for message in self._stream:
            if message.topic.startswith(f"{TOPICS.base}/{leaf}" if leaf else f"{wire.ROOT}/"):
                yield message

    def keys(self) -> Keys:
        return Keys.load(self.folder / "gate.key")

    def badge_key(self) -> bytes:
        (key,) = Keys.load(self.folder / "badge.key").by_id.values()
        return key

    def roster(self) -> tuple[bytes, dict[str, str]]:
        """Return the body of the recorded roster, and the headers it came with."""
        headers: dict[str, str] = json.loads((self.folder / "roster-headers.json").read_text())
        return (self.folder / "roster.json").read_bytes(), headers

    @property
    def recorded_at(self) -> datetime:
        """When the collector sent the roster."""
        return parsedate_to_datetime(self.roster()[1]["Date"])

    def sessions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.folder / "sessions.json").read_text())
        return found

    def schema(self, name: str) -> dict[str, Any] | None:
        """Return what this version required of a kind of message; None if it did not know that kind."""
        file = self.folder / "schema" / f"{name}.json"
        return json.loads(file.read_text()) if file.exists() else None

    def unpack_site(self, folder: Path) -> None:
        """Put the gate's state folder and the collector's data folder into `folder`."""
        with tarfile.open(self.folder / "site.tar.gz") as archive:
            # The argument `filter` came with Python 3.11.4; Debian 12 has 3.11.2.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(folder)


ALL = [Recording(folder) for folder in sorted(FOLDER.iterdir()) if folder.is_dir()]
