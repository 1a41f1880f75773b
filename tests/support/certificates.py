"""A workshop's certificates, made by openssl as docs/install.md does it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def make_certificates(folder: Path) -> Path:
    """Make NAME.pem and NAME.key: ca, other-ca (which nobody trusts), and broker, gate and collector, signed by ca.

    `locked.key` is the collector's key behind a passphrase. Skips the test where there is no openssl.
    """
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("openssl is not installed here")

    def openssl(*arguments: str) -> None:
        subprocess.run([tool, *arguments], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "other-ca"):
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        named = ("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        openssl(*new, "-x509", "-days", "2", *usage, *named)
    # Python 3.13 checks as strictly as RFC 5280 says: each certificate names the key that signed it, and its own use.
    (folder / "san").write_text(
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    for name in ("broker", "gate", "collector"):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san")
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem")
    openssl("pkey", "-in", "collector.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key")
    return folder
