"""What `symdiff doctor` finds out: whether kernels can be compiled here, and what to install to be faster."""

from __future__ import annotations

import json
import platform
import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

from symdiff.build.fact import Fact, gathered
from symdiff.build.machine import NEEDED, machine_facts
from symdiff.render.c_source import VECTOR

COLUMNS = 80
DISTRIBUTION = "symdiff-codegen"
# Extra: modules that it brings, and what it is for.
EXTRAS = {
    "pdf": (("typst",), "PDFs without TeX"),
    "plot": (("matplotlib",), "figures of trainings"),
    "serve": (("starlette", "uvicorn"), "the page of `symdiff serve`"),
}


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was found. `kernels`: whether C kernels can be compiled and loaded on this machine."""

    version: str
    python: str
    facts: tuple[Fact, ...]

    @property
    def kernels(self) -> bool:
        """Nothing that compiled kernels need is missing."""
        return all(fact.state == "ok" for fact in self.facts if fact.name in NEEDED)

    def as_json(self) -> str:
        """The same for programs."""
        found = {"symdiff": self.version, "python": self.python, "kernels": self.kernels}
        return json.dumps(found | {"facts": [fact.as_dict() for fact in self.facts]}, indent=1)

    def __str__(self) -> str:
        lines = [f"symdiff {self.version}, {self.python}", ""]
        width = max(len(fact.name) for fact in self.facts)
        for fact in self.facts:
            lines += _paragraph(f"{fact.state:<8} {fact.name:<{width}}  ", fact.text)
            if fact.remedy:
                lines += _paragraph(" " * (11 + width), fact.remedy)
        last = "C kernels can be built here." if self.kernels else "C kernels cannot be built here: NumPy is used."
        return "\n".join([*lines, "", last])


def _paragraph(head: str, text: str) -> Iterator[str]:
    """`text` beside `head`, no line beyond COLUMNS unless one word is."""
    wrapped = textwrap.wrap(
        text, COLUMNS - len(head), break_long_words=False, break_on_hyphens=False
    )  # a path or a flag is copied whole
    for place, each in enumerate(wrapped or [""]):
        yield (head if not place else " " * len(head)) + each


def diagnose(own_version: str) -> Diagnosis:
    """Looks at this machine. Never raises."""
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    questions: list[tuple[str, Callable[[], Fact]]] = [("TeX", _tex)]
    questions += [(name, partial(_extra, name)) for name in EXTRAS]
    return Diagnosis(own_version, python, (*machine_facts(tuple(VECTOR)), *gathered(questions)))


def _tex() -> Fact:
    if shutil.which("pdflatex"):
        return Fact("TeX", "ok", "pdflatex: PDFs of derivations")
    remedy = "PDFs need it or Typst; on Debian: apt-get install texlive-latex-recommended lmodern"
    return Fact("TeX", "missing", "no pdflatex", remedy)


def _extra(name: str) -> Fact:
    modules, use = EXTRAS[name]
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        return Fact(name, "missing", f"{', '.join(missing)}: {use}", f"pip install '{DISTRIBUTION}[{name}]'")
    return Fact(name, "ok", f"{', '.join(f'{module} {version(module)}' for module in modules)}: {use}")


__all__ = ["Diagnosis", "diagnose"]
