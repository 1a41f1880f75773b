"""Move modules, and names that were cut out of them, to where a map says; rewrite their imports and uses.

    python3.12 tools/move_modules.py tools/rooms.map      # 3.12 or newer: older ones misplace tokens within f-strings

A line of the map is ``old.module -> new.module``; ``old.module:name -> new.module`` for a name that was cut out of its
module by hand before; or ``room package: docstring`` for a package to be made if missing. Files are moved by ``git mv``.
Texts that name a module by its dotted name or its path follow. What the script cannot decide it prints.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path.cwd()
TEXTS = ("*.md", "*.cfg", "*.toml", "*.html", "*.txt", "*.yaml", "*.env", "Makefile", "*.service")
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def git(*arguments: str) -> list[str]:
    """Run git; return the lines that it prints."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)  # noqa: S603, S607
    return done.stdout.splitlines()


def dotted(path: Path) -> str:
    """Return the dotted name of the module in a file."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class Map:
    """What moves where. `known` has every module of the repository, with its file."""

    def __init__(self, path: Path) -> None:
        self.known = {dotted(file): file for file in (ROOT / name for name in git("ls-files", "*.py"))}
        self.modules: dict[str, str] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.rooms: dict[str, str] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            old, _, new = line.strip().partition(" -> ")
            module, _, name = old.partition(":")
            if old.startswith("room "):
                self.rooms[module.removeprefix("room ")] = name.strip()
            elif name:
                self.names[module, name] = new
            elif new:
                self.modules[module] = new
        paths = {old.replace(".", "/"): new.replace(".", "/") for old, new in self.modules.items()}
        paths |= {old.removeprefix("fabgate/"): new.removeprefix("fabgate/") for old, new in paths.items()}
        self._new_path = paths
        self._dotted = re.compile(rf"(?<![\w.])({_any(self.modules)})(?!\w)")
        self._path = re.compile(rf"(?<![\w/])((?:\.\./)*)({_any(paths)})\.py\b")

    def target(self, module: str, name: str | None = None) -> str:
        """Return the new module of a module, or of one of its names."""
        moved = self.names.get((module, name)) if name is not None else None
        return moved or self.modules.get(module, module)

    def text(self, text: str) -> str:
        """Return a text with the new names and paths of moved modules."""
        if not self.modules:
            return text
        text = self._dotted.sub(lambda found: self.modules[found[1]], text)
        return self._path.sub(lambda found: f"{found[1]}{self._new_path[found[2]]}.py", text)


def _any(words: dict[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def bindings(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Yield each name that these nodes bind by something other than an import."""
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name


def within(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function or comprehension, but not those of the scopes inside it."""
    todo = list(ast.iter_child_nodes(scope))
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, SCOPES):
            todo += ast.iter_child_nodes(node)


class File:
    """A Python file: its imports, and its edits."""

    def __init__(self, path: Path, moves: Map) -> None:
        self.path, self.moves = path, moves
        self.source = path.read_bytes()
        self.tree = ast.parse(self.source)
        self.warnings: list[str] = []
        self._lines = self.source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self._edits: set[tuple[int, int, bytes]] = set()
        self._parents = {id(child): node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self._scopes = {id(n): set(bindings(within(n))) for n in ast.walk(self.tree) if isinstance(n, SCOPES)}
        #: Modules by their local names.
        self._modules: dict[str, str] = {}
        #: The uses of each local name, by the new module that they mean.
        self._uses: dict[str, dict[str, list[ast.Name]]] = defaultdict(lambda: defaultdict(list))
        #: The local names of the new modules.
        self._called: dict[tuple[str, str], str] = {}

    def rewritten(self) -> bytes:
        """Return the file's text after the moves."""
        imports = [node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom | ast.Import)]
        others = set(bindings(ast.walk(self.tree)))
        for node in imports:
            for alias in node.names:
                full = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
                local = alias.asname or alias.name
                if isinstance(node, ast.ImportFrom) and full in self.moves.known:
                    self._modules[local] = full
                else:
                    others.add(local.split(".")[0])
                if isinstance(node, ast.Import) and self.moves.target(full) != full:
                    self.warnings.append(f"{self.path}:{node.lineno}: import {full}: rewrite it by hand")
        self._find_uses()
        self._name(others)
        for node in imports:
            if isinstance(node, ast.ImportFrom) and not node.level:
                self._write_import(node)
        self._write_texts()
        made = self.source
        for begin, end, text in sorted(self._edits, reverse=True):
            made = made[:begin] + text + made[end:]
        return made

    def _find_uses(self) -> None:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and node.id in self._modules and isinstance(node.ctx, ast.Load):
                if self._is_local(node):
                    continue
                name = None
                match self._parents[id(node)]:
                    case ast.Attribute(attr=name):
                        pass
                    case ast.Call(args=[first, ast.Constant(value=str(name)), *_]) if first is node:
                        pass  # monkeypatch.setattr(module, "name", …)
                self._uses[node.id][self.moves.target(self._modules[node.id], name)].append(node)

    def _is_local(self, name: ast.Name) -> bool:
        node: ast.AST = name
        while id(node) in self._parents:
            node = self._parents[id(node)]
            if name.id in self._scopes.get(id(node), ()):
                return True
        return False

    def _name(self, others: set[str]) -> None:
        """Choose a local name for each new module: that of its file, unless it is taken."""
        taken: dict[str, str] = {}
        for local, module in self._modules.items():
            for target in set(self._uses[local]) or {self.moves.target(module)}:
                called = local
                if target != module and local == module.rpartition(".")[2]:
                    called = target.rpartition(".")[2]
                if target != module and (called in others or taken.get(called, target) != target):
                    self.warnings.append(f"{self.path}: {called} is taken, so {target} keeps the name {local}")
                    called = local if taken.get(local, target) == target else f"{local}_{called}"
                taken[called] = target
                self._called[local, target] = called
                for use in self._uses[local][target]:
                    if called != local:
                        self._replace(use, called)

    def _write_import(self, node: ast.ImportFrom) -> None:
        lines, changed = [], False
        for alias in node.names:
            local, full = alias.asname or alias.name, f"{node.module}.{alias.name}"
            if full in self.moves.known:
                for target in sorted(set(self._uses[local]) or {self.moves.target(full)}):
                    parent, _, last = target.rpartition(".")
                    called = self._called[local, target]
                    lines.append(f"from {parent} import {last}" + (f" as {called}" if called != last else ""))
                    changed |= target != full
            else:
                target = self.moves.target(node.module or "", alias.name)
                lines.append(f"from {target} import {alias.name}" + (f" as {alias.asname}" if alias.asname else ""))
                changed |= target != node.module
        if changed:
            rest = self.source[self._at(node.end_lineno, node.end_col_offset) :].split(b"\n", 1)[0].decode()
            comment = rest if rest.strip().startswith("#") else ""
            self._replace(node, f"{comment}\n{' ' * node.col_offset}".join(dict.fromkeys(lines)))

    def _write_texts(self) -> None:
        for token in tokenize.tokenize(io.BytesIO(self.source).readline):
            if token.type in (tokenize.STRING, tokenize.COMMENT, tokenize.FSTRING_MIDDLE):
                fresh = self.moves.text(token.string)
                if fresh != token.string:
                    line, column = token.start
                    begin = self._at(line, len(self._lines[line - 1].decode()[:column].encode()))
                    self._edits.add((begin, begin + len(token.string.encode()), fresh.encode()))

    def _replace(self, node: ast.expr | ast.stmt, text: str) -> None:
        begin = self._at(node.lineno, node.col_offset)
        self._edits.add((begin, self._at(node.end_lineno, node.end_col_offset), text.encode()))

    def _at(self, line: int | None, column: int | None) -> int:
        assert line is not None
        assert column is not None
        return self._starts[line - 1] + column


def move_files(moves: Map) -> None:
    """Move the files, first to temporary names, because a new folder may have the name of an old file."""
    aside = []
    for old, new in moves.modules.items():
        source = moves.known[old]
        aside.append((source.with_name(f"moving-{source.stem}.txt"), ROOT / f"{new.replace('.', '/')}.py"))
        git("mv", str(source), str(aside[-1][0]))
    for source, target in aside:
        folder = target.parent
        while not (start := folder / "__init__.py").exists():
            folder.mkdir(parents=True, exist_ok=True)
            docstring = moves.rooms.get(dotted(start))
            start.write_text(f'"""{docstring}"""\n' if docstring else "", encoding="utf-8")
            git("add", str(start))
            folder = folder.parent
        git("mv", str(source), str(target))


def main(path: Path) -> None:
    """Apply a map."""
    moves = Map(path)
    made: dict[Path, bytes] = {}
    warnings: list[str] = []
    for source in sorted(moves.known.values()):
        file = File(source, moves)
        made[source] = file.rewritten()
        warnings += file.warnings
    for name in git("ls-files", *TEXTS):
        text = ROOT / name
        if name != "CHANGELOG.md" and text != path.resolve():
            made[text] = moves.text(text.read_text(encoding="utf-8")).encode()
    for source, content in made.items():
        if content != source.read_bytes():
            source.write_bytes(content)
    move_files(moves)
    sys.stdout.write("".join(f"{line}\n" for line in warnings))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
