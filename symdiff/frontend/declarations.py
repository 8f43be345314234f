"""Declarations: `NAME: DIMS = default`, and the `shapes=` and `constants=` that may stand for them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from symdiff.errors import DomainError, ParseError, ShapeError, quoted
from symdiff.expr import is_constant
from symdiff.formula import Input, Shape
from symdiff.frontend.expressions import Expressions
from symdiff.frontend.stream import shown
from symdiff.frontend.tokens import NAME, NUMBER, Token
from symdiff.frontend.words import CONSTANTS, ELEMENTARY, KEYWORDS, keyword_message
from symdiff.ops.evaluate import constant_value

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DIGITS = 9  # of a size


class Declarations(Expressions):
    """Fills `declared`."""

    places: dict[str, int]  # where each input is declared

    def bindable(self, token: Token) -> str:
        """A name that a statement, a declaration or a helper may bind."""
        name = token.text
        if token.kind != NAME:
            raise self.fail(f"expected a name, found {shown(token)}", token)
        self.ordinary(token)
        if name in CONSTANTS:
            raise self.fail(f"'{name}' is a constant of the language and cannot be assigned", token)
        if name in self.assigned:
            raise self.fail(f"'{name}' is assigned twice; give the second value a name of its own", token)
        if name in self.declared:
            raise self.fail(f"'{name}' is an input already; give this value a name of its own", token)
        if name in self.helpers:
            raise self.fail(f"'{name}' is a helper already", token)
        return name

    def declaration(self) -> None:
        token = self.take()
        if token.text in self.declared:
            raise self.fail(f"'{token.text}' is declared twice", token)
        name = self.bindable(token)
        self.take()
        if self.assigned or self.implicit or self.steps:
            raise self.fail(f"declare '{name}' before the first statement", token)
        if self.peek().kind == NAME and self.peek().text == "function":
            raise self.later("abstract functions come in a later version; write a helper: def f(x): return ...", token)
        constant, shape = self.kind()
        default = self.default() if self.sees("=") else None
        self.declare(Input(name, shape, constant or name in self.constants, default), token.start)

    def declare(self, given: Input, place: int) -> None:
        self.declared[given.name] = given
        self.places[given.name] = place
        self.dimensions.update(size for size in given.shape if isinstance(size, str))
        self.strict = True

    def kind(self) -> tuple[bool, Shape]:
        """`DIMS`, `const` or `const(DIMS)`: whether it is constant, and the shape."""
        if self.peek().kind == NAME and self.peek().text == "const":
            self.take()
            return True, self.shape() if self.sees("(") else ()
        return False, self.shape()

    def shape(self) -> Shape:
        if not self.sees("("):
            return (self.dimension(),)
        self.take()
        sizes: list[int | str] = []
        while not self.sees(")"):
            sizes.append(self.dimension())
            if not self.sees(")"):
                self.expect(",", "between the sizes of a shape")
        self.take()
        return tuple(sizes)

    def dimension(self) -> int | str:
        token = self.take()
        if token.kind == NUMBER and token.text.isdigit() and len(token.text) <= _DIGITS:
            return int(token.text)
        if token.kind == NAME and not self.sees("("):
            self.ordinary(token)
            return token.text
        examples = "such as x: (), x: 3 or X: (n, 3)"
        raise self.fail(f"a size is a whole number or a name, {examples}; found {shown(token)}", token)

    def default(self) -> float:
        self.take()
        start = self.peek()
        if self.sees("["):
            raise self.later("arrays come in a later version", start)
        strict, self.strict = self.strict, False
        expr = self.value()
        self.strict = strict
        if not is_constant(expr):
            raise self.fail("a default is a number", start)
        self.steps = 0
        value = constant_value(expr)
        if not math.isfinite(value):
            raise DomainError(f"a default must be a finite number, not {value}", text=self.text, at=start.start)
        return value

    def given_shapes(self, shapes: Mapping[str, Shape]) -> None:
        """Declarations that come as `shapes=`."""
        for name, shape in shapes.items():
            check_name(name, "shapes=")
            self.declare(Input(name, as_shape(name, shape), name in self.constants), 0)


def check_name(name: object, where: str) -> None:
    """Refuse what cannot be the name of an input."""
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name):
        raise ParseError(f"{where}: {quoted(str(name))} is not a name; names are made of A-Z, a-z, 0-9 and _")
    if name in KEYWORDS:
        raise ParseError(f"{where}: {keyword_message(name)}")
    if name in ELEMENTARY or name in CONSTANTS:
        raise ParseError(f"{where}: '{name}' has a meaning in the language; choose another name")


def as_shape(name: str, shape: object) -> Shape:
    """`shape` as a tuple of sizes and names of dimensions; a single one is a vector."""
    sizes = shape if isinstance(shape, tuple | list) else (shape,)
    for size in sizes:
        whole = isinstance(size, int) and not isinstance(size, bool) and size >= 0
        if not whole and not (isinstance(size, str) and _IDENTIFIER.fullmatch(size)):
            raise ShapeError(
                f"shapes=: the shape of '{name}' is made of whole numbers and names, such as (), (3,) or ('n', 3); "
                f"found {quoted(repr(size))}"
            )
    return tuple(sizes)
