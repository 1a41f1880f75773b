"""How an earlier version is installed on this computer: from a package of Debian, or from its source."""

from __future__ import annotations

import re
from typing import Final

from fabgate import installed

LIST: Final = "apt list -a fabgate-collector"


def install(version: str) -> str:
    """Return the command that installs a version, or where it is described; `version` is "" if it is not known."""
    if not installed.package():
        return 'its commit, as in docs/install-by-hand.md, "Update, and back"'
    if not version:
        return f"apt install --allow-downgrades fabgate-collector=VERSION; `{LIST}` lists the versions"
    # Debian's form of a version has `~` before what precedes a release, and then the release of Debian, for which * stands.
    debian = re.sub(r"\.dev", "~dev", version)
    return f"apt install --allow-downgrades 'fabgate-collector={debian}+deb*'"
