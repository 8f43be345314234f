"""What the less usual functions of a formula of scalars are, said once where they occur."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from symdiff.expr import Call, Expr, Name, Number, walk
from symdiff.render.derivation_model import Derivation, Term
from symdiff.render.latex_notation import LatexNotation


def definitions(derivation: Derivation, notation: LatexNotation) -> list[str]:
    """What the less usual functions are, for those that the derivation shows."""
    shown = {
        part.op for equation in derivation.forward for part in walk_terms(equation.terms) if isinstance(part, Call)
    }
    shown |= {part.op for row in derivation.local_rows for part in walk_terms((row.term,)) if isinstance(part, Call)}
    u, v = Name("u"), Name("v")
    printer = replace(notation.local, names={"u": "u", "v": "v"})
    operands = {"polygamma": (Number(1.0), u), "xlogy": (u, v), "atan2": (u, v)}
    return [
        f"{printer(Call(op, operands.get(op, (u,))))} {meaning}" for op, meaning in _DEFINITIONS.items() if op in shown
    ]


def walk_terms(terms: tuple[Term, ...]) -> Iterator[Expr]:
    """Every node of every expression of some terms."""
    for term in terms:
        if term.expr is not None:
            yield from walk(term.expr)


_DEFINITIONS = {
    "sigmoid": "= 1 / (1 + e^{-u})",
    "softplus": r"= \log(1 + e^{u})",
    "relu": r"= \max(u, 0)",
    "silu": "= u / (1 + e^{-u})",
    "gelu": r"= \frac{u}{2} \operatorname{erfc}(-u / \sqrt{2})",
    "xlogy": r"= u \log(v)",
    "digamma": r"= \Gamma'(u) / \Gamma(u)",
    "polygamma": r"= \psi'(u), \text{ the derivative of } \psi = \Gamma' / \Gamma",
    "atan2": r"= \text{the angle of the point } (v, u)",
}


__all__ = ["definitions", "walk_terms"]
