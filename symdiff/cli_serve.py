"""The command `symdiff serve`: the page on which a formula is typed."""

from __future__ import annotations

import importlib.util

import click

from symdiff.errors import BuildError


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="By default, or for 0, a free one.")
@click.option("--open/--no-open", "open_page", default=False, help="Open the page in the browser.  [default: no-open]")
@click.pass_context
def serve(context: click.Context, port: int, open_page: bool) -> None:
    """Open a page on this machine: type a formula, see its derivation, graph, code and numbers.

    The page is served to this machine alone (127.0.0.1), to whoever has the address that is printed: it holds a token
    that is new at every start. Nothing can be read or run through it. Ctrl-C stops it.
    """
    for module in ("starlette", "uvicorn"):
        if importlib.util.find_spec(module) is None:
            raise BuildError(
                f"symdiff serve needs the Python package {module}: python -m pip install 'symdiff-codegen[serve]'"
            )
    from symdiff.serve.server import run

    try:
        run(port, _say, open_page=open_page)
    except KeyboardInterrupt:
        click.echo("symdiff: stopped", err=True)
        context.exit(130)


def _say(address: str) -> None:
    click.echo(address)
    click.echo("symdiff: open this address in a browser; Ctrl-C stops the server", err=True)
