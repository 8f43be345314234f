r"""Users' names as mathematics: `x_1` -> x_{1}, `alpha` -> \alpha, `loss_value` -> \mathit{loss\_value}.

    Symbol ::= base, subscript           # an adjoint puts its bar over the base alone: \bar{v}_{3}

One table per document, and it is injective: where two names would print alike (`x1` and `x_1`), both are spelled letter
by letter. A name too long for a line is abbreviated, and the document says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_LOWER = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega varepsilon vartheta varpi varrho varsigma varphi"
).split()
_UPPER = "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
GREEK = frozenset(_LOWER + _UPPER)
LONGEST = 28  # characters of a name that is printed in full
_PRETTY = re.compile(r"([A-Za-z]+)([0-9]*)((?:_[A-Za-z0-9]+)*)")


@dataclass(frozen=True, slots=True)
class Symbol:
    """LaTeX of one name. `letter` says that the base is a single letter, over which `\\bar` is wide enough."""

    base: str
    subscript: str = ""
    letter: bool = True

    @property
    def text(self) -> str:
        """The variable."""
        return self.base + self._below

    @property
    def bar(self) -> str:
        """Its adjoint."""
        return (rf"\bar{{{self.base}}}" if self.letter else rf"\overline{{{self.base}}}") + self._below

    @property
    def _below(self) -> str:
        return f"_{{{self.subscript}}}" if self.subscript else ""


def symbols(names: Iterable[str]) -> dict[str, Symbol]:
    """One symbol for each name; no two names get the same."""
    wanted = list(dict.fromkeys(names))
    table = {name: pretty(name) for name in wanted}
    for _ in range(2):  # what is spelled out because of a clash may in turn meet an abbreviation
        count = Counter(symbol.text for symbol in table.values())
        for name in wanted:
            if count[table[name].text] > 1:
                table[name] = spelled(name)
    used: set[str] = set()
    for name in wanted:
        number, base = 0, table[name]
        while table[name].text in used:
            number += 1
            table[name] = Symbol(base.base, rf"({number})", False)
        used.add(table[name].text)
    return table


def pretty(name: str) -> Symbol:
    """How a person would write the name, other names left aside."""
    match = _PRETTY.fullmatch(name)
    if match is None or len(name) > LONGEST:
        return spelled(name)
    letters, digits, rest = match.groups()
    parts = ([digits] if digits else []) + rest.split("_")[1:]
    if len(letters) == 1:
        return Symbol(letters, ",".join(map(_subscript, parts)))
    if letters in GREEK:
        return Symbol("\\" + letters, ",".join(map(_subscript, parts)))
    if all(part.isdigit() for part in parts):
        return Symbol(rf"\mathit{{{letters}}}", ",".join(parts), False)
    return spelled(name)


def _subscript(part: str) -> str:
    if part.isdigit() or len(part) == 1:
        return part
    return "\\" + part if part in GREEK else rf"\mathrm{{{part}}}"


def spelled(name: str) -> Symbol:
    """The name letter by letter, its middle left out where it is too long."""
    if len(name) > LONGEST:
        return Symbol(rf"\mathit{{{_escaped(name[:12])}}}{{\ldots}}\mathit{{{_escaped(name[-8:])}}}", "", False)
    return Symbol(rf"\mathit{{{_escaped(name)}}}", "", False)


def _escaped(name: str) -> str:
    return name.replace("_", r"\_")


def typewriter(name: str) -> str:
    r"""A name of any length in typewriter letters; one that is long for a line may be broken behind an underscore, and
    where it has none for long, behind every eighth letter.
    """
    if len(name) <= LONGEST:
        return rf"\texttt{{{_escaped(name)}}}"
    words = [word for word in re.split(r"(?<=_)(?!_|$)", name) if word]
    pieces = [word[k : k + 8] if len(word) > LONGEST else word for word in words
              for k in range(0, len(word) if len(word) > LONGEST else 1, 8)]  # fmt: skip
    return r"\texttt{" + r"\allowbreak{}".join(map(_escaped, pieces)) + "}"
