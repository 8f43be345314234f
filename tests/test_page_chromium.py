"""The page in a browser: every step of the sweep beside the trace, keys, clicks, toggles, print, phone, no network."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from page_scripts import CONTRAST, CUT_OFF, DANGLING, IN_SIGHT, MARKED, OUT_OF_REACH, STATE, UNNAMED, UNSEEN_FOCUS

import symdiff
from symdiff.pipeline import Program
from symdiff.trace import Trace

pytestmark = [pytest.mark.chromium, pytest.mark.peer("playwright")]

EXAMPLES = Path(symdiff.__file__).parent / "examples"
POINTS: dict[str, dict[str, float]] = {
    "graph_b": {"w1": 2.0, "x1": 0.5, "w2": -1.5, "x2": 1.25},
    "scalar_e": {"x": 0.4, "y": 1.1},
}
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield started
        started.close()


class Visit:
    """A page on disk, open in the browser, with everything that it said and asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.url = path.as_uri()
        self.page.route("**/*", lambda route: route.continue_() if route.request.url == self.url else route.abort())
        self.open()

    def open(self) -> None:
        """The page as it is at the start."""
        self.said.clear()
        self.asked.clear()
        self.page.goto(self.url)

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    @property
    def place(self) -> int:
        return int(self.page.inner_text("#count"))

    def leave(self) -> None:
        """Nothing was said on the console, and nothing but the file was asked for."""
        assert self.said == []
        assert set(self.asked) == {self.url}


def program_of(name: str) -> Program:
    return symdiff.formula(EXAMPLES / f"{name}.sd").gradient()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {name: program_of(name).html(at, name=name) for name, at in POINTS.items()}
    made["matrix_graph"] = program_of("matrix_graph").html(
        program_of("matrix_graph").example_point(), name="matrix_graph"
    )
    made["rosenbrock10"] = program_of("rosenbrock10").html(
        program_of("rosenbrock10").example_point(), name="rosenbrock10"
    )
    for name, text in made.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.fixture(scope="module")
def tabs() -> dict[tuple[str, str], Visit]:
    """What is open: to load a page again costs less than another tab."""
    return {}


@pytest.fixture
def visit(browser: Any, pages: dict[str, Path], tabs: dict[tuple[str, str], Visit]) -> Iterator[Any]:
    opened: list[Visit] = []

    def open_page(name: str, **options: Any) -> Visit:
        key = name, repr(options)
        if key in tabs:
            tabs[key].open()
        else:
            tabs[key] = Visit(browser, pages[name], **options)
        opened.append(tabs[key])
        return opened[-1]

    yield open_page
    for each in opened:
        each.leave()


def number(shown: list[str]) -> float | None:
    """The number that a cell shows; None where it shows none."""
    assert len(shown) <= 1
    return float(shown[0].replace("\u2212", "-")) if shown else None


# -- the sweep, step by step ------------------------------------------------------------------------------------------


class Expected:
    """The state after every step, from the trace alone."""

    def __init__(self, trace: Trace) -> None:
        self.values = {node.name: node.value for node in trace.inputs}
        self.adjoints: dict[str, float] = {}
        self.coming: dict[str, list[str]] = {}
        for send in trace.sends:
            self.coming.setdefault(str(send.step.receiver), []).append(f"({send.step.label})")

    def matches(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            name = row["name"]
            for shown, wanted in ((row["value"], self.values.get(name)), (row["adjoint"], self.adjoints.get(name))):
                found = number(shown)
                assert (found is None) == (wanted is None), row
                assert wanted is None or found == pytest.approx(wanted, rel=1e-7), row
            assert row["pending"] == self.coming.get(name, []) or row["pending"] == ["1"], row


@pytest.mark.parametrize("name", ["graph_b", "scalar_e"])
def test_every_step_of_the_sweep_shows_the_state_of_the_trace(visit: Any, name: str) -> None:
    trace = program_of(name).trace(POINTS[name]).numbers
    page = visit(name)
    state = Expected(trace)
    output = trace.nodes[-1].name
    state.matches(page.page.evaluate(STATE))
    for node in trace.nodes:
        page.press("ArrowRight")
        state.values[node.name] = node.value
        state.matches(page.page.evaluate(STATE))
        found = page.page.evaluate(MARKED)
        assert node.step is not None
        assert found["nodes"] == [node.name] and found["equations"] == [f"({node.step.label})"]
        assert {to for _, to in found["edges"]} == {node.name}
        assert {source for source, _ in found["edges"]} == set(node.step.operands)
        assert set(found["values"]) <= set(state.values) and found["adjoints"] == []
        assert found["now"].startswith(f"({node.step.label}) {node.name} = ")
        assert all(f"({node.step.label})" in line for line in found["python"] + found["c"])
        assert len(found["python"]) == len(found["c"]) == 1
    page.press("ArrowRight")
    state.adjoints[output] = 1.0
    state.matches(page.page.evaluate(STATE))
    assert page.page.evaluate(MARKED)["nodes"] == [output]
    arrived = ["seed"]
    for send in trace.sends:
        source, target, label = str(send.step.of), str(send.step.receiver), send.step.label
        if source not in arrived:  # just before its first share leaves
            assert {k: pytest.approx(v) for k, v in trace.before(source).adjoints.items()} == state.adjoints
            arrived.append(source)
        before = state.adjoints.get(target)
        page.press("ArrowRight")
        state.adjoints[target] = send.total
        state.coming[target].remove(f"({label})")
        rows = page.page.evaluate(STATE)
        state.matches(rows)
        assert number(next(row["before"] for row in rows if row["name"] == target)) == (
            before and pytest.approx(before)
        )
        found = page.page.evaluate(MARKED)
        assert found["nodes"] == [source] and found["equations"] == [f"({label})"]
        assert found["edges"] == [[target, source]]
        assert label in found["adjoints"] and found["now"].startswith(f"({label}) adjoint of {target}")
        assert [f"({label})" in line for line in found["python"] + found["c"]] == [True, True]
    assert page.place == len(trace.nodes) + 1 + len(trace.sends)
    assert set(page.page.evaluate(MARKED)["adjoints"]) == {"seed", *(send.step.label for send in trace.sends)}
    final = {row["name"]: row for row in page.page.evaluate(STATE)}
    for variable, derivative in trace.gradient.items():
        assert number(final[variable]["adjoint"]) == pytest.approx(derivative, rel=1e-7)
        assert final[variable]["complete"] == 1


def test_steps_back_undo_steps_forward(visit: Any) -> None:
    page = visit("scalar_e")
    seen = []
    for _ in range(20):
        seen.append(page.page.evaluate(STATE))
        page.press("ArrowRight")
    page.press("End")
    while page.place > 20:
        page.press("ArrowLeft")
    for state in reversed(seen):
        page.press("ArrowLeft")
        now = page.page.evaluate(STATE)
        assert [{**row, "before": []} for row in now] == [{**row, "before": []} for row in state]
    page.press("ArrowLeft")
    assert page.place == 0


def test_a_step_without_a_line_of_code_says_why(visit: Any) -> None:
    page = visit("graph_b")
    for _ in range(9):
        page.press("ArrowRight")
    found = page.page.evaluate(MARKED)
    assert found["python"] == found["c"] == [] and len(found["absent"]) == 2
    assert all("adjoint of the value is 1" in text for text in found["absent"])


# -- ways to a step ---------------------------------------------------------------------------------------------------


def test_keys_buttons_and_the_slider_move(visit: Any) -> None:
    page = visit("graph_b")
    page.press("End")
    assert page.place == 20
    page.press("ArrowRight")
    assert page.place == 20
    page.press("Home")
    assert page.place == 0
    for name, place in (("forward", 1), ("last", 20), ("back", 19), ("first", 0)):
        page.page.click(f'[data-go="{name}"]')
        assert page.place == place
    page.page.focus("#place")
    page.press("ArrowRight")
    assert page.place == 1
    page.press("Control+ArrowRight")
    page.page.focus("#place")
    page.press("End")
    assert page.place == 20


def test_play_goes_on_by_itself_and_stops(visit: Any) -> None:
    page = visit("graph_b", reduced_motion="reduce")
    page.page.clock.install()
    page.page.reload()
    page.press(" ")
    page.page.clock.run_for(2500)
    assert page.place == 2
    assert page.page.get_attribute('[data-go="play"]', "aria-label") == "Pause"
    page.press(" ")
    page.page.clock.run_for(5000)
    assert page.place == 2
    page.page.click('[data-go="play"]')
    page.page.clock.run_for(60_000)
    assert page.place == 20
    assert page.page.get_attribute('[data-go="play"]', "aria-label") == "Play"


def test_clicks_on_node_equation_and_code_go_to_their_step(visit: Any) -> None:
    page = visit("graph_b")
    page.page.click('.node[data-name="v2"]')
    assert page.place == 2
    page.page.click('.symdiff-derivation a:text-is("(6\'b)")')
    assert page.page.inner_text("#now").startswith("(6'b) adjoint of v5")
    page.page.click('.node[data-name="v2"]')  # in the reverse sweep it is what the node sends back
    assert page.page.inner_text("#now").startswith("(2') adjoint of v1")
    page.page.click('.c .line[data-steps="4\'a"]')
    assert page.page.inner_text("#now").startswith("(4'a) adjoint of w2")
    page.page.click('.python .line[data-steps="7"]')
    assert page.place == 7
    page.page.click('table.state a:text-is("(3)")')
    assert page.place == 3


def test_the_step_is_kept_in_the_address(visit: Any) -> None:
    page = visit("graph_b")
    page.page.click('.symdiff-derivation a:text-is("(3\')")')
    page.page.wait_for_url(lambda url: "#step=" in url)
    assert page.page.evaluate("decodeURIComponent(location.hash)") == "#step=3'"
    page.page.reload()
    assert page.page.inner_text("#now").startswith("(3') adjoint of v2")
    page.page.evaluate("location.hash = '#step=5'")
    page.page.locator("#count:text-is('5')").wait_for()
    page.page.evaluate("location.hash = '#step=%'")  # what somebody has changed is no place, and nothing breaks
    page.page.reload()
    assert page.place == 0
    page.press("ArrowRight")
    assert page.place == 1


def test_a_wire_that_others_share_is_marked_all_along(visit: Any) -> None:
    page = visit("scalar_e").page
    page.click('.node[data-name="z3"]')
    widths = "(all) => all.map((e) => getComputedStyle(e).strokeWidth)"
    assert page.locator(".edge.now .way").evaluate_all(widths) == ["3px", "3px"]
    assert "3px" not in page.locator(".edge:not(.now) .way").evaluate_all(widths)


def test_the_heads_of_the_state_stay_in_sight(visit: Any) -> None:
    page = visit("rosenbrock10", reduced_motion="reduce", viewport={"width": 1200, "height": 700}).page
    page.keyboard.press("End")
    head, view = (page.locator(place).first.bounding_box() for place in (".state thead th", ".state .view"))
    assert page.locator(".state .view").evaluate("(e) => e.scrollTop") >= 0 and abs(head["y"] - view["y"]) <= 45
    page.locator(".state .view").evaluate("(e) => e.scrollTo({top: 1e6, behavior: 'instant'})")
    head = page.locator(".state thead th").first.bounding_box()
    assert page.locator(".state .view").evaluate("(e) => e.scrollTop") > 100 and abs(head["y"] - view["y"]) <= 1


def test_a_step_is_scrolled_to_inside_of_its_panel_alone(visit: Any) -> None:
    page = visit("rosenbrock10", reduced_motion="reduce", viewport={"width": 1200, "height": 700})
    page.press("End")
    assert page.page.evaluate(IN_SIGHT) == [True] * 5
    assert page.page.evaluate("window.scrollY") == 0


def test_symbols_and_numbers_are_shown_as_chosen(visit: Any) -> None:
    seen = "(s) => Array.from(document.querySelectorAll(s)).filter((e) => e.checkVisibility()).length"
    page = visit("graph_b")
    page.press("End")
    both = [page.page.evaluate(seen, kind) for kind in (".numbers", ".symbols", ".symdiff-graph .value")]
    assert all(both)
    page.page.check('input[value="symbols"]', force=True)
    assert [page.page.evaluate(seen, kind) for kind in (".numbers", ".symdiff-graph .value")] == [0, 0]
    assert page.page.inner_text("#now") == "(1'b) adjoint of x1 = v1_bar*w1"
    page.page.check('input[value="numbers"]', force=True)
    assert page.page.evaluate(seen, ".symbols") == 0
    assert re.fullmatch(r"\(1'b\) adjoint of x1 = \u2212?[0-9.]+", page.page.inner_text("#now"))
    page.page.check('input[value="both"]', force=True)
    assert [page.page.evaluate(seen, kind) for kind in (".numbers", ".symbols", ".symdiff-graph .value")] == both


# -- without script, on paper, on a phone -----------------------------------------------------------------------------


def test_everything_is_there_without_javascript(visit: Any) -> None:
    page = visit("scalar_e", java_script_enabled=False)
    assert not page.page.is_visible(".stepper")
    text = page.page.inner_text("body")
    for words in ("Reverse sweep", "def gradient(", "SD_INLINE", "header and helpers", "adjoints below them"):
        assert words in text
    assert page.page.locator(".symdiff-graph .adjoint").first.is_visible()
    assert page.page.locator(".code .line").first.is_visible()  # what can be closed is open
    trace = program_of("scalar_e").trace(POINTS["scalar_e"]).numbers
    for node in (*trace.inputs, *trace.nodes):
        row = page.page.locator(f'tr[data-name="{node.name}"]')
        cells = row.locator(".total:visible").all_inner_texts()
        assert number(cells) == pytest.approx(node.adjoint, rel=1e-7)
        assert row.locator(".pending .part:visible").count() == 0


def test_on_paper_there_are_no_controls_and_nothing_is_cut_off(visit: Any) -> None:
    page = visit("graph_b", viewport={"width": 720, "height": 1000})
    page.press("ArrowRight")
    page.page.emulate_media(media="print")
    assert not page.page.is_visible(".stepper") and not page.page.is_visible(".keys")
    assert (
        page.page.locator(".symdiff-graph .edge .adjoint").last.evaluate("(e) => getComputedStyle(e).visibility")
        == "visible"
    )
    assert page.page.evaluate(CUT_OFF) == []
    tops = page.page.evaluate(
        "Array.from(document.querySelectorAll('.panel')).map((e) => e.getBoundingClientRect().top)"
    )
    assert tops == sorted(tops) and len(set(tops)) == 5
    page.page.emulate_media(media="screen")
    assert page.place == 1


@pytest.mark.parametrize("name", ["graph_b", "matrix_graph", "rosenbrock10"])
def test_a_phone_scrolls_wide_things_inside_their_boxes(visit: Any, name: str) -> None:
    page = visit(name, viewport={"width": 375, "height": 700})
    page.press("End")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 375


# -- for everybody ----------------------------------------------------------------------------------------------------


def test_landmarks_headings_and_names(visit: Any) -> None:
    page = visit("matrix_graph").page
    assert [page.locator(tag).count() for tag in ("body > header", "main", "body > footer", "h1")] == [1, 1, 1, 1]
    assert page.get_attribute("html", "lang") == "en"
    levels = page.evaluate(
        "Array.from(document.querySelectorAll('h1,h2,h3,h4,h5,h6')).map((e) => Number(e.tagName[1]))"
    )
    assert levels[0] == 1 and all(b <= a + 1 for a, b in pairwise(levels))
    ids = page.evaluate("Array.from(document.querySelectorAll('[id]')).map((e) => e.id)")
    assert len(ids) == len(set(ids))
    assert page.evaluate(DANGLING) == []
    assert page.evaluate(UNNAMED) == []
    assert page.locator("[tabindex]").evaluate_all("(all) => all.every((e) => e.tabIndex <= 0)")
    assert page.get_attribute("#now", "aria-live") == "polite"
    assert page.evaluate("Array.from(document.querySelectorAll('math')).every((e) => e.getAttribute('alttext'))")


def test_the_keyboard_reaches_what_scrolls_and_the_focus_is_seen(visit: Any) -> None:
    page = visit("rosenbrock10", viewport={"width": 900, "height": 700}).page
    assert page.evaluate(OUT_OF_REACH) == []
    unseen = []
    for _ in range(14):
        page.keyboard.press("Tab")
        unseen.append(page.evaluate(UNSEEN_FOCUS))
    assert set(unseen) == {""}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(visit: Any, scheme: str) -> None:
    page = visit("scalar_e", color_scheme=scheme, reduced_motion="reduce")
    for _ in range(14):
        page.press("ArrowRight")
    assert page.page.evaluate(CONTRAST) == []
