"""A small Transformer of scalars: ordinary Python, traced, differentiated, compiled, trained until it reverses words.

    python -m symdiff.examples.transformer [--small] [-o DIR]

A sentence is a word, a mark and the word reversed: `bacd>dcab`. The network reads a sentence up to some letter behind
the mark and says which letter is next, so that the word reversed comes out letter by letter. It has an embedding of
letters and one of places, one block of causal attention with a few heads and of a perceptron, each behind a layer norm,
and a softmax cross-entropy at the end (Vaswani et al. 2017; the norms stand before the parts, as in Xiong et al. 2020).

Everything is a number, a list of numbers, or a loop. `Transformer` uses nothing but `+ - * **` and the methods
`.exp()`, `.log()` and `.relu()` of what it is given, so one text runs on the symbols of `symdiff.trace_function`, on
`symdiff.Scalar`, on PyTorch's tensors of one number, on anyone else's scalar autograd (`python -m benchmarks
transformer` compares them), and on columns of floats (`Column`), one number for each of many sentences.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import symdiff
from symdiff import init, optim
from symdiff.examples._show import Report, command, options, whole

Array = np.ndarray[Any, np.dtype[Any]]
Vector = Sequence[Any]  # of numbers of any kind
Matrix = Sequence[Vector]

# -- the program -----------------------------------------------------------------------------------------------------


def dot(a: Vector, b: Vector) -> Any:
    """Sum of products."""
    total = a[0] * b[0]
    for x, y in zip(a[1:], b[1:], strict=True):
        total = total + x * y
    return total


def linear(matrix: Matrix, vector: Vector) -> list[Any]:
    """`matrix @ vector`; a matrix (out, in) is a list of rows."""
    return [dot(row, vector) for row in matrix]


def add(a: Vector, b: Vector) -> list[Any]:
    """Element by element."""
    return [x + y for x, y in zip(a, b, strict=True)]


def mean(a: Vector) -> Any:
    """Of the elements."""
    total = a[0]
    for x in a[1:]:
        total = total + x
    return total * (1 / len(a))


def norm(vector: Vector, gain_and_shift: Matrix) -> list[Any]:
    """Layer norm: mean 0 and variance 1, then `gain` times it plus `shift` (Ba, Kiros and Hinton 2016, equation 4)."""
    middle = mean(vector)
    centred = [x - middle for x in vector]
    scale = (mean([x * x for x in centred]) + 1e-5) ** -0.5
    return [x * scale * gain + shift for x, gain, shift in zip(centred, *gain_and_shift, strict=True)]


def exponentials(scores: Vector) -> tuple[list[Any], Any]:
    """exp of each score, and their sum. What comes from layer norms is small: nothing has to be taken off before."""
    powers = [score.exp() for score in scores]
    total = powers[0]
    for power in powers[1:]:
        total = total + power
    return powers, total


def softmax(scores: Vector) -> list[Any]:
    """Positive numbers with sum 1."""
    powers, total = exponentials(scores)
    share = total**-1
    return [power * share for power in powers]


@dataclass(frozen=True)
class Sizes:
    """letters in the alphabet, letters in a word, width of the stream, heads of attention, width of the perceptron."""

    letters: int = 5
    length: int = 4
    width: int = 8
    heads: int = 2
    hidden: int = 16

    @property
    def sentence(self) -> tuple[int, int]:
        """Shape of a sentence: the tokens (word, mark, word reversed), each with a 1 at its place in the alphabet."""
        return 2 * self.length + 1, self.letters + 1

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Shape of every weight. A norm has a row of gains and a row of shifts."""
        width, hidden = self.width, self.hidden
        return {
            "letter": (width, self.letters + 1),
            "place": (2 * self.length, width),
            "norm1": (2, width),
            "query": (width, width),
            "key": (width, width),
            "read": (width, width),
            "mix": (width, width),
            "norm2": (2, width),
            "up": (hidden, width + 1),
            "down": (width, hidden + 1),
            "norm3": (2, width),
            "score": (self.letters, width),
        }


FULL, SMALL = Sizes(), Sizes(letters=5, length=3, width=6, heads=2, hidden=8)


class Transformer:
    """The network over weights of any kind of number: name -> matrix, as in `Sizes.shapes`."""

    def __init__(self, sizes: Sizes, weights: Mapping[str, Matrix]) -> None:
        self.sizes, self.weights = sizes, weights

    def loss(self, sentence: Matrix) -> Any:
        """Mean of the cross-entropies of the letters behind the mark."""
        first = self.sizes.length + 1
        losses = []
        for scores, token in zip(self.scores(sentence), sentence[first:], strict=True):
            _, total = exponentials(scores)
            losses.append(total.log() - dot(token[: self.sizes.letters], scores))
        return mean(losses)

    def scores(self, sentence: Matrix) -> list[list[Any]]:
        """A score for every letter of the alphabet, for every place behind the mark."""
        weights, answered = self.weights, self.sizes.length
        stream = [
            add(linear(weights["letter"], token), place)
            for token, place in zip(sentence[:-1], weights["place"], strict=True)
        ]
        attended = self.attention([norm(x, weights["norm1"]) for x in stream])
        # With one block, what becomes of the tokens before the mark reaches no answer, and is not worked out.
        stream = [add(x, y) for x, y in zip(stream[answered:], attended, strict=True)]
        stream = [add(x, self.perceptron(norm(x, weights["norm2"]))) for x in stream]
        return [linear(weights["score"], norm(x, weights["norm3"])) for x in stream]

    def attention(self, stream: Matrix) -> Iterator[list[Any]]:
        """For every place from the mark on: what the heads read at the places up to it, mixed."""
        weights, sizes = self.weights, self.sizes
        keys = [linear(weights["key"], x) for x in stream]
        reads = [linear(weights["read"], x) for x in stream]
        size = sizes.width // sizes.heads
        for place in range(sizes.length, len(stream)):
            query = linear(weights["query"], stream[place])
            heads: list[Any] = []
            for start in range(0, sizes.width, size):
                part = slice(start, start + size)
                scores = [dot(query[part], key[part]) * size**-0.5 for key in keys[: place + 1]]
                attention = softmax(scores)
                heads += [dot(attention, column[: place + 1]) for column in list(zip(*reads, strict=True))[part]]
            yield linear(weights["mix"], heads)

    def perceptron(self, vector: Vector) -> list[Any]:
        """Two layers with relu between them; the last column of each matrix is its bias."""
        hidden = [(dot(row[:-1], vector) + row[-1]).relu() for row in self.weights["up"]]
        return [dot(row[:-1], hidden) + row[-1] for row in self.weights["down"]]


def trace(sizes: Sizes) -> symdiff.Formula:
    """The loss of one sentence as a formula: its inputs are the weights and `sentence`, which is constant."""

    def loss(*arrays: Any) -> Any:
        *weights, sentence = arrays
        return Transformer(sizes, dict(zip(sizes.shapes, weights, strict=True))).loss(sentence)

    return symdiff.trace_function(
        loss, *sizes.shapes.values(), sizes.sentence, names=(*sizes.shapes, "sentence"), constants=("sentence",)
    )


# -- the task --------------------------------------------------------------------------------------------------------


def sentences(sizes: Sizes) -> Array:
    """All sentences as tokens, shape (letters**length, 2*length + 1); the mark is the token behind the letters."""
    words = np.array(list(itertools.product(range(sizes.letters), repeat=sizes.length)))
    return np.hstack([words, np.full((len(words), 1), sizes.letters), words[:, ::-1]])


def one_hot(tokens: Array, sizes: Sizes) -> Array:
    """Tokens as rows with one 1: shape (..., letters + 1), float64."""
    return np.eye(sizes.letters + 1)[tokens]


def split(sizes: Sizes, seed: int) -> tuple[Array, Array]:
    """Half of all sentences to learn from, and the other half, which is never learned from."""
    found = np.random.default_rng(seed).permutation(sentences(sizes))
    return found[: len(found) // 2], found[len(found) // 2 :]


def start(sizes: Sizes, rng: np.random.Generator) -> dict[str, Array]:
    """Weights by Xavier's uniform rule, gains 1, shifts and biases 0."""
    weights = {}
    for name, (rows, columns) in sizes.shapes.items():
        if name.startswith("norm"):
            weights[name] = np.stack([np.ones(columns), np.zeros(columns)])
        elif name in ("up", "down"):
            weights[name] = np.column_stack([init.xavier_uniform((rows, columns - 1), rng), np.zeros(rows)])
        else:
            weights[name] = init.xavier_uniform((rows, columns), rng)
    return weights


class Column(np.ndarray[Any, np.dtype[np.float64]]):
    """One number for each of many sentences, with the methods that the program asks of a number."""

    def exp(self) -> Any:
        return np.exp(self)

    def log(self) -> Any:
        return np.log(self)

    def relu(self) -> Any:
        return np.maximum(self, 0.0)


def answers(sizes: Sizes, weights: Mapping[str, Array], words: Array) -> Array:
    """What the network says to `words` (n, length), letter by letter, always the letter of the highest score."""
    network = Transformer(sizes, {name: matrix.tolist() for name, matrix in weights.items()})
    tokens = np.zeros((len(words), 2 * sizes.length + 1), int)
    tokens[:, : sizes.length], tokens[:, sizes.length] = words, sizes.letters
    for place in range(sizes.length):
        columns = np.moveaxis(one_hot(tokens, sizes), 0, -1).copy().view(Column)
        scores = network.scores([list(token) for token in columns])[place]
        tokens[:, sizes.length + 1 + place] = np.argmax(scores, axis=0)
    return tokens[:, sizes.length + 1 :]


def accuracy(sizes: Sizes, weights: Mapping[str, Array], tokens: Array) -> float:
    """Share of the sentences (n, 2*length + 1) that come out right in all letters."""
    said = answers(sizes, weights, tokens[:, : sizes.length])
    return float(np.mean(np.all(said == tokens[:, sizes.length + 1 :], axis=1)))


def word(letters: Array) -> str:
    """Letters as people read them."""
    return "".join("abcdefghijklmnopqrstuvwxyz"[letter] for letter in letters)


# -- the run ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """How a network is trained."""

    sizes: Sizes
    epochs: int
    batch: int
    eta: float
    seed: int = 0


PLANS = {"full": Plan(FULL, epochs=60, batch=16, eta=0.01), "small": Plan(SMALL, epochs=60, batch=4, eta=0.01)}


def scalar_gradient(sizes: Sizes, weights: Mapping[str, Array], sentence: Array) -> tuple[float, dict[str, Array]]:
    """Value and gradient of the loss of one sentence by `symdiff.Scalar`, the same text run on other numbers."""
    nodes = {name: [[symdiff.Scalar(x) for x in row] for row in matrix.tolist()] for name, matrix in weights.items()}
    loss = Transformer(sizes, nodes).loss(sentence.tolist())
    loss.backward()
    return loss.data, {name: np.array([[x.grad for x in row] for row in matrix]) for name, matrix in nodes.items()}


def largest_error(found: Mapping[str, Array], expected: Mapping[str, Array]) -> float:
    """Largest difference of two gradients, each array's relative to its largest entry."""
    return max(float(np.max(np.abs(found[name] - right)) / np.max(np.abs(right))) for name, right in expected.items())


class Clock:
    """Says on stderr how long something took: another run takes another time, and the text of a run stays the same."""

    def __init__(self) -> None:
        self.last = time.perf_counter()

    def __call__(self, what: str) -> None:
        now = time.perf_counter()
        print(f"    {what}: {now - self.last:.2f} s", file=sys.stderr, flush=True)
        self.last = now


def run(plan: Plan, report: Report) -> None:
    """Trace, differentiate, compare, train, answer; what holds and what does not goes to the report."""
    sizes, clock = plan.sizes, Clock()
    learned, held_out = split(sizes, plan.seed)
    weights = start(sizes, np.random.default_rng(plan.seed))
    report.title("A Transformer of scalars that reverses words")
    _say_task(report, sizes, learned, held_out)

    formula = trace(sizes)
    clock("traced")
    program = formula.gradient().update(optim.adam(eta=plan.eta))
    forward, both = len(program.tape.primal), len(program.steps)
    clock("differentiated")
    report.say(f"tape       {forward} steps, with the reverse sweep {both}")
    if plan.sizes == FULL:
        report.holds("the program has 5000 to 10000 steps", 5000 <= forward <= 10000)
    _compare_with_scalars(report, program, plan, weights, one_hot(learned[0], sizes))
    clock("compiled; the same text on symdiff.Scalar")

    sentences = {"sentence": one_hot(learned, sizes)}
    trained = whole(program.train(sentences, weights, epochs=plan.epochs, batch=plan.batch, seed=plan.seed))
    clock(f"{trained.updates} updates by Adam, with their compilation")
    report.head(f"Adam, eta = {plan.eta}, batches of {plan.batch}: {plan.epochs} epochs, {trained.updates} updates")
    shown = [e for e in (1, 2, 5, 10, 20, 40, 60, 100) if e <= plan.epochs]
    report.table(["epoch", "loss"], [[str(e), f"{trained.history.value[e - 1]:.2g}"] for e in shown])
    _say_answers(report, sizes, weights, trained.parameters, learned, held_out)
    report.curves({"learned half": trained.history.value}, title="A Transformer of scalars", ylabel="cross-entropy")


def _say_task(report: Report, sizes: Sizes, learned: Array, held_out: Array) -> None:
    first = learned[0]
    sentence = f"{word(first[: sizes.length])}>{word(first[sizes.length + 1 :])}"
    report.say(
        f"sentence   {sentence}: a word of {sizes.length} letters out of {sizes.letters}, a mark, the word reversed"
    )
    report.say(f"sentences  {len(learned) + len(held_out)}: {len(learned)} to learn from, {len(held_out)} held out")
    count = sum(rows * columns for rows, columns in sizes.shapes.values())
    report.say(f"network    width {sizes.width}, {sizes.heads} heads, perceptron of {sizes.hidden}: {count} weights")


def _compare_with_scalars(
    report: Report, program: symdiff.Program, plan: Plan, weights: Mapping[str, Array], sentence: Array
) -> None:
    value, *parts = _flat(program.compile()(**weights, sentence=sentence))
    by_scalars = scalar_gradient(plan.sizes, weights, sentence)
    error = largest_error(dict(zip(plan.sizes.shapes, parts, strict=True)), by_scalars[1])
    right = error < 1e-9 and abs(float(value) - by_scalars[0]) < 1e-9
    report.holds("the kernel's gradient is that of symdiff.Scalar to 1e-9", right, f"{error:.1e}")


def _flat(found: Any) -> list[Any]:
    value, gradient = found
    return [value, *gradient]


def _say_answers(
    report: Report,
    sizes: Sizes,
    before: Mapping[str, Array],
    after: Mapping[str, Array],
    learned: Array,
    held_out: Array,
) -> None:
    report.head("Words reversed, all letters right")
    rows: list[list[str]] = []
    for name, tokens in (("learned", learned), ("held out", held_out)):
        rows.append([name, *(f"{100 * accuracy(sizes, each, tokens):.1f} %" for each in (before, after))])
    report.table(["half", "before", "after"], rows)
    report.say()
    words = held_out[:6, : sizes.length]
    said = [answers(sizes, each, words) for each in (before, after)]
    report.table(
        ["word", "before", "after"], [[word(w), word(b), word(a)] for w, b, a in zip(words, *said, strict=True)]
    )
    report.say()
    report.holds("more than 99 % of the words held out are reversed", accuracy(sizes, after, held_out) > 0.99)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 where everything that is claimed holds."""
    chosen = options("transformer", argv, "A Transformer of scalars that learns to reverse words.")
    report = Report("transformer", chosen.output)
    run(PLANS["small" if chosen.small else "full"], report)
    return report.finish()


if __name__ == "__main__":
    command(main)
