"""Lists a program's verbs in its help, in groups by what people want to do."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any


class Verb(argparse.ArgumentParser):
    """The parser of one verb, with its line in the list of verbs."""

    def __init__(self, *, short: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.short = short


def add_list(parser: argparse.ArgumentParser, *, options: str = "[-h]") -> Any:
    """Return the object to which verbs are added by ``add_parser(name, short=…)``.

    Without a verb the program shows its help. `options` precede the verb in the usage line.
    """
    parser.usage = f"{parser.prog} {options} VERB ..."

    def show(_arguments: argparse.Namespace) -> int:
        parser.print_help()
        return 0

    parser.set_defaults(run=show)
    return parser.add_subparsers(prog=parser.prog, metavar="VERB", help=argparse.SUPPRESS, parser_class=Verb)


def text_of(verbs: Any, groups: Mapping[str, Sequence[str]]) -> str:
    """Return the verbs in their groups, one a line. Raises KeyError for a verb that does not exist."""
    choices: Mapping[str, Verb] = verbs.choices
    assert {name for names in groups.values() for name in names} == set(choices)
    width = max(map(len, choices))
    parts = [
        f"{title}:\n" + "".join(f"  {name:{width}}  {choices[name].short}\n" for name in names)
        for title, names in groups.items()
    ]
    return "\n".join(parts)
