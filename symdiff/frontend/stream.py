"""The tokens of one text with a look ahead, and the words of the errors that all parts of the parser share."""

from __future__ import annotations

from collections.abc import Iterator

from symdiff.errors import ParseError, UnsupportedError, quoted
from symdiff.expr import Expr, Span
from symdiff.formula_data import Limits
from symdiff.frontend.tokens import END, NAME, NEWLINE, NUMBER, OPERATOR, Token
from symdiff.frontend.words import KEYWORDS, keyword_message

Place = Token | Span | int


class Stream:
    """What the parsers stand on: `peek`, `take`, and errors that point into `text`."""

    def __init__(self, text: str, limits: Limits, tokens: Iterator[Token]) -> None:
        self.text, self.limits, self.tokens = text, limits, tokens
        self.ahead: list[Token] = []

    def peek(self, distance: int = 0) -> Token:
        ahead = self.ahead
        while len(ahead) <= distance:
            ahead.append(self.following())
        return ahead[distance]

    def take(self) -> Token:
        return self.ahead.pop(0) if self.ahead else self.following()

    def following(self) -> Token:
        """The next token that nobody has looked at."""
        return next(self.tokens, None) or Token(END, "", len(self.text), len(self.text))

    def sees(self, text: str, distance: int = 0) -> bool:
        """True where the next operator is `text`."""
        token = self.peek(distance)
        return token.text == text and token.kind == OPERATOR

    def fail(self, message: str, place: Place) -> ParseError:
        return ParseError(message, text=self.text, at=_offset(place))

    def unsupported(self, message: str, place: Place) -> UnsupportedError:
        """For what is understood and cannot be a formula."""
        return UnsupportedError(message, text=self.text, at=_offset(place))

    def expect(self, text: str, why: str) -> Token:
        token = self.take()
        if token.text != text or token.kind not in (OPERATOR, NAME):
            raise self.fail(f"expected '{text}' {why}, found {shown(token)}", token)
        return token

    def end_of_line(self) -> Token:
        token = self.take()
        if token.kind in (NEWLINE, END):
            return token
        if token.kind == NAME and token.text in KEYWORDS:
            raise self.fail(keyword_message(token.text), token)
        if token.text in (")", "]"):
            raise self.fail("there is no open bracket to close here", token)
        advice = ""
        if token.kind in (NUMBER, NAME) or token.text == "(":
            advice = "; a product needs '*', and one statement ends with a new line or ';'"
        raise self.fail(f"expected the end of the statement, found {shown(token)}{advice}", token)


def _offset(place: Place) -> int:
    return place.start if isinstance(place, Token) else place if isinstance(place, int) else place[0]


def shown(token: Token) -> str:
    """A token, as a message names it."""
    if token.kind == END:
        return "the end of the text"
    return "the end of the line" if token.kind == NEWLINE else quoted(token.text)


def start_of(expr: Expr, default: int = 0) -> int:
    """Offset at which `expr` begins."""
    span: Span | None = getattr(expr, "span", None)
    return span[0] if span else default
