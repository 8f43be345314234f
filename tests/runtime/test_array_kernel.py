"""Calls of kernels of arrays: shapes, layouts, outputs, raw and flat calls, BLAS, threads and forks; both engines."""

import inspect
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime.carrays import FUNCTIONS, c_source, ridge_gradient, spec
from runtime.layouts import LAYOUTS, flat, read_only, same, unaligned

from symdiff.build.kernels import compile_c, numpy_kernel
from symdiff.build.machine import machine_facts
from symdiff.errors import ShapeError
from symdiff.runtime import array_engines, array_kernel, blas, compiler, library
from symdiff.runtime.array_kernel import ArrayKernel
from symdiff.runtime.kernel import Kernel, KernelError, KernelShapeError, KernelSpec

BACKENDS = [pytest.param("c", marks=pytest.mark.compiler), "numpy"]


def make(backend: str, name: str = "ridge", kind: Any = "gradient", dtype: Any = "float64", **changes: Any) -> Kernel:
    wanted = spec(name, kind, dtype, **changes)
    if backend == "numpy":
        return numpy_kernel(FUNCTIONS[name, kind], wanted)
    return compile_c(c_source(name, dtype), wanted)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def k(backend: str) -> Kernel:
    return make(backend)


def data(m: int = 4, n: int = 3, dtype: Any = float) -> tuple[Any, Any]:
    rng = np.random.default_rng(m * 100 + n)
    return rng.integers(-9, 9, (m, n)).astype(dtype), rng.integers(-9, 9, n).astype(dtype)


# Calls


def test_results_and_their_types(k: Kernel) -> None:
    X, w = data()
    value, grads = k(X, w, 0.25)
    assert isinstance(k, Kernel) and isinstance(k, ArrayKernel)
    assert grads._fields == ("X", "w", "lam") and type(value) is float and type(grads.lam) is float
    for result, reference in zip(flat((value, grads)), ridge_gradient(X, w, 0.25), strict=True):
        assert np.shape(result) == np.shape(reference) and np.allclose(result, reference, rtol=1e-14)
    for array in grads[:2]:
        assert type(array) is np.ndarray and array.flags.c_contiguous and array.flags.owndata and array.flags.writeable
        assert not np.shares_memory(array, X) and not np.shares_memory(array, w)


def test_arguments_by_position_and_name(k: Kernel) -> None:
    X, w = data()
    expected = flat(k(X, w, 0.5))
    for again in (k(X, w), k(X, w=w), k(lam=0.5, w=w, X=X), k(X, w, np.float32(0.5)), k(X, w, np.array(0.5))):
        assert all(map(same, flat(again), expected))
    assert all(map(same, flat(k(X, w, lam=2)), flat(k(X, w, 2.0))))
    for args, kwargs, message in [
        ((X,), {}, "missing argument 'w'"),
        ((X, w, 1.0, 2.0), {}, "takes 3 arguments, got 4"),
        ((X, w), {"w": w}, "two values for argument 'w'"),
        ((X, w), {"n": 3}, "unexpected argument 'n'"),
    ]:
        with pytest.raises(TypeError, match=message):
            k(*args, **kwargs)


def test_a_value_kernel_returns_the_bare_value(backend: str) -> None:
    X, w = data()
    value = make(backend, kind="value")(X, w)
    assert type(value) is float and value == make(backend)(X, w)[0]
    difference = make(backend, "steps", "value")([1.0, 2.0, 4.0, 7.0])
    assert same(difference, np.array([3.0, 5.0]))


def test_defaults_of_arrays(backend: str) -> None:
    wanted = spec("ridge", defaults={"w": (1.0, 2.0, 3.0), "lam": 0.1}, dtype="float32")
    kernel = (
        numpy_kernel(ridge_gradient, wanted) if backend == "numpy" else compile_c(c_source("ridge", "float32"), wanted)
    )
    X = data(dtype=np.float32)[0]
    w = np.array([1, 2, 3], np.float32)
    assert all(map(same, flat(kernel(X)), flat(kernel(X, w, np.float32(0.1)))))
    with pytest.raises(ShapeError, match=r"'X' has shape \(4, 2\) and 'w' has shape \(3,\)"):
        kernel(X[:, :2])
    run = kernel.raw(X)
    run()
    assert same(run.value, np.float32(kernel(X)[0]))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("m,n", [(4, 3), (1, 1), (1, 5), (0, 3), (3, 0), (0, 0), (70, 130)])
def test_every_layout_gives_the_same_bits(k: Kernel, layout: str, m: int, n: int) -> None:
    X, w = data(m, n)
    change = LAYOUTS[layout] if layout != "list" or m else np.asarray  # lists cannot tell (0, 3)
    expected, before = flat(k(X.copy(), w.copy())), (X.copy(), w.copy())
    results = flat(k(read_only(change(X)), read_only(change(w))))
    assert all(map(same, results, expected)) and same(X, before[0]) and same(w, before[1])
    for result, reference in zip(results, ridge_gradient(X, w, 0.5), strict=True):
        assert np.allclose(result, reference, rtol=1e-13)


def test_what_is_no_array_of_numbers_is_refused_by_name(k: Kernel) -> None:
    X, w = data()
    for bad in (True, None, "1", [1j] * 3, np.zeros(3, np.longdouble), np.ma.zeros(3), np.zeros(3, bool), object()):
        with pytest.raises(TypeError, match="'w'"):
            k(X, bad)
        with pytest.raises(TypeError, match="'w'"):
            k(X, w=bad)
    with pytest.raises(ShapeError, match="'X'"):
        k([[1.0], [1.0, 2.0]], w)


def test_nothing_warns_or_raises_on_a_domain() -> None:
    kernel = numpy_kernel(lambda x: (np.log(x).sum(), 1 / x), KernelSpec(
        "f", ("x",), ("x",), shapes={"x": ("n",)}, array=True))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernel(np.zeros(3))[1].x.tolist() == [np.inf] * 3
        assert np.isnan(kernel([-1.0])[0])
        assert make("numpy", dtype="float32")(*data(dtype=np.float32), 1e300)[0] == np.inf


# Shapes

WRONG_SHAPES = {
    r"'X' has shape \(5, 3\) and 'y' has shape \(4,\): dimension n is 5 by axis 0 of 'X' and 4 by axis 0 of 'y'": {
        "X": (5, 3), "y": (4,),
    },
    r"'W' has shape \(3, 2\), expected \(4, 2\): axis 0 has size 3, not 4": {"W": (3, 2)},
    r"'W' has shape \(4, 1\), expected \(4, 2\): axis 1 has size 1, not 2": {"W": (4, 1)},
    r"'y' has shape \(5, 1\), expected \(n,\): 1 axis, not 2": {"y": (5, 1)},
    r"'X' has shape \(\), expected \(n, d\): 2 axes, not 0": {"X": ()},
    r"'s' has shape \(1,\), expected \(\): 0 axes, not 1": {"s": (1,)},
    r"'A' has shape \(3, 4\): dimension d is 3 by axis 0 and 4 by axis 1": {"A": (3, 4)},
    r"'A' has shape \(3, 3\) and 'X' has shape \(5, 1\): dimension d is 3 by axis 0 of 'A' and 1 by": {"X": (5, 1)},
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG_SHAPES)
def test_wrong_shapes_are_refused_with_the_axis(message: str) -> None:
    shapes: dict[str, Any] = {"A": ("d", "d"), "X": ("n", "d"), "y": ("n",), "W": (4, 2), "s": ()}
    kernel = numpy_kernel(lambda *_: 0.0, KernelSpec("f", tuple(shapes), kind="value", shapes=shapes, array=True))
    given = {"X": (5, 3), "y": (5,), "W": (4, 2), "A": (3, 3), "s": ()}
    assert kernel(**{name: np.zeros(shape) for name, shape in given.items()}) == 0.0
    for _ in range(2):  # a refused combination is not remembered as a good one
        with pytest.raises(ShapeError, match=message):
            kernel(**{name: np.zeros(shape) for name, shape in {**given, **WRONG_SHAPES[message]}.items()})


def test_requirements_and_sizes_that_are_sums(backend: str) -> None:
    kernel = make(backend, "steps", "value")
    assert kernel.signature == "(n)->(n-2)"
    for n in range(2, 6):
        assert same(kernel(np.arange(n) ** 2), FUNCTIONS["steps", "value"](np.arange(float(n)) ** 2))
    for n in (0, 1):
        with pytest.raises(ShapeError, match=rf"x\[2:\] needs n >= 2 \(n = {n}\)"):
            kernel(np.zeros(n))


def test_signature_and_other_facts(k: Kernel, backend: str) -> None:
    assert k.signature == "(m,n),(n),()->(),(m,n),(n),()"
    assert (k.name, k.inputs, k.wrt, k.dtype, k.backend) == ("ridge", ("X", "w", "lam"), k.inputs, "float64", backend)
    assert str(inspect.signature(k)) == "(X, w, lam=0.5, *, out=None)"
    assert "ridge.gradient(X, w, lam)" in repr(k) and "declared shapes" in (k.__doc__ or "")
    sizes = ((2, ("n", "m")), (-1, ("n",)), (1, ()))
    shown = KernelSpec("f", ("x",), kind="value", shapes={"x": ("n", "m", 3)}, value_shape=(sizes, 2, "n"), array=True)
    assert shown.signature == "(n,m,3)->(2*n*m-n+1,2,n)" and shown.dimensions == ("n", "m")


def test_a_contradictory_spec_is_refused() -> None:
    fields: dict[str, Any] = {"name": "f", "inputs": ("x",), "kind": "value", "array": True, "shapes": {"x": ("n",)}}
    wrongs: list[dict[str, Any]] = [
        {"array": False},
        {"shapes": {"y": ()}},
        {"value_shape": ("m",)},
        {"value_shape": (3,), "kind": "gradient"},
        {"requirements": ((((1, ("m",)),), "?"),)},
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError):
            KernelSpec(**{**fields, **wrong})
    KernelSpec(**fields)


def test_the_shape_error_is_chosen_by_the_owner() -> None:
    kernel = array_kernel.numpy_kernel(spec("steps", "value"), FUNCTIONS["steps", "value"])
    with pytest.raises(KernelShapeError):
        kernel(1.0)


def test_many_shapes(k: Kernel) -> None:
    w = np.ones(2)
    for m in range(600):
        assert k(np.ones((m, 2)), w)[0] == 4.0 * m + 1.0


def test_float32(backend: str) -> None:
    kernel = make(backend, dtype="float32")
    X, w = data(dtype=np.float32)
    value, grads = kernel(X, w, 0.1)
    assert grads.X.dtype == grads.w.dtype == np.float32 and value == float(np.float32(value))
    for result, reference in zip(
        flat((value, grads)), ridge_gradient(X.astype(float), w.astype(float), 0.1), strict=True
    ):
        assert np.allclose(result, reference, rtol=1e-5)
    assert all(map(same, flat(kernel(X.astype(np.float16), w.astype(int), 0.1)), flat((value, grads))))
    with pytest.raises(TypeError, match=r"'w'.*\.astype\(np\.float32\)"):
        kernel(X, w.astype(float))
    out = np.empty((), "f4"), np.empty_like(X), np.empty_like(w), np.empty((), "f4")
    kernel(X, w, 0.1, out=out)
    assert all(map(same, out[1:3], grads[:2])) and out[0] == value


# Outputs


def buffers(m: int, n: int) -> list[Any]:
    return [np.full((), 7.0), np.full((m, n), 7.0), np.full(n, 7.0), np.full((), 7.0)]


@pytest.mark.parametrize("how", ["contiguous", "fortran", "reversed", "strided"])
@pytest.mark.parametrize("m,n", [(4, 3), (1, 1), (0, 2), (3, 0)])
def test_out_is_filled_and_returned(k: Kernel, how: str, m: int, n: int) -> None:
    X, w = data(m, n)
    expected, out = flat(k(X, w)), buffers(m, n)
    if how == "fortran":
        out[1:3] = [np.asfortranarray(o) for o in out[1:3]]
    elif how != "contiguous":
        out[1:3] = [np.repeat(o, 2, -1)[..., :: -2 if how == "reversed" else 2] for o in out[1:3]]
    value, grads = k(X, w, out=tuple(out))
    assert value is out[0] and all(a is b for a, b in zip(grads, out[1:], strict=True))
    assert all(map(same, out, map(np.asarray, expected)))


def test_out_may_overlap_inputs(k: Kernel) -> None:
    X, w = data(3, 3)
    expected = flat(k(X, w, 0.5))
    block = X.copy()
    lam = np.array(0.5)
    k(block, w, lam, out=(np.empty(()), block.T, w, lam))
    assert same(block.T.copy(), expected[1]) and same(w, expected[2]) and lam == expected[3]


def test_out_of_a_value_kernel(backend: str) -> None:
    kernel, out = make(backend, "steps", "value"), np.zeros(6)
    assert kernel([1.0, 2.0, 4.0, 7.0, 0.0], out=out[::2]) is not None and out.tolist() == [3.0, 0, 5.0, 0, -4.0, 0]
    x = np.arange(5.0) ** 2
    kernel(x, out=(x[1:4],))  # overlaps the input
    assert x.tolist() == [0.0, 4.0, 8.0, 12.0, 16.0]


def test_wrong_outputs_are_refused_and_nothing_is_written(k: Kernel) -> None:
    X, w = data()
    for place, bad, error, message in [
        (0, np.zeros(1), ShapeError, r"out\[0\] \(value\): expected shape \(\), got \(1,\)"),
        (1, np.zeros((3, 4)), ShapeError, r"out\[1\] \(gradient X\): expected shape \(4, 3\)"),
        (1, np.zeros((4, 3), "f4"), TypeError, r"out\[1\].*dtype float64"),
        (2, [0.0] * 3, TypeError, r"out\[2\] \(gradient w\)"),
        (2, read_only(np.zeros(3)), ShapeError, "read-only"),
        (2, unaligned(np.zeros(3)), ShapeError, "aligned"),
        (3, 0.0, TypeError, r"out\[3\] \(gradient lam\)"),
    ]:
        out = buffers(4, 3)
        out[place] = bad
        with pytest.raises(error, match=message):
            k(X, w, out=tuple(out))
        assert all(np.all(o == 7.0) for i, o in enumerate(out) if i != place)
    shared = np.zeros((4, 3))
    with pytest.raises(ShapeError, match="share memory"):
        k(X, w, out=(np.zeros(()), shared, shared[0], np.zeros(())))
    for bad in (np.zeros(3), tuple(buffers(4, 3)[:3])):
        with pytest.raises((TypeError, ShapeError), match="out"):
            k(X, w, out=bad)


# Bound to memory


def test_raw_reads_again_and_refills(k: Kernel) -> None:
    X, w = data()
    lam = np.array(0.5)
    run = k.raw(X, w=w, lam=lam)
    assert run() == 0
    assert all(map(same, run.out, map(np.asarray, flat(k(X, w, 0.5)))))
    X[0] += 1.0
    lam[...] = 3.0
    run()
    assert all(map(same, run.out, map(np.asarray, flat(k(X, w, 3.0)))))
    assert run.value is run.out[0] and run.grads.w is run.out[2]
    constant = k.raw(X, w)  # the default
    constant()
    assert constant.value == k(X, w)[0]


def test_raw_copies_strided_buffers_in_every_call(k: Kernel) -> None:
    block, w = np.asfortranarray(data(4, 4)[0]), data(4, 4)[1]
    out = buffers(4, 4)
    out[1] = np.asfortranarray(out[1])
    out[2] = np.zeros(8)[::2]
    run = k.raw(block, w[::-1], 0.5, out=tuple(out))
    for _ in range(3):
        block *= 2.0
        w += 1.0
        run()
        assert all(map(same, out, map(np.asarray, flat(k(block, w[::-1], 0.5)))))
    assert run.out[1] is out[1]


def test_raw_keeps_its_memory_alive(k: Kernel) -> None:
    run = k.raw(np.full((500, 10), 1.0), np.full(20, 2.0)[::2], 0.0)
    rubbish = [np.full((500, 10), float(i)) for i in range(50)]
    run()
    assert len(rubbish) == 50 and run.value == 500 * 400.0


def test_raw_refuses_what_it_would_have_to_convert(k: Kernel) -> None:
    X, w = data()
    for bad in (w.astype(int), w.astype("f4"), w.astype(">f8"), list(w), None):
        with pytest.raises(TypeError, match="'w'"):
            k.raw(X, bad)
    with pytest.raises(ShapeError, match="'w'"):
        k.raw(X, unaligned(w))
    with pytest.raises(ShapeError, match="dimension n"):
        k.raw(X, np.ones(4))
    with pytest.raises(ShapeError, match=r"out\[2\] \(gradient w\).*'w'"):
        k.raw(X, w, out=(np.zeros(()), np.zeros((4, 3)), w, np.zeros(())))


@pytest.mark.parametrize("m,n", [(0, 3), (3, 0), (1, 1)])
def test_raw_of_empty_arrays(k: Kernel, m: int, n: int) -> None:
    X, w = data(m, n)
    run = k.raw(X, w)
    run()
    assert all(map(same, run.out, map(np.asarray, flat(k(X, w)))))


# Vectors for optimisers


@pytest.mark.parametrize("m,n", [(4, 3), (1, 1), (0, 2), (3, 0)])
def test_flat_pack_and_unpack(k: Kernel, m: int, n: int) -> None:
    X, w = data(m, n)
    theta = k.pack(lam=0.25, X=np.asfortranarray(X), w=w)
    assert theta.dtype == np.float64 and theta.tolist() == [*X.ravel(), *w, 0.25]
    assert same(theta, k.pack({"X": X, "w": w.tolist(), "lam": 0.25}))
    for known in ({"m": m, "n": n}, {"X": X}, {"w": w, "m": m}):
        back = k.unpack(theta, **known)
        assert list(back) == ["X", "w", "lam"] and same(back["X"], X) and same(back["w"], w) and back["lam"] == 0.25
        assert type(back["lam"]) is float and not np.shares_memory(back["X"], theta)
    value, gradient = k.flat(theta, m=m, n=n)
    expected = flat(k(**back))
    assert type(value) is float and value == expected[0] and gradient.dtype == np.float64
    assert same(gradient, np.concatenate([np.ravel(e) for e in expected[1:]]))
    assert same(k.flat(np.repeat(theta, 2)[::2], m=m, n=n)[1], gradient)
    for wrong in (float(n), [n]):  # also where the plan for these sizes is there
        with pytest.raises(TypeError, match="integer"):
            k.flat(theta, m=m, n=wrong)


def gradient_by_w(backend: str, dtype: Any = "float64") -> Kernel:
    return numpy_kernel(lambda *a: ridge_gradient(*a)[::2], spec("ridge", dtype=dtype, wrt=("w",)))


def test_flat_takes_sizes_from_the_rest() -> None:
    kernel = gradient_by_w("numpy")
    X, w = data()
    value, gradient = kernel.flat(w, X=X)
    assert value == kernel(X, w)[0] and same(gradient, kernel(X, w)[1].w)
    assert kernel.flat(w.tolist(), X=X.tolist(), lam=2)[0] == kernel(X, w, 2.0)[0]
    for theta, rest, error, message in [
        (np.ones(4), {"X": X}, ShapeError, r"theta: expected shape \(3,\) for w \(n,\), m = 4, n = 3, got \(4,\)"),
        (w, {}, TypeError, "missing argument 'X'"),
        (w, {"X": X, "w": w}, TypeError, "unexpected argument 'w'"),
        (w, {"X": X, "z": w}, TypeError, "unexpected argument 'z'"),
        (
            w,
            {"X": X, "n": 2},
            ShapeError,
            r"'X' has shape \(4, 3\): dimension n is 3 by axis 1, and 2 by the keyword n",
        ),
        (w[None], {"X": X}, ShapeError, "theta"),
        (1.0, {"X": X}, ShapeError, "theta"),
        ("1", {"X": X}, TypeError, "theta"),
        (w, {"X": w}, ShapeError, "'X'"),
    ]:
        with pytest.raises(error, match=message):
            kernel.flat(theta, **rest)
    assert same(kernel.unpack(w)["w"], w)  # the length tells the one dimension


def test_what_the_length_of_theta_tells(backend: str) -> None:
    shapes: dict[str, Any] = {"A": ("n", "n"), "b": ("n",)}
    kernel = numpy_kernel(
        lambda A, b: ((A.sum() + b.sum()), np.ones_like(A), np.ones_like(b)),
        KernelSpec("f", ("A", "b"), ("A", "b"), shapes=shapes, array=True),
    )
    for n in (0, 1, 2, 7):
        theta = np.arange(float(n * n + n))
        assert kernel.unpack(theta)["A"].shape == (n, n) and kernel.flat(theta)[0] == theta.sum()
    with pytest.raises(ShapeError, match=r"theta: no n fits shape \(5,\) for A \(n, n\), b \(n,\)"):
        kernel.unpack(np.zeros(5))
    ridge = make(backend)
    with pytest.raises(TypeError, match=r"m=\.\.\., n=\.\.\."):
        ridge.unpack(np.zeros(5))
    with pytest.raises(ShapeError, match="no m fits"):
        ridge.unpack(np.zeros(5), n=0)
    with pytest.raises(ShapeError, match="theta"):
        ridge.unpack(np.zeros(5), m=-1, n=2)
    with pytest.raises(TypeError, match="'p'"):
        ridge.unpack(np.zeros(5), p=2)


def test_flat_in_float32() -> None:
    kernel = gradient_by_w("numpy", "float32")
    X, w = data(dtype=np.float32)
    theta = kernel.pack(w=w)
    value, gradient = kernel.flat(theta, X=X)
    assert theta.dtype == gradient.dtype == np.float64 and type(value) is float
    assert np.array_equal(gradient, kernel(X, w)[1].w) and kernel(X, **kernel.unpack(theta))[0] == value


def test_pack_and_flat_refuse(k: Kernel) -> None:
    X, w = data()
    with pytest.raises(TypeError, match="missing argument 'w'"):
        k.pack(X=X)
    with pytest.raises(TypeError, match="'z'"):
        k.pack(X=X, w=w, z=1.0)
    with pytest.raises(ShapeError, match="dimension n"):
        k.pack(X=X, w=np.ones(5))
    with pytest.raises(TypeError, match="gradient"):
        make("numpy", kind="value").flat([])


@pytest.mark.peer("scipy")
def test_scipy_minimises_with_flat() -> None:
    from scipy.optimize import minimize

    kernel = gradient_by_w("numpy")
    X, w = data()
    found = minimize(lambda theta: kernel.flat(theta, X=X), w, jac=True)
    assert found.success and np.allclose(found.x, 0.0, atol=1e-4)


# NumPy engine


def test_results_never_share_memory() -> None:
    shapes: dict[str, Any] = {"A": ("n", "n")}
    kernel = numpy_kernel(lambda A: (0.0, A), KernelSpec("f", ("A",), ("A",), shapes=shapes, array=True))
    A = np.ones((2, 2))
    gradient = kernel(A)[1].A
    assert same(gradient, A) and not np.shares_memory(gradient, A) and gradient.flags.writeable
    both = KernelSpec("f", ("A", "B"), ("A", "B"), shapes={**shapes, "B": ("n", "n")}, array=True)
    for twice in (
        lambda A, B: (0.0, (s := A + B), s),
        lambda A, B: (0.0, (s := A + B), s.T),
        lambda A, B: (0.0, 1.0, [1, 2]),
    ):
        one, other = numpy_kernel(twice, both)(A, A)[1]
        assert one.shape == other.shape == (2, 2) and not np.shares_memory(one, other)
        assert one.flags.c_contiguous and other.flags.c_contiguous and one.dtype == other.dtype == float


def test_a_function_cannot_write_into_the_callers_arrays() -> None:
    def careless(x: Any) -> Any:
        x += 1.0
        return x.sum()

    x = np.arange(4.0)
    kernel = numpy_kernel(careless, KernelSpec("f", ("x",), kind="value", shapes={"x": ("n",)}, array=True))
    with pytest.raises(ValueError, match="read-only"):
        kernel(x)
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0] and x.flags.writeable


# C engine: workspace and BLAS


@pytest.mark.compiler
def test_workspaces_of_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = make("c", "probe", "value")
    for n in (1, 0, 3, 40, 2, 60):  # 3.6e6 numbers of float64 are more than is kept
        assert kernel(np.ones(n), 2.5)[1:].tolist() == [n, 2.5]
    run = kernel.raw(np.ones(5), 2.5)
    assert run() == 0 and run.value[1] == 5
    with pytest.raises(KernelError, match="failed"):
        kernel(np.ones(2), -1.0)


@pytest.mark.compiler
def test_a_workspace_beyond_every_memory() -> None:
    kernel = make("c", "probe", "value")
    vast = np.broadcast_to(1.0, (1 << 32,))
    with pytest.raises(MemoryError):
        kernel._plan((vast.shape, ()))  # type: ignore[attr-defined]  # a call would copy the argument


@pytest.mark.compiler
@pytest.mark.peer("scipy")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_blas_comes_from_scipy(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert blas.gemm_address(dtype) and blas.gemm_address("float64") != blas.gemm_address("float32")
    assert "SciPy" in blas.description()
    X, w = data(50, 40, dtype)
    through_blas = flat(make("c", dtype=dtype)(X, w))
    assert make("c", "probe", "value", dtype)(w, 1.0)[0] == 1.0
    assert make("c", "probe", "value", dtype, blas=False)(w, 1.0)[0] == 0.0
    monkeypatch.setattr(array_engines, "gemm_address", lambda _: 0)
    assert make("c", "probe", "value", dtype)(w, 1.0)[0] == 0.0
    for one, other in zip(through_blas, flat(make("c", dtype=dtype)(X, w)), strict=True):
        assert np.allclose(one, other, rtol=1e-4 if dtype == "float32" else 1e-13)


@pytest.mark.compiler
def test_without_python_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    X, w = data(50, 40)
    expected = flat(make("c")(X, w))
    monkeypatch.setattr(compiler, "python_headers", lambda: None)
    kernel = make("c")
    assert all(map(same, flat(kernel(X, w)), expected))
    run = kernel.raw(X, w)
    assert run() == 0 and run.value == expected[0]


def test_signatures_of_gemm() -> None:
    real = "__pyx_t_5scipy_6linalg_11cython_blas_d"
    form = "void (char *, char *, I *, I *, I *, R *, R *, I *, R *, I *, R *, R *, I *)"
    good = form.replace("I", "int").replace("R", real)
    assert blas.is_gemm(good, "d") and blas.is_gemm(good.replace(real, "double"), "d")
    for bad in (form.replace("I", "long").replace("R", real), good.replace("void", "int"), good[:-9] + ")", ""):
        assert not blas.is_gemm(bad, "d")
    assert not blas.is_gemm(good, "s")


@pytest.mark.parametrize("broken", ["", "__pyx_capi__ = {}", "__pyx_capi__ = {'dgemm': 1}", "raise OSError"])
def test_a_scipy_that_gives_nothing_is_no_error(tmp_path: Path, broken: str) -> None:
    """As where it is not installed: in a process that finds another package of that name first."""
    for folder in ("scipy", "scipy/linalg"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "scipy/linalg/cython_blas.py").write_text(broken)
    code = "from symdiff.runtime import blas; print(blas.gemm_address('float64'), repr(blas.description()))"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "0 ''\n"


@pytest.mark.compiler
@pytest.mark.peer("scipy")
def test_scipy_is_imported_with_the_first_call() -> None:
    code = """
import sys
from runtime.test_array_kernel import make
kernel = make("c")
assert "scipy" not in sys.modules
kernel([[1.0]], [1.0])
assert "scipy" in sys.modules
"""
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, check=True)


# Packages


@pytest.mark.compiler
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_package_of_arrays(tmp_path: Path, dtype: Any) -> None:
    (tmp_path / "ridge.h").write_text("")
    (tmp_path / "ridge.c").write_text('#include "ridge.h"\n' + c_source("ridge", dtype))
    source = library.Source(tmp_path, "ridge", "ridge", ("value", "gradient"), dtype, array=True)
    functions: dict[str, Any] = {kind: FUNCTIONS["ridge", kind] for kind in source.kinds}
    specs = [spec("ridge", kind, dtype) for kind in source.kinds]
    X, w = data(dtype=dtype)
    kernels = library.kernels(source, functions, specs)
    assert [k.backend for k in kernels] == ["numpy"] * 2
    assert library.build(source)[1] and not library.build(source)[1]
    built = library.kernels(source, functions, specs)
    assert [k.backend for k in built] == ["c"] * 2
    assert kernels[0](X, w) == built[0](X, w) and all(map(same, flat(kernels[1](X, w)), flat(built[1](X, w))))
    with pytest.raises(KernelShapeError, match="'w'"):
        built[0](X, X)


def test_doctor_says_which_blas() -> None:
    fact = next(each for each in machine_facts(("sin",)) if each.name == "BLAS")
    assert (fact.state == "ok" and blas.description() in fact.text) or "scipy" in fact.remedy


# Processes and threads


def test_threads_share_a_kernel(k: Kernel) -> None:
    cases = [(*data(m, 5), float(m)) for m in (1, 40, 7, 300)]
    expected = [flat(k(*case)) for case in cases]
    wrong: list[int] = []

    def work(start: int) -> None:
        for i in range(start, start + 200):
            if not all(map(same, flat(k(*cases[i % 4])), expected[i % 4])):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_after_load(k: Kernel) -> None:
    X, w = data()
    expected = k(X, w)[0]
    child = os.fork()
    if child == 0:
        os._exit(0 if k(X, w)[0] == expected else 1)
    assert os.waitpid(child, 0)[1] == 0
