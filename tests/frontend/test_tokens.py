"""The tokenizer: what the pieces are, where they are, and what is refused."""

from __future__ import annotations

import contextlib
import time

import pytest

from symdiff.errors import ParseError
from symdiff.formula_data import Limits
from symdiff.frontend.tokens import END, tokenize


def pieces(text: str, **options: object) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in tokenize(text, Limits(), **options)]  # type: ignore[arg-type]


def test_pieces_and_places() -> None:
    text = "a1 = .5e-3**x  # note\nb"
    tokens = list(tokenize(text, Limits()))
    assert [token.text for token in tokens] == ["a1", "=", ".5e-3", "**", "x", "\n", "b", ""]
    assert tokens[-1].kind == END
    assert all(text[token.start : token.end] == token.text for token in tokens)


def test_line_ends() -> None:
    assert pieces("a\r\n\r\nb")[1] == ("newline", "\r\n\r\n")
    assert pieces("(a\n+ b)") == pieces("(a + b)")
    assert pieces("a \\\n+ b") == pieces("a + b")
    assert ("newline", ";") in pieces("(a; b)")


def test_strings_are_tokens_of_python_only() -> None:
    text = 'r"""a\n"b\\""" x \'y\' -> z'
    assert [kind for kind, _ in pieces(text, python=True)] == ["string", "name", "string", "operator", "name", "end"]
    with pytest.raises(ParseError, match="strings"):
        pieces(text)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("x^2", 2, r"write \*\*"),
        ("2x", 2, r"write 2\*x"),
        ("1_000", 2, "plain decimal"),
        ("0x10", 2, "plain decimal"),
        ("1.2.3", 4, "plain decimal"),
        ("sin(θ)", 5, "write theta"),
        ("2*π", 3, "write pi"),
        ("x \N{MINUS SIGN} 1", 3, "write -"),
        ("x²", 2, r"write \*\*2"),
        ("λ*x", 1, "write lam"),
        ("x\x00", 2, "control character"),
        ("x += 1", 3, "new name"),
        ("x ? y : z", 3, "where"),
        ("|x|", 1, "abs"),
        ("n!", 2, "gamma"),
        ("a" * 201, 1, "limit `name`"),
    ],
)
def test_refused_with_place_and_advice(text: str, column: int, message: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        pieces(text)
    assert (caught.value.line, caught.value.column) == (1, column)
    assert str(caught.value).isascii()


def test_length_limit() -> None:
    with pytest.raises(ParseError, match="limit of 10"):
        list(tokenize("x" * 11, Limits().raised(length=10)))


@pytest.mark.parametrize("text", ['"' * 10**6, "'''\\" * 10**5, "[" * 10**6, "\n" * 10**6, "1" * 10**6, "x" * 10**6])
@pytest.mark.parametrize("python", [False, True])
def test_a_megabyte_is_read_or_refused_at_once(text: str, python: bool) -> None:
    start = time.perf_counter()
    with contextlib.suppress(ParseError):
        next(tokenize(text, Limits(), python=python))
    assert time.perf_counter() - start < 1
