"""Functions that NumPy lacks, copied from `symdiff/ops/helpers.py` and `array_helpers.py` into generated modules."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from functools import cache

from symdiff.ops import array_helpers, helpers

ARRAY_FUNCTIONS = frozenset(name for name, _ in inspect.getmembers(array_helpers, callable) if not name.startswith("_"))
_CALL = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\(")


@cache
def _pieces() -> dict[str, tuple[str, frozenset[str]]]:
    """Top-level definitions of both files: source and the names that each one uses."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for module in (helpers, array_helpers):
        found |= _definitions(inspect.getsource(module))
    return found


def _definitions(source: str) -> dict[str, tuple[str, frozenset[str]]]:
    lines = source.splitlines()
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            name = node.name
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        else:
            continue
        uses = frozenset(part.id for part in ast.walk(node) if isinstance(part, ast.Name)) - {name}
        found[name] = (_with_comment(lines, node.lineno - 1, node.end_lineno or node.lineno), uses)
    return found


def _with_comment(lines: list[str], start: int, end: int) -> str:
    """The definition with the comment lines right above it."""
    while start > 0 and lines[start - 1].startswith("#") and not lines[start - 1].startswith("# ----"):
        start -= 1
    return "\n".join(lines[start:end])


def helpers_called(lines: Iterable[str]) -> list[str]:
    """Names of the helpers that lines of generated code call; no variable is ever called."""
    return sorted({name for line in lines for name in _CALL.findall(line)} & set(_pieces()))


def helper_source(names: Iterable[str]) -> str:
    """Source of the named helpers and of all that they use, in the order of the files."""
    pieces = _pieces()
    needed: set[str] = set()
    work = list(names)
    while work:
        name = work.pop()
        if name in pieces and name not in needed:
            needed.add(name)
            work.extend(pieces[name][1])
    return "\n\n\n".join(text for name, (text, _) in pieces.items() if name in needed)


__all__ = ["ARRAY_FUNCTIONS", "helper_source", "helpers_called"]
