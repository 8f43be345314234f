"""The cell magic of notebooks: `%load_ext symdiff`, then a cell that begins with `%%symdiff`.

    %%symdiff [NAME] [--wrt a,b] [--at x=1,y=2] [--show derivation|python|c|graph|trace] [--update RULE] ...
    the formula

The program is put into the notebook's namespace under NAME, and the cell shows it. What is wrong with the formula or
the options is the error of the cell, in the words of the command line and without a traceback: "run all" stops there.

IPython is imported here alone, and only when it loads the extension: symdiff works without it.
"""

from __future__ import annotations

import keyword
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from symdiff import pipeline
from symdiff.cli_options import at_option, bindings_of, names_of, point_of, ruled, update_options
from symdiff.errors import SymdiffError, nearest, quoted
from symdiff.pipeline import Program

_SHOWN = ("derivation", "python", "c", "graph", "trace")
_NEEDS_POINT = "--show trace needs a point: --at x=1,y=2, or --at NAME of a dict"


@click.command(
    "%%symdiff",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The program of the formula in the cell, as NAME. --at may also name a dict of the notebook.",
)
@click.argument("name", required=False)
@click.option("--wrt", metavar="A,B", help="Variables to differentiate by; by default all that are not constant.")
@click.option("--value", "value_only", is_flag=True, help="The value alone, without derivatives.")
@at_option
@click.option("--let", "bindings", multiple=True, metavar="NAME=OP|TEXT|@FILE", help="Bind an abstract function.")
@update_options
@click.option(
    "--show",
    multiple=True,
    type=click.Choice(_SHOWN),
    help="What the cell shows instead of statement and gradient; any number of times.",
)
def _options(**given: Any) -> dict[str, Any]:
    return given


def register(shell: Any) -> None:
    """Give an IPython shell the magic. Its line is not expanded: `{...}` and `$...` in it are no Python."""
    from IPython.core.magic import no_var_expand

    def symdiff(line: str, cell: str) -> None:
        """A formula as a cell; `%%symdiff --help` lists the options."""
        try:
            run(line, cell, shell.user_ns)
        except (SymdiffError, click.ClickException, MemoryError, RecursionError) as error:
            raise _told(error) from None

    shell.register_magic_function(no_var_expand(symdiff), magic_kind="cell", magic_name="symdiff")


def run(line: str, cell: str, namespace: dict[str, Any]) -> None:
    """What the magic does: binds the program in `namespace` and displays it.

    Raises SymdiffError for the formula and click.UsageError for the line; then nothing has been bound or shown.
    """
    given = _parsed(line)
    if given is None:
        return
    program = _program(cell, given)
    point = _point(given["at"], namespace)
    shown = [_view(what, program, point) for what in given["show"]]
    if not shown:
        shown = [program if point is None else program.show(point)]
    if given["name"] is not None:
        namespace[given["name"]] = program
    _display(shown)


def _parsed(line: str) -> dict[str, Any] | None:
    """The options; None where help was asked for and has been printed."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise click.UsageError(f"%%symdiff: {str(error).lower()} in {quoted(line)}") from None
    given: Any = _options.main(words, prog_name="%%symdiff", standalone_mode=False)
    if not isinstance(given, dict):
        return None
    name = given["name"]
    if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
        raise click.UsageError(
            f"{quoted(name)} is no name for a program: the formula stands in the lines below, the name of a Python "
            "variable behind %%symdiff"
        )
    return given


def _program(cell: str, given: Mapping[str, Any]) -> Program:
    if given["value_only"] and given["wrt"] is not None:
        raise click.UsageError("--value has no derivatives, and --wrt says by which variables to take them")
    formula = pipeline.formula(cell).bind(**bindings_of(given["bindings"]))
    program = formula.value() if given["value_only"] else formula.gradient(names_of(given["wrt"]))
    return ruled(program, given["rule"], given["settings"])


def _point(given: Sequence[str], namespace: Mapping[str, Any]) -> dict[str, Any] | None:
    """What every --at says together: numbers, files, and dicts of the notebook by name."""
    named = [text for text in given if text.isidentifier()]
    point = point_of(tuple(text for text in given if text not in named))
    if not named:
        return point
    values = dict(point or {})
    for text in named:
        found = namespace.get(text)
        if not isinstance(found, Mapping):
            dicts = [name for name, value in namespace.items() if isinstance(value, Mapping) and name[:1] != "_"]
            raise click.UsageError(f"--at: {quoted(text)} is no dict of the notebook{nearest(text, dicts)}")
        for name, value in found.items():
            if name in values:
                raise click.UsageError(f"--at: {quoted(str(name))} is given twice")
            values[name] = value
    return values


def _view(what: str, program: Program, point: Mapping[str, Any] | None) -> Any:
    """What one --show displays."""
    ipython = import_module("IPython.display")
    if what == "trace":
        if point is None:
            raise click.UsageError(_NEEDS_POINT)
        return program.trace(point)
    if what == "graph":
        return ipython.HTML(f'<div style="overflow-x: auto">{program.graph(point)!s}</div>')
    if what == "derivation":
        return program.show(point, folded=False)
    return ipython.Code(program.source(what), language=what)


def _display(shown: Iterable[Any]) -> None:
    ipython = import_module("IPython.display")
    for each in shown:
        ipython.display(each)


def _told(error: Exception) -> SymdiffError:
    """The error with its message in the place of a traceback, which is what IPython asks `_render_traceback_` for."""
    if isinstance(error, click.ClickException):
        told = SymdiffError(error.format_message())
    elif isinstance(error, SymdiffError):
        told = error
    else:
        told = SymdiffError(f"the formula is too large for this machine ({type(error).__name__})")
    lines: Callable[[], list[str]] = f"symdiff: {told}".split("\n").copy
    setattr(told, "_render_traceback_", lines)  # noqa: B010  # a name of IPython's, not of the class
    return told


__all__ = ["register", "run"]
