"""Compares a gate's journal with the collector's database, entry by entry, from their files."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from fabgate import wire
from fabgate.demo import books
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.processes.workshop import Workshop
from fabgate.gate.journal.reader import JournalReader

#: How long a busy computer may keep a gate waiting between its clock and its pin. `make demo` compares exactly.
DELAYED_MS = 250


def journal(gate: SimulatedGate) -> dict[int, bytes]:
    """Return the entries that the gate has stored, by number; fail if its chain is broken or a number is missing."""
    reader = JournalReader(gate.state_dir / "journal.db")
    try:
        assert reader.first_break() is None
        floor, head, _ = reader.bounds()
        entries = {entry.seq: entry.body for entry in reader.after(0, most=1_000_000)}
        assert sorted(entries) == list(range(floor, head + 1))
        return entries
    finally:
        reader.close()


def journal_id(gate: SimulatedGate) -> str:
    """Return the id of the gate's current journal."""
    reader = JournalReader(gate.state_dir / "journal.db")
    try:
        return reader.id
    finally:
        reader.close()


def stored(workshop: Workshop, journal_id: str) -> dict[int, bytes]:
    """Return the entries of a journal that the collector has stored, by number."""
    return {seq: body for name, seq, body in _entries(workshop) if name == journal_id}


def uids(workshop: Workshop) -> list[str]:
    """Return the uid of every entry at the collector that is not a copy."""
    found = [wire.decode_entry(body) for _, _, body in _entries(workshop)]
    return [entry.uid for entry in found if not isinstance(entry.copyof, str)]


def disagreements(workshop: Workshop, gate: SimulatedGate, upto: dict[int, bytes]) -> list[str]:
    """Return the differences between a gate's journal, the collector and the observed pins."""
    ours = journal(gate)
    name = journal_id(gate)
    theirs = stored(workshop, name)
    wrong = [f"{gate.name}: entry {seq} is not at the collector" for seq in upto if seq not in theirs]
    wrong += [f"{gate.name}: entry {seq} differs" for seq, body in theirs.items() if ours.get(seq) != body]
    book = books.read(ours[seq] for seq in sorted(ours))
    wrong += book.wrong
    wrong += books.against_observer(book, gate.observer.stretches(), tolerance_ms=DELAYED_MS)
    sessions = [row for row in workshop.sessions() if row["session"] in book.sessions]
    wrong += books.against_collector(book, sessions)
    return wrong


def _entries(workshop: Workshop) -> list[tuple[str, int, bytes]]:
    path: Path = workshop.folder / "collector" / "collector.db"
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = db.execute(
            "SELECT j.name, e.seq, e.body FROM collector_entry e JOIN collector_journal j ON j.id = e.journal_id"
        ).fetchall()
    except sqlite3.OperationalError:
        return []  # a new collector without tables
    finally:
        db.close()
    return [(str(name), int(seq), bytes(body)) for name, seq, body in rows]
