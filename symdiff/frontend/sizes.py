"""Sizes, shapes, axes and index ranges: what stands in the text as whole numbers and names of dimensions.

size  ::= whole number | DIMENSION | size (+ | - | *) size | - size | "(" size ")"
shape ::= size | "(" [ size { "," size } [ "," ] ] ")"                       # also with [ ]
axes  ::= integer | "(" integer { "," integer } [ "," ] ")" | "None"
index ::= "[" item { "," item } [ "," ] "]"
item  ::= size | [ size ] ":" [ size ] [ ":" [ integer ] ] | "None"
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from symdiff.errors import ParseError, nearest, quoted
from symdiff.formula_data import Input, Limits
from symdiff.frontend.stream import Stream, shown
from symdiff.frontend.tokens import NAME, NUMBER, Token
from symdiff.frontend.words import MODULES
from symdiff.shapes import NEW_AXIS, Polynomial, Shape, Size, Slice, plus, times

_DIGITS = 9  # of a whole number
_LARGEST = 10**15  # factor in a size
MAX_AXES = 16  # of an array: enough for people, and few enough for the letters of Einstein notation
_TERMS = 64  # of a size: a product of sums can have more terms than there is memory
FLATTEN: Shape = (-1,)

IndexItem = Size | Slice


class Sizes(Stream):
    """Reads sizes, and knows which dimensions there are."""

    def __init__(self, text: str, limits: Limits, tokens: Iterator[Token]) -> None:
        super().__init__(text, limits, tokens)
        self.dimensions: dict[str, None] = {}
        self.declared: dict[str, Input] = {}
        self.assigned: dict[str, int] = {}
        self.parameters: Mapping[str, None] | None = None  # inside a helper: the only names there are
        self.depth = 0  # brackets, signs and powers that are open

    def known(self, name: str) -> bool:
        """Whether there is a variable of this name."""
        return name in self.declared or name in self.assigned or bool(self.parameters and name in self.parameters)

    def whole(self, token: Token) -> int | None:
        """The number that `token` is, if it is a whole number of a fit length."""
        plain = token.kind == NUMBER and token.text.isdigit() and len(token.text) <= _DIGITS
        return int(token.text) if plain else None

    def size(self, what: str, first: Size | None = None) -> Size:
        """A size, read without recursion; `first` is one that has been read and may go on.

        Inside brackets, `outer` holds what stands before them: the sum so far and the factor of the next operand.
        """
        outer: list[tuple[Size, Size, Token]] = []
        total: Size = 0
        factor: Size = 1
        while True:
            value, first = first, None
            if value is None:
                token = self.take()
                if token.text in ("-", "+"):
                    factor = times(-1, factor) if token.text == "-" else factor
                    continue
                if token.text == "(":
                    outer.append((total, factor, token))
                    self.check_depth(self.depth + len(outer), token)
                    total, factor = 0, 1
                    continue
                value = self.size_operand(token, what)
            while True:
                factor = self.checked_size(times(factor, value))
                if self.sees("*"):
                    break
                total = self.checked_size(plus(total, factor))
                if self.sees("+") or self.sees("-"):
                    factor = -1 if self.sees("-") else 1
                    break
                if not outer:
                    return total
                if not self.sees(")"):
                    raise self.fail(f"this bracket is not closed before {shown(self.peek())}", outer[-1][2])
                self.take()
                value = total
                total, factor, _ = outer.pop()
            self.take()

    def size_operand(self, token: Token, what: str) -> Size:
        number = self.whole(token)
        if number is not None:
            return number
        name = token.text
        if token.kind == NAME and not (self.parameters and name in self.parameters) and name in self.dimensions:
            return name
        raise self.no_size(token, what)

    def no_size(self, token: Token, what: str) -> ParseError:
        """What is said of a token that should be a size."""
        if token.text == "newaxis" or (token.text in MODULES and self.peek(1).text == "newaxis"):
            return self.fail("a new axis is written None, x[:, None]", token)
        name = quoted(token.text)
        digits = f" of at most {_DIGITS} digits" if token.text.isdigit() else ""
        made = f"{what} is made of whole numbers{digits} and names of dimensions"
        if token.kind != NAME:
            return self.fail(f"{made}, found {shown(token)}", token)
        if self.known(token.text):
            return self.fail(f"{made}, and {name} is a variable", token)
        advice = nearest(token.text, self.dimensions) or "; a dimension occurs in the shape of an input, X: (n, 3)"
        return self.fail(f"{made}, and {name} is none{advice}", token)

    def checked_size(self, size: Size) -> Size:
        """Refuse a size that grows without bound."""
        terms = size.terms if isinstance(size, Polynomial) else (((), size if isinstance(size, int) else 1),)
        if len(terms) > _TERMS or any(abs(factor) > _LARGEST or len(names) > _TERMS for names, factor in terms):
            raise self.fail("this size is too large", self.peek())
        return size

    def check_depth(self, depth: int, place: Token) -> None:
        if depth > self.limits.depth:
            raise self.fail(
                f"nested more than {self.limits.depth} deep; raise the limit `depth`, or use statements", place
            )

    def check_axes(self, count: int, place: Token) -> None:
        if count > MAX_AXES:
            raise self.fail(f"an array has at most {MAX_AXES} axes", place)

    # -- shapes and axes ---------------------------------------------------------------------------------------------

    def shape_argument(self) -> Shape:
        """The shape that an array is to have; (-1,) where it is to be flat."""
        start = self.peek()
        if not (self.sees("(") or self.sees("[")):
            return self.checked_shape([self.size("a shape")], start)
        closing = ")" if self.take().text == "(" else "]"
        sizes: list[Size] = []
        comma = closing == "]"
        while not self.sees(closing):
            sizes.append(self.size("a shape"))
            self.check_axes(len(sizes), start)
            if not self.sees(closing):
                self.expect(",", "between the sizes of a shape")
                comma = True
        self.take()
        if len(sizes) == 1 and not comma and any(self.sees(sign) for sign in "+-*"):  # (n + 1)*2
            sizes = [self.size("a shape", sizes[0])]
        return self.checked_shape(sizes, start)

    def checked_shape(self, sizes: Iterable[Size], place: Token) -> Shape:
        shape = tuple(sizes)
        self.check_axes(len(shape), place)
        if shape == FLATTEN:
            return shape
        if -1 in shape:
            raise self.fail("-1 stands alone, for all elements in one row; write every size", place)
        if any(isinstance(size, int) and size < 0 for size in shape):
            raise self.fail("a size is not negative", place)
        return shape

    def axes(self, many: bool) -> int | tuple[int, ...] | None:
        """What is written after `axis=`; one integer only, unless `many`."""
        start = self.peek()
        if start.kind == NAME and start.text == "None" and many:
            self.take()
            return None
        if not (many and self.sees("(")):
            wanted = "an integer or a tuple of integers, such as axis=0 or axis=(0, 1)" if many else "an integer"
            return self.integer(f"axis= is {wanted}")
        self.take()
        axes: list[int] = []
        while not self.sees(")"):
            axes.append(self.integer("axis= is an integer or a tuple of integers, such as axis=(0, 1)"))
            self.check_axes(len(axes), start)
            if not self.sees(")"):
                self.expect(",", "between axes")
        self.take()
        if not axes:
            raise self.fail("axis= names at least one axis", start)
        return tuple(axes)

    def integer(self, message: str) -> int:
        """An integer literal."""
        negative = self.sees("-")
        if negative:
            self.take()
        token = self.take()
        number = self.whole(token)
        if number is None:
            raise self.fail(f"{message}; found {shown(token)}", token)
        return -number if negative else number

    # -- indices -----------------------------------------------------------------------------------------------------

    def index(self, opening: Token) -> tuple[tuple[IndexItem, ...], Token]:
        """What stands in brackets after an operand, and the closing bracket."""
        self.depth += 1
        self.check_depth(self.depth, opening)
        items: list[IndexItem] = []
        while not self.sees("]"):
            items.append(self.index_item())
            self.check_axes(len(items), opening)
            if not self.sees("]"):
                self.index_comma(opening)
        if not items:
            raise self.fail("an index is missing between these brackets", opening)
        self.depth -= 1
        return tuple(items), self.take()

    def index_comma(self, opening: Token) -> None:
        token = self.peek()
        if self.sees(","):
            self.take()
        elif token.kind in (NUMBER, NAME) or token.text in ("/", "**", "(", "[", ".", "@"):
            raise self.fail(f"expected ',' or ']' in an index, found {shown(token)}; sizes have only + - *", token)
        else:
            raise self.fail(f"this bracket is not closed before {shown(token)}", opening)

    def index_item(self) -> IndexItem:
        if self.new_axis():
            return NEW_AXIS
        start = None if self.sees(":") else self.size("an index")
        if not self.sees(":"):
            assert start is not None
            return start
        self.take()
        stop = None if self.ends_part() else self.size("an index")
        if not self.sees(":"):
            return Slice(start, stop)
        self.take()
        place = self.peek()
        step = 1 if self.ends_part() else self.integer("the step of a slice is an integer, written as a literal")
        if step == 0:
            raise self.fail("the step of a slice is not zero", place)
        return Slice(start, stop, step)

    def ends_part(self) -> bool:
        return self.sees(":") or self.sees(",") or self.sees("]")

    def new_axis(self) -> bool:
        """Take `None`, which stands for a new axis."""
        if self.peek().kind == NAME and self.peek().text == "None":
            self.take()
            return True
        return False
