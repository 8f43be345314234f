"""The files of `symdiff train`: parameters, the history, its picture; and that none of them overwrites another."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from symdiff.cli_options import emit
from symdiff.errors import SymdiffError
from symdiff.pipeline import Training

_PICTURES = (".svg", ".png", ".pdf")
_HEADER = "epoch_from_0,value_before_updates"
_DRAWN = 1e200  # larger values leave matplotlib no room for margins and ticks below the end of float64
_WILD = 1e6  # times the median of the values: then a linear axis shows one of them alone


@dataclass(frozen=True)
class Files:
    """What a training is to write; None: nothing."""

    output: str | None
    history: str | None
    plot: str | None
    checkpoint: str | None

    def check(self, inputs: Iterable[tuple[str, str]]) -> None:
        """Say before a long training what could not be written after it, or would be written over something else.

        inputs are (option, file) of what the command reads. Raises click.UsageError and SymdiffError.
        """
        if self.plot is not None and Path(self.plot).suffix not in _PICTURES:
            raise click.UsageError(f"--plot: the name ends in {', '.join(_PICTURES)}, found {self.plot!r}")
        if self.output is not None and Path(self.output).suffix != ".npz":
            raise click.UsageError(f"-o: the name ends in .npz, found {self.output!r}")
        named = {"-o": self.output, "--history": self.history, "--plot": self.plot, "--checkpoint": self.checkpoint}
        outputs = [(option, file) for option, file in named.items() if file is not None]
        for place, (option, file) in enumerate(outputs):
            for other, taken in outputs[:place]:
                if _is_same(file, taken):
                    raise click.UsageError(f"{other} and {option} name the same file {file}: give each its own")
            for other, taken in inputs:
                if _is_same(file, taken):
                    raise click.UsageError(f"{option} would overwrite {file}, which {other} reads: name another file")
            _check_place(file)
        if self.plot is not None:
            _pyplot()

    def write(self, made: Training, name: str, *, diverged: bool) -> None:
        """All of them but the checkpoint. `name` is the title of the picture."""
        if self.output is not None:
            emit(_npz(made.parameters), self.output)
        if self.history is not None:
            rows = [f"{epoch},{value!r}" for epoch, value in enumerate(made.history.value.tolist())]
            emit("\n".join([_HEADER, *rows]) + "\n", self.history)
        if self.plot is not None:
            title = f"{name}: diverged in epoch {len(made.history)}" if diverged else name
            emit(_picture(made, Path(self.plot).suffix, title), self.plot)

    @property
    def described(self) -> str:
        """What `write` has written: `parameters in out.npz, history in h.csv`."""
        named = {"parameters": self.output, "history": self.history, "plot": self.plot}
        return ", ".join(f"{what} in {file}" for what, file in named.items() if file is not None)


def _is_same(one: str, other: str) -> bool:
    with suppress(OSError):  # of one that is not there yet
        return os.path.samefile(one, other)
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def _check_place(file: str) -> None:
    folder = Path(file).absolute().parent
    if not folder.is_dir():
        raise SymdiffError(f"cannot write {file}: its folder is not there")
    if Path(file).is_dir():
        raise SymdiffError(f"cannot write {file}, which is a folder: name a file")
    if not os.access(folder, os.W_OK):
        raise SymdiffError(f"cannot write {file}: no files may be made in its folder")


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


def _picture(made: Training, suffix: str, title: str) -> bytes:
    """The values over the epochs; the same numbers give the same bytes."""
    matplotlib = _pyplot()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "symdiff", "svg.fonttype": "path"}):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        drawn = np.abs(made.history.value) < _DRAWN  # neither infinite nor nearly so
        values = made.history.value[drawn]
        axes.plot(made.history.epoch[drawn], values, marker="o" if len(values) < 2 else None)
        _scale(axes, values)
        axes.set(xlabel="epoch (from 0)", ylabel="value before the updates of the epoch", title=title)
        axes.grid(True, alpha=0.3)
        buffer = io.BytesIO()
        dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}[suffix]
        figure.savefig(buffer, format=suffix[1:], metadata=dates)
    return buffer.getvalue()


def _scale(axes: Any, values: Any) -> None:
    """Logarithmic where the values cover more than a decade, on both sides of 0 if need be."""
    if not len(values):
        return
    sizes = np.abs(values)
    if values.min() > 0:
        if values.max() > 10 * values.min():
            low, high = np.clip(np.log10([values.min(), values.max()]), -200.0, 200.0)
            margin = max(0.05 * (high - low), 0.1)
            # before the scale, which would put margins of its own around values up to the end of float64
            axes.set_ylim(10.0 ** (low - margin), 10.0 ** (high + margin))
            axes.set_yscale("log")
    elif sizes.max() > _WILD * np.median(sizes) > 0:
        axes.set_yscale("symlog", linthresh=np.median(sizes))


__all__ = ["Files"]
