"""Text -> tokens, with the place of each; anything outside the language's alphabet is refused here.

The source of a Python function has a larger alphabet (`python=True`): `->`, and strings for docstrings and annotations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from symdiff.errors import ParseError, quoted
from symdiff.formula_data import Limits

NUMBER, NAME, OPERATOR, NEWLINE, STRING, END = "number", "name", "operator", "newline", "string", "end"

_PIECES = r"""(?P<skip>[ \t]+|\#[^\n]*|\\\r?\n)
      |(?P<newline>(?:\r?\n)+|;+)
      |(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
      |(?P<operator>->|\*\*=?|//=?|<<=?|>>=?|<=|>=|==|!=|:=|\.\.\.|[-+*/@%&|^]=|[-+*/@%&|^~<>=(){}\[\],:.!?$`\\'"])
"""
_STRING = r"""(?P<string>(?s:[rRuUbBfF]{0,2}(?:
    \"\"\"(?:\\.|.)*?\"\"\" | \'\'\'(?:\\.|.)*?\'\'\' | \"(?:\\.|[^\"\\\n])*+\" | \'(?:\\.|[^\'\\\n])*+\'
)))|"""
_TOKEN = re.compile(_PIECES, re.VERBOSE)
_PYTHON_TOKEN = re.compile(_STRING + _PIECES, re.VERBOSE)

_HINTS = {
    "^": "'^' is not a power here; write **",
    "^=": "'^' is not a power here; write **, and assign with a new name",
    "//": "'//' is not part of the language; '/' is real division",
    "%": "'%' is not part of the language",
    "&": "'&' is not part of the language",
    "|": "'|' is not part of the language; write abs(x) for an absolute value",
    "~": "'~' is not part of the language",
    "<<": "'<<' is not part of the language",
    ">>": "'>>' is not part of the language",
    ":=": "':=' is not part of the language; write a statement of its own, NAME = EXPRESSION",
    "'": "strings are not part of the language",
    '"': "strings are not part of the language",
    "{": "'{' is not part of the language; group with ( )",
    "}": "'}' is not part of the language; group with ( )",
    "$": "'$' is not part of the language",
    "`": "'`' is not part of the language",
    "?": "'?' is not part of the language; write where(condition, a, b)",
    "!": "'!' is not part of the language; a factorial is gamma(n + 1)",
    "\\": "'\\' is not part of the language",
    "->": "'->' is not part of the language",
    "...": "'...' is not part of the language; write every term out, and in an index ':' for each axis",
}
_AUGMENTED = ("+=", "-=", "*=", "/=", "@=", "%=", "&=", "|=", "**=", "//=", "<<=", ">>=")
_LOOK_ALIKE = {
    "\N{MULTIPLICATION SIGN}": "*",
    "\N{MIDDLE DOT}": "*",
    "\N{DOT OPERATOR}": "*",
    "\N{DIVISION SIGN}": "/",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{SUPERSCRIPT TWO}": "**2",
    "\N{SUPERSCRIPT THREE}": "**3",
    "\N{SQUARE ROOT}": "sqrt( )",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{NOT EQUAL TO}": "!=",
    "\N{NO-BREAK SPACE}": "an ordinary space",
    "\N{GREEK SMALL LETTER PI}": "pi",
    "\N{GREEK SMALL LETTER LAMDA}": "lam",
}


class Token(NamedTuple):
    """One piece of the text; `start` and `end` are offsets into it."""

    kind: str
    text: str
    start: int
    end: int


def tokenize(
    text: str, limits: Limits, *, start: int = 0, end: int | None = None, depth: int = 0, python: bool = False
) -> Iterator[Token]:
    """Tokens of `text` from `start` to `end`, then one END; lazily. Line ends in brackets are left out.

    `depth` is the number of brackets that are open at `start`.

    Raises ParseError at the first character that cannot be part of a formula.
    """
    end = len(text) if end is None else end
    pattern = _PYTHON_TOKEN if python else _TOKEN
    if len(text) > limits.length:
        raise ParseError(
            f"the text has {len(text)} characters, more than the limit of {limits.length}; raise the limit `length`",
            text=text[:1000],
            at=0,
        )
    position = start
    for match in pattern.finditer(text, start, end):
        start = match.start()
        if start != position:  # something that is no token was jumped over
            break
        position, kind = match.end(), match.lastgroup
        if kind == "skip":
            continue
        piece = match.group()
        if kind == "operator":
            if piece != "->" or not python:
                _refuse(piece, text, start)
            depth += (piece in "([") - (piece in ")]")
        if kind == "newline" and depth > 0 and piece[0] != ";":
            continue
        if kind == "name" and len(piece) > limits.name:
            raise ParseError(
                f"a name of {len(piece)} characters; the limit `name` is {limits.name}", text=text, at=start
            )
        if kind == "number":
            _refuse_number(text, piece, start, position)
        yield Token(kind or END, piece, start, position)
    if position < end:
        raise ParseError(_alien(text[position]), text=text, at=position)
    yield Token(END, "", end, end)


def _refuse(piece: str, text: str, start: int) -> None:
    if piece in _AUGMENTED:
        raise ParseError(f"'{piece}' is not part of the language; give the result a new name", text=text, at=start)
    if piece in _HINTS:
        raise ParseError(_HINTS[piece], text=text, at=start)


def _refuse_number(text: str, piece: str, start: int, end: int) -> None:
    """Numbers are plain decimals: `1_000`, `0x10`, `1j`, `2x` and `1.2.3` are refused where they go wrong."""
    follows = text[end : end + 1]
    if follows and (follows.isalnum() or follows in "_."):
        based = piece == "0" and follows in "xXoObB"
        product = follows.isascii() and follows.isalpha() and follows not in "jeE" and not based
        advice = f"; write {piece[:20]}*{follows}" if product else ""
        raise ParseError(f"a number is a plain decimal such as 12, 0.5 or 1e-3{advice}", text=text, at=end)
    if len(piece) > 400:
        raise ParseError(f"a number of {len(piece)} digits; at most 400 are accepted", text=text, at=start)


def _alien(character: str) -> str:
    known = _LOOK_ALIKE.get(character)
    if known:
        return f"the character {quoted(character)} is not ASCII; write {known}"
    if character.isascii():
        return f"the control character {quoted(character)} is not part of the language"
    spelled = _spelled(character)
    advice = f"; write {spelled}" if spelled else "; names are made of A-Z, a-z, 0-9 and _"
    return f"the character {quoted(character)} is not ASCII{advice}"


def _spelled(character: str) -> str:
    """`theta` for a Greek theta."""
    import unicodedata

    words = unicodedata.name(character, "").split()
    if len(words) >= 4 and words[0] == "GREEK" and words[2] == "LETTER":
        word = {"LAMDA": "lam"}.get(words[3], words[3].lower())
        return word.capitalize() if words[1] == "CAPITAL" else word
    return ""
