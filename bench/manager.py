"""Signs managers in and adds gates, in the collector of the environment.

``python -m bench.manager`` reads commands from stdin: ``cookies N`` answers with the Cookie headers of N browsers in which a
manager is signed in, and the CSRF token of their forms; ``gates NAME…`` adds gates, each with a machine, and answers with
the folders of their keys.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Run commands until stdin ends."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "fabgate.collector.settings"
    from fabgate.collector.processes import start

    start.prepare()
    print("ready", flush=True)
    for line in sys.stdin:
        verb, *arguments = line.split()
        print(json.dumps(_cookies(int(arguments[0])) if verb == "cookies" else _gates(arguments)), flush=True)


def _cookies(count: int) -> dict[str, object]:
    from django.conf import settings
    from django.middleware.csrf import _get_new_csrf_string
    from django.test import Client

    from fabgate.collector.models import Account

    account, _made = Account.objects.get_or_create(name="bench", defaults={"role": "manager", "password": "!"})
    token, found = _get_new_csrf_string(), []
    for _ in range(count):
        client = Client()
        client.force_login(account)
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        found.append(f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={token}")
    return {"cookies": found, "token": token}


def _gates(names: list[str]) -> list[str]:
    from fabgate.collector.access import roster
    from fabgate.collector.machines import enrol_gate
    from fabgate.collector.models import Machine, Member

    found = [str(enrol_gate.enrol(name, f"machine-of-{name}", actor="cli:bench").directory) for name in names]
    machines = list(Machine.objects.filter(name__startswith="machine-of-"))
    for member in Member.objects.all():
        member.machines.add(*machines)
    roster.rebuild()
    return found


if __name__ == "__main__":
    main()
