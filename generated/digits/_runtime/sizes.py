# Copied unchanged from symdiff/runtime/sizes.py; the same in every generated package. Do not edit.
"""Shapes with dimensions whose sizes the arguments of a call give.

    Size  ::= whole number | name of a dimension | Terms
    Terms ::= ((factor, (name, ...)), ...)        a sum of products: ((2, ("n",)), (1, ())) is 2*n + 1

The shape of an input has numbers and names alone; results may have any size. The module is copied verbatim into
generated packages.
"""

from collections.abc import Mapping
from math import prod
from typing import TypeAlias

Shape: TypeAlias = tuple[int, ...]
Terms: TypeAlias = tuple[tuple[int, tuple[str, ...]], ...]
Size: TypeAlias = int | str | Terms
Declared: TypeAlias = tuple[int | str, ...]


def terms_value(terms: Terms, sizes: Mapping[str, int]) -> int:
    """The number that a sum of products is."""
    return sum(factor * prod(sizes[name] for name in names) for factor, names in terms)


def size_value(size: Size, sizes: Mapping[str, int]) -> int:
    """The number that a size is. Raises KeyError with the first dimension that `sizes` lacks."""
    if isinstance(size, int):
        return size
    return sizes[size] if isinstance(size, str) else terms_value(size, sizes)


def shape_value(shape: tuple[Size, ...], sizes: Mapping[str, int]) -> Shape:
    """The numbers that a shape is."""
    return tuple(size_value(size, sizes) for size in shape)


def names_in(size: Size) -> tuple[str, ...]:
    """Names of the dimensions that a size needs."""
    if isinstance(size, int):
        return ()
    return (size,) if isinstance(size, str) else tuple(name for _, names in size for name in names)


def size_text(size: Size) -> str:
    """Such as `2*n+1`."""
    if not isinstance(size, tuple):
        return str(size)
    text = ""
    for factor, names in size:
        number = [str(abs(factor))] if abs(factor) != 1 or not names else []
        text += ("-" if factor < 0 else "+" if text else "") + "*".join([*number, *names])
    return text or "0"


def shape_text(shape: tuple[Size, ...]) -> str:
    """`(n, 3)`, `(3,)`, `()`, as Python writes a tuple."""
    inside = ", ".join(map(size_text, shape))
    return f"({inside},)" if len(shape) == 1 else f"({inside})"


def bound(
    declared: Mapping[str, Declared],
    given: Mapping[str, Shape],
    shape_error: type[Exception],
    known: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """The sizes of all dimensions in the given shapes, beside those that are `known` by keyword.

    Inputs missing in `declared` are scalars. Raises `shape_error` that names the arguments, their shapes and the axis.
    """
    sizes = dict(known or {})
    first: dict[str, tuple[str, int]] = {}  # where a dimension got its size: (input, axis)
    for name, shape in given.items():
        expected = declared.get(name, ())
        if len(shape) != len(expected):
            axes = "1 axis" if len(expected) == 1 else f"{len(expected)} axes"
            raise shape_error(f"{name!r} has shape {shape}, expected {shape_text(expected)}: {axes}, not {len(shape)}")
        for axis, (size, wanted) in enumerate(zip(shape, expected, strict=True)):
            if isinstance(wanted, int):
                if size != wanted:
                    expectation = f"{name!r} has shape {shape}, expected {shape_text(expected)}"
                    raise shape_error(f"{expectation}: axis {axis} has size {size}, not {wanted}")
            elif sizes.setdefault(wanted, size) != size:
                raise shape_error(_disagreement(wanted, sizes[wanted], first.get(wanted), (name, axis), given))
            else:
                first.setdefault(wanted, (name, axis))
    return sizes


def _disagreement(
    dimension: str, size: int, first: tuple[str, int] | None, second: tuple[str, int], given: Mapping[str, Shape]
) -> str:
    name, axis = second
    shape = given[name]
    if first is None:
        return (
            f"{name!r} has shape {shape}: dimension {dimension} is {shape[axis]} by axis {axis}, "
            f"and {size} by the keyword {dimension}"
        )
    earlier, where = first
    if earlier == name:
        clash = f"dimension {dimension} is {size} by axis {where} and {shape[axis]} by axis {axis}"
        return f"{name!r} has shape {shape}: {clash}"
    return (
        f"{earlier!r} has shape {given[earlier]} and {name!r} has shape {shape}: dimension {dimension} is {size} "
        f"by axis {where} of {earlier!r} and {shape[axis]} by axis {axis} of {name!r}"
    )
