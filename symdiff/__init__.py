"""symdiff: write the mathematics once; get the derivation, the code and the speed out of the same list of steps.

>>> import symdiff
>>> f = symdiff.formula("1/(sin(w1*x1)**2 + cos(w2*x2) + 2)")
>>> g = f.gradient()
>>> t = g.trace(at={"w1": -3, "x1": -2, "w2": 2, "x2": -1})
>>> t.value
0.6017114415641729
"""

from symdiff import functions, init, optim
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
from symdiff.formula import Limits
from symdiff.pipeline import VERSION, Formula, Kernel, Program, formula, gradient, trace_function
from symdiff.programs.scalar import Scalar

__version__ = VERSION


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
