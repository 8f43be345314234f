"""The numeric helpers that generated code carries: accuracy against mpmath, edges, and C against Python."""

from __future__ import annotations

import ast
import ctypes
import math
import os
import platform
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import jinja2
import mpmath as mp
import numpy as np
import pytest

from symdiff.ops import helpers
from symdiff.ops.evaluate import float_function

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates" / "c" / "helpers"
UNARY = ("sigmoid", "softplus", "relu", "silu", "gelu", "sign", "digamma")
BINARY = ("xlogy", "maximum", "minimum")
PYTHON_ONLY = ("erf", "erfc", "gamma", "lgamma")
SIZES = [0.0, 5e-324, 1e-310, 2.3e-308, 1e-17, 0.5, 1.0, 1.5, 2.0, 2.5, 10.0, 13.0, 170.5, 171.7, 184.5, 710.0, 746.0]
SIZES += [1e10, 2.0**52 - 0.5, 1e16, 1e200, 1.7e308, math.inf]
EDGES = np.array([*SIZES, *[-size for size in SIZES], math.nan])


def numpy_of(name: str) -> Callable[..., np.ndarray]:
    """The helper, or what NumPy has itself: `np.maximum(x, 0.0)` for relu."""
    return getattr(helpers, name, None) or float_function(name)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """As the generated code calls them; and 50 digits for the reference."""
    with np.errstate(all="ignore"), mp.workdps(50):
        yield


# ---- Accuracy of the Python functions ----


def spread(low: float, high: float, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, count)


def scales(low: float, high: float, count: int, sign: float = 1.0) -> np.ndarray:
    return sign * 10 ** np.random.default_rng(1).uniform(low, high, count)


def around(center: float, high: float = -0.4) -> np.ndarray:
    """Both sides of a hard point, from 1e-16 away."""
    return np.concatenate([[center], center + scales(-16, high, 150), center - scales(-16, high, 150)])


def off_poles(points: np.ndarray) -> np.ndarray:
    return points[points != np.floor(points)]


def both(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points, -points])


def worst_error(
    function: Callable[[np.ndarray], np.ndarray],
    reference: Callable[[mp.mpf], mp.mpf],
    points: np.ndarray,
    size: Callable[[mp.mpf, mp.mpf], mp.mpf] = lambda x, y: abs(y),
) -> tuple[float, float]:
    """Largest |error|/size and where; values that float64 cannot hold as normal numbers do not count."""
    worst = (0.0, math.nan)
    for x, got in zip(points, function(points), strict=True):
        want = reference(mp.mpf(float(x)))
        if mp.mpf("3e-308") < abs(want) < mp.mpf("1.7e308"):
            assert np.isfinite(got), (x, got)
            worst = max(worst, (float(abs(mp.mpf(float(got)) - want) / size(mp.mpf(float(x)), want)), float(x)))
    return worst


SMALL = both(scales(-300, -10, 60))
WIDE = both(scales(-10, 10, 150))
MIDDLE = spread(-30, 30, 300)
# name: (reference, points, bound on the relative error); measured worst error in the comment
ACCURACY: dict[str, tuple[Callable[[mp.mpf], mp.mpf], np.ndarray, float]] = {
    # 2.8e-16
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), np.concatenate([SMALL, WIDE, MIDDLE, spread(-708, -1, 300)]), 5e-16),
    # 2.0e-16
    "softplus": (lambda x: mp.log1p(mp.exp(x)), np.concatenate([SMALL, WIDE, MIDDLE, spread(-708, -1, 300)]), 5e-16),
    # 3.7e-16
    "silu": (lambda x: x / (1 + mp.exp(-x)), np.concatenate([SMALL, WIDE, MIDDLE, spread(-714, -1, 300)]), 7e-16),
    # 2.0e-16
    "erf": (mp.erf, np.concatenate([SMALL, WIDE, spread(-6, 6, 600), around(1.0), around(0.5)]), 5e-16),
    # 4.3e-16
    "erfc": (mp.erfc, np.concatenate([SMALL, WIDE, spread(-6, 6, 500), spread(0.4, 26.5, 500), around(0.5)]), 1e-15),
    # 6.9e-16
    "gamma": (
        mp.gamma,
        np.concatenate(
            [SMALL, WIDE[np.abs(WIDE) < 200], spread(-171, 171.6, 900), spread(-3, 14, 600), off_poles(around(-3.0))]
        ),
        1.5e-15,
    ),
    # 6.8e-16
    "lgamma": (
        mp.loggamma,
        np.concatenate(
            [np.abs(SMALL), np.abs(WIDE), spread(0.4, 3, 600), spread(2.4, 14, 400), around(1.0), around(2.0)]
        ),
        2e-15,
    ),
    # 3.3e-16
    "digamma": (
        mp.digamma,
        np.concatenate([SMALL, np.abs(WIDE), spread(0, 11, 900), around(1.4616321449683622), scales(-8, -2, 90, -1)]),
        1e-15,
    ),
}


@pytest.mark.parametrize("name", ACCURACY)
def test_relative_error(name: str) -> None:
    reference, points, bound = ACCURACY[name]
    error, where = worst_error(numpy_of(name), reference, points)
    assert error <= bound, f"{name}({where!r}) is off by {error:.2e}"


def test_gelu_error_is_that_of_a_rounded_argument() -> None:
    """Measured: 0.8 in units of (2 + x^2) ulp, down to where the value underflows."""
    error, where = worst_error(
        helpers.gelu,
        lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
        np.concatenate([SMALL, WIDE, spread(-37, 9, 1500)]),
        lambda x, y: abs(y) * (2 + (x * x if x < 0 else 0)) * mp.mpf(2) ** -52,
    )
    assert error <= 1.5, where


def test_lgamma_and_digamma_left_of_zero() -> None:
    """Relative to the terms of the reflection formula, so that zeros between the poles count as absolute errors."""
    points = np.concatenate([spread(-20, -0.5, 500), spread(-1e4, -20, 100), around(-2.0), around(-5.0, -0.6)])
    points = off_poles(points)

    def log_gamma(x: mp.mpf) -> mp.mpf:
        return mp.log(mp.pi / abs(mp.sinpi(x))) - mp.loggamma(1 - x)

    error, where = worst_error(helpers.lgamma, log_gamma, points, lambda x, y: max(1, abs(y)))
    assert error <= 1e-14, where  # measured 1.1e-15
    error, where = worst_error(
        helpers.digamma, mp.digamma, points, lambda x, y: abs(y) + abs(mp.pi * mp.cot(mp.pi * x))
    )
    assert error <= 1e-14, where  # measured 4e-16


@pytest.mark.parametrize(
    ("order", "bound"), [(1, 2e-15), (2, 2e-15), (3, 2e-15), (6, 3e-15), (25, 1e-14), (100, 3e-14)]
)
def test_polygamma_error(order: int, bound: float) -> None:
    """Measured: 1e-15 for orders up to 7, 2e-14 for order 100."""
    right = np.concatenate([spread(0, 2 * order + 30, 60), scales(-2, 10, 40)])
    error, where = worst_error(lambda x: helpers.polygamma(order, x), lambda x: mp.psi(order, x), right)
    assert error <= bound, where

    def size(x: mp.mpf, y: mp.mpf) -> mp.mpf:  # the two terms of the reflection formula
        return abs(y) + 2 * abs(mp.psi(order, 1 - x))

    left = np.concatenate([spread(-8, 0, 30), [-0.5, -3.5, -1e-5, -100.5, -1000.25]])
    mp.mp.dps = 300  # mpmath cancels heavily at half-integers; the fixture restores it
    error, where = worst_error(lambda x: helpers.polygamma(order, x), lambda x: mp.psi(order, x), left, size)
    assert error <= bound, where


# ---- Edges ----

INF, NAN = math.inf, math.nan
CASES = {
    "sigmoid": [(0.0, 0.5), (-INF, 0.0), (INF, 1.0), (NAN, NAN), (-1000.0, 0.0), (1e308, 1.0)],
    "softplus": [(-INF, 0.0), (INF, INF), (NAN, NAN), (1e308, 1e308), (-1000.0, 0.0)],
    "relu": [(-0.0, 0.0), (0.0, 0.0), (-1.0, 0.0), (2.0, 2.0), (NAN, NAN), (INF, INF), (-INF, 0.0), (-5e-324, 0.0)],
    "silu": [(0.0, 0.0), (-0.0, -0.0), (-INF, -0.0), (INF, INF), (NAN, NAN), (-1e308, -0.0)],
    "gelu": [(0.0, 0.0), (-0.0, -0.0), (-INF, -0.0), (INF, INF), (NAN, NAN), (-1e308, -0.0), (1e308, 1e308)],
    "sign": [(0.0, 0.0), (-0.0, 0.0), (NAN, NAN), (INF, 1.0), (-5e-324, -1.0)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (1e300, 1.0)],
    "erfc": [(0.0, 1.0), (-0.0, 1.0), (INF, 0.0), (-INF, 2.0), (NAN, NAN), (1e300, 0.0)],
    "gamma": [(0.0, INF), (-0.0, -INF), (-1.0, NAN), (-1e300, NAN), (-INF, NAN), (INF, INF), (NAN, NAN), (172.0, INF)],
    "lgamma": [(1.0, 0.0), (2.0, 0.0), (0.0, INF), (-0.0, INF), (-3.0, INF), (-INF, INF), (INF, INF), (NAN, NAN)],
    "digamma": [(0.0, -INF), (-0.0, INF), (-1.0, NAN), (-INF, NAN), (INF, INF), (NAN, NAN), (-1e300, NAN)],
}


def same(a: object, b: object) -> bool:
    """Equal with the sign of zero, or both NaN."""
    x, y = float(a), float(b)  # type: ignore[arg-type]
    return (math.isnan(x) and math.isnan(y)) or (x == y and math.copysign(1, x) == math.copysign(1, y))


@pytest.mark.parametrize("name", CASES)
def test_edges(name: str) -> None:
    for x, want in CASES[name]:
        for argument in (x, np.array(x), np.array([x])):
            got = numpy_of(name)(argument)
            assert same(np.ravel(got)[0], want), (name, argument, got)


def test_gamma_of_small_integers_is_exact() -> None:
    n = np.arange(1, 14)
    assert helpers.gamma(n.astype(float)).tolist() == [math.factorial(k - 1) for k in n]


def test_tails_do_not_flush() -> None:
    assert helpers.sigmoid(-700.0) == pytest.approx(math.exp(-700), rel=1e-15)
    assert helpers.softplus(-740.0) == math.exp(-740)
    assert helpers.silu(-740.0) == pytest.approx(-740 * math.exp(-740), rel=1e-2)
    assert helpers.gelu(-37.0) < 0


def test_xlogy_maximum_minimum_choices() -> None:
    inf, nan = INF, NAN
    for x, y, want in [
        (0.0, 0.0, 0.0),
        (-0.0, 3.0, 0.0),
        (0.0, inf, 0.0),
        (0.0, -1.0, 0.0),
        (0.0, nan, nan),
        (nan, 1.0, nan),
        (2.0, 0.0, -inf),
        (1.0, -1.0, nan),
        (2.0, 3.0, 2 * math.log(3)),
    ]:
        assert same(helpers.xlogy(x, y), want), (x, y)
    for a, b, largest, smallest in [
        (1.0, 2.0, 2.0, 1.0),
        (0.0, -0.0, 0.0, 0.0),
        (-0.0, 0.0, -0.0, -0.0),
        (nan, 1.0, nan, nan),
        (1.0, nan, nan, nan),
        (inf, -inf, inf, -inf),
    ]:
        assert same(helpers.maximum(a, b), largest)
        assert same(helpers.minimum(a, b), smallest)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 170, 171, 400])
def test_polygamma_edges(order: int) -> None:
    pole = INF if order % 2 else NAN
    for x in (0.0, -0.0, -1.0, -7.0, -1e300):
        assert same(helpers.polygamma(order, x), pole)
    assert math.isnan(helpers.polygamma(order, NAN))
    assert math.isnan(helpers.polygamma(order, -INF))
    assert helpers.polygamma(order, INF) == 0
    assert abs(helpers.polygamma(order, 5e-324)) == INF
    left = helpers.polygamma(order, -0.25)
    assert math.isnan(left) if order > 170 else abs(left) > 1


def test_polygamma_of_order_zero_is_digamma() -> None:
    assert np.array_equal(helpers.polygamma(0, EDGES), helpers.digamma(EDGES), equal_nan=True)


# ---- Shapes, types, silence, and standing alone ----


def calls() -> list[tuple[str, Callable[[np.ndarray], np.ndarray]]]:
    one = [(name, numpy_of(name)) for name in UNARY + PYTHON_ONLY]
    return [*one, ("polygamma1", lambda x: helpers.polygamma(1, x)), ("polygamma2", lambda x: helpers.polygamma(2, x))]


@pytest.mark.parametrize(("name", "function"), calls())
def test_shapes_types_and_silence(name: str, function: Callable[[np.ndarray], np.ndarray]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        want = function(EDGES)
        assert want.shape == EDGES.shape
        assert want.dtype == np.float64
        grid = np.repeat(EDGES[: EDGES.size // 2 * 2], 2).reshape(2, -1, 2)[:, :, 1]
        assert np.array_equal(function(grid), function(grid.copy()), equal_nan=True)
        assert function(np.empty((0, 3))).shape == (0, 3)
        for x, y in zip(EDGES, want, strict=True):
            for argument in (float(x), x, np.array(x)):
                assert np.shape(function(argument)) == ()  # type: ignore[arg-type]
                assert same(function(argument), y), (name, x)  # type: ignore[arg-type]
        assert not np.shares_memory(function(EDGES), EDGES)
        narrow = np.array([-3.3, -0.2, 0.0, 0.1, 1.7, 20.0], dtype=np.float32)
        assert function(narrow).dtype == np.float32
        assert np.allclose(function(narrow), function(narrow.astype(float)), rtol=3e-6, atol=1e-30, equal_nan=True)
        assert function(np.float32(1.5)).dtype == np.float32  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BINARY)
def test_broadcasting(name: str) -> None:
    function = numpy_of(name)
    assert function(EDGES[:, None], EDGES[None, :]).shape == (EDGES.size, EDGES.size)
    assert function(np.float32([1, 2]), np.float32([2, 1])).dtype == np.float32
    assert function(np.empty((0, 2)), 1.0).shape == (0, 2)
    assert np.shape(function(1.0, np.array(2.0))) == ()


def test_each_function_stands_alone() -> None:
    """A function with the functions and constants it names, and `np`, is a whole program: what the generator emits."""
    source = Path(helpers.__file__).read_text(encoding="ascii")
    parts: dict[str, ast.stmt] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            parts[node.name] = node
        elif isinstance(node, ast.Assign):
            assert isinstance(node.targets[0], ast.Name)
            ast.literal_eval(node.value)
            parts[node.targets[0].id] = node
        elif not isinstance(node, ast.Expr):
            assert ast.unparse(node) == "import numpy as np"
    for name in {*UNARY, *BINARY, *PYTHON_ONLY, "polygamma"} & set(parts):
        needed, queue = {name}, [name]
        while queue:
            for node in ast.walk(parts[queue.pop()]):
                if isinstance(node, ast.Name) and node.id in parts and node.id not in needed:
                    needed.add(node.id)
                    queue.append(node.id)
        text = "\n".join(ast.get_source_segment(source, parts[n]) or "" for n in parts if n in needed)
        space: dict[str, object] = {"np": np}
        exec(text, space)
        arguments = (1, EDGES) if name == "polygamma" else (EDGES, EDGES) if name in BINARY else (EDGES,)
        got, want = space[name](*arguments), numpy_of(name)(*arguments)  # type: ignore[operator]
        assert np.array_equal(got, want, equal_nan=True)


def test_coefficients_are_those_the_generator_prints() -> None:
    generator = str(ROOT / "tests" / "ops" / "make_coefficients.py")
    printed = subprocess.run([sys.executable, generator], capture_output=True, text=True, check=True).stdout
    in_python = Path(helpers.__file__).read_text(encoding="ascii")
    names = ("digamma", "polygamma", "sincos", "fast_exp")
    in_c = {n: (TEMPLATES / f"{n}.c.j2").read_text(encoding="ascii") for n in names}
    for node in ast.parse(printed).body:
        assert isinstance(node, ast.Assign)
        name, value = ast.unparse(node.targets[0]), ast.literal_eval(node.value)
        if name.startswith("_"):
            assert numpy_of(name) == value
        text = in_python
        if name.startswith("_DIGAMMA"):
            text = in_c["digamma"]
        elif name.startswith("_POLYGAMMA"):
            text = in_c["polygamma"]
        elif name.endswith(("_DOUBLE", "_FLOAT")):
            text = in_c["sincos"]
        elif name.startswith("EXPONENTIAL"):
            text = in_c["fast_exp"]
        lines = (ast.get_source_segment(printed, node.value) or "").splitlines()
        for literal in filter(None, (line.strip(" ,()").lstrip("-") for line in lines)):
            assert literal in text, (name, literal)


# ---- The C twins ----


def render(name: str, s: str = "") -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    spelled = {f: f + s for f in ("exp", "log", "log1p", "erfc")}
    return environment.get_template(f"{name}.c.j2").render(real="float" if s else "double", s=s, m=spelled)


def compiler() -> str:
    return next((c for c in (*os.environ.get("CC", "").split()[:1], "gcc", "cc", "clang") if shutil.which(c)), "cc")


def compile_c(directory: Path, source: str, *flags: str, cc: str = "") -> Path:
    """Compile with every warning an error; the result lies beside the source."""
    path = directory / "twins.c"
    path.write_text(source, encoding="ascii")
    result = path.with_suffix(".out")
    command = [cc or compiler(), "-std=c99", "-Wall", "-Wextra", "-Werror", *flags, str(path), "-o", str(result), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return result


def twins(s: str = "") -> str:
    """All helpers of one precision, and for each one a loop over arrays."""
    real = "float" if s else "double"
    text = "#include <math.h>\n" + "".join(render(n, s) for n in (*UNARY, "polygamma", *BINARY, "sincos"))
    for name in UNARY:
        text += f"void all_{name}(long n, const {real} *x, {real} *r)\n"
        text += f"{{ for (long i = 0; i < n; i++) r[i] = sd_{name}(x[i]); }}\n"
    for name in BINARY:
        text += f"void all_{name}(long n, const {real} *x, const {real} *y, {real} *r)\n"
        text += f"{{ for (long i = 0; i < n; i++) r[i] = sd_{name}(x[i], y[i]); }}\n"
    text += "void all_polygamma(int order, long n, const double *x, double *r)\n"
    text += "{ for (long i = 0; i < n; i++) r[i] = sd_polygamma(order, x[i]); }\n"
    text += f"void all_sincos(long n, const {real} *x, {real} *r, {real} *t)\n"
    text += "{ for (long i = 0; i < n; i++) sd_sincos(x[i], &r[i], &t[i]); }\n"
    text += f"{real} sincos_limit(void) {{ return SD_SINCOS_LIMIT; }}\n"
    return text


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ctypes.CDLL]:
    flags = ("-O2", "-ffp-contract=off", "-shared", "-fPIC")
    loaded = {}
    for s in ("", "f"):
        loaded[s] = ctypes.CDLL(str(compile_c(tmp_path_factory.mktemp(f"twins{s}"), twins(s), *flags)))
    return loaded


def call_c(function: object, *inputs: np.ndarray, outputs: int = 1, first: tuple[int, ...] = ()) -> list[np.ndarray]:
    results = [np.empty_like(inputs[0]) for _ in range(outputs)]
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (*inputs, *results)]
    function(*first, ctypes.c_long(inputs[0].size), *pointers)  # type: ignore[operator]
    return results


def ulps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance in units in the last place; 0 where both are NaN or equal, infinite where only one is finite."""
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(equal, 0.0, np.nan_to_num(np.abs(a - b) / np.spacing(np.abs(b)), nan=np.inf))


POINTS = np.concatenate([EDGES, SMALL, WIDE, MIDDLE, spread(-750, 50, 500), around(1.4616321449683622)])


@pytest.mark.compiler
@pytest.mark.parametrize("name", UNARY)
def test_c_agrees_with_python(library: dict[str, ctypes.CDLL], name: str) -> None:
    """Within 4 ulp of each other, and bit for bit where no libm function is called."""
    (got,) = call_c(getattr(library[""], f"all_{name}"), POINTS)
    want = numpy_of(name)(POINTS)
    if name in ("relu", "sign"):
        assert all(map(same, got, want))
        return
    assert np.array_equal(np.signbit(got[~np.isnan(got)]), np.signbit(want[~np.isnan(want)]))
    distance = ulps(got, want)
    if name == "digamma":  # at a negative zero the ulp is that of the cotangent that cancels there
        left = (POINTS < 0) & np.isfinite(want)
        distance[left] = (np.abs(got - want) / np.spacing(np.abs(want) + 1))[left]
    assert distance.max() <= 4, (POINTS[distance.argmax()], distance.max())


@pytest.mark.compiler
@pytest.mark.parametrize("name", BINARY)
def test_c_makes_the_same_choices(library: dict[str, ctypes.CDLL], name: str) -> None:
    x, y = (np.ascontiguousarray(v).ravel() for v in np.meshgrid(EDGES, EDGES))
    for s, dtype in (("", np.float64), ("f", np.float32)):
        a, b = x.astype(dtype), y.astype(dtype)
        (got,) = call_c(getattr(library[s], f"all_{name}"), a, b)
        want = numpy_of(name)(a, b)
        assert ulps(got, want).max() <= (2 if name == "xlogy" else 0)
        numbers = ~np.isnan(want)
        assert np.array_equal(np.signbit(got[numbers]), np.signbit(want[numbers]))


@pytest.mark.compiler
@pytest.mark.parametrize("order", [0, 1, 2, 3, 8, 170, 171])
def test_c_polygamma(library: dict[str, ctypes.CDLL], order: int) -> None:
    (got,) = call_c(library[""].all_polygamma, POINTS, first=(order,))
    want = helpers.polygamma(order, POINTS)
    assert np.array_equal(np.isnan(got), np.isnan(want))
    right = (POINTS > 0) | ~np.isfinite(want) | ~np.isfinite(got)
    assert ulps(got, want)[right].max(initial=0) <= 4
    left = ~right
    size = np.abs(want) + 2 * np.abs(helpers.polygamma(order, 1 - POINTS)) + 1e-300
    assert (np.abs(got - want) / size)[left].max(initial=0) <= (4 + order) * 2.0**-52


@pytest.mark.compiler
@pytest.mark.parametrize("name", ["sigmoid", "softplus", "silu", "gelu", "relu", "sign"])
def test_c_in_single_precision(library: dict[str, ctypes.CDLL], name: str) -> None:
    x = np.concatenate([EDGES, MIDDLE, spread(-4, 4, 300)]).astype(np.float32)
    (got,) = call_c(getattr(library["f"], f"all_{name}"), x)
    want = numpy_of(name)(x.astype(np.float64))
    assert np.array_equal(np.isnan(got), np.isnan(want))
    use = np.isfinite(want) & (np.abs(want) > 1e-37) & (np.abs(want) < 1e38)
    slack = 2 + np.where(x < 0, x.astype(float) ** 2, 0) if name == "gelu" else 4
    assert (np.abs(got - want) / np.spacing(np.abs(want).astype(np.float32)) <= slack)[use].all()


SANITIZED_MAIN = """
int main(void)
{
    const double edge[] = {EDGES};
    const long n = (long)(sizeof edge / sizeof edge[0]);
    double sum = 0.0;
    for (long i = 0; i < n; i++) {
        const REAL x = (REAL)edge[i];
        REAL s, c;
        CALLS
        for (int order = 0; order <= 172; order += order < 5 ? 1 : 23)
            sum += sd_polygamma(order, edge[i]);
        sd_sincos(x, &s, &c);
        sum += s + c;
        for (long j = 0; j < n; j++) {
            const REAL y = (REAL)edge[j];
            sum += sd_xlogy(x, y) + sd_maximum(x, y) + sd_minimum(x, y);
        }
    }
    return sum == 42.0;
}
"""


@pytest.mark.compiler
@pytest.mark.parametrize("s", ["", "f"])
def test_c_is_clean_under_sanitizers(tmp_path: Path, s: str) -> None:
    values = (
        EDGES if not s else EDGES[~np.isfinite(EDGES) | (np.abs(EDGES) < 3e38)]
    )  # C99: a cast that overflows is undefined
    spelled = [{"inf": "INFINITY", "-inf": "-INFINITY", "nan": "NAN"}.get(str(v), repr(float(v))) for v in values]
    main = SANITIZED_MAIN.replace("{EDGES}", "{" + ", ".join(spelled) + "}").replace("REAL", "float" if s else "double")
    main = main.replace("CALLS", " ".join(f"sum += sd_{n}(x);" for n in UNARY))
    probe = tmp_path / "probe"
    probe.mkdir()
    sanitize = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    try:
        compile_c(probe, "int main(void) { return 0; }\n", *sanitize)
    except AssertionError:
        pytest.skip("this compiler has no sanitizers")
    source = "#include <math.h>\n" + "".join(render(n, s) for n in (*UNARY, "polygamma", *BINARY, "sincos")) + main
    program = compile_c(tmp_path, source, *sanitize)
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.compiler
@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("s", ["", "f"])
def test_c_compiles_clean(tmp_path: Path, s: str, cc: str) -> None:
    if not shutil.which(cc):
        pytest.skip(f"needs {cc}")
    for level in ("-O0", "-O3"):
        compile_c(tmp_path, twins(s), "-pedantic", level, "-shared", "-fPIC", cc=cc)


# ---- sincos ----


def hard_sincos_points(limit: float) -> np.ndarray:
    """Float64 numbers nearest to multiples of pi/2, binade by binade: convergents of 2^e*2/pi (Muller's method)."""
    points: set[float] = set()
    for e in range(-52, int(math.log2(limit)) - 51):
        x = mp.mpf(2) ** e * 2 / mp.pi
        before, last = 1, 0
        for _ in range(60):
            quotient = int(mp.floor(x))
            before, last = last, quotient * last + before
            if last >= 2**53 or x == quotient:
                break
            points.update(float(last * f * mp.mpf(2) ** e) for f in (1, 2, 3) if last * f < 2**53)
            x = 1 / (x - quotient)
    return np.array(sorted(p for p in points if p <= limit))


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("s", "dtype", "limit", "bound"), [("", np.float64, 2.0**40, 2.0), ("f", np.float32, 2.0**18, 2.0)]
)
def test_sincos_error(library: dict[str, ctypes.CDLL], s: str, dtype: type, limit: float, bound: float) -> None:
    """Measured: double 1.76 ulp (32 million points), float 1.75 ulp (every float from 1e-10 to the limit)."""
    library[s].sincos_limit.restype = ctypes.c_float if s else ctypes.c_double
    assert library[s].sincos_limit() == limit
    hard = hard_sincos_points(limit) if not s else np.arange(1, 600) * (np.pi / 2)
    easy = [
        spread(-1, 1, 300),
        spread(-30, 30, 400),
        spread(-limit, limit, 400),
        both(scales(-290 if not s else -30, 0, 60)),
    ]
    x = np.concatenate([both(hard), *easy, scales(0, math.log10(limit), 300), [limit, -limit]]).astype(dtype)
    sines, cosines = call_c(library[s].all_sincos, x, outputs=2)
    digits = 24 if s else 53
    for value, sine, cosine in zip(x, sines, cosines, strict=True):
        exact = mp.mpf(float(value))
        for got, want in ((sine, mp.sin(exact)), (cosine, mp.cos(exact))):
            ulp = mp.mpf(2) ** (mp.frexp(want)[1] - digits)
            assert abs(mp.mpf(float(got)) - want) <= bound * ulp, (value, got)


@pytest.mark.compiler
@pytest.mark.parametrize(("s", "dtype"), [("", np.float64), ("f", np.float32)])
def test_sincos_edges(library: dict[str, ctypes.CDLL], s: str, dtype: type) -> None:
    tiny = float(np.nextafter(dtype(0), dtype(1)))
    x = np.array([0.0, -0.0, tiny, -tiny], dtype=dtype)
    sines, cosines = call_c(library[s].all_sincos, x, outputs=2)
    assert all(map(same, sines, x))
    assert all(map(same, cosines, np.ones(4)))


@pytest.mark.compiler
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not shutil.which("gcc"), reason="needs gcc on x86-64"
)
@pytest.mark.parametrize("name", ["sincos", "relu", "sign", "maximum", "minimum"])
def test_loops_vectorise(tmp_path: Path, name: str) -> None:
    call = {"sincos": "sd_sincos(x[i], &y[i], &z[i])"}.get(name) or (
        f"z[i] = sd_{name}(x[i], y[i])" if name in BINARY else f"z[i] = sd_{name}(x[i])"
    )
    source = "#include <math.h>\n" + render(name)
    source += "void loop(long n, const double *x, double *y, double *z)\n{\n    (void)y;\n#pragma omp simd\n"
    source += f"    for (long i = 0; i < n; i++)\n        {call};\n}}\n"
    (tmp_path / "loop.c").write_text(source, encoding="ascii")
    flags = ["-std=c99", "-O3", "-mavx2", "-mfma", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math"]
    flags += ["-ffp-contract=off", "-fopt-info-vec"]
    done = subprocess.run(
        ["gcc", *flags, "-c", str(tmp_path / "loop.c"), "-o", str(tmp_path / "loop.o")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "loop vectorized" in done.stderr
