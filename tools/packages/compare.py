"""Compares the packages of two architectures: the same files, and in each no machine code of the other one.

Nobody here starts the package for arm64, so that at least its content is known.
"""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Final

#: Field e_machine of an ELF file, bytes 18 and 19 (ELF-64 Object File Format, version 1.5; the numbers are those of elf.h).
_MACHINES: Final = {"amd64": b"\x3e\x00", "arm64": b"\xb7\x00"}
#: What wheels have in their names that may differ: the machine, the libc, the digest and version of a library they bring.
_MAY_DIFFER: Final = re.compile(r"x86_64|aarch64|manylinux\w+|-[0-9a-f]{8}(?=\.so)|(?<=\.so)(\.\d+)+$")


def check(packages: Mapping[str, Path]) -> None:
    """Raise RuntimeError unless the .deb files, by architecture, have the same files, each for its own machine."""
    found = {architecture: dict(_files(deb)) for architecture, deb in packages.items()}
    wrong = [
        f"{packages[architecture].name}: {name} is for another machine"
        for architecture, files in found.items()
        for name, machine in files.items()
        if machine not in (b"", _MACHINES[architecture])
    ]
    names = {architecture: {_MAY_DIFFER.sub("*", name) for name in files} for architecture, files in found.items()}
    everything = set().union(*names.values())
    for architecture, have in names.items():
        wrong += [f"{packages[architecture].name}: {name} is missing" for name in sorted(everything - have)]
    if wrong:
        raise RuntimeError("\n".join(["the packages of the architectures differ:", *wrong[:20]]))


def _files(deb: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name of each file, and for machine code the machine."""
    content = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE, check=True).stdout  # noqa: S603, S607 (our own file)
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            head = file.read(20) if file else b""
            yield member.name, head[18:20] if head.startswith(b"\x7fELF") else b""
