"""The derivation of formulas with arrays: what it says, that what it says is true, and pages that TeX accepts."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symdiff.adjoint import adjoint
from symdiff.expr import Call, Expr, Name, Number, bottom_up, call
from symdiff.frontend.parser import parse
from symdiff.linearize import linearize
from symdiff.ops import ARRAYS
from symdiff.ops.evaluate import evaluate
from symdiff.render import derivation
from symdiff.render.array_elements import Elements, element_name, is_small
from symdiff.render.array_figures import flat_array, latex_array, text_number
from symdiff.render.array_local import Locals
from symdiff.render.array_marks import TextMarks
from symdiff.render.array_model import ArrayModel
from symdiff.render.array_page import ArrayPage
from symdiff.render.array_paths import MOST_PATHS, Paths
from symdiff.render.array_rules import Rules
from symdiff.render.array_writers import WRITERS
from symdiff.render.context import Sheet
from symdiff.render.printer import TEXT
from symdiff.render.trace_text import trace_text
from symdiff.shapes import shape_value
from symdiff.tape import ADJOINT
from symdiff.trace import Trace

SYSTEM_A = """
x: const(d); W1: (m, d); W2: (q, m); y: const(q); lam: const(); phi: function; l: function()
z = W1 @ x; h = phi(z); o = W2 @ h; L = l(o, y); s = lam/2*(norm(W1)**2 + norm(W2)**2); J = L + s
"""
SYSTEM_C = "W: (3,3); x: (3,1); q = sigmoid(W @ x); f = norm(q)**2"
SYSTEM_D = """
X: const(3,n); T: const(1,n); W1: (4,3); b1: (4,1); W2: (1,4); b2: (1,1)
p = W1 @ X; z1 = p + b1; a2 = relu(z1); q = W2 @ a2; z2 = q + b2; t = z2 - T; r = t**2; S = sum(r); C = S/n
"""
SYSTEM_D_ROWS = """
X: const(n,3); y: const(n); W1: (3,4); b1: 4; w2: 4; b2: ()
A = relu(X @ W1 + b1); t = A @ w2 + b2; C = mean((t - y)**2)
"""
SYSTEM_F = """
x: const(3,1); W1: (3,2); b1: (2,1); W2: (2,3); b2: (3,1)
I1 = W1.T @ x + b1; O1 = sigmoid(I1); I2 = W2.T @ O1 + b2; O2 = sigmoid(I2); E = norm(O2 - x)**2
"""
LONG = "a_name_that_goes_on_" * 5
FORMULAS = {
    "a": SYSTEM_A,
    "a small": SYSTEM_A.replace("const(d)", "const(3)")
    .replace("(m, d)", "(4, 3)")
    .replace("(q, m)", "(2, 4)")
    .replace("const(q)", "const(2)"),
    "c": SYSTEM_C,
    "d": SYSTEM_D,
    "rows": SYSTEM_D_ROWS,
    "f": SYSTEM_F,
    "attention": """Q: (n,d); K: (n,d); V: (n,e); Y: const(n,e)
        S = Q @ K.T / sqrt(d); P = softmax(S); O = P @ V; J = mean((O - Y)**2)""",
    "softmax regression": """X: const(n,d); Y: const(n,k); W: (d,k); b: k
        Z = X @ W + b; J = mean(logsumexp(Z, axis=1) - sum(Y*Z, axis=1))""",
    "cholesky": """K: (n,n); y: n
        L = cholesky(K); a = solve(L, y); J = dot(a, a)/2 + sum(log(diag(L))) + n/2*log(2*pi)""",
    "solve": "K: (n,n); y: n; J = dot(y, solve(K, y))/2 + logdet(K)/2",
    "every op": """x: n; A: (n,n); u = concat(x, 2*x); v = x[1:]
        prod(x) + sum(cumsum(x)*x) + amax(x) + sum(u[2:5]**2) + trace(A @ inv(A)) + det(A) + sum(outer(x,x)*A.T)
        + norm(v) + norm1(x) + sum(stack(x,x)**3) + sum(reshape(A,(-1,))) + amin(A) + sum(softmax(x)*x)
        + sum(mean(A, axis=0)**2) + sum(logsumexp(A, axis=0)) + logsumexp(x)""".replace("\n        +", " +"),
    "branches": "x: n; y: n; sum(where(x > y, x*y, exp(-x))) + sum(maximum(x, 0)*y) + norm(x*y) + sum(x**3/y)",
    "helpers": "def act(z): return max(z, 0)*tanh(z)\nW: (2,3); x: 3; f = sum(act(W @ x)) + sum(act(W))",
    "stacks": "A: (b,n,m); B: (b,m,k); c: k; sum((A @ B + c)**2) + sum(A.mT @ A)",
    "columns": "u: (n,1); v: (1,m); A: (n,m); sum(u @ v * A + u - v) + sum(A*u) + sum(u.T @ A) + sum(A / 2 + 1)",
    "fan out": "x: n; a = x*x; b = a + x; c = a*b; d = b*c; e = c + d; g = d*e; h = e*g; sum(g*h)",
    "names": "lam: (2,3); delta: 3; T: 2; value: n; sum((lam @ delta)*T) + sum(value**2)*sum(lam)",
    "long names": f"{LONG}x: n; {LONG}W: (3,n); {LONG}f = sum(({LONG}W @ {LONG}x)**2)",
    "sizes": """x: n; y: (2,n)
        n*sum(x)/(n+1) + sum(zeros((n,2)) + ones((n,2))) + sum(eye(n) @ x) + sum(x[:, None]*y.T) + sum(y[0, 1:n])
        + sum(reshape(y, (n*2,))) + sum(y[::-1])""".replace("\n        +", " +"),
    "no name": "A: (n,m,k); B: (k,m); c: m; sum(sum(A*B.T*c[:, None], axis=(0,2))**2)",
    "ones": "x: (1,1); y: 1; sum(x*2+y) + sum(y*y)",
    "large": "X: (20, 10); w: 10; sum((X @ w)**2)",
    "numbers alone": "phi: function; x: (); y: (); phi(x*y)**2 + phi(x)",
    "no influence": "A: (2,2); b: 3; sum(sign(A))",
    "abstract field": "X: (n,d); f: function(n); g: function; sum(g(f(X), 2*f(X)))",
}


@cache
def sheet(key: str) -> Sheet:
    formula = parse("\n".join(part.strip() for part in re.split(r";|\n", FORMULAS[key])))
    tape = adjoint(linearize(formula), [given.name for given in formula.declared if not given.constant])
    return Sheet(key.replace(" ", "_"), formula, tape, tape)


@cache
def trace(key: str) -> Trace:
    tape, rng = sheet(key).people, np.random.default_rng(3)
    dims = {name: 3 + k for k, name in enumerate(tape.dims)}
    at: dict[str, Any] = {}
    for given in tape.inputs:
        value = np.round(rng.uniform(0.2, 1.5, shape_value(given.shape, dims)), 2)
        if given.name in ("K", "A") and value.ndim == 2 and value.shape[0] == value.shape[1]:
            value = value @ value.T + 3 * np.eye(len(value))
        at[given.name] = value if given.shape else float(value)
    if key == "c":
        at = {"W": [[1, 2, 3], [3, 1, 2], [2, 3, 1]], "x": [[1], [1], [1]]}
    return Trace(tape, at)


def has_numbers(key: str) -> bool:
    return not sheet(key).formula.functions


def differences(numbers: Trace) -> dict[str, tuple[Any, Any]]:
    """Gradient beside central differences."""
    found = {}
    for name, exact in numbers.gradient.items():
        x = np.asarray(numbers.at[name], float)
        slope = np.zeros_like(x)
        for place in np.ndindex(x.shape):
            ends = []
            for h in (1e-5, -1e-5):
                moved = x.copy()
                moved[place] += h
                values = {**numbers.at, **numbers.sizes, name: moved}
                for step in numbers.tape.primal:
                    values[step.name] = evaluate(step.expr, values, numbers.sizes)
                ends.append(float(evaluate(numbers.tape.value, values, numbers.sizes)))
            slope[place] = (ends[0] - ends[1]) / 2e-5
        found[name] = (exact, slope)
    return found


@cache
def texts(key: str, numbers: bool = False) -> Mapping[str, str]:
    page, found = sheet(key), trace(key) if numbers else None
    check = None if found is None else differences(found)
    return {
        "latex": derivation.latex(page, found, check=check),
        "fragment": derivation.latex(page, found, fragment=True, check=check),
        "markdown": derivation.markdown(page, found, check),
        "text": derivation.text(page, found, check),
    }


CASES = [(key, numbers) for key in FORMULAS for numbers in (False, True) if not numbers or has_numbers(key)]


# -- form --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "numbers"), CASES)
def test_every_step_and_every_contribution_is_there_once(key: str, numbers: bool) -> None:
    made, tape = texts(key, numbers), sheet(key).people
    for step in tape.steps:
        if step.role not in ("primal", ADJOINT):
            continue
        tag = step.label.replace("'", "$'$") if "'" in step.label else step.label
        assert made["latex"].count(rf"\tag{{{tag}}}") == 1, step.label
        assert made["fragment"].count(rf"\tag{{{tag}}}") == 1, step.label
        assert (
            len(re.findall(rf"(?m)^\| \({re.escape(step.label)}\) \| \$\S+ (?:=|\\leftarrow)", made["markdown"])) >= 1
        )
        target = re.escape(step.target) if len(step.target) < 60 else ""  # a longer name may be cut
        assert len(re.findall(rf"(?m)^\({re.escape(step.label)}\) +{target}", made["text"])) >= 1


@pytest.mark.parametrize(("key", "numbers"), CASES)
def test_form_of_the_texts(key: str, numbers: bool) -> None:
    made = texts(key, numbers)
    for text in made.values():
        assert text.isascii()
        assert not re.search(r"<built-in|object at 0x|None\b.*Name\(", text)
    assert max(map(len, made["text"].splitlines())) <= 80
    for document in ("latex", "fragment"):
        assert made[document].count("{") == made[document].count("}")
    assert r"\documentclass" not in made["fragment"]
    assert r"\mathbb" not in made["fragment"]
    for row in made["markdown"].splitlines():
        if row.startswith("|"):
            assert r"\\" not in row
            assert "&" not in row


@pytest.mark.parametrize("key", FORMULAS)
def test_rules_come_once_and_in_both_notations(key: str) -> None:
    tape = sheet(key).people
    marks = TextMarks(TEXT, "ijklpqrstuvw")
    items = Rules(Locals(tape, marks), "J").items()
    assert len({item.key for item in items}) == len(items)
    assert bool(items) == bool(tape.reverse)
    for item in items:
        assert item.lines
        assert item.words or all(line.chain for line in item.lines)
        assert len({(line.left, line.right) for line in item.lines}) == len(item.lines)


def test_shapes_stand_beside_the_lines() -> None:
    latex = texts("d")["latex"]
    assert r"p &= W_{1} \, X &\qquad& (4 \times n) \tag{1}" in latex
    assert r"\bar{W}_{1} &= \bar{p} \, X^{\top} &\qquad& (4 \times 3) \tag{1$'$}" in latex
    assert r"$W_{2}$ & $(1 \times 4)$ & row, variable" in latex


def test_the_value_alone_has_no_reverse_sweep() -> None:
    formula = parse("x: n\nA: (n,n)\nA @ x")
    tape = linearize(formula)
    page = Sheet("t", formula, tape, tape, "value")
    for text in (derivation.latex(page, None), derivation.markdown(page, None), derivation.text(page, None)):
        assert "Forward sweep" in text
        assert "Reverse sweep" not in text
        assert "gradient" not in text


def test_same_text_twice() -> None:
    first = derivation.latex(sheet("f"), None)
    assert derivation.latex(sheet("f"), None) == first


def test_every_op_of_the_tape_has_a_spelling() -> None:
    assert {op for op, entry in ARRAYS.items() if entry.lower is None or entry.numpy is not None} <= set(WRITERS)


# -- the systems -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        r"\frac{\partial J}{\partial o} &= \frac{\partial l}{\partial o} &",
        r"\frac{\partial J}{\partial W_{2}} &= \lambda \, W_{2} + \frac{\partial J}{\partial o} \, h^{\top} &",
        r"\frac{\partial J}{\partial h} &= W_{2}^{\top} \, \frac{\partial J}{\partial o} &",
        r"\frac{\partial J}{\partial z} &= \frac{\partial J}{\partial h} \odot \phi'(z) &",
        r"\frac{\partial J}{\partial W_{1}} &= \lambda \, W_{1} + \frac{\partial J}{\partial z} \, x^{\top} &",
        r"\bar{W}_{2} &\leftarrow \bar{o} \, h^{\top} &\qquad& (q \times m) \tag{3$'$a}",
        r"\frac{\partial o}{\partial h} = W_{2}",
        r"\frac{\partial h}{\partial z} = \operatorname{diag}(\phi'(z))",
        r"\frac{\partial z_{k}}{\partial (W_{1})_{ij}} = \delta_{ki} \, x_{j}",
        r"\sum_{k} \bar{z}_{k} \, \delta_{ki} \, x_{j} = \bar{z}_{i} \, x_{j}",
        r"The function $\phi$ is any differentiable function of one number and is applied to each element",
    ],
)
def test_system_a(line: str) -> None:
    assert line in " ".join(texts("a")["latex"].split())


@pytest.mark.parametrize(
    "line",
    [
        r"\frac{\partial f}{\partial W_{ij}} & = \sum_{k} \frac{\partial f}{\partial (v_{1})_{k1}} \, "
        r"\frac{\partial (v_{1})_{k1}}{\partial W_{ij}}",
        r"\bar{v}_{1} = \bar{q} \odot q \odot (1 - q)",
        r"\bar{q} = 2 \, \bar{f} \, q",
        r"\bar{W} = \bar{v}_{1} \, x^{\top}",
        r"\bar{x} = W^{\top} \, \bar{v}_{1}",
        "= (6, 6, 6)^{\\top}",
        r"\approx (0.99752738, 0.99752738, 0.99752738)^{\top}",
        r"\approx 2.9851826",
        r"\approx (1.9950548, 1.9950548, 1.9950548)^{\top}",
        r"0.0049208211 & 0.0049208211 & 0.0049208211",
        r"\approx (0.029524927, 0.029524927, 0.029524927)^{\top}",
        r"W = \begin{pmatrix} w_{11} & w_{12} & w_{13} \\[2pt] w_{21}",
    ],
)
def test_system_c(line: str) -> None:
    assert line in " ".join(texts("c", True)["latex"].split())


def test_system_d() -> None:
    latex = " ".join(texts("d", True)["latex"].split())
    chain = "CS Sr rt tz_{2} z_{2}q qa_{2} a_{2}z_{1} z_{1}p pW_{1}".split()
    pieces = [re.fullmatch(r"(\w(?:_\{\d\})?)(\w(?:_\{\d\})?)", part) for part in chain]
    product = r" \, ".join(rf"\frac{{\partial {m[1]}}}{{\partial {m[2]}}}" for m in pieces if m)
    assert rf"\frac{{\partial C}}{{\partial W_{{1}}}} &= {product}" in latex
    assert r"\delta_{z_{2}} = \frac{\partial C}{\partial z_{2}} &= \underbrace" in latex
    assert latex.count(r"\delta_{z_{1}} = ") == 1
    assert re.search(
        r"\\underbrace\{\\frac\{\\partial r\}\{\\partial t\}\}_\{\\substack\{2 \\, t .*?\(1 \\times n\)\}\}", latex
    )
    assert r"\frac{\partial C}{\partial b_{1}} &= \frac{\partial C}{\partial z_{1}} \, \mathbf{1}_{n}" in latex
    assert r"\odot [z_{1} > 0]" in latex  # the mask of the rectifier


def test_system_d_with_samples_as_rows() -> None:
    latex = texts("rows")["latex"]
    assert r"v_{2} &= v_{1} + \mathbf{1}_{n} \, b_{1}^{\top} &" in latex
    assert r"C &= \frac{1}{n} \sum_{i=1}^{n} (t_{i} - y_{i})^{2}" in latex
    assert r"\frac{\partial C}{\partial t} &= \frac{2}{n} \, v_{6} &" in latex
    assert (
        r"\frac{\partial C}{\partial b_{1}} &= \left(\frac{\partial C}{\partial v_{2}}\right)^{\top} \, \mathbf{1}_{n}"
        in latex
    )
    assert r"= \sum_{j} (\bar{v}_{2})_{ji}" in latex


def test_system_f() -> None:
    latex = " ".join(texts("f")["latex"].split())
    assert r"\frac{\partial E}{\partial W_{1}} &= x \, \left(\frac{\partial E}{\partial I_{1}}\right)^{\top} &" in latex
    assert r"\frac{\partial E}{\partial O_{1}} &= W_{2} \, \frac{\partial E}{\partial I_{2}} &" in latex
    assert r"W_{1} = \begin{pmatrix} w^{(1)}_{11} & w^{(1)}_{12} \\[2pt]" in latex
    assert r"\frac{\partial E}{\partial w^{(1)}_{11}}" in latex
    assert r"\delta_{I_{2}} = " in latex


def test_broadcasting_is_explained_where_it_is_used() -> None:
    assert "broadcasts against a larger one" in " ".join(texts("d")["latex"].split())
    assert "broadcasts" not in texts("a")["latex"]


def test_contractions_without_a_name_are_written_by_elements() -> None:
    formula = parse("A: (n,m,k)\nB: (n,m,k)\nsum(sum(A*B, axis=1)**2)")
    tape = adjoint(linearize(formula), ["A", "B"])
    assert r"\left[\sum_{j=1}^{m} (v_{1})_{ijl}\right]_{il}" in derivation.latex(Sheet("t", formula, tape, tape), None)


# -- truth -------------------------------------------------------------------------------------------------------------

NUMBERS = [key for key in FORMULAS if has_numbers(key)]


@pytest.mark.parametrize("key", NUMBERS)
def test_what_is_put_in_changes_no_value(key: str) -> None:
    numbers = trace(key)
    model = ArrayModel(sheet(key), numbers, None)
    for name, terms in model.collected.items():
        total = sum(np.asarray(numbers.value_of(term)) for term in terms)
        np.testing.assert_allclose(total, numbers.value_of(Name(model.bars[name])), rtol=1e-10, atol=1e-12)
    for line in model.reverse:
        if line.value is not None:
            total = sum(np.asarray(numbers.value_of(term)) for term in line.terms)
            np.testing.assert_allclose(total, numbers.value_of(line.value), rtol=1e-10, atol=1e-12)


class Code(TextMarks):
    """Index notation as Python code, to be worked out."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__(TEXT, "ijklpqrstuvw")
        self.parts: list[Expr] = []
        object.__setattr__(self, "known", sizes)

    def entry(self, name: str, indices: str) -> str:
        places = ", ".join("0" if index == "1" else index for index in indices)
        return f"V[{name!r}][{places}]" if indices else f"V[{name!r}]"

    def factor(self, expr: Expr, indices: Mapping[str, str]) -> str:
        def leaf(part: Name | Number) -> str:
            return repr(part.value) if isinstance(part, Number) else self.entry(part.id, indices.get(part.id, ""))

        return bottom_up(expr, leaf, lambda old, args: f"F({old.op!r}, {', '.join(args)})")

    def total(self, indices: str, body: str, sign: str = "sum") -> str:
        loops = " ".join(f"for {index} in range(N[{index!r}])" for index in indices)
        return f"sum({body} {loops})" if indices else body

    def delta(self, a: str, b: str) -> str:
        return f"({a} == {b})"

    def times(self, parts: Sequence[str]) -> str:
        return "*".join(f"({part})" for part in parts) or "1"

    def holds(self, condition: str) -> str:
        return f"({condition.replace(' = ', ' == ')})"

    def call(self, name: str, inside: str) -> str:
        return f"np.{name}({inside})"

    def matrix(self, expr: Expr) -> str:
        assert isinstance(expr, Call)
        (arg,) = expr.args
        assert isinstance(arg, Name)
        return f"ARRAYS[{expr.op!r}].numpy((), V[{arg.id!r}])"


@pytest.mark.parametrize("key", NUMBERS)
def test_local_derivatives_of_elements_give_the_adjoints(key: str) -> None:
    """The sum over all elements of the value of its adjoint times the element of the local derivative."""
    numbers = trace(key)
    tape, marks = numbers.tape, Code(numbers.sizes)
    locals_ = Locals(tape, marks)
    known: dict[str, Any] = {name: np.asarray(numbers.value_of(Name(name))) for name in [*tape.shapes, *tape.dims]}
    bars = dict(tape.bars)
    tested = 0
    for send in tape.reverse:
        if send.role != ADJOINT or "where" in TEXT(send.expr):
            continue
        assert send.of is not None and send.receiver is not None
        primal = locals_.primal[send.of]
        element = locals_.element(primal, locals_.operand(send), locals_.partial(send))
        if element is None or primal.op in ("prod", "apply"):
            continue
        body = marks.total(
            element.summed, marks.times([*(marks.delta(*pair) for pair in element.deltas), *element.body({})])
        )
        value, operand = known[primal.name], known[send.receiver]
        sizes = dict(zip(element.out, value.shape, strict=True)) | dict(zip(element.inside, operand.shape, strict=True))
        for other in "ijklpqrstuvw":
            sizes.setdefault(other, next((n for n in (value.shape or operand.shape)), 1))
        if element.summed:
            continue
        function = compile(body, "element", "eval")
        made = np.zeros(operand.shape)
        for inside in np.ndindex(operand.shape):
            for out in np.ndindex(value.shape):
                at = dict(zip(element.inside, inside, strict=True)) | dict(zip(element.out, out, strict=True))
                scope = {"V": known, "N": sizes, "F": _scalar, "np": np, "ARRAYS": ARRAYS, **at}
                local = eval(function, scope)  # our own text
                made[inside] += known[bars[primal.name]][out] * local
        np.testing.assert_allclose(made, numbers.value_of(Name(send.name)), rtol=1e-9, atol=1e-11, err_msg=body)
        tested += 1
    assert tested or key == "no influence"


def _scalar(op: str, *args: float) -> Any:
    return evaluate(call(op, *(float(arg) for arg in args)), {})


@pytest.mark.parametrize("key", ["c", "f"])
def test_elements_are_those_of_the_arrays(key: str) -> None:
    numbers = trace(key)
    assert is_small(numbers.tape)
    values: dict[str, Any] = {}
    for name, shape in numbers.tape.shapes.items():
        array = np.asarray(numbers.value_of(Name(name)))
        values |= {element_name(name, place): array[place] for place in np.ndindex(*shape)}  # type: ignore[arg-type]
    elements = Elements(numbers.tape)
    written = [*elements.forward(), *elements.reverse()]
    assert len(written) > len(numbers.tape.primal)
    for each in written:
        made = np.array([float(evaluate(cell, values)) for cell in each.array.ravel()])
        np.testing.assert_allclose(made, np.ravel(numbers.value_of(Name(each.step.name))), rtol=1e-12)


def test_large_or_open_shapes_are_not_written_out() -> None:
    assert not is_small(sheet("d").people)
    assert r"Element by element" not in texts("d")["latex"]


# -- paths -------------------------------------------------------------------------------------------------------------


def test_paths_are_counted_and_capped() -> None:
    page = sheet("fan out")
    model = ArrayModel(page, None, None)
    paths = Paths(ArrayPage(model).locals, model.output, model.tape.wrt)
    assert paths.counts["x"] > MOST_PATHS
    assert paths.full("x") is None
    assert f"There are {paths.counts['x']} paths" in texts("fan out")["latex"]
    small = sheet("a")
    few = Paths(Locals(small.people, TextMarks(TEXT, "ijkl")), "J", small.people.wrt)
    full = few.full("W1")
    assert full is not None and len(full) == few.counts["W1"] == 2
    assert all(edges[0].of == "J" and edges[-1].by == "W1" for edges in full)


@pytest.mark.parametrize("key", FORMULAS)
def test_chains_hang_together(key: str) -> None:
    tape = sheet(key).people
    assert isinstance(tape.value, Name)
    paths = Paths(Locals(tape, TextMarks(TEXT, "ijklpqrstuvw")), tape.value.id, tape.wrt)
    for name in [*paths.named, *paths.wanted]:
        for chain in paths.sum_of(name).chains:
            places = [chain.start or tape.value.id, *(edge.by for edge in chain.edges)]
            assert [edge.of for edge in chain.edges] == places[:-1]
            assert places[-1] == name


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_equals_stands_beside_exact_numbers_alone() -> None:
    text = texts("d", True)["text"]
    assert re.search(r"(?m)^\(1\) +p = .*\n +=", text)  # sums of products of two-digit decimals
    assert re.search(r"(?m)^\(9\) +C = .*\n +~", text)  # a third of something
    assert re.search(r"(?m)^\(8'\) +r_bar = .*\n +~ \[\[0.33333333", text)


@pytest.mark.parametrize("shape", [(7,), (7, 2), (2, 9), (30, 40), (2, 3, 4)])
def test_large_arrays_are_elided(shape: tuple[int, ...]) -> None:
    array = np.arange(float(np.prod(shape))).reshape(shape)
    shown = latex_array(array, True, 400)
    assert (r"dots" in shown) == (max(shape) > 6)
    assert len(shown) < 800
    assert str(int(array.ravel()[-1])) in shown or len(shape) > 2
    assert len(flat_array(array, text_number(True))) < 800


@pytest.mark.parametrize("key", NUMBERS)
def test_finite_differences_are_shown_and_agree(key: str) -> None:
    text = texts(key, True)["text"]
    if sheet(key).people.wrt and key != "no influence":
        assert "Check by central differences" in text
        worst = [float(found) for found in re.findall(r"(\d\.\de[-+]\d+)$", text, re.M)]
        assert all(value < 1e-4 for value in worst)


def test_empty_arrays_and_numbers_that_are_none() -> None:
    formula = parse("x: n\nsum(x) + sum(log(x))")
    tape = adjoint(linearize(formula), ["x"])
    page = Sheet("t", formula, tape, tape)
    for x in (np.zeros(0), np.array([-1.0, np.inf])):
        found = Trace(tape, {"x": x})
        check = {"x": (found.gradient["x"], found.gradient["x"])}
        for text in (derivation.latex(page, found, check=check), derivation.text(page, found, check)):
            assert text.isascii()


# -- what readers stumbled over ---------------------------------------------------------------------------------------


def derived(text: str, at: Mapping[str, Any] | None = None) -> dict[str, str]:
    formula = parse("\n".join(part.strip() for part in re.split(r";|\n", text)))
    tape = adjoint(linearize(formula), [given.name for given in formula.declared if not given.constant])
    page, found = Sheet("t", formula, tape, tape), None if at is None else Trace(tape, at)
    check = None if found is None else differences(found)
    made = {
        "latex": derivation.latex(page, found, check=check),
        "markdown": derivation.markdown(page, found, check),
        "text": derivation.text(page, found, check),
    }
    return {kind: re.sub(r"[ \n]+", " ", text) for kind, text in made.items()}


@pytest.mark.parametrize("text", ["x: 3; x[0]", "x: (1,1); x[0,0]", "x: 3; cumsum(x)[2]", "x: (1,1); sum(x)"])
def test_values_that_are_an_element(text: str) -> None:
    made = derived(text)
    assert "Element by element" in made["latex"]
    assert ("count from $1$" in made["latex"]) == ("[" in text)
    assert made["latex"].count("count from $1$") <= 1


def test_words_are_upright_and_no_products() -> None:
    latex = derived("P: n; p: const(n); alpha: n; W1: n; Pp = P + p; tr = P*p; sum(Pp*alpha*tr*W1)")["latex"]
    assert r"\mathrm{Pp} &= P + p" in latex
    assert r"\overline{\mathrm{Pp}} &=" in latex
    assert r"\mathit{Pp}" not in latex
    assert r"\mathit{tr}" in latex  # the trace is upright
    assert r"\alpha" in latex
    assert "W_{1}" in latex


@pytest.mark.parametrize("key", FORMULAS)
def test_no_factor_is_the_output_by_itself(key: str) -> None:
    output = ArrayModel(sheet(key), None, None).output
    name = re.escape(ArrayPage(ArrayModel(sheet(key), None, None)).output)
    assert f"d{output}/d{output}" not in texts(key)["text"]
    assert not re.search(rf"\\frac\{{\\partial {name}\}}\{{\\partial {name}\}}", texts(key)["latex"])


def test_text_counts_from_zero_as_the_formula_does() -> None:
    text = derived("x: 3; y: (3,1); x[0]*sum(y*y)", {"x": [1, 2, 3], "y": [[1], [2], [3]]})["text"]
    assert "x[0] 14" in text
    assert "y[2,0] 6" in text
    assert "x[3]" not in text
    assert "y[i,0]" in text
    assert "y[i,1]" not in text


def test_arrays_of_zeros_and_ones_are_exact() -> None:
    made = derived("x: 4; x[1:3][0] + sum(ones((2,2)) @ x[:2]) + sum(eye(2) @ x[2:])", {"x": [1.5, 2, 3, 4]})
    assert "= [0, 1, 0, 0]" in made["text"]
    assert "~" not in made["text"].split("Forward sweep")[1].split("Check by")[0]


def test_transposes_are_no_factors_of_their_own() -> None:
    text = " ".join(texts("f")["text"].split())
    assert "dE/dW1 = delta_I1 * dI1/dv2 * dv2/dW1" in text
    assert "dv6/dO1: W2.T" in text
    assert "see the rule" not in text
    named = derived("A: (n,m); x: m; B = A.T; sum((B.T @ x)**2) + sum(B)")
    assert "dB/dA: transpose, rule (1) (m, n) x (n, m)" in named["text"]
    assert r"\substack{\text{transpose} \\ \text{rule } (1) \\ (m \times n) \times (n \times m)}" in named["latex"]
    both = derived("A: (n,n); sum(A @ A.T)")["text"]
    assert "dv1/dA: transpose" in both  # or the factor would be two things


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x: n; sum(softmax(x)**2)", "softmax Jacobian, rule (1)"),
        ("x: n; sum(x[1:]**2)", "slice, rule (1)"),
        ("x: n; sum((diag(x) @ x)**2)", "diagonal, rule (1)"),
        ("A: (n,n); b: n; sum(solve(A, b)**2)", "solution, rule (1)"),
        ("A: (n,n); b: n; sum(solve(A, b)**2)", "dv1/db: inv(A) (n, n)"),
        ("A: (n,n); logdet(A) + trace(A)", "inv(A).T"),
    ],
)
def test_every_factor_is_said(text: str, said: str) -> None:
    assert said in derived(text)["text"]


@pytest.mark.parametrize("key", FORMULAS)
def test_no_brace_is_empty(key: str) -> None:
    assert not re.search(r"_\{(?:\\substack\{\s*\})?\}", texts(key)["latex"])
    assert "see the rule" not in texts(key)["text"].partition("7. The gradient as products")[2]


@pytest.mark.parametrize("shape", ["(n,1)", "(1,n)", "n"])
def test_diagonals_and_identities_have_their_own_shape(shape: str) -> None:
    made = derived(f"d: {shape}; sum(d**2 + d)")
    assert "einsum" not in made["text"]
    assert "diag(2*d) (n, n)" in made["text"]
    assert "eye(n) (n, n)" in made["text"]
    assert "diag of a vector, a column or a row" in made["text"]
    assert r"I_{n}$} & $(n \times n)$" in made["latex"]


def test_text_has_no_idle_brackets_and_gives_the_result() -> None:
    text = " ".join(texts("a")["text"].split())
    assert "dJ/dW2 = W2_bar = lam*W2 + outer(dJ/do, h)" in text
    assert "dE/db2 = dE/dI2" in " ".join(texts("f")["text"].split())
    assert "dE/dI1 = (dE/dO1)*O1*(1 - O1)" in texts("f")["text"]


def test_text_and_markdown_write_small_arrays_out() -> None:
    assert "v2[1,0] = v1[1,0]*x[0,0] + v1[1,1]*x[1,0] + v1[1,2]*x[2,0]" in texts("f")["text"]
    assert "dE/dW1[2,1] = I1_bar[1,0]*x[2,0]" in texts("f")["text"]
    assert "## 8. Element by element" in texts("f")["markdown"]
    assert "8. Element by element" not in texts("d")["text"]


def test_trace_leaves_empty_columns_and_minus_zero_out() -> None:
    tape = trace("c").tape
    assert "adjoint so far" not in trace_text(trace("c"))
    assert "v1_bar = q_bar" in trace_text(trace("c")) and "W_bar = " in trace_text(trace("c"))
    assert tape.wrt
    formula = parse("x: 3\ny = -x\nsum(y*y)")
    tape = adjoint(linearize(formula), ["x"])
    shown = trace_text(Trace(tape, {"x": np.array([0.0, 1.0, 2.0])}))
    assert "-0." not in shown
    assert "[0. -1. -2.]" in re.sub(r" +", " ", shown).replace("[ ", "[")


# -- TeX ---------------------------------------------------------------------------------------------------------------


def _log(tex: str, folder: Path) -> str:
    program = shutil.which("pdflatex")
    assert program is not None
    (folder / "t.tex").write_text(tex, encoding="ascii")
    for _ in range(2):
        done = subprocess.run(
            [program, "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
            cwd=folder, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
    log = (folder / "t.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    return log


def _too_wide(log: str) -> list[str]:
    return [width for width in re.findall(r"Overfull \\[hv]box \(([\d.]+)pt", log) if float(width) > 5]


@pytest.mark.tex
@pytest.mark.parametrize(("key", "numbers"), CASES)
def test_article_compiles_without_wide_boxes(key: str, numbers: bool, tmp_path: Path) -> None:
    assert not _too_wide(_log(texts(key, numbers)["latex"], tmp_path))


@pytest.mark.tex
@pytest.mark.parametrize("key", ["a", "d", "f", "every op"])
def test_fragment_needs_amsmath_alone(key: str, tmp_path: Path) -> None:
    head = "\\documentclass[11pt,a4paper]{article}\\usepackage[margin=25mm]{geometry}\\usepackage{amsmath}\n"
    head += "\\begin{document}\n"
    assert not _too_wide(_log(head + texts(key)["fragment"] + "\\end{document}\n", tmp_path))


def test_every_step_is_there_element_by_element() -> None:
    """As a whole where its elements have no short formula or do not fit, so that no symbol comes from nowhere."""
    for kind in ("latex", "markdown"):
        made = texts("a small")[kind]
        part = made[made.index("Element by element") :]
        assert r"\end{pmatrix} = \phi(z)" in part
        assert r"v_{6} &= \lVert W_{1} \rVert_{\mathrm{F}}^{2}" in part
        assert r"\end{pmatrix} = \bar{h} \odot \phi'(z)" in part
        assert r"\end{pmatrix} \leftarrow" not in part  # a share is no whole adjoint
        assert part.count(r"\frac{\partial J}{\partial W_{") == 2
    assert "h = phi(z)" in texts("a small")["text"].split("Element by element")[1]
