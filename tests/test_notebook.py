"""The cell magic `%%symdiff`, and the notebook among the examples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import symdiff
from symdiff import examples

EXAMPLE = examples.path("backpropagation.ipynb")
AT = {"w1": -3, "x1": -2, "w2": 2, "x2": -1}
FORMULA = "1/(sin(w1*x1)**2 + cos(w2*x2) + 2)"

magic = pytest.mark.peer("IPython")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An IPython shell with the extension, which leaves nothing behind."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    folder = tmp_path_factory.mktemp("ipython")
    config = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"ipython_dir": str(folder)}})
    found = InteractiveShell.instance(config=config)
    found.run_line_magic("load_ext", "symdiff")
    yield found
    InteractiveShell.clear_instance()


class Cell:
    """What running a cell gave: the media types shown, the error's text, what was printed."""

    def __init__(self, shell: Any, source: str) -> None:
        from IPython.utils.capture import capture_output

        with capture_output() as captured:
            self.result = shell.run_cell(source)
        self.shown = [output.data for output in captured.outputs]
        self.printed = captured.stdout + captured.stderr
        self.error = self.result.error_in_exec


@magic
def test_a_cell_binds_and_shows_a_program(shell: Any) -> None:
    cell = Cell(shell, f"%%symdiff g --wrt x1,w2\n{FORMULA}\n")
    assert cell.result.success
    program = shell.user_ns["g"]
    assert program.wrt == ("x1", "w2")
    (shown,) = cell.shown
    assert shown["text/html"] == program._repr_html_()
    assert program.trace(AT).gradient["w2"] == pytest.approx(0.32921718831127095, rel=1e-14)


@magic
def test_a_point_gives_numbers_in_words_or_by_the_name_of_a_dict(shell: Any) -> None:
    shell.user_ns["here"] = {"w1": -3, "x1": -2}
    first = Cell(shell, f"%%symdiff --at w1=-3,x1=-2,w2=2 --at x2=-1\n{FORMULA}").shown[0]
    second = Cell(shell, f"%%symdiff --at here --at w2=2,x2=-1\n{FORMULA}").shown[0]
    assert first["text/html"] == second["text/html"]
    assert "-0.38853960" in first["text/latex"]


@magic
def test_show_chooses_what_a_cell_shows(shell: Any) -> None:
    shows = " ".join(f"--show {what}" for what in ("trace", "graph", "python", "c", "derivation"))
    cell = Cell(shell, f"%%symdiff h --at w1=-3,x1=-2,w2=2,x2=-1 {shows}\n{FORMULA}")
    program = shell.user_ns["h"]
    trace, graph, python, c, derivation = cell.shown
    assert trace["text/html"] == program.trace(AT)._repr_html_()
    assert program.graph(AT) in graph["text/html"]
    for shown, language in ((python, "python"), (c, "c")):
        assert shown["text/plain"].rstrip() == program.source(language).rstrip()
    assert "<details" not in derivation["text/html"] and "-0.38853960" in derivation["text/plain"]


@magic
def test_options_are_those_of_the_command_line(shell: Any) -> None:
    cell = Cell(shell, "%%symdiff n --let phi=tanh --update adam --set eta=0.5\nphi: function\nw: (2)\nsum(phi(w))")
    assert cell.result.success, cell.printed
    assert shell.user_ns["n"].rule.settings["eta"] == 0.5
    assert "update" in cell.shown[0]["text/html"]
    Cell(shell, "%%symdiff v --value\nx: (2)\n2*x")
    assert shell.user_ns["v"].kind == "value"
    assert "--show [derivation|python|c|graph|trace]" in Cell(shell, "%%symdiff --help\nx").printed


@magic
@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("broken\nx = 3*\nx", "line 1, column 7: expected a number, a name or a bracket"),
        ("broken --nope\nx", "No such option '--nope'"),
        ("broken --wrt z\nx", "wrt: 'z' is not an input"),
        ("broken --wrt x --value\nx", "--value has no derivatives"),
        ("broken --show trace\nx", "--show trace needs a point"),
        ("broken --at nowhere\nx", "'nowhere' is no dict of the notebook"),
        ("broken --at shell_number\nx", "'shell_number' is no dict of the notebook"),
        ("broken --at {shell_number}\nx", "--at: expected NAME=NUMBER"),
        ("broken --at x=1 --at x=2\nx", "'x' is given twice"),
        ("broken --at twice --at x=2\nx", "'x' is given twice"),
        ("broken --at y=1\nx", "'y' is not an input"),
        ("broken --update sgdd\nx", "no update rule 'sgdd'"),
        ("2x\nx", "'2x' is no name for a program"),
        ("lambda\nx", "'lambda' is no name for a program"),
        ("'broken\nx", "no closing quotation"),
        ("broken\nlog(-1) + x", "line 1, column 1"),
    ],
)
def test_an_error_is_told_without_a_traceback_and_binds_nothing(shell: Any, cell: str, said: str) -> None:
    shell.user_ns.update(shell_number=3, twice={"x": 1.0})
    done = Cell(shell, f"%%symdiff {cell}")
    assert not done.result.success and isinstance(done.error, symdiff.SymdiffError)
    assert done.printed.startswith("symdiff: ") and said in done.printed, done.printed
    assert "Traceback" not in done.printed and 'File "' not in done.printed
    assert "broken" not in shell.user_ns and not done.shown


@magic
def test_a_parse_error_has_its_caret(shell: Any) -> None:
    printed = Cell(shell, "%%symdiff broken\ny = sin(x)\ny + *x").printed.splitlines()
    assert printed[0].startswith("symdiff: line 2, column 5:")
    assert printed[1].endswith("| y + *x") and printed[2].index("^") == printed[1].index("*")


def test_symdiff_needs_no_ipython() -> None:
    probe = (
        "import sys; sys.modules['IPython'] = None; import symdiff; "
        "print(len(symdiff.formula('x*y').gradient()._repr_html_())); print('symdiff.notebook' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=120)
    size, loaded = done.stdout.split()
    assert int(size) > 1000 and loaded == "False", done.stderr


# -- the example ------------------------------------------------------------------------------------------------------


def test_the_example_is_committed_without_outputs() -> None:
    text = EXAMPLE.read_text("utf-8")
    notebook = json.loads(text)
    assert text == json.dumps(notebook, indent=1) + "\n"
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    cells = notebook["cells"]
    assert [cell["id"] for cell in cells] == [f"cell-{k:02}" for k in range(1, len(cells) + 1)]
    assert not [cell["id"] for cell in cells if cell.get("outputs") or cell.get("execution_count") or cell["metadata"]]


def test_the_examples_are_listed_with_the_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    from symdiff.examples.__main__ import main

    assert main([]) == 0
    assert f"{EXAMPLE}  Backpropagation, one step at a time" in capsys.readouterr().out


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[dict[str, Any]]:
    """The example after a run in a kernel of this Python: first line of a cell's source -> its outputs."""
    import nbformat
    from nbclient import NotebookClient

    folder = tmp_path_factory.mktemp("jupyter")
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    places = ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    with pytest.MonkeyPatch.context() as patch:
        for name in places:
            patch.setenv(name, str(folder / name.lower()))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        patch.setenv("PYTHONPATH", path)
        notebook = nbformat.read(EXAMPLE, as_version=4)
        nbformat.validate(notebook)
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
        client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    yield {cell.source.split("\n")[-1]: cell.outputs for cell in cells}


@pytest.mark.peer("nbclient", "ipykernel")
def test_the_example_runs(executed: dict[str, Any]) -> None:
    """Every cell without an error, and what it shows is what it says."""
    kinds = {output.output_type for outputs in executed.values() for output in outputs}
    assert kinds <= {"execute_result", "display_data", "stream"}
    formula = symdiff.formula(FORMULA)
    program = formula.gradient()
    for source, shown in (("f", formula), ("g", program), ("t", program.trace(AT))):
        assert executed[source][0].data["text/html"] == shown._repr_html_()
    assert executed["SVG(g.graph(at))"][0].data["image/svg+xml"].startswith("<svg")
    state = executed['t.before("v5")'][0].data["text/plain"]
    assert state == str(program.trace(AT).before("v5")).rstrip("\n")
    assert "formula.gradient(w1, x1, w2, x2)" in executed["kernel"][0].data["text/html"]
    assert r"\boxed" in executed["L = mean((Y - t)**2)"][0].data["text/latex"]


@pytest.mark.peer("nbclient", "ipykernel")
def test_the_numbers_of_the_example_are_right(executed: dict[str, Any]) -> None:
    gradient = symdiff.formula(FORMULA).gradient().trace(AT).gradient
    differences = printed(executed, "central difference")
    assert len(differences) == 4
    for line, (name, value) in zip(differences, gradient.items(), strict=True):
        assert line == f"{name}: reverse sweep {value:+.8f}, central difference {value:+.8f}"
    adjoints = executed['v4_bar, v4_bar * at["x2"]  # the adjoint of v4, and from it that of w2'][0].data["text/plain"]
    assert f"{gradient['w2']:.12f}" in adjoints
    losses = [float(line.rpartition(" ")[2]) for line in printed(executed, "loss")]
    assert losses == sorted(losses, reverse=True) and losses[0] > 0.2 and losses[-1] < 1e-3
    outputs = [float(line.rpartition(" ")[2]) for line in printed(executed, " xor ")]
    assert [round(output) for output in outputs] == [0, 1, 1, 0]


def printed(executed: dict[str, Any], mark: str) -> list[str]:
    """Printed lines with `mark` in them."""
    streams = [output.text for outputs in executed.values() for output in outputs if output.output_type == "stream"]
    return [line for text in streams for line in text.splitlines() if mark in line]
