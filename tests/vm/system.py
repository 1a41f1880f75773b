"""A Debian 13 with its own kernel and the pins, without fabgate.

It is kept for a week beside the bare systems of `make test-install`: it takes minutes.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

from tests.install import builds, images
from tests.install.images import CONTROL
from tests.install.roots import Root
from tests.vm import kernel
from tests.vm.keep import kept, run

GUEST: Final = Path(__file__).parent / "guest"
#: What Raspberry Pi OS has, and Debian 13 lacks or has in an older version, as in setup.cfg.
_LIBRARIES: Final = ("gpiozero==2.0.1", "lgpio==0.2.2.0")
#: Where the package of the gate looks for what a workshop adds.
_OWN: Final = "/usr/local/lib/fabgate-gate"
_TOOLS: Final = "gcc make xz-utils linux-headers-amd64 swig python3-dev python3-pip python3-setuptools python3-wheel"
#: For the system: its kernel, and what Raspberry Pi OS has.
_SYSTEM: Final = "linux-image-amd64 initramfs-tools lz4 systemd-timesyncd gpiod python3-colorzero python3-spidev"
#: What the first program of the guest needs to find the disk, and the hardware watchdog, which a Pi's kernel has built in.
_MODULES: Final = ("virtio_blk", "virtio_pci", "ext4", "i6300esb")


def system() -> Path:
    """Return a folder: `boot` has the kernel and its first programs, `system` the rest.

    Raises RuntimeError, or CommandError of a root, if it cannot be made.
    """
    packages = f"{_SYSTEM} {' '.join(sorted(_depends()))}"
    sources = sorted([*GUEST.glob("*.c"), GUEST / "Makefile", Path(__file__), Path(kernel.__file__)])
    made_of = [packages.encode(), *(path.read_bytes() for path in sources)]
    return kept("system", made_of, lambda folder: _make(folder, packages))


def _depends() -> set[str]:
    """Return what the package of the gate depends on: it is installed later, without the network."""
    (field,) = re.findall(
        r"^Package: fabgate-gate\n.*?^Depends: (.*?)$", CONTROL.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    names = {re.split(r"[|(]", entry)[0].strip() for entry in field.split(",")}
    return {name for name in names if not name.startswith("$")}


def _make(folder: Path, packages: str) -> None:
    built = folder / "built"
    _build(built)
    root = Root(images.bare("trixie"), "vm-system", repositories=built)
    try:
        root.start()
        root.write("/etc/initramfs-tools/conf.d/vm", "MODULES=list\nCOMPRESS=lz4\n")
        root.write("/etc/initramfs-tools/modules", "\n".join(_MODULES) + "\n")
        _install(root, packages)
        root.run(f"""
            release=$(ls /lib/modules)
            install -D -m 644 -t /lib/modules/$release/extra /srv/apt/*.ko
            depmod $release
            mkdir -p {_OWN} && cp -r /srv/apt/libraries/. {_OWN}
            apt-get clean
            """)
        root.stop()
        run("cp", "-a", str(root.path), str(folder / "system"))
        boot = folder / "boot"
        boot.mkdir()
        (vmlinuz,) = root.path.glob("boot/vmlinuz-*")
        (initrd,) = root.path.glob("boot/initrd.img-*")
        shutil.copy(vmlinuz, boot / "vmlinuz")
        shutil.copy(initrd, boot / "initrd")
    finally:
        root.remove()


def _build(into: Path) -> None:
    """Build the modules and the libraries of the pins in a root that is thrown away, and collect what goes into the system."""
    fetched = into.parent / "fetched"
    fetched.mkdir(parents=True)
    for file in (*GUEST.glob("*.c"), GUEST / "Makefile"):
        shutil.copy(file, fetched)
    pip = (str(builds.PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "download", "--no-deps", "--no-build-isolation", "--no-binary=lgpio", f"--dest={fetched}", *_LIBRARIES)
    root = Root(images.bare("trixie"), "vm-build", repositories=fetched)
    try:
        root.start()
        _install(root, _TOOLS)
        root.run("apt-get download -q $(apt-cache depends linux-source | sed -n 's/.*Depends: //p')", online=True)
        root.run(f"""
            mkdir built && cp /srv/apt/*.c /srv/apt/Makefile built
            dpkg-deb --fsys-tarfile linux-source-*.deb | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' >source.tar.xz
            tar -xJf source.tar.xz --strip-components=1 --occurrence=1 --wildcards '*/{kernel.CHIP}' '*/{kernel.INTERRUPTS}'
            """)
        for path, change in ((kernel.CHIP, kernel.chip), (kernel.INTERRUPTS, kernel.interrupts)):
            name = "chip.c" if path == kernel.CHIP else Path(path).name
            source = (root.path / "root" / path).read_text("utf-8")
            (root.path / "root/built" / name).write_text(change(source), "utf-8")
        root.run("make -C built RELEASE=$(ls /lib/modules)")
        offline = "PYPI=1 python3 -m pip install --quiet --no-index --no-deps --no-build-isolation --target libraries"
        # PYPI: with its library in C inside.
        root.run(f"{offline} /srv/apt/lgpio-*.tar.gz /srv/apt/gpiozero-*.whl")
        into.mkdir()
        for module in root.path.glob("root/built/*.ko"):
            shutil.copy(module, into)
        shutil.copytree(root.path / "root/libraries", into / "libraries")
    finally:
        root.remove()


def _install(root: Root, packages: str) -> None:
    root.run(
        f"apt-get update -q && apt-get install -y -q --no-install-recommends --download-only {packages}", online=True
    )
    root.run(f"apt-get install -y -q --no-install-recommends {packages}")
