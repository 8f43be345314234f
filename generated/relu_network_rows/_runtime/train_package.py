# Copied unchanged from symdiff/runtime/train_package.py; the same in every generated package. Do not edit.
"""The training of a generated package: over its compiled library where that is loaded, else in NumPy.

The module is copied verbatim into generated packages that have an update rule.
"""

from collections.abc import Callable, Mapping
from typing import Any

from .c_train import CTrainEngine, TrainSpec
from .kernel import Kernel
from .library import Source, load
from .train_data import TrainerSpec
from .train_engines import NumpyTrainEngine, TrainEngine
from .training import Trainer


def trainer(
    source: Source,
    kernel: Kernel,
    functions: tuple[Callable[..., Any], Callable[..., Any]],
    *,
    settings: Mapping[str, float],
    states: tuple[str, ...],
    identity: Mapping[str, str],
) -> Trainer:
    """The trainer for a gradient kernel of the package, on the same backend.

    `functions` are the gradient, as `kernels` takes it, and `update` of the package's NumPy module.
    """
    spec = kernel.spec
    loaded = load(source) if kernel.backend == "c" else None
    engine: TrainEngine
    if loaded is not None:
        engine = CTrainEngine(
            loaded.ffi, loaded.lib, TrainSpec(source.name, spec.inputs, spec.dimensions, spec.array, spec.blas)
        )
    else:
        engine = NumpyTrainEngine(*functions, spec.inputs, maps=not spec.array)
    made = TrainerSpec(
        shapes={name: spec.shapes.get(name, ()) for name in spec.inputs},
        wrt=spec.wrt,
        settings=tuple(settings.items()),
        states=states,
        defaults=spec.defaults,
        requirements=spec.requirements,
        identity=lambda: identity,
    )
    return Trainer(made, engine)


__all__ = ["trainer"]
