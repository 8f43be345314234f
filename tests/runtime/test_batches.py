"""The call for vectors of points in C (`Batch` in `calls.c`): bits of the checked call, what it takes and leaves."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime.test_calls import FLAVOURS, Float, bits, scalars, through_cffi

import symdiff
from symdiff.build import kernels
from symdiff.runtime import calls, compiler, threads
from symdiff.runtime.kernel import Kernel

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(not calls.possible(api=compiler.python_headers() is not None), reason="needs Python.h"),
]
TOOLS = (calls.PLAIN, np.ndarray, np.dtype(float), np.empty, None)


@pytest.fixture(scope="module", params=FLAVOURS, ids="-".join)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Kernel, Kernel]]:
    """The kernel that is called in C, and the one that is called through cffi."""
    yield scalars(*request.param), through_cffi(lambda: scalars(*request.param))


def outputs_of(k: Kernel, n: int) -> tuple[np.ndarray, ...]:
    return tuple(np.full(n, 9.0, k.dtype) for _ in k.spec.outputs)


@settings(deadline=None)
@given(points=st.integers(1, 70), seed=st.integers(0, 99), kinds=st.tuples(*[st.sampled_from("vn0")] * 2))
def test_both_ways_give_the_same_bits(pair: tuple[Kernel, Kernel], points: int, seed: int, kinds: Any) -> None:
    direct, plain = pair
    rng = np.random.default_rng(seed)
    made: dict[str, Callable[[], Any]] = {
        "v": lambda: rng.normal(size=points).astype(direct.dtype),
        "n": lambda: float(rng.normal()),
        "0": lambda: np.array(rng.normal(), direct.dtype),
    }
    x, y = (made[kind]() for kind in kinds)
    result = direct._batch(x, y)
    if "v" not in kinds:
        assert result is NotImplemented
        return
    assert bits(result) == bits(plain(x, y)) == bits(direct(x, y))
    assert type(result) is type(plain(x, y))
    out = outputs_of(direct, points)
    filled = direct._batch(x, y, out=out)
    assert bits(filled) == bits(result)
    value, grads = filled if direct.spec.kind == "gradient" else (filled, ())
    assert all(one is other for one, other in zip([value, *grads], out, strict=True))


def test_what_is_not_exactly_right_is_left_to_python() -> None:
    k, x = scalars(), np.linspace(1.0, 2.0, 5)
    expected = bits(k._batch(x, 2.0))
    for number in (2, np.float64(2), np.float32(2), np.int8(2), np.array(2.0)):
        assert bits(k._batch(x, number)) == expected
    strange = np.empty(41, np.int8)[1:].view(float)
    for other in (
        x[:4], x[::2], np.repeat(x, 2)[::2], x[:, None], np.ones((1, 5)), np.ones(1), x.astype("f4"), x.astype(">f8"),
        x.view(np.recarray), np.ma.ones(5), strange, np.ones(5, int), x.tolist(), None, True, "2", Float(2),
        10**400, 1j, np.array(2), np.array(2.0, "f4"),
    ):  # fmt: skip
        assert k._batch(x, other) is NotImplemented
    for arguments in ((), (x,), (x, x, x), (1.5, 2.0), (np.empty(0), 2.0)):
        assert k._batch(*arguments) is NotImplemented
    assert k._batch(x, y=2.0) is k._batch(x, 2.0, other=()) is NotImplemented
    assert bits(k(x, y=2.0)) == bits(k(x, 2)) == bits(k(np.repeat(x, 2)[::2], 2.0)) == expected
    assert k(x, Float(2))[0][0] == k(x, 7.0)[0][0]
    fixed = x.copy()
    fixed.setflags(write=False)
    assert bits(k._batch(fixed, 2.0)) == expected


def test_only_arrays_that_can_be_filled_are_filled() -> None:
    k, x = scalars(), np.linspace(1.0, 2.0, 5)
    expected = bits(k(x, 2.0))
    room = np.full(20, 9.0)
    locked = np.full(5, 9.0)
    locked.setflags(write=False)
    for third in (locked, room[:10:2], room[:4], room[:5].reshape(1, 5), np.empty(5, "f4"), None, x, room[14:19]):
        first, second = room[5:10], room[10:15]
        before = room.copy()
        assert k._batch(x, 2.0, out=(first, second, third)) is NotImplemented
        np.testing.assert_array_equal(room, before)
    for out in (list(outputs_of(k, 5)), outputs_of(k, 5)[:2], (), None, np.empty((3, 5))):
        assert k._batch(x, 2.0, out=out) is NotImplemented
    whole = np.linspace(1.0, 2.0, 5)
    assert bits(k(whole, 2.0, out=(np.empty(5), whole, np.empty(5)))) == expected  # over an input: by way of a copy
    assert bits(k._batch(x, 2.0, out=(room[0:5], room[5:10], room[10:15]))) == expected  # side by side
    number = room[0:1].reshape(())
    assert k._batch(x, number, out=(room[0:5], room[5:10], room[10:15])) is NotImplemented


def test_batches_that_threads_may_share_are_left_to_python() -> None:
    k = scalars("value")
    assert k._batch(np.ones(threads.LEAST), 2.0) is NotImplemented
    assert len(k._batch(np.ones(threads.LEAST - 1), 2.0)) == threads.LEAST - 1


def test_more_arguments_than_there_is_room_for() -> None:
    many = [f"x{i}" for i in range(20)]
    k = symdiff.formula("+".join(f"{name}**2" for name in many)).gradient().compile("c")
    assert k._batch is calls.declined
    assert k(np.ones(3), *range(1, 20))[0].shape == (3,)


def test_another_keyword_for_the_results() -> None:
    k = symdiff.formula("x*out").gradient().compile("c")
    x, room = np.arange(3.0), tuple(np.empty(3) for _ in range(3))
    assert k._batch(x, 2.0, out=room) is NotImplemented
    assert bits(k._batch(x, 2.0, **{k.spec.out_name: room})) == bits(k(x, 2.0))


def test_nothing_is_held_or_lost() -> None:
    k, x = scalars(), np.arange(1.0, 6.0)
    out = outputs_of(k, 5)
    held = [x, *out, out, None, NotImplemented, np.dtype(float), np.ndarray, np.empty, k._gradient_type, k._batch]

    def use() -> None:
        for _ in range(50):
            for result in (k(x, x), k(x, 2.0), k(x, 2.0, out=out), k._batch(x, "no"), k._batch(x, 2.0, out=(x, x, x))):
                del result

    use()
    gc.collect()
    before, objects = [sys.getrefcount(each) for each in held], len(gc.get_objects())
    use()
    after = [sys.getrefcount(each) for each in held]
    assert max(abs(one - other) for one, other in zip(before, after, strict=True)) < 25
    assert abs(len(gc.get_objects()) - objects) < 25
    first, second = k(x, 2.0), k(x, 2.0)
    expected = bits(second)
    for array in (first[0], *first[1]):
        assert array.flags.owndata and array.flags.writeable and array.base is None
        array.fill(np.nan)
    assert bits(second) == expected == bits(k(x, 2.0))
    held.clear()
    x.resize(10, refcheck=True)  # nothing holds on to an argument


@pytest.mark.parametrize("points", [3, 5000])  # with and without other threads meanwhile
def test_threads_do_not_meet(points: int) -> None:
    k, wrong = scalars(), []
    given = [np.random.default_rng(i).normal(size=points) for i in range(4)]
    expected = [bits(k(x, 0.5)) for x in given]

    def work(i: int) -> None:
        for _ in range(200):
            if bits(k(given[i], 0.5)) != expected[i]:
                wrong.append(i)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_a_collection_within_a_call_may_call_again() -> None:
    k, x = scalars(), np.linspace(1.0, 2.0, 5)
    expected, others = bits(k(x, 2.0)), []

    def call_again(phase: str, info: dict[str, int]) -> None:
        others.append(bits(k._batch(x, 1.0)))

    thresholds = gc.get_threshold()
    gc.callbacks.append(call_again)
    gc.set_threshold(1)
    try:
        found = [bits(k._batch(x, 2.0)) for _ in range(100)]
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(call_again)
    assert found == [expected] * 100 and others and others == [bits(k(x, 1.0))] * len(others)


def test_what_goes_wrong_in_a_call_is_raised() -> None:
    def no_memory(*_: Any) -> Any:
        raise MemoryError("none left")

    tools = (calls.PLAIN, np.ndarray, np.dtype(float), no_memory, None)
    made, x = kernels._calls().Batch(0, False, 1, 2, 100, 100, "out", tuple, tools, None), np.ones(3)
    before = sys.getrefcount(x)
    with pytest.raises(MemoryError, match="none left"):
        made(x)
    assert sys.getrefcount(x) == before


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (0, False, 1, 0, 9, 9, "out", None, TOOLS, None),  # no result
        (0, False, 1, 2, 9, 9, "out", None, TOOLS, None),  # results without a type for them
        (0, False, 1, 2, 9, 9, "out", int, TOOLS, None),  # not a tuple's
        (0, False, -1, 1, 9, 9, "out", None, TOOLS, None),
        (0, False, 30, 3, 9, 9, "out", tuple, TOOLS, None),
        (0, False, 1, 1, 9, 9, 7, None, TOOLS, None),
        (0, False, 1, 1, 9, 9, "out", None, TOOLS[:3], None),
        (0, False, 1, 1, 9, 9, "out", None, 3, None),
    ],
    ids=range(9),
)
def test_calls_without_sense_cannot_be_made(arguments: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        kernels._calls().Batch(*arguments)
