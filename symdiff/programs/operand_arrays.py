"""NumPy arrays of operands: NumPy's functions on them mean the ops of the table.

A plain array of objects would compare and branch where `np.maximum(h, 0)` and `np.where(h > 0, h, 0)` choose, and its
functions know no numbers among the operands. So what NumPy makes of operands (`np.hstack`, `np.stack`) is an
OperandArray too; what it refuses, or would answer with a branch, is refused here in the user's words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.errors import UnsupportedError
from symdiff.ops import TABLE
from symdiff.ops.evaluate import float_function
from symdiff.programs.lines import NO_MOD, NO_ROUNDING, here, located, no_numpy, refusal
from symdiff.programs.operand import METHODS, UFUNCS, Condition, Operand, apply, literal_power, method

# arithmetic, which NumPy does on objects by their own operators
_NATIVE = frozenset({"add", "subtract", "multiply", "divide", "negative", "positive", "conjugate"})
_INSTEAD = {
    "clip": "np.minimum(np.maximum(x, a), b)",
    "exp2": "2**x",
    "fmax": "np.maximum(x, y)",
    "fmin": "np.minimum(x, y)",
    "logaddexp": "a + np.log(np.exp(x - a) + np.exp(y - a))",
}
_INSTEAD |= dict.fromkeys(("ceil", "floor", "rint", "trunc"), NO_ROUNDING)
_INSTEAD |= dict.fromkeys(("remainder", "fmod", "floor_divide", "divmod", "modf"), NO_MOD[1])
_INSTEAD |= dict.fromkeys(
    ("logical_and", "bitwise_and"), "one where inside another: np.where(a, np.where(b, x, y), y) for x where a and b"
)
_INSTEAD |= dict.fromkeys(
    ("logical_or", "bitwise_or"), "one where inside another: np.where(a, x, np.where(b, x, y)) for x where a or b"
)
_INSTEAD |= dict.fromkeys(("logical_not", "invert"), "np.where(c, y, x) for x where c does not hold")
_ANY = "the count of the elements, where(np.sum(np.where(c, 1, 0)) > 0, x, y) for x if any of them holds"
_ALL = "the count of the elements, where(np.sum(np.where(c, 0, 1)) == 0, x, y) for x if all of them hold"
_NO_NAN = "the function without nan in its name: a symbol has no value that could be nan"
_INSTEAD |= dict.fromkeys(("isnan", "isfinite", "isinf"), "the program without it: a symbol has no value yet")
# functions of NumPy that are no ufuncs, and the one ufunc inside them would be a surprise in a message
_INSTEAD_OF_FUNCTIONS = {
    "any": _ANY,
    "all": _ALL,
    "nan_to_num": _INSTEAD["isnan"],
    **dict.fromkeys(("round", "around", "fix"), NO_ROUNDING),
}
_REORDERABLE = frozenset({"maximum", "minimum", "hypot"})  # may be reduced over several axes in one go
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
        return call_function(func, types, args, kwargs)


def array(values: Any) -> OperandArray:
    """Nested lists (or an array) of operands and numbers as an array on which NumPy's functions work.

    `np.array([x, 1.0])` would be a plain array of objects, whose elements NumPy asks for methods that numbers lack.
    """
    return np.array(values, dtype=object).view(OperandArray)


def call_function(function: Any, types: Sequence[type], args: Sequence[Any], options: dict[str, Any]) -> Any:
    """What a function of NumPy that is no ufunc gives over operands; arrays of them come back as OperandArrays."""
    if not all(issubclass(each, np.ndarray | Operand | Condition) for each in types):
        return NotImplemented
    if function is np.where and len(args) == 3:
        return apply("where", *args)
    if function is np.select:
        return _select(*args, **options)
    name = function.__name__
    if function.__module__ == "numpy.linalg" and name in _FLOATS_ONLY:
        raise refusal(no_numpy(f"np.linalg.{name}"), here())
    instead = _NO_NAN if re.fullmatch("nan[a-z]+", name) else _INSTEAD_OF_FUNCTIONS.get(name)
    if instead is not None:
        raise _unknown(f"np.{name}", instead)
    if name in ("var", "std") and args and np.ndim(args[0]) == 0:  # NumPy asks one number for its dtype
        args = array([args[0]]), *args[1:]
    made = np.ndarray.__array_function__(_NO_ARRAY, function, (np.ndarray,), args, options)
    return type(made)(map(_view, made)) if type(made) in (list, tuple) else _view(made)


_NO_ARRAY = np.empty(0)  # on which ndarray's own way of calling a function is found


def _select(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0) -> Any:
    """`np.select`: of several conditions that hold the first one counts."""
    if len(conditions) != len(choices):
        raise ValueError("np.select takes as many choices as conditions")
    result = default
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        result = apply("where", condition, choice, result)
    return result


def call_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What NumPy's `ufunc` (or its reduce, accumulate, reduceat, outer, at) gives over operands."""
    name = ufunc.__name__
    native = name in _NATIVE or ufunc.signature is not None
    if not native and name not in UFUNCS:
        instead = _INSTEAD.get(name, "it with the functions of symdiff.functions")
        if method == "reduce" and name in ("logical_or", "logical_and"):  # x.any(), x.all()
            instead = _ANY if name == "logical_or" else _ALL
        raise _unknown(f"np.{name}" if hasattr(np, name) else name, instead)  # SciPy has ufuncs too
    function = ufunc if native else _ufunc(UFUNCS[name])
    if method == "at":
        return _at(function, *inputs)
    out = options.get("out")
    made = _options(ufunc, method, options) if options else options
    if method == "reduceat":
        result = function.reduceat(_plain_array(inputs[0]), *inputs[1:], **made)
    else:
        result = getattr(function, method)(*map(_plain_array, inputs), **made)
    return _view(result) if out is None else out[0]


def _unknown(name: str, instead: str) -> UnsupportedError:
    return located(UnsupportedError, f"{name} is not known for symbols; write {instead}")


def _at(function: Any, target: Any, places: Any, *operand: Any) -> None:
    """`np.add.at(target, places, operand)`, which changes `target`."""
    if isinstance(target, np.ndarray):
        _check_holds_symbols(target)
        target = target.view(np.ndarray)
    function.at(target, places, *map(_plain_array, operand))


def _options(ufunc: Any, method: str, options: dict[str, Any]) -> dict[str, Any]:
    """Keywords of a ufunc as NumPy's loops over objects take them; `out` is written in place.

    A sum or product over the elements of a mask begins with 0 or 1, which an array of objects does not know by itself.
    """
    made = dict(options)
    if made.get("dtype") in (None, object, np.dtype(object)):
        made.pop("dtype", None)
    else:
        raise located(UnsupportedError, "symbols have no dtype to compute in; leave dtype= out")
    for each in made.get("out", ()):
        _check_holds_symbols(each)
    if "where" in made and made["where"] is not True:
        made["where"] = _mask(made["where"])
        if method == "reduce":
            if ufunc.identity is not None:
                made.setdefault("initial", ufunc.identity)
        elif "out" not in made:
            raise located(
                UnsupportedError,
                f"np.{ufunc.__name__} with where= and without out= leaves elements undefined; give out=, or write "
                "np.where(mask, a, b)",
            )
    if "out" in made:
        made["out"] = tuple(each.view(np.ndarray) for each in made["out"])
    return made


def _mask(where: Any) -> Any:
    """`where=` of a ufunc as an array of bool; conditions, which have no value, are refused."""
    try:
        return np.asarray(where).astype(bool)
    except UnsupportedError:
        raise located(
            UnsupportedError,
            "where= takes bools, and a comparison of symbols has no value; write np.sum(np.where(W > 0, W, 0)) for "
            "np.sum(W, where=W > 0), which chooses the elements beforehand",
        ) from None


def _check_holds_symbols(out: Any) -> None:
    if out.dtype != object:
        raise located(UnsupportedError, "symbols do not go into an array of floats; make it with dtype=object")


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
        if op == "pow" and made[1].ndim == 0:
            return literal_power(made[0], float(made[1]))  # as for one number
        with np.errstate(all="ignore"):
            return float_function(op)(*made)
    return _view(_ufunc(op)(*(_plain_array(arg) for arg in args)))


@cache
def _ufunc(op: str) -> Any:
    """The op as a NumPy function over arrays of objects."""

    def function(*args: Any) -> Any:
        return apply(op, *args)

    function.__name__ = op  # NumPy's errors call it so
    make: Callable[..., Any] = np.frompyfunc
    return make(function, TABLE[op].operands, 1, **({"identity": None} if op in _REORDERABLE else {}))


for _name, _op in METHODS.items():
    setattr(OperandArray, _name, method(_op))

__all__ = ["OperandArray", "array", "call_function", "call_ufunc", "elementwise"]
