r"""Small arrays written out in LaTeX: matrices of elements, `w_{11} x_{1} + w_{12} x_{2}`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.expr import Call, Expr, Name, Number
from symdiff.ops.core import POWER
from symdiff.render.array_elements import Elements, Written, element_name, is_small, symbols_of
from symdiff.render.array_signs import WIDE, packed, wide
from symdiff.render.latex_lines import width
from symdiff.render.mathematics import MathPrinter

if TYPE_CHECKING:
    from symdiff.render.array_page import ArrayPage


class _ElementPrinter(MathPrinter):
    """Names may carry a superscript, which takes brackets under a power."""

    def _leaf(self, leaf: Name | Number) -> tuple[Any, int]:
        text, strength = super()._leaf(leaf)
        return text, POWER if isinstance(leaf, Name) and "^" in text else strength


class GridWriter:
    """Spells the arrays of one page."""

    def __init__(self, page: ArrayPage) -> None:
        self.page = page

    def elements(self) -> dict[str, list[str]]:
        """Small arrays written out; nothing where they are not small."""
        if not is_small(self.page.model.tape) or not self.page.model.active:
            return {}
        names = self._element_names()
        printer = _ElementPrinter(
            "latex", names, lambda number, alone: "", {}, functions=self.page.printer.functions,
            instead=self.page.printer.instead,
        )  # fmt: skip
        elements = Elements(self.page.model.tape)
        inputs = [each.name for each in self.page.model.tape.inputs if each.shape]
        given = [self._grid_line(name, "=", None, names, printer).replace("&=", "=") for name in inputs]
        forward = [self._line(w.step.name, "=", w, names, printer) for w in elements.forward()]
        reverse = []
        for written in elements.reverse():
            sign = "=" if written.step.into is None else r"\leftarrow"
            reverse.append(self._line(written.step.target, sign, written, names, printer))
        return {
            "result": [line for line in self._element_results(elements, names, printer) if line],
            "given": [f"& {line}" for line in packed([f"{line} \\qquad" for line in given], WIDE - 20, gap=22)],
            "forward": forward,
            "reverse": reverse,
        }

    def _element_results(self, elements: Elements, names: dict[str, str], printer: MathPrinter) -> list[str]:
        r"""`\frac{\partial E}{\partial W} = (\frac{\partial E}{\partial w_{11}} ...) = (x_1 \bar{i}_1 ...)`."""
        found = []
        for name in self.page.model.tape.wrt:
            terms = self.page.model.collected.get(name)
            if not self.page.model.shapes[name] or not terms:
                continue
            total: Expr = terms[0]
            for term in terms[1:]:
                total = Call("add", (total, term))
            array = elements.array(total)
            if array is None:
                found.append(self._whole_result(name, terms))
                continue
            places = symbols_of(name, self.page.model.shapes[name])
            by = {
                k: rf"\frac{{\partial {self.page.output}}}{{\partial {names[cell.id]}}}"
                for k, cell in np.ndenumerate(places)
            }
            cells = np.empty(places.shape, dtype=object)
            for place, text in by.items():
                cells[place] = text
            left = self.page.partial(self.page.model.output, name)
            shown, right = self._grid(cells, str), self._grid(array, printer)
            if wide(left + shown + right) + 50 <= WIDE:
                found.append(f"{left} &= {shown} = {right}")
            elif wide(left + right) + 30 <= WIDE:
                found.append(f"{left} &= {right}")
            else:
                found.append(self._whole_result(name, terms))
        return found

    def _whole_result(self, name: str, terms: Sequence[Expr]) -> str:
        """A derivative in matrix notation, where its elements do not fit on a line."""
        page = self.page
        rows = page.joined(page.printer, terms, WIDE - 80)
        return f"{page.partial(page.model.output, name)} &= " + (r" \\*" + "\n& \\qquad {} ").join(rows)

    def _element_names(self) -> dict[str, str]:
        found: dict[str, str] = {}
        arrays = dict(self.page.model.shapes)
        bases = {name: symbol for name, symbol in self.page.symbols.items() if name in arrays}
        bars = {bar: name for name, bar in self.page.model.bars.items()}
        taken = {symbol.text for symbol in self.page.symbols.values()}
        for name, shape in arrays.items():
            symbol = bases.get(bars.get(name, name))
            if symbol is None:
                continue
            base = symbol.base
            lower = base.lower() if len(base) == 1 and base.isalpha() else base
            if shape and replace(symbol, base=lower).text not in taken:
                base = lower
            head = (
                rf"\bar{{{base}}}"
                if name in bars and symbol.letter
                else rf"\overline{{{base}}}"
                if name in bars
                else base
            )
            above = f"^{{({symbol.subscript})}}" if symbol.subscript and shape else ""
            below = f"_{{{symbol.subscript}}}" if symbol.subscript and not shape else ""
            sizes = [int(size) for size in shape if isinstance(size, int)]
            for place in np.ndindex(*sizes):
                index = [str(k + 1) for k, size in zip(place, sizes, strict=True) if size > 1]
                joined = ("," if max(sizes, default=0) > 9 else "").join(index)
                found[element_name(name, place)] = head + above + below + (f"_{{{joined}}}" if joined else "")
        return found

    def _line(self, name: str, sign: str, written: Written, names: dict[str, str], printer: MathPrinter) -> str:
        """A step by its elements, or as a whole where they do not fit on a line or no short formula says them."""
        line = "" if written.array is None else self._grid_line(name, sign, written.array, names, printer)
        if line:
            return line
        page, left = self.page, self.page.names[name]
        rows = page.broken(page.printer, written.expr, WIDE - width(left) - 40)
        if page.model.shapes[name] and sign == "=" and len(rows) == 1:
            own = self._grid(symbols_of(name, page.model.shapes[name]), printer)
            if wide(left + own + rows[0]) + 40 <= WIDE:
                return f"{left} &= {own} = {rows[0]}"
        return f"{left} &{sign} " + (r" \\*" + "\n& \\qquad {} ").join(rows)

    def _grid_line(self, name: str, sign: str, array: Any, names: dict[str, str], printer: MathPrinter) -> str:
        """`W = (symbols) = (formulas)`."""
        own = self._grid(symbols_of(name, self.page.model.shapes[name]), printer)
        left = self.page.names[name]
        if array is None:
            return f"{left} &= {own}"
        formulas = self._grid(array, printer)
        middle = f"{own} = " if self.page.model.shapes[name] and sign == "=" else ""  # a share is no whole adjoint
        if wide(left + middle + formulas) + 40 <= WIDE:
            return f"{left} &= {middle}{formulas}" if middle else f"{left} &{sign} {formulas}"
        if wide(left + formulas) + 30 <= WIDE:
            return f"{left} &{sign} {formulas}"
        return ""

    def _grid(self, array: Any, printer: Callable[[Any], str]) -> str:
        array = np.asarray(array, dtype=object)
        if array.ndim == 0:
            return printer(array[()])
        rows = array if array.ndim == 2 else array[:, None]
        cells = [" & ".join(printer(cell) for cell in row) for row in rows]
        gap = 6 if any(r"\frac" in row for row in cells) else 2
        body = rf" \\[{gap}pt] ".join(cells)
        return rf"\begin{{pmatrix}} {body} \end{{pmatrix}}"


__all__ = ["GridWriter"]
