"""The page as text: what it says, what it asks for, and that nothing in it can break out of its place."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import symdiff
from symdiff.cli import main
from symdiff.errors import UnsupportedError
from symdiff.pipeline import Program
from symdiff.render import html_body, html_page
from symdiff.render.derivation_options import Options
from symdiff.render.html_code import listing
from symdiff.trace import Trace

EXAMPLES = Path(symdiff.__file__).parent / "examples"
VOID = frozenset("meta link br hr img input path rect circle mspace".split())
POINT = {"w1": 2.0, "x1": 0.5, "w2": -1.5, "x2": 1.25}


def example(name: str, **bound: str) -> Program:
    return symdiff.formula(EXAMPLES / f"{name}.sd").bind(**bound).gradient()


class Tree(HTMLParser):
    """Checks that every element is closed where it must be, and collects attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def attribute(self, name: str) -> list[str]:
        return [value for _, given in self.elements if (value := given.get(name)) is not None]


def frames_of(page: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    frames: list[dict[str, Any]] = json.loads(found[1])["frames"]
    return frames


@pytest.mark.parametrize("name", "graph_b scalar_e matrix_graph two_layer attention kepler layer_norm digits".split())
def test_every_example_is_a_well_formed_page_with_every_step_in_its_derivation(name: str) -> None:
    program = example(name)
    at = None if name == "two_layer" else program.example_point()  # it has abstract functions
    page = program.html(at, name=name)
    tree = Tree(page)
    ids = tree.attribute("id")
    assert len(ids) == len(set(ids))
    steps = set(tree.attribute("data-step"))
    for frame in frames_of(page):
        if frame["kind"] in ("forward", "reverse"):
            assert frame["key"] in steps
    assert all(len(value) == 0 or value[0] in "#d" for value in tree.attribute("href"))  # of the page itself, or data:


def test_the_frames_are_the_trace_in_order() -> None:
    program = example("scalar_e")
    at = {"x": 0.4, "y": 1.1}
    trace = program.trace(at).numbers
    frames = frames_of(program.html(at))
    assert [frame["key"] for frame in frames] == [
        "start",
        *(node.step.label for node in trace.nodes if node.step),
        "seed",
        *(send.step.label for send in trace.sends),
    ]
    values = [frame.get("value") for frame in frames]
    assert values == [None, *(node.value for node in trace.nodes), 1.0, *(send.total for send in trace.sends)]
    second = next(frame for frame in frames if frame["key"] == "4'")  # z3 has received (8'b) before
    assert second["words"] == "adjoint of z3" and second["share"] and second["share"] != second["number"]


def test_a_page_without_a_point_has_steps_and_no_numbers() -> None:
    page = example("graph_b").html()
    frames = frames_of(page)
    assert len(frames) == 21
    assert not any("number" in frame or "value" in frame for frame in frames[1:])
    assert 'type="radio"' not in page and "Adjoint so far" not in page


def test_a_value_alone_has_no_reverse_sweep() -> None:
    page = symdiff.formula("x**2 + sin(y)").value().html({"x": 1, "y": 2})
    assert {frame["kind"] for frame in frames_of(page)} == {"start", "forward"}
    assert "Still to come" not in page


def test_a_program_that_was_traced_has_its_scalars_as_steps() -> None:
    def loss(x: Any) -> Any:
        return sum(k * each * each for k, each in enumerate(x, 1))

    program = symdiff.trace_function(loss, (3,)).gradient()
    frames = frames_of(program.html({"x": [1.0, 2.0, 3.0]}))
    assert [frame["value"] for frame in frames if frame["kind"] == "forward"][-1] == 1 + 2 * 4 + 3 * 9
    gradient = [program.trace({"x": [1.0, 2.0, 3.0]}).gradient["x"][k] for k in range(3)]
    assert gradient == [2.0, 8.0, 18.0]
    last = {frame["target"]: frame["value"] for frame in frames if frame["kind"] == "reverse"}
    assert [value for name, value in last.items() if name.startswith("x")][::-1] == gradient


def test_an_update_rule_is_part_of_the_page() -> None:
    page = symdiff.formula("(x - 1)**2").gradient().update(symdiff.optim.adam()).html({"x": 3.0})
    assert "Update" in page and "eta" in page
    Tree(page)


def test_a_step_that_the_passes_took_out_says_so() -> None:
    program = example("attention")  # the transpose of step 4 is done by the product that uses it
    frames = {frame["key"]: frame for frame in frames_of(program.html(program.example_point()))}
    assert "(4) v4 is not used" in frames["4"]["absent"]["python"]
    assert "(4) v4 is not used" in frames["4"]["absent"]["c"]
    assert "worked it into other lines" in frames["13'"]["absent"]["python"]
    assert "absent" not in frames["9"]


def test_an_abstract_function_leaves_the_derivation_and_says_why_there_is_no_code() -> None:
    page = example("two_layer").html()
    assert page.count("the function &#39;phi&#39; is abstract") == 2
    assert "frames" in page and "Reverse sweep" in page


def test_too_many_steps_are_refused_with_what_to_do_instead() -> None:
    text = "\n".join(["t0 = x*y", *(f"t{k} = sin(t{k - 1})" for k in range(1, 1001)), "t1000"])
    with pytest.raises(UnsupportedError, match=r"1,002 forward steps.*other formats"):
        symdiff.formula(text).gradient().html()


def test_a_graph_that_nobody_can_read_is_left_out_with_the_reason() -> None:
    text = "\n".join(["t0 = x*y", *(f"t{k} = sin(t{k - 1})" for k in range(1, 320)), "t319"])
    page = symdiff.formula(text).gradient().html()
    assert "<svg xmlns" not in page and "nobody can read it" in page


def test_inputs_stand_above_the_page_as_in_the_derivation() -> None:
    program = example("two_layer", phi="tanh", l="def l(o, y): return sum((o - y)**2)/2")
    at = {"x": [0.94, 0.3, 0.05], "y": [0.87, -0.13], "W2": [[-0.08, 0.17, 0.81, -0.16], [0.84, 0, 0.06, 0.05]]}
    at["W1"] = [[0.74, 0.65, -0.58], [-0.5, -0.41, -0.52], [0.17, -0.48, -0.16], [-0.74, 0.82, -0.29]]
    page = program.html(at)
    shown = page.partition('class="inputs"')[2].partition("</ul>")[0]
    found = re.findall(r"<mn>([0-9.]+)</mn>", shown)
    wanted = [f"{abs(x):g}" for name in ("x", "y") for x in at[name]]
    wanted += [f"{abs(x):g}" for name in ("W1", "W2") for row in at[name] for x in row] + ["0.01"]
    assert [x for x in found if "." in x or x == "0"] == wanted


def test_a_derivation_by_statement_says_how_the_steps_go() -> None:
    program = symdiff.formula("a = x*y + 1\nsin(a)*a").gradient()
    said = "the stepper goes by elementary steps"
    assert said in program.html(level="statement") and said not in program.html()
    frames = json.loads(program.html(level="statement").partition('id="data">')[2].partition("</script>")[0])["frames"]
    assert "part of a statement" in frames[1]["absent"]["derivation"]


# -- nothing breaks out ---------------------------------------------------------------------------------------------


def test_no_name_can_end_the_script_or_add_an_element() -> None:
    program = symdiff.formula("where(x < 2, x**2, 3*x)").gradient()
    at = {"x": 1.0}
    sheet = replace(program.sheet("f"), name='</script><img src=x onerror="alert(1)">')
    latex = program.latex(at, fragment=True)
    sources = {"python": "x = '</script><b>'  # (1)\n", "c": "/* </script> */\n"}
    page = html_page.page(sheet, Trace(program.tape, at), latex=latex, sources=sources, options=Options())
    tree = Tree(page)
    assert not {"img", "b"} & {tag for tag, _ in tree.elements}
    assert [tag for tag, _ in tree.elements].count("script") == 2
    assert page.count("</script>") == 2
    data = page.partition('id="data">')[2].partition("</script>")[0]
    assert not set("<>&") & set(data)
    assert any(frame.get("expression", "").count("<") for frame in json.loads(data)["frames"])


def test_the_policy_forbids_everything_but_the_script_of_the_page() -> None:
    page = example("graph_b").html(POINT)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert policy and script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy[1] and "default-src 'none'" in policy[1]
    assert not re.search(r"@import|url\(|https?://(?!www\.w3\.org/2000/svg)", page)


# -- the derivation alone --------------------------------------------------------------------------------------------


def test_a_fragment_is_the_derivation_of_the_page() -> None:
    program = example("graph_b")
    fragment = program.html(POINT, fragment=True)
    assert fragment.startswith('<div class="symdiff-derivation">')
    assert fragment in program.html(POINT)
    assert "<script" not in fragment and "<style" not in fragment
    tree = Tree(fragment)
    assert [f"{k}" for k in range(1, 9)] == [step for step in tree.attribute("data-step") if step.isdigit()]
    assert "".join(tree.text).count("Reverse sweep") == 2  # its heading, and a column of the check


def test_equations_have_ids_of_their_own_for_every_prefix() -> None:
    latex = example("graph_b").latex(fragment=True)
    assert 'id="b-3&#39;"' in html_body.body(latex, prefix="b-") and "<h2>" in html_body.body(latex, heading=2)


def test_numbers_and_the_symbols_they_stand_for_are_marked() -> None:
    fragment = example("graph_b").html(POINT, fragment=True)
    row = re.search(r'<tbody id="eq-2" data-step="2">\n(.*)\n', fragment)
    assert row
    kinds = re.findall(r'<td class="([^"]*)"', row[1])
    assert kinds == ["tag", "r", "l symbols", "r", "l numbers"]
    assert ' numbers"' not in example("graph_b").html(fragment=True)


def test_numbers_of_an_array_on_a_line_of_their_own_are_marked() -> None:
    program = example("matrix_graph")
    fragment = program.html(program.example_point(), fragment=True)
    group = re.search(r'<tbody id="eq-1&#39;a"[^>]*>(.*?)</tbody>', fragment, re.DOTALL)
    assert group and group[1].count("<tr") == 2 and '<tr class="numbers">' in group[1]


# -- code ------------------------------------------------------------------------------------------------------------


def test_lines_of_code_know_their_steps() -> None:
    program = example("graph_b")
    labels = frozenset(["1", "2", "3'", "6'a"])
    for language, other in (("python", "v3_bar"), ("c", "v3_bar")):
        made = listing(language, program.source(language), "gradient", labels)
        assert set(made.steps) == labels
        open_parts = [part for part in made.parts if not part.summary]
        assert len(open_parts) == 1 and any(other in line.code for line in open_parts[0].lines)
        text = "\n".join(line.code + line.comment for part in made.parts for line in part.lines)
        assert text == program.source(language).rstrip("\n")
    assert all("def value" not in line.code for line in open_parts[0].lines)


def test_code_in_chunks_shows_every_function_of_the_sweep() -> None:
    text = "\n".join(["t0 = x*y", *(f"t{k} = sin(t{k - 1})*x" for k in range(1, 300)), "t299"])
    program = symdiff.formula(text).gradient()
    labels = frozenset(step.label for step in program.tape.steps)
    made = listing("c", program.source("c"), "gradient", labels)
    shown = [line for part in made.parts if not part.summary for line in part.lines]
    assert {label for line in shown for label in line.steps} == set(made.steps)
    assert len(made.steps) > 1000


# -- the command -----------------------------------------------------------------------------------------------------


def derive(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["derive", "x**2 + sin(y)", "--at", "x=1,y=2", *arguments])


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    result = derive("--format", "html", "-o", str(tmp_path / "page.html"))
    assert result.exit_code == 0
    assert (tmp_path / "page.html").read_text("utf-8") == symdiff.formula("x**2 + sin(y)").gradient().html(
        {"x": 1, "y": 2}
    )


def test_open_shows_the_file_or_a_temporary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not shown.append(address))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert derive("--format", "html", "--open", "-o", str(tmp_path / "a b.html")).exit_code == 0
    assert shown == [(tmp_path / "a b.html").as_uri()]
    result = derive("--format", "html", "--open")
    (temporary,) = tmp_path.glob("symdiff-*.html")
    assert shown[1] == temporary.as_uri() and str(temporary) in result.stderr
    assert temporary.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_open_says_where_the_page_is_when_there_is_no_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    result = derive("--format", "html", "--open", "-o", str(tmp_path / "page.html"))
    assert result.exit_code == 2 and "no browser could be started" in result.stderr
    assert (tmp_path / "page.html").exists()
    assert derive("--open").exit_code == 2
