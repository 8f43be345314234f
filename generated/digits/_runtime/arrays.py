# Copied unchanged from symdiff/runtime/arrays.py; the same in every generated package. Do not edit.
"""Arguments of a kernel: what is taken as it is, what is copied, what is refused.

The rules, for a kernel of dtype D (float64 or float32):

- Python floats and ints, and NumPy's real scalars, are numbers; they are rounded to D.
- Anything else goes through `numpy.asarray`. Integers and narrower floats are converted; wider floats are refused,
  because a whole array would lose digits silently; bool, complex, text, dates, objects and masked arrays are refused.
- Foreign byte order, unaligned data and strides that are no multiple of the item size are copied.

Nothing here depends on a formula. The module is copied verbatim into generated packages.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Shape: TypeAlias = tuple[int, ...]

# Types that are numbers without a further look. bool is a subclass of int, hence the exact types.
PLAIN: frozenset[type] = frozenset(
    {float, int, np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64}
    | {np.uint8, np.uint16, np.uint32, np.uint64}
)
# Work allowed to decide whether two strided arrays share an element; one-dimensional cases need far less.
_OVERLAP_WORK = 10_000


def convert(value: Any, label: str, dtype: np.dtype[Any], shape_error: type[Exception]) -> float | Array:
    """A number (also of a 0-d array) as a Python float, anything else as an aligned native array of `dtype`.

    `label` names the argument in errors. Raises TypeError for a dtype that is refused, `shape_error` for ragged lists.
    """
    kind = type(value)
    if kind in PLAIN or (isinstance(value, (int, float)) and kind is not bool):
        return as_float(value, label)
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{label}: masked arrays are not supported, the mask would be lost; pass x.filled(number)")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise shape_error(f"{label}: cannot be made an array: {error}") from None
    _check_dtype(array.dtype, label, dtype, given_array=isinstance(value, np.ndarray))
    if array.ndim == 0:
        return float(array[()])
    return usable(array, dtype)


def as_float(value: Any, label: str) -> float:
    """A real number as a Python float. Raises TypeError for an integer beyond float64."""
    try:
        return float(value)
    except OverflowError:
        raise TypeError(f"{label}: the integer is too large for float64") from None


def _check_dtype(given: np.dtype[Any], label: str, dtype: np.dtype[Any], *, given_array: bool) -> None:
    if given.kind in "iu" or (given.kind == "f" and given.itemsize <= dtype.itemsize):
        return
    if given.kind == "f":
        name = f"np.{dtype.name}"
        remedy = f"convert it with .astype({name})" if given_array else f"pass np.asarray(x, dtype={name})"
        raise TypeError(f"{label}: {given.name} would lose digits in a {dtype.name} kernel; {remedy}")
    raise TypeError(f"{label}: expected real numbers for a {dtype.name} kernel, got dtype {given.name}")


def usable(array: Array, dtype: np.dtype[Any]) -> Array:
    """`array` itself if C can walk it in steps of `dtype`, else a converted copy of the same shape."""
    return array if is_usable(array, dtype) else np.array(array, dtype=dtype, order="K", subok=False)


def is_usable(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether C can walk `array`: exact dtype (byte order included), aligned, strides in whole elements."""
    return array.dtype == dtype and array.flags.aligned and not any(s % dtype.itemsize for s in array.strides)


def rounded(value: float, dtype: np.dtype[Any]) -> Array:
    """A 0-d array of `value` in `dtype`; too large for float32 becomes infinity, without a warning."""
    with np.errstate(all="ignore"):
        return np.array(value, dtype=dtype)


def common_shape(arrays: Mapping[str, Array], shape_error: type[Exception]) -> Shape:
    """The broadcast shape of named arrays. Raises `shape_error` naming two arguments that do not fit."""
    shapes = {array.shape for array in arrays.values()} - {()}
    if len(shapes) <= 1:
        return shapes.pop() if shapes else ()
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        one, two = _clash(arrays)
        raise shape_error(
            f"arguments {one!r} of shape {arrays[one].shape} and {two!r} of shape {arrays[two].shape} "
            "do not broadcast together"
        ) from None


def _clash(arrays: Mapping[str, Array]) -> tuple[str, str]:
    """Two names whose shapes do not fit. Such a pair exists: shapes that fit pairwise fit together."""
    seen: dict[tuple[int, int], str] = {}  # (axis from the right, size) -> first name
    sizes: dict[int, int] = {}
    for name, array in arrays.items():
        for axis, size in enumerate(reversed(array.shape)):
            if size == 1:
                continue
            if sizes.setdefault(axis, size) != size:
                return seen[axis, sizes[axis]], name
            seen.setdefault((axis, size), name)
    raise AssertionError("shapes fit")


# Outputs


def check_outputs(
    outputs: Sequence[Any],
    labels: Sequence[str],
    shapes: Sequence[Shape],
    dtype: np.dtype[Any],
    shape_error: type[Exception],
) -> tuple[Array, ...]:
    """The caller's output arrays, each writable in place as `dtype` and its shape, none touching another.

    Raises TypeError or `shape_error` with the label of the output; nothing has been written then.
    """
    if len(outputs) != len(labels):
        raise shape_error(f"out: expected {len(labels)} arrays ({', '.join(labels)}), got {len(outputs)}")
    for array, label, shape in zip(outputs, labels, shapes, strict=True):
        _check_output(array, label, shape, dtype, shape_error)
    for position, one in enumerate(outputs):
        for other in range(position + 1, len(outputs)):
            if overlap(one, outputs[other]):
                raise shape_error(f"{labels[position]} and {labels[other]} share memory")
    return tuple(outputs)


def _check_output(array: Any, label: str, shape: Shape, dtype: np.dtype[Any], shape_error: type[Exception]) -> None:
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{label}: expected a numpy.ndarray, got {type(array).__name__}")
    if array.dtype != dtype:
        raise TypeError(f"{label}: expected dtype {dtype.name} in native byte order, got {array.dtype!r}")
    if array.shape != shape:
        raise shape_error(f"{label}: expected shape {shape}, got {array.shape}")
    if not array.flags.writeable:
        raise shape_error(f"{label}: the array is read-only")
    if not is_usable(array, dtype):
        raise shape_error(f"{label}: the array is not aligned to whole elements")
    if _touches_itself(array):
        raise shape_error(f"{label}: elements of the array share memory with each other")


def _touches_itself(array: Array) -> bool:
    """Whether two elements may share memory: a sufficient condition for "no" that every ordinary view meets."""
    reach = array.itemsize
    if array.flags.forc or array.size == 0:  # contiguous in either order
        return False
    for step, size in sorted((abs(s), n) for s, n in zip(array.strides, array.shape, strict=True) if n > 1):
        if step < reach:
            return True
        reach = step * (size - 1) + reach
    return False


def overlap(one: Array, other: Array) -> bool:
    """Whether two arrays share an element; yes when that is too hard to tell."""
    if not np.may_share_memory(one, other):
        return False
    try:
        return np.shares_memory(one, other, max_work=_OVERLAP_WORK)  # type: ignore[arg-type]  # the stubs know 0 and -1
    except RuntimeError:  # numpy.exceptions.TooHardError, which lives elsewhere in older NumPy
        return True


# Memory layout


def element_strides(array: Array, shape: Shape) -> tuple[int, ...]:
    """Strides of `array` broadcast to `shape`, in elements: 0 along an axis that repeats."""
    item, missing = array.itemsize, len(shape) - array.ndim
    own = (0 if size == 1 else step // item for size, step in zip(array.shape, array.strides, strict=True))
    return (0,) * missing + tuple(own)


def fewest_axes(shape: Shape, strides: Sequence[tuple[int, ...]]) -> tuple[list[int], list[list[int]]]:
    """The same walk over several operands with as few axes as possible: (sizes, strides per operand).

    Axes are ordered by falling stride of the last operand (an output), so that Fortran order walks in one line too;
    axes of size 1 go away, and neighbours merge when every operand steps over both evenly.
    """
    leader = strides[-1]
    axes = sorted((a for a in range(len(shape)) if shape[a] != 1), key=lambda a: -abs(leader[a]))
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis in axes:
        size = shape[axis]
        if sizes and all(own[-1] == given[axis] * size for own, given in zip(steps, strides, strict=True)):
            sizes[-1] *= size
            for own, given in zip(steps, strides, strict=True):
                own[-1] = given[axis]
        else:
            sizes.append(size)
            for own, given in zip(steps, strides, strict=True):
                own.append(given[axis])
    return sizes, steps


def row_offsets(sizes: Sequence[int], steps: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """For each row along the last axis, where it starts in every operand, in elements."""
    for index in np.ndindex(*sizes[:-1]):
        yield [sum(i * s for i, s in zip(index, own, strict=False)) for own in steps]
