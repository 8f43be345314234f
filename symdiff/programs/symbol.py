"""A symbol: what a program computes with while it is recorded. Every operation on it becomes a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symdiff.errors import UnsupportedError, nearest
from symdiff.expr import Name
from symdiff.programs.lines import located
from symdiff.programs.operand import Operand

if TYPE_CHECKING:
    from symdiff.programs.recording import Recording

_NO_VALUE = "a symbol stands for any number, so it has no value: no .{}"
_VALUES = frozenset("data item value grad numpy tolist detach backward requires_grad tape label real imag".split())


class Symbol(Operand):
    """A variable of the program that is being recorded. It is made by `trace_function` and of no use after it."""

    __slots__ = ("name", "recording")

    def __init__(self, recording: Recording, name: Name) -> None:
        self.recording, self.name = recording, name

    def _apply(self, op: str, args: tuple[Any, ...]) -> Operand:
        return self.recording.append(op, args)

    def named(self, label: str) -> Symbol:
        """The symbol with a name of its own in the steps; one that has a name already is copied."""
        return self.recording.named(self, label)

    def __getattr__(self, name: str) -> Any:
        if name in _VALUES:
            self._refuse(
                _NO_VALUE.format(name), "the program on x itself; values come from the kernel or .trace(at=...)"
            )
        if name.startswith("__"):
            raise AttributeError(name)  # Python and NumPy ask for protocols
        known = [each for each in dir(Operand) if not each.startswith("_")]
        raise located(
            MissingAttributeError,
            f"a symbol has no '{name}'{nearest(name, known)}; it has the functions of symdiff.functions as methods",
        )

    def __format__(self, spec: str) -> str:
        if spec:
            self._refuse(f"a symbol has no value that '{spec}' could format", "the program without printing numbers")
        return repr(self)

    def __copy__(self) -> Symbol:
        return self

    def __deepcopy__(self, memo: Any) -> Symbol:
        return self

    def __repr__(self) -> str:
        return self.name.id


class MissingAttributeError(UnsupportedError, AttributeError):
    """As Python's own error, so that `hasattr` says no."""
