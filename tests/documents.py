"""PDFs, graphs, a page and pictures of the systems in `generated/`: what people look at, and no text to compare.

`python tests/documents.py` makes them (pdflatex, Chromium, poppler; `--only pdf|graph|page|pictures`), and
test_documents.py holds that they are up to date.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import symdiff
from symdiff import examples, optim

GENERATED = Path(__file__).resolve().parent.parent / "generated"
SYSTEMS = ("two_layer", "graph_b", "matrix_graph", "relu_network", "scalar_e", "autoencoder")
SCHEMES = ("two_layer", "relu_network", "autoencoder")  # those that are layered networks
PAGE = "graph_b"
PICTURES = GENERATED / "pictures"
_SIZE = {"width": 1280, "height": 900}
_STEP_SHOWN = 12  # (6'a) of system B: half of the reverse sweep is done
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]


def system(name: str) -> tuple[Any, dict[str, Any]]:
    """Program (with its update rule) and point of a system."""
    points, bindings, updates = (tomllib.loads(examples.path(table).read_text("utf-8")) for table in examples.TABLES)
    program = symdiff.formula(examples.path(name)).bind(**bindings.get(name, {})).gradient()
    settings = dict(updates.get(name, {}))
    if settings:
        program = program.update(optim.named(settings.pop("rule")).set(settings))
    return program, points[name]


def pdfs() -> Iterator[tuple[Path, bytes]]:
    for name in SYSTEMS:
        program, point = system(name)
        yield GENERATED / name / f"{name}.pdf", program.pdf(point, name=name, engine="tex")


def graphs() -> Iterator[tuple[Path, bytes]]:
    for name in SYSTEMS:
        program, point = system(name)
        yield GENERATED / name / f"{name}_graph.svg", program.graph(point, name=name).encode()
        if name in SCHEMES:
            yield GENERATED / name / f"{name}_scheme.svg", program.graph(point, name=name, scheme=True).encode()


def page() -> Iterator[tuple[Path, bytes]]:
    program, point = system(PAGE)
    yield GENERATED / PAGE / f"{PAGE}.html", program.html(point, name=PAGE).encode()


def pictures() -> Iterator[tuple[Path, bytes]]:
    """Screenshots for the README: a page of a PDF, the page with the sweep, the playground."""
    yield PICTURES / "derivation.png", _sheet(GENERATED / PAGE / f"{PAGE}.pdf", 2)
    with _browser() as browser:
        opened = browser.new_page(viewport=_SIZE)
        opened.goto((GENERATED / PAGE / f"{PAGE}.html").as_uri())
        for _ in range(_STEP_SHOWN):
            opened.keyboard.press("ArrowRight")
        yield PICTURES / "page.png", opened.screenshot()
        with _playground() as address:
            opened = browser.new_page(viewport=_SIZE)
            opened.goto(address)
            opened.locator("textarea").first.fill("x**2 + sinn(y)")
            opened.get_by_role("alert").get_by_text("did you mean").wait_for()
            yield PICTURES / "playground.png", opened.screenshot()


def _sheet(pdf: Path, number: int) -> bytes:
    """A page of a PDF."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "page")
        subprocess.run(
            ["pdftoppm", "-png", "-r", "80", "-singlefile", "-f", str(number), str(pdf), str(out)], check=True
        )
        return out.with_suffix(".png").read_bytes()


@contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=_FLAGS)
        yield browser
        browser.close()


@contextmanager
def _playground() -> Iterator[str]:
    command = [sys.executable, "-m", "symdiff", "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found, "the server has not said its address"
        try:
            yield found[0]
        finally:
            server.terminate()


KINDS: dict[str, Callable[[], Iterator[tuple[Path, bytes]]]] = {
    "pdf": pdfs, "graph": graphs, "page": page, "pictures": pictures,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=KINDS, help="one kind")
    only = parser.parse_args().only
    for kind in [only] if only else KINDS:
        for path, content in KINDS[kind]():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            print(path.relative_to(GENERATED))


if __name__ == "__main__":
    main()
