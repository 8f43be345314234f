"""What is typed into a field becomes numbers, or an error that says what was expected."""

from __future__ import annotations

from typing import Any

import pytest

from symdiff.errors import SymdiffError
from symdiff.serve import values


@pytest.mark.parametrize(
    ("text", "rank", "expected"),
    [
        (" -1.5e3 ", 0, -1500.0),
        ("+.5", 0, 0.5),
        ("1 2, 3\n4", 1, [1.0, 2.0, 3.0, 4.0]),
        ("1, 2\n3 4\n", 2, [[1.0, 2.0], [3.0, 4.0]]),
        ("1 2\n\n3 4", 3, [[[1.0, 2.0]], [[3.0, 4.0]]]),
        ("[[1, 2.5], [3, 4]]", 2, [[1.0, 2.5], [3.0, 4.0]]),
        ("[[[[1]]]]", 4, [[[[1.0]]]]),
    ],
)
def test_numbers(text: str, rank: int, expected: Any) -> None:
    assert values.value(text, rank) == expected


def test_inf_is_a_number() -> None:
    assert values.value("-inf", 0) == float("-inf")


@pytest.mark.parametrize(
    ("text", "rank", "said"),
    [
        ("", 0, "expected a number"),
        ("1 2", 0, "expected a number"),
        ("1_000", 0, "expected a number"),
        ("0x10", 0, "expected a number"),
        ("__import__('os')", 0, "expected a number"),
        ("1 a", 1, "found 'a'"),
        ("1 2\n3", 2, "row 2 has 1 number, and row 1 has 2"),
        ("1 2", 4, "in brackets"),
        ("[1, NaN]", 1, "numbers in brackets"),
        ("[1, true]", 1, "numbers in brackets"),
        ('["1"]', 1, "numbers in brackets"),
        ("[1, " + "9" * 400 + "]", 1, "numbers in brackets"),
        ("[" * 20_000, 2, "numbers in brackets"),
        ("[" * 40 + "1" + "]" * 40, 2, "numbers in brackets"),
    ],
)
def test_refused(text: str, rank: int, said: str) -> None:
    with pytest.raises(SymdiffError, match=said):
        values.value(text, rank)


@pytest.mark.parametrize("found", [0.1, -3.0, [1.0, 2.5], [[1.0, 2.0], [3.0, 4.0]], [[[1.0], [2.0]]], [[[[1.0]]]]])
def test_the_text_of_a_value_reads_back(found: Any) -> None:
    rank = str(found).split("1")[0].count("[") if isinstance(found, list) else 0
    assert values.value(values.text_of(found), rank) == found
