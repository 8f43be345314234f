# Copied unchanged from symdiff/runtime/train_data.py; the same in every generated package. Do not edit.
"""From the data and the start of a training to a `Problem`: which samples there are, and where everything lies.

Two ways in which data hold samples, told apart by shapes:

- *axis*: the data have exactly the declared shapes, and the samples lie along a dimension with a name (`X: (n, 3)`). A
  mini-batch is a call with fewer of them.
- *points*: some data have one more axis than declared, in front and equally long in all of them. Each entry along it
  is a sample of its own, and what is minimised is the mean of the formula over them.

The module is copied verbatim into generated packages.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .arrays import Array, Shape, convert
from .sizes import Declared, Terms, bound, names_in, shape_text, terms_value
from .spec import KernelError, KernelShapeError
from .train_engines import Problem

_FLOAT64 = np.dtype(np.float64)


class TrainingError(KernelError):
    """A training cannot start, or cannot go on, with what it was given."""


class DivergenceError(TrainingError):
    """A number of a training is not finite any more; `training` holds everything before that update."""

    training: Any = None


class CheckpointError(TrainingError):
    """A checkpoint is damaged, cannot be written, or belongs to another training; where a run could not be kept,
    `training` holds what it has made.
    """

    training: Any = None


@dataclass(frozen=True)
class Errors:
    """The classes that a training raises: for arguments in general, for shapes, for numbers that are not finite, and
    for checkpoints. Instances of `divergence` and `checkpoint` get an attribute `training`.
    """

    usage: type[Exception] = TrainingError
    shape: type[Exception] = KernelShapeError
    divergence: type[Exception] = DivergenceError
    checkpoint: type[Exception] = CheckpointError


@dataclass(frozen=True)
class TrainerSpec:
    """What is trained, without how.

    shapes        of the formula's inputs, in the order of a call, with names of dimensions; of a traced function the
                  shapes of its arguments
    wrt           inputs that are trained
    settings      (name, number) of the update rule, in its order
    states        names of the numbers that the rule keeps for each parameter
    defaults      of inputs that may be left out
    requirements  pairs (terms, message), as in KernelSpec
    identity      gives texts by name that a checkpoint must agree in, such as the formula and the rule
    check_settings  raises an error for numbers, by setting, that the rule does not take
    """

    shapes: Mapping[str, Declared]
    wrt: tuple[str, ...]
    settings: tuple[tuple[str, float], ...]
    states: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    requirements: tuple[tuple[Terms, str], ...] = ()
    identity: Callable[[], Mapping[str, str]] = dict
    check_settings: Callable[[Mapping[str, float]], object] = dict


def problem_of(
    spec: TrainerSpec, data: Mapping[str, Any], start: Mapping[str, Any], samples: str | None, errors: Errors
) -> Problem:
    """The problem that `data` and `start` pose; `samples` names the dimension of the samples where it is not plain.

    Raises `errors.usage` for names, types and numbers that are not finite, `errors.shape` for shapes. The arrays of
    `start` are copied.
    """
    others = tuple(name for name in spec.shapes if name not in spec.wrt)
    _check_names(spec, data, start, errors)
    theta_parts = _arrays(spec, spec.wrt, start, "start", errors)
    arrays = _arrays(spec, others, data, "data", errors)
    for name, array in theta_parts.items():
        _check_axes(spec, name, array.shape, "start", 0, errors)
    for name, array in arrays.items():
        _check_axes(spec, name, array.shape, "data", 1, errors)
    along = [name for name, array in arrays.items() if array.ndim > len(_declared(spec, name))]
    points = _points(arrays, along, errors)
    sizes = _sizes(spec, theta_parts, arrays, along, errors)
    _check_numbers({**theta_parts, **arrays}, spec, errors)
    dimension = _dimension(spec, others, samples, along, sizes, errors)
    axes = _axes(spec, others, along, dimension)
    count = points if dimension is None else sizes[dimension]
    if count == 0:
        raise errors.shape(f"the data have no samples: {_listed([n for n in others if axes[n] is not None])}")
    theta = np.concatenate([np.zeros(0), *(part.ravel() for part in theta_parts.values())])
    return Problem(
        theta=theta,
        state=np.zeros((len(spec.states), theta.size)),
        places=_places(theta_parts),
        data=arrays,
        axes=axes,
        samples=count,
        points=bool(along),
        sizes=sizes,
        dimension=dimension,
        settings=tuple(number for _, number in spec.settings),
    )


def _axes(spec: TrainerSpec, others: tuple[str, ...], along: list[str], dimension: str | None) -> dict[str, int | None]:
    """The axis along which the samples of each array lie; None: there is none."""
    axes: dict[str, int | None] = dict.fromkeys(others)
    axes.update(dict.fromkeys(along, 0))
    if dimension is not None:
        axes.update({name: _declared(spec, name).index(dimension) for name in _having(spec, others, dimension)})
    return axes


def _places(parts: Mapping[str, Array]) -> dict[str, tuple[slice, Shape]]:
    """Where each parameter lies in theta, and its shape."""
    places, stop = {}, 0
    for name, part in parts.items():
        places[name] = (slice(stop, stop + part.size), part.shape)
        stop += part.size
    return places


def check_batches(spec: TrainerSpec, problem: Problem, batch: int, errors: Errors) -> None:
    """Raises `errors.shape` where an index of the formula lies outside of a whole batch or of the last one."""
    last = problem.samples % batch
    for size in (batch, last) if last else (batch,):
        sizes = dict(problem.sizes)
        if problem.dimension is not None:
            sizes[problem.dimension] = size
        for terms, message in spec.requirements:
            if terms_value(terms, sizes) < 0:
                of = ", ".join(f"{name} = {sizes[name]}" for name in dict.fromkeys(names_in(terms)))
                hint = f" in a batch of {size} samples" if problem.dimension in names_in(terms) else ""
                raise errors.shape(f"{message} ({of}){hint}")


def _declared(spec: TrainerSpec, name: str) -> Declared:
    return spec.shapes[name]


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _check_names(spec: TrainerSpec, data: Mapping[str, Any], start: Mapping[str, Any], errors: Errors) -> None:
    for given, what in ((data, "data"), (start, "start")):
        if not isinstance(given, Mapping):
            raise errors.usage(
                f"{what}: expected arrays by name ({{{next(iter(spec.shapes), 'x')!r}: ...}}), got "
                f"{type(given).__name__}"
            )
        for name in given:
            if name not in spec.shapes:
                raise errors.usage(f"{what}: {name!r} is no input of the formula ({', '.join(spec.shapes)})")
            if what == "data" and name in spec.wrt:
                raise errors.usage(f"data: '{name}' is a parameter; it belongs into start")
            if what == "start" and name not in spec.wrt:
                raise errors.usage(f"start: '{name}' is not trained ({', '.join(spec.wrt)}); it belongs into the data")
    for names, given, what in (
        ([name for name in spec.shapes if name not in spec.wrt], data, "data"),
        (list(spec.wrt), start, "start"),
    ):
        missing = [name for name in names if name not in given and name not in spec.defaults]
        if missing:
            raise errors.usage(f"{what}: {_listed(missing)} missing, and the formula has no default")


def _arrays(
    spec: TrainerSpec, names: tuple[str, ...], given: Mapping[str, Any], what: str, errors: Errors
) -> dict[str, Array]:
    """C-contiguous float64 arrays, by name in order."""
    found = {}
    for name in names:
        value = given[name] if name in given else spec.defaults[name]
        try:
            number = convert(value, f"{what} '{name}'", _FLOAT64, errors.shape)
        except TypeError as error:
            raise errors.usage(str(error)) from None
        found[name] = np.array(number, np.float64, order="C", copy=None)
    return found


def _check_numbers(arrays: Mapping[str, Array], spec: TrainerSpec, errors: Errors) -> None:
    """Every number is finite: after one that is not, no value of the training would be."""
    for name, array in arrays.items():
        finite = np.isfinite(array)
        if finite.all():
            continue
        place = np.unravel_index(int(finite.argmin()), array.shape) if array.ndim else ()
        where = f"[{', '.join(str(int(k)) for k in place)}]" if place else ""
        count = array.size - int(np.count_nonzero(finite))
        more = f", the first of {count} numbers that are not finite" if count > 1 else ""
        what = "start" if name in spec.wrt else "data"
        raise errors.usage(f"{what}: {name}{where} is {array[place]}{more}; a training needs finite numbers")


def _check_axes(spec: TrainerSpec, name: str, shape: Shape, what: str, more: int, errors: Errors) -> None:
    """The shape has as many axes as declared, or up to `more` of them in addition."""
    declared = _declared(spec, name)
    if len(declared) <= len(shape) <= len(declared) + more:
        return
    points = f", or {shape_text(('N', *declared))} with N samples as points" if more else ""
    raise errors.shape(f"{what} '{name}' has shape {shape}, expected {shape_text(declared)}{points}")


def _points(arrays: Mapping[str, Array], along: list[str], errors: Errors) -> int:
    """The number of points; 1 where no data have an axis for them."""
    if not along:
        return 1
    first, *rest = along
    for name in rest:
        if len(arrays[name]) != len(arrays[first]):
            raise errors.shape(
                f"data '{first}' of shape {arrays[first].shape} has {len(arrays[first])} points along its first axis, "
                f"and '{name}' of shape {arrays[name].shape} has {len(arrays[name])}"
            )
    return len(arrays[first])


def _sizes(
    spec: TrainerSpec,
    parameters: Mapping[str, Array],
    arrays: Mapping[str, Array],
    along: list[str],
    errors: Errors,
) -> dict[str, int]:
    """Sizes of all dimensions. What was given for them is compared in the order of the formula's inputs."""
    given = {}
    for name in spec.shapes:
        shape = parameters[name].shape if name in parameters else arrays[name].shape
        given[name] = shape[1:] if name in along else shape
    try:
        return bound(spec.shapes, given, errors.shape)
    except errors.shape as error:
        if not along:
            raise
        raise errors.shape(f"{error}; {_listed(along)} without the axis of their points in front") from None


def _having(spec: TrainerSpec, names: tuple[str, ...], dimension: str) -> list[str]:
    return [name for name in names if dimension in _declared(spec, name)]


def _dimension(
    spec: TrainerSpec,
    others: tuple[str, ...],
    samples: str | None,
    along: list[str],
    sizes: Mapping[str, int],
    errors: Errors,
) -> str | None:
    """The dimension of the samples: the one that was named, or the only one that data have and no parameter has.

    None where samples are points (of the data `along`). One of size 0 holds none, so that it must be named to be taken
    for it.
    """
    if along and samples is not None:
        raise errors.usage(
            f"samples: '{samples}' names an axis of the formula, but {_listed(along)} have samples as points, "
            "along an axis in front of the declared ones"
        )
    if along:
        return None
    own = {size for name in spec.wrt for size in _declared(spec, name)}
    free = dict.fromkeys(s for n in others for s in _declared(spec, n) if isinstance(s, str) and s not in own)
    fit = [s for s in free if all(_declared(spec, n).count(s) == 1 for n in _having(spec, others, s))]
    if samples is None:
        return fit[0] if len(fit) == 1 and len(free) == 1 and sizes[fit[0]] > 0 else None
    if samples in fit:
        return samples
    if samples in own:
        raise errors.usage(f"samples: a parameter has the dimension '{samples}', so its size cannot change")
    if samples in free:
        twice = next(n for n in _having(spec, others, samples) if _declared(spec, n).count(samples) > 1)
        raise errors.usage(f"samples: '{twice}' has the dimension '{samples}' more than once")
    known = f"; data have {', '.join(free)}" if free else ""
    raise errors.usage(f"samples: no data have a dimension '{samples}'{known}")


__all__ = [
    "CheckpointError",
    "DivergenceError",
    "Errors",
    "TrainerSpec",
    "TrainingError",
    "check_batches",
    "problem_of",
]
