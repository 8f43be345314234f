"""Code and packages of long programs: chunks, workspace, stack, headers that stay short, derivations left out."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import symdiff
from symdiff.cli import main


@cache
def long_text(statements: int) -> str:
    """A formula of 5 inputs and two steps a statement."""
    lines = [f"a{k} = sin(a{k - 1})*x{k % 5}" for k in range(1, statements)]
    return "\n".join(["a0 = x0*x1*x2*x3*x4", *lines, f"a{statements - 1}"])


def heavy(x: Any) -> Any:
    """So many values that are needed again at the end that they do not go on the stack."""
    state = [(v * (n + 1)).sin() for n in range(480) for v in x]
    return sum(a * b for a, b in zip(state, reversed(state), strict=True))


def wide(W: Any, x: Any) -> Any:
    """736 inputs, of which no function can have a parameter each."""
    return ((W @ x) ** 2).sum()


PROGRAMS = {
    "named": lambda: symdiff.formula(long_text(1100)).gradient(),
    "wide": lambda: symdiff.trace_function(wide, (22, 32), 32, constants=["x"]).gradient(),
    "heavy": lambda: symdiff.trace_function(heavy, 5).gradient(),
}


def stack_of_calls(source: Path, options: list[str]) -> int:
    """Bytes of the frames that are live together in the deepest call, as the compiler counts them."""
    compiler = shutil.which("gcc") or shutil.which("clang") or "cc"
    made = source.with_suffix(".o")
    subprocess.run([compiler, "-std=c99", *options, "-fstack-usage", "-c", source, "-o", made], check=True)
    lines = [line.split("\t") for line in source.with_suffix(".su").read_text().splitlines()]
    frames = {line[0].rpartition(":")[2]: int(line[1]) for line in lines}
    name, deepest = source.stem, 0
    for kind in ("value", "gradient"):
        chunk = max([size for each, size in frames.items() if each.startswith(f"sd_{kind}_")], default=0)
        forms = (f"{name}_{kind}_packed", f"{name}_{kind}_arrays", f"{name}_{kind}_batch")
        deepest = max(deepest, chunk + sum(frames.get(form, 0) for form in forms))
    return deepest


@pytest.mark.compiler
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_headers_say_how_much_stack_a_call_needs(tmp_path: Path, name: str) -> None:
    program = PROGRAMS[name]()
    source, header = program.source("c", name=name), program.source("h", name=name)
    (tmp_path / f"{name}.c").write_text(source)
    (tmp_path / f"{name}.h").write_text(header)
    said = r" \* A call needs up to (\d+) KiB of stack(, besides the workspace)?\.\n"
    found = re.search(said, header)
    assert found and found[0] in source and bool(found[2]) == (name == "heavy")
    for options in (["-O0"], ["-O2"]) if name != "heavy" else (["-O0"],):  # optimising many chunks takes seconds
        needed = stack_of_calls(tmp_path / f"{name}.c", options)
        assert 0.3 * 1024 * int(found[1]) < needed <= 1024 * int(found[1]), options


def test_short_formulas_say_nothing_of_stack() -> None:
    program = symdiff.formula("sin(x)*y").gradient()
    assert "stack" not in program.source("c").partition("*/")[0] + program.source("h")


def test_a_header_of_many_inputs_speaks_of_arrays_alone() -> None:
    header = PROGRAMS["wide"]().source("h", name="wide")
    assert "The same" not in header  # as what?
    assert "W_0_0" not in header and "d_W" not in header  # there is no such parameter
    gradient = header[header.index("/* Value and gradient") :]
    too_many = "There are too many numbers to give each a parameter: they lie in arrays, matrices row by row."
    expected = f"""/* Value and gradient. {too_many}
 *   in[0] to in[703]: W, 22 x 32 matrix
 *   in[704] to in[735]: x, vector of length 32, constant
 *   out[0]: value
 *   out[1] to out[704]: derivative of the value by W
 */
/* One point; and n points: a pointer and a stride for each of the numbers above. */
int wide_gradient_packed("""
    assert gradient.startswith(expected)


def test_a_header_of_many_scalars_says_where_each_is() -> None:
    header = symdiff.formula("+".join(f"x{k}**2" for k in range(70))).gradient().source("h")
    assert " *   in[69]: x69, input\n *   out[0]: value\n *   out[1]: derivative of the value by x0\n" in header
    assert "The same" not in header and "row by row" not in header


def test_headers_break_long_calls() -> None:
    shapes = [(2, 2)] * 26

    def many(*matrices: Any) -> Any:
        return sum((matrix * matrix).sum() for matrix in matrices)

    program = symdiff.trace_function(many, *shapes, names=[f"matrix_{k}" for k in range(26)]).gradient()
    for language in ("python", "c", "h"):
        text = program.source(language)
        start = text.index("To make it again")
        head = text[start : text.index("perations: ", start)]
        assert max(map(len, head.splitlines())) <= 120
        call = re.sub(r"\s+(\* )?\s*", " ", head[head.index("symdiff.trace_function") : head.index(".gradient(")])
        assert call == f"symdiff.trace_function(many, {', '.join(map(str, shapes))})"


@pytest.mark.parametrize("arrays", [False, True])
def test_of_many_steps_left_out_the_first_are_named(arrays: bool) -> None:
    declared = "x: 3\n" if arrays else ""
    repeated = [f"a{k} = sin(x)" for k in range(40)]
    text = declared + "\n".join([*repeated, f"sum({'+'.join(f'a{k}' for k in range(40))})" if arrays else "a0"])
    if not arrays:
        text = text.removesuffix("a0") + "+".join(f"a{k}" for k in range(40))
    program = symdiff.formula(text).gradient()
    notes = program.code_tape.notes
    assert len(notes) > 30
    for language in ("c", "python"):
        source = program.source(language)
        start = source.index("Steps left out of the code: ")
        said = re.sub(r"\s+(\* )?", " ", source[start : start + 2000])
        assert f"{notes[19].text}; and {len(notes) - 20} more" in said
        assert notes[20].text not in source[:start] + said.partition(" more")[0]


def test_all_steps_left_out_are_named_where_they_are_few() -> None:
    program = symdiff.formula("a = sin(x)\nb = sin(x)\na*b").gradient()
    (note,) = program.code_tape.notes
    assert f"\nSteps left out of the code: {note.text}.\n" in program.source("python")
    assert f" * Steps left out of the code: {note.text}\n" in program.source("c")


def test_the_readme_speaks_of_the_workspace_where_there_is_one(tmp_path: Path) -> None:
    PROGRAMS["heavy"]().write(tmp_path / "heavy", derivation=False)
    readme = (tmp_path / "heavy" / "README.md").read_text()
    header = (tmp_path / "heavy" / "heavy.h").read_text()
    assert "take a workspace as their last argument" in readme
    (function,) = re.findall(r"`(\w+_packed_workspace)\(\)`", readme)
    assert f"size_t {function}(void);" in header
    symdiff.formula("x*y").gradient().write(tmp_path / "light")
    assert "workspace" not in (tmp_path / "light" / "README.md").read_text().replace("_runtime", "")


def test_a_long_program_is_written_without_its_derivation(tmp_path: Path) -> None:
    program = symdiff.formula(long_text(1001)).gradient()
    assert 2000 < len(program.primal.primal) < 2010
    with pytest.warns(UserWarning, match=r"the derivation of 2\d+ steps is left out; derivation=True writes it"):
        folder = program.write(tmp_path / "lengthy")
    assert not (folder / "lengthy.md").exists() and not (folder / "lengthy.tex").exists()
    readme = (folder / "README.md").read_text()
    assert f"The derivation ({len(program.steps)} steps, with the reverse sweep) is left out; `--derivation`" in readme
    assert "lengthy.md" not in readme
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program.write(tmp_path / "all" / "lengthy", derivation=True)
        symdiff.formula(long_text(998)).gradient().write(tmp_path / "shorter")
    assert (tmp_path / "all" / "lengthy" / "lengthy.md").read_text() == program.markdown(name="lengthy")
    assert (tmp_path / "all" / "lengthy" / "lengthy.tex").exists() and (tmp_path / "shorter" / "shorter.md").exists()


def test_a_short_program_without_its_derivation(tmp_path: Path) -> None:
    folder = symdiff.trace_function(wide, (2, 2), 2).gradient().write(tmp_path / "brief", derivation=False)
    assert not (folder / "brief.md").exists()
    assert "`derivation=True` in `write` below adds it" in (folder / "README.md").read_text()


def test_the_command_says_that_a_derivation_is_left_out(tmp_path: Path) -> None:
    source = tmp_path / "lengthy.sd"
    source.write_text(long_text(1001) + "\n")
    done = CliRunner().invoke(main, ["generate", str(source), "-o", str(tmp_path / "a")])
    assert done.exit_code == 0 and "steps is left out; --derivation writes it all the same" in done.stderr
    assert not (tmp_path / "a" / "lengthy" / "lengthy.md").exists()
    done = CliRunner().invoke(main, ["generate", str(source), "-o", str(tmp_path / "b"), "--derivation"])
    assert done.exit_code == 0 and not done.stderr and (tmp_path / "b" / "lengthy" / "lengthy.md").exists()
