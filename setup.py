"""Only what pyproject.toml cannot say: every symdiff package, plus the top-level templates/ as symdiff.templates."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["symdiff", "symdiff.*"]), "symdiff.templates"])
