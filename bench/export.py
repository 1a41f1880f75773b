"""How long do 100,000 sessions with names take as a file, and how much memory?"""

from __future__ import annotations

from bench import books
from bench.harness import PASSES, Figure, Run
from bench.page_client import PageClient

SESSIONS = 100_000
LIMITS_S = {"xlsx": 5.0, "csv": 1.5}
MOST_MIB = 50.0


def measure(run: Run) -> list[Figure]:
    took: dict[str, list[float]] = {form: [] for form in LIMITS_S}
    grew: dict[str, list[float]] = {form: [] for form in LIMITS_S}
    size = dict.fromkeys(LIMITS_S, 0)
    with PageClient(books.cached(run, SESSIONS)) as client:
        client.get("/use")
        for number in range(1, PASSES + 1):
            for form in LIMITS_S:
                found = client.at_pace(f"/use/export.{form}?period=all")
                took[form].append(found["ms"] / 1000)
                grew[form].append(found["grew_mib"])
                size[form] = found["bytes"]
            run.log(f"pass {number}: " + ", ".join(f"{form} {took[form][-1]:.2f} s" for form in LIMITS_S))
    figures = []
    for form, limit_s in LIMITS_S.items():
        note = ", ".join(filter(None, (f"{size[form] / 1e6:.1f} MB", client.paced)))
        figures.append(run.figure(f"100,000 sessions as {form.upper()}", "s", took[form], limit_s, note=note))
        figures.append(run.figure(f"memory for {form.upper()}", "MiB", grew[form], MOST_MIB))
    return figures
