"""A formula with its steps: what code, derivation and training of a program all start from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, TypeVar

from symdiff.adjoint import adjoint
from symdiff.build.package import package_directory
from symdiff.errors import BuildError, UnsupportedError, quoted
from symdiff.formula_data import FormulaData
from symdiff.passes import for_code, for_values
from symdiff.render.context import Sheet
from symdiff.rule import Rule, Update, instance
from symdiff.runtime.spec import KernelSpec
from symdiff.tape import Step, Tape

Kind = Literal["gradient", "value"]
DType = Literal["float64", "float32"]
Backend = Literal["auto", "c", "numpy"]
T = TypeVar("T")


class Steps:
    """Data, tape and update rule of a program, and what renderers get of them."""

    def __init__(
        self, data: FormulaData, primal: Tape, kind: Kind, wrt: tuple[str, ...], rule: Rule | None = None
    ) -> None:
        self.data, self.primal, self.kind, self.wrt, self.rule = data, primal, kind, wrt, rule

    @cached_property
    def written_update(self) -> Update | None:
        """The rule written out for every variable; None without a rule."""
        if self.rule is None:
            return None
        bars, shapes = dict(self.tape.bars), {**self.tape.shapes, **self.data.arguments}
        named = [(name, shapes[name], bars.get(name)) for name in self.wrt]
        return instance(self.rule, named, self.tape.bound_names())

    @cached_property
    def tape(self) -> Tape:
        """The tape as linearized, in the user's words and order, with its reverse sweep."""
        return adjoint(self.primal, self._scalars) if self.kind == "gradient" else self.primal

    @cached_property
    def code_tape(self) -> Tape:
        """The same tape after the passes, as code is printed from it."""
        tape = for_values(self.primal)
        return for_code(adjoint(tape, self._scalars) if self.kind == "gradient" else tape)

    @property
    def _scalars(self) -> tuple[str, ...]:
        """Inputs of the tape that it is differentiated by: of a traced function the elements of `wrt`."""
        return self.data.scalars(self.wrt)

    @property
    def steps(self) -> tuple[Step, ...]:
        """One elementary step per line."""
        return self.tape.steps

    def sheet(self, name: str = "formula", dtype: DType = "float64", at: Mapping[str, Any] | None = None) -> Sheet:
        """What renderers get; `name` is the prefix of the C functions."""
        dtype = dtype_of(dtype)
        update = self.written_update
        return Sheet(package_directory(name), self.data, self.tape, self.code_tape, self.kind, dtype, at, update)

    def _code_sheet(self, name: str, dtype: DType) -> Sheet:
        """The sheet for code alone, which has no use for the reverse sweep that people read."""
        dtype = dtype_of(dtype)
        return Sheet(
            package_directory(name), self.data, self.primal, self.code_tape, self.kind, dtype, None, self.written_update
        )

    def _spec(self, dtype: DType) -> KernelSpec:
        data = self.data
        given = self._code_sheet("formula", dtype).kernel_shapes
        return KernelSpec("formula", tuple(data.arguments), self.wrt, self.kind, dtype, dict(data.defaults), **given)

    def _built(self, backend: Backend, by_c: Callable[[], T], by_numpy: Callable[[], T]) -> T:
        """What the backend gives; `auto` is C, with NumPy and a warning where that cannot be built."""
        if backend == "numpy":
            return by_numpy()
        try:
            return by_c()
        except BuildError as error:
            if backend == "c":
                raise
            warnings.warn(
                f"using NumPy, because the C kernel cannot be built: {error.headline.splitlines()[0]}",
                RuntimeWarning,
                stacklevel=3,
            )
            return by_numpy()


def dtype_of(dtype: Any) -> DType:
    """`float64` or `float32`, by name or as NumPy's type."""
    name = getattr(dtype, "__name__", None) or getattr(dtype, "name", None) or str(dtype)
    if name == "float64":
        return "float64"
    if name == "float32":
        return "float32"
    raise UnsupportedError(f"no kernels in {quoted(str(name))}: float64, float32")


def backend_of(name: Any) -> Backend:
    if name not in ("auto", "c", "numpy"):
        raise UnsupportedError(f"no backend {quoted(str(name))}: auto, c, numpy")
    return name  # type: ignore[no-any-return]  # one of the three


__all__ = ["Backend", "DType", "Kind", "Steps", "backend_of", "dtype_of"]
