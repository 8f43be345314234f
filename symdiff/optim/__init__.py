"""Update rules, written as formulas of the language, and training with them.

>>> from symdiff import optim
>>> optim.adam(eta=0.01).settings["beta1"]
0.9

A rule is read from a file beside this one, or from any text of yours (`rule`); see `symdiff.rule` for what a rule is.
`Program.update(rule)` makes it part of the derivation and of the generated code.
"""

from importlib.resources import as_file, files
from typing import Any

from symdiff import pipeline
from symdiff.pipeline import Rule

# Name of the file -> what people call the rule, and where it comes from.
_RULES = {
    "gradient_descent": ("gradient descent", "Nocedal and Wright, Numerical Optimization, 2nd edition, section 2.2"),
    "momentum": ("gradient descent with momentum", "Polyak 1964; Sutskever et al. 2013, equations 1 and 2"),
    "adam": ("Adam", "Kingma and Ba 2015, algorithm 1"),
}


def gradient_descent(eta: float = 0.1) -> Rule:
    """`theta_new = theta - eta*theta_bar`."""
    return _shipped("gradient_descent").set({"eta": eta})


def momentum(eta: float = 0.01, mu: float = 0.9) -> Rule:
    """`velocity_new = mu*velocity + theta_bar; theta_new = theta - eta*velocity_new`, as PyTorch's SGD."""
    return _shipped("momentum").set({"eta": eta, "mu": mu})


def adam(eta: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> Rule:
    """Adam, with the bias corrections of algorithm 1."""
    return _shipped("adam").set({"eta": eta, "beta1": beta1, "beta2": beta2, "epsilon": epsilon})


def rule(source: Any, name: str = "own rule", reference: str = "", **settings: float) -> Rule:
    """A rule of your own: text, or a pathlib.Path. Raises ParseError, and UnsupportedError where it is no rule."""
    return pipeline.read_rule(source, name, reference).set(settings)


def names() -> tuple[str, ...]:
    """Names of the rules that come with symdiff."""
    return tuple(_RULES)


def _shipped(file: str) -> Rule:
    name, reference = _RULES[file]
    with as_file(files(__name__) / f"{file}.sd") as path:
        return pipeline.read_rule(path, name, reference)


__all__ = ["Rule", "adam", "gradient_descent", "momentum", "names", "rule"]
