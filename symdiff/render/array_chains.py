r"""The gradient as products of partial derivatives in LaTeX, with what each factor is below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from symdiff.expr import Expr, Name, is_constant, substitute
from symdiff.render.array_paths import Chain, Edge, Paths, Sum
from symdiff.render.array_people import tidy
from symdiff.render.array_signs import WIDE
from symdiff.render.latex_lines import width
from symdiff.render.latex_notation import tagged
from symdiff.shapes import Shape

if TYPE_CHECKING:
    from symdiff.render.array_page import ArrayPage

_BREAK = r" \\ "
_FURTHER, _DEEPER = r"& \quad {} ", r"& \qquad \quad {} "  # the start of a line that begins with a sign, with a factor
_GAP = 4.0  # pt between factors
_KEPT = 8  # lines of one equation that stay on one page
_LONGEST = 90.0  # pt of a factor that is written below


class ChainWriter:
    """Spells the products of one page."""

    def __init__(self, page: ArrayPage) -> None:
        self.page = page
        self.turned: Mapping[str, Expr] = {}  # transposes that stand as such under the braces

    def chains(self) -> list[dict[str, Any]]:
        """For each named beginning and each variable, its products of partial derivatives."""
        model = self.page.model
        paths = Paths(self.page.locals, model.output, model.tape.wrt, model.named, model.options.style == "chain")
        self.turned = paths.turned
        found: list[dict[str, Any]] = []
        if paths.is_long:
            return [{"rows": [], "note": f"There are {len(paths.edges)} factors, too many to be written out here."}]
        for name in paths.named:
            total = paths.sum_of(name)
            left = f"{self.delta(name)} = {self._whole(total)}"
            found.append({"rows": self._chain_rows(left, total), "note": ""})
        for name in paths.wanted:
            if name == self.page.model.output:
                continue
            total, full = paths.sum_of(name), paths.full(name)
            left = self._whole(total)
            rows = []
            note = "" if full is not None else f"There are {paths.counts[name]} paths; what they share is named."
            same = full is not None and all(chain.start is None for chain in total.chains)
            if full is not None and not same:
                rows = self._full_rows(left, full)
                rest = self._chain_rows("", total)
                rows += rest
            else:
                rows = self._chain_rows(left, total)
            found.append({"rows": rows, "note": note})
        return [item | {"whole": len(item["rows"]) <= _KEPT} for item in found]

    def _whole(self, total: Sum) -> str:
        r"""`\frac{\partial J}{\partial o}`, or the adjoint where the same stands for a factor."""
        model = self.page.model
        bar = model.bars[total.left]
        return self.page.names[bar] if total.parts else self.page.partial(model.output, total.left)

    def delta(self, name: str) -> str:
        r"""`\delta_{z_{2}}`, or another letter where delta is taken."""
        letter = r"\delta" if self.page.marks.kronecker else r"\Delta"
        return rf"{letter}_{{{self.page.names[name]}}}"

    def _full_rows(self, left: str, full: list[tuple[Edge, ...]]) -> list[str]:
        products = []
        for edges in full:
            shown = [self.page.partial(edge.of, edge.by) for edge in edges]
            products.append([(text, width(text)) for text in shown])
        return _added(left, products)

    def _chain_rows(self, left: str, total: Sum) -> list[str]:
        products = [self._factors(chain) for chain in total.chains]
        return _added(left, [*products, *([[(r"\cdots", 14.0)]] if total.more else [])])

    def _factors(self, chain: Chain) -> list[tuple[str, float]]:
        found = []
        if chain.start is not None:
            shape = self._below(self.page.model.shapes[chain.start])
            value = self._small_value(Name(self.page.model.bars[chain.start]))
            found.append(
                _underbraced(self.delta(chain.start), [part for part in (value, shape) if part], self.page.flat)
            )
        for edge in chain.edges:
            found.append(self._factor(edge))
        return found

    def _factor(self, edge: Edge) -> tuple[str, float]:
        text = self.page.partial(edge.of, edge.by)
        primal = self.page.locals.primal[edge.of]
        compound = self.page.model.is_compound(edge.of)
        if compound:
            found = [self.page.model.compound_factor(send) for send in edge.sends]
        else:
            found = [self.page.locals.factor(primal, self.page.locals.operand(send), send.local) for send in edge.sends]
        if compound and any(factor is None for factor in found):
            tags = ", ".join(f"({tagged(send.label)})" for send in edge.sends)
            shape = self.page.jacobian_shape(primal.shape, self.page.model.shapes[edge.by])
            return _underbraced(text, [rf"\text{{see {tags}}}", shape], self.page.flat)
        if any(factor is None for factor in found):
            inside = self.page.model.shapes[edge.by]
            words = self.page.locals.word(primal, self.page.locals.operand(edge.sends[0]))
            rule = rf"\text{{rule }} ({primal.label})"
            said = [rf"\text{{{words}, }}{rule}" if self.page.flat else rf"\text{{{words}}}"] if words else []
            said += [] if words and self.page.flat else [rule]
            said.append(self.page.jacobian_shape(primal.shape, inside))
            return _underbraced(text, said, self.page.flat)
        factors = [substitute(factor, self.turned) for factor in found if factor is not None]
        factor = tidy(factors[0], self.page.model.shapes)
        shown = " + ".join(self.page.printer(each) for each in factors)
        own = self.page.printer.shaped(factor).shape
        shape = self._below(own or primal.shape or self.page.model.shapes[edge.by])
        value = self._small_value(factor) if len(factors) == 1 and not is_constant(factor) else ""
        if width(shown) > _LONGEST:
            shown = rf"\text{{rule }} ({primal.label})"
        return _underbraced(text, [part for part in (shown, value, shape) if part], self.page.flat)

    def _below(self, shape: Shape) -> str:
        """The shape of a factor; none for a number."""
        return self.page.shape(shape) if shape else ""

    def _small_value(self, expr: Expr) -> str:
        if self.page.flat or self.page.model.figures is None:
            return ""
        text = self.page.value(expr, 170, small=True)
        return text.replace(r"^{\top}", r"^{\!\top}") if text else ""


def _added(left: str, products: list[list[tuple[str, float]]]) -> list[str]:
    """A sum of products on lines: broken at plus signs, inside a product only where that is longer than a line."""
    room = WIDE - width(left) - 25
    rows, used = [""], 0.0
    for k, factors in enumerate(products):
        sign, extra = ("+ ", 14.0) if k else ("", 0.0)
        whole = extra + sum(wide + _GAP for _, wide in factors)
        if rows[-1] and used + whole > room:
            rows.append(_FURTHER)
            used = 0.0
        for m, (text, wide) in enumerate(factors):
            if m and used + wide > room:
                rows.append(_DEEPER)
                used = 25.0
            start = rows[-1] in ("", _FURTHER, _DEEPER)
            joint = "" if start else " " if m == 0 else r" \, "
            rows[-1] += joint + (sign if m == 0 else "") + text
            used += wide + _GAP + (extra if m == 0 else 0.0)
    return [f"{left} &= {rows[0]}", *rows[1:]]


def _underbraced(text: str, below: list[str], flat: bool) -> tuple[str, float]:
    wide = max([width(text), *(0.74 * width(part) for part in below)]) + 6
    if not below:
        return text, wide
    under = r": \ ".join(below) if flat else rf"\substack{{{_BREAK.join(below)}}}"
    return rf"\underbrace{{{text}}}_{{{under}}}", wide


__all__ = ["ChainWriter"]
