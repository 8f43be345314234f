"""The table of a matrix run, in ratios, and its JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.table import Row, digits, line, ratio


@dataclass(frozen=True)
class Report:
    """All of one run. A row's `measure` is the label of its sizes."""

    command: str
    rounds: int
    machine: dict[str, Any]
    problems: dict[str, str]  # title by name
    sizes: dict[str, dict[str, dict[str, int]]]  # by problem and label
    contestants: dict[str, str]  # title by name, in the order of the columns
    left_out: dict[str, str]  # contestant: why
    rows: list[Row]

    def as_json(self) -> str:
        """The report as indented JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def as_markdown(self) -> str:
        """A line per problem and size: the first contestant's time, the others' as multiples of it."""
        lines = ["# Value and gradient of formulas of matrices: symdiff beside its peers", "", f"`{self.command}`", ""]
        lines += [f"- {name}: {fact}" for name, fact in self.machine.items()]
        lines += [f"- medians of {self.rounds} rounds, all contestants in turn in each round; float64, one thread"]
        lines += ["- before timing, the results of all contestants agreed to 1e-9 of the largest entry of each array"]
        lines += [f"- {name}: {title}" for name, title in self.contestants.items()]
        lines += [f"- left out: {name} ({why})" for name, why in self.left_out.items()]
        return "\n".join([*lines, "", *self._table()]) + "\n"

    def _table(self) -> list[str]:
        base, *others = self.contestants
        own = [f"{base} / products"] if "products" in others and base != "products" else []
        others = [name for name in others if not own or name != "products"]
        head = ["problem", "size", f"{base}, us", *own, *(f"{name} / {base}" for name in others)]
        lines = [line(head), line(["---", "---", *["---:"] * (len(head) - 2)])]
        times = {(row.formula, row.measure, row.contestant): row.median for row in self.rows}
        for problem, label in dict.fromkeys((row.formula, row.measure) for row in self.rows):
            time = {name: times.get((problem, label, name)) for name in self.contestants}
            microseconds = None if time[base] is None else time[base] / 1000
            sizes = ", ".join(f"{letter} = {size:,}" for letter, size in self.sizes[problem][label].items())
            ratios = [ratio(time[base], time["products"])] if own else []
            ratios += [ratio(time[name], time[base]) for name in others]
            lines.append(line([self.problems[problem], sizes, digits(microseconds), *ratios]))
        return lines
