"""The way from a formula to everything made of it: the one place that calls the stages.

source -> frontend.read -> linearize -> adjoint -> passes -> render -> build

A stage is imported when it is first needed, so that a kernel does not wait for what writes derivations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdiff import frontend
from symdiff.build.package import package_directory, run_builder
from symdiff.formula_data import Limits
from symdiff.pipeline.base import Backend, DType
from symdiff.pipeline.formulas import Formula
from symdiff.pipeline.program import Program
from symdiff.render.derivation_options import HEADINGS, LEVELS, MOST_DIGITS, STYLES
from symdiff.render.environment import keep_bytecode
from symdiff.rule import Range, Rule, rule_of
from symdiff.runtime.kernel import Kernel
from symdiff.shapes import Shape

if TYPE_CHECKING:
    from jinja2 import BytecodeCache

    from symdiff.doctor import Diagnosis
    from symdiff.render.trace_views import StateView, TraceView
    from symdiff.runtime.interrupt import Termination
    from symdiff.runtime.training import Trainer, Training

VERSION = "0.1.0"
MACROS = ""  # that a fragment of LaTeX needs; its mathematics is written out in what amsmath has

# Names of other modules that callers find here, imported when they are asked for.
_LATER = {
    "ENGINES": "symdiff.render.pdf",
    "StateView": "symdiff.render.trace_views",
    "Termination": "symdiff.runtime.interrupt",
    "TraceView": "symdiff.render.trace_views",
    "Trainer": "symdiff.runtime.training",
    "Training": "symdiff.runtime.training",
}


def _template_cache(language: str) -> BytecodeCache:
    from symdiff.build.templates import Bytecode

    return Bytecode(language)


keep_bytecode(_template_cache)


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_LATER[name]), name)
    return found


def formula(
    source: Any,
    *,
    shapes: Mapping[str, Shape] | None = None,
    constants: Iterable[str] = (),
    limits: Limits | None = None,
) -> Formula:
    """The formula in `source`: text (a str is always text), a pathlib.Path, a Python function, or a SymPy expression.

    shapes and constants may stand for declarations in the text; limits raise what is refused for its size. Also a
    decorator for a function, whose source is read and which is never run. Raises ParseError, DomainError or
    UnsupportedError with the place.
    """
    return Formula(frontend.read(source, shapes=shapes, constants=constants, limits=limits))


def formula_from_reference(reference: str, *, limits: Limits | None = None) -> Formula:
    """The function in `module.py:function`; the file is read as text and never imported."""
    return Formula(frontend.read_reference(reference, limits=limits))


def trace_function(
    function: Callable[..., Any],
    *shapes: Any,
    names: Iterable[str] | None = None,
    constants: Iterable[str] | str = (),
    limits: Limits | None = None,
) -> Formula:
    """The formula that an ordinary Python function computes: it is run once on symbols, and every operation is a step.

    shapes     of the arguments, in order: () a number, 3 or (3,) a vector, (2, 3) a matrix. An array arrives as a NumPy
               array of symbols, a number as a symbol; both have the functions of `symdiff.functions` as methods
    names      of the arguments, where those of the signature will not do: all of them in order, or new names by old
               ones, names={"sin": "s"}
    constants  names of arguments that are not differentiated
    limits     raise `steps` to accept more than 200,000 steps

    The function is run this once and never again, so whatever else it uses is fixed in the formula from then on: what
    it reads from a file, a global or `self`, the number of passes of a loop. A random number drawn while tracing is a
    constant of the tape, the same in every call of the kernel: noise or a dropout mask must come in as an argument (one
    of the `constants`). What is to vary must be an argument.

    A comparison such as x > 0 is for `symdiff.functions.where`. All that asks for its truth is refused, save for what
    Python decides without asking: `(x > 0) is True` is False, also in `match`. Make arrays of symbols and numbers
    with `symdiff.functions.array` (or np.stack, np.hstack): NumPy's functions do not work on np.array([x, 1.0]).

    A vector counts as a bias for `symdiff.init.parameters`, which starts it at zero; give weights that are
    vectors (of a single unit, say) their start by hand.

    What the function raises passes through. Raises UnsupportedError, with the line of the program, where it needs the
    value of a symbol (an `if`, `math.exp`, an index) or a function of NumPy for floats alone; DomainError, with the
    line, for a constant that is nan or infinite; ShapeError where it does not return one number; ParseError for a name
    (of an argument, or given by `named`) that a formula cannot have; and SymdiffError for arguments that do not fit it.
    """
    from symdiff.programs import recording

    traced = recording.trace_function(function, shapes, names=names, constants=constants, limits=limits)
    return Formula(*traced)


is_reference = frontend.is_reference


def read_rule(source: Any, name: str, reference: str = "") -> Rule:
    """The update rule in a formula (see `symdiff.rule`), given as text, a pathlib.Path or a Python function.

    Raises what `formula` raises, and UnsupportedError where the formula is no update rule, with what is missing.
    """
    return rule_of(frontend.read(source), name, reference)


def gradient(
    source: Any,
    wrt: Iterable[str] | None = None,
    *,
    backend: Backend = "auto",
    dtype: DType = "float64",
    **options: Any,
) -> Kernel:
    """The compiled kernel of value and gradient, in one go: `formula(source,
    **options).gradient(wrt).compile(backend)`.
    """
    return formula(source, **options).gradient(wrt).compile(backend, dtype=dtype)


def build_package(folder: Path) -> str:
    """Compile the kernel of a generated package, as `python -m NAME.build` does; returns what that prints."""
    return run_builder(folder)


def doctor() -> Diagnosis:
    """What this machine gives to kernels, and what to install; never raises."""
    from symdiff.doctor import diagnose

    return diagnose(VERSION)


__all__ = [
    "ENGINES",
    "HEADINGS",
    "LEVELS",
    "MACROS",
    "MOST_DIGITS",
    "STYLES",
    "VERSION",
    "Formula",
    "Kernel",
    "Limits",
    "Program",
    "Range",
    "Rule",
    "StateView",
    "Termination",
    "TraceView",
    "Trainer",
    "Training",
    "build_package",
    "doctor",
    "formula",
    "formula_from_reference",
    "gradient",
    "is_reference",
    "package_directory",
    "read_rule",
    "trace_function",
]
