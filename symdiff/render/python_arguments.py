"""The function of a generated NumPy module that checks its arguments: arrays of the declared shapes, sizes that agree.

What a call with the right arguments pays for is a conversion that finds nothing to convert and a comparison of shapes;
the words of the error are worked out when there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symdiff.formula_data import Input
from symdiff.render.context import Sheet, index_requirements, without_number
from symdiff.render.numpy_spelling import NumpyPrinter
from symdiff.shapes import Shape, Size, dimensions

_WIDTH = 96  # of a line inside a function


def argument_lines(sheet: Sheet, printer: NumpyPrinter, names: Mapping[str, str]) -> list[str]:
    """The body of `_arguments`, but for the arrays that it returns."""
    inputs = sheet.code.inputs
    lines = [_converted(printer, given, names[given.name]) for given in inputs]
    unpacked, tests = _tests(printer, inputs, names)
    refused = _refused(printer, inputs, names)
    if not tests and not unpacked:
        return lines
    wrong = _condition(tests) if tests else []
    if unpacked:
        raised = [f"    {line}" for line in [*wrong, "    raise ValueError"]] if wrong else []
        lines += ["try:", *(f"    {line}" for line in unpacked), *raised, "except ValueError:", *refused]
    else:
        lines += [*wrong, *refused]
    return lines + [line for need, text in index_requirements(sheet.people) for line in _required(printer, need, text)]


def _converted(printer: NumpyPrinter, given: Input, name: str) -> str:
    wanted = printer.float_type if printer.single else "float"  # which NumPy reads in less time than np.float64
    if not given.shape:
        return f"{name} = np.asarray({name}, {wanted})[()]  # an array without axes becomes a number"
    return f'{name} = np.asarray({name}, {wanted}, "C")'


def _tests(printer: NumpyPrinter, inputs: Sequence[Input], names: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Lines that read the sizes, and comparisons that hold for a wrong shape."""
    bound: set[Size] = set()
    taken = set(names.values())
    unpacked, tests = [], []
    for given in inputs:
        name, shape = names[given.name], given.shape
        new = [size for size in dict.fromkeys(shape) if isinstance(size, str) and size not in bound]
        bound.update(new)
        places = [printer.size(s) if s in new and shape.index(s) == k else "_" for k, s in enumerate(shape)]
        if new and all(isinstance(size, str) for size in shape):
            # two numbers are compared in half the time of two shapes
            for axis, size in enumerate(shape):
                if places[axis] == "_":
                    places[axis] = _another(f"{printer.size(size)}_of_{name}", taken)
                    tests.append(f"{places[axis]} != {printer.size(size)}")
        elif len(new) < len(shape) or not shape:
            tests.append(f"{name}.shape != {_shape(printer, shape)}")
        if new:
            unpacked.append(f"{', '.join(places)}{',' * (len(places) == 1)} = {name}.shape")
    return unpacked, tests


def _another(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _shape(printer: NumpyPrinter, shape: Shape) -> str:
    return f"({', '.join(map(printer.size, shape))}{',' * (len(shape) == 1)})"


def _condition(tests: Sequence[str]) -> list[str]:
    """`if a or b:`, one test a line where one line cannot hold them."""
    line = f"if {' or '.join(tests)}:"
    if len(line) <= _WIDTH - 4:
        return [line]
    return ["if (", f"    {tests[0]}", *(f"    or {test}" for test in tests[1:]), "):"]


def _refused(printer: NumpyPrinter, inputs: Sequence[Input], names: Mapping[str, str]) -> list[str]:
    """The call of `_refuse`, which says what is wrong."""
    parts = []
    for given in inputs:
        declared = [f'"{size}"' if isinstance(size, str) else printer.size(size) for size in given.shape]
        parts.append(f'("{given.name}", {names[given.name]}, ({", ".join(declared)}{"," * (len(declared) == 1)}))')
    line = f"    _refuse({', '.join(parts)})"
    return [line] if len(line) <= _WIDTH else ["    _refuse(", *(f"        {part}," for part in parts), "    )"]


def _required(printer: NumpyPrinter, need: Size, text: str) -> list[str]:
    """Lines that refuse sizes for which `need` is negative."""
    rest, number = without_number(need)
    test = f"{printer.size(rest)} < {-number}" if number <= 0 else f"{printer.size(need)} < 0"
    said = f'f"{text}: {", ".join(f"{size} = {{{printer.size(size)}}}" for size in dimensions(need))}"'
    if len(said) <= _WIDTH - len("    raise ValueError()"):
        return [f"if {test}:", f"    raise ValueError({said})"]
    return [f"if {test}:", "    raise ValueError(", f"        {said}", "    )"]


def size_lines(inputs: Sequence[Input], names: Mapping[str, str], used: set[str]) -> list[str]:
    """Lines that read sizes off the arguments; `used` are the identifiers of the code below."""
    lines, bound = [], set[str]()
    for given in inputs:
        name = names[given.name]
        new = [size for size in dict.fromkeys(given.shape) if isinstance(size, str) and size not in bound]
        bound.update(new)
        wish = [size for size in new if names[size] in used]
        if len(wish) > 1 and len(wish) == len(given.shape):
            lines.append(f"{', '.join(names[size] for size in wish)} = {name}.shape")
        else:
            lines += [f"{names[size]} = {name}.shape[{given.shape.index(size)}]" for size in wish]
    return lines


__all__ = ["argument_lines", "size_lines"]
