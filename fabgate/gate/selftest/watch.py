"""What a self-test sees of the running gate: its status, its roster and its journal, all of them read only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

from fabgate import wire
from fabgate.errors import FabgateError, UsageError
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.roster.directory import Directory
from fabgate.gate.terminal.running import gate_runs
from fabgate.rules import vocabulary

Status = dict[str, Any]
_LOOK_S: Final = 0.1
#: What status.json leaves out where there is nothing to tell.
_UNTOLD: Final[Status] = {"causes": [], "session": None, "member": None, "running_ms": 0}


class Watch:
    """A view of one gate. `patience_s` is how long a person may take for one step."""

    def __init__(self, config: Config, *, patience_s: float) -> None:
        self._state_dir = config.state_dir
        self._patience_s = patience_s

    def status(self) -> Status:
        """Return the content of status.json. Raises UsageError where no gate runs or it cannot be read."""
        path = self._state_dir / "status.json"
        try:
            runs = gate_runs(self._state_dir)
            found = json.loads(path.read_text(encoding="utf-8")) if runs else None
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: the status cannot be read ({error}); run this as root") from error
        if not isinstance(found, dict):
            raise UsageError(f"{self._state_dir}: no gate runs here; start it first (systemctl start fabgate-gate)")
        return {**_UNTOLD, **found}

    def wait(self, condition: Callable[[Status], Any], *, more_s: float = 0) -> Status | None:
        """Return the first status that is as `condition` wants it; None if that takes too long, by `more_s` seconds more."""
        until = time.monotonic() + self._patience_s + more_s
        while True:
            found = self.status()
            if condition(found):
                return found
            if time.monotonic() > until:
                return None
            time.sleep(_LOOK_S)

    def rules(self) -> wire.MachineRules:
        """Return the machine's rules."""
        with closing(self._directory()) as directory:
            return directory.machine

    def is_maintainer(self, member: str) -> bool:
        """Return whether the roster says that this member is a maintainer."""
        with closing(self._directory()) as directory:
            holder = directory.find_member(member)
        return isinstance(holder, vocabulary.Member) and holder.rank is vocabulary.Level.MAINTAINER

    def head(self) -> int:
        """Return the number of the newest entry of the journal."""
        with closing(JournalReader(self._state_dir / "journal.db")) as reader:
            return reader.bounds()[1]

    def ended(self, session: str, *, after: int) -> wire.SessionEnded | None:
        """Wait until the end of `session` is in the journal; None if that takes too long."""
        found: list[wire.SessionEnded] = []

        def is_recorded(_status: Status) -> bool:
            with closing(JournalReader(self._state_dir / "journal.db")) as reader:
                for entry in reader.after(after, most=1000):
                    data = wire.decode_data(wire.decode_entry(entry.body)) if entry.type == "session.ended" else None
                    if isinstance(data, wire.SessionEnded) and data.session == session:
                        found.append(data)
            return bool(found)

        return found[0] if self.wait(is_recorded) is not None else None

    def _directory(self) -> Directory:
        path = self._state_dir / "roster.db"
        try:
            return Directory(path)
        except FabgateError as error:
            raise UsageError(f"{path}: the gate has no roster yet ({error})") from error
