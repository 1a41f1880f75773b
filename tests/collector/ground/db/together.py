"""Work that is done at once, each with a connection of its own."""

from __future__ import annotations

import threading

from django.db import connection

from tests.support.patience import HANGS_S


def together(*works) -> list[BaseException]:
    """Run each in a thread with a connection of its own; return what they raised."""
    raised: list[BaseException] = []

    def work(one) -> None:
        try:
            one()
        except BaseException as error:  # noqa: BLE001 (the test looks at it)
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(one,)) for one in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGS_S)
    return raised
