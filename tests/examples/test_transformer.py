"""The Transformer of scalars: one text on every kind of number, what it computes, and its training in small."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import autograds
from benchmarks import transformer as benchmark
from symdiff import optim
from symdiff.examples import transformer
from symdiff.examples._show import Report
from symdiff.examples.transformer import Column, Plan, Sizes, Transformer

TINY = Sizes(letters=3, length=2, width=4, heads=2, hidden=3)
Arrays = Mapping[str, np.ndarray]


def weights(sizes: Sizes = TINY, seed: int = 0) -> Arrays:
    """A start with no zero and no one in it, so that nothing hides."""
    rng = np.random.default_rng(seed)
    return {name: given + rng.normal(size=given.shape) / 5 for name, given in transformer.start(sizes, rng).items()}


def problem(sizes: Sizes = TINY) -> Any:
    """A problem of the benchmark without what is compiled."""
    sentences = transformer.one_hot(transformer.split(sizes, 0)[0], sizes)
    return autograds.Problem(sizes, weights(sizes), sentences, None, None)


def loss_of_columns(given: Arrays, sentences: np.ndarray, sizes: Sizes = TINY) -> np.ndarray:
    """The program's text on columns: the loss of each of `sentences` (n, tokens, letters + 1)."""
    columns = np.moveaxis(sentences, 0, -1).copy().view(Column)
    network = Transformer(sizes, {name: matrix.tolist() for name, matrix in given.items()})
    return np.asarray(network.loss([list(token) for token in columns]))


def torch_losses(torch: Any, given: Mapping[str, Any], sentences: Any, sizes: Sizes) -> Any:
    """The network written anew with PyTorch's own operations on whole arrays: the loss of each sentence."""
    functional, size = torch.nn.functional, sizes.width // sizes.heads
    places = 2 * sizes.length

    def norm(stream: Any, name: str) -> Any:
        return functional.layer_norm(stream, (sizes.width,), *given[name], eps=1e-5)

    def heads(stream: Any, name: str) -> Any:
        return (stream @ given[name].T).unflatten(-1, (sizes.heads, size)).transpose(1, 2)

    stream = sentences[:, :places] @ given["letter"].T + given["place"]
    normed = norm(stream, "norm1")
    read = functional.scaled_dot_product_attention(
        *(heads(normed, n) for n in ("query", "key", "read")), is_causal=True
    )
    stream = stream + read.transpose(1, 2).flatten(-2) @ given["mix"].T
    up, down = given["up"], given["down"]
    hidden = functional.linear(norm(stream, "norm2"), up[:, :-1], up[:, -1]).relu()
    stream = stream + functional.linear(hidden, down[:, :-1], down[:, -1])
    scores = (norm(stream, "norm3") @ given["score"].T)[:, sizes.length :]
    right = sentences[:, sizes.length + 1 :].argmax(-1)
    return functional.cross_entropy(scores.transpose(1, 2), right, reduction="none").mean(-1)


@pytest.mark.peer("torch")
@pytest.mark.parametrize("sizes", [TINY, transformer.SMALL, Sizes(letters=2, length=1, width=2, heads=1, hidden=2)])
def test_the_loss_is_that_of_the_network_written_with_arrays(sizes: Sizes) -> None:
    import torch

    given, sentences = weights(sizes), transformer.one_hot(transformer.sentences(sizes), sizes)
    arrays = {name: torch.tensor(matrix) for name, matrix in given.items()}
    expected = torch_losses(torch, arrays, torch.tensor(sentences), sizes).numpy()
    np.testing.assert_allclose(loss_of_columns(given, sentences, sizes), expected, rtol=1e-12)


@pytest.mark.peer("torch")
def test_the_traced_gradient_is_that_of_the_network_written_with_arrays() -> None:
    import torch

    given, sentence = weights(), transformer.one_hot(transformer.sentences(TINY)[5], TINY)
    arrays = {name: torch.tensor(matrix, requires_grad=True) for name, matrix in given.items()}
    loss = torch_losses(torch, arrays, torch.tensor(sentence)[None], TINY)[0]
    loss.backward()
    value, gradient = transformer.trace(TINY).gradient().compile("numpy")(**given, sentence=sentence)
    assert float(value) == pytest.approx(loss.item(), rel=1e-12)
    for (name, array), part in zip(arrays.items(), gradient, strict=True):
        np.testing.assert_allclose(part, array.grad.numpy(), rtol=1e-10, atol=1e-13, err_msg=name)


def test_scalars_and_the_trace_give_the_same_gradient() -> None:
    given, sentence = weights(), transformer.one_hot(transformer.sentences(TINY)[4], TINY)
    value, gradient = transformer.scalar_gradient(TINY, given, sentence)
    found, parts = transformer.trace(TINY).gradient().compile("numpy")(**given, sentence=sentence)
    assert value == found == loss_of_columns(given, sentence[None])[0]
    for (name, right), part in zip(gradient.items(), parts, strict=True):
        np.testing.assert_allclose(part, right, rtol=1e-12, err_msg=name)


@pytest.mark.peer("micrograd")
@pytest.mark.peer("torch")
def test_the_contestants_of_the_benchmark_agree_and_descend() -> None:
    asked = problem()
    expected = autograds.Scalar().task(asked).read()
    for peer in (autograds.Micrograd, autograds.Torch):
        task = peer().task(asked)
        assert benchmark.error_of(task.read(), expected) < 1e-12
        task.run()
    before = loss_of_columns(asked.weights, asked.sentences[:1])[0]
    assert expected[0] == pytest.approx(before)


@pytest.mark.peer("micrograd")
def test_a_step_of_a_contestant_is_gradient_descent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autograds, "ETA", 0.25)
    updated: list[Any] = []

    class Watched(autograds.Micrograd):
        def update(self, leaves: Any) -> None:
            super().update(leaves)
            updated.append([leaf.data for leaf in leaves])

    asked = problem()
    task = Watched().task(asked)
    _, gradient = task.read()
    task.run()
    expected = np.concatenate([(asked.weights[name] - 0.25 * part).ravel() for name, part in gradient.items()])
    np.testing.assert_allclose(updated[0], expected, rtol=1e-12)
    task.run()  # from where the first one stopped, with adjoints that start at 0 again
    assert loss_of_columns(_as_weights(updated[1]), asked.sentences[:1])[0] < task.read()[0]


def _as_weights(numbers: list[float]) -> Arrays:
    found, place = {}, 0
    for name, shape in TINY.shapes.items():
        found[name] = np.reshape(numbers[place : place + shape[0] * shape[1]], shape)
        place += shape[0] * shape[1]
    return found


@pytest.mark.peer("micrograd")
def test_the_installed_micrograd_stays_as_it_is() -> None:
    engine = pytest.importorskip("micrograd.engine")
    subclass = autograds.micrograd_value()
    assert not hasattr(engine.Value, "exp") and engine.Value is not subclass
    x = subclass(0.5)
    y = (2 * x).exp().log() * x
    y.backward()
    assert isinstance(y, subclass) and y.data == pytest.approx(0.5) and x.grad == pytest.approx(2.0)


def test_a_wrong_gradient_is_seen() -> None:
    right = (2.0, {"W": np.array([[1.0, -4.0]])})
    assert benchmark.error_of(right, right) == 0
    assert benchmark.error_of((2.0, {"W": np.array([[1.0, -4.1]])}), right) == pytest.approx(0.025)
    assert benchmark.error_of((2.2, right[1]), right) == pytest.approx(0.1)
    assert benchmark.error_of((2.0, {"W": np.array([[1.0, np.nan]])}), right) == np.inf
    assert benchmark.error_of((2.0, {"W": np.array([1.0, -4.0])}), right) == np.inf


def test_a_contestant_that_disagrees_stops_the_benchmark() -> None:
    class Wrong(autograds.Scalar):
        name = "wrong"

        def number(self, value: Any) -> float:
            return 1.001 * float(value)

    with pytest.raises(ValueError, match="wrong: off by 1"):
        benchmark.measure(problem(), [autograds.Scalar(), Wrong()], 1)


def test_an_answer_depends_on_what_stands_before_it_alone() -> None:
    tokens = transformer.sentences(TINY)[[5, 5, 5]]
    tokens[1, -2:] = 0  # both letters behind the mark: the second answer sees the first of them
    tokens[2, 0] = 2  # a letter of the word: both answers see it
    columns = np.moveaxis(transformer.one_hot(tokens, TINY), 0, -1).copy().view(Column)
    network = Transformer(TINY, {name: matrix.tolist() for name, matrix in weights().items()})
    first, second = np.array(network.scores([list(token) for token in columns]))  # each (letters, sentences)
    assert np.array_equal(first[:, 0], first[:, 1]) and not np.any(np.isclose(second[:, 0], second[:, 1]))
    assert not np.any(np.isclose(first[:, 0], first[:, 2])) and not np.any(np.isclose(second[:, 0], second[:, 2]))


def test_what_is_learned_and_what_is_held_out_are_all_sentences_once() -> None:
    learned, held_out = transformer.split(transformer.FULL, 3)
    together = np.vstack([learned, held_out])
    assert len(np.unique(together, axis=0)) == len(together) == 5**4
    assert abs(len(learned) - len(held_out)) <= 1
    assert np.array_equal(together[:, :4], together[:, :4:-1]) and np.all(together[:, 4] == 5)
    assert not np.array_equal(learned, transformer.split(transformer.FULL, 4)[0])


def test_a_start_has_plain_norms_and_no_biases() -> None:
    given = transformer.start(TINY, np.random.default_rng(1))
    assert {name: matrix.shape for name, matrix in given.items()} == TINY.shapes
    for name in ("norm1", "norm2", "norm3"):
        assert np.all(given[name][0] == 1) and np.all(given[name][1] == 0)
    for name in ("up", "down"):
        bound = np.sqrt(6 / (TINY.width + TINY.hidden))
        assert np.all(given[name][:, -1] == 0) and 0 < np.max(np.abs(given[name])) <= bound


def test_answers_are_taken_letter_by_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that copies the letter before, one up: each letter depends on the one that was said before it."""

    def scores(self: Transformer, sentence: Any) -> Any:
        before = np.array(sentence, float)[self.sizes.length : -1]  # (places, tokens, sentences)
        return np.roll(before, 1, axis=1)[:, : self.sizes.letters]

    monkeypatch.setattr(Transformer, "scores", scores)
    words = np.array([[0, 0], [2, 1]])
    assert transformer.answers(TINY, {}, words).tolist() == [[0, 1], [0, 1]]
    sentences = np.array([[1, 0, 3, 0, 1], [0, 1, 3, 1, 0], [1, 0, 3, 0, 2]])
    assert transformer.accuracy(TINY, {}, sentences) == pytest.approx(1 / 3)


@pytest.mark.compiler
def test_the_small_run_solves_its_task_and_says_the_same_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transformer.main(["--small", "-o", str(tmp_path / "first")]) == 0
    shown = capsys.readouterr().out
    assert "more than 99 % of the words held out are reversed ... ok" in shown
    assert str(tmp_path) not in (tmp_path / "first" / "transformer" / "transformer_run.txt").read_text("utf-8")
    assert transformer.main(["--small", "-o", str(tmp_path / "second")]) == 0
    files = {path.name: path.read_bytes() for path in (tmp_path / "first" / "transformer").iterdir()}
    assert "transformer_run.txt" in files
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "second" / "transformer").iterdir()}


@pytest.mark.compiler
def test_a_network_that_has_not_learned_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("transformer", None)
    transformer.run(Plan(TINY, epochs=1, batch=4, eta=1e-3), report)
    assert report.finish() == 1
    assert "held out are reversed ... DOES NOT HOLD" in capsys.readouterr().out


@pytest.mark.compiler
def test_a_quick_run_of_the_benchmark_gives_its_tables(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "transformer", "--quick", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    markdown = (tmp_path / "transformer.md").read_text("utf-8")
    assert done.stdout == markdown and str(tmp_path) not in markdown
    report = json.loads((tmp_path / "transformer.json").read_text("utf-8"))
    assert {row["contestant"] for row in report["rows"]} >= {"symdiff", "kernel", "scalar"}
    assert all(0 < row["low"] <= row["median"] <= row["high"] for row in report["rows"])
    assert all(seconds > 0 for seconds in report["seconds"].values())
    assert report["program"]["steps of the program as traced"] > 500


def test_an_unknown_contestant_of_the_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        benchmark.parse(["--only", "nobody"])
    assert refused.value.code == 2 and "unknown nobody" in capsys.readouterr().err


@pytest.mark.compiler
def test_c_and_numpy_train_alike() -> None:
    """Mini-batches of sentences in front of a traced program, through both engines."""
    program = transformer.trace(TINY).gradient().update(optim.adam(eta=0.02))
    data = {"sentence": transformer.one_hot(transformer.sentences(TINY), TINY)}
    found = [program.train(data, weights(), epochs=5, batch=4, seed=1, backend=each) for each in ("c", "numpy")]
    np.testing.assert_allclose(found[0].history.value, found[1].history.value, rtol=1e-9)
    assert found[0].value < found[0].history.value[0] and found[0].updates == 5 * 3
    for name in TINY.shapes:
        np.testing.assert_allclose(found[0].parameters[name], found[1].parameters[name], rtol=1e-8, atol=1e-10)
