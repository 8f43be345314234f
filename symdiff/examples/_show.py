"""What the examples that run share: options, aligned text with a verdict on every number, a log, figures.

A `Report` prints as it goes. Every comparison and every claim counts; `finish` returns the exit code, 0 only where all
of them hold. With a folder, the same text also goes to `NAME/NAME_run.txt` there, with nine digits instead of all and
without what differs from run to run (`note`: times, places), so that the file is the same on every run.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import symdiff

Cell = str | float
Close = Callable[[float, float], bool]
Compared = tuple[Sequence[str], Sequence[float], float]  # labels, our numbers, the number given
RIGHT, WRONG, WIDTH = "ok", "DIFFERS", 80
LOG_DIGITS = 9
# Module -> what pip calls it, where the two differ.
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}


def command(main: Callable[[], int]) -> NoReturn:
    """Run an example as a command, and exit: with what `main` returns, or with one line on stderr.

    Exit codes: 130 stopped by Ctrl-C; 141 nobody reads the output any more (`| head`), so not all was checked; 2 for
    what stands in the way, such as a full disk.
    """
    try:
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _said("stopped by Ctrl-C", 130)
    except BrokenPipeError:
        # Python would complain again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except (OSError, symdiff.SymdiffError) as error:
        code = _said(f"error: {error}", 2)
    raise SystemExit(code)


def _said(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


def options(
    module: str, argv: Sequence[str] | None, does: str, without: Mapping[str, str] | None = None
) -> argparse.Namespace:
    """The options that every example has: `small` (bool) and `output` (Path or None, a folder that can be written to).

    `without` has parts that may be left out, with what they are: `--no-NAME` makes the option NAME false.
    """
    parser = argparse.ArgumentParser(prog=f"python -m symdiff.examples.{module}", description=does)
    parser.add_argument("--small", action="store_true", help="fewer steps: seconds, for the tests")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="write the log and the figure to DIR/NAME/")
    for part, what in (without or {}).items():
        parser.add_argument(f"--no-{part}", dest=part, action="store_false", help=f"leave out {what}")
    chosen = parser.parse_args(argv)
    if chosen.output is not None:
        folder = chosen.output / module
        try:  # now, and not after minutes of work
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            parser.exit(2, f"{parser.prog}: error: -o: cannot write to the folder {folder}: {error.strerror}\n")
    return chosen


def whole(training: Any) -> Any:
    """A training that came to its end; one that Ctrl-C stopped ends the example too."""
    if training.interrupted:
        raise KeyboardInterrupt
    return training


def optional(module: str) -> Any:
    """An imported module that symdiff itself does not need; None where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def relative(tolerance: float) -> Close:
    """Whether two numbers agree to a relative tolerance."""
    return lambda ours, given: abs(ours - given) <= tolerance * abs(given)


def decimals(count: int) -> Close:
    """Whether a number, rounded to `count` decimals, is the one given."""
    # a little more than half a unit, for the rounding of the decimal itself to binary
    return lambda ours, given: abs(ours - given) <= 0.5000001 * 10.0**-count


def section(derivation: str, title: str) -> str:
    """The section of a derivation (as text) whose heading begins with `title`, without the heading and its number."""
    lines = derivation.splitlines()
    heads = [i for i, line in enumerate(lines) if line[:1].isdigit() and ". " in line[:4]]
    for place, start in enumerate(heads):
        if lines[start].partition(". ")[2].startswith(title):
            stop = heads[place + 1] if place + 1 < len(heads) else len(lines)
            body = "\n".join(lines[start:stop]).partition("\n\n")[2]  # a heading may be longer than a line
            return body.strip("\n")
    raise ValueError(f"no section {title!r} in the derivation")


def largest_difference(ours: Any, given: Any) -> float:
    """Largest relative difference of two arrays of the same shape; infinite where the shapes differ."""
    a, b = np.asarray(ours, float), np.asarray(given, float)
    if a.shape != b.shape:
        return float("inf")
    return float(np.max(np.abs(a - b) / np.maximum(np.abs(b), np.finfo(float).tiny), initial=0.0))


class Report:
    """Text of a run and its verdicts; `name` names the folder and the files, `folder` is where it goes (None:
    nowhere).
    """

    def __init__(self, name: str, folder: Path | None) -> None:
        self.name, self.folder = name, None if folder is None else folder / name
        self.verdicts: list[bool] = []
        self._log: list[str] = []

    # -- text --------------------------------------------------------------------------------------------------------

    def title(self, text: str) -> None:
        """The first line."""
        self.say(f"{text}\n{'=' * len(text)}")

    def head(self, text: str) -> None:
        """A heading, with an empty line before it and after it."""
        self.say(f"\n{text}\n{'-' * len(text)}\n")

    def say(self, text: str = "", log: str | None = None) -> None:
        """Text for the terminal and for the log, which may get its own version."""
        print(text, flush=True)
        self._log.append(text if log is None else log)

    def note(self, text: str) -> None:
        """Text for the terminal alone: times, places, digits that another machine need not have."""
        print(text, flush=True)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Aligned columns. Numbers have all digits on the terminal, nine in the log."""
        self.say(_aligned(header, rows, None), _aligned(header, rows, LOG_DIGITS))

    def code(self, text: str) -> None:
        """A block of text as it stands, indented."""
        self.say("\n".join(f"    {line}".rstrip() for line in text.strip("\n").splitlines()))

    # -- verdicts ----------------------------------------------------------------------------------------------------

    def compare(self, header: Sequence[str], rows: Iterable[Compared], close: Close) -> None:
        """A table with a verdict on each row."""
        lines: list[list[Cell]] = []
        for labels, ours, given in rows:
            right = all(close(number, given) for number in ours)
            self.verdicts.append(right)
            lines.append([*labels, *ours, given, RIGHT if right else WRONG])
        self.table([*header, ""], lines)

    def holds(self, claim: str, right: bool, measured: str = "") -> None:
        """A claim with its verdict; what was measured is shown on the terminal alone."""
        self.verdicts.append(bool(right))
        line = f"{claim} ... {RIGHT if right else 'DOES NOT HOLD'}"
        self.say(f"{line} ({measured})" if measured else line, line)

    def same_curves(self, curves: Mapping[str, Any], tolerance: float = 1e-9) -> None:
        """A table of error curves at some epochs, and the claim that all are the first one, at every epoch."""
        length = len(next(iter(curves.values())))
        shown = [epoch for epoch in _round_numbers(length) if epoch <= length]
        self.table(["epoch", *curves], [[f"{n}", *(float(values[n - 1]) for values in curves.values())] for n in shown])
        first, *others = curves.items()
        for name, values in others:
            difference = largest_difference(values, first[1])
            claim = f"{first[0]} and {name} differ by less than {tolerance:g} (relative) at each of {length} epochs"
            self.holds(claim, difference < tolerance, f"at most {difference:.1e}")

    def missing(self, module: str, what: str) -> None:
        """Says that `what` was left out because a module is not installed, and how to install it."""
        distribution = _DISTRIBUTIONS.get(module, module)
        self.say(f"Left out: {what}. It needs {distribution}:  python -m pip install {distribution}")

    def finish(self) -> int:
        """The verdict on the whole; writes the log. Returns the exit code."""
        right, all_ = sum(self.verdicts), len(self.verdicts)
        self.say(f"\n{right} of {all_} checks hold.")
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{self.name}_run.txt"
            path.write_text("\n".join(self._log) + "\n", "utf-8", newline="\n")
            self.note(f"log: {path}")
        return 0 if right == all_ > 0 else 1

    # -- figures -----------------------------------------------------------------------------------------------------

    def curves(self, curves: Mapping[str, Any], *, title: str, ylabel: str) -> None:
        """A figure NAME.svg of curves against epochs, the error on a logarithmic axis, where a folder was given.

        The first of several curves is drawn broad and pale, the others thin and dashed over it, so that curves that
        coincide can all be seen. The bytes are the same on every run.
        """
        if self.folder is None:
            return
        if optional("matplotlib") is None:
            self.missing("matplotlib", "the figure")
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.name}.svg"
        _draw(path, curves, title, ylabel)
        self.say(f"figure: {path.name}", f"figure: {path.name}")


def kernels(program: Any, report: Report) -> dict[str, Any]:
    """The program's kernels by backend, `NumPy` and `C`; without a C compiler the second is left out, and said so."""
    made = {"NumPy": program.compile("numpy")}
    try:
        made["C"] = program.compile("c")
    except symdiff.BuildError as error:
        report.say(f"Left out: the C kernel. {error}")
    return made


def number(value: float, digits: int | None) -> str:
    """A number with at most `digits` significant digits (None: all), a blank in place of the plus sign."""
    text = repr(float(value)) if digits is None else f"{value:.{digits}g}"
    return ("" if text.startswith("-") else " ") + text.removesuffix(".0")


def source(function: Any) -> str:
    """The body of a function as it stands in its file: what is shown is what runs."""
    lines = inspect.getsource(function).splitlines()
    body = lines[next(i for i, line in enumerate(lines) if line.endswith(":")) + 1 :]
    if body[0].lstrip().startswith('"""'):
        body = body[1 + next(i for i, line in enumerate(body) if line.endswith('"""')) :]
    return textwrap.dedent("\n".join(body))


def _round_numbers(last: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, ... up to `last`, and `last` itself."""
    powers = range(len(str(last)))
    return sorted({*(lead * 10**power for power in powers for lead in (1, 2, 5)), last})


def _aligned(header: Sequence[str], rows: Sequence[Sequence[Cell]], digits: int | None) -> str:
    texts = [[cell if isinstance(cell, str) else number(cell, digits) for cell in row] for row in rows]
    numeric = [any(not isinstance(row[i], str) for row in rows) for i in range(len(header))]
    top = [f" {text}" if is_number else text for text, is_number in zip(header, numeric, strict=True)]
    widths = [max(map(len, column)) for column in zip(top, *texts, strict=True)]
    lines = [top, ["-" * width for width in widths], *texts]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


# The first curve broad and pale, the others thin over it.
_STYLES: tuple[dict[str, Any], ...] = (
    {"linewidth": 5, "alpha": 0.35},
    {"linewidth": 1.4, "linestyle": "--"},
    {"linewidth": 1.2, "linestyle": ":"},
)
_ALONE: tuple[dict[str, Any], ...] = ({"linewidth": 1.4},)


def _draw(path: Path, curves: Mapping[str, Any], title: str, ylabel: str) -> None:
    matplotlib: Any = importlib.import_module("matplotlib")
    figures: Any = importlib.import_module("matplotlib.figure")
    # fixed seeds of the identifiers, no date and no version: the same curves give the same bytes
    with matplotlib.rc_context({"svg.hashsalt": path.stem, "font.size": 10}):
        figure = figures.Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        styles = _STYLES if len(curves) > 1 else _ALONE
        for (label, values), style in zip(curves.items(), styles, strict=False):
            axes.plot(np.arange(1, len(values) + 1), values, label=label, **style)
        axes.set(title=title, xlabel="epoch", ylabel=ylabel, yscale="log")
        axes.grid(True, which="both", alpha=0.25)
        axes.legend()
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": "symdiff"})


__all__ = [
    "Report",
    "command",
    "decimals",
    "kernels",
    "largest_difference",
    "number",
    "optional",
    "options",
    "relative",
    "section",
    "source",
    "whole",
]
