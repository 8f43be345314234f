"""Calls of a kernel: arguments, layouts, outputs, raw and flat calls, threads and forks; both engines."""

import array
import copy
import datetime
import decimal
import inspect
import os
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runtime.csource import REFERENCE, c_source, gradient, vector_names
from runtime.layouts import LAYOUTS, flat, read_only, same, unaligned

from symdiff.build.kernels import compile_c, numpy_kernel
from symdiff.errors import ShapeError
from symdiff.runtime.kernel import Kernel, KernelShapeError, KernelSpec, NumpyEngine

C = pytest.param("c", marks=pytest.mark.compiler)
BACKENDS = [C, "numpy"]
TESTS = Path(__file__).resolve().parents[1]


def make(backend: str, kind: Any = "gradient", dtype: Any = "float64", **changes: Any) -> Kernel:
    settings: dict[str, Any] = {"inputs": ("x", "y"), "wrt": ("x", "y") if kind == "gradient" else (), **changes}
    spec = KernelSpec("demo", kind=kind, dtype=dtype, **settings)
    if backend == "numpy":
        return numpy_kernel(REFERENCE[kind], spec)
    return compile_c(c_source(dtype), spec, vector_functions=vector_names(dtype))


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def k(backend: str) -> Kernel:
    return make(backend)


# One point


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.float32(2), np.float16(2), np.int8(2), np.uint64(2)])
def test_numbers_give_python_floats(k: Kernel, number: Any) -> None:
    value, grads = k(1.5, number)
    assert [type(v) for v in (value, *grads)] == [float] * 3
    assert np.allclose([value, *grads], gradient(1.5, 2.0), rtol=1e-15)
    assert flat(k(1.5, np.asarray(number))) == flat(k(x=1.5, y=number)) == flat(k(1.5, y=number)) == [value, *grads]


def test_gradient_is_a_named_tuple_in_wrt_order(backend: str) -> None:
    grads = make(backend)(1.0, 2.0)[1]
    assert grads._fields == ("x", "y") and grads.x == grads[0] and grads.y == grads[1]
    assert isinstance(make(backend, "value")(1.0, 2.0), float)


def test_field_names_that_named_tuples_refuse_are_changed() -> None:
    names = ("_x", "lambda", "ux", "u_x", "__", "count", "lambda_")
    kernel = Kernel(KernelSpec("f", names, names), NumpyEngine(lambda *a: (a[0], *a)))
    _, grads = kernel(*range(7))
    assert grads._fields == ("u_x_", "lambda__", "ux", "u_x", "u__", "count", "lambda_")
    assert list(grads) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_one_point_never_raises_or_warns_on_a_domain() -> None:
    spec = KernelSpec("f", ("x",), ("x",))
    kernel = numpy_kernel(lambda x: (1 / x, np.log(x) ** -2 + x**400), spec)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernel(0.0)[0] == float("inf")
        assert np.isnan(kernel(-1.0)[1].x)
        assert kernel(np.array([0.0, 10.0]))[1].x[1] == np.inf
        assert make("numpy", dtype="float32")(1e300, 1.0)[0] == np.inf


@pytest.mark.parametrize("bad", [True, np.True_, 1j, np.complex64(1), "1", b"1", None, object(), {}])
def test_what_is_no_number_is_refused_by_name(k: Kernel, bad: Any) -> None:
    for call in (lambda: k(1.0, bad), lambda: k(x=1.0, y=bad), lambda: k(np.ones(3), bad), lambda: k(1.0, [bad])):
        with pytest.raises(TypeError, match="'y'"):
            call()


@pytest.mark.parametrize(
    "bad",
    [np.longdouble(1), decimal.Decimal(1), datetime.datetime(2020, 1, 1), np.datetime64("2020"), 10**400, -(10**400)],
    ids=repr,
)
def test_other_numbers_are_refused_by_name(k: Kernel, bad: Any) -> None:
    with pytest.raises(TypeError, match="'x'"):
        k(bad, 1.0)


def test_large_integers_round_like_float(k: Kernel) -> None:
    assert k(2**70, 1.0)[0] == k(2.0**70, 1.0)[0]


# Binding


def test_wrong_names_and_counts_are_type_errors(k: Kernel) -> None:
    for args, kwargs, message in [
        ((), {}, "missing argument 'x'"),
        ((1.0,), {}, "missing argument 'y'"),
        ((1.0, 2.0, 3.0), {}, "takes 2 arguments, got 3"),
        ((1.0,), {"x": 2.0}, "two values for argument 'x'"),
        ((1.0, 2.0), {"z": 2.0}, "unexpected argument 'z'"),
        ((), {"x": 1.0, "z": 2.0}, "unexpected argument 'z'"),
        ((1.0, 2.0), {"out_": ()}, "unexpected argument 'out_'"),
    ]:
        with pytest.raises(TypeError, match=message):
            k(*args, **kwargs)


def test_defaults(backend: str) -> None:
    kernel = make(backend, defaults={"y": 2.0})
    assert kernel(3.0) == kernel(x=3.0) == kernel(3.0, 2.0)
    assert kernel(3.0, y=1.0) == kernel(x=3.0, y=1.0) != kernel(3.0)
    assert same(kernel(np.ones(2))[0], kernel(np.ones(2), 2.0)[0])
    with pytest.raises(TypeError, match="missing argument 'x'"):
        kernel(y=1.0)


def test_an_input_called_out() -> None:
    spec = KernelSpec("f", ("out", "self"), ("out", "self"))
    kernel = numpy_kernel(gradient, spec)
    assert kernel(out=1.0, self=2.0) == kernel(1.0, 2.0)
    buffers = tuple(np.empty((3, 2)))
    assert kernel(out=np.ones(2), self=2.0, out_=buffers)[0] is buffers[0]
    assert KernelSpec("f", ("out", "out_")).out_name == "out__"


def test_what_a_kernel_says_of_itself(k: Kernel, backend: str) -> None:
    assert (k.name, k.inputs, k.wrt, k.dtype, k.backend) == ("demo", ("x", "y"), ("x", "y"), "float64", backend)
    assert k.signature == "(),()->(),(),()"
    assert "demo.gradient(x, y)" in repr(k) and backend in repr(k)
    assert str(inspect.signature(k)) == "(x, y, *, out=None)"
    assert "named tuple" in (k.__doc__ or "")
    with_default = make("numpy", defaults={"y": 2.0})
    assert str(inspect.signature(with_default)) == "(x, y=2.0, *, out=None)"
    assert str(inspect.signature(make("numpy", defaults={"x": 2.0}))) == "(x, y, *, out=None)"


def test_a_contradictory_spec_is_refused() -> None:
    for wrong in ({"inputs": ()}, {"inputs": ("x", "x")}, {"wrt": ("z",)}, {"defaults": {"z": 1.0}}, {"dtype": "int"}):
        with pytest.raises(ValueError):
            KernelSpec("f", **{"inputs": ("x",), **wrong})  # type: ignore[arg-type]


# Arrays


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(1,), (5,), (200,), (3, 70), (2, 3, 5), (2, 1500), (0,), (3, 0)], ids=str)
def test_every_layout_gives_the_same_bits(k: Kernel, layout: str, shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape), dtype=float).reshape(shape)
    y = np.cos(np.arange(np.prod(shape), dtype=float)).reshape(shape)
    expected = flat(k(x.copy(), y.copy()))
    results = flat(k(read_only(LAYOUTS[layout](x)) if x.size < 1000 or "16" not in layout else x, read_only(y)))
    for result, right, reference in zip(results, expected, gradient(x, y), strict=True):
        assert type(result) is np.ndarray and result.flags.c_contiguous and result.flags.owndata
        assert result.shape == shape and same(result, right)
        assert np.allclose(result, reference, rtol=1e-14, atol=1e-14)
        assert not np.shares_memory(result, x) and not np.shares_memory(result, y)


def test_scalars_mix_with_arrays(k: Kernel) -> None:
    x = np.linspace(-3, 3, 101)
    whole = flat(k(x, np.full(101, 0.5)))
    for y in (0.5, np.float32(0.5), np.array(0.5), np.array([0.5]), [0.5]):
        assert all(map(same, flat(k(x, y)), whole))
    assert k(np.array([[2.0]]), 1)[0].shape == (1, 1)
    assert k(1.0, [])[0].shape == (0,)
    assert k(array.array("d", [1.0, 2.0]), 1)[0].shape == (2,)


def test_arrays_of_numbers_only_broadcast() -> None:
    with pytest.raises(TypeError, match=r"'x'.*complex"):
        make("numpy")(np.zeros(3, complex), 1.0)
    with pytest.raises(TypeError, match=r"'x'.*masked"):
        make("numpy")(np.ma.masked_array([1.0, 2.0], [0, 1]), 1.0)
    with pytest.raises(TypeError, match=r"'x'.*longdouble|'x'.*float128"):
        make("numpy")(np.zeros(3, np.longdouble), 1.0)
    with pytest.raises(ShapeError, match=r"'x'.*array"):
        make("numpy")([[1.0], [1.0, 2.0]], 1.0)
    with pytest.raises(ShapeError, match=r"'x' of shape \(3,\) and 'y' of shape \(2, 4\)"):
        make("numpy")(np.zeros(3), np.zeros((2, 4)))


def test_the_shape_error_is_chosen_by_the_owner() -> None:
    spec = KernelSpec("f", ("x", "y"), ("x", "y"))
    with pytest.raises(KernelShapeError):
        Kernel(spec, NumpyEngine(gradient))(np.zeros(3), np.zeros(2))


def test_float32(backend: str) -> None:
    kernel = make(backend, dtype="float32")
    x = np.linspace(0, 5, 99, dtype=np.float32)
    for result, reference in zip(flat(kernel(x, 0.5)), gradient(x.astype(float), 0.5), strict=True):
        assert result.dtype == np.float32 and np.allclose(result, reference, rtol=1e-6)
    value, grads = kernel(2, 0.5)
    assert [value, *grads] == [float(np.float32(v)) for v in (value, *grads)]
    assert kernel(2.0, 1e300)[0] != kernel(2.0, 1e300)[0]  # sin(inf)
    assert kernel(x.astype(np.float16), np.arange(99))[0].dtype == np.float32
    with pytest.raises(TypeError, match=r"'y'.*\.astype\(np\.float32\)"):
        kernel(x, x.astype(float))
    with pytest.raises(TypeError, match=r"'y'.*np\.asarray\(x, dtype=np\.float32\)"):
        kernel(x, [1.0])


def _views(draw: Any, shape: tuple[int, ...]) -> Any:
    """An array of the shape as some view into a larger block."""
    steps = [draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in shape]
    order = draw(st.permutations(range(len(shape))))
    block = np.random.default_rng(draw(st.integers(0, 99))).normal(size=[shape[a] * abs(steps[a]) for a in order])
    view = block.transpose(np.argsort(order))
    return view[tuple(slice(None, None, s) for s in steps)]


@st.composite
def operands(draw: Any) -> tuple[Any, Any]:
    shape = tuple(draw(st.lists(st.sampled_from([0, 1, 2, 3, 65]), min_size=1, max_size=3)))
    one, other = (
        tuple(1 if draw(st.booleans()) and draw(st.booleans()) else n for n in shape)[draw(st.integers(0, 1)) :]
        for _ in range(2)
    )
    return _views(draw, one), _views(draw, other)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pair=operands())
def test_layout_and_broadcast_never_change_bits(backend: str, pair: tuple[Any, Any]) -> None:
    kernel = make(backend)
    x, y = pair
    if x.ndim == y.ndim == 0:  # the one-point function may differ from the batch by plain libm
        x = x.reshape(1)
    results = flat(kernel(x, y))
    xs, ys = np.broadcast_arrays(x, y)
    shape = xs.shape
    line = flat(kernel(xs.ravel().copy(), ys.ravel().copy()))
    for result, whole, reference in zip(results, line, gradient(xs, ys), strict=True):
        whole = np.asarray(whole).reshape(shape)
        assert same(result, whole)
        assert np.allclose(result, reference, rtol=1e-14, atol=1e-14)


@pytest.mark.compiler
def test_position_in_the_batch_never_changes_bits() -> None:
    kernel = make("c")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 4099))
    whole = flat(kernel(x, y))
    order = rng.permutation(x.size)
    for part in (order, slice(1, None), slice(None, None, -1), slice(0, 64), slice(70, 71), slice(5, 4000, 7)):
        assert all(same(r, w[part]) for r, w in zip(flat(kernel(x[part], y[part])), whole, strict=True))


@pytest.mark.compiler
def test_long_rows_are_walked_where_they_lie() -> None:
    kernel = make("c")
    x, y = np.random.default_rng(0).normal(size=(2, 3, 4000))
    expected = flat(kernel(x[:, ::2].copy(), y[:, :2000].copy()))
    assert all(map(same, flat(kernel(x[:, ::2], y[:, :2000])), expected))
    column = flat(kernel(x[:, :1], y[:1, :2000]))
    assert all(map(same, column, flat(kernel(*(a.copy() for a in np.broadcast_arrays(x[:, :1], y[:1, :2000]))))))


# Outputs


@pytest.mark.parametrize("shape", [(), (7,), (2, 70), (2, 1500)], ids=str)
@pytest.mark.parametrize("how", ["contiguous", "columns", "fortran", "reversed"])
def test_out_is_filled_and_returned(k: Kernel, shape: tuple[int, ...], how: str) -> None:
    x, y = np.random.default_rng(1).normal(size=(2, *shape))
    expected = flat(k(x, y))
    block = np.full((*shape, 3), 7.0) if how == "columns" else np.full((3, *shape), 7.0)
    outs = tuple(np.moveaxis(block, -1, 0)) if how == "columns" else tuple(block[i, ...] for i in range(3))
    if not shape:
        outs = tuple(np.array(7.0) for _ in range(3))
    elif how == "fortran":
        outs = tuple(np.asfortranarray(o) for o in outs)
    elif how == "reversed":
        outs = tuple(o[..., ::-1] for o in outs)
    value, grads = k(x, y, out=outs)
    assert value is outs[0] and grads.x is outs[1] and grads.y is outs[2]
    assert all(map(same, outs, [np.asarray(e) for e in expected]))


def test_out_of_a_value_kernel(backend: str) -> None:
    kernel, out = make(backend, "value"), np.empty(3)
    assert kernel(np.ones(3), 2.0, out=out) is out
    assert kernel(np.ones(3), 2.0, out=(out,)) is out
    assert same(out, kernel(np.ones(3), 2.0))


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("size", [9_000, 5])  # more than NumPy code takes at once
def test_outputs_of_other_classes_are_filled_and_returned(k: Kernel, size: int, step: int) -> None:
    """A matrix has two axes whatever is asked of it."""
    x = np.random.default_rng(7).normal(size=(1, size))
    expected = flat(k(x, 0.5))
    out = tuple(np.empty((1, size * step)).view(np.matrix)[:, ::step] for _ in range(3))
    value, grads = k(x, 0.5, out=out)
    assert all(one is other for one, other in zip((value, *grads), out, strict=True))
    assert all(np.asarray(found).tobytes() == wanted.tobytes() for found, wanted in zip(out, expected, strict=True))
    run = k.raw(x, 0.5, out=tuple(one * np.nan for one in out))
    assert run() == 0 and type(run.value) is np.matrix
    assert all(np.asarray(found).tobytes() == wanted.tobytes() for found, wanted in zip(run.out, expected, strict=True))


def _wrong_outputs() -> list[Any]:
    good = np.zeros((3, 4))
    frozen, record, masked = np.zeros(4), np.zeros(4, "f8, i4"), np.ma.zeros(4)
    frozen.flags.writeable = False
    repeated = np.lib.stride_tricks.as_strided(np.zeros(4), (4,), (0,))
    return [
        (good[0], TypeError, "tuple"),
        (tuple(good[:2]), ShapeError, "3 arrays"),
        ((good[0], None, good[2]), TypeError, r"out\[1\] \(gradient x\)"),
        ((good[0], good[1], [0.0] * 4), TypeError, r"out\[2\] \(gradient y\)"),
        ((good[0], np.zeros(4, "f4"), good[2]), TypeError, r"out\[1\].*dtype float64"),
        ((good[0], np.zeros(4, ">f8"), good[2]), TypeError, r"out\[1\].*byte order"),
        ((np.zeros(5), good[1], good[2]), ShapeError, r"out\[0\] \(value\).*\(4,\)"),
        ((np.zeros((1, 4)), good[1], good[2]), ShapeError, r"out\[0\]"),
        ((frozen, good[1], good[2]), ShapeError, r"out\[0\].*read-only"),
        ((record["f0"], good[1], good[2]), ShapeError, r"out\[0\].*align"),
        ((masked, good[1], good[2]), TypeError, r"out\[0\]"),
        ((repeated, good[1], good[2]), ShapeError, r"out\[0\].*each other"),
        ((good[0], good[0], good[2]), ShapeError, r"out\[0\].*out\[1\].*share"),
        ((good[0], good[1], good.ravel()[5:9]), ShapeError, r"out\[1\].*out\[2\].*share"),
    ]


@pytest.mark.parametrize("case", range(14))
def test_unfit_outputs_are_named_and_untouched(k: Kernel, case: int) -> None:
    out, error, message = _wrong_outputs()[case]
    before = [np.array(o, copy=True) for o in out if isinstance(o, np.ndarray)]
    for call in (k, k.raw):
        with pytest.raises(error, match=message):
            call(np.ones(4), 2.0, out=out)
    assert all(map(same, [o for o in out if isinstance(o, np.ndarray)], before))


def test_a_refused_argument_leaves_out_untouched(k: Kernel) -> None:
    out = tuple(np.full((3, 4), 7.0))
    for bad in (np.ones(4, complex), np.ones(5), "a"):
        with pytest.raises((TypeError, ShapeError)):
            k(np.ones(4), bad, out=out)
    assert all((o == 7.0).all() for o in out)


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_outputs_may_lie_over_inputs(k: Kernel, shift: int) -> None:
    memory = np.random.default_rng(2).normal(size=300)
    x, y = memory[:200], memory[50:250]
    expected = flat(k(x.copy(), y.copy()))
    out = (memory[shift : 200 + shift], np.empty(200), np.empty(200))
    assert all(map(same, flat(k(x, y, out=out)), expected))


# Bound calls


@pytest.mark.parametrize("shape", [(), (1,), (70,), (3, 5), (0,)], ids=str)
def test_raw_follows_the_memory(k: Kernel, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=shape) if shape else np.array(rng.normal()) for _ in range(2))
    run = k.raw(x=x, y=y)
    for _ in range(3):
        assert run() == 0
        assert all(map(same, [run.value, *run.grads], [np.asarray(r) for r in flat(k(x, y))]))
        x[...] = rng.normal(size=shape)
        y[...] = rng.normal(size=shape)
    assert run.out[0] is run.value and run.grads.x is run.out[1]


def test_raw_with_held_constants_views_and_given_outputs(k: Kernel) -> None:
    block = np.random.default_rng(4).normal(size=(6, 8))
    out = tuple(np.empty((3, 3, 4)))
    run = k.raw(block[::2, ::2], 2, out=out)
    assert run.out[0] is out[0]
    for _ in range(2):
        run()
        assert all(map(same, out, flat(k(block[::2, ::2], 2.0))))
        block += 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_raw_of_one_point_reads_a_vector_in_place(backend: str, dtype: str) -> None:
    kernel = make(backend, dtype=dtype)
    theta = np.array([1.5, 2.5], dtype=dtype)
    run = kernel.raw(*(theta[i, ...] for i in range(2)))
    apart = kernel.raw(np.array(1.5, dtype), np.array(2.5, dtype))
    run(), apart()
    assert [o.item() for o in run.out] == [o.item() for o in apart.out] == flat(kernel(1.5, 2.5))
    constant = kernel.raw(1.5, 2.5)
    constant()
    assert constant.value.item() == run.value.item()


def test_raw_keeps_its_memory_alive(k: Kernel) -> None:
    run = k.raw(np.full(5000, 1.0), np.full(5000, 2.0))
    rubbish = [np.full(5000, float(i)) for i in range(50)]
    run()
    assert len(rubbish) == 50 and same(run.value, k(np.full(5000, 1.0), 2.0)[0])


def test_raw_refuses_what_it_would_have_to_convert(k: Kernel) -> None:
    good = np.ones(4)
    for bad in (np.ones(4, int), np.ones(4, "f4"), np.ones(4, ">f8"), [1.0] * 4, True, None, np.ma.ones(4)):
        with pytest.raises(TypeError, match="'y'"):
            k.raw(good, bad)
    with pytest.raises(ShapeError, match="'y'"):
        k.raw(good, unaligned(good))
    with pytest.raises(ShapeError, match=r"'x' of shape"):
        k.raw(good, np.ones(3))
    with pytest.raises(ShapeError, match=r"out\[1\] \(gradient x\).*'y'"):
        k.raw(np.ones(4), good, out=(np.ones(4), good, np.ones(4)))


@pytest.mark.compiler
def test_raw_keeps_the_library_of_its_kernel() -> None:
    """A plain library, as packages have it without Python.h, is closed when nothing uses it any more."""
    program = """
import gc, pathlib, sys, tempfile
import numpy as np
from runtime import carrays, csource
from symdiff.runtime import compiler
from symdiff.runtime.array_kernel import c_kernel
from symdiff.runtime.kernel import KernelSpec

def bound(spec, source, *arguments):
    cdef = compiler.kernel_cdef(spec.name, [spec.kind], spec.dtype, array=spec.array)
    with tempfile.TemporaryDirectory() as folder:
        path = compiler.build_shared(source, module_name="demo", cdef=cdef, out_dir=pathlib.Path(folder), api=False)
        return c_kernel(spec, compiler.load(path, "demo", cdef, api=False), spec.name).raw(*arguments)

scalars = bound(KernelSpec("demo", ("x", "y"), ("x", "y")), csource.c_source(), np.ones(5), np.zeros(5))
point = bound(KernelSpec("demo", ("x", "y"), ("x", "y")), csource.c_source("float64", "2"), 1.0, 0.0)
arrays = bound(carrays.spec("ridge"), carrays.c_source("ridge"), np.ones((4, 3)), np.ones(3), 0.0)
gc.collect()
print(scalars(), point(), arrays(), scalars.value.sum(), point.value, arrays.value)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=TESTS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:5] == ["0", "0", "0", "0.0", "0.0"]


def test_results_can_be_pickled(backend: str) -> None:
    """What another process computes comes back that way."""
    names = ("x", "lambda")
    value, grads = kernel = make(backend, inputs=names, wrt=names)(1.5, 2.0)
    again = pickle.loads(pickle.dumps(kernel))
    assert again == (value, grads) and again[1]._fields == grads._fields == ("x", "lambda_")
    assert type(copy.deepcopy(grads)) is type(copy.copy(grads)) is type(grads)


# Vectors for optimisers


def test_flat_and_pack(backend: str) -> None:
    kernel = make(backend, wrt=("y",)) if backend == "numpy" else make(backend)
    if backend == "numpy":  # the gradient by y alone
        kernel = numpy_kernel(lambda x, y: gradient(x, y)[::2], kernel.spec)
        value, grad = kernel.flat([2.0], x=1.0)
        assert (value, grad.tolist()) == (kernel(1.0, 2.0)[0], [kernel(1.0, 2.0)[1].y])
        with pytest.raises(TypeError, match="missing argument 'x'"):
            kernel.flat([2.0])
        with pytest.raises(ShapeError, match="'x'"):
            kernel.flat([2.0], x=np.ones(2))
        with pytest.raises(TypeError, match="'x'"):
            kernel.flat([2.0], x="1")
        return
    theta = kernel.pack(x=1, y=2.0)
    assert theta.dtype == np.float64 and theta.tolist() == [1.0, 2.0]
    assert same(theta, kernel.pack({"y": 2.0, "x": 1.0}))
    assert kernel.unpack(theta) == {"x": 1.0, "y": 2.0}
    value, grad = kernel.flat(theta)
    assert type(value) is float and grad.dtype == np.float64 and [value, *grad] == flat(kernel(**kernel.unpack(theta)))
    with pytest.raises(TypeError, match="'z'"):
        kernel.flat(theta, z=1.0)
    with pytest.raises(TypeError, match="'x'"):
        kernel.flat(theta, x=1.0)


def test_flat_and_pack_refuse_wrong_lengths(k: Kernel) -> None:
    for bad in ([1.0], [1.0, 2.0, 3.0], 1.0, [[1.0, 2.0]]):
        for call in (k.flat, k.unpack):
            with pytest.raises(ShapeError, match=r"theta.*\(2,\)"):
                call(bad)
    with pytest.raises(TypeError, match="missing argument 'y'"):
        k.pack(x=1.0)
    with pytest.raises(TypeError, match="'z'"):
        k.pack(x=1.0, y=1.0, z=1.0)
    with pytest.raises(ShapeError, match="'x'"):
        k.pack(x=[1.0], y=1.0)
    with pytest.raises(TypeError, match="gradient"):
        make("numpy", "value").flat([])


# NumPy engine


def test_results_that_are_inputs_or_constants_become_fresh_arrays() -> None:
    kernel = numpy_kernel(lambda x, y: (x, 1.0, x), KernelSpec("f", ("x", "y"), ("x", "y")))
    x = np.arange(4.0)
    value, grads = kernel(x, 1.0)
    assert grads.x.tolist() == [1.0] * 4 and value.tolist() == grads.y.tolist() == x.tolist()
    assert not np.shares_memory(value, x) and not np.shares_memory(value, grads.y)


def test_a_function_cannot_write_into_the_callers_arrays() -> None:
    def careless(x: Any) -> Any:
        x += 1.0
        return (x,)

    x = np.arange(4.0)
    with pytest.raises(ValueError, match="read-only"):
        numpy_kernel(careless, KernelSpec("f", ("x",), kind="value"))(x)
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]


# Processes and threads


def test_threads_share_a_kernel(k: Kernel) -> None:
    x = np.linspace(0, 9, 5000)
    expected = {t: (k(float(t), 2.0), flat(k(x, float(t)))) for t in range(4)}
    wrong: list[int] = []

    def work(t: int) -> None:
        for _ in range(100):
            if k(float(t), 2.0) != expected[t][0] or not all(map(same, flat(k(x, float(t))), expected[t][1])):
                wrong.append(t)

    threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_after_load(k: Kernel) -> None:
    expected = k(1.0, 2.0)
    child = os.fork()
    if child == 0:
        os._exit(0 if k(1.0, 2.0) == expected and k(np.ones(100), 2.0)[0][99] != 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
