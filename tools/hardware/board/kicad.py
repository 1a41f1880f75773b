"""Is the schematic sound, and which pins does KiCad see connected? Runs kicad-cli 9 or newer."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.hardware.board.schematic import NAME


class KicadMissingError(Exception):
    """Raised where there is no kicad-cli, or one that cannot check a schematic."""


def require() -> None:
    """Raise KicadMissingError without kicad-cli 9 or newer; older ones cannot check a schematic."""
    program = shutil.which("kicad-cli")
    found = _run("version").strip() if program else "none"
    if not program or int(found.partition(".")[0]) < 9:
        raise KicadMissingError(
            f"kicad-cli: found {found}, wanted 9 or newer. On Debian 13: apt install --no-install-recommends kicad"
        )


def finish(folder: Path) -> None:
    """Check the schematic in `folder`; write its picture and ``nets.csv``. Raises RuntimeError with the report."""
    sheet = folder / f"{NAME}.kicad_sch"
    with TemporaryDirectory() as place:
        report, netlist = Path(place, "erc.rpt"), Path(place, "netlist")
        _run("sch", "erc", "--severity-all", "-o", str(report), str(sheet))
        if not re.search(r"^ \*\* ERC messages: 0 ", text := report.read_text("utf-8"), re.MULTILINE):
            raise RuntimeError(f"KiCad's check found faults in the schematic:\n{text}")
        _run("sch", "export", "netlist", "-o", str(netlist), str(sheet))
        nets = read_nets(netlist.read_text("utf-8"))
    _run("sch", "export", "svg", "--exclude-drawing-sheet", "-o", str(folder), str(sheet))
    picture = folder / f"{NAME}.svg"
    dated = picture.read_text("utf-8")
    picture.write_text(re.sub(r"<title>[^<]*</title>", "<title>Gate board A3</title>", dated, count=1), "utf-8")
    with (folder / "nets.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["net", "joins"])
        writer.writerows([name, " ".join(ends)] for name, ends in nets.items())


def read_nets(text: str) -> dict[str, list[str]]:
    """Return the nets of a netlist with the pins that each joins, in the spelling of the builds: ``A1.11``."""
    found = {}
    for part in re.split(r"\(net\s", text)[1:]:
        name = re.search(r'\(name "/?([^"]*)"', part)
        ends = [f"{ref}.{pin}" for ref, pin in re.findall(r'\(ref "([^"#]+)"\)\s*\(pin "([^"]+)"', part)]
        if name and ends:
            found[name[1]] = ends
    return found


def _run(*words: str) -> str:
    done = subprocess.run(("kicad-cli", *words), capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise RuntimeError(f"kicad-cli {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout
