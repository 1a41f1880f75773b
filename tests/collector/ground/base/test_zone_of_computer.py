from __future__ import annotations

from pathlib import Path

from fabgate.collector.ground.base import environ
from fabgate.collector.ground.base.local_times import zone_of_computer


def computer(folder: Path, *, linked: str = "", written: str = "") -> Path:
    """Make an /etc whose time zone is set in one way or the other."""
    if linked:
        (folder / "localtime").symlink_to(f"/usr/share/zoneinfo/{linked}")
    if written:
        (folder / "timezone").write_text(f"{written}\n", encoding="utf-8")
    return folder


def test_tz_wins_over_the_link_and_the_link_over_the_file(tmp_path):
    etc = computer(tmp_path, linked="Europe/Paris", written="Asia/Tokyo")
    assert zone_of_computer({"TZ": ":America/Montreal"}, etc) == "America/Montreal"
    assert zone_of_computer({}, etc) == "Europe/Paris"


def test_the_file_counts_where_there_is_no_link(tmp_path):
    etc = computer(tmp_path, written="Asia/Tokyo")
    (etc / "localtime").write_bytes(b"TZif2")
    assert zone_of_computer({}, etc) == "Asia/Tokyo"


def test_what_is_no_zone_is_passed_over_and_utc_has_one_name(tmp_path):
    assert zone_of_computer({"TZ": "Mars/Base"}, computer(tmp_path, linked="Etc/UTC")) == "UTC"
    assert zone_of_computer({"TZ": "<+01>-1"}, tmp_path / "nothing") == "UTC"


def test_fabgate_tz_wins_over_the_computer():
    assert environ.read({"TZ": "Asia/Tokyo"}, need_site=False).tz == "Asia/Tokyo"
    found = environ.read({"TZ": "Asia/Tokyo", "FABGATE_TZ": "Europe/Paris"}, need_site=False)
    assert (found.tz, found.is_tz_set) == ("Europe/Paris", True)
