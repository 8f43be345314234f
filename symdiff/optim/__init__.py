"""Update rules, written as formulas of the language, and training with them.

>>> from symdiff import optim
>>> optim.adam(eta=0.01).settings["beta1"]
0.9

A rule is read from a file beside this one, or from any text of yours (`rule`); see `symdiff.rule` for what a rule is.
`Program.update(rule)` makes it part of the derivation and of the generated code.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import wraps
from importlib.resources import as_file, files
from inspect import signature
from typing import Any, ParamSpec

from symdiff import pipeline
from symdiff.errors import SymdiffError, nearest, quoted
from symdiff.pipeline import Range, Rule, Trainer, Training

P = ParamSpec("P")

# Name of the file -> what people and commands call the rule, and where it comes from.
_RULES = {
    "gradient_descent": (
        "gradient descent",
        "gd",
        "Nocedal and Wright, Numerical Optimization, 2nd edition, section 2.2",
    ),
    "momentum": ("gradient descent with momentum", "momentum", "Polyak 1964; Sutskever et al. 2013, equations 1 and 2"),
    "adam": ("Adam", "adam", "Kingma and Ba 2015, algorithm 1"),
}


_RANGES = {
    "eta": Range(),
    "mu": Range(bound=1.0),
    "beta1": Range(bound=1.0),
    "beta2": Range(bound=1.0),
    "epsilon": Range(open=True),
}


def _known_settings(make: Callable[P, Rule]) -> Callable[P, Rule]:
    """Another keyword is an error of ours, which says what the rule's settings are called."""

    @wraps(make)
    def checked(*args: P.args, **settings: P.kwargs) -> Rule:
        unknown = {name: 0.0 for name in settings if name not in signature(make).parameters}
        if unknown:
            _shipped(make.__name__).set(unknown)
        return make(*args, **settings)

    return checked


@_known_settings
def gradient_descent(eta: float = 0.1) -> Rule:
    """`theta_new = theta - eta*theta_bar`; 0 <= eta. Raises SymdiffError for other settings and numbers."""
    return _shipped("gradient_descent").set({"eta": eta})


@_known_settings
def momentum(eta: float = 0.01, mu: float = 0.9) -> Rule:
    """`velocity_new = mu*velocity + theta_bar; theta_new = theta - eta*velocity_new`, as PyTorch's SGD; 0 <= eta,
    0 <= mu < 1. Raises SymdiffError for other settings and numbers.
    """
    return _shipped("momentum").set({"eta": eta, "mu": mu})


@_known_settings
def adam(eta: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> Rule:
    """Adam, with the bias corrections of algorithm 1; 0 <= eta, 0 <= beta1 < 1, 0 <= beta2 < 1, 0 < epsilon. Raises
    SymdiffError for other settings and numbers.
    """
    return _shipped("adam").set({"eta": eta, "beta1": beta1, "beta2": beta2, "epsilon": epsilon})


def rule(source: Any, name: str = "own rule", reference: str = "", **settings: float) -> Rule:
    """A rule of your own: text, or a pathlib.Path. Its settings take every finite number.

    Raises ParseError, and UnsupportedError where it is no rule.
    """
    return pipeline.read_rule(source, name, reference).set(settings)


def names() -> tuple[str, ...]:
    """Names of the rules that come with symdiff."""
    return tuple(_RULES)


def commands() -> tuple[str, ...]:
    """What commands call these rules: `gd`, `momentum`, `adam`."""
    return tuple(key for _, key, _ in _RULES.values())


def named(name: str) -> Rule:
    """The rule that comes with symdiff under a name of `names` or `commands`. Raises SymdiffError for another one."""
    for file, (_, key, _) in _RULES.items():
        if name in (file, key):
            return _shipped(file)
    known = ", ".join(commands())
    raise SymdiffError(f"no update rule {quoted(name)}{nearest(name, [*commands(), *names()])}; there are {known}")


def train(
    source: Any,
    data: Mapping[str, Any] | None = None,
    start: Mapping[str, Any] | None = None,
    *,
    rule: Rule | None = None,
    wrt: Iterable[str] | None = None,
    **options: Any,
) -> Training:
    """Minimise a formula over `data` from `start`: `Program.train` in one go.

    source is a Program, a Formula, or anything that `symdiff.formula` reads. `rule` is gradient descent where none is
    given and the program has none. Trained are the names in `wrt`, by default those of the program or of `start`.
    `options` are those of `Program.train`; `epochs` is needed. Raises what it raises.
    """
    if isinstance(source, pipeline.Program):
        if wrt is not None:
            raise SymdiffError("wrt: the program has been differentiated already; give the formula")
        program = source
    else:
        formula = source if isinstance(source, pipeline.Formula) else pipeline.formula(source)
        names_ = tuple(start) if isinstance(start, Mapping) else ()
        program = formula.gradient(wrt if wrt is not None else names_ or None)
    if rule is not None or program.rule is None:
        program = program.update(rule if rule is not None else gradient_descent())
    return program.train(data, start, **options)


def _shipped(file: str) -> Rule:
    name, key, reference = _RULES[file]
    with as_file(files(__name__) / f"{file}.sd") as path:
        made = pipeline.read_rule(path, name, reference)
    return replace(made, key=key, ranges={name: _RANGES[name] for name in made.settings})


__all__ = [
    "Rule",
    "Trainer",
    "Training",
    "adam",
    "commands",
    "gradient_descent",
    "momentum",
    "named",
    "names",
    "rule",
    "train",
]
