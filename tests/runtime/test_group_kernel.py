"""Kernels of traced functions: arrays in, arrays out, leading axes, `out`, raw and flat calls; both engines."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime.layouts import LAYOUTS

import symdiff
from symdiff.runtime.group_kernel import GroupKernel
from symdiff.runtime.spec import KernelSpec

BACKENDS = [pytest.param("c", marks=pytest.mark.compiler), "numpy"]


def loss(W: Any, x: Any, c: Any) -> Any:
    h = np.tanh(W @ x)
    return (h * h).sum() + c * x[0]


def program(**options: Any) -> symdiff.Program:
    return symdiff.trace_function(loss, (2, 3), 3, (), **options).gradient(("W", "c"))


@pytest.fixture(params=BACKENDS)
def k(request: pytest.FixtureRequest) -> Any:
    return program().compile(request.param)


def data(seed: int = 0, *leading: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(*leading, 2, 3)), rng.normal(size=(*leading, 3)), rng.normal(size=leading)


def expected(W: Any, x: Any, c: Any) -> tuple[Any, Any, Any]:
    """Value and derivatives by the textbook, over leading axes."""
    h = np.tanh(np.einsum("...ij,...j->...i", W, x))
    return (h**2).sum(-1) + c * x[..., 0], np.einsum("...i,...j->...ij", 2 * h * (1 - h**2), x), x[..., 0]


def agrees(found: Any, wanted: Any) -> None:
    value, grads = found
    for one, other in zip((value, *grads), wanted, strict=True):
        assert np.shape(one) == np.shape(other)
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_one_point_gives_a_float_and_arrays_of_the_shapes_of_the_arguments(k: Any) -> None:
    W, x, c = data()
    value, grads = k(W, x, float(c))
    assert isinstance(k, GroupKernel) and type(value) is float and grads._fields == ("W", "c")
    assert type(grads.c) is float and grads.W.shape == (2, 3) and grads.W.flags.owndata
    agrees((value, grads), expected(W, x, c))
    agrees(k(c=c, x=x.tolist(), W=np.asfortranarray(W)), expected(W, x, c))
    assert k.signature == "(2,3),(3),()->(),(2,3),()"
    assert str(inspect.signature(k)) == "(W, x, c, *, out=None)"


def test_leading_axes_broadcast_and_nothing_is_summed(k: Any) -> None:
    W, x, c = data(1, 4, 1)[0], data(2, 5)[1], data(3)[2]
    value, grads = k(W, x, c)
    assert value.shape == (4, 5) and grads.W.shape == (4, 5, 2, 3) and grads.c.shape == (4, 5)
    for i in range(4):
        for j in range(5):
            agrees((value[i, j], (grads.W[i, j], grads.c[i, j])), expected(W[i, 0], x[j], c))
    ones, _ = k(W[:1, 0], x[0], c)
    assert ones.shape == (1,)


def test_bits_of_a_point_do_not_depend_on_its_place_or_on_the_layout(k: Any) -> None:
    W, x, c = data(4, 150)
    value, grads = k(W, x, c)
    for place in (0, 63, 64, 149):
        one, own = k(W[place : place + 1], x[place : place + 1], c[place : place + 1])
        assert one[0] == value[place] and np.array_equal(own.W[0], grads.W[place])
    exact = [layout(W) for layout in LAYOUTS.values() if np.array_equal(np.asarray(layout(W)), W)]
    assert len(exact) > 6
    for array in exact:
        other, own = k(array, x, c)
        assert np.array_equal(other, value) and np.array_equal(own.W, grads.W)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_numpy_has_the_bits_of_a_point_in_every_call(shape: tuple[int, ...], dtype: Any) -> None:
    """NumPy takes other loops for an exponent 2, 0.5 or -1 that does not move, as an axis of length 1 may look."""
    kernel = symdiff.trace_function(lambda x, y: np.sum(x**y), shape, shape, names=["x", "y"]).gradient()
    k = kernel.compile("numpy", dtype=dtype)
    x = np.random.default_rng(8).uniform(0.1, 5, (400, *shape)).astype(dtype)
    for exponent in (2.0, 0.5, -1.0, 2.7):
        y = np.full_like(x, exponent)
        value, grads = k(x, y)
        spread, _ = k(x, y[0])
        assert np.array_equal(spread, value)
        for i in range(len(x)):
            for found, own in (k(x[i], y[i]), k(x[i : i + 1], y[i : i + 1]), k(x[i : i + 1], y[i])):
                assert np.ravel(found)[0] == value[i]
                np.testing.assert_array_equal(np.reshape(own.x, shape), grads.x[i])
                np.testing.assert_array_equal(np.reshape(own.y, shape), grads.y[i])


def test_no_points_at_all(k: Any) -> None:
    value, grads = k(np.zeros((0, 2, 3)), np.zeros(3), 1.0)
    assert value.shape == (0,) and grads.W.shape == (0, 2, 3)


def test_out_is_filled_and_given_back_also_over_inputs(k: Any) -> None:
    W, x, c = data(5, 6)
    wanted = k(W, x, c)
    out = (np.empty(6), np.empty((6, 2, 3)), np.empty((6, 2))[:, 0])
    value, grads = k(W, x, c, out=out)
    assert value is out[0] and grads.W is out[1] and grads.c is out[2]
    agrees((value, grads), (wanted[0], *wanted[1]))
    own = W.copy()
    k(own, x, c, out=(np.empty(6), own, np.empty(6)))
    np.testing.assert_array_equal(own, wanted[1].W)
    point = (np.empty(()), np.empty((2, 3)), np.empty(()))
    k(W[0], x[0], c[0], out=point)
    assert point[0] == k(W[0], x[0], float(c[0]))[0]
    with pytest.raises(symdiff.ShapeError, match=r"out\[1\] \(gradient W\): expected shape \(6, 2, 3\)"):
        k(W, x, c, out=(np.empty(6), np.empty((2, 3)), np.empty(6)))


def test_raw_computes_on_the_memory_it_was_given(k: Any) -> None:
    for leading in ((), (5,), (2, 3)):
        W, x, c = data(6, *leading)
        call = k.raw(W, x, np.array(c))
        for _ in range(2):
            assert call() == 0
            agrees((call.value, call.grads), expected(W, x, c))
            W *= 0.5
    W, x, c = data(7, 4, 1)[0], data(8, 3)[1], np.array(0.5)
    strided = np.empty((4, 3, 2, 6))[..., ::2]
    call = k.raw(W, x, c, out=(np.empty((4, 3)), strided, np.empty((4, 3))))
    call()
    value, by_W, _ = expected(W, x, c)
    agrees((call.value, call.grads), (value, by_W, np.broadcast_to(x[:, 0], (4, 3))))
    with pytest.raises(TypeError, match="raw needs dtype float64"):
        k.raw(W.astype(np.float32), x, c)
    own = np.ones((2, 3))
    with pytest.raises(symdiff.ShapeError, match="shares memory with argument 'W'"):
        k.raw(own, x[0], c, out=(np.empty(()), own, np.empty(())))


def test_vectors_for_optimisers(k: Any) -> None:
    W, x, c = data(9)
    theta = k.pack(W=W, c=float(c))
    np.testing.assert_array_equal(theta, [*W.ravel(), c])
    parts = k.unpack(theta)
    assert np.array_equal(parts["W"], W) and parts["c"] == c
    value, gradient = k.flat(theta, x=x)
    wanted, by_W, by_c = expected(W, x, c)
    assert type(value) is float
    np.testing.assert_allclose([value, *gradient], [wanted, *by_W.ravel(), by_c], rtol=1e-12)
    with pytest.raises(symdiff.ShapeError, match=r"theta: expected shape \(7,\)"):
        k.flat(theta[:-1], x=x)
    with pytest.raises(symdiff.ShapeError):
        k.flat(theta, x=np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"W": np.zeros((3, 2))}, symdiff.ShapeError, r"'W' has shape \(3, 2\), expected \(2, 3\), or that behind"),
        ({"x": 1.0}, symdiff.ShapeError, r"'x' has shape \(\), expected \(3,\)"),
        ({"W": np.zeros((4, 2, 3)), "x": np.zeros((5, 3))}, symdiff.ShapeError, "do not broadcast together: 'W'"),
        ({"x": [[1.0, 2.0], [3.0]]}, symdiff.ShapeError, "argument 'x'"),
        ({"x": ["a", "b", "c"]}, TypeError, "argument 'x': expected real numbers"),
        ({"z": 1.0}, TypeError, "unexpected argument 'z'"),
        ({"x": None}, TypeError, "argument 'x'"),
    ],
)
def test_errors_name_the_argument(k: Any, changes: Any, kind: Any, message: str) -> None:
    W, x, c = data()
    with pytest.raises(kind, match=message):
        k(**{"W": W, "x": x, "c": c, **changes})


def test_float32(k: Any) -> None:
    made = program().compile(k.backend, dtype="float32")
    W, x, c = (np.asarray(each, np.float32) for each in data(10, 7))
    value, grads = made(W, x, c)
    assert value.dtype == grads.W.dtype == np.float32
    np.testing.assert_allclose(grads.W, expected(W, x, c)[1], rtol=1e-4, atol=1e-6)
    assert type(made(W[0], x[0], c[0])[0]) is float


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_beyond_float32_become_infinite_without_a_warning(backend: str) -> None:
    k = program().compile(backend, dtype="float32")  # type: ignore[arg-type]  # one of the three
    W, x, _ = (each.astype(np.float32) for each in data())
    out = np.empty((), "f4"), np.empty((2, 3), "f4"), np.empty((), "f4")
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        assert abs(k(W, x, 1e300)[0]) == abs(k(W, x, 1e300, out=out)[0]) == np.inf
        assert np.isinf(k(W[None], x, 1e300)[0]).all() and k.raw(W, x, 1e300)() == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_outputs_of_other_classes_are_filled(backend: str) -> None:
    k = symdiff.trace_function(lambda a, b: (a * b).sum(), 3, 3).gradient("a").compile(backend)  # type: ignore[arg-type]
    a, b = np.random.default_rng(3).normal(size=(2, 4, 5, 3))
    out = np.empty((4, 5)).view(np.matrix), np.empty((4, 5, 3))
    assert k(a, b, out=out)[0] is out[0]
    assert np.asarray(out[0]).tobytes() == k(a, b)[0].tobytes()


def test_a_value_kernel_and_a_single_argument(k: Any) -> None:
    value = symdiff.trace_function(lambda x: x[0] * x[1], 2).value().compile(k.backend)
    assert value([2.0, 3.0]) == 6.0
    assert value(np.ones((4, 2))).tolist() == [1.0] * 4
    out = np.empty(4)
    assert value(np.ones((4, 2)), out=out) is out


def test_many_threads_share_a_kernel(k: Any) -> None:
    W, x, c = data(11, 500)
    wanted = k(W, x, c)[0]
    found: list[Any] = [None] * 4

    def work(place: int) -> None:
        points = np.array([k(W[i], x[i], float(c[i]))[0] for i in range(100)])
        found[place] = (k(W, x, c)[0], points)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for many, points in found:
        assert np.array_equal(many, wanted)
        np.testing.assert_allclose(points, wanted[:100], rtol=1e-12)


@pytest.mark.compiler
def test_long_functions_with_a_workspace_of_their_own() -> None:
    def long(x: Any) -> Any:  # every value is needed again at the end
        state = [(v * (n + 1)).sin() for n in range(480) for v in x]
        return sum(a * b for a, b in zip(state, reversed(state), strict=True))

    made = symdiff.trace_function(long, 5).gradient()
    assert "size_t formula_gradient_packed_workspace(void);" in made.source("h")
    x = np.linspace(0.1, 0.9, 15).reshape(3, 5)
    kernel = made.compile("c")
    for place, (many, by_x) in enumerate(zip(*kernel(x)[0:1], kernel(x)[1].x, strict=True)):
        trace = made.trace({"x": x[place]})
        value, grads = kernel(x[place])
        assert value == many == pytest.approx(trace.value, rel=1e-12)
        np.testing.assert_array_equal(grads.x, by_x)
        np.testing.assert_allclose(by_x, trace.gradient["x"], rtol=1e-11)


def test_a_spec_of_groups_is_checked() -> None:
    with pytest.raises(ValueError, match="whole numbers, and no defaults"):
        KernelSpec("f", ("x",), shapes={"x": ("n",)}, grouped=True)
    with pytest.raises(ValueError, match="whole numbers, and no defaults"):
        KernelSpec("f", ("x",), defaults={"x": 1.0}, grouped=True)


# Packages

_USE = """
import numpy as np, pack
W, x = np.arange(6.0).reshape(2, 3) / 10, np.arange(12.0).reshape(4, 3)
value, grads = pack.gradient(W, x, 0.5)
print(pack.backend, value.shape, grads.W.shape, float(value.sum()), float(grads.W.sum()))
"""


def _run(folder: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.compiler
def test_a_generated_package_takes_and_gives_arrays(tmp_path: Path) -> None:
    made = program()
    made.write(tmp_path / "pack", at={"W": np.full((2, 3), 0.5), "x": np.ones(3), "c": 0.25})
    before = _run(tmp_path, "-c", _USE).split()
    _run(tmp_path, "-m", "pack.build")
    after = _run(tmp_path, "-c", _USE).split()
    assert (before[0], after[0]) == ("numpy", "c")
    assert " ".join(before[1:-2]) == " ".join(after[1:-2]) == "(4,) (4, 2, 3)"
    assert np.allclose([float(each) for each in before[-2:]], [float(each) for each in after[-2:]], rtol=1e-12)
    assert "comparisons passed" in _run(tmp_path / "pack", "check_pack.py")
    header = (tmp_path / "pack" / "pack.h").read_text()
    assert "W_0_0 ... W_1_2, in[0] to in[5]: W, 2 x 3 matrix" in header
    assert "d_c, out[7]: derivative of the value by c" in header
    readme = (tmp_path / "pack" / "README.md").read_text()
    assert "`W` | 2 x 3 matrix" in readme and "trace_function(loss, (2, 3), (3,), ())" in readme
    assert (tmp_path / "pack" / "_runtime" / "group_kernel.py").is_file()
    assert not (tmp_path / "pack" / "_runtime" / "training.py").exists()


def test_a_package_of_a_formula_without_groups_has_no_file_for_them(tmp_path: Path) -> None:
    symdiff.formula("x*y").gradient().write(tmp_path / "plain")
    assert not (tmp_path / "plain" / "_runtime" / "group_kernel.py").exists()


@pytest.mark.compiler
def test_the_check_of_a_traced_function_passes() -> None:
    report = program().check({"W": np.full((2, 3), 0.4), "x": [0.3, -0.2, 0.9], "c": 2.0}, points=1)
    assert report.passed, str(report)
