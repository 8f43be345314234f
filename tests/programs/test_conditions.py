"""Comparisons in programs: they choose in `where`; nothing may take one for a bool that it is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff
from symdiff import Scalar

F = symdiff.functions


def refused(program: Any, *shapes: Any, kind: type[symdiff.SymdiffError] = symdiff.UnsupportedError) -> str:
    """What the refusal of the program says, without the source line that it shows (which holds the test's own text)."""
    with pytest.raises(kind) as caught:
        symdiff.trace_function(program, *shapes)
    message, place = str(caught.value).split("\n", 1)
    assert place.startswith(f"  {__file__}, line {program.__code__.co_firstlineno}\n")
    return message


# Each of them took a branch without a word, or failed without the line.
TRUTHS: list[tuple[str, Callable[[Any], Any]]] = [
    ("== True", lambda x: x if (x > 0) == True else -x),  # noqa: E712  # what people write
    ("True ==", lambda x: x if True == (x > 0) else -x),  # noqa: E712
    ("== False", lambda x: -x if (x > 0) == False else x),  # noqa: E712
    ("!= False", lambda x: x if (x > 0) != False else -x),  # noqa: E712
    ("== 1.0", lambda x: x if (x > 0) == 1.0 else -x),
    ("== bool of NumPy", lambda x: x if (x > 0) == np.True_ else -x),
    ("bool of NumPy ==", lambda x: x if np.True_ == (x > 0) else -x),
    ("== None", lambda x: x if (x > 0) == None else -x),  # noqa: E711
    ("two", lambda x: x if (x > 0) == (x < 1) else -x),
    ("in", lambda x: x if (x > 0) in (True,) else -x),
    ("not in", lambda x: x if (x > 0) not in [False] else -x),
    ("count", lambda x: x * [x > 0, x > 1].count(True)),
    ("index of", lambda x: x * [x > 0, True].index(True)),
    ("key", lambda x: {True: x, False: -x}[x > 0]),
    ("set", lambda x: x * len({x > 0, x > 1})),
    ("index", lambda x: (-x, x)[x > 0]),
    ("array of conditions", lambda x: x if ((F.array([x, x]) > 0) == True)[0] else -x),  # noqa: E712
    ("array of conditions !=", lambda x: x if ((F.array([x, x]) > 0) != False)[0] else -x),  # noqa: E712
    ("plain array of conditions", lambda x: x if (np.array([x > 0]) == True)[0] else -x),  # noqa: E712
    ("in an array", lambda x: x if True in (F.array([x, x]) > 0) else -x),
    ("in a list", lambda x: x if x in [1.0, 2.0] else -x),
    ("equal arrays", lambda x: x if np.array_equal(F.array([x, x]) > 0, [True, True]) else -x),
]


@pytest.mark.parametrize("program", [case[1] for case in TRUTHS], ids=[case[0] for case in TRUTHS])
def test_a_comparison_of_symbols_has_no_truth_that_something_could_equal(program: Any) -> None:
    assert re.search(r"is neither true nor false.*where\(c, a, b\)", refused(program, ()))


def test_a_comparison_equals_nothing_by_its_own_words() -> None:
    with pytest.raises(symdiff.UnsupportedError, match=r"^\(x > 0\.0\) is .* so nothing equals it and it is no key"):
        symdiff.trace_function(TRUTHS[0][1], ())


@pytest.mark.parametrize(
    "program",
    [
        lambda x: (x > 0) < 1,
        lambda x: (x > 0) ** 2,
        lambda x: 1 / (x > 0),
        lambda x: (x > 0) % 2,
        lambda x: abs(x > 0),
        lambda x: x == (x > 0),
    ],
)
def test_a_comparison_is_no_number(program: Any) -> None:
    assert re.search(r"is a comparison and no number: .*where\(c, 1, 0\)", refused(program, ()))


def test_a_comparison_of_scalars_equals_its_bool() -> None:
    above, below = Scalar(2.0) > 0, Scalar(-2.0) > 0
    assert (above == True) is True and (True == above) is True and (below == True) is False  # noqa: E712
    assert (above != True) is False and (below != above) is True and (above == (Scalar(3.0) > 1)) is True  # noqa: E712
    assert [above, below, True].count(True) == 2 and below in (False,) and below not in (True,)
    assert {True: "yes", False: "no"}[below] == "no" and ("no", "yes")[above] == "yes"
    assert hash(above) == hash(True) and len({above, True}) == 1
    many = F.array([Scalar(2.0), Scalar(-1.0)]) > 0
    assert (many == True).tolist() == [True, False] and (many != np.array([True, True])).tolist() == [False, True]  # noqa: E712


def choosing(x: Any, W: Any) -> Any:
    """Every way to choose by a comparison."""
    signs = np.where(x > 1, 1.0, -1.0) + np.where(x > 0, x, -x)  # of single numbers
    steps = np.select([W > 1, W > 0.5], [W, 2 * W], -1.0).sum() + np.select([x > 1, x > 0], [x, x * x], 0.0)
    if_any = F.where(np.sum(np.where(W > 1, 1, 0)) > 0, x, 2 * x)  # as the refusal of np.any says
    if_all = F.where(np.sum(np.where(W > 1, 0, 1)) == 0, x, 3 * x)
    one_and_other = np.where(W > 0.5, np.where(W < 1, W, 0.0), 0.0).sum()
    return signs + steps + if_any + if_all + one_and_other


@pytest.mark.parametrize("x", [-0.5, 0.5, 1.5])
@pytest.mark.parametrize("W", [[[0.25, 0.75], [1.5, 0.75]], [[1.5, 2.0], [3.0, 4.0]], [[0.25, 0.75], [0.5, 1.0]]])
def test_every_way_to_choose_gives_the_value_of_the_program_on_floats(x: float, W: Any) -> None:
    formula = symdiff.trace_function(choosing, (), (2, 2))
    assert formula.value().trace({"x": x, "W": W}).value == choosing(x, np.array(W))


REFUSED: list[tuple[str, Callable[[Any], Any], str]] = [
    ("np.any", lambda W: W[0] if np.any(W > 0) else W[1], r"np\.any .*where\(np\.sum\(np\.where\(c, 1, 0\)\) > 0, x"),
    ("np.all", lambda W: W[0] if np.all(W > 0) else W[1], r"np\.all .*where\(np\.sum\(np\.where\(c, 0, 1\)\) == 0"),
    ("any", lambda W: W[0] if (W > 0).any() else W[1], r"np\.where\(c, 1, 0\)\) > 0"),
    ("all", lambda W: W[0] if (W > 0).all() else W[1], r"np\.where\(c, 0, 1\)\) == 0"),
    ("any of one", lambda W: W[0] if np.any(W[0] > 0) else W[1], r"^np\.any "),
    ("&", lambda W: np.where((W > 0) & (W < 1), W, 0.0).sum(), r"np\.where\(a, np\.where\(b, x, y\), y\)"),
    ("|", lambda W: np.where((W > 0) | (W < 1), W, 0.0).sum(), r"np\.where\(a, x, np\.where\(b, x, y\)\)"),
    ("~", lambda W: np.where(~(W > 0), W, 0.0).sum(), r"np\.where\(c, y, x\)"),
    ("mask", lambda W: W[W > 1].sum(), r"np\.where\(W > 0, W, 0\) for W\[W > 0\]"),
    ("where=", lambda W: np.sum(W, where=W > 0), r"where= takes bools.*np\.sum\(np\.where\(W > 0, W, 0\)\)"),
]


@pytest.mark.parametrize(("program", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_joins_comparisons_is_refused_with_what_to_write(program: Any, message: str) -> None:
    assert re.search(message, refused(program, 2))
