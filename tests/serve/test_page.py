"""The page in Chromium: typed, clicked, downloaded and looked at, with every request and console line on record."""

from __future__ import annotations

import io
import json
import re
import shutil
import urllib.parse
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from serve.conftest import wait_until

import symdiff
from symdiff import examples

pytestmark = [
    pytest.mark.chromium,
    pytest.mark.peer("playwright"),
    pytest.mark.peer("starlette"),
    pytest.mark.peer("uvicorn"),
]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
QUIET += ["--disable-sync", "--no-first-run"]
FORMULA = "z = x*y\nsin(z) + x**2"
POINT = {"x": 1.5, "y": -0.25}

# What the page keeps in its address on system B, and the way there with one question: an older one is given up at once.
_FIRST: dict[str, Any] = {"text": examples.path("graph_b").read_text("utf-8"), "name": "graph_b"}
_FIRST |= {"values": {"w1": "-3", "x1": "-2", "w2": "2", "x2": "-1"}, "bindings": {}, "off": [], "tab": "derivation"}
_FIRST |= {"options": {"style": "full", "level": "step", "digits": "8"}}
START = urllib.parse.quote(json.dumps(_FIRST, separators=(",", ":")), safe="!'()*-._~")
RESTART = """(hash) => {
    history.replaceState(null, "", hash);
    document.getElementById("status").textContent = "";
    window.dispatchEvent(new HashChangeEvent("hashchange"));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield started
        started.close()


class Page:
    """A page that has been opened with the token, with what it asked for and said."""

    def __init__(self, browser: Any, site: Any, hash: str = "", **options: Any) -> None:
        self.site = site
        self.base = f"http://127.0.0.1:{site.access.port}"
        self.context = browser.new_context(**options)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=self.base)
        self.tab = self.context.new_page()
        self.requests: list[str] = []
        self.said: list[str] = []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("console", lambda line: self.said.append(f"{line.type}: {line.text}"))
        self.tab.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.tab.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.tab.goto(site.access.address + hash)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tab, name)

    def ready(self) -> None:
        self.tab.get_by_text("Up to date.").wait_for()

    def table(self, caption: str) -> list[list[str]]:
        table = self.tab.locator("table", has=self.tab.get_by_text(caption, exact=True))
        return [row.locator("td").all_text_contents() for row in table.locator("tbody tr").all()]

    def check_quiet(self) -> None:
        assert self.said == []
        assert self.requests
        strangers = [url for url in self.requests if not url.startswith((f"{self.base}/", f"blob:{self.base}/"))]
        assert strangers == []


@pytest.fixture(scope="module")
def shared(browser: Any, site: Any) -> Iterator[Page]:
    found = Page(browser, site)
    found.ready()
    yield found
    found.context.close()


@pytest.fixture
def page(shared: Page) -> Iterator[Page]:
    """The shared page as it is at the start, on system B."""
    shared.uncheck("#whole", force=True)
    shared.click("#tab-derivation")
    if urllib.parse.urlsplit(shared.url).fragment != START or shared.inner_text("#status") != "Up to date.":
        shared.evaluate(RESTART, f"#{START}")
    shared.ready()
    yield shared
    shared.check_quiet()


def test_the_token_does_not_stay_in_the_address(page: Page) -> None:
    assert page.url.startswith(f"{page.base}/#") and page.site.access.token not in page.url
    assert page.evaluate("document.cookie") == ""


def test_a_wrong_formula_shows_its_error_at_the_place_while_typing(page: Page) -> None:
    page.fill("#formula", "")
    page.tab.type("#formula", "a = x + 1\na*sni(x)")
    problem = page.locator("#problem")
    problem.get_by_text("did you mean 'sin'").wait_for()
    assert problem.get_attribute("role") == "alert"
    assert problem.inner_text().startswith("line 2, column 3: unknown function 'sni'")
    assert page.locator("#formula").get_attribute("aria-invalid") == "true"
    assert page.locator("#marks mark").inner_text() == "sni"
    shown, carets = page.locator("#excerpt").text_content().split("\n")
    assert shown == "a*sni(x)" and carets == "  ^^^"
    mark, field = page.locator("#marks mark").bounding_box(), page.locator("#formula").bounding_box()
    assert field["y"] < mark["y"] < field["y"] + field["height"]
    problem.get_by_role("button").click()
    selected = "[document.activeElement.id, document.activeElement.selectionStart, document.activeElement.selectionEnd]"
    assert page.evaluate(selected) == ["formula", 12, 15]


def test_the_error_goes_when_the_formula_is_right(page: Page) -> None:
    page.fill("#formula", "x +")
    page.locator("#problem").get_by_text("end of the text").wait_for()
    page.fill("#formula", "x + 1")
    page.locator("#problem").wait_for(state="hidden")
    assert page.locator("#marks mark").count() == 0
    assert page.locator("#formula").get_attribute("aria-invalid") == "false"


def test_a_typed_formula_shows_its_derivation_and_the_numbers_of_the_trace(page: Page) -> None:
    page.fill("#formula", FORMULA)
    page.locator("#value-y").wait_for()
    for name, number in POINT.items():
        page.fill(f"#value-{name}", repr(number))
    page.locator("#status", has_text="Up to date.").wait_for()
    page.click("#tab-numbers")
    trace = symdiff.formula(FORMULA).gradient().trace(POINT)
    page.get_by_text(f"value = {trace.value!r}").wait_for()
    assert {name: float(text) for name, text in page.table("Gradient")} == trace.gradient
    steps = [row for row in page.table("Forward sweep") if row[0]]
    assert [(float(row[2]), float(row[3])) for row in steps] == [
        (step["value"], step["adjoint"]) for step in trace.json()["steps"]
    ]
    sent = [float(row[-1]) for row in page.table("Reverse sweep")]
    assert sent == [send["contribution"] for step in trace.json()["reverse"] for send in step["sends"]]
    page.click("#tab-derivation")
    frame = page.frame_locator("#document iframe:not(.coming)")
    frame.locator("math").first.wait_for()
    assert frame.locator("math").count() > 10
    page.click("#tab-graph")
    picture = page.locator("#graph img")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    assert len(picture.get_attribute("alt")) > 20


def test_a_wrong_value_is_said_at_its_field(page: Page) -> None:
    page.fill("#value-w1", "three")
    page.locator("#wrong-w1").get_by_text("expected a number, found 'three'").wait_for()
    assert page.locator("#value-w1").get_attribute("aria-invalid") == "true"
    assert "w1" in page.locator("#status").inner_text()


def test_variables_are_chosen_with_their_boxes(page: Page) -> None:
    page.click("#tab-numbers")
    page.uncheck("input[aria-label='differentiate by w1']")
    page.locator("table", has_text="derivative").get_by_text("w1", exact=True).wait_for(state="detached")
    assert [row[0] for row in page.table("Gradient")] == ["x1", "w2", "x2"]


def test_values_are_filled_in(page: Page) -> None:
    page.fill("#formula", "A: (n, n)\nlogdet(A)")
    page.locator("#status", has_text="no value for A").wait_for()
    page.click("#suggest")
    page.locator("#status", has_text="Up to date.").wait_for()
    assert len(page.locator("#value-A").input_value().split("\n")) >= 2
    page.click("#clear")
    page.locator("#status", has_text="no value for A").wait_for()


def test_latex_is_copied(page: Page) -> None:
    program = symdiff.formula(symdiff.formula("1/(sin(w1*x1)**2 + cos(w2*x2) + 2)").source).gradient()
    at = {"w1": -3, "x1": -2, "w2": 2, "x2": -1}
    page.click("#tab-latex")
    page.click("#copy-latex")
    page.get_by_text("LaTeX copied.").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == program.latex(at, name="graph_b", fragment=True)
    page.check("#whole")
    page.click("#copy-latex")
    assert page.evaluate("navigator.clipboard.readText()").startswith("\\documentclass")


def test_every_file_is_downloaded(page: Page) -> None:
    found = {}
    for panel, parts in {
        "derivation": ("html",),
        "graph": ("graph",),
        "python": ("python",),
        "c": ("c", "h"),
        "latex": ("latex",),
        "markdown": ("markdown",),
    }.items():
        page.click(f"#tab-{panel}")
        for part in parts:
            with page.expect_download() as download:
                page.click(f"[data-download={part}]")
            found[download.value.suggested_filename] = download.value.path().read_text("utf-8")
    assert list(found) == [f"graph_b.{ending}" for ending in ("html", "svg", "py", "c", "h", "tex", "md")]
    program = symdiff.formula("1/(sin(w1*x1)**2 + cos(w2*x2) + 2)").gradient()
    at = {"w1": -3, "x1": -2, "w2": 2, "x2": -1}
    assert found["graph_b.html"].startswith("<!") and found["graph_b.svg"] == program.graph(at, name="graph_b")
    assert found["graph_b.tex"] == program.latex(at, name="graph_b")
    assert found["graph_b.c"] == program.source("c", name="graph_b")
    page.click("#tab-derivation")
    with page.expect_download() as download:
        page.click("#package")
    assert download.value.suggested_filename == "graph_b.zip"
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as archive:
        assert archive.testzip() is None and "graph_b/graph_b.c" in archive.namelist()


def test_a_reload_keeps_everything(page: Page) -> None:
    page.select_option("#style", "steps")
    page.uncheck("input[aria-label='differentiate by w1']")
    page.fill("#value-x2", "0.5")
    page.click("#tab-c")
    page.fill("#name", "mine")
    page.get_by_text("Download mine.c").wait_for()
    page.reload()
    page.ready()
    assert page.locator("#value-x2").input_value() == "0.5" and page.locator("#name").input_value() == "mine"
    assert page.locator("#style").input_value() == "steps"
    assert not page.is_checked("input[aria-label='differentiate by w1']")
    assert page.locator("#panel-c").is_visible() and page.locator("[data-part=c]").inner_text().startswith("/*")


def test_names_that_every_object_has_are_names_like_others(page: Page) -> None:
    page.fill("#formula", "constructor*__proto__ + toString")
    page.locator("#value-toString").wait_for()
    names = ("constructor", "__proto__", "toString")
    assert [page.locator(f"#value-{name}").input_value() for name in names] == ["", "", ""]
    for name, text in zip(names, ("2", "3", "4"), strict=True):
        page.fill(f"#value-{name}", text)
    page.locator("#status", has_text="Up to date.").wait_for()
    page.click("#tab-numbers")
    page.get_by_text("value = 10").wait_for()
    assert [page.locator(f"#wrong-{name}").inner_text() for name in names] == ["", "", ""]


def test_a_new_derivation_is_read_on_where_the_old_one_was(page: Page) -> None:
    place = """() => [scrollY, document.querySelector(".derivation .view").scrollTop,
        document.querySelector("#count").innerText]"""
    page.locator("#document iframe.coming").wait_for(state="detached")
    frame = page.locator("#document iframe").element_handle().content_frame()
    page.evaluate("""() => {
        const heard = ({ data }) => {
            if (data.tops[0] !== 300 || data.tops[2] !== 200) return;
            removeEventListener("message", heard);
            console.log("told");
        };
        addEventListener("message", heard);
    }""")
    with page.expect_event("console", lambda line: line.text == "told"):
        frame.evaluate("""() => {
            document.querySelector("[data-go=forward]").click();
            scrollTo(0, 300);
            document.querySelector(".derivation .view").scrollTo({ top: 200, behavior: "instant" });
        }""")
    page.said.clear()
    assert frame.evaluate(place) == [300, 200, "1"]
    older = page.locator("#document iframe").get_attribute("src")
    page.select_option("#digits", "4")
    page.locator(f"#document iframe[src='{older}']").wait_for(state="detached")
    newer = page.locator("#document iframe").element_handle().content_frame()
    wait_until(lambda: newer.evaluate(place) == [300, 200, "1"])
    page.said.clear()
    page.select_option("#example", "two_layer")  # another formula is read from its beginning
    page.get_by_text("Download two_layer.html").wait_for()
    page.locator("#document iframe.coming").wait_for(state="detached")
    other = page.locator("#document iframe").element_handle().content_frame()
    page.wait_for_timeout(100)
    assert other.evaluate(place) == [0, 0, "0"]


def test_the_tabs_are_walked_with_keys(page: Page) -> None:
    page.focus("#tab-derivation")
    for key, chosen in (
        ("ArrowRight", "graph"),
        ("End", "markdown"),
        ("ArrowRight", "derivation"),
        ("Home", "derivation"),
    ):
        page.keyboard.press(key)
        tab = page.locator("[role=tab][aria-selected=true]")
        assert (
            tab.get_attribute("id") == f"tab-{chosen}" and page.evaluate("document.activeElement.id") == f"tab-{chosen}"
        )
        assert page.locator(f"#panel-{chosen}").is_visible() and page.locator("[role=tabpanel]:visible").count() == 1


def test_everything_that_takes_input_has_a_name(page: Page) -> None:
    nameless = """[...document.querySelectorAll("input, textarea, select, button, iframe")].filter((element) =>
        !(element.labels?.length || element.getAttribute("aria-label") || element.title || element.textContent.trim()))
        .map((element) => element.outerHTML)"""
    assert page.evaluate(nameless) == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert len(ids) == len(set(ids))


def test_the_page_fits_a_phone_in_light_and_dark(browser: Any, site: Any) -> None:
    page = Page(browser, site, viewport={"width": 360, "height": 740})
    page.ready()
    for panel in ("derivation", "graph", "numbers", "python", "c", "latex", "markdown"):
        page.click(f"#tab-{panel}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, panel
    colours = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        ground, ink = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in page.evaluate(colours))
        assert (ground > 600 > 150 > ink) if scheme == "light" else (ink > 600 > 150 > ground)
    page.check_quiet()
    page.context.close()


STATES = ["{", "null", "[1]", '{"text": 1}', '{"text": "<img src=x onerror=alert(1)>", "name": "<b onclick=alert(1)>"}']
STATES += ['{"text": "x", "values": {"x": 1}, "off": 3, "tab": "<b>", "options": {"style": "x", "__proto__": "y"}}']


def test_a_changed_address_does_no_harm(page: Page) -> None:
    for state in [*map(urllib.parse.quote, STATES), "%"]:
        page.goto(f"{page.base}/#{state}")  # another part of the same page
        if state in ("%", urllib.parse.quote(STATES[-1])):
            page.reload()
        said = page.locator("#status", has_text=re.compile("Up to date|Without"))
        said.or_(page.locator("#problem:visible")).first.wait_for()
        page.check_quiet()


def test_the_frame_of_the_derivation_reaches_nothing(page: Page) -> None:
    page.frame_locator("#document iframe:not(.coming)").locator("math").first.wait_for()
    frame = page.frames[-1]
    reached = """async () => [
        await fetch('/examples.json').then(() => 'read', () => 'blocked'),
        (() => { try { return parent.document.title } catch { return 'blocked' } })(),
        (() => { try { return document.cookie } catch { return 'blocked' } })(),
        self.origin,
    ]"""
    assert frame.evaluate(reached) == ["blocked", "blocked", "blocked", "null"]
    assert page.said and all("Content Security Policy" in line for line in page.said)  # of the request that it blocked
    page.said.clear()


def test_a_server_that_has_stopped_is_said(browser: Any, site: Any) -> None:
    page = Page(browser, site)
    page.ready()
    page.route("**/question", lambda route: route.abort())
    page.fill("#formula", "x + 1")
    page.get_by_text("is symdiff serve still running?").wait_for()
    page.context.close()
