"""What a derivation shows: its style, its digits, one line per step or per statement, and its headings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from symdiff.errors import SymdiffError, nearest, quoted

Style = Literal["full", "steps", "chain", "matrix"]
Level = Literal["step", "statement"]
Headings = Literal["section", "paragraph", "none"]
STYLES: tuple[str, ...] = get_args(Style)
LEVELS: tuple[str, ...] = get_args(Level)
HEADINGS: tuple[str, ...] = get_args(Headings)
MOST_DIGITS = 17  # what tells two float64 apart
_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
).split()


@dataclass(frozen=True)
class Options:
    """Raises SymdiffError for a style, a level or headings that there are not, and for digits out of range.

    style     full (everything), steps (a table of the steps), chain (products of partial derivatives along the paths),
              matrix (index rules, then the gradient in matrix notation)
    digits    significant digits of numbers, 1 to 17
    level     a line per elementary step, or per statement of the formula
    headings  of LaTeX: unnumbered sections, unnumbered paragraphs, or none
    """

    style: str = "full"
    digits: int = 8
    level: str = "step"
    headings: str = "section"

    def __post_init__(self) -> None:
        _one_of("style", self.style, STYLES)
        _one_of("level", self.level, LEVELS)
        _one_of("headings", self.headings, HEADINGS)
        whole = isinstance(self.digits, int) and not isinstance(self.digits, bool)
        if not whole or not 1 <= self.digits <= MOST_DIGITS:
            raise SymdiffError(f"digits: expected a whole number from 1 to {MOST_DIGITS}, got {self.digits!r}")

    @property
    def by_statement(self) -> bool:
        """Whether there is one line per statement."""
        return self.level == "statement" and self.style != "matrix"  # the rules are about steps

    @property
    def digits_said(self) -> str:
        """`eight significant digits`."""
        return f"{_WORDS[self.digits - 1]} significant digit{'' if self.digits == 1 else 's'}"


def _one_of(what: str, given: object, allowed: tuple[str, ...]) -> None:
    if given in allowed:
        return
    shown, hint = (quoted(given), nearest(given, allowed)) if isinstance(given, str) else (type(given).__name__, "")
    raise SymdiffError(f"{what}: expected one of {', '.join(allowed)}, got {shown}{hint}")


FULL = Options()

__all__ = ["FULL", "HEADINGS", "LEVELS", "MOST_DIGITS", "STYLES", "Headings", "Level", "Options", "Style"]
