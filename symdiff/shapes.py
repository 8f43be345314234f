"""Shapes: sizes that are whole numbers, names of dimensions, or sums of products of these.

    Shape ::= ( Size, ... )                      # () is a scalar
    Size  ::= whole number | name | Polynomial   # 3, n, 2*n + 1 (of a concatenation, a slice, a reshape)

A `Polynomial` is kept in one canonical form and never is a plain number or a plain name, so that two sizes are the
same if and only if they compare equal. Sizes become numbers when a kernel is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

Monomial = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A sum of whole multiples of products of dimensions; `terms` are sorted: high degrees first, then by name."""

    terms: tuple[tuple[Monomial, int], ...]

    def __str__(self) -> str:
        return size_text(self)


Size = int | str | Polynomial
Shape = tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """`start:stop:step` in brackets, as typed; a bound left out is None, a negative one counts from the end."""

    start: Size | None = None
    stop: Size | None = None
    step: int = 1


NEW_AXIS = "None"  # in brackets: an axis of size 1 that the array does not have


class ShapeFault(Exception):
    """Shapes that do not fit, found by a rule that does not know the place in the text; `linearize` adds it."""


def _terms(size: Size) -> dict[Monomial, int]:
    if isinstance(size, Polynomial):
        return dict(size.terms)
    return {(size,): 1} if isinstance(size, str) else {(): size} if size else {}


def _size(terms: Mapping[Monomial, int]) -> Size:
    kept = {names: factor for names, factor in terms.items() if factor}
    if not kept:
        return 0
    if len(kept) == 1:
        ((names, factor),) = kept.items()
        if not names:
            return factor
        if len(names) == 1 and factor == 1:
            return names[0]
    return Polynomial(tuple(sorted(kept.items(), key=lambda term: (-len(term[0]), term[0]))))


def plus(a: Size, b: Size) -> Size:
    """a + b."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    terms = _terms(a)
    for names, factor in _terms(b).items():
        terms[names] = terms.get(names, 0) + factor
    return _size(terms)


def times(a: Size, b: Size) -> Size:
    """a * b."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    terms: dict[Monomial, int] = {}
    for left, x in _terms(a).items():
        for right, y in _terms(b).items():
            names = tuple(sorted(left + right))
            terms[names] = terms.get(names, 0) + x * y
    return _size(terms)


def minus(a: Size, b: Size) -> Size:
    """a - b."""
    return plus(a, times(-1, b))


def product(sizes: Iterable[Size]) -> Size:
    """The number of elements of a shape."""
    found: Size = 1
    for size in sizes:
        found = times(found, size)
    return found


def dimensions(size: Size) -> tuple[str, ...]:
    """Names of dimensions in a size, each once."""
    return tuple(dict.fromkeys(name for names in _terms(size) for name in names))


def size_value(size: Size, values: Mapping[str, int]) -> int:
    """The number that a size is, for given dimensions."""
    if isinstance(size, int):
        return size
    if isinstance(size, str):
        return values[size]
    return sum(factor * reduce(lambda a, b: a * values[b], names, 1) for names, factor in size.terms)


def shape_value(shape: Shape, values: Mapping[str, int]) -> tuple[int, ...]:
    """The numbers that a shape is, for given dimensions."""
    return tuple(size_value(size, values) for size in shape)


def size_text(size: Size, names: Mapping[str, str] | None = None) -> str:
    """`2*n + 1`, as Python and C read it; `names` are the identifiers of the dimensions."""
    if isinstance(size, int):
        return str(size)
    names = names or {}
    if isinstance(size, str):
        return names.get(size, size)
    parts: list[str] = []
    for factors, count in size.terms:
        words = [names.get(name, name) for name in factors]
        text = "*".join([*([] if abs(count) == 1 and words else [str(abs(count))]), *words])
        sign = ("-" if count < 0 else "") if not parts else (" - " if count < 0 else " + ")
        parts.append(sign + text)
    return "".join(parts)


def plain_terms(size: Size) -> tuple[tuple[int, Monomial], ...]:
    """A size as pairs of a factor and dimensions, whose products add up to it: plain data for kernels."""
    return tuple((factor, names) for names, factor in _terms(size).items())


def shape_text(shape: Shape, names: Mapping[str, str] | None = None) -> str:
    """`(n, 3)`, `(3,)`, `()`, as Python writes a tuple."""
    inside = ", ".join(size_text(size, names) for size in shape)
    return f"({inside},)" if len(shape) == 1 else f"({inside})"


def described(shape: Shape) -> str:
    """What people call a thing of this shape: `scalar`, `vector of n`, `3 x 2 matrix`, `n x 3 x 3 array`."""
    if not shape:
        return "scalar"
    sizes = " x ".join(f"({size})" if isinstance(size, Polynomial) else str(size) for size in shape)
    kind = {1: "vector of length", 2: "matrix"}.get(len(shape), "array")
    return f"{kind} {sizes}" if len(shape) == 1 else f"{sizes} {kind}"


def broadcast(a: Shape, b: Shape) -> Shape:
    """The common shape, as in NumPy; a dimension's name fits itself and 1, and nothing else. Raises ShapeFault."""
    rank = max(len(a), len(b))
    left, right = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    sizes: list[Size] = []
    for axis, (x, y) in enumerate(zip(left, right, strict=True)):
        if x != y and x != 1 and y != 1:
            raise ShapeFault(
                f"shapes {shape_text(a)} and {shape_text(b)} do not broadcast: axis {axis - rank} "
                f"has size {size_text(x)} on the left and {size_text(y)} on the right"
            )
        sizes.append(y if x == 1 else x)
    return tuple(sizes)


__all__ = [
    "NEW_AXIS",
    "Polynomial",
    "Shape",
    "ShapeFault",
    "Size",
    "Slice",
    "broadcast",
    "described",
    "dimensions",
    "minus",
    "plain_terms",
    "plus",
    "product",
    "shape_text",
    "shape_value",
    "size_text",
    "size_value",
    "times",
]
