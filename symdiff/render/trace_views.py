"""What `Program.trace` gives: the numbers of a trace, which print themselves."""

from __future__ import annotations

from typing import Any

from symdiff.formula_data import FormulaData
from symdiff.render import trace_text
from symdiff.render.shown import Page, Shown
from symdiff.trace import State, Trace


class TraceView(Shown):
    """A trace: print it, ask for the state `before` a step, or take it as plain lists with `json`. A notebook shows its
    table.
    """

    def __init__(self, numbers: Trace, data: FormulaData) -> None:
        self.numbers, self._data = numbers, data

    value = property(lambda self: self.numbers.value, doc="Value of the formula.")

    @property
    def gradient(self) -> dict[str, Any]:
        """Derivative by each variable; of a traced function an array for each argument."""
        return self._data.gathered(self.numbers.gradient)

    def before(self, name: str) -> StateView:
        """All adjoints just before `name` sends its own (complete) adjoint to its operands, with what is still
        pending.
        """
        return StateView(self.numbers, self.numbers.before(name))

    def json(self) -> dict[str, Any]:
        """Lists `steps` and `reverse` (n, name, op, operands, value, adjoint, pending); non-finite numbers are
        strings.
        """
        return trace_text.trace_dict(self.numbers)

    def __str__(self) -> str:
        return trace_text.trace_text(self.numbers)

    def __repr__(self) -> str:
        return f"<symdiff trace of {len(self.numbers.nodes)} steps>"

    def _page(self) -> Page:
        from symdiff.render.notebook import trace_page

        return trace_page(self.numbers, self._data)

    def _plain(self) -> str:
        return str(self)


class StateView:
    """The state before one reverse step: `adjoints` so far by variable, and `pending` contributions as text."""

    def __init__(self, numbers: Trace, state: State) -> None:
        self.numbers, self.state = numbers, state
        self.name, self.adjoint, self.adjoints = state.name, state.adjoint, dict(state.adjoints)

    @property
    def pending(self) -> dict[str, list[str]]:
        """Variable -> contributions that are still missing, in the order in which they will come."""
        return {name: [trace_text.expression(step) for step in steps] for name, steps in self.state.pending.items()}

    def json(self) -> dict[str, Any]:
        """The state as plain dictionaries and numbers."""
        return trace_text.state_dict(self.numbers, self.state)

    def __str__(self) -> str:
        return trace_text.state_text(self.numbers, self.state)

    def __repr__(self) -> str:
        return f"<symdiff state before {self.name}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython shows: the table."""
        printer.text(repr(self) if cycle else str(self).rstrip("\n"))


__all__ = ["StateView", "TraceView"]
