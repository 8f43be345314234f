"""The command `symdiff train`: a formula, data, a start; out come parameters, the history and a picture of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import click
import numpy as np

from symdiff import init
from symdiff.cli_options import (
    DASHES,
    INTERRUPTED,
    TERMINATED,
    formula_of,
    is_file_of_values,
    message,
    names_of,
    point_of,
    reading_options,
    ruled,
    source_file,
    title_of,
    update_options,
)
from symdiff.cli_train_files import Files
from symdiff.errors import CheckpointError, DivergenceError, SymdiffError
from symdiff.pipeline import Program, Termination, Training

_INIT = ("xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "zeros")
_VALUES = "K=V,...|FILE"
_SHOWN = 6  # numbers of a parameter that are printed
_LINES = 20  # parameters that are printed


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
@click.option("--every", type=click.FloatRange(0), metavar="SECONDS", help="Time between checkpoints; by default 5.")
@click.option("-o", "--output", metavar="FILE.npz", help="Write the parameters.")
@click.option("--history", metavar="FILE.csv", help="Write the value of every epoch.")
@click.option("--plot", metavar="FILE.svg", help="Draw the values over the epochs (.svg, .png, .pdf).")
@click.option("--backend", type=click.Choice(["auto", "c", "numpy"]), default="auto", show_default=True)
@click.pass_context
def train(context: click.Context, /, **given: Any) -> None:
    """Minimise FORMULA over data, and show the value before and after.

    Samples of the data lie along a dimension with a name, or, in arrays with one more axis than declared, in front;
    then the mean over them is minimised. Without --wrt what is neither constant nor in --data is trained; with it,
    --data may hold starts too. The value of an epoch (they count from 0) is that before its updates. Ctrl-C and SIGTERM
    end the run in an orderly way: exit 130 and 143, and with --checkpoint the same command goes on. Exit 1: a number
    was not finite any more.
    """
    files = Files(given["output"], given["history"], given["plot"], given["checkpoint"])
    if given["every"] is not None and files.checkpoint is None:
        raise click.UsageError("--every is the time between checkpoints: name their file with --checkpoint")
    files.check(_inputs(given))
    with Termination() as termination:
        try:
            code = _train(given, files)
        except KeyboardInterrupt:
            if not termination.wanted:
                raise
            message("terminated")
            code = TERMINATED
    context.exit(TERMINATED if code == INTERRUPTED and termination.wanted else code)


def _train(given: Mapping[str, Any], files: Files) -> int:
    """The exit code."""
    program, data, start = _problem(given)
    options = {name: given[name] for name in ("epochs", "batch", "samples", "seed", "backend", "checkpoint")}
    if given["every"] is not None:
        options["every"] = given["every"]
    program.trainer(given["backend"])  # compiled now, which is no time of the training
    began, failure = time.perf_counter(), None
    try:
        made = program.train(data, start, progress=True, **options)
    except (DivergenceError, CheckpointError) as error:
        if error.training is None:
            raise
        made, failure = error.training, error
    took = time.perf_counter() - began
    files.write(made, title_of(given["source"]), diverged=isinstance(failure, DivergenceError))
    _show(program, given, made, data, start)
    click.echo(f"{took:.3g} s", err=True)
    if given["batch"] is not None and given["batch"] > made.batch:
        message(f"--batch {given['batch']} is more than the {made.batch} samples there are, which made up every update")
    if failure is not None:
        message(str(failure))
        kept = f"what was made before is written: {files.described}" if files.described else "nothing was written"
        message(kept if files.output else f"{kept}; -o FILE.npz would keep the parameters")
        return 1 if isinstance(failure, DivergenceError) else 2
    if made.interrupted:
        message("stopped by a signal" + ("; the same command goes on" if files.checkpoint else ""))
        return INTERRUPTED
    return 0


# -- what goes in ------------------------------------------------------------------------------------------------------


def _inputs(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(option, file) of everything that is read."""
    formula, rule = source_file(given["source"]), given["rule"]
    if formula is not None:
        yield "FORMULA", formula
    for option in ("data", "start"):
        yield from ((f"--{option}", text) for text in given[option] if is_file_of_values(text))
    if rule is not None and rule.endswith(".sd"):
        yield "--update", rule
    for item in given["bindings"]:
        text = item.partition("=")[2].strip()
        if text.startswith("@"):
            yield "--let", text[1:]


def _problem(given: Mapping[str, Any]) -> tuple[Program, dict[str, Any], dict[str, Any]]:
    """The program with its rule, the data, and a start for every parameter."""
    data = dict(point_of(given["data"], "--data") or {})
    formula = formula_of(given["source"], given["limits"], given["bindings"])
    wrt = names_of(given["wrt"]) or [name for name in formula.gradient().wrt if name not in data]
    rate = {} if given["lr"] is None else {"eta": given["lr"]}
    program = ruled(formula.gradient(wrt), given["rule"] or "gd", given["settings"], **rate)
    own = {name: data.pop(name) for name in program.wrt if name in data}
    own |= point_of(given["start"], "--start") or {}
    sizes = _known_sizes(program, {**program.data.defaults, **data, **own}, _sizes(given["sizes"]))
    return program, data, _started(program, own, sizes, given["weights"], given["seed"])


def _sizes(given: tuple[str, ...]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for item in given:
        name, _, number = (part.strip() for part in item.partition("="))
        if not name.isidentifier() or not (number.isascii() and number.isdigit()):
            raise click.UsageError(f"--size: expected DIM=N, found {item!r}")
        if name in sizes:
            raise click.UsageError(f"--size: {name!r} is given twice")
        sizes[name] = int(number)
    return sizes


def _known_sizes(program: Program, values: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, int]:
    """Sizes of dimensions: those given, which must not contradict the values, and those of the values."""
    shapes, known = program.data.arguments, dict(sizes)
    dimensions = dict.fromkeys(size for shape in shapes.values() for size in shape if isinstance(size, str))
    for name in sizes:
        if name not in dimensions:
            there = f"has {', '.join(dimensions)}" if dimensions else "has none"
            raise click.UsageError(f"--size {name}: the formula has no dimension of this name; it {there}")
    for name, value in values.items():
        declared = shapes.get(name, ())
        found = _shape(value)[-len(declared) :] if declared else ()
        for size, number in zip(declared, found, strict=False):
            if isinstance(size, str) and known.setdefault(size, number) != number and size in sizes:
                raise click.UsageError(f"--size {size}={sizes[size]}: '{name}' has {number} along {size}")
    return known


def _shape(value: Any) -> tuple[int, ...]:
    try:
        return np.shape(value)
    except ValueError:  # ragged lists, of which the training says what is wrong
        return ()


def _started(
    program: Program, given: Mapping[str, Any], sizes: Mapping[str, int], weights: str | None, seed: int
) -> dict[str, Any]:
    """A start for every parameter: the one given, the formula's own, or numbers of `symdiff.init`."""
    missing = [n for n in program.wrt if n not in given and (weights is not None or n not in program.data.defaults)]
    if not missing:
        return dict(given)
    for name in missing:
        for size in program.data.arguments[name]:
            if isinstance(size, str) and size not in sizes:
                raise SymdiffError(f"the shape of '{name}' has a size that no data have: say --size {size}=N")
    rng = np.random.default_rng(seed)
    drawn = init.parameters(program, missing, sizes, rng, weights=weights or _INIT[0])
    return {**drawn, **given}


# -- what comes out ----------------------------------------------------------------------------------------------------


def _show(
    program: Program, given: Mapping[str, Any], made: Training, data: Mapping[str, Any], start: Mapping[str, Any]
) -> None:
    """The value over all data at the start and at the end, and parameters that fit into a line.

    What trains in batches may be too large to be worked out at once, or have an index outside of its array there.
    """
    trainer = program.trainer(given["backend"])
    try:
        first, last = (trainer.value(data, at, samples=given["samples"]) for at in (start, made.parameters))
        rows = [("value at start", f"{first:.9g}"), ("value at end", f"{last:.9g}")]
    except (SymdiffError, MemoryError) as error:
        message(f"the value over all data could not be worked out: {str(error) or 'not enough memory'}")
        rows = [("value", f"{made.value:.9g} in the last epoch")]
    rows += [("epochs", str(len(made.history))), ("updates", str(made.updates)), ("backend", made.backend)]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        click.echo(f"{name.ljust(width)}  {text}")
    small = [name for name, value in made.parameters.items() if np.size(value) <= _SHOWN][:_LINES]
    for name in small:
        click.echo(f"{name} = {_numbers(np.asarray(made.parameters[name]).tolist())}")
    left = [name for name in made.parameters if name not in small]
    if left and given["output"] is None:
        names = f"{', '.join(left[:_SHOWN])}{', ...' if len(left) > _SHOWN else ''}"
        message(f"too large to be shown here: {names}; -o FILE.npz writes all parameters")


def _numbers(value: Any) -> str:
    """A number, or nested lists of numbers."""
    return f"[{', '.join(map(_numbers, value))}]" if isinstance(value, list) else f"{value:.9g}"
