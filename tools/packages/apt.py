"""Makes a signed apt repository of .deb files, with apt-ftparchive and GnuPG."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

#: The public key, or keys, that check the repository: for Signed-By in a .sources file.
KEYS: Final = "release-keys.asc"
_TRIAL_USER: Final = "fabgate, packages for trials, not for workshops"


def repository(folder: Path, packages: Mapping[str, Sequence[Path]], *, key: str, home: Path | None, keys: str) -> None:
    """Make a repository in a new folder: the packages of each suite, signed with the secret key `key`.

    `home` is the GnuPG folder that has it, the person's own by default. `keys` are the public keys to publish. A Release file
    has no Valid-Until: a workshop that updates once a year must not find its repository expired.
    """
    for suite, files in packages.items():
        pool = folder / "pool" / suite
        pool.mkdir(parents=True)
        for file in files:
            shutil.copy(file, pool)
        for architecture in ("amd64", "arm64"):
            index = folder / "dists" / suite / "main" / f"binary-{architecture}"
            index.mkdir(parents=True)
            listed = _run("apt-ftparchive", "--arch", architecture, "packages", f"pool/{suite}", cwd=folder)
            (index / "Packages").write_text(listed)
            _run("gzip", "--keep", "--no-name", "-9", str(index / "Packages"))
        _sign(folder / "dists" / suite, suite, key=key, home=home)
    (folder / KEYS).write_text(keys)


def public_key(key: str, home: Path | None) -> str:
    """Return the public part of a secret key, as text."""
    return _gpg(home, "--armor", "--export", key)


def secret_key(name: str) -> str:
    """Return the fingerprint of a secret key of the person's own GnuPG. Raises RuntimeError if it is not there."""
    try:
        listed = _gpg(None, "--with-colons", "--list-secret-keys", name)
    except RuntimeError as error:
        raise RuntimeError(
            f"--key: found {name!r}, wanted a secret key of your GnuPG; gpg --list-secret-keys names them"
        ) from error
    return _fingerprint(listed)


def trial_key(home: Path) -> str:
    """Return the fingerprint of the trial key in a GnuPG folder. Make this key, without a passphrase, if it is missing."""
    if not home.is_dir():
        home.mkdir(parents=True, mode=0o700)
        _gpg(home, "--passphrase", "", "--quick-generate-key", _TRIAL_USER, "ed25519", "sign", "never")
    return _fingerprint(_gpg(home, "--with-colons", "--list-secret-keys"))


def _fingerprint(listed: str) -> str:
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))


def _sign(dist: Path, suite: str, *, key: str, home: Path | None) -> None:
    named = {"Origin": "fabgate", "Label": "fabgate", "Suite": suite, "Codename": suite}
    named |= {"Architectures": "amd64 arm64", "Components": "main"}
    options = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in named.items()]
    (dist / "Release").write_text(_run("apt-ftparchive", *options, "release", str(dist)))
    signing = ("--yes", "--local-user", key, "--digest-algo", "SHA512")
    _gpg(home, *signing, "--clearsign", "--output", str(dist / "InRelease"), str(dist / "Release"))
    _gpg(home, *signing, "--armor", "--detach-sign", "--output", str(dist / "Release.gpg"), str(dist / "Release"))


def _gpg(home: Path | None, *arguments: str) -> str:
    more = {} if home is None else {"GNUPGHOME": str(home)}
    return _run("gpg", "--batch", *arguments, **more)


def _run(*command: str, cwd: Path | None = None, **more: str) -> str:
    done = subprocess.run(command, cwd=cwd, env=os.environ | more, capture_output=True, text=True, check=False)  # noqa: S603 (our own)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout
