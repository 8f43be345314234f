"""Every error that symdiff raises on purpose: what is wrong, where, and what to do.

`SymdiffError` is the common parent, so `except symdiff.SymdiffError` catches all of them and nothing else. An error
that points into a formula carries `line` and `column` (both from 1) and shows the line with a caret under the place.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Self

_EXCERPT = 72  # characters of the offending line that are shown around the caret


class SymdiffError(Exception):
    """Parent of all errors of this package.

    `message` says what is wrong and what to do; `line` and `column` count from 1 and are None where the error does not
    point into a text.
    """

    def __init__(self, message: str, *, text: str | None = None, at: int | None = None) -> None:
        self.message = message
        self.line: int | None = None
        self.column: int | None = None
        excerpt = ""
        if text is not None and at is not None:
            at = min(max(at, 0), len(text))
            start = text.rfind("\n", 0, at) + 1
            self.line = text.count("\n", 0, at) + 1
            self.column = at - start + 1
            excerpt = _excerpt(text, start, at)
        where = f"line {self.line}, column {self.column}: " if self.line is not None else ""
        self.headline = where + message
        super().__init__(self.headline + excerpt)
        self._excerpt = excerpt

    def in_file(self, name: str) -> Self:
        """The same error, with the file that it points into named at the front."""
        self.headline = f"{quoted(name, 250)}{', ' if self.line is not None else ': '}{self.headline}"
        self.args = (self.headline + self._excerpt,)
        return self


class ParseError(SymdiffError):
    """The text is not a formula of the language (see README, *The formula language*)."""


class UnsupportedError(SymdiffError):
    """The input is understood, and this version cannot do it; the message says what can be done instead."""


class ShapeError(SymdiffError, ValueError):
    """Shapes do not fit: of operands in a formula, or of the arrays handed to a kernel."""


class DomainError(SymdiffError, ValueError):
    """A constant of the text lies outside the domain of a function (`log(-1)`), or leaves the range of float64."""


class BuildError(SymdiffError):
    """The C compiler is missing or refused the generated file; the message has the command and its last lines."""


class DivergenceError(SymdiffError):
    """A number of a training is not finite any more; `training` is what was made before that update (a Training)."""

    training: Any = None


class CheckpointError(SymdiffError):
    """A checkpoint cannot be read or written, is damaged, or belongs to another training.

    `training` is what the run has made (a Training) where that could not be kept; None where it did not begin.
    """

    training: Any = None


def _excerpt(text: str, start: int, at: int) -> str:
    """The line with a caret under `at`; shortened around it, with anything unprintable shown as `?`."""
    end = text.find("\n", start)
    line = text[start : len(text) if end < 0 else min(end, at + _EXCERPT)]
    offset = max(0, at - start - _EXCERPT // 2)
    shown = line[offset : offset + _EXCERPT]
    shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in shown)
    number = str(text.count("\n", 0, at) + 1)
    gutter = " " * len(number)
    return f"\n  {number} | {shown}\n  {gutter} | {' ' * (at - start - offset)}^"


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest known name, or an empty string.

    A name of unreasonable length is not compared: difflib is quadratic in it.
    """
    if len(name) > 64:
        return ""
    close = difflib.get_close_matches(name, list(known)[:2000], n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def quoted(text: str, limit: int = 40) -> str:
    """User text made fit for a message: ASCII, printable, shortened, in single quotes."""
    shown = text if len(text) <= limit else text[: limit - 3] + "..."
    return "'" + shown.encode("unicode_escape").decode("ascii").replace("'", "\\'") + "'"
