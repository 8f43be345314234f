"""Declarations: `NAME: DIMS = default`, and the `shapes=` and `constants=` that may stand for them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from symdiff.errors import DomainError, ParseError, ShapeError, quoted
from symdiff.expr import Call, Name, walk
from symdiff.formula_data import Abstract, Default, Input, Limits
from symdiff.frontend.expressions import Expressions
from symdiff.frontend.sizes import MAX_AXES
from symdiff.frontend.stream import shown
from symdiff.frontend.tokens import END, NAME, NUMBER, Token, tokenize
from symdiff.frontend.words import CONSTANTS, ELEMENTARY, KEYWORDS, NOT_SIZES, keyword_message
from symdiff.ops import ARRAYS, TABLE
from symdiff.ops.evaluate import constant_value
from symdiff.shapes import Shape, shape_text

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = ("const", "function")  # of a declaration
_NO_TYPE = "a shape stands here and no type; a scalar is {0}: (), a vector {0}: n or {0}: 3, a matrix {0}: (n, 3)"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a declaration says: a variable or constant with a shape, or a function (elementwise where it has none)."""

    shape: Shape | None = ()
    constant: bool = False
    function: bool = False


class Declarations(Expressions):
    """Fills `declared` and `abstract`."""

    def __init__(self, text: str, limits: Limits, tokens: Iterator[Token], constants: frozenset[str]) -> None:
        super().__init__(text, limits, tokens, constants)
        self.places: dict[str, int] = {}  # where each input and function is declared
        self.default_places: dict[str, int] = {}

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
        if name in self.helpers or name in self.abstract:
            raise self.fail(f"'{name}' is a {'helper' if name in self.helpers else 'function'} already", token)
        if name in self.dimensions:
            raise self.fail(f"'{name}' is a dimension of an input, whose arrays give its value", token)
        return name

    def declaration(self) -> None:
        token = self.take()
        if token.text in self.declared or token.text in self.abstract:
            raise self.fail(f"'{token.text}' is declared twice", token)
        name = self.bindable(token)
        self.take()
        if self.assigned or self.implicit or self.steps:
            raise self.fail(f"declare '{name}' before the first statement", token)
        bare = self.peek()
        if bare.kind == NAME and bare.text in NOT_SIZES:
            raise self.fail(_NO_TYPE.format(name), bare)
        self.declare_kind(token, self.kind())
        if self.sees(","):
            raise self.fail(self.no_list(name, bare), self.peek())

    def no_list(self, name: str, first: Token) -> str:
        """What is said of a comma after a declaration whose shape begins with `first`."""
        if self.peek(1).kind == NAME and self.sees(":", 2):
            return "a new line or ';' stands between declarations"
        if first.kind not in (NAME, NUMBER) or first.text in _WORDS:
            return "one declaration a line: NAME: SHAPE; several sizes stand in brackets, X: (n, 3)"
        sizes, distance = [first.text], 0
        while self.sees(",", distance) and self.peek(distance + 1).kind in (NAME, NUMBER) and len(sizes) < MAX_AXES:
            sizes.append(self.peek(distance + 1).text[:40])
            distance += 2
        return f"several sizes stand in brackets; write {name}: ({', '.join(sizes) if distance else 'n, 3'})"

    def declare_kind(self, token: Token, kind: Kind) -> None:
        """Declare what `token` names, with its default."""
        name = token.text
        if kind.function and self.sees("="):
            raise self.fail("a function has no default; write a helper instead: def f(x): return ...", self.peek())
        default = self.default(name) if self.sees("=") else None
        self.declare_as(name, kind, token.start, default)

    def declare_as(self, name: str, kind: Kind, place: int, default: Default | None = None) -> None:
        """Declare an input or a function."""
        if kind.function:
            self.declare_function(name, kind.shape, place)
        else:
            self.declare(Input(name, kind.shape or (), kind.constant or name in self.constants, default), place)

    def declare(self, given: Input, place: int) -> None:
        self.declared[given.name] = given
        self.places[given.name] = place
        self.dimensions.update(dict.fromkeys(size for size in given.shape if isinstance(size, str)))
        self.strict = True
        for name in given.shape:
            if name in self.declared:
                raise self.fail(f"'{name}' is an input, and cannot be a dimension of '{given.name}' as well", place)
        if given.name in self.dimensions:
            raise self.fail(f"'{given.name}' is a dimension of an input, and cannot be an input as well", place)

    def declare_function(self, name: str, shape: Shape | None, place: int) -> None:
        if name in self.functions:
            raise self.fail(f"'{name}' is a function of the language; choose another name", place)
        if name in TABLE or name in ARRAYS or name in self.arities:
            raise self.fail(f"'{name}' is the name of an operation here; choose another name", place)
        self.abstract[name] = Abstract(name, shape)
        self.places[name] = place

    # -- kinds and shapes --------------------------------------------------------------------------------------------

    def kind(self) -> Kind:
        """`DIMS`, `const`, `const(DIMS)`, `function` or `function(DIMS)`."""
        word = self.peek().text if self.peek().kind == NAME else ""
        if word not in _WORDS:
            return Kind(self.shape())
        self.take()
        shape = self.shape() if self.sees("(") else None
        return Kind(shape, function=True) if word == "function" else Kind(shape or (), constant=True)

    def bare_kind(self) -> Kind:
        """A kind that is all there is to read; `3, 3` needs no brackets."""
        bare = not self.sees("(") and self.peek().text not in _WORDS
        kind = self.kind()
        while bare and self.sees(","):
            self.take()
            if self.peek().kind != END:
                kind = Kind((*(kind.shape or ()), self.dimension()))
                self.check_axes(len(kind.shape or ()), self.peek())
        if self.peek().kind != END:
            raise self.fail(f"expected the end of the shape, found {shown(self.peek())}", self.peek())
        return kind

    def shape(self) -> Shape:
        if not self.sees("("):
            return (self.dimension(),)
        opening = self.take()
        sizes: list[int | str] = []
        while not self.sees(")"):
            sizes.append(self.dimension())
            self.check_axes(len(sizes), opening)
            if not self.sees(")"):
                self.expect(",", "between the sizes of a shape")
        self.take()
        return tuple(sizes)

    def dimension(self) -> int | str:
        token = self.take()
        number = self.whole(token)
        if number is not None:
            return number
        if token.kind != NAME or self.sees("(") or token.text in _WORDS:
            examples = "such as x: (), x: 3 or X: (n, 3)"
            raise self.fail(f"a size is a whole number or a name, {examples}; found {shown(token)}", token)
        self.ordinary(token)
        name = token.text
        if name in CONSTANTS:
            raise self.fail(f"'{name}' is a constant of the language and cannot be a dimension", token)
        for what, known in (("an input", self.declared), ("a helper", self.helpers), ("a function", self.abstract)):
            if name in known:
                raise self.fail(f"'{name}' is {what}, and cannot be a dimension as well", token)
        return name

    # -- defaults ----------------------------------------------------------------------------------------------------

    def default(self, name: str) -> Default:
        """`= number`, or nested lists of numbers."""
        self.take()
        self.default_places[name] = self.peek().start
        if not self.sees("["):
            return self.default_number()
        rows: list[tuple[Token, list[Default]]] = []
        while True:
            if self.sees("["):
                rows.append((self.take(), []))
                self.check_depth(len(rows), rows[-1][0])
                if not self.sees("]"):
                    continue
            else:
                rows[-1][1].append(self.default_number())
            while self.ends_row(rows[-1][0]):
                opening, row = rows.pop()
                made = self.rectangular(row, opening)
                if not rows:
                    return made
                rows[-1][1].append(made)

    def ends_row(self, opening: Token) -> bool:
        """After an entry of a list: whether the list ends here."""
        if self.sees(","):
            self.take()
        elif not self.sees("]"):
            raise self.fail(f"this list is not closed before {shown(self.peek())}", opening)
        if not self.sees("]"):
            return False
        self.take()
        return True

    def rectangular(self, row: list[Default], opening: Token) -> Default:
        for entry in row:
            if default_shape(entry) != default_shape(row[0]):
                first, other = shape_text(default_shape(row[0])), shape_text(default_shape(entry))
                message = f"the entries of this list have shapes {first} and {other}; all have one shape"
                raise ShapeError(message, text=self.text, at=opening.start)
        return tuple(row)

    def default_number(self) -> float:
        start = self.peek()
        strict, self.strict = self.strict, False
        expr = self.value()
        self.strict = strict
        for part in walk(expr):
            if isinstance(part, Name) or (isinstance(part, Call) and part.op not in TABLE):
                raise self.fail("a default is a number, or nested lists of numbers", start)
        self.steps = 0
        value = constant_value(expr)
        if not math.isfinite(value):
            raise DomainError(f"a default must be a finite number, not {value}", text=self.text, at=start.start)
        return value

    def check_default(self, given: Input) -> None:
        """A default has the declared shape."""
        if given.default is None:
            return
        shape = default_shape(given.default)
        if shape != given.shape:
            named = any(isinstance(size, str) for size in given.shape)
            found = f"the default of '{given.name}' has shape {shape_text(shape)}, and the declaration says "
            wanted = shape_text(given.shape) + "; with a default, sizes are whole numbers" * named
            at = self.default_places.get(given.name, self.places[given.name])
            raise ShapeError(found + wanted, text=self.text, at=at)

    def given_shapes(self, shapes: Mapping[str, Shape]) -> None:
        """Declarations that come as `shapes=`."""
        for name, shape in shapes.items():
            check_name(name, "shapes=")
            self.declare_as(name, self.given_kind(name, shape), 0)

    def given_kind(self, name: str, shape: object) -> Kind:
        """A shape of `shapes=`: sizes, or a text as in a declaration."""
        if not isinstance(shape, str) or (_IDENTIFIER.fullmatch(shape) and shape not in _WORDS):
            return Kind(as_shape(name, shape))
        return Declarations(shape, self.limits, tokenize(shape, self.limits), frozenset()).bare_kind()


def default_shape(default: Default) -> tuple[int, ...]:
    """Shape of nested tuples of numbers that are rectangular."""
    shape: list[int] = []
    while isinstance(default, tuple):
        shape.append(len(default))
        if not default:
            break
        default = default[0]
    return tuple(shape)


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
    if isinstance(shape, str) and shape in NOT_SIZES:
        raise ShapeError(f"shapes=: {_NO_TYPE.format(name)}")
    if len(sizes) > MAX_AXES:
        raise ShapeError(f"shapes=: '{name}' has {len(sizes)} axes; an array has at most {MAX_AXES}")
    for size in sizes:
        whole = isinstance(size, int) and not isinstance(size, bool) and size >= 0
        if not whole and not (isinstance(size, str) and _IDENTIFIER.fullmatch(size)):
            raise ShapeError(
                f"shapes=: the shape of '{name}' is made of whole numbers and names, such as (), (3,) or ('n', 3); "
                f"found {quoted(repr(size))}"
            )
        if isinstance(size, str):
            check_name(size, f"shapes=: the shape of '{name}'")
    return tuple(sizes)
