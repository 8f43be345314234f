"""The call of a kernel in C (`calls.c`): what it takes and declines, its results, threads, collections, failures."""

from __future__ import annotations

import gc
import struct
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime import carrays, csource

import symdiff
from symdiff.build import kernels
from symdiff.runtime import calls, compiler
from symdiff.runtime.kernel import Kernel, KernelSpec

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(not calls.possible(api=compiler.python_headers() is not None), reason="needs Python.h"),
]
FLAVOURS = [("gradient", "float64"), ("gradient", "float32"), ("value", "float64"), ("value", "float32")]


class Float(float):
    """Not exactly a float, and its number is another one."""

    def __float__(self) -> float:
        return 7.0


def scalars(kind: Any = "gradient", dtype: Any = "float64") -> Kernel:
    spec = KernelSpec("demo", ("x", "y"), ("x", "y") if kind == "gradient" else (), kind=kind, dtype=dtype)
    return kernels.compile_c(csource.c_source(dtype), spec, vector_functions=csource.vector_names(dtype))


def arrays(name: str = "ridge", kind: Any = "gradient", dtype: Any = "float64") -> Any:
    return kernels.compile_c(carrays.c_source(name, dtype), carrays.spec(name, kind, dtype))


def traced(rows: int = 2) -> Any:
    """A formula of `2*rows + 1` numbers, in vectors."""
    function: Callable[..., Any] = lambda a, b, c: (a * b).sum() * c  # noqa: E731
    return symdiff.trace_function(function, rows, rows, ()).gradient().compile("c")


def through_cffi(make: Callable[[], Any]) -> Any:
    """The same kernel as where Python.h is missing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "python_headers", lambda: None)
        return make()


def bits(result: Any) -> list[bytes]:
    value, grads = result if isinstance(result, tuple) else (result, ())
    return [np.asarray(each).tobytes() for each in (value, *grads)]


@pytest.fixture(scope="module", params=FLAVOURS, ids="-".join)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Kernel, Kernel]]:
    """The kernel that is called in C, and the one that is called through cffi."""
    yield scalars(*request.param), through_cffi(lambda: scalars(*request.param))


# -- what is taken -----------------------------------------------------------------------------------------------------


@given(st.floats(), st.floats() | st.integers(-(2**80), 2**80) | st.floats(width=32).map(np.float32))
def test_both_ways_give_the_same_bits(pair: tuple[Kernel, Kernel], x: float, y: Any) -> None:
    direct, plain = pair
    assert direct._direct(x, y) is not NotImplemented and type(direct._direct) is not type(plain._direct)
    assert bits(direct(x, y)) == bits(plain(x, y)) and type(direct(x, y)) is type(plain(x, y))


def test_one_point_in_plain_numbers_is_called_in_c() -> None:
    k = scalars()
    expected = k._direct(1.5, 2.0)
    assert type(expected) is tuple and type(expected[1]) is type(k(1.5, 2.0)[1]) and expected[1]._fields == ("x", "y")
    assert hash(expected[1]) == hash(tuple(expected[1]))
    fixed = np.array(2.0)
    fixed.setflags(write=False)
    for number in (2, np.float64(2), np.float32(2), np.int8(2), np.uint64(2), np.array(2.0), fixed):
        assert k._direct(1.5, number) == expected
    others = np.array(2), np.array(2.0, np.float32), np.array(2.0, ">f8"), np.array(2.0).view(np.recarray)
    for one in (
        True,
        np.True_,
        "2",
        None,
        Float(2),
        [2.0],
        np.ones(3),
        np.longdouble(2),
        10**400,
        1j,
        *others,
    ):
        assert k._direct(1.5, one) is NotImplemented
    for arguments in ((), (1.5,), (1.5, 2.0, 3.0)):
        assert k._direct(*arguments) is NotImplemented
    assert k._direct(1.5, y=2.0) is NotImplemented
    assert k(1.5, Float(2))[0] == k(1.5, 7.0)[0]


def test_arrays_of_the_shapes_of_the_call_before_are_called_in_c() -> None:
    k, X, w = arrays(), np.ones((4, 3)), np.ones(3)
    assert k._direct(X, w, 0.5) is NotImplemented
    expected = bits(k(X, w, 0.5))
    assert bits(k._direct(X, w, 0.5)) == bits(k._direct(X, w, np.float32(0.5))) == expected
    strange = np.empty(25, np.int8)[1:].view(float).reshape(3)
    for other in (
        w[:2], w[:, None], np.ones(6)[::2], w.astype("f4"), w.astype(">f8"), w.view(np.recarray), w.tolist(), 1.0,
        np.ma.ones(3), strange, np.ones(3, int), None,
    ):  # fmt: skip
        assert k._direct(X, other, 0.5) is NotImplemented
    assert k._direct(np.asfortranarray(X), w, 0.5) is k._direct(X, w, [0.5]) is k._direct(X, w) is NotImplemented
    w.flags.writeable = False
    assert bits(k._direct(X, w, 0.5)) == expected
    assert k(np.ones((2, 3)), w, 0.5)[1].X.shape == (2, 3) and k._direct(X, w, 0.5) is NotImplemented
    assert bits(k(X, w)) == bits(k(X=X, w=w)) == bits(through_cffi(arrays)(X, w))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (7, 5)])
def test_arrays_of_any_size(shape: tuple[int, int], dtype: str) -> None:
    rng = np.random.default_rng(1)
    X, w = rng.normal(size=shape).astype(dtype), rng.normal(size=shape[1]).astype(dtype)
    direct, plain = arrays(dtype=dtype), through_cffi(lambda: arrays(dtype=dtype))
    direct(X, w)
    assert bits(direct._direct(X, w, 0.5)) == bits(plain(X, w, 0.5))


@pytest.mark.parametrize("rows", [2, 520])  # numbers on the stack, and in memory of the thread
def test_vectors_are_put_together_and_taken_apart(rows: int) -> None:
    k, rng = traced(rows), np.random.default_rng(2)
    a, b = rng.normal(size=(2, rows))
    value, grads = k(a, b, 2.5)
    assert bits(k._direct(a, b, 2.5)) == bits((value, grads))
    assert value == pytest.approx(2.5 * (a @ b)) and type(grads.c) is float
    assert np.array_equal(grads.a, 2.5 * b) and np.array_equal(grads.b, 2.5 * a)


def test_more_arguments_than_a_call_of_arrays_has_room_for() -> None:
    many = tuple(f"x{i}" for i in range(40))
    scalar = symdiff.formula("+".join(f"{name}**2" for name in many)).gradient().compile("c")
    assert scalar._direct(*range(40))[1] == tuple(2.0 * i for i in range(40))
    lines = [f"{name}: (n)" for name in many]
    k: Any = symdiff.formula("\n".join([*lines, f"sum({'+'.join(many)})"])).gradient().compile("c")
    given = [np.full(2, float(i)) for i in range(40)]
    assert k(*given)[0] == k(*given)[0] == 2 * sum(range(40)) and k._direct is calls.declined


def test_the_entry_is_a_method_of_the_class() -> None:
    k, plain = scalars(), through_cffi(scalars)
    assert type(k) is not type(plain) is Kernel and isinstance(k, Kernel) and type(k) is type(scalars("value"))
    assert k.__call__(1.5, 2.0) == type(k).__call__(k, 1.5, 2.0) == Kernel.__call__(k, 1.5, 2.0) == plain(1.5, 2.0)
    assert type(k).__call__ is type(k).__dict__["__call__"] and k.__call__.__self__ is k
    assert repr(k) == repr(plain) and k.__doc__ == plain.__doc__ and type(k).__doc__ == Kernel.__doc__
    with pytest.raises(AttributeError):
        type(k).__call__(1.5, 2.0)
    with pytest.raises(TypeError):
        type(k).__call__()


# -- results -----------------------------------------------------------------------------------------------------------


def test_results_are_new_and_nobody_elses() -> None:
    k, X, w = arrays(), np.ones((4, 3)), np.ones(3)
    first, second = k(X, w)[1], k(X, w)[1]
    expected = bits((0.0, second))
    for array in (first.X, first.w):
        assert array.flags.owndata and array.flags.writeable and array.flags.c_contiguous
        array.fill(np.nan)
    assert bits((0.0, second)) == expected == bits((0.0, k(X, w)[1]))
    w.resize(6, refcheck=True)  # nothing holds on to an argument


def test_nothing_is_held_or_lost() -> None:
    k, group, point = arrays(), traced(), scalars()
    X, w, a, number = np.ones((4, 3)), np.ones(3), np.ones(2), 1e300
    held = [X, w, a, number, None, NotImplemented, np.dtype(float), np.ndarray, k._gradient_type, k._direct, a.shape]

    def use() -> None:
        for _ in range(50):
            for result in (k(X, w), group(a, a, number), point(number, number), k._direct(X, w), point._direct("x")):
                del result

    use()
    gc.collect()
    before, objects = [sys.getrefcount(each) for each in held], len(gc.get_objects())
    use()
    after = [sys.getrefcount(each) for each in held]
    assert max(abs(one - other) for one, other in zip(before, after, strict=True)) < 25
    assert abs(len(gc.get_objects()) - objects) < 25


def test_a_bound_call_keeps_its_memory_and_takes_no_arguments() -> None:
    theta = np.arange(2.0)
    for k, arguments in ((arrays(), [np.ones((4, 3)), np.ones(3)]), (scalars(), [theta[0, ...], theta[1, ...]])):
        run = k.raw(*arguments)
        assert type(run.func).__name__ == "bound"
        arguments.clear()
        gc.collect()
        assert run() == 0 and np.isfinite(run.value)
        for wrong in (lambda call: call(1), lambda call: call(x=1)):
            with pytest.raises(TypeError, match="no arguments"):
                wrong(run.func)


# -- at once -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["point", "small", "large", "vector"])
def test_threads_do_not_meet(case: str) -> None:
    """Each with arguments of its own; `large` and `vector` use memory of the thread, and let others run meanwhile."""
    k: Any = {"point": scalars, "small": arrays, "large": arrays, "vector": lambda: traced(520)}[case]()
    shape = {"small": (3, 3), "large": (90, 50)}.get(case, (520,))
    made = [np.random.default_rng(i).normal(size=shape) for i in range(4)]
    given: list[tuple[Any, ...]] = {
        "point": [(0.5 * i, 1.0 + i) for i in range(4)], "vector": [(a, a, 2.0) for a in made],
    }.get(case) or [(a, a[0], 1.0 + i) for i, a in enumerate(made)]  # fmt: skip
    expected, wrong = [bits(k(*each)) for each in given], []

    def work(i: int) -> None:
        for _ in range(300):
            if bits(k(*given[i])) != expected[i]:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


@pytest.mark.parametrize("rows", [2, 520])
def test_a_collection_within_a_call_may_call_again(rows: int) -> None:
    k, a, b = traced(rows), np.arange(float(rows)), np.ones(rows)
    expected, others = bits(k(a, b, 2.0)), []

    def call_again(phase: str, info: dict[str, int]) -> None:
        others.append(k(b, b, 1.0)[0])

    thresholds = gc.get_threshold()
    gc.callbacks.append(call_again)
    gc.set_threshold(1)
    try:
        found = [bits(k._direct(a, b, 2.0)) for _ in range(100)]
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(call_again)
    assert found == [expected] * 100 and others and set(others) == {float(rows)}


def test_nobody_is_shown_a_result_that_is_not_complete() -> None:
    """The collector's list is open to every thread, and a long call lets them run: a gap in a tuple ends them."""
    results, gaps = 11, []

    def no_memory(*_: Any) -> Any:
        tuples = [each for each in gc.get_objects() if type(each) is tuple and len(each) == results]
        gaps.append(sum("<NULL>" in repr(each) for each in tuples))
        raise MemoryError

    tools = (calls.PLAIN, np.ndarray, np.dtype(float), no_memory, None)
    kernel, outputs = (0, 0, 0, False, False, False), ((), *((2,),) * results)
    made = kernels._calls().Call(kernel, ((),), outputs, 0, tuple, tools, None)
    with pytest.raises(MemoryError):
        made(1.0)
    assert gaps == [0]


# -- failures ----------------------------------------------------------------------------------------------------------


def test_what_goes_wrong_in_a_call_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: Any) -> Any:
        raise MemoryError("none left")

    k, X, w = arrays(), np.ones((4, 3)), np.ones(3)
    monkeypatch.setattr(calls.np, "empty", no_memory)
    k._plan((X.shape, w.shape, ()))
    direct = k._plans[X.shape, w.shape, ()].direct
    before = sys.getrefcount(X)
    with pytest.raises(MemoryError, match="none left"):
        direct(X, w, 0.5)
    assert sys.getrefcount(X) == before


def test_a_module_that_does_not_compile_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compiler.tempfile, "tempdir", str(tmp_path))  # where the compiler's input is kept
    monkeypatch.setattr(calls, "source", lambda: "#error no\n")
    k, X, w = arrays(), np.ones((4, 3)), np.ones(3)
    assert bits(k(X, w)) == bits(k(X, w)) and k._direct is calls.declined
    assert scalars()(1.5, 2) == through_cffi(scalars)(1.5, 2.0)


@pytest.mark.parametrize("arguments", [(), (1,), ((0, 0, 0, True, False, False), (), ()), "no"], ids=repr)
def test_a_call_of_nothing_cannot_be_made(arguments: Any) -> None:
    module = kernels._calls()
    for made in (module.Call, module.Bound) + (module.Entry,) * (len(arguments) != 1):
        with pytest.raises((TypeError, ValueError)):
            made(*arguments)


@pytest.mark.parametrize(
    ("inputs", "outputs", "gradient", "vector"),
    [
        (((),), (), None, True),  # no result
        (((),), ((), ()), None, True),  # results without a type for them
        (((),), ((), ()), int, True),  # not a tuple's
        (((),), ((), ()), 1, True),
        (((),) * 33, ((),), None, False),
        (((2,),) * 33, ((),), None, True),
        ((1,), ((),), None, True),
        ((("a",),), ((),), None, True),
    ],
)
def test_calls_without_sense_cannot_be_made(inputs: Any, outputs: Any, gradient: Any, vector: bool) -> None:
    tools = (calls.PLAIN, np.ndarray, np.dtype(float), np.empty, None)
    with pytest.raises((TypeError, ValueError)):
        kernels._calls().Call((0, 0, 0, vector, False, False), inputs, outputs, 0, gradient, tools, None)


@pytest.mark.parametrize("command", ["gcc", pytest.param("clang", marks=pytest.mark.clang)])
def test_the_text_compiles_without_a_warning(command: str, tmp_path: Path) -> None:
    (tmp_path / "calls.c").write_text(f"#define SD_PY_INIT PyInit_calls\n{calls.source()}")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-isystem", sysconfig.get_path("include")]
    done = subprocess.run([command, *flags, "-fsyntax-only", str(tmp_path / "calls.c")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_python_and_c_agree_on_limits() -> None:
    assert f"SD_PY_ARRAYS = {calls._ARRAYS}," in calls.source() and struct.calcsize("P") <= 8
