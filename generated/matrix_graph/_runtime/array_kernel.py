# Copied unchanged from symdiff/runtime/array_kernel.py; the same in every generated package. Do not edit.
"""Kernels of array formulas: arguments of declared shapes, whose dimensions a call binds.

`ArrayKernel` is a `Kernel` whose arguments have shapes of their own instead of one common shape. What depends on sizes
alone (which shapes go together, shapes of the outputs, workspace) is worked out once for every combination of argument
shapes and kept.

The module is copied verbatim into generated packages, so it imports nothing of symdiff.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from operator import index
from typing import Any, TypeAlias

import numpy as np

from .array_engines import ArrayCall, ArrayEngine, CArrayEngine, NumpyArrayEngine
from .arrays import Array, Shape, convert, rounded
from .calls import DirectCall, declined, entered
from .compiler import Library
from .engines import CEngine, NumpyEngine
from .kernel import Kernel, RawCall, over_any
from .sizes import bound, names_in, shape_text, shape_value, terms_value
from .spec import KernelShapeError, KernelSpec

_PLANS = 256  # combinations of argument shapes that a kernel remembers
_FLOAT64 = np.dtype(np.float64)
_Parts: TypeAlias = tuple[tuple[slice, Shape], ...]


def c_kernel(
    spec: KernelSpec, library: Library, prefix: str, *, shape_error: type[Exception] = KernelShapeError
) -> Kernel:
    """The kernel of a compiled library that `compiler.kernel_cdef` declares."""
    if spec.grouped:
        from .group_kernel import group_kernel  # packages of other formulas are without it

        return group_kernel(spec, CEngine(library, prefix, spec.kind), shape_error, library.calls)
    made: Kernel
    if spec.array:
        made = entered(ArrayKernel, library.calls)(spec, CArrayEngine(library, prefix, spec), shape_error=shape_error)
    else:
        made = entered(Kernel, library.calls)(spec, CEngine(library, prefix, spec.kind), shape_error=shape_error)
    return made


def numpy_kernel(
    spec: KernelSpec,
    function: Callable[..., Any],
    *,
    shape_error: type[Exception] = KernelShapeError,
    trusted: bool = False,
) -> Kernel:
    """The kernel of a Python function; see `NumpyEngine` and `NumpyArrayEngine` for what it gets and may return."""
    if spec.grouped:
        from .group_kernel import group_kernel

        return group_kernel(spec, function, shape_error)
    if spec.array:
        return ArrayKernel(spec, NumpyArrayEngine(function, spec, trusted=trusted), shape_error=shape_error)
    return Kernel(spec, NumpyEngine(function), shape_error=shape_error)


@dataclass(frozen=True, slots=True)
class Plan:
    """What argument shapes decide: shapes of the outputs, where each variable lies in theta, and the engine's calls.

    `direct` is the whole call for exact arguments of these shapes; see `Direct.call`.
    """

    shapes: tuple[Shape, ...]
    parts: _Parts
    call: ArrayCall
    direct: DirectCall


class ArrayKernel(Kernel):
    """A compiled or NumPy function of named real arrays: `value, grads = kernel(X, w=w)`.

    Arguments are numbers, or arrays of exactly the declared shapes, in any memory layout; sizes with a name are bound
    by the call and must agree. Results are new C-contiguous arrays, Python floats for scalars. `grads` is a named tuple
    in `wrt` order, each of the shape of its variable. Its fields are the input names; a name that Python's named tuples
    refuse is changed: a keyword gets a trailing underscore (`lambda_`), a leading underscore the prefix `u` (`u_x`),
    and a name taken meanwhile further underscores; `grads[i]` always works. A value kernel returns the bare value.

    `out=(value, g1, ...)` (one array for a value kernel) writes into existing arrays of the exact dtype and shape, 0-d
    for scalars, and returns them; they may have any strides and overlap inputs, not each other.

    Errors name the argument: TypeError for wrong names, counts and dtypes, `shape_error` for shapes and unusable
    outputs. An error leaves `out` untouched. Domain errors give nan or inf; nothing warns.
    """

    _engine: Any

    def __init__(
        self, spec: KernelSpec, engine: ArrayEngine, *, shape_error: type[Exception] = KernelShapeError
    ) -> None:
        whole: Any = engine  # the engine of arrays is another protocol, which only the methods below use
        super().__init__(spec, whole, shape_error=shape_error)

    def _prepare(self) -> None:
        self._direct: DirectCall = declined  # of the plan used last
        self._plans: dict[tuple[Shape, ...], Plan] = {}
        self._flat_plans: dict[tuple[Any, ...], Plan] = {}
        self._others = [name for name in self.inputs if name not in self.wrt]
        for name, default in self.spec.defaults.items():
            value: Any = rounded(default, self.dtype)  # what stands in a formula is rounded to float32, not refused
            if value.ndim:
                value.flags.writeable = False
            self._defaults[name] = value if value.ndim else float(default)
        self._names = frozenset(self.inputs)
        # What completes that many positional arguments, where all the others have defaults.
        self._rest: dict[int, tuple[Any, ...]] = {self._count: ()}
        while (place := min(self._rest)) and self.inputs[place - 1] in self._defaults:
            self._rest[place - 1] = (self._defaults[self.inputs[place - 1]], *self._rest[place])

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """`value, grads` at the arguments, or the bare value; see the class. Also takes `out=`."""
        if kwargs or len(args) != self._count:
            args, out = self._arguments(args, kwargs)
            if out is not None:
                return self._into(args, out)
        # The common call, of exact arguments in the shapes of the call before, is tried first.
        result = self._direct(*args)
        return self._checked(args) if result is NotImplemented else result

    def _arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], Any]:
        """What is given for each input, in order, and `out`."""
        if kwargs and not args and (named := {**self._defaults, **kwargs}).keys() == self._names:
            return tuple(map(named.get, self.inputs)), None
        if not kwargs and len(args) in self._rest:
            return args + self._rest[len(args)], None
        given, out = self._bind(args, kwargs)
        return tuple(given.values()), out

    def _checked(self, args: tuple[Any, ...]) -> Any:
        operands, shapes = self._operands(args)
        plan = self._plans.get(shapes) or self._plan(shapes)
        self._direct = plan.direct
        result = plan.direct(*operands)
        return self._result(plan.call.compute(operands)) if result is NotImplemented else result

    def _operands(self, values: Sequence[Any]) -> tuple[list[Any], tuple[Shape, ...]]:
        """What engines take, floats and C-contiguous arrays, and the shapes; nothing is known of these yet."""
        dtype = self.dtype
        operands: list[Any] = []
        shapes: list[Shape] = []
        for value in values:
            kind = type(value)
            if kind is np.ndarray and value.dtype is dtype:
                flags = value.flags
                if not (flags.c_contiguous and flags.aligned):
                    value = np.array(value, order="C")
                shapes.append(value.shape)
            elif kind is float:
                shapes.append(())
            else:
                value = self._converted(value, f"argument {self.inputs[len(operands)]!r}")
                shapes.append(np.shape(value))
            operands.append(value)
        return operands, tuple(shapes)

    def _converted(self, value: Any, label: str) -> Any:
        value = convert(value, label, self.dtype, self._shape_error)
        return value if isinstance(value, float) else np.asarray(value, order="C")

    def _plan(self, shapes: tuple[Shape, ...]) -> Plan:
        plan = self._new_plan(shapes)
        if len(self._plans) >= _PLANS:
            self._plans.clear()
            self._flat_plans.clear()
        self._plans[shapes] = plan
        return plan

    def _new_plan(self, shapes: tuple[Shape, ...]) -> Plan:
        spec = self.spec
        sizes = bound(spec.shapes, dict(zip(self.inputs, shapes, strict=True)), self._shape_error)
        for terms, message in spec.requirements:
            if terms_value(terms, sizes) < 0:
                of = dict.fromkeys(names_in(terms))
                raise self._shape_error(f"{message} ({', '.join(f'{name} = {sizes[name]}' for name in of)})")
        outputs = tuple(shape_value(shape, sizes) for shape in spec.output_shapes)
        call = self._engine.prepare(tuple(sizes[name] for name in spec.dimensions), outputs)
        return self._planned(shapes, outputs, call)

    def _planned(self, shapes: Sequence[Shape], outputs: tuple[Shape, ...], call: ArrayCall) -> Plan:
        direct = call.direct(shapes, self._gradient_type if self._has_gradient else None)
        return Plan(outputs, parts_of(outputs[1:])[0], call, direct)

    def _into(self, args: tuple[Any, ...], out: Any) -> Any:
        operands, shapes = self._operands(args)
        plan = self._plans.get(shapes) or self._plan(shapes)
        outputs = self._outputs(out, plan.shapes)
        arrays = [operand for operand in operands if type(operand) is not float]
        # Engines fill contiguous memory, and may write before they have read everything.
        targets = [
            np.asarray(o) if o.flags.c_contiguous and not over_any(o, arrays) else np.empty(o.shape, self.dtype)
            for o in outputs
        ]
        plan.call.fill(operands, targets)
        for output, target in zip(outputs, targets, strict=True):
            if target is not output:
                np.copyto(output, target)
        return self._result(outputs)

    def raw(self, /, *args: Any, **kwargs: Any) -> RawCall:
        """Bind arrays once; the returned call takes no arguments and computes on the same memory again.

        Inputs are arrays of exactly the kernel's dtype (native byte order, aligned), or numbers, which are held
        constant, as are defaults. `out` as in a call; new arrays without it. Arrays that are not C-contiguous are
        copied in every call. Not to be called by two threads at once. Raises TypeError or `shape_error` for arrays that
        would have to be converted, and for outputs over inputs.
        """
        given, out = self._bind(args, kwargs)
        arrays = [
            value if value is self._defaults.get(name) and isinstance(value, np.ndarray)
            else self._raw_input(value, f"argument {name!r}")
            for name, value in given.items()
        ]  # fmt: skip
        shapes = tuple(array.shape for array in arrays)
        plan = self._plans.get(shapes) or self._plan(shapes)
        new = out is None
        outputs = tuple(np.empty(s, self.dtype) for s in plan.shapes) if new else self._outputs(out, plan.shapes)
        self._refuse_overlap(outputs, arrays)
        filled = [np.asarray(o) for o in outputs]
        sources, targets = [_contiguous(a) for a in arrays], [_contiguous(o) for o in filled]
        call = plan.call.bind(sources, targets)
        copied_in = [(s, a) for s, a in zip(sources, arrays, strict=True) if s is not a]
        copied_out = [(o, t) for o, t in zip(filled, targets, strict=True) if o is not t]
        if copied_in or copied_out:
            call = partial(_copied, call, copied_in, copied_out)
        return self._raw_call(call, (*arrays, *sources, *targets), outputs)

    # -- vectors for optimisers ----------------------------------------------------------------------------------------

    def flat(self, theta: Any, /, **rest: Any) -> tuple[float, Array]:
        """`(value, gradient)` at the vector `theta` of the wrt inputs, for `scipy.optimize.minimize(..., jac=True)`.

        `theta` and the gradient have one axis, in float64: the wrt inputs one after the other in C order. `rest` are
        the other inputs. They bind the dimensions; a dimension that only wrt inputs have is a keyword too (`n=5`), and
        if there is one of those it may be left out, as the length of `theta` tells it.
        Raises TypeError or `shape_error`, also for a value kernel.
        """
        if not self._has_gradient:
            raise TypeError(f"{self.name}: flat needs a gradient kernel")
        vector = self._vector(theta)
        dimensions = [name for name in self.spec.dimensions if name in rest and name not in self.inputs]
        known = {name: index(rest.pop(name)) for name in dimensions}
        others = {}
        for name in self._others:
            value = rest.pop(name) if name in rest else self._default(name)
            others[name] = self._converted(value, f"argument {name!r}")
        if rest:
            raise TypeError(f"{self.name}: flat got an unexpected argument {next(iter(rest))!r}")
        plan = self._flat_plan(vector, known, {name: np.shape(value) for name, value in others.items()})
        variables = zip(self.wrt, self._split(vector, plan.parts), strict=True)
        operands = {**others, **dict(variables)}
        value, gradient = np.empty((), self.dtype), np.empty(vector.size, self.dtype)
        outputs = [value, *(gradient[part].reshape(shape) for part, shape in plan.parts)]
        plan.call.fill([operands[name] for name in self.inputs], outputs)
        return float(value), gradient.astype(_FLOAT64, copy=False)

    def _flat_plan(self, theta: Array, known: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Plan:
        """The plan for sizes that are known by keyword and by the shapes of the inputs outside wrt."""
        key = (theta.size, *known.items(), *shapes.values())
        plan = self._flat_plans.get(key)
        if plan is None:
            sizes = self._sizes(theta, known, shapes)
            every = tuple(shape_value(self.spec.shapes.get(name, ()), sizes) for name in self.inputs)
            plan = self._flat_plans[key] = self._plans.get(every) or self._plan(every)
        return plan

    def pack(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> Array:
        """The wrt inputs of a mapping or of keywords as one float64 vector: in wrt order, each in C order.

        An input left out takes its default. Raises TypeError for missing or unknown names, `shape_error` for shapes
        that do not fit.
        """
        given = {**(values or {}), **named}
        for name in given:
            if name not in self.wrt:
                raise TypeError(f"{self.name}: pack got {name!r}, which is not in wrt {self.wrt}")
        parts = {}
        for name in self.wrt:
            value = given[name] if name in given else self._default(name)
            parts[name] = np.asarray(convert(value, f"argument {name!r}", _FLOAT64, self._shape_error))
        bound(self.spec.shapes, {name: part.shape for name, part in parts.items()}, self._shape_error)
        return np.concatenate([np.zeros(0), *(part.ravel() for part in parts.values())])

    def unpack(self, theta: Any, /, **known: Any) -> dict[str, Any]:
        """The vector `theta` as a dict from wrt input to number or new array, fit for `kernel(**...)`.

        `known` gives the sizes of dimensions: by name (`n=5`), or by any input that has them (`X=X`). One that is not
        known follows from the length of `theta`. Raises TypeError or `shape_error`.
        """
        vector = self._vector(theta)
        inputs = {name: np.shape(known.pop(name)) for name in self.inputs if name in known}
        sizes = self._sizes(vector, known, inputs)
        places, _ = parts_of([shape_value(self.spec.shapes.get(name, ()), sizes) for name in self.wrt])
        parts = zip(self.wrt, self._split(vector, places), strict=True)
        return {name: part if isinstance(part, float) else part.copy() for name, part in parts}

    def _vector(self, theta: Any) -> Array:
        vector = convert(theta, "theta", _FLOAT64, self._shape_error)
        if isinstance(vector, float) or vector.ndim != 1:
            raise self._shape_error(f"theta: expected one axis, got shape {np.shape(vector)}")
        return np.ascontiguousarray(vector)

    def _sizes(self, theta: Array, known: Mapping[str, Any], shapes: Mapping[str, Shape]) -> dict[str, int]:
        """Sizes of all dimensions of the wrt inputs: by keyword, by other inputs, the last one by the length."""
        for name in known:
            if name not in self.spec.dimensions:
                raise TypeError(f"{self.name}: {name!r} is neither an input nor a dimension")
        given = {name: index(size) for name, size in known.items()}
        sizes = bound(self.spec.shapes, shapes, self._shape_error, given)
        declared = [self.spec.shapes.get(name, ()) for name in self.wrt]
        needed = dict.fromkeys(size for shape in declared for size in shape if isinstance(size, str))
        missing = [name for name in needed if name not in sizes]
        if len(missing) == 1:
            sizes[missing[0]] = _solved(lambda n: _length(declared, {**sizes, missing[0]: n}), theta.size)
        elif missing:
            hint = ", ".join(f"{name}=..." for name in missing)
            raise TypeError(f"{self.name}: the length of theta cannot tell more than one dimension; add {hint}")
        length = _length(declared, sizes)
        if length != theta.size or min(sizes.values(), default=0) < 0:
            layout = ", ".join(f"{n} {shape_text(s)}" for n, s in zip(self.wrt, declared, strict=True))
            of = "".join(f", {name} = {size}" for name, size in sizes.items() if name not in missing)
            expected = f"expected shape ({length},)" if not missing else f"no {missing[0]} fits shape {theta.shape}"
            raise self._shape_error(f"theta: {expected} for {layout}{of}" + ("" if missing else f", got {theta.shape}"))
        return sizes

    def _split(self, theta: Array, parts: _Parts) -> list[Any]:
        """The wrt inputs in a vector: floats, and arrays of the kernel's dtype that may be views of it."""
        if self.dtype != _FLOAT64:
            with np.errstate(all="ignore"):  # too large for float32 becomes infinity
                theta = theta.astype(self.dtype)
        return [theta[part].reshape(shape) if shape else float(theta[part.start]) for part, shape in parts]


def parts_of(shapes: Sequence[Shape]) -> tuple[_Parts, int]:
    """Where arrays lie in a vector, one after the other, and its length."""
    parts, start = [], 0
    for shape in shapes:
        stop = start + prod(shape)
        parts.append((slice(start, stop), shape))
        start = stop
    return tuple(parts), start


def _length(declared: Sequence[tuple[Any, ...]], sizes: Mapping[str, int]) -> int:
    """Numbers in all arrays together."""
    return parts_of([shape_value(shape, sizes) for shape in declared])[1]


def _solved(length: Callable[[int], int], wanted: int) -> int:
    """The size n with `length(n) == wanted`, for a length that grows with n; else the next smaller one."""
    low, high = 0, wanted + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if length(middle) <= wanted else (low, middle)
    return low


def _contiguous(array: Array) -> Array:
    return array if array.flags.c_contiguous else np.empty(array.shape, array.dtype)


def _copied(call: "partial[int]", before: Sequence[tuple[Array, Array]], after: Sequence[tuple[Array, Array]]) -> int:
    """A bound call over contiguous copies of strided arrays: pairs (to, from)."""
    for target, source in before:
        np.copyto(target, source)
    status = call()
    for target, source in after:
        np.copyto(target, source)
    return status


__all__ = ["ArrayKernel", "Plan", "c_kernel", "numpy_kernel", "parts_of"]
