"""How does a program without a verb show what it can do? Its verbs in groups, by what people want to do."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any


class Verb(argparse.ArgumentParser):
    """The parser of one verb, with the line that a list says of it."""

    def __init__(self, *, short: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.short = short


def add_list(parser: argparse.ArgumentParser, *, options: str = "[-h]") -> Any:
    """Return what verbs are added to by ``add_parser(name, short=…)``. Without a verb the program shows its help.

    `options` is what the usage line shows in front of the verb.
    """
    parser.usage = f"{parser.prog} {options} VERB ..."

    def show(_arguments: argparse.Namespace) -> int:
        parser.print_help()
        return 0

    parser.set_defaults(run=show)
    return parser.add_subparsers(prog=parser.prog, metavar="VERB", help=argparse.SUPPRESS, parser_class=Verb)


def text_of(verbs: Any, groups: Mapping[str, Sequence[str]]) -> str:
    """Return the verbs in their groups, one a line. Raises KeyError where a group names a verb that is not there."""
    choices: Mapping[str, Verb] = verbs.choices
    assert {name for names in groups.values() for name in names} == set(choices)
    wide = max(map(len, choices))
    parts = [
        f"{title}:\n" + "".join(f"  {name:{wide}}  {choices[name].short}\n" for name in names)
        for title, names in groups.items()
    ]
    return "\n".join(parts)
