"""The command line: results on stdout, messages on stderr; exit 0 ok, 1 check failed, 2 bad use.

Nothing that goes wrong with a formula, a file or a compiler ends in a traceback: every such error is one line that
says what is wrong and where, with the place in the formula under it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from symdiff import pipeline
from symdiff.errors import ParseError, SymdiffError
from symdiff.pipeline import Formula, Limits, Program

_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|nan)")
_BRACKETS = 10_000  # of one array on the command line
_LIMIT_NAMES = ("length", "depth", "steps", "name", "power")
F = TypeVar("F", bound=Callable[..., Any])


class _Command(click.Group):
    """The group that turns our errors into messages."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SymdiffError as error:
            _message(str(error))
            ctx.exit(2)
        except (MemoryError, RecursionError) as error:
            _message(f"the formula is too large for this machine ({type(error).__name__})")
            ctx.exit(2)
        except BrokenPipeError:
            # whoever read our output has stopped; Python would complain again when it flushes at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


def _message(text: str) -> None:
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"symdiff: {text}", style="red")


@click.group(cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(pipeline.VERSION, prog_name="symdiff")
def main() -> None:
    """Write the mathematics once; get the derivation, the code and the speed.

    FORMULA is text such as "x**2 + sin(y)", a file that ends in .sd (or @FILE), - for standard input, or
    module.py:function, whose source is read and never run.
    """


_DASHES = {"ignore_unknown_options": True}  # a formula may begin with a minus sign: -x**2 is no option


def _formula_options(command: F) -> F:
    """What every command that reads a formula takes."""
    command = click.option(
        "--wrt", metavar="A,B", help="Variables to differentiate by; by default all that are not constant."
    )(command)
    command = click.option(
        "--value", "value_only", is_flag=True, help="The value alone, without derivatives; it may then be an array."
    )(command)
    command = click.option(
        "--limit", "limits", multiple=True, metavar="NAME=N", help=f"Raise a limit: {', '.join(_LIMIT_NAMES)}."
    )(command)
    command = click.option(
        "--let",
        "bindings",
        multiple=True,
        metavar="NAME=OP|TEXT|@FILE",
        help="Bind an abstract function: phi=relu, or l='def l(o, y): return sum((o - y)**2)/2'.",
    )(command)
    return click.argument("source", metavar="FORMULA")(command)


_at_option = click.option(
    "--at",
    multiple=True,
    metavar="K=V,...|FILE",
    help="A number for every input, or an array: W=[[1,2],[3,4]]; or a file, .toml or .npz; any number of times.",
)


@main.command(context_settings=_DASHES)
@_formula_options
@click.option("--name", help="Name of the package; by default the file's stem, or `formula`.")
@click.option(
    "-o", "--output", "folder", default=".", metavar="DIR", help="Folder in which the package's folder is made."
)
@_at_option
@click.option("--dtype", type=click.Choice(["float64", "float32"]), default="float64", show_default=True)
@click.option("--force", is_flag=True, help="Overwrite files of an earlier run.")
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
    dtype: str,
    force: bool,
    build_it: bool,
) -> None:
    """Write a package DIR/NAME: Python, C, header, derivation, builder, self-check."""
    program = _program(source, wrt, value_only, limits, bindings)
    chosen = pipeline.package_directory(_stem(source) if name is None else name)
    written = program.write(Path(folder) / chosen, at=_point(at), dtype=dtype, force=force)  # type: ignore[arg-type]  # click has checked it
    click.echo(str(Path(folder) / chosen))
    if build_it:
        click.echo(pipeline.build_package(written))


@main.command(context_settings=_DASHES)
@_formula_options
@_at_option
@click.option("--format", "style", type=click.Choice(["text", "md", "tex", "pdf"]), default="text", show_default=True)
@click.option("--fragment", is_flag=True, help="LaTeX without preamble, for a document of your own (needs amsmath).")
@click.option("-o", "--output", metavar="FILE", help="Write to a file; by default to standard output.")
def derive(
    source: str,
    wrt: str | None,
    value_only: bool,
    limits: tuple[str, ...],
    bindings: tuple[str, ...],
    at: tuple[str, ...],
    style: str,
    fragment: bool,
    output: str | None,
) -> None:
    """Show the derivation, every step; with --at also every number."""
    if fragment and style != "tex":
        raise click.UsageError("--fragment goes with --format tex")
    program, point, name = _program(source, wrt, value_only, limits, bindings), _point(at), _title(source)
    if style == "pdf":
        if output is None and sys.stdout.isatty():
            raise click.UsageError("a PDF does not belong on a terminal; name a file with -o FILE.pdf")
        _emit(program.pdf(point, name=name), output)
    elif style == "tex":
        _emit(program.latex(point, fragment=fragment, name=name), output)
    else:
        render = program.markdown if style == "md" else program.text
        _emit(render(point, name=name), output)


@main.command(context_settings=_DASHES)
@_formula_options
@_at_option
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
    point = _point(at)
    view = _program(source, wrt, value_only, limits, bindings).trace({} if point is None else point)
    shown = view if before is None else view.before(before)
    click.echo(json.dumps(shown.json(), indent=1, allow_nan=False) if as_json else str(shown).rstrip("\n"))


@main.command(context_settings=_DASHES)
@_formula_options
@_at_option
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
    report = _program(source, wrt, value_only, limits, bindings).check(_point(at), points=points)
    click.echo(json.dumps(report.as_dict(), indent=1, allow_nan=False) if as_json else str(report).rstrip("\n"))
    if not report.passed:
        click.get_current_context().exit(1)


@main.command()
def doctor() -> None:
    """Say what this machine gives: compiler, flags, SIMD, cache, TeX."""
    facts = pipeline.doctor()
    width = max(len(name) for name, _ in facts)
    for name, fact in facts:
        click.echo(f"{name.ljust(width)}  {fact}")


# -- reading what the user gave ---------------------------------------------------------------------------------------


def _program(
    source: str, wrt: str | None, value_only: bool, limits: tuple[str, ...], bindings: tuple[str, ...]
) -> Program:
    if value_only and wrt is not None:
        raise click.UsageError("--value has no derivatives, and --wrt says by which variables to take them")
    formula = _formula(source, _limits(limits)).bind(**_bindings(bindings))
    if value_only:
        return formula.value()
    return formula.gradient(None if wrt is None else [name.strip() for name in wrt.split(",")])


def _bindings(given: tuple[str, ...]) -> dict[str, str]:
    """`phi=relu` by name; the text after `=` may be anything that Formula.bind takes."""
    bindings = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.strip().isidentifier():
            raise click.UsageError(f"--let: expected NAME=OP, NAME=TEXT or NAME=@FILE, found {item!r}")
        if name.strip() in bindings:
            raise click.UsageError(f"--let: {name.strip()!r} is given twice")
        bindings[name.strip()] = value.strip()
    return bindings


def _formula(source: str, limits: Limits) -> Formula:
    if source == "-":
        return pipeline.formula(_standard_input(limits), limits=limits)
    if source.startswith("@"):
        return pipeline.formula(Path(source[1:]), limits=limits)
    if source.endswith(".sd"):
        return pipeline.formula(Path(source), limits=limits)
    if pipeline.is_reference(source):
        return pipeline.formula_from_reference(source, limits=limits)
    return pipeline.formula(source, limits=limits)


def _standard_input(limits: Limits) -> str:
    data = sys.stdin.buffer.read(4 * limits.length + 1)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(f"standard input is not UTF-8 (byte {error.start})", text="", at=0) from None


def _stem(source: str) -> str:
    """Name of what is generated: the file's stem, the function's name, or `formula`."""
    if source.startswith("@"):
        return Path(source[1:]).stem
    if source.endswith(".sd"):
        return Path(source).stem
    return source.rsplit(":", 1)[1] if pipeline.is_reference(source) else "formula"


def _title(source: str) -> str:
    """The stem where it is an identifier: a derivation needs no name that a package could have."""
    try:
        return pipeline.package_directory(_stem(source))
    except SymdiffError:
        return "formula"


def _limits(given: tuple[str, ...]) -> Limits:
    fields = {}
    for item in given:
        name, _, number = item.partition("=")
        if name not in _LIMIT_NAMES or not re.fullmatch(r"[0-9]{1,12}", number):
            raise click.UsageError(f"--limit {item!r}: write NAME=N with NAME one of {', '.join(_LIMIT_NAMES)}")
        fields[name] = int(number)
    return Limits().raised(**fields)


def _point(given: tuple[str, ...]) -> dict[str, Any] | None:
    """What all --at say together; None where there is none."""
    values: dict[str, Any] = {}
    for text in given:
        for name, value in _values(text).items():
            if name in values:
                raise click.UsageError(f"--at: {name!r} is given twice")
            values[name] = value
    return values if given else None


def _values(text: str) -> dict[str, Any]:
    """`w1=-3,x=[1,2]`, the table of a TOML file, or the arrays of an NPZ file."""
    if text.endswith(".toml"):
        return _toml(Path(text))
    if text.endswith(".npz"):
        return _npz(Path(text))
    values: dict[str, Any] = {}
    for item in _split(text):
        name, equals, number = (part.strip() for part in item.partition("="))
        value = _value(number) if equals else None
        if value is None:
            raise click.UsageError(
                "--at: expected NAME=NUMBER or NAME=[NUMBER, ...] with matrices as [[...], [...]], "
                f"found {item.strip()!r}"
            )
        if name in values:
            raise click.UsageError(f"--at: {name!r} is given twice")
        values[name] = value
    return values


def _split(text: str) -> list[str]:
    """`text` at its commas outside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _value(text: str) -> Any:
    """A number, or nested lists of numbers; None where it is neither. Nothing is evaluated."""
    if _NUMBER.fullmatch(text):
        return float(text)
    if not (text.startswith("[") and text.endswith("]")) or text.count("[") > _BRACKETS:
        return None
    inside = text[1:-1].strip()
    parts = [_value(part.strip()) for part in _split(inside)] if inside else []
    return None if any(part is None for part in parts) else parts


def _npz(path: Path) -> dict[str, Any]:
    import zipfile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except OSError as error:
        raise SymdiffError(f"--at: cannot read {path}: {error.strerror or error}") from None
    except (ValueError, zipfile.BadZipFile, AttributeError) as error:
        raise SymdiffError(f"--at: {path} is not an NPZ file of numbers: {error}") from None


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SymdiffError(f"--at: cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SymdiffError(f"--at: {path} is not TOML: {error}") from None


def _emit(content: str | bytes, output: str | None) -> None:
    """To standard output, or to a file that is either whole or not there."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    target = Path(output)
    try:
        handle, scratch = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(scratch, 0o666 & ~_umask())
            os.replace(scratch, target)
        except BaseException:
            os.unlink(scratch)
            raise
    except OSError as error:
        raise SymdiffError(f"cannot write {target}: {error.strerror}") from None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
