"""A formula that has been read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from symdiff import frontend
from symdiff.errors import ShapeError, SymdiffError, nearest, quoted
from symdiff.formula_data import FormulaData
from symdiff.linearize import linearize
from symdiff.pipeline.program import Program
from symdiff.render.context import default_wrt
from symdiff.render.shown import Page, Shown
from symdiff.shapes import shape_text
from symdiff.tape import Tape


class Formula(Shown):
    """A formula that has been read: `inputs` (name -> shape, in the order of a call), `constants`, `defaults`,
    `source`, `sympy`.
    """

    def __init__(self, data: FormulaData, primal: Tape | None = None) -> None:
        self.data = data
        # now, so that what is wrong with a formula is said where it is given
        self.primal = linearize(data) if primal is None else primal
        self.inputs, self.defaults, self.source = data.arguments, data.defaults, data.source
        self.constants = tuple(group.name for group in data.groups if group.constant) or data.constants

    @property
    def sympy(self) -> Any:
        """The output as a SymPy expression in the inputs, in the order typed."""
        return self.data.sympy

    def bind(self, **functions: Any) -> Formula:
        """The formula with abstract functions bound: `f.bind(phi="relu", l="def l(o, y): return sum((o - y)**2)/2")`.

        A value is the name of a function of the language, a `def` as text, "@FILE" or a pathlib.Path with one, or a
        Python function, whose source is read. Raises ParseError where it is none of these, takes another number of
        arguments, or mixes elements though the function is declared elementwise; ShapeError where it gives another
        shape than declared; SymdiffError for a name that is not an abstract function.
        """
        return Formula(frontend.bind(self.data, functions))

    def gradient(self, wrt: Iterable[str] | str | None = None) -> Program:
        """Value and gradient by `wrt`: names of inputs, by default every input that is not constant.

        Raises ShapeError where the value is not one number.
        """
        shape = self.primal.steps[-1].shape
        if shape:
            raise ShapeError(
                f"the gradient needs a value that is one number, and this one has shape {shape_text(shape)}; sum it, "
                "or pick a component (value(), or --value, gives the value alone)"
            )
        return Program(self.data, self.primal, "gradient", _variables(self.data, wrt))

    def value(self) -> Program:
        """The value alone."""
        return Program(self.data, self.primal, "value", ())

    def __repr__(self) -> str:
        return f"<symdiff formula of {', '.join(self.inputs)}>"

    def _page(self) -> Page:
        from symdiff.render.notebook import formula_page

        return formula_page(self.data, self.primal)


def _variables(data: FormulaData, wrt: Iterable[str] | str | None) -> tuple[str, ...]:
    """Names to differentiate by, checked."""
    if wrt is None:
        names = tuple(group.name for group in data.groups if not group.constant) or default_wrt(data)
        if not names:
            raise SymdiffError("every input is declared constant, so there is nothing to differentiate by")
        return names
    names = (wrt,) if isinstance(wrt, str) else tuple(wrt)
    constants = [group.name for group in data.groups if group.constant] or data.constants
    for index, name in enumerate(names):
        if name not in data.arguments:
            raise SymdiffError(f"wrt: {quoted(str(name))} is not an input{nearest(str(name), data.arguments)}")
        if name in constants:
            raise SymdiffError(f"wrt: '{name}' is declared constant")
        if name in names[:index]:
            raise SymdiffError(f"wrt: '{name}' is named twice")
    if not names:
        raise SymdiffError("wrt names no variable")
    return names


__all__ = ["Formula"]
