"""Which packages there are, and for which releases of Debian and which computers (docs/decisions/0141)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
#: Where all that is built lies.
DIST: Final = ROOT / "dist"


@dataclass(frozen=True, slots=True)
class Suite:
    """A release of Debian, with the only Python that it has."""

    name: str
    release: int
    python: str

    @property
    def locked(self) -> Path:
        """Return the file that names each library of the collector, with its version and its digests."""
        return Path(__file__).parent / "locked" / f"{self.python}.txt"


@dataclass(frozen=True, slots=True)
class Architecture:
    """A kind of computer, with Debian's name for it and that of Python's wheels."""

    name: str
    wheels: str


SUITES: Final = (Suite("bookworm", 12, "3.11"), Suite("trixie", 13, "3.13"))
ARCHITECTURES: Final = (Architecture("amd64", "x86_64"), Architecture("arm64", "aarch64"))
#: Gates run on the system's own libraries, and Debian 12 has them too old, or not at all.
GATE_SUITES: Final = frozenset({"trixie"})
#: The reader's library, which is a package of its own because its licence is another one (GPL).
MFRC522: Final = Path(__file__).parent / "locked" / "mfrc522.txt"
