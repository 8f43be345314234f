"""NumPy arrays of operands: NumPy's functions on them mean the ops of the table.

A plain array of objects would compare and branch where `np.maximum(h, 0)` and `np.where(h > 0, h, 0)` choose.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.errors import UnsupportedError
from symdiff.ops import TABLE
from symdiff.ops.evaluate import float_function
from symdiff.programs.lines import here, located, no_numpy, refusal
from symdiff.programs.operand import METHODS, UFUNCS, Condition, Operand, apply, method

# arithmetic, which NumPy does on objects by their own operators
_NATIVE = frozenset({"add", "subtract", "multiply", "divide", "negative", "positive", "conjugate"})
_INSTEAD = {
    "clip": "np.minimum(np.maximum(x, a), b)",
    "exp2": "2**x",
    "fmax": "np.maximum(x, y)",
    "fmin": "np.minimum(x, y)",
    "logaddexp": "a + np.log(np.exp(x - a) + np.exp(y - a))",
}
_INSTEAD |= dict.fromkeys(("ceil", "floor", "rint", "trunc"), "the program without rounding (it has no derivative)")
# of np.linalg: they hand their floats to LAPACK
_FLOATS_ONLY = frozenset(
    "cholesky cond det eig eigh eigvals eigvalsh inv lstsq matrix_rank pinv qr slogdet solve svd svdvals tensorinv "
    "tensorsolve".split()
)


class OperandArray(np.ndarray):
    """A NumPy array of operands and floats (dtype object), on which NumPy's functions mean the ops of the table."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # the ops of the table as methods, added below

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return call_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.where and len(args) == 3:
            return apply("where", *args)
        if func.__module__ == "numpy.linalg" and func.__name__ in _FLOATS_ONLY:
            raise refusal(no_numpy(f"np.linalg.{func.__name__}"), here())
        return super().__array_function__(func, types, args, kwargs)


def array(values: Any) -> OperandArray:
    """Nested lists (or an array) of operands and numbers as an array on which NumPy's functions work."""
    return np.array(values, dtype=object).view(OperandArray)


def call_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What NumPy's `ufunc` (or its reduce, accumulate, outer) gives over operands."""
    name = ufunc.__name__
    out = options.pop("out", None)
    if options.get("dtype") is None:
        options.pop("dtype", None)
    native = name in _NATIVE or ufunc.signature is not None
    if not native and name not in UFUNCS:
        known = _INSTEAD.get(name)
        known_as = f"np.{name}" if hasattr(np, name) else name  # SciPy has such functions too
        advice = f"write {known}" if known else "write it with the functions of symdiff.functions"
        raise located(UnsupportedError, f"{known_as} is not known for symbols; {advice}")
    function = ufunc if native else _ufunc(UFUNCS[name])
    result = getattr(function, method)(*map(_plain_array, inputs), **options)
    if out is None:
        return _view(result)
    if out[0].dtype != object:
        raise located(UnsupportedError, "symbols do not go into an array of floats; make it with dtype=object")
    out[0][...] = result
    return out[0]


def _plain_array(value: Any) -> Any:
    """An operand or array as NumPy's loops over objects take it."""
    if isinstance(value, Operand | Condition):
        made = np.empty((), object)
        made[()] = value
        return made
    return np.asarray(value).astype(object, copy=False).view(np.ndarray)


def _view(result: Any) -> Any:
    return result.view(OperandArray) if isinstance(result, np.ndarray) and result.dtype == object else result


def elementwise(op: str, args: tuple[Any, ...]) -> Any:
    """The op over operands, real numbers and arrays of both, of which there is at least one."""
    arrays = [np.asarray(arg) for arg in args]
    if all(array.dtype.kind in "biuf" for array in arrays):
        made = [array if op == "where" and k == 0 else array.astype(np.float64) for k, array in enumerate(arrays)]
        with np.errstate(all="ignore"):
            return float_function(op)(*made)
    return _view(_ufunc(op)(*(_plain_array(arg) for arg in args)))


@cache
def _ufunc(op: str) -> Any:
    """The op as a NumPy function over arrays of objects."""
    return np.frompyfunc(lambda *args: apply(op, *args), TABLE[op].operands, 1)


for _name, _op in METHODS.items():
    setattr(OperandArray, _name, method(_op))

__all__ = ["OperandArray", "array", "call_ufunc", "elementwise"]
