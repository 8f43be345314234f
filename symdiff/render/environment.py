"""One strict Jinja environment per language."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import BytecodeCache, Environment


def template_root() -> Path:
    """The folder of the templates: `symdiff/templates` in a wheel, `templates` at the top of a checkout.

    setuptools maps the top-level folder into the package (`package-dir`), which an editable install does not carry out.
    """
    package = Path(__file__).resolve().parents[1]
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"


_DELIMITERS = {
    "block_start_string": "<%",
    "block_end_string": "%>",
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}


# Where compiled templates are kept between processes, by language; nowhere by default: rendering knows no disk.
_bytecode: Callable[[str], BytecodeCache | None] = lambda language: None  # noqa: E731  # it is replaced


def keep_bytecode(caches: Callable[[str], BytecodeCache | None]) -> None:
    """Use the Jinja cache that `caches` gives for a language, in environments that are made from now on."""
    global _bytecode
    _bytecode = caches


@cache
def environment(language: str) -> Environment:
    """The environment for the templates of one folder: HTML and SVG are escaped, LaTeX and Typst have other marks."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        bytecode_cache=_bytecode(language),
        loader=FileSystemLoader(template_root() / language),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=language in ("html", "svg"),
        **(_DELIMITERS if language in ("latex", "tikz", "typst") else {}),  # type: ignore[arg-type]  # all are strings
    )


def render(language: str, template: str, **context: object) -> str:
    """The template filled in; always ASCII, always ends in one newline."""
    text = environment(language).get_template(template).render(**context)
    if language == "svg":
        text = text.encode("ascii", "xmlcharrefreplace").decode()
    if not text.isascii():
        text.encode("ascii")  # raises, and names the character
    if text[-1:] == "\n" and text[-2:] != "\n\n":  # a text of many megabytes is not copied
        return text
    return text.rstrip("\n") + "\n"
