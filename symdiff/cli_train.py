"""The command `symdiff train`: a formula, data, a start; out come parameters, the history and a picture of it."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from symdiff import init
from symdiff.cli_options import (
    DASHES,
    emit,
    formula_of,
    message,
    names_of,
    point_of,
    reading_options,
    ruled,
    title_of,
    update_options,
)
from symdiff.errors import CheckpointError, DivergenceError, SymdiffError
from symdiff.pipeline import Program, Trainer, Training

_INIT = ("xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "zeros")
_PICTURES = (".svg", ".png", ".pdf")
_VALUES = "K=V,...|FILE"


@click.command(context_settings=DASHES)
@reading_options
@click.option("--data", multiple=True, metavar=_VALUES, help="Every input outside --wrt: a file, .npz or .toml.")
@click.option("--start", multiple=True, metavar=_VALUES, help="Parameters to start from; what is missing: --init.")
@update_options
@click.option("--lr", type=float, metavar="ETA", help="Learning rate: the setting eta of the rule.")
@click.option("--epochs", type=click.IntRange(1), required=True, metavar="N", help="How often all data are visited.")
@click.option("--batch", type=click.IntRange(1), metavar="N", help="Samples of an update; by default all.")
@click.option("--samples", metavar="DIM", help="Dimension of the samples, where it is not plain from the shapes.")
@click.option("--size", "sizes", multiple=True, metavar="DIM=N", help="A size of parameters that no data have.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="For --init and the batches.")
@click.option("--init", "weights", type=click.Choice(_INIT), help=f"How matrices start; by default {_INIT[0]}.")
@click.option("--checkpoint", metavar="FILE", help="Keep the run in this file, and go on from it.")
@click.option("-o", "--output", metavar="FILE.npz", help="Write the parameters.")
@click.option("--history", metavar="FILE.csv", help="Write the value of every epoch.")
@click.option("--plot", metavar="FILE.svg", help="Draw the values over the epochs (.svg, .png, .pdf).")
@click.option("--backend", type=click.Choice(["auto", "c", "numpy"]), default="auto", show_default=True)
@click.pass_context
def train(
    context: click.Context,
    /,
    source: str,
    wrt: str | None,
    limits: tuple[str, ...],
    bindings: tuple[str, ...],
    data: tuple[str, ...],
    start: tuple[str, ...],
    rule: str | None,
    settings: tuple[str, ...],
    lr: float | None,
    sizes: tuple[str, ...],
    weights: str | None,
    output: str | None,
    history: str | None,
    plot: str | None,
    backend: str,
    **options: Any,
) -> None:
    """Minimise FORMULA over data, and show the value before and after.

    Samples of the data lie along a dimension with a name, or, in arrays with one more axis than declared, in front;
    then the mean over them is minimised. Without --wrt what is neither constant nor in --data is trained; with it,
    --data may hold starts too. Ctrl-C ends the run in an orderly way: exit 130, and with --checkpoint the same command
    goes on. Exit 1: a number was not finite any more.
    """
    _check_files(output, history, plot)
    inputs = dict(point_of(data, "--data") or {})
    formula = formula_of(source, limits, bindings)
    program = formula.gradient(names_of(wrt) or [name for name in formula.gradient().wrt if name not in inputs])
    program = ruled(program, rule or "gd", settings, **({} if lr is None else {"eta": lr}))
    given = {**{name: inputs.pop(name) for name in program.wrt if name in inputs}, **(point_of(start, "--start") or {})}
    given = _started(program, given, inputs, _sizes(sizes), weights, options["seed"])
    trainer = program.trainer(backend)  # type: ignore[arg-type]  # click has checked it
    began, failure = time.perf_counter(), None
    try:
        made = program.train(inputs, given, backend=backend, progress=True, **options)  # type: ignore[arg-type]  # as above
    except (DivergenceError, CheckpointError) as error:
        if error.training is None:
            raise
        made, failure = error.training, error
    took = time.perf_counter() - began
    _write(made, output, history, plot, title_of(source))
    _show(trainer, made, inputs, given, options["samples"])
    click.echo(f"{took:.3g} s", err=True)
    if failure is not None:
        message(str(failure))
        context.exit(1 if isinstance(failure, DivergenceError) else 2)
    if made.interrupted:
        message("interrupted" + ("; the same command goes on" if options["checkpoint"] else ""))
        context.exit(130)


# -- what goes in ------------------------------------------------------------------------------------------------------


def _sizes(given: tuple[str, ...]) -> dict[str, int]:
    sizes = {}
    for item in given:
        name, _, number = (part.strip() for part in item.partition("="))
        if not name.isidentifier() or not (number.isascii() and number.isdigit()):
            raise click.UsageError(f"--size: expected DIM=N, found {item!r}")
        sizes[name] = int(number)
    return sizes


def _started(
    program: Program,
    given: Mapping[str, Any],
    data: Mapping[str, Any],
    sizes: Mapping[str, int],
    weights: str | None,
    seed: int,
) -> dict[str, Any]:
    """A start for every parameter: the one given, the formula's own, or numbers of `symdiff.init`.

    Sizes are those given, and those of the data and the other parameters.
    """
    missing = [n for n in program.wrt if n not in given and (weights is not None or n not in program.data.defaults)]
    if not missing:
        return dict(given)
    shapes, known = program.data.arguments, dict(sizes)
    for name, value in {**data, **given}.items():
        declared = shapes.get(name, ())
        found = np.shape(value)[-len(declared) :] if declared else ()
        for size, number in zip(declared, found, strict=False):
            if isinstance(size, str):
                known.setdefault(size, number)
    for name in missing:
        for size in shapes[name]:
            if isinstance(size, str) and size not in known:
                raise SymdiffError(f"the shape of '{name}' has a size that no data have: say --size {size}=N")
    rng = np.random.default_rng(seed)
    drawn = init.parameters(program, missing, known, rng, weights=weights or _INIT[0])
    return {**drawn, **given}


# -- what comes out ----------------------------------------------------------------------------------------------------


def _show(trainer: Trainer, made: Training, data: Mapping[str, Any], start: Mapping[str, Any], samples: Any) -> None:
    """The value over all data at the start and at the end.

    What trains in batches may be too large to be worked out at once, or have an index outside of its array there.
    """
    try:
        first, last = (trainer.value(data, at, samples=samples) for at in (start, made.parameters))
        rows = [("value at start", f"{first:.9g}"), ("value at end", f"{last:.9g}")]
    except (SymdiffError, MemoryError) as error:
        message(f"the value over all data could not be worked out: {str(error) or 'not enough memory'}")
        rows = [("value", f"{made.value:.9g} in the last epoch")]
    rows += [("epochs", str(len(made.history))), ("updates", str(made.updates)), ("backend", made.backend)]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        click.echo(f"{name.ljust(width)}  {text}")


def _check_files(output: str | None, history: str | None, plot: str | None) -> None:
    """Say before a long training what could not be written after it."""
    if plot is not None:
        if Path(plot).suffix not in _PICTURES:
            raise click.UsageError(f"--plot: the name ends in {', '.join(_PICTURES)}, found {plot!r}")
        _pyplot()
    if output is not None and Path(output).suffix != ".npz":
        raise click.UsageError(f"-o: the name ends in .npz, found {output!r}")
    for file in (output, history, plot):
        if file is not None and not Path(file).absolute().parent.is_dir():
            raise SymdiffError(f"cannot write {file}: its folder is not there")


def _write(made: Training, output: str | None, history: str | None, plot: str | None, name: str) -> None:
    if output is not None:
        emit(_npz(made.parameters), output)
    if history is not None:
        rows = [f"{epoch},{value!r}" for epoch, value in enumerate(made.history.value.tolist())]
        emit("\n".join(["epoch,value", *rows]) + "\n", history)
    if plot is not None:
        emit(_picture(made, Path(plot).suffix, name), plot)


def _npz(arrays: Mapping[str, Any]) -> bytes:
    """An NPZ file, which is a ZIP file of NPY files; numpy.savez has no way to write an array called `file`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asarray(array, np.float64), allow_pickle=False)
    return buffer.getvalue()


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise SymdiffError("--plot needs matplotlib: python -m pip install 'symdiff-codegen[plot]'") from None
    return matplotlib


def _picture(made: Training, suffix: str, name: str) -> bytes:
    """The values over the epochs; the same numbers give the same bytes."""
    matplotlib = _pyplot()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "symdiff", "svg.fonttype": "path"}):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        values = made.history.value
        axes.plot(made.history.epoch, values, marker="o" if len(values) < 2 else None)
        if len(values) and values.min() > 0 and values.max() > 10 * values.min():
            axes.set_yscale("log")
        axes.set(xlabel="epoch", ylabel="value", title=name)
        axes.grid(True, alpha=0.3)
        buffer = io.BytesIO()
        dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}[suffix]
        figure.savefig(buffer, format=suffix[1:], metadata=dates)
    return buffer.getvalue()
