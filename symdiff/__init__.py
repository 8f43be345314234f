"""symdiff: write the mathematics once; get the derivation, the code and the speed out of the same list of steps.

>>> import symdiff
>>> f = symdiff.formula("1/(sin(w1*x1)**2 + cos(w2*x2) + 2)")
>>> g = f.gradient()
>>> t = g.trace(at={"w1": -3, "x1": -2, "w2": 2, "x2": -1})
>>> t.value
0.6017114415641729
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from symdiff.errors import (
    BuildError,
    CheckpointError,
    DivergenceError,
    DomainError,
    ParseError,
    ShapeError,
    SymdiffError,
    UnsupportedError,
)

if TYPE_CHECKING:
    __version__: str
    from symdiff import functions, init, optim
    from symdiff.formula_data import Limits
    from symdiff.pipeline import Formula, Kernel, Program, formula, gradient, trace_function
    from symdiff.programs.scalar import Scalar

# Where the names come from that are imported when they are first asked for: `import symdiff` costs nothing until then.
_LATER = {
    "Formula": "symdiff.pipeline",
    "Kernel": "symdiff.pipeline",
    "Limits": "symdiff.formula_data",
    "Program": "symdiff.pipeline",
    "Scalar": "symdiff.programs.scalar",
    "formula": "symdiff.pipeline",
    "gradient": "symdiff.pipeline",
    "trace_function": "symdiff.pipeline",
}
_MODULES = ("functions", "init", "optim")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"symdiff.{name}")
    if name == "__version__":
        found = import_module("symdiff.pipeline").VERSION
    elif name in _LATER:
        found = getattr(import_module(_LATER[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: object) -> None:
    """What `%load_ext symdiff` calls in IPython and notebooks: it adds the cell magic `%%symdiff`."""
    from symdiff.notebook import register

    register(shell)


__all__ = [
    "BuildError",
    "CheckpointError",
    "DivergenceError",
    "DomainError",
    "Formula",
    "Kernel",
    "Limits",
    "ParseError",
    "Program",
    "Scalar",
    "ShapeError",
    "SymdiffError",
    "UnsupportedError",
    "__version__",
    "formula",
    "functions",
    "gradient",
    "init",
    "optim",
    "trace_function",
]
