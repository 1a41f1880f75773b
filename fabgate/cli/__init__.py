"""The command line: ``main`` calls one verb, and turns what it raises into lines and an exit code.

Exit codes: 0 success; 1 a problem was found (a broken chain, a refused roster), or the system refused (no permission for
a file); 2 wrong input; 3 the hardware does not answer; 4 the journal cannot be used; 5 a wrong seal; 6 altered books;
7 a database of a newer version.
Every verb has ``--help`` (fabgate/cli/arguments); verbs that report something have ``--json``. The files beside this one
have the functions of the verbs. A file is imported when one of its verbs runs; what only some of them need is imported
inside their functions.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from fabgate.cli.arguments import parser
from fabgate.errors import FabgateError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = parser(words).parse_args(words)
    if hasattr(arguments, "verb"):  # the collector's verbs set up their own log, which leaves out one-time links
        logging.basicConfig(
            level=logging.INFO if getattr(arguments, "verbose", True) else logging.WARNING,
            format="%(asctime)s %(levelname)s %(name)s: %(message)s"
            if sys.stderr.isatty()
            else "%(levelname)s %(name)s: %(message)s",
        )
    try:
        code = _function_of(arguments)(arguments)
        sys.stdout.flush()  # inside the try, so that a closed pipe is handled
    except FabgateError as error:
        _print_error(str(error))
        return error.exit_code
    except BrokenPipeError:
        # The program that reads the output has ended (`| head`), which is not an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # No permission for a directory, a full disk: the message of the system is enough.
        _print_error(str(error))
        return FabgateError.exit_code
    except KeyboardInterrupt:
        return 130
    return code


def _function_of(arguments: argparse.Namespace) -> Callable[[argparse.Namespace], int]:
    """Return what the verb calls: a gate's verb names a file of this room and its function, others have their own."""
    found: Callable[[argparse.Namespace], int]
    if hasattr(arguments, "verb"):
        module, function = arguments.verb
        found = getattr(import_module(f"fabgate.cli.{module}"), function)
    else:
        found = arguments.run
    return found


def _print_error(text: str) -> None:
    for line in text.splitlines():
        print(f"error: {line}", file=sys.stderr)
