"""Front end: text, a file, a Python function or a SymPy expression -> FormulaData. Nothing is evaluated or imported.

read(source)                 dispatches by type
read_reference("a.py:f")     a function in a file that is read as text
bind(data, {"phi": "relu"})  abstract functions become ops or helpers
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from symdiff.errors import ParseError, SymdiffError, UnsupportedError, quoted
from symdiff.formula_data import FormulaData, Limits
from symdiff.frontend.binding import bind
from symdiff.frontend.files import read_text
from symdiff.frontend.parser import parse
from symdiff.shapes import Shape

_REFERENCE = re.compile(r"(?P<file>.+\.py):(?P<name>[A-Za-z_][A-Za-z0-9_]*)")
_ACCEPTED = "accepted are text, a pathlib.Path, a Python function and a SymPy expression"


def read(
    source: Any,
    *,
    shapes: Mapping[str, Shape] | None = None,
    constants: Iterable[str] = (),
    limits: Limits | None = None,
) -> FormulaData:
    """The formula in `source`. A str is always text, also "@x" and "a.sd"; a pathlib.Path is a file.

    `shapes` are sizes, ("n", 3), or what stands after the colon of a declaration: "const(n, 3)", "function".

    Inputs come in the order of their declarations, else of first appearance; those of a SymPy expression, whose terms
    SymPy sorts, in natural order of their names (x2 before x10). Raises only errors of this package.
    """
    limits = limits or Limits()
    constants = (constants,) if isinstance(constants, str) else tuple(constants)
    if isinstance(source, str):
        return parse(source, limits=limits, shapes=shapes, constants=constants)
    if isinstance(source, Path):
        return _read_file(source, limits, shapes, constants)
    if isinstance(source, bytes | bytearray | memoryview):
        raise UnsupportedError("a formula is text, and these are bytes; decode them first: source.decode()")
    if inspect.isroutine(source) or inspect.iscoroutinefunction(source):
        from symdiff.frontend.python_source import read_function

        return read_function(source, limits=limits, shapes=shapes, constants=constants)
    sympy = sys.modules.get("sympy")
    if sympy is not None and isinstance(source, sympy.Basic | sympy.MatrixBase | sympy.NDimArray):
        from symdiff.frontend.sympy_expr import read_sympy

        return read_sympy(source, limits=limits, shapes=shapes, constants=constants)
    kind = quoted(type(source).__name__)
    raise UnsupportedError(f"a formula cannot be made from an object of type {kind}; {_ACCEPTED}")


def is_reference(text: str) -> bool:
    """True for `module.py:function`."""
    return _REFERENCE.fullmatch(text) is not None


def read_reference(
    reference: str,
    *,
    shapes: Mapping[str, Shape] | None = None,
    constants: Iterable[str] = (),
    limits: Limits | None = None,
) -> FormulaData:
    """The function in `module.py:function`. The file is read as text and never imported or run."""
    from symdiff.frontend.python_source import read_function_text

    limits = limits or Limits()
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ParseError(f"{quoted(reference)} is not of the form module.py:function")
    text = read_text(Path(match["file"]), limits)
    try:
        return read_function_text(text, match["name"], limits=limits, shapes=shapes, constants=tuple(constants))
    except SymdiffError as error:
        raise error.in_file(match["file"]) from None


def _read_file(
    path: Path, limits: Limits, shapes: Mapping[str, Shape] | None, constants: tuple[str, ...]
) -> FormulaData:
    if path.suffix == ".py":
        raise UnsupportedError(f"{quoted(str(path), 250)} is Python; name the function in it: module.py:function")
    text = read_text(path, limits)
    try:
        return parse(text, limits=limits, shapes=shapes, constants=constants)
    except SymdiffError as error:
        raise error.in_file(str(path)) from None


__all__ = ["bind", "is_reference", "read", "read_reference"]
