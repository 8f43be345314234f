"""The C functions of whole arrays: compiled strictly, under sanitizers, and compared with their NumPy twins.

What decides (pivots, singular or not, which zero) must agree bit by bit, so the factorisations are compared by bits.
"""

from __future__ import annotations

import ctypes
import math
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from render.c_array_sources import DRIVER, HEAD, STRICT, VECTOR, compiled, source

from symdiff.ops import array_helpers as ah
from symdiff.render.c_array_helpers import GEMM_THRESHOLD, NEEDS, WORK, array_helpers, ordered
from symdiff.render.environment import template_root
from symdiff.runtime.compiler import find_compiler, flag_sets, libraries

REDUCTIONS = ("amax", "amin", "prod", "logsumexp")
SCANS = ("softmax", "prod_others", "cumsum", "cumsum_reverse")
INF, NAN = math.inf, math.nan


class Library:
    """The compiled functions over NumPy arrays; every result is a new array, filled with NaN before."""

    def __init__(self, path: Path, dtype: str) -> None:
        self.library, self.dtype = ctypes.CDLL(str(path)), np.dtype(dtype)
        self.eps = float(np.finfo(dtype).eps)

    def array(self, x: Any) -> np.ndarray:
        return np.array(x, self.dtype, order="C")

    def call(self, name: str, *args: Any) -> None:
        def passed(arg: Any) -> Any:
            if isinstance(arg, np.ndarray):
                assert arg.dtype == self.dtype and arg.flags.c_contiguous
                return ctypes.c_void_p(arg.ctypes.data)
            return arg if isinstance(arg, ctypes._SimpleCData) else ctypes.c_size_t(arg)

        getattr(self.library, f"c_{name}")(*map(passed, args))

    def new(self, *shape: int) -> np.ndarray:
        return np.full(shape, NAN, self.dtype)

    def view(self, name: str, x: np.ndarray) -> np.ndarray:
        outer, length, inner = x.shape
        y = self.new(outer, inner) if name in REDUCTIONS else self.new(*x.shape)
        self.call(name, outer, length, inner, x, y)
        return y

    def matrix(self, name: str, a: np.ndarray, *others: np.ndarray) -> np.ndarray:
        n = len(a)
        y = self.new() if name in ("det", "logdet") else self.new(*(others[0].shape if name == "solve" else a.shape))
        squares, rows = WORK.get(name, (0, 0))
        work = [self.new(squares * n * n + rows * n)] if squares else []
        sizes = (n, others[0].shape[1]) if name == "solve" else (n,)
        self.call(name, *sizes, a, *others, y, *work)
        return y


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def _strict(program: str) -> Any:
    marks = [pytest.mark.compiler, *([pytest.mark.clang] if program == "clang" else [])]
    return pytest.param(program, marks=marks, id=program)


@pytest.fixture(scope="module", params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(
    scope="module", params=[_strict("gcc"), _strict("clang"), pytest.param("builder", marks=pytest.mark.compiler)]
)
def c(request: pytest.FixtureRequest, dtype: str, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Strict C99 by gcc and clang, and what the builder makes of it, vector functions included."""
    folder = tmp_path_factory.mktemp("c_array")
    if request.param == "builder":
        vector = [name + ("f" if dtype == "float32" else "") for name in VECTOR]
        flags = flag_sets(find_compiler(), vector_functions=vector)[0]
        command = [*find_compiler().command, *flags, "-o", "helpers.so", *libraries(flags, vector)]
    else:
        if shutil.which(request.param) is None:
            pytest.skip(f"needs {request.param}")
        command = [request.param, *STRICT, "-O2", "-o", "helpers.so", "-lm"]
    compiled(folder, source(dtype), command)
    return Library(folder / "helpers.so", dtype)


def same(got: Any, want: Any) -> bool:
    """The same bits; any NaN is NaN."""
    got, want = np.asarray(got), np.asarray(want)
    equal = np.array_equal(got, want, equal_nan=True) and got.dtype == want.dtype
    signs = (np.signbit(got) == np.signbit(want)) | np.isnan(got)
    return bool(equal and signs.all())


def near(c: Library, got: Any, want: Any, factor: float = 8.0) -> bool:
    return bool(np.allclose(got, want, rtol=factor * c.eps, atol=factor * c.eps * 1e-3, equal_nan=True))


def samples(c: Library, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return c.array(np.random.default_rng(seed).normal(size=shape))


# ---- The table ----


def test_the_table_names_the_templates() -> None:
    folder = template_root() / "c" / "helpers" / "array"
    assert {path.name.removesuffix(".c.j2") for path in folder.iterdir()} == {*NEEDS, "extreme"}


def test_what_is_needed_comes_first_and_once() -> None:
    for name in NEEDS:
        order = ordered([name])
        assert order[-1] == name and len(set(order)) == len(order)
        assert all(order.index(needed) < order.index(each) for each in order for needed in NEEDS[each])
    assert ordered(["softmax", "inv", "softmax"]) == ordered(["inv", "softmax"])
    with pytest.raises(KeyError):
        ordered(["nothing"])


@pytest.mark.compiler
@pytest.mark.parametrize("name", NEEDS)
def test_a_function_alone_compiles(name: str, dtype: str, tmp_path: Path) -> None:
    """With what it is said to need and nothing else; as unused functions are errors, everything included is needed."""
    real, suffix = ("float", "f") if dtype == "float32" else ("double", "")
    text = "\n\n".join(array_helpers([name], real, suffix, "t_gemm"))
    assert max(map(len, text.splitlines())) <= 135 and text.isascii()
    head = re.sub(r"\bREAL\b", real, HEAD.replace("PROTOTYPES", ""))
    use = "" if name == "madd" else f"\nvoid use(void);\nvoid use(void) {{ (void)sd_{name}; }}\n"
    allowed = ["-Wno-unused-function"] if name == "lu_solve" else []
    compiled(
        tmp_path, head + text + use, [*find_compiler().command, *STRICT, *allowed, "-O1", "-o", "helpers.so", "-lm"]
    )


@pytest.mark.parametrize("program", [_strict("gcc"), _strict("clang")])
def test_no_call_leaves_its_arrays(program: str, dtype: str, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    sanitizers = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")
    driver = DRIVER.replace("REAL", "float" if dtype == "float32" else "double")
    flags = [*STRICT[:5], *sanitizers, "-o", "driver", "-lm"]
    compiled(tmp_path, source(dtype) + driver, [program, *flags])
    done = subprocess.run([tmp_path / "driver"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- Along an axis ----

SHAPES = [(1, 1, 1), (3, 5, 1), (2, 9, 3), (70, 3, 1), (1, 1030, 1), (2, 300, 1), (3, 40, 70), (1, 6, 130), (5, 700, 2)]
EMPTY = [(0, 3, 2), (2, 0, 3), (3, 2, 0), (4, 0, 1), (0, 0, 0)]
TWINS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "amax": lambda x: ah.amax(x, 1),
    "amin": lambda x: ah.amin(x, 1),
    "prod": lambda x: np.prod(x, axis=1),
    "logsumexp": lambda x: ah.logsumexp(x, 1),
    "softmax": lambda x: ah.softmax(x, 1),
    "prod_others": lambda x: ah.prod_others(x, 1),
    "cumsum": lambda x: np.cumsum(x, axis=1),
    "cumsum_reverse": lambda x: ah.cumsum_reverse(x, 1),
}


@pytest.mark.parametrize("shape", [*SHAPES, *EMPTY])
@pytest.mark.parametrize("name", TWINS)
def test_along_an_axis_as_in_numpy(c: Library, name: str, shape: tuple[int, int, int]) -> None:
    x = samples(c, shape, 1)
    if name.startswith("prod"):
        x = c.array(np.exp(x / 8))
    got, want = c.view(name, x), TWINS[name](x)
    assert got.shape == want.shape
    if name in ("softmax", "logsumexp"):
        assert near(c, got, want, 16)
    else:
        assert same(got, want)


@pytest.mark.parametrize("inner", [1, 3])
@pytest.mark.parametrize("length", [2, 5, 40, 600])
@pytest.mark.parametrize("name", TWINS)
def test_edges_as_in_numpy(c: Library, name: str, length: int, inner: int) -> None:
    """Every pair of special values somewhere in a lane of ordinary ones, of zeros, and of the same special value."""
    special = [0.0, -0.0, NAN, INF, -INF, 1e30, -1e30, 1.0]
    lanes = []
    for a in special:
        for b in special:
            for rest in (-1.0, -0.0, a, -INF):
                lane = np.full((length, inner), rest)
                lane[length // 3] = a
                lane[-1] = b
                lanes.append(lane)
    x = c.array(lanes)
    got, want = c.view(name, x), TWINS[name](x)
    assert same(got, want) if name in ("amax", "amin", "prod_others") else near(c, got, want, 16)


@pytest.mark.parametrize("name", ["softmax", "logsumexp", "amax"])
@pytest.mark.parametrize("length", [3, 64, 100, 700])
def test_a_row_never_depends_on_its_place(c: Library, name: str, length: int) -> None:
    rows = samples(c, (50, length, 1), 2)
    whole = c.view(name, rows)
    for start, stop in [(0, 1), (7, 8), (3, 50), (49, 50), (10, 12)]:
        assert same(c.view(name, c.array(rows[start:stop])), whole[start:stop])


@pytest.mark.parametrize("name", ["softmax", "logsumexp"])
def test_a_column_never_depends_on_its_place(c: Library, name: str) -> None:
    columns = samples(c, (1, 9, 150), 3)
    whole = c.view(name, columns)
    for start, stop in [(0, 2), (60, 70), (101, 150), (148, 150)]:
        assert same(c.view(name, c.array(columns[..., start:stop])), whole[..., start:stop])


def test_exp_never_depends_on_the_place(c: Library) -> None:
    x = samples(c, (200,), 4)
    want = c.new(200)
    c.call("exp_all", 200, x, want)
    assert near(c, want, np.exp(x))
    for n in range(0, 200, 7):
        for start in (0, 1, 13):
            part = c.array(x[start : start + n])
            c.call("exp_all", len(part), part, part)
            assert same(part, want[start : start + n])


# ---- Matrices ----

MATRICES = [0, 1, 2, 3, 4, 5, 8, 31, 32, 33, 70]


@pytest.mark.parametrize("n", MATRICES)
def test_factorisations_have_the_bits_of_numpy(c: Library, n: int) -> None:
    a = samples(c, (n, n), n)
    for name in ("inv", "det", "cofactor"):
        assert same(c.matrix(name, a), np.asarray(getattr(ah, name)(a))), name
    assert near(c, c.matrix("logdet", a), ah.logdet(a), 8 * (n + 1))
    for m in (0, 1, 3, 65):
        b = samples(c, (n, m), m)
        assert same(c.matrix("solve", a, b), ah.solve(a, b))
    s = c.array(a @ a.T + np.eye(n))
    hidden = c.array(np.where(np.triu(np.ones((n, n)), 1) > 0, NAN, s))
    low = ah.cholesky(s)
    assert same(c.matrix("cholesky", hidden), low)
    bar = c.array(np.where(np.triu(np.ones((n, n)), 1) > 0, NAN, samples(c, (n, n), 9)))
    got, want = c.matrix("cholesky_adjoint", low, bar), ah.cholesky_adjoint(low, bar)
    assert np.abs(got - want).max(initial=0) <= 100 * (n + 1) * c.eps * np.abs(want).max(initial=0)


@pytest.mark.parametrize("n", [2, 3, 4, 6, 40])
def test_singular_in_one_language_is_singular_in_the_other(c: Library, n: int) -> None:
    """Ranks that rounding may hide: what comes out, NaN or not, is the same."""
    seen = set()
    for seed in range(40):
        source = np.random.default_rng(seed)
        rank = int(source.integers(0, n))
        factors = [source.normal(size=(n, rank)), source.normal(size=(rank, n))]
        a = c.array(factors[0] @ factors[1] if seed % 2 else np.round(factors[0] * 2) @ np.round(factors[1] * 2))
        for name in ("inv", "det", "logdet", "cofactor", "cholesky"):
            got, want = c.matrix(name, a), np.asarray(getattr(ah, name)(a))
            assert near(c, got, want, 8 * n) if name == "logdet" else same(got, want), (name, seed)
        s = c.array(a @ a.T)
        assert same(c.matrix("cholesky", s), ah.cholesky(s))
        seen.add(bool(np.isnan(c.matrix("inv", a)).all()))
    assert True in seen


def test_entries_that_are_not_finite(c: Library) -> None:
    for n in (1, 2, 3, 5):
        for value in (NAN, INF, -INF):
            for place in np.ndindex(n, n):
                a = samples(c, (n, n), n)
                a[place] = value
                for name in ("inv", "det", "cofactor", "cholesky"):
                    assert same(c.matrix(name, a), np.asarray(getattr(ah, name)(a))), (name, value, place)


def test_determinants_do_not_overflow_on_the_way(c: Library) -> None:
    large = c.array(np.diag([1e30, 1e30, 1e-30, 1e-30, 3.0]))
    for name in ("det", "cofactor"):
        assert same(c.matrix(name, large), np.asarray(getattr(ah, name)(large)))
    assert near(c, c.matrix("det", large), 3.0)


# ---- Products ----

GEMM: dict[str, str] = {"float64": "dgemm", "float32": "sgemm"}
PRODUCTS = [
    (1, 1, 1),
    (2, 3, 4),
    (5, 1, 7),
    (1, 20, 3),
    (8, 8, 8),
    (9, 17, 5),
    (4, 33, 300),
    (30, 40, 50),
    (7, 16, 513),
]


def blas(dtype: str) -> Any:
    """SciPy's gemm as a pointer."""
    routines = pytest.importorskip("scipy.linalg.cython_blas").__pyx_capi__
    capsule = routines[GEMM[dtype]]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return ctypes.c_void_p(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


def product(c: Library, gemm: Any, ta: int, tb: int, add: int, sizes: tuple[int, int, int], more: int = 0) -> None:
    m, n, k = sizes
    a, b = samples(c, (k, m + more) if ta else (m, k + more), 1), samples(c, (n, k + more) if tb else (k, n + more), 2)
    y = samples(c, (m, n + more), 3) if add else c.new(m, n + more)
    want = y.astype(float)
    A, B = (x[:, : x.shape[1] - more].astype(float) for x in (a, b))
    want[:, :n] = (A.T if ta else A) @ (B.T if tb else B) + (want[:, :n] if add else 0)
    flags = [ctypes.c_int(flag) for flag in (ta, tb)]
    c.call("gemm", gemm, *flags, m, n, k, a, a.shape[1], b, b.shape[1], ctypes.c_int(add), y, y.shape[1])
    assert np.allclose(y, want, rtol=1e-5, atol=20 * c.eps * (k + 1), equal_nan=True)


@pytest.mark.parametrize("sizes", PRODUCTS)
def test_gemm(c: Library, sizes: tuple[int, int, int], dtype: str) -> None:
    for flags in np.ndindex(2, 2, 2):
        for more in (0, 3):
            product(c, ctypes.c_void_p(None), *flags, sizes, more)  # type: ignore[arg-type]
            product(c, blas(dtype), *flags, sizes, more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "sizes", [(7, 5, 30011), (9, 17, 6701), (40001, 5, 6), (5, 40001, 6), (513, 11, 190), (70, 5, 3001), (300, 64, 60)]
)
def test_large_products_of_few_columns(c: Library, sizes: tuple[int, int, int], dtype: str) -> None:
    """Those that BLAS gets in parts, or turned; the numbers are small integers, so every order of a sum is exact."""
    m, n, k = sizes
    draw = np.random.default_rng(1)
    for ta, tb, add in np.ndindex(2, 2, 2):
        a = c.array(draw.integers(-2, 3, size=(k, m) if ta else (m, k)))
        b = c.array(draw.integers(-2, 3, size=(n, k) if tb else (k, n)))
        y = c.array(draw.integers(-2, 3, size=(m, n + 1)))
        want = y.copy()
        want[:, :n] = (a.T if ta else a) @ (b.T if tb else b) + add * y[:, :n]
        flags = [ctypes.c_int(flag) for flag in (ta, tb, add)]
        c.call("gemm", blas(dtype), *flags[:2], m, n, k, a, a.shape[1], b, b.shape[1], flags[2], y, n + 1)
        assert np.array_equal(y, want)


@pytest.mark.parametrize("k", [0, 1, 7, 8, 9, 16, 31, 32, 33, 1000])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 8), (3, 2), (2, 3), (5, 3), (4, 4), (16, 1)])
def test_a_small_constant_result(c: Library, m: int, n: int, k: int) -> None:
    a, b, y = samples(c, (k, m + 1), 1), samples(c, (k, n + 2), 2), samples(c, (m, n + 1), 3)
    for add in (0, 1):
        got, want = y.copy(), y.astype(float)
        want[:, :n] = a[:, :m].T.astype(float) @ b[:, :n] + add * want[:, :n]
        c.call(f"gemm_lanes_{m}_{n}", k, a, m + 1, b, n + 2, ctypes.c_int(add), got, n + 1)
        assert np.allclose(got, want, rtol=0, atol=20 * c.eps * (k + 1))
        again = y.copy()
        shifted = c.array(np.concatenate([np.zeros(1), a.ravel()]))[1:]
        c.call(f"gemm_lanes_{m}_{n}", k, shifted, m + 1, b, n + 2, ctypes.c_int(add), again, n + 1)
        assert same(again, got)


def test_a_small_constant_result_that_is_not_finite(c: Library) -> None:
    """What is not finite stays in its row and column, wherever in a block it stands."""
    for place in range(70):
        a, b, y = samples(c, (70, 3), 1), samples(c, (70, 2), 2), c.new(3, 2)
        a[place, 1], b[place, 0] = INF, 2.0
        b[place, 1] = NAN
        c.call("gemm_lanes_3_2", 70, a, 3, b, 2, ctypes.c_int(0), y, 2)
        assert y[1, 0] == INF and np.isnan(y[:, 1]).all() and np.isfinite(y[::2, 0]).all()


@pytest.mark.parametrize("m", [0, 1, 2, 7, 8, 9, 17, 64, 65, 203])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 3), (3, 2), (7, 5), (8, 8), (16, 4)])
def test_a_small_constant_factor(c: Library, n: int, k: int, m: int) -> None:
    """With the bits of the own loops, in every row."""
    for ta, tb, add in np.ndindex(2, 2, 2):
        a, b = samples(c, (k, m + 1) if ta else (m, k + 1), 1), samples(c, (n, k + 2) if tb else (k, n + 2), 2)
        y = samples(c, (m, n + 1), 3)
        got, want = y.copy(), y.copy()
        flags = [ctypes.c_int(flag) for flag in (ta, tb, add)]
        c.call(f"gemm_tall_{n}_{k}", *flags[:2], m, a, a.shape[1], b, b.shape[1], flags[2], got, n + 1)
        null = ctypes.c_void_p(None)
        c.call("gemm", null, *flags[:2], m, n, k, a, a.shape[1], b, b.shape[1], flags[2], want, n + 1)
        assert same(got, want)
        A, B = a[:, :m] if ta else a[:, :k], b[:, :k] if tb else b[:, :n]
        exact = (A.T if ta else A).astype(float) @ (B.T if tb else B) + add * y[:, :n]
        assert np.allclose(got[:, :n], exact, rtol=0, atol=20 * c.eps * (k + 1))


@pytest.mark.parametrize("sizes", [(0, 2, 3), (2, 0, 3), (2, 3, 0), (0, 0, 0), (40, 50, 0), (40, 0, 50)])
def test_gemm_of_nothing(c: Library, sizes: tuple[int, int, int], dtype: str) -> None:
    for flags in np.ndindex(2, 2, 2):
        product(c, ctypes.c_void_p(None), *flags, sizes)  # type: ignore[arg-type]
        product(c, blas(dtype), *flags, sizes)  # type: ignore[arg-type]


def test_gemm_calls_blas_from_the_threshold_on(c: Library, dtype: str) -> None:
    calls = []
    routine = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(lambda *args: calls.append(args))
    pointer = ctypes.cast(routine, ctypes.c_void_p)
    side = round(GEMM_THRESHOLD ** (1 / 3))
    assert side**3 == GEMM_THRESHOLD
    zeros, flag = c.array(np.zeros((side, side))), ctypes.c_int(0)
    c.call("gemm", pointer, flag, flag, side - 1, side, side, zeros, side, zeros, side, flag, c.new(side, side), side)
    assert not calls
    c.call("gemm", pointer, flag, flag, side, side, side, zeros, side, zeros, side, flag, c.new(side, side), side)
    assert len(calls) == 1


def test_own_loops_have_the_same_bits_at_every_size(c: Library) -> None:
    """An element is the same sum, alone, in a tile, or unrolled; k up to one block."""
    a, b = samples(c, (9, 20), 1), samples(c, (20, 37), 2)
    zero, none = ctypes.c_int(0), ctypes.c_void_p(None)
    whole = c.new(9, 37)
    c.call("gemm", none, zero, zero, 9, 37, 20, a, 20, b, 37, zero, whole, 37)
    for i, j in [(0, 0), (3, 17), (8, 36)]:
        one = c.new(1, 1)
        column = c.array(b[:, j])
        c.call("gemm", none, zero, zero, 1, 1, 20, c.array(a[i]), 20, column, 1, zero, one, 1)
        assert same(one[0, 0], whole[i, j])
    three, small, again = c.array(a[:3, :3]), c.new(3, 3), c.new(3, 3)
    c.call("gemm_3", three, three, zero, small)
    c.call("gemm", none, zero, ctypes.c_int(1), 3, 3, 3, three, 3, three, 3, zero, again, 3)
    assert same(small, again)
    assert near(c, small, three @ three.T, 100)


@pytest.mark.parametrize(("m", "k"), [(0, 3), (3, 0), (1, 1), (3, 3), (5, 16), (6, 40), (100, 7), (9, 130)])
def test_gemv_and_ger(c: Library, m: int, k: int) -> None:
    a, x, y = samples(c, (m, k + 2), 1), samples(c, (k,), 2), samples(c, (m,), 3)
    inside, tolerance = a[:, :k].astype(float), 20 * c.eps * (m + k + 1)
    for add in (0, 1):
        one, two, outer = y.copy(), x.copy(), a[:, :k].copy()
        c.call("gemv", ctypes.c_int(0), m, k, a, k + 2, x, ctypes.c_int(add), one)
        c.call("gemv", ctypes.c_int(1), m, k, a, k + 2, y, ctypes.c_int(add), two)
        c.call("ger", m, k, y, x, ctypes.c_int(add), outer)
        assert np.allclose(one, inside @ x + add * y, rtol=0, atol=tolerance)
        assert np.allclose(two, inside.T @ y + add * x, rtol=0, atol=tolerance)
        assert np.allclose(outer, np.multiply.outer(y, x) + add * inside, rtol=0, atol=tolerance)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 31, 32, 33, 1000])
def test_dot_and_sum(c: Library, n: int) -> None:
    x, y, got = samples(c, (n,), 1), samples(c, (n,), 2), c.new()
    c.call("dot", n, x, y, got)
    assert abs(float(got) - math.fsum(x.astype(float) * y)) <= 4 * c.eps * (1 + np.abs(x * y).sum())
    c.call("sum", n, x, got)
    assert abs(float(got) - math.fsum(x.astype(float))) <= 4 * c.eps * (1 + np.abs(x).sum())
