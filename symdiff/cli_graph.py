"""The command `symdiff graph`: the computation graph of a formula, and the scheme of a network."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from symdiff.cli_options import DASHES, at_option, emit, formula_options, point_of, program_of, title_of

_SUFFIXES = {".svg": "svg", ".tex": "tikz", ".tikz": "tikz", ".dot": "dot", ".gv": "dot", ".pdf": "pdf"}


@click.command(context_settings=DASHES)
@formula_options
@at_option
@click.option("--format", "form", type=click.Choice(["svg", "tikz", "dot", "pdf"]),
              help="By default what the file's suffix says (.svg, .tex, .dot, .pdf), else svg.")  # fmt: skip
@click.option("--scheme", is_flag=True, help="The layers of neurons of a network instead.")
@click.option("--level", type=click.Choice(["step", "statement"]), default="step", show_default=True,
              help="A node per elementary step, or per statement of the formula.")  # fmt: skip
@click.option("--fragment", is_flag=True, help="TikZ without preamble, for a document of your own (needs tikz).")
@click.option("-o", "--output", metavar="FILE", help="Write to a file; by default to standard output.")
def graph(
    source: str,
    wrt: str | None,
    value_only: bool,
    limits: tuple[str, ...],
    bindings: tuple[str, ...],
    at: tuple[str, ...],
    form: str | None,
    scheme: bool,
    level: str,
    fragment: bool,
    output: str | None,
) -> None:
    """Draw the computation graph; with --at the value above and the adjoint below every edge."""
    chosen = form or _format_of(output, fragment)
    if fragment and chosen != "tikz":
        raise click.UsageError("--fragment goes with --format tikz")
    if scheme and level != "step":
        raise click.UsageError("--scheme draws layers of neurons; --level goes with the computation graph")
    if chosen == "pdf" and output is None and sys.stdout.isatty():
        raise click.UsageError("a PDF does not belong on a terminal; name a file with -o FILE.pdf")
    program = program_of(source, wrt, value_only, limits, bindings)
    made = program.graph(
        point_of(at), format=chosen, scheme=scheme, level=level, fragment=fragment, name=title_of(source)  # type: ignore[arg-type]  # click has checked them
    )  # fmt: skip
    emit(made, output)


def _format_of(output: str | None, fragment: bool) -> str:
    """The language that a file's suffix names."""
    suffix = "" if output is None else Path(output).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if suffix:
        known = ", ".join(dict.fromkeys(_SUFFIXES))
        raise click.UsageError(f"-o {output}: no graph has the suffix {suffix}; take one of {known}, or say --format")
    return "tikz" if fragment else "svg"


__all__ = ["graph"]
