"""Which strings do the pages show? Taken out of Python and templates, as gettext's own programs would."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation.template import templatize

import fabgate.collector
from fabgate.po import CONTEXT_ENDS

ROOT = Path(fabgate.collector.__file__).parent
#: What stands for gettext in Python, and how many of its first arguments are texts.
CALLS = {"_": 1, "gettext": 1, "gettext_lazy": 1, "ngettext": 2, "ngettext_lazy": 2}
#: The same with a context in front, as it stands in a catalogue.
WITH_CONTEXT = {"pgettext", "pgettext_lazy"}

TEXT = re.compile(r"""u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
CALL = re.compile(rf"(p?)(?:gettext|\b_)\(({TEXT.pattern}(?:, {TEXT.pattern})?)")


def of_python(path: Path) -> Iterator[str]:
    """Yield what a module hands to gettext; a plural as 'one NUL many'."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            texts = node.args[: CALLS[node.func.id]]
            if texts:  # `_` has no other meaning here
                yield "\0".join(_fixed(texts, path))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WITH_CONTEXT:
            yield CONTEXT_ENDS.join(_fixed(node.args, path))


def _fixed(texts: list[ast.expr], path: Path) -> Iterator[str]:
    for text in texts:
        assert isinstance(text, ast.Constant), f"{path}:{text.lineno}: no fixed text"
        yield str(text.value)


def of_template(path: Path) -> Iterator[str]:
    """Yield what a template translates: Django makes calls of gettext of it, with fixed texts first."""
    for call in CALL.finditer(templatize(path.read_text(encoding="utf-8"), origin=str(path))):
        joint = CONTEXT_ENDS if call[1] else "\0"
        yield joint.join(ast.literal_eval(text.removeprefix("u")) for text in TEXT.findall(call[2]))


def all_of_them() -> dict[str, str]:
    """Return every text with the first file that shows it."""
    found: dict[str, str] = {}
    for path in sorted(ROOT.rglob("*.py")):
        for text in of_python(path):
            found.setdefault(text, str(path.relative_to(ROOT)))
    for path in sorted((ROOT / "templates").rglob("*.html")):
        for text in of_template(path):
            found.setdefault(text, str(path.relative_to(ROOT)))
    return found
