"""A workshop's certificates, made by openssl as in docs/install-by-hand.md."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest


def make_certificates(folder: Path) -> Path:
    """Make NAME.pem and NAME.key: ca, other-ca (which no one trusts), and broker, gate and collector, signed by ca.

    `locked.key` is the collector's key behind a passphrase. Skips the test where there is no openssl.
    """
    openssl = _openssl(folder)
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "other-ca"):
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        named = ("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        openssl(*new, "-x509", "-days", "400", *usage, *named)
    # Python 3.13 checks as strictly as RFC 5280: each certificate names the key that signed it, and its own use.
    (folder / "san").write_text(
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    for name in ("broker", "gate", "collector"):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        sign(folder, name, days=365)
    openssl("pkey", "-in", "collector.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key")
    return folder


def sign(folder: Path, name: str, *, days: int, in_days: int = -1) -> None:
    """Sign NAME.pem again, valid from `in_days` until `days` from now; with `days` less than 0 it has expired."""
    now = datetime.now(UTC)
    ends = now + timedelta(days=days)
    starts = min(now + timedelta(days=in_days), ends - timedelta(days=1))
    # `openssl x509` takes no date, and no days below 0.
    (folder / "issued").mkdir(exist_ok=True)
    (folder / "index").write_text("")
    (folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca=own\n[own]\ndatabase=index\nnew_certs_dir=issued\nrand_serial=yes\ndefault_md=sha256\n"
        "policy=any\n[any]\ncommonName=supplied\n"
    )
    dates = ("-startdate", f"{starts:%Y%m%d%H%M%SZ}", "-enddate", f"{ends:%Y%m%d%H%M%SZ}")
    signer = ("-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-extfile", "san")
    _openssl(folder)("ca", "-batch", "-notext", *signer, *dates, "-in", f"{name}.csr", "-out", f"{name}.pem")


def _openssl(folder: Path) -> Callable[..., None]:
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("openssl is not installed here")

    def openssl(*arguments: str) -> None:
        subprocess.run([tool, *arguments], cwd=folder, check=True, capture_output=True)

    return openssl
