"""What both runs' command lines share."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

RESULTS = Path(__file__).resolve().parent / "results"


class Written(Protocol):
    """A report of either run."""

    def as_markdown(self) -> str: ...
    def as_json(self) -> str: ...


def choose(parser: argparse.ArgumentParser, options: argparse.Namespace, **known: Collection[str]) -> None:
    """Turns an option of comma-separated names into `<option>_names`, in the order of `known`; absent means all."""
    for option, names in known.items():
        chosen = (getattr(options, option) or ",".join(names)).split(",")
        if unknown := sorted(set(chosen) - set(names)):
            parser.error(f"--{option}: unknown {', '.join(unknown)}; known are {', '.join(names)}")
        setattr(options, f"{option}_names", [name for name in names if name in chosen])


def command_line(arguments: Sequence[str]) -> str:
    """The command for the report, without anyone's paths."""
    shown = ["python", "-m", "benchmarks", *arguments]
    return shlex.join(Path(word).name if os.sep in word else word for word in shown)


def publish(report: Written, name: str, folder: Path | None) -> None:
    """Prints the table; with a folder, also writes `name`.md and `name`.json there."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(report.as_markdown(), "utf-8")
        (folder / f"{name}.json").write_text(report.as_json(), "utf-8")
    print(report.as_markdown(), end="")
