"""What the page asks, as JSON -> Question. Types and sizes are checked here, the words of a formula in the worker."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from symdiff.errors import SymdiffError

Want = Literal["parts", "package", "values"]
_PAGE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST = 500  # entries of a table


@dataclass(frozen=True, slots=True)
class Question:
    """page      which page asks: a newer question of the same page takes the place of an older one
    want      parts (all that is shown), package (a ZIP file), values (a point at which everything is finite)
    text      the formula
    name      of what is made
    wrt       variables to differentiate by; None for all that are not constant, empty for the value alone
    values    what is typed into the fields of the inputs
    bindings  what abstract functions are bound to
    style, level, digits  of the derivation, as for `Program.latex`
    """

    page: str
    want: Want
    text: str
    name: str
    wrt: tuple[str, ...] | None
    values: Mapping[str, str]
    bindings: Mapping[str, str]
    style: str
    level: str
    digits: int

    def json(self) -> bytes:
        """The question for a worker, which reads it with `question`."""
        return json.dumps(asdict(self)).encode("ascii")


def question(body: bytes) -> Question:
    """Raises SymdiffError where the JSON is not a question."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise SymdiffError("the request is not JSON") from None
    if not isinstance(found, dict) or not found.keys() <= set(Question.__slots__):
        raise SymdiffError(f"the request is not an object of {', '.join(Question.__slots__)}")
    page, want, wrt = _text(found, "page", "page"), _text(found, "want", "parts"), found.get("wrt")
    if not _PAGE.fullmatch(page):
        raise SymdiffError("page: expected at most 64 letters, digits, - and _")
    if want not in get_args(Want):
        raise SymdiffError(f"want: expected one of {', '.join(get_args(Want))}")
    return Question(
        page,
        want,  # type: ignore[arg-type]  # one of them
        _text(found, "text", ""),
        _text(found, "name", "formula"),
        None if wrt is None else _names(wrt),
        _table(found, "values"),
        _table(found, "bindings"),
        _text(found, "style", "full"),
        _text(found, "level", "step"),
        _whole(found, "digits", 8),
    )


def _text(found: Mapping[str, Any], key: str, otherwise: str) -> str:
    text = found.get(key, otherwise)
    if not isinstance(text, str):
        raise SymdiffError(f"{key}: expected text")
    return text


def _whole(found: Mapping[str, Any], key: str, otherwise: int) -> int:
    number = found.get(key, otherwise)
    if not isinstance(number, int) or isinstance(number, bool):
        raise SymdiffError(f"{key}: expected a whole number")
    return number


def _names(wrt: Any) -> tuple[str, ...]:
    if not isinstance(wrt, list) or len(wrt) > _MOST or not all(isinstance(name, str) for name in wrt):
        raise SymdiffError("wrt: expected a list of names")
    return tuple(wrt)


def _table(found: Mapping[str, Any], key: str) -> dict[str, str]:
    table = found.get(key, {})
    if not isinstance(table, dict) or len(table) > _MOST or not all(isinstance(text, str) for text in table.values()):
        raise SymdiffError(f"{key}: expected an object of texts")
    return table


__all__ = ["Question", "Want", "question"]
