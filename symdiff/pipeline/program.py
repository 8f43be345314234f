"""A formula with its steps, ready to be printed, rendered, traced and compiled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from symdiff.build.package import write_package
from symdiff.errors import BuildError, SymdiffError
from symdiff.pipeline.base import Backend, DType, backend_of, dtype_of
from symdiff.pipeline.documents import Documents
from symdiff.pipeline.training import Trained
from symdiff.rule import Rule
from symdiff.runtime.kernel import Kernel
from symdiff.trace import Trace, refuse_abstract

if TYPE_CHECKING:
    from symdiff.render.c_array_memory import MemoryUse
    from symdiff.render.trace_views import TraceView
    from symdiff.verify import Report

_LONG = 5_000  # statements that take a compiler about a second
_LONGEST_DERIVED = 2_000  # steps of the forward sweep; the derivation of a longer program is megabytes of text


class Program(Documents, Trained):
    """A formula with its steps, ready to be printed, rendered, traced and compiled."""

    def update(self, rule: Rule) -> Program:
        """The program with an update rule (`symdiff.optim`): it becomes part of the derivation and of the code.

        Raises SymdiffError for a program without a gradient, and for what is no rule.
        """
        if not isinstance(rule, Rule):
            raise SymdiffError(
                f"update: expected a rule such as symdiff.optim.adam(), got {type(rule).__name__}; "
                "symdiff.optim.named and symdiff.optim.rule make one of a name and of a text"
            )
        if self.kind != "gradient":
            raise SymdiffError("an update rule needs a gradient: take one with .gradient()")
        return Program(self.data, self.primal, self.kind, self.wrt, rule)

    def __repr__(self) -> str:
        return f"<symdiff {self.kind} of {len(self.primal.primal)} steps>"

    def trace(self, at: Mapping[str, Any]) -> TraceView:
        """Every node's value and every adjoint at a point, step by step."""
        from symdiff.render.trace_views import TraceView

        return TraceView(Trace(self.tape, self.data.scalar_point(at)), self.data)

    def check(self, at: Mapping[str, Any] | None = None, *, points: int = 3) -> Report:
        """The generated code put to the test: dot products, finite differences, complex step, 50 digits."""
        from symdiff.tangent import tangent
        from symdiff.verify import verify

        plain = self._of_scalars
        engines = {"numpy": plain.compile("numpy")}
        with suppress(BuildError):  # the report says that C was not tested
            engines["c"] = plain.compile("c")
        at = None if at is None else self.data.scalar_point(at)
        return verify(self.tape, tangent(self.primal, self._scalars), engines, at=at, points=points)

    @property
    def _of_scalars(self) -> Program:
        """The program of a traced function with an argument for every scalar; any other program itself."""
        if not self.data.groups:
            return self
        return Program(replace(self.data, groups=()), self.primal, self.kind, self._scalars)

    def example_point(self) -> dict[str, Any]:
        """A value for every input at which the value and its derivatives are finite and, if that can be found, of
        ordinary size: where the self-check of a package starts. Defaults are kept.

        Raises UnsupportedError for an abstract function, and ShapeError where no sizes fit.
        """
        from symdiff.render.points import array_point, check_point

        refuse_abstract(self.tape)
        sheet = self.sheet()
        if sheet.people.is_array or self.data.groups:
            return array_point(sheet).values(self.data.arguments)
        return dict(check_point(sheet))

    def compile(
        self, backend: Backend = "auto", *, dtype: DType = "float64", threads: int | Literal["auto"] | None = None
    ) -> Kernel:
        """A callable Kernel, whose `backend` says how it computes.

        `c` raises BuildError without a compiler; `auto` then falls back to NumPy with a warning. A long formula of
        scalars (more than 5,000 statements with its reverse sweep) takes a compiler seconds, and `auto` is NumPy right
        away: the first gradient is there before a compiler has started. Ask for `c` where many calls follow.

        `threads` share large batches; see `Kernel.threads`, which it sets.
        """
        dtype = dtype_of(dtype)
        chosen = backend_of(backend)
        if chosen == "auto" and self._is_long:
            chosen = "numpy"
        kernel = self._built(chosen, lambda: self._c_kernel(dtype), lambda: self._numpy_kernel(dtype))
        if threads is not None:
            kernel.threads = threads
        return kernel

    @property
    def _is_long(self) -> bool:
        """A formula of scalars for which a compiler takes seconds."""
        return len(self.code_tape.steps) > _LONG and not self.code_tape.is_array

    def memory(self, **sizes: int) -> MemoryUse:
        """How many numbers the C of a formula of arrays holds beside inputs and outputs, at these run-time sizes.

        `memory(n=1000).peak` is what it needs, `.intermediates` what all intermediate arrays together have.

        Raises SymdiffError for a formula of scalars, and for sizes that are missing, unknown or negative.
        """
        from symdiff.render.c_array import array_memory

        if not self.code_tape.is_array:
            raise SymdiffError("memory: a formula of scalars has no intermediate arrays")
        dims = self.code_tape.dims
        if sorted(sizes) != sorted(dims) or min(sizes.values(), default=0) < 0:
            raise SymdiffError(f"memory: expected sizes of 0 or more for {', '.join(dims) or 'nothing'}, got {sizes}")
        return array_memory(self._code_sheet("formula", "float64")).at(sizes)

    def _numpy_kernel(self, dtype: DType) -> Kernel:
        from symdiff.build import kernels
        from symdiff.render.python import load_module, python_module
        from symdiff.render.python_tape import tape_function

        sheet = self._code_sheet("formula", dtype)
        function = tape_function(sheet) if self._is_long else load_module(python_module(sheet), self.kind)
        return kernels.numpy_kernel(function, self._spec(dtype), trusted=True)

    def _c_kernel(self, dtype: DType) -> Kernel:
        from symdiff.build import kernels
        from symdiff.render.c import c_module

        # the other kind, and functions that no kernel calls, would only cost compile time
        made = c_module(self._code_sheet("formula", dtype), [self.kind], entries=False)
        return kernels.compile_c(
            made.single_file,
            self._spec(dtype),
            vector_functions=made.vector_functions,
            statements=made.statements,
            workspace=made.workspace,
        )

    @property
    def too_long_to_derive(self) -> str:
        """Why `write` leaves the derivation out unless it is asked for; empty for programs of up to 2,000 steps."""
        steps = len(self.primal.primal)
        return f"the derivation of {steps} steps is left out" if steps > _LONGEST_DERIVED else ""

    def write(
        self,
        path: str | Path,
        *,
        at: Mapping[str, Any] | None = None,
        dtype: DType = "float64",
        force: bool = False,
        derivation: bool | None = None,
    ) -> Path:
        """Write the package and return its folder, `path`, whose last part is its name. Existing files are kept unless
        `force`.

        `derivation`: whether the derivation goes along (Markdown and LaTeX). By default it does for programs of up to
        2,000 steps, not counting the reverse sweep; of a longer one it is megabytes, and a UserWarning and the
        package's README say that it is left out.
        """
        path = Path(path)
        written = write_package(path, self.files(path.name, at=at, dtype=dtype, derivation=derivation), force=force)
        if derivation is None and self.too_long_to_derive:
            warnings.warn(f"{self.too_long_to_derive}; derivation=True writes it all the same", stacklevel=2)
        return written

    def files(
        self,
        name: str = "formula",
        *,
        at: Mapping[str, Any] | None = None,
        dtype: DType = "float64",
        derivation: bool | None = None,
    ) -> dict[str, str]:
        """What `write` writes: path within the package's folder, which is to be called `name` -> text."""
        from symdiff.render.package import package_files

        refuse_abstract(self.tape)
        texts = {}
        if derivation or (derivation is None and not self.too_long_to_derive):
            texts = {f"{name}.tex": self.latex(at, name=name), f"{name}.md": self.markdown(at, name=name)}
        return package_files(self.sheet(name, dtype, at), texts)


__all__ = ["Program"]
