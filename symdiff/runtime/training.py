"""Training: epochs of mini-batches, a history, checkpoints, and an end that is orderly whatever happens.

    epoch e visits the samples in the order of numpy's default_rng([seed, e]).permutation(samples), or as they lie;
    update b of an epoch takes samples b*batch to (b + 1)*batch of that order, the last one what is left.

So the order of an epoch depends on the seed and its number alone, and a run that goes on from a checkpoint needs no
state of a generator. An engine makes the updates (`train_engines.py`); `Trainer` hands it chunks of them that take a
fraction of a second, between which it looks at Ctrl-C, checkpoints and progress. How a run is cut into chunks changes
no bit of the result.

The module is copied verbatim into generated packages.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite, nan
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import Array
from .checkpoint import Checkpoint, Kept, digest
from .interrupt import Interrupt
from .train_data import Errors, TrainerSpec, check_batches, problem_of
from .train_engines import Outcome, Problem, Run, TrainEngine

_CHUNK = 0.15  # seconds that a chunk of updates is to take
_GROWTH = 8  # a chunk is at most so many times as long as the one before
_MOST = 1 << 20  # updates of a chunk, at most
_INDICES = 1 << 22  # samples in the orders of a chunk, at most, unless one epoch has more

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class History:
    """The value in every whole epoch: the mean over its updates, each before it, weighted by their samples."""

    value: Array

    @property
    def epoch(self) -> Array:
        """Numbers of the epochs, from 0."""
        return np.arange(len(self.value))

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True)
class Training:
    """What a training gave.

    parameters   parameter -> number or new array
    history      values of the whole epochs
    value        the last of them; of the updates that were made, where the first epoch is not whole; nan without any
    updates      number of updates made, over all sessions of the run
    interrupted  whether Ctrl-C ended the run before its last update
    batch        samples of an update, apart from the last one of an epoch
    states       state of the rule -> parameter -> number or new array
    backend      `c` or `numpy`
    samples      what was taken for samples: `23 points`, `23 along n`, or `1` where data have none
    """

    parameters: dict[str, Any]
    history: History
    value: float
    updates: int
    interrupted: bool
    states: dict[str, dict[str, Any]]
    backend: str
    samples: str
    batch: int

    def __repr__(self) -> str:
        over = "" if self.samples == "1" else f" over {self.samples}"
        state = ", interrupted" if self.interrupted else ""
        return f"<training of {len(self.history)} epochs{over}, {self.updates} updates, value {self.value:.6g}{state}>"


@dataclass(frozen=True)
class Plan:
    """How the updates of a run follow from their number."""

    samples: int
    batch: int
    epochs: int
    seed: int
    shuffle: bool

    @property
    def per_epoch(self) -> int:
        """Updates of an epoch."""
        return -(-self.samples // self.batch)

    @property
    def total(self) -> int:
        """Updates of the run."""
        return self.epochs * self.per_epoch

    def order(self, epoch: int) -> Array:
        """The order in which an epoch visits the samples."""
        order: Array = np.random.default_rng([self.seed, epoch]).permutation(self.samples)
        return order.astype(np.intp, copy=False)

    def weights(self) -> Array:
        """Samples of each update of an epoch, (per_epoch,) float64."""
        weights = np.full(self.per_epoch, float(self.batch))
        weights[-1] = self.samples - (self.per_epoch - 1) * self.batch
        return weights


class Trainer:
    """A compiled training: `trainer.train(data, start, epochs=100)`, any number of times.

    It holds no state of a run, so several threads may train with it at once.
    """

    def __init__(self, spec: TrainerSpec, engine: TrainEngine, errors: Errors | None = None) -> None:
        self.spec, self.engine, self.backend = spec, engine, engine.backend
        self._errors = errors or Errors()

    def train(
        self,
        data: Mapping[str, Any] | None = None,
        start: Mapping[str, Any] | None = None,
        *,
        epochs: int,
        batch: int | None = None,
        seed: int = 0,
        shuffle: bool | None = None,
        samples: str | None = None,
        settings: Mapping[str, float] | None = None,
        checkpoint: str | Path | None = None,
        every: float = 5.0,
        progress: Progress | None = None,
    ) -> Training:
        """Minimise the value over the data, from `start`.

        data        every input that is not trained: of its declared shape, or with one more axis in front, along which
                    there are samples as points; then the mean over the points is minimised
        start       every parameter; what is missing takes the formula's default
        epochs      how often all samples are visited, from 1
        batch       samples of an update; all of them by default, and where it is more than there are
        seed        whole number from 0, decides the order of the samples
        shuffle     whether each epoch has an order of its own; by default if `batch` is smaller than the data
        samples     dimension along which the samples lie; by default the only one that data have and no parameter has
        settings    other numbers for settings of the update rule, by name
        checkpoint  file that the run is kept in and goes on from, also on the other backend (whose last bits differ)
        every       seconds between checkpoints; 0: as often as possible
        progress    is called with (whole epochs, epochs, value of the last whole epoch) several times a second

        The result (a Training) has

        parameters   trained numbers and arrays, by name
        history      history.value[e]: the value in epoch e, counted from 0, which is the mean over the updates of that
                     epoch, each before it; history.epoch: 0, 1, ...
        value        the last of them
        updates      number of updates made, over all sessions of the run
        interrupted  whether Ctrl-C ended the run before its last update
        states       what the rule keeps from update to update: state -> parameter -> number or array
        backend      `c` or `numpy`
        samples      what was taken for samples, such as `23 points` or `23 along n`; `1` where data have none
        batch        samples of an update

        The caller's arrays stay as they are. Data and start are finite numbers. Ctrl-C ends the run in an orderly way,
        with its state in the checkpoint and `interrupted` set in the result; the next one raises KeyboardInterrupt. It
        ends within a second, or once the update is made that is being made, where that takes longer (NumPy, and in C
        samples along a dimension with a name); of an update over points C makes no more. It is looked for where this is
        called in the main thread.

        Raises the classes of `Errors`: for arguments, shapes, a number that is not finite any more (everything before
        that update is in the error's `training`), and a checkpoint that is damaged, of another run, or cannot be
        written (what was made is in the error's `training`).
        """
        spec = self._set({} if settings is None else settings)
        problem = self._problem(spec, data, start, samples)
        plan = self._plan(problem, epochs, batch, seed, shuffle)
        seconds = _number(every)
        if not seconds >= 0:
            raise self._errors.usage(f"every: expected seconds from 0, got {_shown(every)}")
        session = _Session(spec, self.engine, self._errors, problem, plan)
        if checkpoint is not None:
            session.keep_in(self._file(checkpoint), seconds)
        session.run(progress)
        return session.result()

    def value(
        self,
        data: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        *,
        samples: str | None = None,
    ) -> float:
        """The value over all of the data, which may be others than those of a training. Raises as `train` does."""
        problem = self._problem(self.spec, data, parameters, samples)
        check_batches(self.spec, problem, problem.samples, self._errors)
        values = np.empty(1)
        # of an update whose result nobody sees
        self.engine.bind(problem).advance(None, problem.samples, 0, 0, values)
        return float(values[0])

    def _problem(self, spec: TrainerSpec, data: Any, parameters: Any, samples: Any) -> Problem:
        data, parameters = {} if data is None else data, {} if parameters is None else parameters
        return problem_of(spec, data, parameters, samples, self._errors)

    def _file(self, path: Any) -> Checkpoint:
        try:
            place = Path(path)
        except TypeError:
            raise self._errors.usage(f"checkpoint: expected the name of a file, got {_shown(path)}") from None
        return Checkpoint(place, self._errors.checkpoint)

    def _set(self, settings: Mapping[str, float]) -> TrainerSpec:
        """The spec with other settings."""
        known = dict(self.spec.settings)
        if not isinstance(settings, Mapping):
            raise self._errors.usage(f"settings: expected numbers by name, got {_shown(settings)}")
        for name, given in settings.items():
            if name not in known:
                raise self._errors.usage(f"settings: the rule has {', '.join(known) or 'none'}, not {name!r}")
            number = _number(given)
            if not isfinite(number):
                raise self._errors.usage(f"settings: '{name}' needs a finite number, got {_shown(given)}")
            known[name] = number
        self.spec.check_settings(known)
        return replace(self.spec, settings=tuple(known.items()))

    def _plan(self, problem: Problem, epochs: Any, batch: Any, seed: Any, shuffle: bool | None) -> Plan:
        usage = self._errors.usage
        epochs = _whole("epochs", epochs, 1, usage)
        seed = _whole("seed", seed, 0, usage)
        sampled = problem.points or problem.dimension is not None
        if batch is None:
            batch = problem.samples
        elif not sampled and problem.empty:
            raise self._errors.shape(f"batch: the data have no samples: {problem.empty}")
        elif not sampled:
            raise usage(
                "batch: the data have no axis of samples; name it with samples='n', or give data with one more axis "
                "in front than declared"
            )
        else:
            batch = min(_whole("batch", batch, 1, usage), problem.samples)
        if shuffle is None:
            shuffle = batch < problem.samples
        elif not isinstance(shuffle, bool | np.bool_):
            raise usage(f"shuffle: expected True, False or None, got {_shown(shuffle)}")
        check_batches(self.spec, problem, batch, self._errors)
        return Plan(problem.samples, batch, epochs, seed, bool(shuffle) and problem.samples > 1)


def _whole(name: str, value: Any, least: int, usage: type[Exception]) -> int:
    try:
        number = index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise usage(f"{name}: expected a whole number from {least}, got {_shown(value)}")
    return number


def _number(value: Any) -> float:
    """A number of Python or NumPy as float; nan for anything else, and for an integer beyond float64."""
    try:
        isfinite(value)  # unlike float, it takes no text
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return nan


def _shown(value: Any) -> str:
    """What a message says of a value."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "an integer of that size"
    return text if len(text) <= 60 else f"{text[:57]}..."


class _Session:
    """One run: the engine's memory, and what has been made so far."""

    def __init__(self, spec: TrainerSpec, engine: TrainEngine, errors: Errors, problem: Problem, plan: Plan) -> None:
        self._spec, self._engine, self._errors, self._problem, self._plan = spec, engine, errors, problem, plan
        self._identity: dict[str, str] = {}
        self._file: Checkpoint | None = None
        self._every, self._saved, self._kept = 0.0, 0.0, -1
        self._weights = plan.weights()
        self._row: tuple[int, Array] | None = None  # an epoch and its order
        self.history: list[float] = []
        self.partial = 0.0  # of the epoch that is not whole: its values so far, times their samples
        self.updates = 0
        self.interrupted = False

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self, progress: Progress | None) -> None:
        """Make the updates that are missing, or those until Ctrl-C.

        An exception out of the engine (the second Ctrl-C) may leave an update half made, and is not saved.
        """
        engine = self._engine.bind(self._problem)
        with Interrupt(engine.stop, listen=engine.holds) as interrupt:
            self._updates(engine, interrupt, progress)
            self.interrupted = interrupt.wanted and self.updates < self._plan.total
            self._save()

    def _updates(self, engine: Run, interrupt: Interrupt, progress: Progress | None) -> None:
        plan = self._plan
        size, told = 1, len(self.history)
        while self.updates < plan.total and not interrupt.wanted:
            size = self._fitting(size)
            began = time.perf_counter()
            outcome, values = self._chunk(engine, size)
            took = max(time.perf_counter() - began, 1e-9)
            size = max(1, min(int(size * _CHUNK / took), size * _GROWTH))
            if outcome.fault is not None:
                raise self._diverged(outcome, float(values[outcome.done]))
            if time.monotonic() - self._saved >= self._every:
                self._save()
            if progress is not None and len(self.history) > told:
                told = len(self.history)
                progress(told, plan.epochs, self.history[-1])

    def _fitting(self, size: int) -> int:
        """A number of updates to make now: `size`, or less."""
        plan = self._plan
        size = min(size, plan.total - self.updates, _MOST)
        if plan.shuffle:
            rows = max(1, _INDICES // plan.samples)
            size = min(size, rows * plan.per_epoch - self.updates % plan.per_epoch)
        return size

    def _chunk(self, engine: Run, size: int) -> tuple[Outcome, Array]:
        """So many updates, or as many as go well; with their values."""
        plan = self._plan
        epoch, first = divmod(self.updates, plan.per_epoch)
        last = (self.updates + size - 1) // plan.per_epoch
        values = np.empty(size)
        outcome = engine.advance(self._order(epoch, last), plan.batch, first, self.updates, values)
        self._account(values[: outcome.done], first)
        self.updates += outcome.done
        return outcome, values

    def _order(self, epoch: int, last: int) -> Array | None:
        """The orders of these epochs, one a row."""
        if not self._plan.shuffle:
            return None
        if epoch == last:  # an epoch of many chunks is put in order once
            if self._row is None or self._row[0] != epoch:
                self._row = epoch, self._plan.order(epoch)[None, :]
            return self._row[1]
        return np.stack([self._plan.order(each) for each in range(epoch, last + 1)])

    def _account(self, values: Array, first: int) -> None:
        """Take the values of updates into the history; the first of them is update `first` of its epoch.

        Sums run from the first update of an epoch to its last, however the run is cut into chunks.
        """
        per_epoch, samples = self._plan.per_epoch, self._plan.samples
        if per_epoch == 1:
            self.history.extend(values.tolist())
            return
        head = values[: per_epoch - first]
        self.partial = _sum(self.partial, head * self._weights[first : first + len(head)])
        if first + len(head) < per_epoch:
            return
        self.history.append(self.partial / samples)
        whole, rest = divmod(len(values) - len(head), per_epoch)
        middle = values[len(head) : len(head) + whole * per_epoch].reshape(whole, per_epoch) * self._weights
        # + 0.0: the sums of other epochs start at 0.0, which makes 0.0 of -0.0
        self.history.extend(((np.cumsum(middle, axis=1)[:, -1] + 0.0) / samples).tolist())
        self.partial = _sum(0.0, values[len(values) - rest :] * self._weights[:rest])

    # -- results -----------------------------------------------------------------------------------------------------

    def result(self) -> Training:
        """What has been made so far."""
        problem, spec = self._problem, self._spec
        value = self.history[-1] if self.history else float("nan")
        if not self.history and self.updates:
            value = self.partial / float(np.sum(self._weights[: self.updates]))
        return Training(
            parameters=self._split(problem.theta),
            history=History(np.array(self.history)),
            value=value,
            updates=self.updates,
            interrupted=self.interrupted,
            states={name: self._split(row) for name, row in zip(spec.states, problem.state, strict=True)},
            backend=self._engine.backend,
            samples=self._samples,
            batch=self._plan.batch,
        )

    @property
    def _samples(self) -> str:
        problem = self._problem
        if problem.points:
            return f"{problem.samples} points"
        return "1" if problem.dimension is None else f"{problem.samples} along {problem.dimension}"

    def _split(self, vector: Array) -> dict[str, Any]:
        parts = self._problem.places.items()
        return {n: vector[p].reshape(shape).copy() if shape else float(vector[p.start]) for n, (p, shape) in parts}

    def _diverged(self, outcome: Outcome, value: float) -> Exception:
        """The error for a number that is not finite; what was made before it is saved, if that is possible."""
        epoch = self.updates // self._plan.per_epoch
        settings = ", ".join(f"{name} = {number:.6g}" for name, number in self._spec.settings)
        remedy = f"a lower learning rate may help ({settings})" if settings else "take smaller steps"
        if self.updates == 0:
            look = "the data and the start"
            if self._problem.empty:
                look += f" ({self._problem.empty})"
            remedy = f"that is the first update, so look at {look}; or {remedy}"
        unsaved = ""
        try:
            self._save()
        except self._errors.checkpoint as failed:
            unsaved = f"; and {failed}"
        error = self._errors.divergence(
            f"the training diverged in epoch {epoch} (from 0), update {self.updates + 1}: "
            f"{self._fault(outcome, value)}; {remedy}{unsaved}"
        )
        error.training = self.result()  # type: ignore[attr-defined]  # `Errors` says that the class has it
        return error

    def _fault(self, outcome: Outcome, value: float) -> str:
        if outcome.fault == "value":
            return f"the value is {value}"
        element = self._element(outcome.place)
        if outcome.fault == "gradient":
            return f"the derivative of the value by {element} is not finite"
        if outcome.fault == "state":
            return f"a state of the rule for {element} is not finite"
        return f"{element} is not finite after the update"

    def _element(self, place: int) -> str:
        """`W1[0, 2]` for a number of theta."""
        for name, (part, shape) in self._problem.places.items():
            if part.start <= place < part.stop:
                where = ", ".join(str(int(i)) for i in np.unravel_index(place - part.start, shape)) if shape else ""
                return f"{name}[{where}]" if where else name
        raise AssertionError(f"no parameter at {place}")

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def keep_in(self, file: Checkpoint, every: float) -> None:
        """Go on from the file where it is there; keep the run in it, every so many seconds."""
        self._file, self._every, self._identity = file, every, self._identified()
        self._saved = -inf  # the first one at once, so that a place that cannot be written is noticed
        kept = file.load(self._identity, self._problem.theta.shape, self._problem.state.shape)
        if kept is None:
            return
        whole = kept.updates // self._plan.per_epoch
        if whole != len(kept.history):
            raise self._errors.checkpoint(f"{file.path} is damaged: {whole} epochs, and {len(kept.history)} values")
        if kept.updates > self._plan.total:
            raise self._errors.checkpoint(
                f"{file.path} holds {kept.updates / self._plan.per_epoch:.6g} epochs of this run, which is more than "
                f"the {self._plan.epochs} asked for: ask for more, or name another file"
            )
        self._problem.theta[:], self._problem.state[:] = kept.theta, kept.state
        self.history, self.partial, self.updates = kept.history.tolist(), kept.partial, kept.updates
        self._kept = self.updates

    def _save(self) -> None:
        if self._file is None or self._kept == self.updates:
            return
        state = Kept(self._problem.theta, self._problem.state, np.array(self.history), self.partial, self.updates)
        try:
            self._file.save(self._identity, state)
        except self._errors.checkpoint as error:
            error.training = self.result()  # type: ignore[attr-defined]  # `Errors` says that the class has it
            raise
        self._saved, self._kept = time.monotonic(), self.updates

    def _identified(self) -> dict[str, str]:
        """What must be the same for a run to go on, each with a name for messages."""
        spec, plan, problem = self._spec, self._plan, self._problem
        start = {name: problem.theta[part].reshape(shape) for name, (part, shape) in problem.places.items()}
        return {
            **spec.identity(),
            **{f"setting {name}": repr(number) for name, number in spec.settings},
            "parameters": ", ".join(problem.places),
            "samples": self._samples,
            "batch": str(plan.batch),
            "shuffle": str(plan.shuffle),
            "seed": str(plan.seed) if plan.shuffle else "",
            **{f"data '{name}'": digest({name: array}) for name, array in problem.data.items()},
            **{f"start '{name}'": digest({name: array}) for name, array in start.items()},
        }


def _sum(first: float, rest: Array) -> float:
    """The sum from left to right."""
    return float(np.cumsum(np.concatenate([[first], rest]))[-1])


__all__ = ["History", "Plan", "Progress", "Trainer", "Training"]
