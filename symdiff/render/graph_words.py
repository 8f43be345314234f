r"""Short pieces of mathematics for drawings: `v` with a subscript, `(.)^2`, `-0.27942`, as letters and as LaTeX.

    Words ::= Run ...        # what SVG and DOT print
              latex          # the same in LaTeX mathematics, without amsmath

The runs of a symbol are read from its LaTeX (`latex_names`), so a drawing and a derivation name things alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from symdiff.render.figures import literal
from symdiff.render.latex_names import Symbol
from symdiff.render.mathematics import signed

DIGITS = 5  # of a number beside an edge
MINUS, DOT = "\u2212", "\u00b7"

_SMALL = dict(
    zip(
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
        "omega varepsilon vartheta varpi varrho varsigma varphi".split(),
        "\u03b1\u03b2\u03b3\u03b4\u03f5\u03b6\u03b7\u03b8\u03b9\u03ba\u03bb\u03bc\u03bd\u03be\u03c0\u03c1\u03c3\u03c4\u03c5\u03d5\u03c7\u03c8"
        "\u03c9\u03b5\u03d1\u03d6\u03f1\u03c2\u03c6",
        strict=True,
    )
)
_LARGE = dict(
    zip(
        "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split(),
        "\u0393\u0394\u0398\u039b\u039e\u03a0\u03a3\u03a5\u03a6\u03a8\u03a9",
        strict=True,
    )
)
_TOKEN = re.compile(
    r"\\math(?P<font>it|rm)\{(?P<word>[^{}]*)\}|\{\\ldots\}(?P<dots>)|\\(?P<greek>[A-Za-z]+)|(?P<letter>[A-Za-z])|(?P<other>.)"
)


@dataclass(frozen=True, slots=True)
class Run:
    """Letters of one kind. `level` is -1 for a subscript, 1 for a superscript; `bar` is the line over an adjoint."""

    text: str
    italic: bool = False
    level: int = 0
    bar: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of mathematics."""

    runs: tuple[Run, ...]
    latex: str

    def __add__(self, other: Words) -> Words:
        between = " " if self.latex[-1:].isalpha() and other.latex[:1].isalpha() else ""  # `\cdot` and `x` are two
        return Words(self.runs + other.runs, self.latex + between + other.latex)

    @property
    def plain(self) -> str:
        """The letters alone."""
        return "".join(run.text for run in self.runs)

    def width(self, size: float) -> float:
        """A width that the letters do not exceed in the fonts that a browser or TeX may choose."""
        return sum(_run_width(run) for run in self.runs) * size

    def raised(self, level: int = 1) -> Words:
        """As an exponent, or (-1) as an index."""
        return Words(
            tuple(replace(run, level=level) for run in self.runs), f"{'^' if level > 0 else '_'}{{{self.latex}}}"
        )


def _run_width(run: Run) -> float:
    return sum(map(_letter_width, run.text)) * (0.74 if run.level else 1.0)


def _letter_width(letter: str) -> float:
    if letter.isdigit():
        return 0.6
    if letter in ".,:;|!'()[]/ \u00b7ijl\u2009":
        return 0.38
    if letter in "mwMW\u2016@\u2297\u2299\u2298\u03a3\u220f\u2192\u2026" or ord(letter) > 0x2200:
        return 0.95
    if letter.isupper():
        return 0.85
    return 0.75 if not letter.isascii() or letter in "+-=<>\u2212\u00d7\u00f7" else 0.6


def text(letters: str, latex: str | None = None) -> Words:
    r"""Upright letters; in LaTeX `\mathrm{letters}` unless said otherwise."""
    return Words((Run(letters),), rf"\mathrm{{{tex_escaped(letters)}}}" if latex is None else latex)


def joined(parts: Iterable[Words]) -> Words:
    """Pieces side by side."""
    found = Words((), "")
    for part in parts:
        found += part
    return found


_SPECIAL = {"\\": r"\backslash ", "{": r"\{", "}": r"\}", "~": r"\sim ", "^": r"\wedge ", "|": r"\vert "}


def tex_escaped(letters: str) -> str:
    r"""Letters for mathematics in LaTeX; what is no ASCII becomes `?`, which no label of ours has."""
    special = {**_SPECIAL, **{c: "\\" + c for c in "_%&#$"}, " ": r"\ ", MINUS: "-"}
    return "".join(special.get(c, c if c.isascii() and c.isprintable() else "?") for c in letters)


# -- symbols -----------------------------------------------------------------------------------------------------------


def symbol_words(symbol: Symbol) -> Words:
    """A variable."""
    return Words((*_runs(symbol.base, 0), *_runs(symbol.subscript, -1)), symbol.text)


def bar_words(symbol: Symbol) -> Words:
    """Its adjoint, with the bar over the base alone."""
    base = tuple(replace(run, bar=True) for run in _runs(symbol.base, 0))
    return Words((*base, *_runs(symbol.subscript, -1)), symbol.bar)


def _runs(latex: str, level: int) -> tuple[Run, ...]:
    found: list[Run] = []
    for match in _TOKEN.finditer(latex):
        letters, italic = _read(match)
        if found and found[-1].italic == italic:
            letters = found.pop().text + letters
        found.append(Run(letters, italic, level))
    return tuple(found)


def _read(match: re.Match[str]) -> tuple[str, bool]:
    kind = match.lastgroup
    if kind == "word":
        return match["word"].replace(r"\_", "_"), match["font"] == "it"
    if kind == "dots":
        return "\u2026", False
    if kind == "greek":
        name = match["greek"]
        return (_SMALL[name], True) if name in _SMALL else (_LARGE[name], False)
    return match[0], kind == "letter"


# -- numbers -----------------------------------------------------------------------------------------------------------


def number_words(value: float, digits: int = DIGITS) -> Words:
    r"""`-0.27942`, `6`, `1.2346 \times 10^{-5}`; digits at the end are left out where they are zeros of the number."""
    if not math.isfinite(value):
        shown = {math.inf: "\u221e", -math.inf: MINUS + "\u221e"}.get(value, "NaN")
        return Words((Run(shown),), signed(str(value), 0)[0])
    if value == 0:
        return _decimal("0", 0)
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    exponent, exact = int(power), float(f"{mantissa}e{power}") == value
    if -4 <= exponent < digits + (2 if exact else 0):
        shown = f"{value:.{max(digits - 1 - exponent, 0)}f}"
        return _decimal(_trimmed(shown) if exact else shown, 0)
    return _decimal(_trimmed(mantissa) if exact else mantissa, exponent)


def literal_words(value: float) -> Words:
    """A number of the formula; one with many digits is shortened, with dots that say so."""
    mantissa, power = literal(value)
    if len(mantissa) <= DIGITS + 3:
        return _decimal(mantissa, power)
    zeros = len(mantissa) - len(mantissa.lstrip("-0."))
    short = mantissa[: DIGITS + max(zeros, 2)].rstrip(".")
    whole = len(mantissa.split(".")[0].lstrip("-"))
    if "." not in short and whole > DIGITS:  # a long whole number
        return number_words(value)
    return _decimal(short, 0) + text("\u2026", r"\ldots") + (_times_ten(power) if power else Words((), ""))


def _trimmed(shown: str) -> str:
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _decimal(shown: str, power: int) -> Words:
    number = Words((Run(shown.replace("-", MINUS)),), shown)
    return number + _times_ten(power) if power else number


def _times_ten(power: int) -> Words:
    runs = (Run(f"{DOT}10"), Run(str(power).replace("-", MINUS), level=1))
    return Words(runs, rf" \cdot 10^{{{power}}}")


__all__ = [
    "DIGITS",
    "DOT",
    "MINUS",
    "Run",
    "Words",
    "bar_words",
    "joined",
    "literal_words",
    "number_words",
    "symbol_words",
    "tex_escaped",
    "text",
]
