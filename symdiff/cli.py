"""The command line: results on stdout, messages on stderr; exit 0 ok, 1 check failed or diverged, 2 bad use, 130
interrupted, 143 a training was terminated.

Nothing that goes wrong with a formula, a file or a compiler ends in a traceback: every such error is one line that
says what is wrong and where, with the place in the formula under it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from symdiff import pipeline
from symdiff.cli_graph import graph
from symdiff.cli_options import (
    DASHES,
    INTERRUPTED,
    at_option,
    document_options,
    emit,
    formula_options,
    message,
    numbered,
    point_of,
    program_of,
    ruled,
    show_page,
    stem_of,
    title_of,
    update_options,
)
from symdiff.cli_serve import serve
from symdiff.cli_train import train
from symdiff.errors import SymdiffError


class _Command(click.Group):
    """The group that turns our errors into messages."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SymdiffError as error:
            message(str(error))
            ctx.exit(2)
        except (MemoryError, RecursionError) as error:
            message(f"the formula is too large for this machine ({type(error).__name__})")
            ctx.exit(2)
        except KeyboardInterrupt:
            message("interrupted")
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # whoever read our output has stopped; Python would complain again when it flushes at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


@click.group(cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(pipeline.VERSION, prog_name="symdiff")
def main() -> None:
    """Write the mathematics once; get the derivation, the code and the speed.

    FORMULA is text such as "x**2 + sin(y)", a file that ends in .sd (or @FILE), - for standard input, or
    module.py:function, whose source is read and never run.
    """


@main.command(context_settings=DASHES)
@formula_options
@click.option("--name", help="Name of the package; by default the file's stem, or `formula`.")
@click.option(
    "-o", "--output", "folder", default=".", metavar="DIR", help="Folder in which the package's folder is made."
)
@at_option
@update_options
@click.option("--dtype", type=click.Choice(["float64", "float32"]), default="float64", show_default=True)
@click.option("--force", is_flag=True, help="Overwrite files of an earlier run.")
@click.option(
    "--derivation/--no-derivation", default=None, help="With the derivation; by default for up to 2,000 steps."
)
@click.option("--build", "build_it", is_flag=True, help="Compile the package's kernel too (python -m NAME.build).")
def generate(
    source: str,
    wrt: str | None,
    value_only: bool,
    limits: tuple[str, ...],
    bindings: tuple[str, ...],
    name: str | None,
    folder: str,
    at: tuple[str, ...],
    rule: str | None,
    settings: tuple[str, ...],
    dtype: str,
    force: bool,
    derivation: bool | None,
    build_it: bool,
) -> None:
    """Write a package DIR/NAME: Python, C, header, derivation, builder, self-check."""
    program = ruled(program_of(source, wrt, value_only, limits, bindings), rule, settings)
    chosen = pipeline.package_directory(stem_of(source) if name is None else name)
    if derivation is None and program.too_long_to_derive:
        message(f"{program.too_long_to_derive}; --derivation writes it all the same")
        derivation = False
    written = program.write(
        Path(folder) / chosen,
        at=point_of(at),
        dtype=dtype,  # type: ignore[arg-type]  # click has checked it
        force=force,
        derivation=derivation,
    )
    click.echo(str(Path(folder) / chosen))
    if build_it:
        click.echo(pipeline.build_package(written))


@main.command(context_settings=DASHES)
@formula_options
@at_option
@update_options
@document_options
@click.option(
    "--format", "form", type=click.Choice(["text", "md", "tex", "pdf", "html"]), default="text", show_default=True
)
@click.option("--fragment", is_flag=True, help="LaTeX without preamble, for a document of your own (needs amsmath).")
@click.option("--macros", is_flag=True, help="Print the macros that a fragment needs, and nothing else.")
@click.option("--open", "opens", is_flag=True, help="Show the page of --format html in your browser.")
@click.option(
    "--pdf-engine",
    "engine",
    type=click.Choice(pipeline.ENGINES),
    help="What makes a PDF; by default TeX, else Typst.",
)
@click.option("-o", "--output", metavar="FILE", help="Write to a file; by default to standard output.")
def derive(
    source: str,
    wrt: str | None,
    value_only: bool,
    limits: tuple[str, ...],
    bindings: tuple[str, ...],
    at: tuple[str, ...],
    rule: str | None,
    settings: tuple[str, ...],
    form: str,
    fragment: bool,
    macros: bool,
    numbers: bool | None,
    headings: str | None,
    opens: bool,
    engine: str | None,
    output: str | None,
    **shown: Any,
) -> None:
    """Show the derivation, every step; with --at also every number.

    --format html writes one page that needs no network: derivation, graph and code to step through. --open shows it in
    your browser, from a temporary file where -o names none.
    """
    if fragment and form != "tex":
        raise click.UsageError("--fragment goes with --format tex")
    if opens and form != "html":
        raise click.UsageError("--open goes with --format html")
    if engine is not None and form != "pdf":
        raise click.UsageError("--pdf-engine goes with --format pdf")
    if headings is not None and not fragment:
        raise click.UsageError("--headings goes with --fragment")
    program = ruled(program_of(source, wrt, value_only, limits, bindings), rule, settings)
    point, name = numbered(point_of(at), numbers), title_of(source)
    if macros:
        emit(
            pipeline.MACROS or "% no macros are needed: \\usepackage{amsmath} is all that a fragment asks for\n", output
        )
    elif form == "pdf":
        if output is None and sys.stdout.isatty():
            raise click.UsageError("a PDF does not belong on a terminal; name a file with -o FILE.pdf")
        emit(program.pdf(point, name=name, engine=engine or "auto", **shown), output)  # type: ignore[arg-type]  # click has checked it
    elif form == "html":
        page = program.html(point, name=name, **shown)
        show_page(page, output) if opens else emit(page, output)
    elif form == "tex":
        emit(program.latex(point, fragment=fragment, name=name, headings=headings or "section", **shown), output)  # type: ignore[arg-type]  # click has checked it
    else:
        render = program.markdown if form == "md" else program.text
        emit(render(point, name=name, **shown), output)


@main.command(context_settings=DASHES)
@formula_options
@at_option
@click.option("--before", metavar="NAME", help="The state of all adjoints just before NAME sends its own back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def trace(
    source: str,
    wrt: str | None,
    value_only: bool,
    limits: tuple[str, ...],
    bindings: tuple[str, ...],
    at: tuple[str, ...],
    before: str | None,
    as_json: bool,
) -> None:
    """Show every node's value and every adjoint, step by step."""
    point = point_of(at)
    view = program_of(source, wrt, value_only, limits, bindings).trace({} if point is None else point)
    shown = view if before is None else view.before(before)
    click.echo(json.dumps(shown.json(), indent=1, allow_nan=False) if as_json else str(shown).rstrip("\n"))


@main.command(context_settings=DASHES)
@formula_options
@at_option
@click.option(
    "--points", default=3, show_default=True, type=click.IntRange(0, 100), help="Points to find automatically."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    source: str,
    wrt: str | None,
    value_only: bool,
    limits: tuple[str, ...],
    bindings: tuple[str, ...],
    at: tuple[str, ...],
    points: int,
    as_json: bool,
) -> None:
    """Put the generated code to the test: dot products, finite differences, complex step, 50 digits."""
    report = program_of(source, wrt, value_only, limits, bindings).check(point_of(at), points=points)
    click.echo(json.dumps(report.as_dict(), indent=1, allow_nan=False) if as_json else str(report).rstrip("\n"))
    if not report.passed:
        click.get_current_context().exit(1)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Say what this machine gives, and what to install to be faster: compiler, SIMD, vector maths, BLAS, cache, TeX.

    The exit code is 1 where C kernels cannot be built: no compiler, one that does not work, or no cffi.
    """
    found = pipeline.doctor()
    click.echo(found.as_json() if as_json else str(found))
    if not found.kernels:
        click.get_current_context().exit(1)


main.add_command(graph)
main.add_command(serve)
main.add_command(train)
