"""Write the OpenAPI document of the collector's API into docs/openapi.json: ``python -m tools.openapi``.

A test fails while it is not current.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

FILE = Path(__file__).parents[1] / "docs" / "openapi.json"


def main() -> None:
    """Write it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fabgate.collector.settings")
    import django  # noqa: PLC0415 (it reads the environment)

    django.setup()
    from fabgate.collector.faces.api.programs import routes  # noqa: PLC0415 (it needs the settings)

    FILE.write_text(json.dumps(routes.document(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
