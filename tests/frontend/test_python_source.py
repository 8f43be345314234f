"""Python functions as formulas: live ones and `module.py:function`; what is read, and what is refused where."""

# ruff: noqa: E702, F821, RET504, UP037 - the functions below are formulas

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frontend.evaluation import value_of

from symdiff.errors import DomainError, ParseError, ShapeError, SymdiffError, UnsupportedError
from symdiff.expr import Call
from symdiff.frontend import is_reference, read, read_reference

K = 3.0


def everything(
    x,  # first
    y: "()",
    *,
    lam: "const()" = 0.01,
    k: float = -2e-3,
    unused: dict[str, int] = 1,
) -> dict[str, float]:
    """Docstring with `code`, "quotes" and θ:

    if x: return 1
    """

    # a comment in θ
    def sq(z: float) -> float:
        "squares"
        return z * z

    a = np.sin(x) + \
        math.sqrt(y)  # fmt: skip
    b: float = (a +
      sq(x)); c = b * np.pi  # fmt: skip
    out = np.arctan2(c, lam) * np.square(k) + max(x, y) + np.maximum(x, 1) + abs(x)
    return out


def test_everything_that_is_accepted() -> None:
    formula = read(everything)
    assert list(formula.inputs) == ["x", "y", "lam", "k", "unused"]
    assert formula.constants == ("lam",)
    assert dict(formula.defaults) == {"lam": 0.01, "k": -2e-3, "unused": 1.0}
    assert [statement.name for statement in formula.statements] == ["a", "b", "c", "out"]
    assert value_of(formula, {"x": 0.3, "y": 1.7}) == pytest.approx(everything(0.3, 1.7), rel=1e-15)
    assert formula.source.startswith("def everything(") and formula.source.endswith("return out")


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


@decorated
@decorated
def with_decorators(x: "float", y: np.ndarray | None = 2.5):  # type: ignore[assignment]
    return x * y


def one_line(x, y): s = x + y; return s * s  # fmt: skip


def test_decorators_are_skipped_and_one_line_is_enough() -> None:
    assert value_of(read(with_decorators), {"x": 2.0}) == 5.0
    assert value_of(read(one_line), {"x": 1.0, "y": 2.0}) == 9.0


def test_nested_function_and_static_method() -> None:
    def local(x, y):
        # the indentation is that of the text
        d = x - y

        return d * x

    class Group:
        @staticmethod
        def static(x):
            return x**2

        def method(self, x):
            return x

    assert value_of(read(local), {"x": 3.0, "y": 1.0}) == 6.0
    assert value_of(read(Group.static), {"x": 3.0}) == 9.0
    for method in (Group.method, Group().method):
        with pytest.raises(UnsupportedError, match="method"):
            read(method)


def test_shapes_and_constants_of_parameters() -> None:
    assert read(one_line, constants=("y",)).constants == ("y",)
    with pytest.raises(ParseError, match="shapes=: 'z' is not a parameter"):
        read(one_line, shapes={"z": ()})
    assert read(one_line, shapes={"x": (3,)}).inputs == {"x": (3,), "y": ()}


def test_spans_point_into_the_source() -> None:
    formula = read(with_decorators)
    expr = formula.statements[-1].expr
    assert isinstance(expr, Call) and expr.span is not None
    assert formula.source[slice(*expr.span)] == "x * y"


SHAPED_BY_TYPE = {
    "ndarray": (
        "def f(X: np.ndarray, w):\n    return X @ w\n",
        r"line 4, column 12: 'X' has no shape: annotate it X: \"n, 3\"",
    ),
    "ndarray_sum": ("def f(X: np.ndarray):\n    return np.sum(X)\n", "'X' has no shape"),
    "list": ("def f(X: list[float]):\n    return X[0]\n", "'X' has no shape"),
    "tuple": ('def f(X: ("n", 3), w):\n    return X @ w\n', 'line 3, column 10: a shape stands in quotes: X: "n, 3"'),
    "one": ("def f(w: (3,)):\n    return w\n", 'a shape stands in quotes: w: "3"'),
    "int": ("def f(w: 3 = 2):\n    return w\n", 'a shape stands in quotes: w: "3"'),
    "empty": ("def f(w: ()):\n    return w\n", r'a shape stands in quotes: w: "\(\)"'),
    "in_list": ("def f(w: ['n', 3]):\n    return w\n", 'a shape stands in quotes: w: "n, 3"'),
    "word": ('def f(w: "vector"):\n    return w\n', r'"\(\)" for a scalar, "n" or "3" for a vector'),
    "torch": ("def f(w):\n    return torch.relu(w)\n", r"write relu\(...\)"),
    "flatten": ('def f(w: "n,3"):\n    return np.sum(w.flatten())\n', r"write reshape\(w, -1\)"),
}


@pytest.mark.parametrize("name", SHAPED_BY_TYPE)
def test_shapes_are_not_guessed_from_types(name: str, tmp_path: Path) -> None:
    text, message = SHAPED_BY_TYPE[name]
    file = tmp_path / "module.py"
    file.write_text("import numpy as np\n\n" + text, "utf-8")
    with pytest.raises(ParseError, match=message):
        read_reference(f"{file}:f")


def test_types_that_say_nothing(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text('def f(x: np.ndarray, y: "n") -> "()":\n    return np.tanh(x)*np.sum(y)\n', "utf-8")
    assert read_reference(f"{file}:f").inputs == {"x": (), "y": ("n",)}
    file.write_text("def f(x: np.ndarray) -> 'float':\n    return np.sum(x)\n", "utf-8")
    assert read_reference(f"{file}:f", shapes={"x": ("n",)}).inputs == {"x": ("n",)}


# -- what is refused --------------------------------------------------------------------------------------------------

# name: (function's text, line, column, message); `def f` stands in line 3 of the file
REFUSED = {
    "if": ("def f(a, b):\n    if a > b:\n        return a\n    return b\n", 2, 5, r"where\(condition, a, b\)"),
    "ternary": ("def f(a):\n    return a if a > 0 else -a\n", 2, 14, r"where\(condition, a, b\)"),
    "for": ("def f(a):\n    for i in range(3):\n        a = a + 1\n    return a\n", 2, 5, "every term"),
    "while": ("def f(a):\n    while a: a = 1\n    return a\n", 2, 5, "every step"),
    "with": ("def f(a):\n    with a: pass\n    return a\n", 2, 5, "keyword"),
    "try": ("def f(a):\n    try:\n        return a\n    except E: pass\n", 2, 5, r"where\(\)"),
    "global": ("def f(a):\n    global b\n    return a\n", 2, 5, "pass it as an input"),
    "global_name": ("def f(a):\n    return a*K\n", 2, 14, "unknown name 'K': it is not a parameter"),
    "near_name": ("def f(alpha):\n    return alhpa\n", 2, 12, "did you mean 'alpha'"),
    "outer": ("def f(a):\n    return g(a)\n", 2, 12, "'g' is outside of the function; put its def inside"),
    "own_gamma": ("def f(a):\n    return gamma(a)\n", 2, 12, "'gamma' is a function of your own"),
    "recursion": ("def f(a):\n    return f(a - 1)\n", 2, 12, "cannot call itself"),
    "attribute": ("def f(a):\n    return a.x\n", 2, 13, "attributes"),
    "subscript": ("def f(a):\n    return a[b]\n", 2, 14, "'b' is none"),
    "augmented": ("def f(a):\n    a += 1\n    return a\n", 2, 7, "new name"),
    "reassigned": ("def f(a):\n    a = a + 1\n    return a\n", 2, 5, "'a' is an input already"),
    "tuple": ("def f(a):\n    return a, a\n", 2, 13, "not a tuple"),
    "two_returns": ("def f(a):\n    return a\n    return 2*a\n", 3, 5, "nothing comes after the return"),
    "no_return": ("def f(a):\n    b = a\n\nx = 1\n", 2, 10, "no return"),
    "bare_return": ("def f(a):\n    return\n", 2, 5, "returns one expression"),
    "value_unused": ("def f(a):\n    a + 1\n    return a\n", 2, 5, "goes nowhere"),
    "star": ("def f(a, *rest):\n    return a\n", 1, 10, "write every input out"),
    "double_star": ("def f(a, **rest):\n    return a\n", 1, 10, "write every input out"),
    "string_default": ("def f(a, b='x'):\n    return a\n", 1, 12, "strings"),
    "name_default": ("def f(a, b=K):\n    return a\n", 1, 12, "a default is a number"),
    "no_parameter": ("def f():\n    return 1\n", 1, 1, "at least one input"),
    "bad_shape": ('def f(a: "3,-3"):\n    return a\n', 1, 13, "a size is a whole number"),
    "string": ("def f(a):\n    b = 'x'\n    return a\n", 2, 9, "strings"),
    "f_string": ('def f(a):\n    f"{a}"\n    return a\n', 2, 5, "strings"),
    "lambda": ("def f(a):\n    g = lambda b: b\n    return a\n", 2, 9, "def f"),
    "helper_lines": (
        "def f(a):\n    def h(b):\n        c = b\n        return c\n    return h(a)\n",
        3,
        9,
        "one expression",
    ),
    "unlisted": ("def f(a):\n    return np.load(a)\n", 2, 15, "'np.load' is not a function"),
    "module_e": ("def f(a):\n    return math.e*a\n", 2, 17, r"exp\(1\)"),
    "positional_axis": ("def f(a):\n    return np.sum(a, 0)\n", 2, 22, r"sum\(x, axis=0\)"),
    "method_axis": ("def f(a):\n    return a.sum(0)\n", 2, 18, r"x\.sum\(axis=0\)"),
    "np_max": ("def f(a, b):\n    return np.max(a, b)\n", 2, 22, r"of two arrays it is maximum\(a, b\)"),
    "dtype": ("def f(a):\n    return np.sum(a, dtype=float)\n", 2, 22, "no keyword 'dtype'"),
    "shape": ("def f(a):\n    return a.shape[0]*a\n", 2, 13, "a size has a name"),
    "linalg": ("def f(a):\n    return np.linalg.eig(a)\n", 2, 22, "'np.linalg.eig' is not a function"),
    "bare_function": ("def f(a):\n    return np.sum\n", 2, 15, r"write np\.sum\("),
    "dimension_alone": ('def f(X: "n,3", n):\n    return X\n', 1, 17, "'n' is a dimension"),
    "dimension_unknown": ('def f(X: "3", m: "function(k)"):\n    return m(X)\n', 1, 15, "size 'k'"),
    "function_default": ('def f(x, g: "function" = 1):\n    return g(x)\n', 1, 24, "no default"),
    "bad_const": ('def f(x: "const(3),3"):\n    return x\n', 1, 19, "end of the shape"),
    "default_shape": ('def f(x: "3" = 1.0):\n    return x\n', 1, 16, r"shape \(\), and the declaration says \(3,\)"),
    "indentation": ("def f(a):\n    b = a\n      \n     c = b\n    return c\n", 4, 6, "indented otherwise"),
    "unicode": ("def f(a):\n    return a²\n", 2, 13, r"write \*\*2"),
    "async": ("async def f(a):\n    return a\n", 1, 1, "plain def"),
    "one_liner": ("def f(a): b = a\n", 1, 16, "return EXPRESSION"),
    "huge": ("def f(a):\n    return a*1e999\n", 2, 14, "too large"),
}
HEAD = "import os; os.abort()  # θ\ndef g(b): return b\n"


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_line_of_the_file(name: str, tmp_path: Path) -> None:
    text, line, column, message = REFUSED[name]
    file = tmp_path / "module.py"
    file.write_text(HEAD + text + "def gamma(x): return x\n", "utf-8")
    with pytest.raises(SymdiffError, match=message) as caught:
        read_reference(f"{file}:f")
    assert isinstance(caught.value, ParseError | UnsupportedError | DomainError | ShapeError)
    assert (caught.value.line, caught.value.column) == (line + 2, column)
    assert "module.py', line" in str(caught.value)


def uses_global(x):
    return x * K


def calls_outer(x):
    return decorated(x)


def gamma(x):
    return x


def calls_own_gamma(x):
    return gamma(x)


def test_live_functions_do_not_see_their_module() -> None:
    with pytest.raises(ParseError, match="unknown name 'K'") as caught:
        read(uses_global)
    assert (caught.value.line, caught.value.column) == (2, 16)
    with pytest.raises(ParseError, match="'decorated' is outside"):
        read(calls_outer)
    with pytest.raises(UnsupportedError, match="'gamma' is a function of your own"):
        read(calls_own_gamma)

    def inner(x):
        return x

    def sigmoid(x):
        return inner(x)

    with pytest.raises(ParseError, match="'inner' is outside"):
        read(sigmoid)


async def coroutine(x):
    return x


def generator(x):
    yield x


def test_callables_without_a_plain_source() -> None:
    made: dict[str, Any] = {}
    exec("def made(x): return x", made)
    for source in (lambda x: x, math.sin, print, coroutine, generator, made["made"], np.sin, sum, type):
        with pytest.raises(UnsupportedError):
            read(source)


def test_a_changed_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "changing_module.py"
    file.write_text("def f(x): return x*2\n", "ascii")
    monkeypatch.syspath_prepend(tmp_path)
    import changing_module  # type: ignore[import-not-found]

    file.write_text("def f(y, x): return x*y\n", "ascii")
    with pytest.raises(ParseError, match="has changed"):
        read(changing_module.f)


# -- module.py:function -----------------------------------------------------------------------------------------------


def test_reference_is_read_and_never_run(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        HEAD
        + '"""\ndef f(x): return 1\n"""\n'
        + "def f(x):\n    return x\n\nif True:\n    def f(y): return y\n"
        + "def f(x):\r\n    'doc'\r\n    y = x*2\r\n    return y  # end\r\n\r\n\r\nnot python θ '''\n"
        "utf-8",
        newline="",
    )
    formula = read_reference(f"{file}:f")
    assert list(formula.inputs) == ["x"] and value_of(formula, {"x": 1.5}) == 3.0
    assert formula.source == "def f(x):\r\n    'doc'\r\n    y = x*2\r\n    return y  # end"
    assert formula.statements[0].name == "y"
    with pytest.raises(ParseError, match="no function 'ff'; did you mean 'f'"):
        read_reference(f"{file}:ff")


def test_reference_at_any_indentation(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "class A:\n    def only(q):\n        return q\n    def twice(q): return q\n"
        "class B:\n    def twice(q): return q\n",
        "ascii",
    )
    assert list(read_reference(f"{file}:only").inputs) == ["q"]
    with pytest.raises(UnsupportedError, match="2 functions 'twice'"):
        read_reference(f"{file}:twice")


def test_bad_references(tmp_path: Path) -> None:
    assert is_reference("a.py:f") and not any(map(is_reference, ("a.py", "a.sd:f", "x.py:f(1)", "a.py:", ":f")))
    for reference in ("x", "a.py:1", f"{tmp_path}/none.py:f", "/dev/zero:f"):
        with pytest.raises(SymdiffError):
            read_reference(reference)


def test_sympy_is_not_imported() -> None:
    code = "import sys, symdiff; symdiff.formula('x*y'); sys.exit('sympy' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}).returncode
        == 0
    )
