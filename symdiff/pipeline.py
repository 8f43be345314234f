"""The way from a formula to everything made of it: the one place that calls the stages.

source -> frontend.read -> linearize -> adjoint -> passes -> render -> build
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from symdiff import frontend
from symdiff.adjoint import adjoint
from symdiff.build import kernels
from symdiff.build.machine import machine_facts
from symdiff.build.package import package_directory, run_builder, write_package
from symdiff.errors import (
    BuildError,
    CheckpointError,
    DivergenceError,
    ShapeError,
    SymdiffError,
    UnsupportedError,
    nearest,
    quoted,
)
from symdiff.formula import FormulaData, Limits
from symdiff.linearize import linearize
from symdiff.passes import for_code, for_values
from symdiff.programs import recording
from symdiff.progress import Progress, progress_bar
from symdiff.render import derivation, derivation_options, html_body, html_page, trace_text
from symdiff.render.c import CSource, c_module
from symdiff.render.context import Sheet, default_wrt
from symdiff.render.derivation_options import Headings, Level, Options, Style
from symdiff.render.graph import drawing
from symdiff.render.identity import identity
from symdiff.render.notebook import DerivationView, Page, Shown, formula_page, is_short, program_words
from symdiff.render.package import LONGEST_DERIVED, package_files
from symdiff.render.pdf import ENGINES as ENGINES
from symdiff.render.pdf import Engine, pdf
from symdiff.render.points import array_point, check_point
from symdiff.render.python import load_module, python_module
from symdiff.render.trace_views import StateView, TraceView
from symdiff.rule import Range, Rule, Update, instance, rule_of
from symdiff.runtime.c_train import TrainSpec
from symdiff.runtime.interrupt import Termination
from symdiff.runtime.kernel import Kernel, KernelSpec
from symdiff.runtime.train_data import Errors, TrainerSpec
from symdiff.runtime.train_engines import NumpyTrainEngine, TrainEngine
from symdiff.runtime.training import Trainer, Training
from symdiff.shapes import Shape, shape_text
from symdiff.tangent import tangent
from symdiff.tape import Step, Tape
from symdiff.trace import Trace, refuse_abstract
from symdiff.verify import Report, verify
from symdiff.verify.finite import finite_differences

VERSION = "0.1.0"
STYLES, LEVELS, HEADINGS = derivation_options.STYLES, derivation_options.LEVELS, derivation_options.HEADINGS
MOST_DIGITS = derivation_options.MOST_DIGITS
MACROS = ""  # that a fragment of LaTeX needs; its mathematics is written out in what amsmath has
Kind = Literal["gradient", "value"]
DType = Literal["float64", "float32"]
Backend = Literal["auto", "c", "numpy"]
T = TypeVar("T")


def formula(
    source: Any,
    *,
    shapes: Mapping[str, Shape] | None = None,
    constants: Iterable[str] = (),
    limits: Limits | None = None,
) -> Formula:
    """The formula in `source`: text (a str is always text), a pathlib.Path, a Python function, or a SymPy expression.

    shapes and constants may stand for declarations in the text; limits raise what is refused for its size. Also a
    decorator for a function, whose source is read and which is never run. Raises ParseError, DomainError or
    UnsupportedError with the place.
    """
    return Formula(frontend.read(source, shapes=shapes, constants=constants, limits=limits))


def formula_from_reference(reference: str, *, limits: Limits | None = None) -> Formula:
    """The function in `module.py:function`; the file is read as text and never imported."""
    return Formula(frontend.read_reference(reference, limits=limits))


def trace_function(
    function: Callable[..., Any],
    *shapes: Any,
    names: Iterable[str] | None = None,
    constants: Iterable[str] | str = (),
    limits: Limits | None = None,
) -> Formula:
    """The formula that an ordinary Python function computes: it is run once on symbols, and every operation is a step.

    shapes     of the arguments, in order: () a number, 3 or (3,) a vector, (2, 3) a matrix. An array arrives as a NumPy
               array of symbols, a number as a symbol; both have the functions of `symdiff.functions` as methods
    names      of the arguments, where those of the signature will not do: all of them in order, or new names by old
               ones, names={"sin": "s"}
    constants  names of arguments that are not differentiated
    limits     raise `steps` to accept more than 200,000 steps

    The function is run this once and never again, so whatever else it uses is fixed in the formula from then on: what
    it reads from a file, a global or `self`, the number of passes of a loop. A random number drawn while tracing is a
    constant of the tape, the same in every call of the kernel: noise or a dropout mask must come in as an argument (one
    of the `constants`). What is to vary must be an argument.

    A comparison such as x > 0 is for `symdiff.functions.where`. All that asks for its truth is refused, save for what
    Python decides without asking: `(x > 0) is True` is False, also in `match`. Make arrays of symbols and numbers
    with `symdiff.functions.array` (or np.stack, np.hstack): NumPy's functions do not work on np.array([x, 1.0]).

    A vector counts as a bias for `symdiff.init.parameters`, which starts it at zero; give weights that are
    vectors (of a single unit, say) their start by hand.

    What the function raises passes through. Raises UnsupportedError, with the line of the program, where it needs the
    value of a symbol (an `if`, `math.exp`, an index) or a function of NumPy for floats alone; DomainError, with the
    line, for a constant that is nan or infinite; ShapeError where it does not return one number; ParseError for a name
    (of an argument, or given by `named`) that a formula cannot have; and SymdiffError for arguments that do not fit it.
    """
    traced = recording.trace_function(function, shapes, names=names, constants=constants, limits=limits)
    return Formula(*traced)


is_reference = frontend.is_reference


def read_rule(source: Any, name: str, reference: str = "") -> Rule:
    """The update rule in a formula (see `symdiff.rule`), given as text, a pathlib.Path or a Python function.

    Raises what `formula` raises, and UnsupportedError where the formula is no update rule, with what is missing.
    """
    return rule_of(frontend.read(source), name, reference)


def gradient(
    source: Any,
    wrt: Iterable[str] | None = None,
    *,
    backend: Backend = "auto",
    dtype: DType = "float64",
    **options: Any,
) -> Kernel:
    """The compiled kernel of value and gradient, in one go: `formula(source,
    **options).gradient(wrt).compile(backend)`.
    """
    return formula(source, **options).gradient(wrt).compile(backend, dtype=dtype)


class Formula(Shown):
    """A formula that has been read: `inputs` (name -> shape, in the order of a call), `constants`, `defaults`,
    `source`, `sympy`.
    """

    def __init__(self, data: FormulaData, primal: Tape | None = None) -> None:
        self.data = data
        # now, so that what is wrong with a formula is said where it is given
        self.primal = linearize(data) if primal is None else primal
        self.inputs, self.defaults, self.source = data.arguments, data.defaults, data.source
        self.constants = tuple(group.name for group in data.groups if group.constant) or data.constants

    @property
    def sympy(self) -> Any:
        """The output as a SymPy expression in the inputs, in the order typed."""
        return self.data.sympy

    def bind(self, **functions: Any) -> Formula:
        """The formula with abstract functions bound: `f.bind(phi="relu", l="def l(o, y): return sum((o - y)**2)/2")`.

        A value is the name of a function of the language, a `def` as text, "@FILE" or a pathlib.Path with one, or a
        Python function, whose source is read. Raises ParseError where it is none of these, takes another number of
        arguments, or mixes elements though the function is declared elementwise; ShapeError where it gives another
        shape than declared; SymdiffError for a name that is not an abstract function.
        """
        return Formula(frontend.bind(self.data, functions))

    def gradient(self, wrt: Iterable[str] | str | None = None) -> Program:
        """Value and gradient by `wrt`: names of inputs, by default every input that is not constant.

        Raises ShapeError where the value is not one number.
        """
        shape = self.primal.steps[-1].shape
        if shape:
            raise ShapeError(
                f"the gradient needs a value that is one number, and this one has shape {shape_text(shape)}; sum it, "
                "or pick a component (value(), or --value, gives the value alone)"
            )
        return Program(self.data, self.primal, "gradient", _variables(self.data, wrt))

    def value(self) -> Program:
        """The value alone."""
        return Program(self.data, self.primal, "value", ())

    def __repr__(self) -> str:
        return f"<symdiff formula of {', '.join(self.inputs)}>"

    def _page(self) -> Page:
        return formula_page(self.data, self.primal)


class Program(Shown):
    """A formula with its steps, ready to be printed, rendered, traced and compiled."""

    def __init__(
        self, data: FormulaData, primal: Tape, kind: Kind, wrt: tuple[str, ...], rule: Rule | None = None
    ) -> None:
        self.data, self.primal, self.kind, self.wrt, self.rule = data, primal, kind, wrt, rule

    def update(self, rule: Rule) -> Program:
        """The program with an update rule (`symdiff.optim`): it becomes part of the derivation and of the code.

        Raises SymdiffError for a program without a gradient, and for what is no rule.
        """
        if not isinstance(rule, Rule):
            raise SymdiffError(
                f"update: expected a rule such as symdiff.optim.adam(), got {type(rule).__name__}; "
                "symdiff.optim.named and symdiff.optim.rule make one of a name and of a text"
            )
        if self.kind != "gradient":
            raise SymdiffError("an update rule needs a gradient: take one with .gradient()")
        return Program(self.data, self.primal, self.kind, self.wrt, rule)

    @cached_property
    def written_update(self) -> Update | None:
        """The rule written out for every variable; None without a rule."""
        if self.rule is None:
            return None
        bars, shapes = dict(self.tape.bars), {**self.tape.shapes, **self.data.arguments}
        named = [(name, shapes[name], bars.get(name)) for name in self.wrt]
        return instance(self.rule, named, self.tape.bound_names())

    @cached_property
    def tape(self) -> Tape:
        """The tape as linearized, in the user's words and order, with its reverse sweep."""
        return adjoint(self.primal, self._scalars) if self.kind == "gradient" else self.primal

    @cached_property
    def code_tape(self) -> Tape:
        """The same tape after the passes, as code is printed from it."""
        tape = for_values(self.primal)
        return for_code(adjoint(tape, self._scalars) if self.kind == "gradient" else tape)

    @property
    def _scalars(self) -> tuple[str, ...]:
        """Inputs of the tape that it is differentiated by: of a traced function the elements of `wrt`."""
        return self.data.scalars(self.wrt)

    @property
    def steps(self) -> tuple[Step, ...]:
        """One elementary step per line."""
        return self.tape.steps

    def __str__(self) -> str:
        return trace_text.tape_text(self.tape.steps)

    def __repr__(self) -> str:
        return f"<symdiff {self.kind} of {len(self.primal.primal)} steps>"

    def _page(self) -> Page:
        return self.show()._page()

    def show(self, at: Mapping[str, Any] | None = None, *, folded: bool = True, **options: Any) -> DerivationView:
        """The derivation as an object that notebooks show, with numbers where `at` is given: statement and gradient,
        with every step behind a heading that opens, or all of it where not `folded`. Options as for `latex`.

        Of more than 200 steps there is the number of steps alone. Raises what `latex` raises.
        """
        latex = self.latex(at, **options) if is_short(self.primal) and is_short(self.tape) else None
        what = program_words(self.primal, self.wrt)
        return DerivationView(what, latex, lambda: self.text(at, **options), folded=folded)

    # -- text --------------------------------------------------------------------------------------------------------

    def sheet(self, name: str = "formula", dtype: DType = "float64", at: Mapping[str, Any] | None = None) -> Sheet:
        """What renderers get; `name` is the prefix of the C functions."""
        dtype = _dtype(dtype)
        update = self.written_update
        return Sheet(package_directory(name), self.data, self.tape, self.code_tape, self.kind, dtype, at, update)

    def _code_sheet(self, name: str, dtype: DType) -> Sheet:
        """The sheet for code alone, which has no use for the reverse sweep that people read."""
        dtype = _dtype(dtype)
        return Sheet(
            package_directory(name), self.data, self.primal, self.code_tape, self.kind, dtype, None, self.written_update
        )

    def source(self, language: str = "python", *, name: str = "formula", dtype: DType = "float64") -> str:
        """Generated text: `python` (NumPy module), `c` (C99) or `h` (its header)."""
        if language == "python":
            return python_module(self._code_sheet(name, dtype))
        if language in ("c", "h"):
            made = self._c(name, dtype)
            return made.source if language == "c" else made.header
        raise UnsupportedError(f"no language {quoted(language)}; there are python, c and h")

    def _c(self, name: str, dtype: DType) -> CSource:
        return c_module(self._code_sheet(name, dtype))

    def latex(
        self,
        at: Mapping[str, Any] | None = None,
        *,
        fragment: bool = False,
        name: str = "formula",
        style: Style = "full",
        digits: int = 8,
        level: Level = "step",
        headings: Headings = "section",
    ) -> str:
        """The derivation in LaTeX, a whole article or a fragment that needs amsmath alone; with numbers where `at` is
        given.

        style     full (everything), steps (a table of the steps), chain (products of partial derivatives along the
                  paths), matrix (index rules, then matrix notation; UnsupportedError for a formula of numbers)
        digits    significant digits of the numbers, 1 to 17
        level     `step`: a line per elementary step; `statement`: a line per statement of the formula
        headings  section, paragraph or none: what the sections are called in your document; none of them is numbered
                  by TeX

        Raises SymdiffError for options that there are not, and for an `at` that does not fit.
        """
        trace, check = self._numbers(at)
        options = Options(style, digits, level, headings)
        return derivation.latex(self.sheet(name), trace, fragment=fragment, check=check, options=options)

    def markdown(
        self,
        at: Mapping[str, Any] | None = None,
        *,
        name: str = "formula",
        style: Style = "full",
        digits: int = 8,
        level: Level = "step",
    ) -> str:
        """The derivation in GitHub-flavoured Markdown; options as for `latex`."""
        trace, check = self._numbers(at)
        return derivation.markdown(self.sheet(name), trace, check, options=Options(style, digits, level))

    def text(
        self,
        at: Mapping[str, Any] | None = None,
        *,
        name: str = "formula",
        style: Style = "full",
        digits: int = 8,
        level: Level = "step",
    ) -> str:
        """The derivation for a terminal of 80 columns; options as for `latex`, and UnsupportedError for the style
        `steps`.
        """
        trace, check = self._numbers(at)
        return derivation.text(self.sheet(name), trace, check, options=Options(style, digits, level))

    def pdf(
        self,
        at: Mapping[str, Any] | None = None,
        *,
        name: str = "formula",
        style: Style = "full",
        digits: int = 8,
        level: Level = "step",
        engine: Engine = "auto",
    ) -> bytes:
        """The derivation as PDF. Options as for `latex`.

        engine  tex (pdflatex), typst (the Python package, extra `pdf`), or auto: TeX where it is found, else Typst

        Raises BuildError where there is no such engine, and says how to get one.
        """
        return pdf(self.latex(at, name=name, style=style, digits=digits, level=level), engine)

    def html(
        self,
        at: Mapping[str, Any] | None = None,
        *,
        fragment: bool = False,
        name: str = "formula",
        style: Style = "full",
        digits: int = 8,
        level: Level = "step",
    ) -> str:
        """One page that needs nothing else and no network: derivation, graph, Python, C and the state of all adjoints,
        which the reader steps through. With `fragment` the derivation alone, as HTML for the inside of a page of your
        own. Options as for `latex`.

        Raises UnsupportedError for a page of more than 1,000 steps, and what `latex` raises.
        """
        if not fragment:
            html_page.refuse_long(self.primal)
        trace, check = self._numbers(at)
        sheet, options = self.sheet(name), Options(style, digits, level)
        latex = derivation.latex(sheet, trace, fragment=True, check=check, options=options)
        if fragment:
            return html_body.body(latex)
        sources = {language: self._source_or_why(language, name) for language in ("python", "c")}
        return html_page.page(sheet, trace, latex=latex, sources=sources, options=options)

    def _source_or_why(self, language: str, name: str) -> str | UnsupportedError:
        """Generated code, or why there is none: a function is abstract."""
        try:
            refuse_abstract(self.tape)
            return self.source(language, name=name)
        except UnsupportedError as error:
            return error

    def graph(
        self,
        at: Mapping[str, Any] | None = None,
        *,
        format: Literal["svg", "tikz", "dot", "pdf"] = "svg",  # the name that people expect
        scheme: bool = False,
        level: Level = "step",
        fragment: bool = False,
        name: str = "formula",
    ) -> str | bytes:
        """The computation graph, laid out from left to right; where `at` is given with the value above every edge and
        the adjoint that it sends back below it. The PDF is bytes, everything else text.

        format    svg, tikz (LaTeX), dot (graphviz lays it out), or pdf (through TeX with TikZ, else Typst)
        scheme    instead the layers of neurons of a network, where the formula is one
        level     `step`: a node per elementary step; `statement`: a node per statement of the formula
        fragment  TikZ for a document of your own, which loads tikz

        Raises UnsupportedError for a graph of more nodes than anybody can read, for the scheme of what is no layered
        network and for options that there are not, BuildError for a PDF without TeX and Typst, and what `trace` raises
        for an `at` that does not fit.
        """
        numbers = None if at is None else Trace(self.tape, self.data.scalar_point(at))
        return drawing(self.sheet(name), numbers, format, scheme=scheme, level=level, fragment=fragment)

    def _numbers(self, at: Mapping[str, Any] | None) -> tuple[Trace | None, dict[str, tuple[float, float]] | None]:
        if at is None:
            return None, None
        numbers = Trace(self.tape, self.data.scalar_point(at))
        return numbers, finite_differences(numbers)

    # -- numbers -----------------------------------------------------------------------------------------------------

    def trace(self, at: Mapping[str, Any]) -> TraceView:
        """Every node's value and every adjoint at a point, step by step."""
        return TraceView(Trace(self.tape, self.data.scalar_point(at)), self.data)

    def check(self, at: Mapping[str, Any] | None = None, *, points: int = 3) -> Report:
        """The generated code put to the test: dot products, finite differences, complex step, 50 digits."""
        plain = self._of_scalars
        engines = {"numpy": plain.compile("numpy")}
        with suppress(BuildError):  # the report says that C was not tested
            engines["c"] = plain.compile("c")
        at = None if at is None else self.data.scalar_point(at)
        return verify(self.tape, tangent(self.primal, self._scalars), engines, at=at, points=points)

    @property
    def _of_scalars(self) -> Program:
        """The program of a traced function with an argument for every scalar; any other program itself."""
        if not self.data.groups:
            return self
        return Program(replace(self.data, groups=()), self.primal, self.kind, self._scalars)

    def example_point(self) -> dict[str, Any]:
        """A value for every input at which the value and its derivatives are finite and, if that can be found, of
        ordinary size: where the self-check of a package starts. Defaults are kept.

        Raises UnsupportedError for an abstract function, and ShapeError where no sizes fit.
        """
        refuse_abstract(self.tape)
        sheet = self.sheet()
        if sheet.people.is_array or self.data.groups:
            return array_point(sheet).values(self.data.arguments)
        return dict(check_point(sheet))

    # -- code --------------------------------------------------------------------------------------------------------

    def compile(
        self, backend: Backend = "auto", *, dtype: DType = "float64", threads: int | Literal["auto"] | None = None
    ) -> Kernel:
        """A callable Kernel. `c` raises BuildError without a compiler; `auto` then falls back to NumPy with a
        warning. `threads` share large batches; see `Kernel.threads`, which it sets.
        """
        dtype = _dtype(dtype)
        kernel = self._built(_backend(backend), lambda: self._c_kernel(dtype), lambda: self._numpy_kernel(dtype))
        if threads is not None:
            kernel.threads = threads
        return kernel

    def _built(self, backend: Backend, by_c: Callable[[], T], by_numpy: Callable[[], T]) -> T:
        """What the backend gives; `auto` is C, with NumPy and a warning where that cannot be built."""
        if backend == "numpy":
            return by_numpy()
        try:
            return by_c()
        except BuildError as error:
            if backend == "c":
                raise
            warnings.warn(
                f"using NumPy, because the C kernel cannot be built: {error.headline.splitlines()[0]}",
                RuntimeWarning,
                stacklevel=3,
            )
            return by_numpy()

    def _spec(self, dtype: DType) -> KernelSpec:
        data = self.data
        given = self._code_sheet("formula", dtype).kernel_shapes
        return KernelSpec("formula", tuple(data.arguments), self.wrt, self.kind, dtype, dict(data.defaults), **given)

    def _numpy_kernel(self, dtype: DType) -> Kernel:
        function = load_module(self.source("python", dtype=dtype), self.kind)
        return kernels.numpy_kernel(function, self._spec(dtype))

    def _c_kernel(self, dtype: DType) -> Kernel:
        made = c_module(self._code_sheet("formula", dtype), [self.kind])  # the other kind would only cost compile time
        return kernels.compile_c(
            made.single_file,
            self._spec(dtype),
            vector_functions=made.vector_functions,
            statements=made.statements,
            workspace=made.workspace,
        )

    # -- training ----------------------------------------------------------------------------------------------------

    def train(
        self,
        data: Mapping[str, Any] | None = None,
        start: Mapping[str, Any] | None = None,
        *,
        epochs: int,
        backend: Backend = "auto",
        progress: Progress | bool | None = None,
        **options: Any,
    ) -> Training:
        """Minimise the value over `data` from `start` by the program's update rule.

        data      inputs outside wrt: of their declared shapes, where samples lie along a dimension with a name, or with
                  one more axis in front, and then the mean over the points along it is minimised
        start     parameters; what is missing takes the formula's default
        epochs    how often all samples are visited, from 1
        backend   "auto", "c" or "numpy"
        progress  a function of (epochs made, epochs, value), or True for a bar on the terminal

        options are

        batch       samples of an update; all of them by default, and where it is more than there are
        seed        whole number from 0 (default), decides the order of the samples
        shuffle     whether each epoch has an order of its own; by default if `batch` is smaller than the data
        samples     dimension along which the samples lie; by default the only one that data have and no parameter has
        settings    other numbers for settings of the rule, by name: {"eta": 0.01}
        checkpoint  file that the run is kept in, and goes on from
        every       seconds between checkpoints, by default 5

        The result has `parameters` and the rule's `states` by name, `history` (history.value[e] is the value in epoch
        e, counted from 0: the mean over the updates of that epoch, each before it), `value` (the last of them),
        `updates` (how many were made), `interrupted`, `backend`, `samples` (what was taken for samples) and `batch`.
        Ctrl-C ends the training in an orderly way, with `interrupted` set.

        Raises SymdiffError, ShapeError, DivergenceError (with `.training`), CheckpointError, and BuildError for
        `backend="c"` without a compiler.
        """
        with progress_bar(progress) as shown:
            return self.trainer(backend).train(data, start, epochs=epochs, progress=shown, **options)

    def trainer(self, backend: Backend = "auto") -> Trainer:
        """What trains, compiled: for several trainings with other data, starts and batches.

        Raises SymdiffError for a program without an update rule, and what `compile` raises.
        """
        if self.rule is None:
            raise SymdiffError("training needs an update rule: .update(symdiff.optim.gradient_descent(eta=0.1))")
        return self._trainers(_backend(backend))

    @cached_property
    def _trainers(self) -> Callable[[Backend], Trainer]:
        return cache(self._new_trainer)

    def _new_trainer(self, backend: Backend) -> Trainer:
        engine = self._built(backend, self._c_engine, self._numpy_engine)
        sheet, kernel, update = self._code_sheet("formula", "float64"), self._spec("float64"), self.written_update
        assert update is not None
        spec = TrainerSpec(
            shapes={name: kernel.shapes.get(name, ()) for name in kernel.inputs},
            wrt=self.wrt,
            settings=tuple((name, number) for _, name, number in update.settings),
            states=update.rule.states,
            defaults=kernel.defaults,
            requirements=kernel.requirements,
            identity=partial(identity, sheet),
            check_settings=update.rule.set,
        )
        return Trainer(spec, engine, Errors(SymdiffError, ShapeError, DivergenceError, CheckpointError))

    def _c_engine(self) -> TrainEngine:
        kernel = self._spec("float64")
        made = c_module(self._code_sheet("formula", "float64"), ["gradient", "train"])
        spec = TrainSpec(kernel.name, kernel.inputs, kernel.dimensions, kernel.array, kernel.blas)
        return kernels.compile_training(
            made.single_file, spec, vector_functions=made.vector_functions, statements=made.statements
        )

    def _numpy_engine(self) -> TrainEngine:
        text, kernel = self.source("python"), self._spec("float64")
        gradient, update = load_module(text, "gradient"), load_module(text, "update")
        return NumpyTrainEngine(gradient, update, kernel.inputs, maps=not kernel.array)

    @property
    def too_long_to_derive(self) -> str:
        """Why `write` leaves the derivation out unless it is asked for; empty for programs of up to 2,000 steps."""
        steps = len(self.primal.primal)
        return f"the derivation of {steps} steps is left out" if steps > LONGEST_DERIVED else ""

    def write(
        self,
        path: str | Path,
        *,
        at: Mapping[str, Any] | None = None,
        dtype: DType = "float64",
        force: bool = False,
        derivation: bool | None = None,
    ) -> Path:
        """Write the package and return its folder, `path`, whose last part is its name. Existing files are kept unless
        `force`.

        `derivation`: whether the derivation goes along (Markdown and LaTeX). By default it does for programs of up to
        2,000 steps, not counting the reverse sweep; of a longer one it is megabytes, and a UserWarning and the
        package's README say that it is left out.
        """
        path = Path(path)
        written = write_package(path, self.files(path.name, at=at, dtype=dtype, derivation=derivation), force=force)
        if derivation is None and self.too_long_to_derive:
            warnings.warn(f"{self.too_long_to_derive}; derivation=True writes it all the same", stacklevel=2)
        return written

    def files(
        self,
        name: str = "formula",
        *,
        at: Mapping[str, Any] | None = None,
        dtype: DType = "float64",
        derivation: bool | None = None,
    ) -> dict[str, str]:
        """What `write` writes: path within the package's folder, which is to be called `name` -> text."""
        refuse_abstract(self.tape)
        texts = {}
        if derivation or (derivation is None and not self.too_long_to_derive):
            texts = {f"{name}.tex": self.latex(at, name=name), f"{name}.md": self.markdown(at, name=name)}
        return package_files(self.sheet(name, dtype, at), texts)


def build_package(folder: Path) -> str:
    """Compile the kernel of a generated package, as `python -m NAME.build` does; returns what that prints."""
    return run_builder(folder)


def doctor() -> list[tuple[str, str]]:
    """What this machine gives, as pairs of a name and a fact."""
    return [("symdiff", VERSION), *machine_facts()]


def _dtype(dtype: Any) -> DType:
    """`float64` or `float32`, by name or as NumPy's type."""
    name = getattr(dtype, "__name__", None) or getattr(dtype, "name", None) or str(dtype)
    if name == "float64":
        return "float64"
    if name == "float32":
        return "float32"
    raise UnsupportedError(f"no kernels in {quoted(str(name))}: float64, float32")


def _backend(name: Any) -> Backend:
    if name not in ("auto", "c", "numpy"):
        raise UnsupportedError(f"no backend {quoted(str(name))}: auto, c, numpy")
    return name  # type: ignore[no-any-return]  # one of the three


def _variables(data: FormulaData, wrt: Iterable[str] | str | None) -> tuple[str, ...]:
    """Names to differentiate by, checked."""
    if wrt is None:
        names = tuple(group.name for group in data.groups if not group.constant) or default_wrt(data)
        if not names:
            raise SymdiffError("every input is declared constant, so there is nothing to differentiate by")
        return names
    names = (wrt,) if isinstance(wrt, str) else tuple(wrt)
    constants = [group.name for group in data.groups if group.constant] or data.constants
    for index, name in enumerate(names):
        if name not in data.arguments:
            raise SymdiffError(f"wrt: {quoted(str(name))} is not an input{nearest(str(name), data.arguments)}")
        if name in constants:
            raise SymdiffError(f"wrt: '{name}' is declared constant")
        if name in names[:index]:
            raise SymdiffError(f"wrt: '{name}' is named twice")
    if not names:
        raise SymdiffError("wrt names no variable")
    return names


__all__ = [
    "VERSION",
    "Formula",
    "Kernel",
    "Limits",
    "Program",
    "Range",
    "Rule",
    "StateView",
    "Termination",
    "TraceView",
    "Trainer",
    "Training",
    "build_package",
    "doctor",
    "formula",
    "formula_from_reference",
    "gradient",
    "is_reference",
    "package_directory",
    "read_rule",
    "trace_function",
]
