"""The figure of the results: every contestant's times as multiples of the fastest possible, a dot for each formula.

    python -m benchmarks figure [--results DIR]

Reads the JSON of the runs and writes benchmarks.svg beside them. Its greys and colours stand out on white and on black
alike, and its background is transparent.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from benchmarks.claims import LETTERS, PROBLEMS, Results
from benchmarks.command import RESULTS
from benchmarks.verdict import FIGURE, load

GREY = "#7d8590"
# In an order in which neighbours differ for every kind of eye; shapes say the same once more.
MARKS = (("o", "#3b82d6"), ("s", "#d97a06"), ("^", "#1a9e77"), ("D", "#c2569b"), ("v", "#9a7b1f"))
SHOWN = {
    "symdiff": "symdiff",
    "numpy": "symdiff, NumPy code",
    "raw": "symdiff, bound",
    "fixed": "symdiff, sizes fixed",
    "hand": "NumPy by hand",
    "lambdify": "SymPy lambdify",
    "jax": "JAX",
    "torch": "PyTorch",
    "torch_compiled": "torch.compile",
    "pytensor": "PyTensor",
    "casadi": "CasADi",
    "heyoka": "heyoka",
    "numba": "numba",
    "symengine": "symengine",
    "limit": "C by hand",
}


@dataclass(frozen=True)
class Panel:
    """`ratios[contestant][series]` are multiples of `unit`; each series has a mark."""

    title: str
    unit: str
    ratios: Mapping[str, Mapping[str, float]]

    @property
    def order(self) -> list[str]:
        """Contestants, the fastest last: the topmost of an axis that goes up."""
        return sorted(self.ratios, key=lambda who: geometric_mean(self.ratios[who].values()), reverse=True)


def panels(runs: Mapping[str, Any]) -> list[Panel]:
    """What there is to show: batches, single calls, matrices."""
    results, found = Results(runs), []
    if "benchmarks" in runs:
        points = runs["benchmarks"]["points"]
        rows = runs["benchmarks"]["rows"]
        base = "limit" if any(row["contestant"] == "limit" for row in rows) else "symdiff"
        unit = "times C by hand" if base == "limit" else "times symdiff"
        found.append(_panel(results, f"a batch of {points:,} points", unit, "batch", base))
        found.append(_panel(results, "one call", "times symdiff", "call", "symdiff"))
    if "matrices" in runs:
        names = [who for who in runs["matrices"]["contestants"] if who != "products"]
        times = {
            who: {
                name: ratio
                for name in PROBLEMS
                if (ratio := results.ratio("matrices", name, "medium", who, "symdiff")) is not None
            }
            for who in names
        }
        found.append(
            Panel("matrices, middle sizes", "times symdiff", {who: each for who, each in times.items() if each})
        )
    return [panel for panel in found if panel.ratios]


def _panel(results: Results, title: str, unit: str, measured: str, base: str) -> Panel:
    ratios: dict[str, dict[str, float]] = {}
    for row in results.runs["benchmarks"]["rows"]:
        if row["measure"] == measured:
            ratio = results.ratio("benchmarks", row["formula"], measured, row["contestant"], base)
            if ratio is not None:
                ratios.setdefault(row["contestant"], {})[f"({LETTERS[row['formula']]})"] = ratio
    return Panel(title, unit, ratios)


def draw(shown: Sequence[Panel], path: Path) -> None:
    """Writes the SVG; the same results give the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.hashsalt": "benchmarks",
        "svg.fonttype": "none",
        "font.size": 9,
        "font.family": "sans-serif",
    }
    style |= dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY)
    with matplotlib.rc_context(style):
        height = 1.3 + 0.22 * max(len(panel.ratios) for panel in shown)
        figure = Figure(figsize=(3.5 * len(shown), height), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            _fill(axes, panel)
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": "symdiff"})


def _fill(axes: Any, panel: Panel) -> None:
    order = panel.order
    series = list(dict.fromkeys(name for each in panel.ratios.values() for name in each))
    for name, (shape, colour) in zip(series, MARKS, strict=False):
        at = [(panel.ratios[who][name], place) for place, who in enumerate(order) if name in panel.ratios[who]]
        across, up = zip(*at, strict=True)
        axes.plot(across, up, shape, color=colour, markersize=4.5, alpha=0.9, label=name, linestyle="none")
    axes.set_xscale("log")
    axes.axvline(1, color=GREY, linewidth=0.8, alpha=0.7)
    axes.set_yticks(range(len(order)), [SHOWN.get(who, who) for who in order])
    for label, who in zip(axes.get_yticklabels(), order, strict=True):
        label.set_fontweight("bold" if who == "symdiff" else "normal")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.tick_params(length=0)
    axes.grid(True, axis="both", color=GREY, alpha=0.2, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_title(panel.title, fontsize=9.5, loc="left")
    axes.set_xlabel(f"{panel.unit} (less is faster)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.35, -0.17), ncols=5, frameon=False, fontsize=8,
                handletextpad=0.1, columnspacing=0.9)  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Exit code: 2 for bad use."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks figure", description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="where the runs have written")
    options = parser.parse_args(arguments)
    shown = panels(load(options.results))
    if not shown:
        parser.error(f"{options.results.name} has no results of the runs on numbers and matrices")
    draw(shown, options.results / FIGURE)
    return 0
