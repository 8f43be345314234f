"""The training of a program by its update rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

from symdiff.errors import CheckpointError, DivergenceError, ShapeError, SymdiffError
from symdiff.pipeline.base import Backend, Steps, backend_of
from symdiff.progress import Progress, progress_bar

if TYPE_CHECKING:
    from symdiff.runtime.train_engines import TrainEngine
    from symdiff.runtime.training import Trainer, Training


class Trained(Steps):
    """The part of a program that is trained."""

    def train(
        self,
        data: Mapping[str, Any] | None = None,
        start: Mapping[str, Any] | None = None,
        *,
        epochs: int,
        backend: Backend = "auto",
        progress: Progress | bool | None = None,
        **options: Any,
    ) -> Training:
        """Minimise the value over `data` from `start` by the program's update rule.

        data      inputs outside wrt: of their declared shapes, where samples lie along a dimension with a name, or with
                  one more axis in front, and then the mean over the points along it is minimised
        start     parameters; what is missing takes the formula's default
        epochs    how often all samples are visited, from 1
        backend   "auto", "c" or "numpy"
        progress  a function of (epochs made, epochs, value), or True for a bar on the terminal

        options are

        batch       samples of an update; all of them by default, and where it is more than there are
        seed        whole number from 0 (default), decides the order of the samples
        shuffle     whether each epoch has an order of its own; by default if `batch` is smaller than the data
        samples     dimension along which the samples lie; by default the only one that data have and no parameter has
        settings    other numbers for settings of the rule, by name: {"eta": 0.01}
        checkpoint  file that the run is kept in, and goes on from
        every       seconds between checkpoints, by default 5

        The result has `parameters` and the rule's `states` by name, `history` (history.value[e] is the value in epoch
        e, counted from 0: the mean over the updates of that epoch, each before it), `value` (the last of them),
        `updates` (how many were made), `interrupted`, `backend`, `samples` (what was taken for samples) and `batch`.
        Ctrl-C ends the training in an orderly way, with `interrupted` set.

        Raises SymdiffError, ShapeError, DivergenceError (with `.training`), CheckpointError, and BuildError for
        `backend="c"` without a compiler.
        """
        with progress_bar(progress) as shown:
            return self.trainer(backend).train(data, start, epochs=epochs, progress=shown, **options)

    def trainer(self, backend: Backend = "auto") -> Trainer:
        """What trains, compiled: for several trainings with other data, starts and batches.

        Raises SymdiffError for a program without an update rule, and what `compile` raises.
        """
        if self.rule is None:
            raise SymdiffError("training needs an update rule: .update(symdiff.optim.gradient_descent(eta=0.1))")
        return self._trainers(backend_of(backend))

    @cached_property
    def _trainers(self) -> Callable[[Backend], Trainer]:
        return cache(self._new_trainer)

    def _new_trainer(self, backend: Backend) -> Trainer:
        from symdiff.render.identity import identity
        from symdiff.runtime.train_data import Errors, TrainerSpec
        from symdiff.runtime.training import Trainer

        engine = self._built(backend, self._c_engine, self._numpy_engine)
        sheet, kernel, update = self._code_sheet("formula", "float64"), self._spec("float64"), self.written_update
        assert update is not None
        spec = TrainerSpec(
            shapes={name: kernel.shapes.get(name, ()) for name in kernel.inputs},
            wrt=self.wrt,
            settings=tuple((name, number) for _, name, number in update.settings),
            states=update.rule.states,
            defaults=kernel.defaults,
            requirements=kernel.requirements,
            identity=partial(identity, sheet),
            check_settings=update.rule.set,
        )
        return Trainer(spec, engine, Errors(SymdiffError, ShapeError, DivergenceError, CheckpointError))

    def _c_engine(self) -> TrainEngine:
        from symdiff.build import kernels
        from symdiff.render.c import c_module
        from symdiff.runtime.c_train import TrainSpec

        kernel = self._spec("float64")
        made = c_module(self._code_sheet("formula", "float64"), ["gradient", "train"])
        spec = TrainSpec(kernel.name, kernel.inputs, kernel.dimensions, kernel.array, kernel.blas)
        return kernels.compile_training(
            made.single_file, spec, vector_functions=made.vector_functions, statements=made.statements
        )

    def _numpy_engine(self) -> TrainEngine:
        from symdiff.render.python import load_module, python_module
        from symdiff.runtime.train_engines import NumpyTrainEngine

        text, kernel = python_module(self._code_sheet("formula", "float64")), self._spec("float64")
        gradient, update = load_module(text, "gradient"), load_module(text, "update")
        return NumpyTrainEngine(gradient, update, kernel.inputs, maps=not kernel.array)


__all__ = ["Trained"]
