"""When does a certificate end, as its file says it?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fabgate.mqtt import certificates
from tests.support.certificates import sign


@pytest.mark.parametrize("days", [-1, 12, 365 * 40])
def test_the_end_is_read_from_the_file_that_openssl_wrote(papers: Path, days: int) -> None:
    sign(papers, "gate", days=days)
    found = certificates.ends(papers / "gate.pem")
    assert found is not None
    assert abs(found - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=10)


def test_of_a_chain_the_first_certificate_counts(papers: Path) -> None:
    sign(papers, "gate", days=12)
    chain = papers / "chain.pem"
    chain.write_text("who I am\n" + (papers / "gate.pem").read_text() + (papers / "ca.pem").read_text())
    assert certificates.ends(chain) == certificates.ends(papers / "gate.pem") != certificates.ends(papers / "ca.pem")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMAMwAQAw\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n#\n-----END CERTIFICATE-----\n",
    ],
)
def test_a_file_without_a_certificate_has_no_end(tmp_path: Path, text: str) -> None:
    (tmp_path / "gate.pem").write_text(text)
    assert certificates.ends(tmp_path / "gate.pem") is None
