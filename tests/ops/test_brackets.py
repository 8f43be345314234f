"""Brackets in every language, and printed text that is read back: as a tree, as Python, as C."""

from __future__ import annotations

import re
import subprocess
from ctypes import CDLL, c_double
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops import compiled, generate
from ops.generate import PROFILE
from ops.optable import (
    same_class,
)

from symdiff.expr import Call, Expr, Name, Number, bottom_up, call
from symdiff.frontend.parser import parse
from symdiff.ops import COMPARE_OPS, TABLE, helpers
from symdiff.ops.evaluate import evaluate
from symdiff.render.c_function import Words
from symdiff.render.environment import environment
from symdiff.render.mathematics import MathPrinter
from symdiff.render.printer import TEXT, Printer

each_op = pytest.mark.parametrize("op", TABLE)


def _parsed(text: str) -> Expr:
    return parse(text).statements[-1].expr


def _as_typed(expr: Expr) -> Expr:
    """The tree that `expr`'s spelling is read as: squares are powers, inverses quotients, copies nothing."""

    def node(typed: Call, args: list[Expr]) -> Expr:
        if typed.op == "identity":
            return args[0]
        if typed.op == "square":
            return call("pow", args[0], 2.0)
        return call("div", 1.0, args[0]) if typed.op == "inverse" else Call(typed.op, tuple(args))

    return bottom_up(expr, lambda leaf: leaf, node)


@generate.settings(PROFILE, max_examples=300)
@given(st.integers(0, 2**32), st.integers(1, 14))
def test_text_is_read_back_as_the_same_tree(seed: int, size: int) -> None:
    expr = generate.tree(seed, size)
    assert _parsed(TEXT(expr)) == _as_typed(expr), TEXT(expr)


def contexts(f: Expr, g: Expr) -> dict[str, Expr]:
    return {
        "-f": -f,
        "f^2": call("square", f),
        "a/f": Name("a") / f,
        "f/a": f / Name("a"),
        "1/f": call("inverse", f),
        "f*g": f * g,
        "g*f": g * f,
        "f - g": f - g,
        "g - f": g - f,
        "g + f": g + f,
        "f^g": f**g,
        "g^f": g**f,
        "sin(f)": call("sin", f),
        "log1p(f)": call("log1p", f),
        "abs(f)": call("abs", f),
    }


def over_names(op: str, *given_names: str) -> Expr:
    """`op` over plain names: the f of the contexts."""
    entry = TABLE[op]
    args: list[Expr] = [Name(name) for name in given_names[: entry.operands]]
    if op == "where":
        args[0] = call("lt", args[0], args[1])
    elif any(partial is None for partial in entry.partials) and op not in COMPARE_OPS:
        args = [Number(entry.samples[0][k]) if entry.partials[k] is None else arg for k, arg in enumerate(args)]
    return call("where", Call(op, tuple(args)), Name("p"), Name("q")) if op in COMPARE_OPS else Call(op, tuple(args))


@each_op
def test_text_brackets(op: str) -> None:
    for f, g in ((over_names(op, "p", "q", "r"), Name("g")), (Name("g"), over_names(op, "p", "q", "r"))):
        for where, expr in contexts(f, g).items():
            assert _parsed(TEXT(expr)) == _as_typed(expr), (where, TEXT(expr))


PYTHON = Printer("python", {}, lambda number, alone: repr(number.value), {})
SCOPE = {"np": np} | {name: getattr(helpers, name) for name in dir(helpers) if name in TABLE}


@each_op
def test_python_brackets(op: str) -> None:
    at = {name: np.float64(value) for name, value in zip("apqrg", (1.7, 0.3, 0.6, 0.45, 0.8), strict=True)}
    for f, g in ((over_names(op, "p", "q", "r"), Name("g")), (Name("g"), over_names(op, "p", "q", "r"))):
        for where, expr in contexts(f, g).items():
            with np.errstate(all="ignore"):
                assert np.array_equal(eval(PYTHON(expr), SCOPE, at), evaluate(expr, at), equal_nan=True), where


@generate.settings(PROFILE, max_examples=200)
@given(st.integers(0, 2**32), st.integers(1, 14))
def test_python_text_gives_the_value(seed: int, size: int) -> None:
    expr = generate.tree(seed, size)
    values = {"a": np.float64(0.7), "b": np.float64(-1.3)}
    with np.errstate(all="ignore"):
        assert np.array_equal(eval(PYTHON(expr), SCOPE, values), evaluate(expr, values), equal_nan=True), PYTHON(expr)


@pytest.mark.compiler
def test_c_text_gives_the_value(tmp_path: Path) -> None:
    """Every op in every context, and random trees, as expressions of one C file."""
    printer = Printer("c", {}, lambda number, alone: repr(number.value), {"m": Words(""), "one": "1.0"})
    at = dict(zip("apqrgb", (1.7, 0.3, 0.6, 0.45, 0.8, -1.3), strict=True))
    exprs = []
    for op in TABLE:
        f = over_names(op, "p", "q", "r")
        exprs += [*contexts(f, Name("g")).values(), *contexts(Name("g"), f).values()]
    exprs += [generate.tree(seed, 1 + seed % 6, (1.0, 2.0, 3.0, 0.5, 0.1)) for seed in range(300)]
    folder = environment("c")
    elementwise = [path for path in folder.list_templates() if path.startswith("helpers/") and path.count("/") == 1]
    helper_names = sorted(path.split("/")[1].split(".")[0] for path in elementwise)
    text = ["#include <math.h>"]
    text += [
        folder.get_template(f"helpers/{name}.c.j2").render(real="double", s="", m=Words(""))
        for name in helper_names
        if name != "sincos"
    ]
    parameters = ", ".join(f"double {name}" for name in at)
    text += [f"double f{k}({parameters}) {{ return {printer(expr)}; }}" for k, expr in enumerate(exprs)]
    (tmp_path / "all.c").write_text("\n".join(text))
    command = [*compiled.find_compiler().command, "-O0", "-shared", "-fPIC", "-w", "all.c", "-o", "all.so", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True)
    library = CDLL(str(tmp_path / "all.so"))
    for k, expr in enumerate(exprs):
        function = getattr(library, f"f{k}")
        function.restype, function.argtypes = c_double, [c_double] * len(at)
        got, want = function(*at.values()), float(evaluate(expr, {n: np.float64(v) for n, v in at.items()}))
        assert same_class(got, want, 0, 1e-9 * abs(want) + 1e-300) or abs(want) > 1e100, printer(expr)


# LaTeX: what an op's own text shows outside of all braces and brackets tells where it needs brackets.
LATEX = MathPrinter("latex", {name: name for name in "apqrg"}, str, {})


def _top_level(latex: str) -> str:
    """`latex` with everything inside braces and brackets left out."""
    depth, kept = 0, []
    for token in _tokens(latex):
        opening = token in ("{", "(", r"\left(", r"\left\lvert", r"\begin{cases}", r"\bigl(", r"\Bigl(")
        depth += opening
        if depth == 0 and not opening:
            kept.append(token)
        depth -= token in ("}", ")", r"\right)", r"\right\rvert", r"\end{cases}", r"\bigr)", r"\Bigr)")
    assert depth == 0, latex
    return "".join(kept)


def _tokens(latex: str) -> list[str]:
    return re.findall(
        r"\\(?:begin|end)\{cases\}|\\(?:left|right|[bB]ig[lr]+)(?:[()]|\\[lr]vert)|\\[A-Za-z]+|\\.|.", latex
    )


@each_op
def test_latex_brackets(op: str) -> None:
    """A sum is bracketed in front of and behind everything that binds more strongly; a power needs an atom."""
    f, g = over_names(op, "p", "q", "r"), Name("g")
    own = LATEX(f)
    shown = _top_level(own)
    is_sum = "+" in shown or "-" in shown
    is_cases = own.startswith(r"\begin{cases}")
    is_product = r"\," in shown or r"\cdot" in shown
    atom = own == "p" or own.startswith((r"\left\lvert", r"\lvert", r"\left|", r"\sqrt", "|"))
    wanted = {
        "-f": is_sum or is_cases,
        "f*g": is_sum or is_cases,
        "g*f": is_sum or is_cases,
        "g - f": is_sum or is_cases,
        "f - g": is_cases,
        "g + f": is_sum or is_cases,
        "f^2": not atom,
        "f^g": not atom,
        "a/f": False,
        "1/f": False,
        "f/a": False,
        "g^f": False,
        "abs(f)": False,
    }
    for where, expr in contexts(f, g).items():
        if where not in wanted:
            continue
        latex = LATEX(expr)
        _top_level(latex)  # brackets and braces match
        bracketed = any(f"{a}{own}{b}" in latex for a, b in (("(", ")"), (r"\left(", r"\right)")))
        power_of_function = (
            where in ("f^2", "f^g") and "^{" in latex.split(r"\left")[0].split("(")[0] and own[0] == "\\"
        )
        sharp = own.startswith(r"\begin") and own not in latex  # cases may be written out by the printer itself
        assert bracketed == wanted[where] or power_of_function or sharp, (where, latex)
    del is_product
