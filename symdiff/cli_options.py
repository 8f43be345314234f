"""What several commands take: a formula and how to derive it, points, files; nothing that a user types is evaluated."""

from __future__ import annotations

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

from symdiff import optim, pipeline
from symdiff.errors import ParseError, SymdiffError
from symdiff.pipeline import Formula, Limits, Program

_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|nan)")
_BRACKETS = 10_000  # of one array on the command line
_SUFFIX = re.compile(r"\.[A-Za-z]\w*\Z")
_FILES_OF_VALUES = (".npz", ".toml")
INTERRUPTED, TERMINATED = 130, 143  # exit codes after SIGINT (Ctrl-C) and SIGTERM, as shells count them
_LIMIT_NAMES = ("length", "depth", "steps", "name", "power")
F = TypeVar("F", bound=Callable[..., Any])


def message(text: str) -> None:
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"symdiff: {text}", style="red")


DASHES = {"ignore_unknown_options": True}  # a formula may begin with a minus sign: -x**2 is no option


def formula_options(command: F) -> F:
    """What every command takes that derives a formula, or evaluates it alone."""
    command = click.option(
        "--value", "value_only", is_flag=True, help="The value alone, without derivatives; it may then be an array."
    )(command)
    return reading_options(command)


def reading_options(command: F) -> F:
    """What every command that reads a formula takes."""
    command = click.option(
        "--wrt", metavar="A,B", help="Variables to differentiate by; by default all that are not constant."
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


at_option = click.option(
    "--at",
    multiple=True,
    metavar="K=V,...|FILE",
    help="A number for every input, or an array: W=[[1,2],[3,4]]; or a file, .toml or .npz; any number of times.",
)


def document_options(command: F) -> F:
    """What a derivation shows; the names are those of `Program.latex`, and `numbers`."""
    chosen = click.Choice
    said = "Of a fragment: unnumbered sections, paragraphs, or none."
    command = click.option("--headings", type=chosen(pipeline.HEADINGS), help=said)(command)
    said = "Significant digits of the numbers."
    whole = click.IntRange(1, pipeline.MOST_DIGITS)
    command = click.option("--digits", type=whole, default=8, show_default=True, help=said)(command)
    said = "With numbers, at the point of --at or of the formula's defaults; by default where there is --at."
    command = click.option("--numbers/--no-numbers", default=None, help=said)(command)
    said = "One line per elementary step, or per statement of the formula."
    command = click.option("--level", type=chosen(pipeline.LEVELS), default="step", show_default=True, help=said)(
        command
    )
    said = "Everything; a table of the steps; products of partial derivatives; index rules and matrices."
    style = click.option("--style", type=chosen(pipeline.STYLES), default="full", show_default=True, help=said)
    return style(command)


def update_options(command: F) -> F:
    """An update rule, and numbers for its settings."""
    command = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=NUMBER",
        help="A setting of the update rule, such as beta1=0.8.",
    )(command)
    return click.option(
        "--update", "rule", metavar="RULE", help=f"Update rule: {', '.join(optim.commands())}, or a file FILE.sd."
    )(command)


# -- reading what the user gave ---------------------------------------------------------------------------------------


def program_of(
    source: str, wrt: str | None, value_only: bool, limits: tuple[str, ...], bindings: tuple[str, ...]
) -> Program:
    if value_only and wrt is not None:
        raise click.UsageError("--value has no derivatives, and --wrt says by which variables to take them")
    formula = formula_of(source, limits, bindings)
    return formula.value() if value_only else formula.gradient(names_of(wrt))


def names_of(wrt: str | None) -> list[str] | None:
    """What --wrt names."""
    return None if wrt is None else [name.strip() for name in wrt.split(",")]


def ruled(program: Program, rule: str | None, settings: tuple[str, ...], **more: float) -> Program:
    """The program with the update rule that the options name; itself without one."""
    if rule is None:
        if settings:
            raise click.UsageError("--set gives numbers to an update rule, which --update names")
        return program
    numbers: dict[str, float] = dict(more)
    for item in settings:
        name, _, number = (part.strip() for part in item.partition("="))
        if not name.isidentifier() or not _NUMBER.fullmatch(number):
            raise click.UsageError(f"--set: expected NAME=NUMBER, found {item!r}")
        if name in numbers:
            raise click.UsageError(f"--set: {name!r} is given twice")
        numbers[name] = float(number)
    if rule.endswith(".sd"):
        return program.update(optim.rule(Path(rule), Path(rule).stem).set(numbers))
    return program.update(optim.named(rule).set(numbers))


def bindings_of(given: tuple[str, ...]) -> dict[str, str]:
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


def formula_of(source: str, limits: tuple[str, ...], bindings: tuple[str, ...]) -> Formula:
    """The formula, with what --let binds."""
    return _formula(source, _limits(limits)).bind(**bindings_of(bindings))


def _formula(source: str, limits: Limits) -> Formula:
    if source == "-":
        return pipeline.formula(_standard_input(limits), limits=limits)
    if pipeline.is_reference(source) and not _is_text_file(source):
        return pipeline.formula_from_reference(source, limits=limits)
    file = source_file(source)
    return pipeline.formula(source if file is None else Path(file), limits=limits)


def _is_text_file(source: str) -> bool:
    return source.startswith("@") or source.endswith(".sd")


def source_file(source: str) -> str | None:
    """The file that FORMULA is read from; None where it is the formula itself."""
    if _is_text_file(source):
        return source.removeprefix("@")
    return source.rsplit(":", 1)[0] if pipeline.is_reference(source) else None


def _standard_input(limits: Limits) -> str:
    data = sys.stdin.buffer.read(4 * limits.length + 1)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(f"standard input is not UTF-8 (byte {error.start})", text="", at=0) from None


def stem_of(source: str) -> str:
    """Name of what is generated: the file's stem, the function's name, or `formula`."""
    if _is_text_file(source):
        return Path(source.removeprefix("@")).stem
    return source.rsplit(":", 1)[1] if pipeline.is_reference(source) else "formula"


def title_of(source: str) -> str:
    """The stem where it is an identifier: a derivation needs no name that a package could have."""
    try:
        return pipeline.package_directory(stem_of(source))
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


def numbered(point: dict[str, Any] | None, numbers: bool | None) -> dict[str, Any] | None:
    """The point, with --numbers at least that of the defaults, with --no-numbers none."""
    return None if numbers is False else point or ({} if numbers else point)


def point_of(given: tuple[str, ...], option: str = "--at") -> dict[str, Any] | None:
    """What an option that may be repeated says altogether; None where it is not there."""
    values: dict[str, Any] = {}
    for text in given:
        for name, value in _values(text, option).items():
            if name in values:
                raise click.UsageError(f"{option}: {name!r} is given twice")
            values[name] = value
    return values if given else None


def is_file_of_values(text: str) -> bool:
    """Whether --at, --data or --start names a file there."""
    return text.endswith(_FILES_OF_VALUES)


def _values(text: str, option: str) -> dict[str, Any]:
    """`w1=-3,x=[1,2]`, the table of a TOML file, or the arrays of an NPZ file."""
    if is_file_of_values(text):
        return (_toml if text.endswith(".toml") else _npz)(Path(text), option)
    if "=" not in text and (_SUFFIX.search(text) or os.path.exists(text)):
        raise click.UsageError(
            f"{option}: {text!r} is no file that can be read here: give a .npz or .toml file, or NAME=NUMBER"
        )
    values: dict[str, Any] = {}
    for item in _split(text):
        name, equals, number = (part.strip() for part in item.partition("="))
        value = _value(number) if equals else None
        if value is None:
            raise click.UsageError(
                f"{option}: expected NAME=NUMBER or NAME=[NUMBER, ...] with matrices as [[...], [...]], "
                f"found {item.strip()!r}"
            )
        if name in values:
            raise click.UsageError(f"{option}: {name!r} is given twice")
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


def _npz(path: Path, option: str) -> dict[str, Any]:
    import zipfile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except OSError as error:
        raise SymdiffError(f"{option}: cannot read {path}: {error.strerror or error}") from None
    except (ValueError, zipfile.BadZipFile, AttributeError) as error:
        raise SymdiffError(f"{option}: {path} is not an NPZ file of numbers: {error}") from None


def _toml(path: Path, option: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SymdiffError(f"{option}: cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SymdiffError(f"{option}: {path} is not TOML: {error}") from None


def emit(content: str | bytes, output: str | None) -> None:
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


def show_page(page: str, output: str | None) -> None:
    """Write a page to a file, or to a temporary one that stays, and show it in the user's browser.

    Raises SymdiffError where no browser can be started; the file is there nevertheless.
    """
    import webbrowser

    place = output
    if place is None:
        handle, place = tempfile.mkstemp(prefix="symdiff-", suffix=".html")
        os.close(handle)
    emit(page, place)
    path = Path(place).resolve()
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"symdiff: wrote {path}")
    if not webbrowser.open(path.as_uri()):
        raise SymdiffError(f"no browser could be started; open {path} in one yourself")


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
