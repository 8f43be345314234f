"""What trains: many updates of one vector of parameters without looking up anything in between.

    TrainEngine --bind(Problem)--> Run --advance--> Outcome

A `Problem` holds everything that the updates need: the parameters in one vector, the rule's states, the data, and along
which axis of each array the samples lie. `Run.advance` makes a number of updates in a given order of the samples. All
engines look at the same numbers in the same order: the value, the gradient, then the new states one after the other,
then the new parameters. One that is not finite stops before anything of that update is written.

`NumpyTrainEngine` is here; `c_train.py` has the one over a compiled library. The module is copied verbatim into
generated packages.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from .arrays import Array, Shape

Fault = Literal["value", "gradient", "state", "parameter"]

_BLOCK = 1024  # points that NumPy works on at once: their intermediate arrays stay in the cache


@dataclass(frozen=True)
class Problem:
    """A training that is ready to run; `training.Trainer` makes it and has checked all of it.

    theta      (P,) float64, C-contiguous: the parameters in wrt order, each in C order; updated in place
    state      (S, P): the rule's states, updated in place
    places     parameter -> where it lies in theta, and its shape
    data       every other input -> float64 C-contiguous array, 0-d for a scalar
    axes       every other input -> axis along which its samples lie (0 for points); None: the same for every sample
    samples    number of samples; 1 where no data have an axis of samples
    points     whether a sample is a point: its arrays have no axis of samples, and the mean over points is taken
    sizes      declared dimension -> size; that of the sample dimension counts all samples
    dimension  name of the dimension that the samples lie along, None for points and without samples
    settings   numbers of the rule, in its order
    """

    theta: Array
    state: Array
    places: Mapping[str, tuple[slice, Shape]]
    data: Mapping[str, Array]
    axes: Mapping[str, int | None]
    samples: int
    points: bool
    sizes: Mapping[str, int]
    dimension: str | None
    settings: tuple[float, ...]

    @property
    def empty(self) -> str:
        """Data without a number in them, for messages; an empty text where there are none."""
        shapes = [f"'{name}' has shape {array.shape}" for name, array in self.data.items() if not array.size]
        return ", ".join(shapes)


@dataclass(frozen=True)
class Outcome:
    """How many updates were made, and what stopped the next one: `fault` at number `place` of theta."""

    done: int
    fault: Fault | None = None
    place: int = 0


class Run(Protocol):
    """An engine with the memory of one problem; for one thread at a time.

    `holds`: while `advance` runs, no signal handler of Python does, so it takes another thread to call `stop`.
    """

    @property
    def holds(self) -> bool: ...

    def stop(self) -> None:
        """End the call of `advance` that is running, with whole updates alone; without one, the next call makes none.

        Any thread and any signal handler may call it.
        """

    def advance(self, order: Array | None, batch: int, first: int, before: int, values: Array) -> Outcome:
        """Make `len(values)` updates, and note the value before each in `values`.

        `order` has one row of indices for every epoch that the updates touch, None for the samples as they lie. The
        first update is batch number `first` of the first row, `before` the number of updates made earlier in the run.
        """


class TrainEngine(Protocol):
    """The way from a problem to a run."""

    @property
    def backend(self) -> str: ...

    def bind(self, problem: Problem) -> Run: ...


class NumpyTrainEngine:
    """Trains with two functions of a generated NumPy module.

    `gradient(*inputs) -> (value, g1, ...)` takes all inputs in order and gives the gradients in wrt order.
    `update(parameters, gradient, states, t, *settings) -> (parameters, states)` has tuples in wrt order, and for states
    one such tuple for each. `maps`: the gradient function works point by point on leading axes (formulas of scalars,
    traced functions), so that a batch of points takes one call.
    """

    backend = "numpy"

    def __init__(
        self,
        gradient: Callable[..., tuple[Any, ...]],
        update: Callable[..., tuple[Any, Any]],
        inputs: Sequence[str],
        *,
        maps: bool,
    ) -> None:
        self.gradient, self.update, self.inputs, self.maps = gradient, update, tuple(inputs), maps

    def bind(self, problem: Problem) -> "NumpyRun":
        """See `TrainEngine`."""
        return NumpyRun(self, problem)


class NumpyRun:
    """See `Run`."""

    holds = False

    def __init__(self, engine: NumpyTrainEngine, problem: Problem) -> None:
        self._engine, self._problem = engine, problem
        self._stopped = False
        self._gradient = np.empty_like(problem.theta)
        self._theta, self._state = np.empty_like(problem.theta), np.empty_like(problem.state)
        self._parameters = self._views(problem.theta)
        self._gradients = self._views(self._gradient)
        self._states = tuple(self._views(row) for row in problem.state)
        self._new = self._views(self._theta)
        self._new_states = tuple(self._views(row) for row in self._state)
        for view in (*self._parameters, *(view for row in self._states for view in row)):
            view.flags.writeable = False

    def _views(self, vector: Array) -> tuple[Array, ...]:
        return tuple(vector[part].reshape(shape) for part, shape in self._problem.places.values())

    def stop(self) -> None:
        """See `Run`: it is looked at between two updates."""
        self._stopped = True

    def advance(self, order: Array | None, batch: int, first: int, before: int, values: Array) -> Outcome:
        """See `Run`."""
        samples, row, start = self._problem.samples, 0, first * batch
        for k in range(len(values)):
            if self._stopped:
                self._stopped = False
                return Outcome(k)
            stop = min(start + batch, samples)
            chosen = slice(start, stop) if order is None else order[row, start:stop]
            with np.errstate(all="ignore"):
                values[k] = self._evaluate(chosen, stop - start)
                fault = self._update(values[k], before + k + 1)
            if fault is not None:
                return Outcome(k, *fault)
            start = stop
            if start == samples:
                row, start = row + 1, 0
        return Outcome(len(values))

    # -- value and gradient ------------------------------------------------------------------------------------------

    def _evaluate(self, chosen: slice | Array, count: int) -> float:
        """The value of these samples; their gradient goes to its place."""
        if not self._problem.points:
            return self._one(self._batch(chosen, count))
        blocks = self._mapped(chosen, count) if self._engine.maps else self._point_by_point(chosen, count)
        total, self._gradient[:] = 0.0, 0.0
        for value, gradients in blocks:
            total += value
            for target, part in zip(self._gradients, gradients, strict=True):
                target += part
        self._gradient /= count
        return total / count

    def _one(self, data: Mapping[str, Array]) -> float:
        value, *gradients = self._call(data)
        for target, gradient in zip(self._gradients, gradients, strict=True):
            np.copyto(target, gradient)
        return float(value)

    def _mapped(self, chosen: slice | Array, count: int) -> Any:
        """Sums of value and gradients over blocks of points."""
        for start in range(0, count, _BLOCK):
            stop = min(start + _BLOCK, count)
            if isinstance(chosen, slice):
                part: slice | Array = slice(chosen.start + start, chosen.start + stop)
            else:
                part = chosen[start:stop]
            value, *gradients = self._call(self._batch(part, stop - start))
            sums = [
                np.sum(np.broadcast_to(gradient, (stop - start, *target.shape)), axis=0)
                for gradient, target in zip(gradients, self._gradients, strict=True)
            ]
            yield float(np.sum(np.broadcast_to(value, (stop - start,)))), sums

    def _point_by_point(self, chosen: slice | Array, count: int) -> Any:
        """Value and gradients of one point after the other."""
        problem = self._problem
        for place in range(chosen.start, chosen.stop) if isinstance(chosen, slice) else chosen.tolist():
            data = {
                name: array if problem.axes[name] is None else array[place, ...]
                for name, array in problem.data.items()
            }  # fmt: skip
            value, *gradients = self._call(data)
            yield float(value), gradients

    def _batch(self, chosen: slice | Array, count: int) -> dict[str, Array]:
        """The data of these samples, C-contiguous; the arrays themselves where these are all, as they lie."""
        problem = self._problem
        if isinstance(chosen, slice) and count == problem.samples:
            return dict(problem.data)
        data = {}
        for name, array in problem.data.items():
            axis = problem.axes[name]
            if axis is None:
                data[name] = array
            elif isinstance(chosen, slice):
                data[name] = np.ascontiguousarray(array[(slice(None),) * axis + (chosen,)])
            else:
                data[name] = np.take(array, chosen, axis)
        return data

    def _call(self, data: Mapping[str, Array]) -> tuple[Any, ...]:
        given = dict(zip(self._problem.places, self._parameters, strict=True))
        return self._engine.gradient(*(given[n] if n in given else data[n] for n in self._engine.inputs))

    # -- the update --------------------------------------------------------------------------------------------------

    def _update(self, value: float, t: int) -> tuple[Fault, int] | None:
        """Put the new states and parameters in place, or say what is not finite."""
        problem = self._problem
        if not np.isfinite(value):
            return "value", 0
        place = _first_fault(self._gradient)
        if place is not None:
            return "gradient", place
        new, states = self._engine.update(self._parameters, self._gradients, self._states, t, *problem.settings)
        for targets, results in zip((*self._new_states, self._new), (*states, new), strict=True):
            for target, result in zip(targets, results, strict=True):
                np.copyto(target, result)
        for row in self._state:
            place = _first_fault(row)
            if place is not None:
                return "state", place
        place = _first_fault(self._theta)
        if place is not None:
            return "parameter", place
        problem.state[:], problem.theta[:] = self._state, self._theta
        return None


def _first_fault(vector: Array) -> int | None:
    """The first place at which a vector is not finite."""
    finite = np.isfinite(vector)
    return None if finite.all() else int(finite.argmin())


__all__ = ["Fault", "NumpyTrainEngine", "Outcome", "Problem", "Run", "TrainEngine"]
