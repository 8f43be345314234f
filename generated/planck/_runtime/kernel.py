# Copied unchanged from symdiff/runtime/kernel.py; the same in every generated package. Do not edit.
"""The callable kernel: binds arguments, checks them, calls an engine, shapes the results.

A `Kernel` is a `KernelSpec` (names and dtype) and an engine: `CEngine` over a compiled library, `NumpyEngine` over a
Python function. The kernel does everything a caller sees; an engine only computes. Nothing mutable is shared between
calls, so one kernel serves many threads (cffi releases the GIL) and survives a fork.

`Kernel` itself maps a formula of scalars over broadcast arrays; `array_kernel.ArrayKernel` is the kind of kernel for
formulas of arrays, and shares with it how arguments are bound, outputs checked and results named.

The module is copied verbatim into generated packages, so it imports nothing of symdiff; `Kernel` takes the class it
raises for shapes, by default `KernelShapeError`.
"""

import inspect
import keyword
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np

from .arrays import (
    PLAIN,
    Array,
    Shape,
    as_float,
    check_outputs,
    common_shape,
    convert,
    is_usable,
    overlap,
    rounded,
)
from .calls import declined
from .engines import CEngine, NumpyEngine
from .kernel_page import KernelPage
from .spec import KernelError, KernelShapeError, KernelSpec
from .threads import checked as checked_threads

__all__ = ["CEngine", "Engine", "Kernel", "KernelError", "KernelShapeError", "KernelSpec", "NumpyEngine", "RawCall"]

_new_tuple: Any = tuple.__new__  # a named tuple's _make without its length check
_named_tuple: Any = namedtuple  # of names that are known at run time


class Engine(Protocol):
    """What a kernel needs from a backend. Arrays are checked: dtype, alignment, shapes, no overlap."""

    @property
    def backend(self) -> str: ...

    def point_function(self, spec: KernelSpec) -> Callable[[Sequence[float]], Iterable[float]]:
        """A function from the inputs at one point to the outputs, which iterate as Python numbers."""

    def direct_call(self, spec: KernelSpec, gradient: type | None) -> Callable[..., Any] | None:
        """The whole call at one point of numbers, NotImplemented for anything else; see `Direct.call`."""

    def batch_call(self, spec: KernelSpec, gradient: type | None) -> Callable[..., Any] | None:
        """The whole call for vectors of points, NotImplemented for anything else; see `Direct.batch`."""

    def run(self, inputs: Sequence[Array], outputs: Sequence[Array], shape: Shape) -> int:
        """Compute the outputs at every point of `shape`; inputs broadcast to it. Returns 0."""

    def bind(self, inputs: Sequence[Array], outputs: Sequence[Array], shape: Shape) -> "partial[int]":
        """The same as `run` as a call without arguments, as cheap as it can be made."""


class RawCall(partial[int]):
    """A kernel bound to memory: each call reads the inputs as they are now and refills the outputs; returns 0.

    `value` and `grads` are the output arrays (`grads` a named tuple in wrt order, empty for a value kernel), `out` the
    same as one flat tuple. Calls of one `RawCall` from several threads write the same arrays.
    """

    value: Array
    grads: Any
    out: tuple[Array, ...]
    _inputs: tuple[Array, ...]  # the C side holds bare addresses: this keeps the memory alive
    _kernel: "Kernel"  # and this the library with the C function


class Kernel(KernelPage):
    """A compiled or NumPy function of named real inputs: `value, grads = kernel(x, y=2.0)`.

    All arguments numbers (or 0-d arrays): Python floats come back. Otherwise the arguments broadcast as in NumPy and
    every result is a new C-contiguous array of the common shape. `grads` is a named tuple in `wrt` order. Its fields
    are the input names; a name that Python's named tuples refuse is changed: a keyword gets a trailing underscore
    (`lambda_`), a leading underscore the prefix `u` (`u_x`), and a name taken meanwhile further underscores;
    `grads[i]` always works. A value kernel returns the bare value.

    `out=(value, g1, ...)` (one array for a value kernel) writes into existing arrays of the exact dtype and shape and
    returns them; they may overlap inputs (temporaries are used then), not each other.

    Errors name the argument: TypeError for wrong names, counts and dtypes, `shape_error` for shapes and unusable
    outputs. An error leaves `out` untouched. Domain errors give nan or inf; nothing warns.
    """

    def __init__(self, spec: KernelSpec, engine: Engine, *, shape_error: type[Exception] = KernelShapeError) -> None:
        self.spec = spec
        self.name, self.inputs, self.wrt = spec.name, spec.inputs, spec.wrt
        self.dtype: np.dtype[Any] = np.dtype(spec.dtype)
        self.backend = engine.backend
        self._engine = engine
        self._shape_error = shape_error
        self._defaults: dict[str, Any] = dict(spec.defaults)
        self._count = len(spec.inputs)
        self._has_gradient = spec.kind == "gradient"
        self._gradient_type: Any = _gradient_type(spec.wrt)
        self._labels = [f"{spec.out_name}[{i}] ({what})" for i, what in enumerate(spec.outputs)]
        signature = _signature(spec)
        if signature is not None:
            self.__signature__ = signature
        self.__doc__ = f"{spec.kind} of {spec.name}: {self!r}\n\n{type(self).__doc__}"
        self._prepare()

    def _prepare(self) -> None:
        """What calls need beside names."""
        self._point = self._engine.point_function(self.spec)
        gradient = self._gradient_type if self._has_gradient else None
        direct = self._engine.direct_call(self.spec, gradient)
        self._direct: Callable[..., Any] = direct or _checked_point(self._point, self._count, gradient)
        self._batch: Callable[..., Any] = self._engine.batch_call(self.spec, gradient) or declined
        self._flat_order = _flat_order(self.spec)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """`value, grads` at the arguments, or the bare value; see the class. Also takes `out=`."""
        # The common call, one point in plain numbers, is tried first; whatever it does not cover is sorted out below.
        point = args
        if kwargs:
            named = self._defaults | kwargs if self._defaults else kwargs
            point = tuple(map(named.get, self.inputs)) if not args and len(named) == self._count else ()
        result = self._direct(*point)
        return self._checked_call(args, kwargs) if result is NotImplemented else result

    def _checked_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if (result := self._batch(*args, **kwargs)) is not NotImplemented:
            return result
        given, out = self._bind(args, kwargs)
        values = [convert(v, f"argument {n!r}", self.dtype, self._shape_error) for n, v in given.items()]
        if all(isinstance(v, float) for v in values):
            return self._at_point(values, out)
        arrays = [rounded(v, self.dtype) if isinstance(v, float) else v for v in values]
        shape = common_shape(dict(zip(self.inputs, arrays, strict=True)), self._shape_error)
        if out is None:
            outputs = self._new_outputs(shape)
            self._engine.run(arrays, outputs, shape)
            return self._result(outputs)
        outputs = self._outputs(out, self._same(shape))
        # The engines may write before they have read everything, so outputs over inputs go through temporaries.
        targets = [np.empty(shape, self.dtype) if over_any(o, arrays) else np.asarray(o) for o in outputs]
        self._engine.run(arrays, targets, shape)
        for output, target in zip(outputs, targets, strict=True):
            if target is not output:
                np.copyto(output, target)
        return self._result(outputs)

    def _at_point(self, values: list[Any], out: Any) -> Any:
        outputs = None if out is None else self._outputs(out, self._same(()))
        numbers = list(self._point(values))
        if outputs is None:
            return self._result(numbers)
        for output, number in zip(outputs, numbers, strict=True):
            output[...] = number
        return self._result(outputs)

    def raw(self, /, *args: Any, **kwargs: Any) -> RawCall:
        """Bind arrays once; the returned call takes no arguments and computes on the same memory again.

        Inputs are arrays of exactly the kernel's dtype (native byte order, aligned), or numbers, which are held
        constant. `out` as in a call; new arrays without it. All inputs 0-d: the one-point function runs; it is fastest
        where they are views of one vector in input order (`theta[i, ...]`), as are the outputs without `out`.
        Raises TypeError or `shape_error` for arrays that would have to be converted, and for outputs over inputs.
        """
        given, out = self._bind(args, kwargs)
        arrays = [self._raw_input(value, f"argument {name!r}") for name, value in given.items()]
        shape = common_shape(dict(zip(self.inputs, arrays, strict=True)), self._shape_error)
        outputs = self._new_outputs(shape, adjacent=not shape) if out is None else self._outputs(out, self._same(shape))
        self._refuse_overlap(outputs, arrays)
        return self._raw_call(self._engine.bind(arrays, list(map(np.asarray, outputs)), shape), arrays, outputs)

    def _refuse_overlap(self, outputs: Sequence[Array], arrays: Sequence[Array]) -> None:
        for output, label in zip(outputs, self._labels, strict=True):
            for array, name in zip(arrays, self.inputs, strict=True):
                if overlap(output, array):
                    raise self._shape_error(f"{label} shares memory with argument {name!r}; raw needs them apart")

    def _raw_call(self, bound: "partial[int]", inputs: Sequence[Array], outputs: tuple[Array, ...]) -> RawCall:
        call = RawCall(bound.func, *bound.args)
        call.out, call._inputs, call._kernel = outputs, tuple(inputs), self
        call.value, call.grads = outputs[0], _new_tuple(self._gradient_type, outputs[1:])
        return call

    def _raw_input(self, value: Any, label: str) -> Array:
        if type(value) in PLAIN:
            return rounded(as_float(value, label), self.dtype)
        if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
            raise TypeError(f"{label}: raw needs a numpy.ndarray or a number, got {type(value).__name__}")
        array = np.asarray(value)
        if array.dtype != self.dtype:
            raise TypeError(
                f"{label}: raw needs dtype {self.dtype.name} in native byte order, got {array.dtype!r}; "
                "a conversion would detach the call from your memory"
            )
        if not is_usable(array, self.dtype):
            raise self._shape_error(f"{label}: raw needs an array aligned to whole elements")
        return array

    def flat(self, theta: Any, /, **rest: Any) -> tuple[float, Array]:
        """`(value, gradient)` at the vector `theta` of the wrt inputs, for `scipy.optimize.minimize(..., jac=True)`.

        `theta` has shape (len(wrt),), the gradient too, in float64; `rest` are the other inputs, numbers.
        Raises TypeError or `shape_error`, also for a value kernel.
        """
        if not self._has_gradient:
            raise TypeError(f"{self.name}: flat needs a gradient kernel")
        point = self._numbers(theta)
        for name, index in self._flat_order:
            if index is None:
                point.append(self._scalar(name, rest.pop(name) if name in rest else self._default(name)))
        if rest:
            raise TypeError(f"{self.name}: flat got an unexpected argument {next(iter(rest))!r}")
        others = iter(point[len(self.wrt) :])
        inputs = [next(others) if index is None else point[index] for _, index in self._flat_order]
        value, *gradient = self._point(inputs)
        return value, np.array(gradient, dtype=np.float64)

    def pack(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> Array:
        """The wrt inputs of a mapping or of keywords as one float64 vector of shape (len(wrt),), in wrt order.

        An input left out takes its default. Raises TypeError for missing or unknown names, `shape_error` for arrays.
        """
        given = {**(values or {}), **named}
        for name in given:
            if name not in self.wrt:
                raise TypeError(f"{self.name}: pack got {name!r}, which is not in wrt {self.wrt}")
        numbers = [self._scalar(n, given[n] if n in given else self._default(n)) for n in self.wrt]
        return np.array(numbers, dtype=np.float64)

    def unpack(self, theta: Any, /) -> dict[str, float]:
        """The vector `theta` of shape (len(wrt),) as a dict from input name to number, fit for `kernel(**...)`."""
        return dict(zip(self.wrt, self._numbers(theta), strict=True))

    @property
    def threads(self) -> int:
        """How many threads share a batch of at least 100,000 points (of a long formula 1,000): `$SYMDIFF_THREADS`, by
        default 1. May be set, to a number or "auto" for one per processor. Results are the same to the last bit. Calls
        made by `raw` keep the number they were made with; NumPy code and formulas of arrays have one thread.
        """
        number: int = getattr(self._engine, "threads", 1)
        return number

    @threads.setter
    def threads(self, number: int | str) -> None:
        number = checked_threads(number)
        if hasattr(self._engine, "threads"):
            self._engine.threads = number

    @property
    def signature(self) -> str:
        """The shapes as a generalised ufunc signature, such as `(),()->(),(),()` or `(m,n),(n)->(),(m,n),(n)`."""
        return self.spec.signature

    def __repr__(self) -> str:
        wrt = f", wrt=({', '.join(self.wrt)})" if self._has_gradient else ""
        call = f"{self.name}.{self.spec.kind}({', '.join(self.inputs)})"
        return f"<symdiff kernel {call}{wrt}, {self.dtype}, {self.backend}>"

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        """Arguments by name in input order, and `out` or None. Raises TypeError as a Python function would."""
        what = f"{self.name}({', '.join(self.inputs)})"
        if len(args) > self._count:
            raise TypeError(f"{what} takes {self._count} arguments, got {len(args)}")
        given = dict(zip(self.inputs, args, strict=False))
        out_name, known = self.spec.out_name, frozenset(self.inputs)
        for name, value in kwargs.items():
            if name in given:
                raise TypeError(f"{what} got two values for argument {name!r}")
            if name != out_name and name not in known:
                raise TypeError(f"{what} got an unexpected argument {name!r}")
            given[name] = value
        out = given.pop(out_name, None)
        return {name: given[name] if name in given else self._default(name) for name in self.inputs}, out

    def _default(self, name: str) -> Any:
        try:
            return self._defaults[name]
        except KeyError:
            raise TypeError(f"{self.name}({', '.join(self.inputs)}) is missing argument {name!r}") from None

    def _same(self, shape: Shape) -> tuple[Shape, ...]:
        """One shape for every output."""
        return (shape,) * len(self._labels)

    def _outputs(self, out: Any, shapes: Sequence[Shape]) -> tuple[Array, ...]:
        if self.spec.kind == "value" and isinstance(out, np.ndarray):
            out = (out,)
        if not isinstance(out, (tuple, list)):
            raise TypeError(f"{self.spec.out_name}: expected a tuple of arrays, got {type(out).__name__}")
        return check_outputs(out, self._labels, shapes, self.dtype, self._shape_error)

    def _new_outputs(self, shape: Shape, *, adjacent: bool = False) -> tuple[Array, ...]:
        count = len(self._labels)
        if adjacent:  # not for results in general: holding one would hold them all
            block = np.empty((count, *shape), self.dtype)
            return tuple(block[i, ...] for i in range(count))
        return tuple(np.empty(shape, self.dtype) for _ in range(count))

    def _result(self, flat: Sequence[Any]) -> Any:
        return (flat[0], _new_tuple(self._gradient_type, flat[1:])) if self._has_gradient else flat[0]

    def _numbers(self, theta: Any) -> list[Any]:
        vector = convert(theta, "theta", np.dtype(np.float64), self._shape_error)
        if isinstance(vector, float) or vector.shape != (len(self.wrt),):
            raise self._shape_error(f"theta: expected shape ({len(self.wrt)},), got {np.shape(vector)}")
        numbers: list[Any] = vector.tolist()
        return numbers

    def _scalar(self, name: str, value: Any) -> float:
        number = convert(value, f"argument {name!r}", np.dtype(np.float64), self._shape_error)
        if not isinstance(number, float):
            raise self._shape_error(f"argument {name!r}: expected a number, got an array of shape {number.shape}")
        return number


def _checked_point(
    point: Callable[[Sequence[float]], Iterable[float]], count: int, gradient_type: Any
) -> Callable[..., Any]:
    """`Direct.call` in Python."""

    def call(*numbers: Any) -> Any:
        if len(numbers) != count:
            return NotImplemented
        for number in numbers:
            if type(number) is not float and type(number) not in PLAIN:
                return NotImplemented
        try:
            value, *gradient = point(numbers)
        except OverflowError:  # an integer beyond float64: the checking path says which
            return NotImplemented
        return value if gradient_type is None else (value, _new_tuple(gradient_type, gradient))

    return call


def over_any(output: Array, inputs: Sequence[Array]) -> bool:
    """Whether an output shares memory with an input."""
    return any(overlap(output, array) for array in inputs)


def _flat_order(spec: KernelSpec) -> list[tuple[str, int | None]]:
    """For each input its place in theta, or None for the rest."""
    place = {name: index for index, name in enumerate(spec.wrt)}
    return [(name, place.get(name)) for name in spec.inputs]


@lru_cache(maxsize=256)
def _gradient_type(wrt: tuple[str, ...]) -> type:
    fields: list[str] = []
    taken = set(wrt)
    for name in wrt:
        legal = "u" + name if name.startswith("_") else name + "_" if keyword.iskeyword(name) else name
        while legal != name and legal in taken:
            legal += "_"
        taken.add(legal)
        fields.append(legal)
    made = _named_tuple("Gradient", fields)
    made.__reduce__ = lambda grads: (_gradient, (wrt, tuple(grads)))  # pickle would look for a class of this module
    return made  # type: ignore[no-any-return]  # a type


def _gradient(wrt: tuple[str, ...], numbers: tuple[Any, ...]) -> Any:
    """A pickled gradient again."""
    return _new_tuple(_gradient_type(wrt), numbers)


def _signature(spec: KernelSpec) -> inspect.Signature | None:
    """What `inspect.signature` shows; None where Python has no such signature (a name that is a keyword)."""
    parameter = inspect.Parameter
    optional: dict[str, Any] = {}  # Python's syntax has defaults at the end only
    for name in reversed(spec.inputs):
        if name not in spec.defaults:
            break
        optional[name] = spec.defaults[name]
    try:
        shown = [
            parameter(name, parameter.POSITIONAL_OR_KEYWORD, default=optional.get(name, parameter.empty))
            for name in spec.inputs
        ]
        return inspect.Signature([*shown, parameter(spec.out_name, parameter.KEYWORD_ONLY, default=None)])
    except ValueError:
        return None
