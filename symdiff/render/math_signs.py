r"""The commands of our mathematics without arguments, and the characters that they are in Unicode."""

# ruff: noqa: RUF001 -- signs of mathematics that look like other characters are what this file is about

from __future__ import annotations

_LOWER = dict(
    zip(
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
        "omega varepsilon vartheta varpi varrho varsigma varphi".split(),
        "αβγδϵζηθικλμνξπρστυϕχψωεϑϖϱςφ",
        strict=True,
    )
)
_UPPER = dict(zip("Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split(), "ΓΔΘΛΞΠΣΥΦΨΩ", strict=True))
GREEK = {rf"\{name}": letter for name, letter in (_LOWER | _UPPER).items()}
"""Greek letters; TeX's epsilon and phi are the lunate and the straight one."""

FUNCTIONS = {
    rf"\{name}": name
    for name in "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp max min det".split()
}
"""Functions with commands of their own."""

SPACES = {r"\,": 3 / 18, r"\:": 4 / 18, r"\;": 5 / 18, r"\!": -3 / 18, r"\ ": 0.333, r"\quad": 1.0, r"\qquad": 2.0}
"""Room in em."""

SIGNS: dict[str, tuple[str, str]] = {
    "=": ("=", "rel"),
    "<": ("<", "rel"),
    ">": (">", "rel"),
    ":": (":", "rel"),
    r"\le": ("≤", "rel"),
    r"\leq": ("≤", "rel"),
    r"\ge": ("≥", "rel"),
    r"\geq": ("≥", "rel"),
    r"\ne": ("≠", "rel"),
    r"\neq": ("≠", "rel"),
    r"\approx": ("≈", "rel"),
    r"\leftarrow": ("←", "rel"),
    r"\rightarrow": ("→", "rel"),
    r"\to": ("→", "rel"),
    r"\mapsto": ("↦", "rel"),
    r"\in": ("∈", "rel"),
    "+": ("+", "bin"),
    "-": ("−", "bin"),
    "*": ("∗", "bin"),
    r"\ast": ("∗", "bin"),
    r"\pm": ("±", "bin"),
    r"\cdot": ("⋅", "bin"),
    r"\times": ("×", "bin"),
    r"\odot": ("⊙", "bin"),
    r"\oslash": ("⊘", "bin"),
    r"\otimes": ("⊗", "bin"),
    r"\oplus": ("⊕", "bin"),
    r"\wedge": ("∧", "bin"),
    r"\vee": ("∨", "bin"),
    "/": ("/", "ord"),
    "|": ("|", "ord"),
    r"\partial": ("∂", "ord"),
    r"\infty": ("∞", "ord"),
    r"\top": ("⊤", "ord"),
    r"\neg": ("¬", "ord"),
    r"\vdots": ("⋮", "ord"),
    r"\ldots": ("…", "ord"),
    r"\cdots": ("⋯", "ord"),
    r"\ddots": ("⋱", "ord"),
    r"\_": ("_", "ord"),
    ".": (".", "ord"),
    "!": ("!", "ord"),
    ",": (",", "punct"),
    ";": (";", "punct"),
    "(": ("(", "open"),
    "[": ("[", "open"),
    r"\{": ("{", "open"),
    r"\lbrace": ("{", "open"),
    r"\lvert": ("|", "open"),
    r"\lVert": ("‖", "open"),
    r"\langle": ("⟨", "open"),
    r"\lfloor": ("⌊", "open"),
    r"\lceil": ("⌈", "open"),
    ")": (")", "close"),
    "]": ("]", "close"),
    r"\}": ("}", "close"),
    r"\rbrace": ("}", "close"),
    r"\rvert": ("|", "close"),
    r"\rVert": ("‖", "close"),
    r"\rangle": ("⟩", "close"),
    r"\rfloor": ("⌋", "close"),
    r"\rceil": ("⌉", "close"),
    r"\sum": ("∑", "large"),
    r"\prod": ("∏", "large"),
}
"""Command -> its character and the class of the atom."""

NEGATED = {"<": "≮", ">": "≯", r"\le": "≰", r"\ge": "≱", "=": "≠"}
r"""What stands behind \not -> the relation struck out."""

FENCES = {sign: text for sign, (text, kind) in SIGNS.items() if kind in ("open", "close")} | {
    ".": "",
    "|": "|",
    r"\|": "‖",
    "/": "/",
}
r"""What may stand behind \left and \right."""

SIZES = {
    rf"\{name}{side}": (kind, size)
    for name, size in {"big": 1.2, "Big": 1.8, "bigg": 2.4, "Bigg": 3.0}.items()
    for side, kind in {"": "ord", "l": "open", "r": "close"}.items()
}
"""Brackets of a fixed size: their kind and their height in em."""
