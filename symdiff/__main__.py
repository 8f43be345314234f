"""`python -m symdiff` is the command line."""

from symdiff.cli import main

main(prog_name="symdiff")
