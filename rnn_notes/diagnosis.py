"""From a network that does not train to a cause: what its weights do to a gradient, measured and named."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from html import escape
from math import isfinite, log

import numpy as np

from rnn_notes._checks import NotFiniteError, check_array, check_finite, check_kind, check_overflow, shown
from rnn_notes._growth import EXACT, KINDS, MOST, Growth, growth, growth_of_inputs
from rnn_notes._weights import as_array, read
from rnn_notes.gru import GRU
from rnn_notes.lstm import LSTM
from rnn_notes.rnn import RNN
from rnn_notes.spectrum import eigenvalues, spectral_norm
from rnn_notes.tables import Table, table

STEPS, SEQUENCES = 100, 4  # of the input that is drawn if none is given; of a given one, so many are carried
THOUSANDTH = 3.0  # in log₁₀: less than this is left, and a gradient has vanished; more than its inverse, exploded

VERDICTS = {
    "not finite": "a NaN or an infinity, in the weights, in the states, or in the loss",
    "dead units": "at least half of the ReLU units are 0 at every step of every sequence",
    "chaotic": "states are bounded, and along them a gradient grows for ever",
    "exploding": "a gradient grows to more than a thousand times its length",
    "saturated": "activations or gates are so near their limits that little gets through",
    "transient growth": "a gradient grows at least tenfold, and decays in the long run",
    "forgets": "gates let less than a thousandth of a gradient through",
    "vanishing": "less than a thousandth of a gradient is left",
    "not measured": "something could not be run, and what could shows no trouble",
    "healthy": "none of these",
}
"""What `Report.verdict` can be, and what it means; the worst first.

:meta hide-value:
"""

LINKS = {
    "not finite": "clipping.html#not-finite",
    "dead units": "sigmoid.html#zero-slopes",
    "chaotic": "initialization.html#saturated-explodes",
    "exploding": "clipping.html#threshold",
    "saturated": "initialization.html#saturated-slopes",
    "transient growth": "eigenvalues.html#far-from-normal",
    "forgets": "lstm.html#forget-bias",
    "vanishing": "initialization.html#scale-on-the-edge",
    "forget bias": "lstm.html#bias-slices",
}


@dataclass(frozen=True)
class Finding:
    """One thing that `diagnose` saw.

    Attributes
    ----------
    name : str
        One of `VERDICTS`, or ``"forget bias"``, which is never the verdict.
    where : str
        The layer and direction, ``"training"`` or ``"loss"``.
    what : str
        The measurement, in words.
    action, proof : str
        What to do next, and what would prove that this was it.
    inputs : tuple of str
        The kinds of input on which it was seen; `what` is said of the one where it is worst.
    size : float
        How bad it is, beside others of its name: powers of ten lost or gained, or a share.
    gate : str
        The letter of the gate that it is about, if it is about one.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import RNN, diagnose
    >>> rnn = RNN(np.ones((1, 1)), np.array([[0.5]]), np.zeros(1), activation="identity")
    >>> diagnose(rnn, np.ones((20, 1, 1))).findings[0].what
    'a gradient keeps 1e-06 of its length over 20 steps, and less than a thousandth after 10'
    """

    name: str
    where: str
    what: str
    action: str
    proof: str
    inputs: tuple = ()
    size: float = 0.0
    gate: str = ""

    @property
    def link(self) -> str:
        """The place in the lectures."""
        return LINKS[self.name]


@dataclass(frozen=True)
class Block:
    """One square recurrent matrix: that of an RNN, or of one gate.

    Attributes
    ----------
    where, name : str
        The layer and direction; ``"W_h"``, or with the letter of its gate.
    radius, norm, departure : float
        ρ, ‖·‖₂ and Henrici's departure from normality; NaN if it is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import RNN, diagnose
    >>> rnn = RNN(np.ones((2, 1)), np.array([[0.5, 3.0], [0.0, 0.5]]), np.zeros(2))
    >>> block = diagnose(rnn).blocks[0]
    >>> block.radius, round(block.departure, 9)
    (0.5, 3.0)
    """

    where: str
    name: str
    radius: float
    norm: float
    departure: float


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured in one layer and direction on one kind of input.

    Attributes
    ----------
    where, input : str
        The layer and direction; ``"x"``, or the kind that was drawn.
    best, typical : ndarray of shape (D + 1,)
        log₁₀ of the norm of a gradient at each distance: of the direction in the last hidden state that is
        kept best, and the geometric mean over all directions. Medians over the sequences.
    exact : bool
        Whether all directions were carried. Of more than 64 units a few are: then `best` is a lower bound,
        and `typical` the mean of a sample.
    rate, spread, error : float
        The Lyapunov rate, the growth of ln `best` per step; its standard deviation over sequences and stretches
        of time; the standard error of the mean.
    slopes, matrix : float or None
        The factors per step by which φ′ and W_h change a gradient; for gates there is no such split.
    saturated, dead : float
        Shares: of all units and steps, those whose slope is below a tenth of the largest possible, if φ has limits;
        of all units, those that are 0, with slope 0, at every step. Of an LSTM the slope of tanh(c) counts, of a
        GRU that of n.
    gates : dict of str to tuple of float
        For each gate its mean, the share of units and steps where it is below 0.01, and that above 0.99.
    memory : float or None
        The steps after which the gate that keeps the state, f or z, leaves a thousandth, by itself: the median of
        the units. Infinity for a gate that is 1.
    steps : int or None
        The first distance at which a thousandth of a typical gradient is left; None if there is more.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import LSTM, diagnose
    >>> lstm = LSTM(np.zeros((4, 1)), np.zeros((4, 1)), np.array([0.0, 1.0, 0.0, 0.0]))
    >>> measured = diagnose(lstm, np.zeros((50, 1, 1))).measurements[0]
    >>> round(measured.gates["f"][0], 3), round(measured.memory, 2)
    (0.731, 22.05)
    """

    where: str
    input: str
    best: np.ndarray
    typical: np.ndarray
    exact: bool
    rate: float
    spread: float
    error: float
    slopes: float | None
    matrix: float | None
    saturated: float
    dead: float
    gates: dict
    memory: float | None
    steps: int | None


@dataclass(frozen=True, eq=False)
class Report:
    """What `diagnose` returns: one verdict, and all that it stands on. Printed, and in a notebook, tables.

    Attributes
    ----------
    findings : tuple of Finding
        All that was seen, the worst first.
    measurements : tuple of Measurement
        One for each layer, direction and kind of input that could be run.
    blocks : tuple of Block
        The recurrent matrices.
    notes : tuple of str
        What was assumed, converted or left out.
    training : dict
        From `history`: ``"average"`` and ``"largest"`` norm, ``"clip rate"`` if known, and ``"threshold"``, half the
        average norm, to begin with.
    loss_gradient : dict of str to ndarray of shape (T,)
        With `loss`: for each top direction the norm of the gradient for its input at each step.
    complete : bool
        Whether all that was given could be run.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import RNN, diagnose, random_orthogonal
    >>> Q = random_orthogonal(8, np.random.default_rng(0))
    >>> report = diagnose(RNN(np.ones((8, 1)), Q, np.zeros(8), activation="identity"))
    >>> report.verdict, report.action
    ('healthy', 'nothing wrong with its gradients at the start: look elsewhere')
    """

    findings: tuple
    measurements: tuple
    blocks: tuple
    notes: tuple = ()
    training: dict = field(default_factory=dict)
    loss_gradient: dict = field(default_factory=dict)
    complete: bool = True

    @property
    def verdict(self) -> str:
        """The name of the worst finding, ``"healthy"`` or ``"not measured"``; see `VERDICTS`."""
        worst = self._worst
        return worst.name if worst else "healthy" if self.complete else "not measured"

    @property
    def where(self) -> str:
        """The place of the worst finding; empty if there is none."""
        return self._worst.where if self._worst else ""

    @property
    def action(self) -> str:
        """What to do next."""
        if self._worst:
            return self._worst.action
        if self.complete:
            return "nothing wrong with its gradients at the start: look elsewhere"
        return "give what the notes name, and diagnose again"

    @property
    def proof(self) -> str:
        """What would prove the verdict."""
        if self._worst:
            return self._worst.proof
        return "diagnose it on your own input, and again after some training: both change the answer"

    @property
    def link(self) -> str:
        """The place in the lectures; empty if nothing was found."""
        return self._worst.link if self._worst else ""

    @property
    def _worst(self):
        return next((finding for finding in self.findings if finding.name in VERDICTS), None)

    def _sentences(self):
        """Return the verdict, what to do and what would prove it, and then all else that was seen."""
        worst = self._worst
        first = _sentence(worst) if worst else f"{self.verdict}: {VERDICTS[self.verdict]}."
        lines = [first, f"Next: {self.action}.", f"Proof: {self.proof}."]
        lines += [f"See {self.link}."] if self.link else []
        return lines, [_sentence(finding) for finding in self.findings if finding is not worst]

    def _tables(self):
        if self.measurements:
            yield "Gradients", _gradients(self.measurements)
        gates = [
            (m.where, m.input, gate, *numbers) for m in self.measurements for gate, numbers in m.gates.items()
        ]
        if gates:
            columns = {"layer": "", "input": "", "gate": "", "mean": ".3f", "below 0.01": ".0%", "above 0.99": ".0%"}
            yield "Gates", table(columns, gates)
        if self.blocks:
            rows = [(b.where, b.name, b.radius, b.norm, b.departure) for b in self.blocks]
            columns = {"layer": "", "matrix": "", "ρ": ".3g", "‖·‖₂": ".3g", "departure": ".3g"}
            yield "Recurrent matrices", table(columns, rows)
        if self.training:
            yield "Training", table({"of the gradient norms": "", "value": ".3g"}, self.training.items())

    def __repr__(self) -> str:
        verdict, others = self._sentences()
        parts = ["\n".join(verdict)]
        if others:
            parts.append("Also seen\n" + "\n".join(f"- {sentence}" for sentence in others))
        parts += [f"{title}\n{body!r}" for title, body in self._tables()]
        if self.notes:
            parts.append("Notes\n" + "\n".join(f"- {note}" for note in self.notes))
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        verdict, others = self._sentences()
        first, *rest = map(escape, verdict)
        if self.link:
            rest[-1] = f'See <a href="{escape(self.link)}">{escape(self.link)}</a>.'
        parts = [f"<p><strong>{first}</strong><br>\n" + "<br>\n".join(rest) + "</p>"]
        if others:
            parts.append("<p>Also seen</p>\n" + _list(others))
        parts += [f"<p>{title}</p>\n{body._repr_html_()}" for title, body in self._tables()]
        if self.notes:
            parts.append(_list(self.notes))
        return "\n".join(parts)

    def figure(self):
        """Draw how much of a gradient is left at each distance: the best direction of each layer, typical dashed.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If no layer could be run.

        Examples
        --------
        >>> import numpy as np
        >>> from rnn_notes import RNN, diagnose
        >>> rnn = RNN(np.ones((1, 1)), np.array([[0.5]]), np.zeros(1))
        >>> diagnose(rnn, np.ones((20, 1, 1))).figure().axes[0].get_xlabel()
        'distance $t-k$ in steps'
        """
        from rnn_notes import figures  # loads Matplotlib

        if not self.measurements:
            raise ValueError("a figure needs a layer that could be run, and this report has none")
        measured = self.measurements[: len(self.measurements) // len({m.input for m in self.measurements})]
        names = [m.where if len(measured) > 1 else "best" for m in measured]
        typical = [f"{name}, typical" if len(measured) > 1 else "typical" for name in names]
        norms = [10.0 ** np.clip(curve, -300, 300)[None] for m in measured for curve in (m.best, m.typical)]
        labels = [label for pair in zip(names, typical, strict=True) for label in pair]
        of = "s" if any("f" in m.gates for m in measured) else "h"
        distance = np.arange(norms[0].shape[-1])
        return figures.norms_by_distance(norms, labels, distance=distance, dashed=typical, of=of)

    def as_dict(self) -> dict:
        """Return all of it in numbers, strings, lists and dicts, as JSON takes them: None for what is not finite.

        Examples
        --------
        >>> import json
        >>> import numpy as np
        >>> from rnn_notes import RNN, diagnose
        >>> report = diagnose(RNN(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1)))
        >>> json.loads(json.dumps(report.as_dict(), allow_nan=False))["verdict"]
        'vanishing'
        """
        head = {name: getattr(self, name) for name in ("verdict", "where", "action", "proof", "link")}
        findings = [asdict(finding) | {"link": finding.link} for finding in self.findings]
        parts = {
            "findings": findings,
            "measurements": [vars(m) for m in self.measurements],
            "blocks": [asdict(block) for block in self.blocks],
            "notes": self.notes,
            "training": self.training,
            "loss_gradient": self.loss_gradient,
            "complete": self.complete,
        }
        return _plain(head | parts)


def _sentence(finding):
    on = f" (on {', '.join(finding.inputs)})" if finding.inputs not in ((), ("x",)) else ""
    return f"{finding.name}, {finding.where}: {finding.what}{on}."


def _list(sentences):
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, float | np.floating):
        return float(value) if isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def _gradients(measurements) -> Table:
    columns = {"layer": "", "input": "", "steps": "d", "best": "", "typical": "", "1/1000 left after": ""}
    columns |= {"Lyapunov rate": "", "φ′ takes": "", "W_h gives": "", "saturated": ".0%", "dead": ".0%"}
    rows = []
    for m in measurements:
        least = "" if m.exact else "≥ "
        split = ["" if factor is None else f"{factor:.3g}" for factor in (m.slopes, m.matrix)]
        left = "not yet" if m.steps is None else str(m.steps)
        rate = f"{m.rate:.3g} ± {m.spread:.1g}"
        ends = (least + _power(m.best[-1]), _power(m.typical[-1]))
        rows.append((m.where, m.input, len(m.best) - 1, *ends, left, rate, *split, m.saturated, m.dead))
    return table(columns, rows)


def _power(exponent) -> str:
    """Write 10 to this power, which may be beyond all floats."""
    if not isfinite(exponent):
        return "0" if exponent < 0 else "inf"
    whole = int(np.floor(exponent + 1e-9))
    digit = round(10 ** (exponent - whole))
    if digit == 10:
        whole, digit = whole + 1, 1
    return f"{digit}e{whole:+03d}" if abs(whole) > 2 else f"{10**exponent:.3g}"


def diagnose(network, x=None, *, loss=None, history=None) -> Report:
    """Measure what a recurrent network does to its gradients, and name the trouble.

    Every layer and direction is run on the data that reaches it, and measured by itself: a gradient starts as any
    direction in the last hidden state and goes back to earlier states. The verdict holds for these weights, these
    inputs and so many steps. It says nothing about learning rate, data or loss.

    Parameters
    ----------
    network : network, module, dict, list or path
        What to diagnose: an `RNN`, `LSTM` or `GRU`, a list of these as layers, or anything with the methods of
        `Network`. A PyTorch module or its `state_dict`, of one or more recurrent layers. A Keras model, the list
        that its `get_weights` returns, or a dict by the names of its weights. A dict with `W_x`, `W_h` and `b`. A
        file ``.npz`` or ``.safetensors`` with such names; a file ``.pt`` if PyTorch is installed, which reads it
        with ``weights_only=True``. No pickle is opened.
    x : ndarray of shape (T, B, I), optional
        Input. For a PyTorch module with ``batch_first=True``, of shape (B, T, I). Without it, 100 steps of four
        sequences are drawn, always the same, of three kinds: one normal number per step and zeros, ten numbers,
        and one-hot vectors. The verdict is that of the worst.
    loss : callable, optional
        ``loss(h)`` takes the hidden states of the top layer, of shape (T, B, H), both directions side by side, and
        returns the loss and its gradient for `h`, of the same shape, or of shape (B, H) for the last state alone.
        Needs `x`.
    history : History, or sequence of float, optional
        What `fit` returned, or the norms of all gradients together at each update, before clipping.

    Returns
    -------
    Report
        With `verdict`, `findings`, `measurements`; `print` shows it.

    Raises
    ------
    TypeError, ValueError
        If there is no recurrent network in it; the message says what was found.

    References
    ----------
    G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, "Lyapunov characteristic exponents for smooth dynamical
    systems", Meccanica 15:9-20, 1980, https://doi.org/10.1007/BF02128236.

    N. Halko, P.-G. Martinsson, J. A. Tropp, "Finding structure with randomness", SIAM Review 53(2):217-288, 2011,
    https://doi.org/10.1137/090771806: the best direction of more than 64 units.

    Examples
    --------
    PyTorch's default start of a tanh network: uniform, ρ near 1/√3.

    >>> import numpy as np
    >>> from rnn_notes import diagnose, framework_default
    >>> weights = framework_default("pytorch", 3, 32, np.random.default_rng(0))
    >>> report = diagnose(weights)
    >>> report.verdict
    'vanishing'
    >>> report.measurements[0].steps
    14
    """
    found = read(network)
    rng = np.random.default_rng(0)
    notes, findings, measurements = found.notes, [], []
    blocks = [block for cell in found.cells for block in _blocks(cell)]
    if loss is not None and not callable(loss):
        raise TypeError(f"loss must be a function of the hidden states, got {shown(loss)}")
    if loss is not None and x is None:
        raise ValueError("loss must be measured on x, got no x")
    training = {} if history is None else _training(history, findings)
    for cell in found.cells:
        findings += _of_weights(cell)
        if cell.problem:
            notes.append(cell.problem)
    loss_gradient, complete = {}, True
    groups = [
        [cell for cell in found.cells if cell.group == group]
        for group in dict.fromkeys(cell.group for cell in found.cells)
    ]
    drawn = x is None
    x = None if drawn else _check_input(x, groups, notes)
    for cells in groups:
        if cells[0].network is None:
            notes.append(f"{cells[0].where} could not be run, nor the layers above it")
            complete = False
            continue
        for kind, data in _inputs(cells, x, rng, notes):
            states = _run(cells, kind, data, rng, findings, measurements, notes)
            complete &= states is not None
            if states is not None and loss is not None:
                loss_gradient |= _loss(loss, states, findings)
    findings = _merged(findings)
    if drawn:
        notes.append("measured on drawn input, of three kinds; the answer depends on it, so give x, your own")
    return Report(tuple(findings), tuple(measurements), tuple(blocks), tuple(dict.fromkeys(notes)), training, loss_gradient, complete)


# What is run.


def _inputs(cells, x, rng, notes):
    """Yield the kinds of input for one stack, as (name, x)."""
    width, dtype = _width(cells), _dtype(cells)
    if x is not None and width in (None, x.shape[-1]):
        if cells[0].batch_first:
            x = np.swapaxes(x, 0, 1)
            notes.append("the module has batch_first=True, so x is read as (B, T, I)")
        elif len(x) < min(10, x.shape[1]):
            T, B, _ = x.shape
            notes.append(f"x is read as {T} steps of {B} sequences; for {T} sequences of {B} steps, swap its axes")
        if x.dtype != dtype:
            notes.append(f"x has dtype {x.dtype}, and was converted to that of the weights, {dtype}")
        with np.errstate(over="ignore"):
            yield "x", np.ascontiguousarray(x, dtype)
        return
    if width is None:
        raise ValueError("x must be given for a network of another class, got None: its input may have any size")
    if x is not None:
        notes.append(f"{cells[0].where} reads {width} numbers, and x has {x.shape[-1]}: measured on drawn input")
    shape = (STEPS, SEQUENCES, width)
    for kind, used in (("one number", 1), ("ten numbers", min(10, width))):
        if kind == "one number" or used > 1:
            data = np.zeros(shape, dtype)
            data[..., :used] = rng.normal(size=(*shape[:2], used))
            yield kind, data
    yield "one-hot", np.eye(width, dtype=dtype)[rng.integers(width, size=shape[:2])]


def _width(cells):
    """Return I of a stack, or None if it is not known."""
    W_x = cells[0].arrays.get("W_x")
    return W_x.shape[1] if cells[0].gates and W_x is not None and W_x.ndim == 2 else None


def _dtype(cells):
    return next((np.asarray(array).dtype for array in cells[0].arrays.values()), np.dtype(np.float64))


def _check_input(x, groups, notes):
    """Return x as an array that at least one stack can read."""
    x = as_array("x", x, notes)
    check_kind("x", x, "fiub", "numbers")
    widths = [_width(cells) for cells in groups]
    fits = x.ndim == 3 and 0 not in x.shape and any(width in (None, x.shape[-1]) for width in widths)
    if not fits:
        sizes = " or ".join(str(width or "I") for width in dict.fromkeys(widths))
        raise ValueError(f"x must have shape (T, B, {sizes}), time, batch, feature, got {x.shape}")
    check_finite("x", x)
    return x


def _run(cells, kind, data, rng, findings, measurements, notes):
    """Run a stack on data, measure it layer by layer; return the top layer's (cell, x, state), or None."""
    top = []
    for layer in dict.fromkeys(cell.layer for cell in cells):
        top = []
        for cell in (cell for cell in cells if cell.layer == layer):
            width = _width([cell])
            if layer and width not in (None, data.shape[-1]):
                notes.append(
                    f"{cell.where} reads {width} numbers, and the layer below has {data.shape[-1]}: something is between "
                    "them that is not given, so it was measured on normal numbers"
                )
                data = rng.normal(size=(*data.shape[:2], width))
            if cell.network is None:
                notes.append(f"{cell.where} could not be run, nor the layers above it")
                return None
            x = np.ascontiguousarray(data[::-1]) if cell.reverse else data
            try:
                x = x.astype(next(iter(cell.arrays.values())).dtype) if cell.arrays else x
                state = cell.network.forward(x)
                h = cell.network.hidden(state)
                check_overflow(h=h)
            except NotFiniteError as error:
                action = "scale the input and W_h down, until the states stay finite; in training, clip by norm"
                proof = "diagnose again: the states must be finite"
                findings.append(Finding("not finite", cell.where, str(error), action, proof, (kind,)))
                notes.append(f"{cell.where} overflows, so the layers above it were not run")
                return None
            except ValueError as error:
                raise ValueError(f"{cell.where}: {error}") from None
            top.append((cell, x, state, h))
            measured = _measure(cell, x, state, h, kind, rng)
            if measured is None:
                notes.append(f"{cell.where}: its backward is not finite")
                return None
            measurements.append(measured)
            findings += _of_gradients(cell, measured, x, h)
        data = np.concatenate([h[:0:-1] if cell.reverse else h[1:] for cell, _, _, h in top], axis=-1)
    return top


def _measure(cell, x, state, h, kind, rng):
    network = cell.network
    slope, low = _slopes(network, state, h)
    if type(network) in KINDS:
        grown = growth(network, *_last(state, MOST, SEQUENCES if h.shape[-1] <= EXACT else 2), rng)
    else:
        grown = growth_of_inputs(network, x, state, rng)
    gates, memory = _gates(network, state)
    best, typical = np.median(grown.best, axis=0), np.median(grown.typical, axis=0)
    below = np.flatnonzero(typical <= -THOUSANDTH)
    return Measurement(
        where=cell.where,
        input=kind,
        best=best,
        typical=typical,
        saturated=float(np.mean(slope < 0.1)) if slope is not None and _bounded(network) else 0.0,
        dead=float(np.mean(low)) if low is not None else 0.0,
        gates=gates,
        memory=memory,
        steps=int(below[0]) if below.size else None,
        **{name: getattr(grown, name) for name in ("exact", "rate", "spread", "error", "slopes", "matrix")},
    )


def _last(state, steps, sequences):
    """Return the last steps of the first sequences of a state."""
    if isinstance(state, np.ndarray):
        return (state[-steps - 1 :, :sequences],)
    T = len(state.gates)
    return (
        replace(
            state,
            **{
                name: part[max(0, T - steps) :, :sequences]
                for name, part in vars(state).items()
            },
        ),
    )


def _slopes(network, state, h):
    """Return φ′ over its largest value for each unit and step, and which units are dead, where there is a φ."""
    h = h[1:].astype(np.float64)
    if type(network) is RNN:
        slope = network.activation.derivative_from_output(h)
        return abs(slope) / network.activation.gamma, ((slope == 0) & (h == 0)).all(axis=(0, 1))
    if type(network) is LSTM:
        return 1 - np.tanh(state.c[1:].astype(np.float64)) ** 2, None
    if type(network) is GRU:
        return 1 - state.n.astype(np.float64) ** 2, None
    return None, None


def _gates(network, state):
    """Return the numbers of each gate, and the memory that they leave."""
    letters, keeps = {LSTM: ("ifo", "f"), GRU: ("rz", "z")}.get(type(network), ("", ""))
    gates = {}
    for letter in letters:
        gate = getattr(state, letter)
        gates[letter] = tuple(float(np.mean(part)) for part in (gate.astype(float), gate < 0.01, gate > 0.99))
    if not keeps:
        return gates, None
    with np.errstate(divide="ignore"):
        loss = -np.log(getattr(state, keeps).astype(float)).mean(axis=(0, 1))  # per step, of each unit
        return gates, float(np.median(log(1000) / loss))


def _blocks(cell):
    """Return the recurrent matrices of a cell, one for each gate."""
    if not cell.gates:
        return []
    letters = {1: [""], 3: ["r", "z", "n"], 4: ["i", "f", "g", "o"]}[cell.gates]
    blocks = []
    for letter, W in zip(letters, np.split(cell.arrays["W_h"], cell.gates), strict=True):
        name = f"W_h{letter}"
        try:
            W = np.ascontiguousarray(W, np.float64)
            values = abs(eigenvalues(W))
            departure = max(np.sum(W * W) - np.sum(values**2), 0.0) ** 0.5  # as henrici, with the eigenvalues at hand
            numbers = [float(values[0]), float(spectral_norm(W)), float(departure)]
        except ValueError:  # not finite
            numbers = [np.nan] * 3
        blocks.append(Block(cell.where, name, *numbers))
    return blocks


# What is seen in it.


def _of_weights(cell):
    """Return what the weights show without being run."""
    found = []
    for name, array in cell.arrays.items():
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            where = tuple(map(int, bad[0]))
            what = f"{name} has {len(bad)} of {array.size} entries not finite, the first {array[where]} at {where}"
            action = "go back to the last weights that are finite, and clip by norm or halve the learning rate from there"
            proof = "the norm of the gradient at each update must rise before the first NaN"
            found.append(Finding("not finite", cell.where, what, action, proof))
    if cell.forget_biases:
        means = [float(np.mean(b)) for b in cell.forget_biases]
        if min(means) >= 0.5:
            what = f"two forget biases, of mean {means[0]:.3g} and {means[1]:.3g}, add up to {sum(means):.3g}"
            action = "set one of bias_ih and bias_hh, and the other to 0"
            found.append(Finding("forget bias", cell.where, what, action, "the forget gate's mean must fall to σ of one"))
    return found


def _of_gradients(cell, m, x, h):
    """Return what one measurement shows."""
    found, D = [], len(m.best) - 1
    network, end, best, peak = cell.network, m.typical[-1], m.best[-1], int(np.argmax(m.best))
    ours = type(network) in KINDS
    vanished = end <= -THOUSANDTH
    falls = 0 < peak < D and best <= m.best[peak] - 1 and best < m.best[3 * D // 4]

    def see(name, size, what, action, proof, gate=""):
        found.append(Finding(name, cell.where, what, action, proof, (m.input,), float(size), gate))

    if m.dead >= 0.5:
        see(
            "dead units",
            m.dead,
            f"{m.dead:.0%} of the units are 0 at every step",
            "set the biases to 0 or a little above, scale W_x down, and lower the learning rate",
            "diagnose again: fewer than half of the units may be dead",
        )
    bounded = _bounded(network)
    half = h[len(h) // 2 :].astype(float)
    moves = bool(np.any(half.std(axis=0) > 1e-6))
    grows = m.rate > 3 * m.error and m.rate > 0
    if best >= THOUSANDTH and not falls and bounded and moves and grows:
        see(
            "chaotic",
            best,
            f"the states are bounded, and a gradient grows by e^{m.rate:.2g} per step along them, "
            f"to {_power(best)} after {D} steps",
            "scale W_h down until the Lyapunov rate is below 0: clipping bounds a step, and leaves its direction to chance",
            "run it twice, from initial states that differ by 1e-6: the difference must grow to the size of the states",
        )
    if best >= THOUSANDTH and not falls:
        see(
            "exploding",
            best,
            f"a gradient grows to {_power(best)} times its length over {D} steps",
            "clip by norm, and scale W_h down",
            f"with W_h divided by {np.exp(max(m.rate, 0.01)):.3g}, it must no longer grow a thousandfold",
        )
    gates = m.gates
    stuck = {"i": gates.get("i", (0, 0))[1], "o": gates.get("o", (0, 0))[1]} if type(network) is LSTM else {}
    if type(network) is GRU:
        stuck = {"z": gates["z"][2]}
    for gate, share in stuck.items():
        if share >= 0.9:
            side = "above 0.99" if gate == "z" else "below 0.01"
            lets = {"z": "hardly anything gets into the state", "i": "hardly anything gets into the cell"}
            see(
                "saturated",
                share,
                f"the gate {gate} is {side} at {share:.0%} of units and steps: "
                f"{lets.get(gate, 'hardly anything of the cell gets into the state')}",
                f"set the bias of the gate {gate} nearer to 0, and scale its weights down",
                f"diagnose again: the mean of {gate} must be away from its limit",
                gate,
            )
    bends = type(network) is not GRU and ours
    if bends and ((m.saturated >= 0.5 and vanished) or m.saturated >= 0.9):
        see(
            "saturated",
            m.saturated,
            f"{m.saturated:.0%} of units and steps have less than a tenth of the largest slope"
            + (f", and a gradient keeps {_power(end)} of its length over {D} steps" if vanished else ""),
            _what_saturates(network, x, h),
            "diagnose again: fewer than half may be saturated",
        )
    if falls and m.best[peak] >= 1:
        see(
            "transient growth",
            m.best[peak],
            f"a gradient grows to {_power(m.best[peak])} times its length over {peak} steps, "
            f"and has {_power(best)} after {D}",
            "start W_h orthogonal, or clip by norm: eigenvalues say nothing about the first steps",
            "with orthogonal blocks of the same spectral radius in W_h, no distance may have ten times the length",
        )
    if vanished:
        kept = f"a gradient keeps {_power(end)} of its length over {D} steps"
        kept += f", and less than a thousandth after {m.steps}"
        gate = {LSTM: "f", GRU: "z"}.get(type(network), "")
        if m.memory is not None and m.memory < D:
            bias = np.log(max(2, D))
            see(
                "forgets",
                -end,
                f"{kept}; the gate {gate}, {gates[gate][0]:.2g} in the mean, by itself leaves a thousandth "
                f"after {m.memory:.3g}",
                f"set the bias of the gate {gate} to {bias:.2g}, which by itself keeps about 37 % over {D} steps",
                f"diagnose again: {gate} must be near {1 / (1 + np.exp(-bias)):.3f}, and more than a thousandth left",
            )
        elif gate:
            see(
                "vanishing",
                -end,
                f"{kept}; not by the gate {gate}, which by itself leaves a thousandth after {m.memory:.3g}",
                "look at the states and the other gates: what else is near its limits",
                "diagnose again: more than a thousandth must be left",
            )
        else:
            see("vanishing", -end, kept, _what_takes(network, m), "diagnose again: more than a thousandth must be left")
    return found


def _what_saturates(network, x, h):
    """Return what to do, from the part of z that is largest."""
    if type(network) is LSTM:
        return "lower the bias of the gate f or i, or scale W_xg down: the cell adds up more than tanh can show"
    parts = {"W_x x": x @ network.W_x.T, "W_h h": h[:-1] @ network.W_h.T, "b": network.b}
    sizes = {name: float(np.mean(abs(part))) for name, part in parts.items()}
    largest = max(sizes, key=sizes.get)
    cure = {
        "W_x x": "normalize the input to mean 0 and deviation 1, or scale W_x down",
        "W_h h": "scale W_h down",
        "b": "set the biases nearer to 0",
    }
    return f"{cure[largest]}: the largest part of z is {largest}, {sizes[largest]:.2g} in the mean"


def _what_takes(network, m):
    """Return what to do about a vanishing gradient, from the factor that takes most of it."""
    gated = "for longer distances, take an LSTM or a GRU whose forget gate starts open"
    if m.slopes is None:
        return f"look for the factors of its steps that are below 1; {gated}"
    if m.matrix <= m.slopes:
        return f"start W_h orthogonal, which gives 1 per step in place of {m.matrix:.2g}; {gated}"
    if network.activation.gamma < 1:
        return f"take tanh, for the slopes of {network.activation.name} are at most {network.activation.gamma:g}; {gated}"
    if not _bounded(network):
        return f"keep more units above 0, by larger biases: closed ones leave {m.slopes:.2g} per step; {gated}"
    return f"bring the slopes nearer to 1, which leave {m.slopes:.2g} per step: scale down W_x and the input; {gated}"


def _bounded(network):
    """Return whether no state can grow without limit; what is not known counts as unbounded."""
    if type(network) is RNN:
        with np.errstate(all="ignore"):
            return bool(np.all(abs(network.activation.function(np.array([-1e30, 1e30]))) < 1e3))
    return type(network) in KINDS


def _merged(findings):
    """Return the findings, worst first; the same of several kinds of input is one."""
    merged = {}
    for finding in findings:
        same = merged.setdefault((finding.name, finding.where, finding.gate), [])
        same.append(finding)
    worst = [
        replace(max(same, key=lambda f: f.size), inputs=tuple(dict.fromkeys(i for f in same for i in f.inputs)))
        for same in merged.values()
    ]
    order = {name: rank for rank, name in enumerate([*VERDICTS, "forget bias"])}
    return sorted(worst, key=lambda f: (order[f.name], -f.size))


def _loss(loss, top, findings):
    """Return the norms of the loss's gradient by step, for each direction of the top layer."""
    h = np.concatenate([h[:0:-1] if cell.reverse else h[1:] for cell, _, _, h in top], axis=-1)
    returned = loss(h)
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise TypeError(f"loss must return the loss and its gradient for h, got {type(returned).__name__}")
    value, dh = returned
    check_array("the gradient that loss returns", dh, h.dtype, h.shape, h.shape[1:], finite=False)
    action = "look at the loss: its arguments, its logarithms and divisions"
    if not (np.isfinite(value) and np.isfinite(dh).all()):
        proof = "loss(h) must return finite numbers"
        findings.append(Finding("not finite", "loss", f"the loss is {value}, or its gradient is not finite", action, proof, ("x",)))
        return {}
    if not dh.any():
        what = "the gradient of the loss for the hidden states is 0, so nothing goes back"
        findings.append(Finding("vanishing", "loss", what, action, "loss(h) must return a gradient that is not 0", ("x",)))
    if dh.ndim == 2:
        dh = np.concatenate([np.zeros_like(h[:-1]), dh[None]])
    norms, start = {}, 0
    for cell, x, state, own in top:
        part = dh[..., start : start + own.shape[-1]]
        start += own.shape[-1]
        part = np.ascontiguousarray(part[::-1] if cell.reverse else part)
        dx = cell.network.backward(x, state, part).x.astype(np.float64)
        by_step = np.sqrt(np.sum(dx * dx, axis=(1, 2)))
        norms[cell.where] = by_step[::-1] if cell.reverse else by_step
    return norms


def _training(history, findings):
    """Return the numbers of a history of gradient norms, and add what they show to the findings."""
    norms = getattr(history, "gradient_norm", history)
    if isinstance(norms, str | bytes | Mapping):
        raise TypeError(f"history must be a History or the norms of the gradients, got {type(history).__name__}")
    try:
        norms = np.asarray(norms, float)
    except (TypeError, ValueError):
        raise TypeError(f"history must be a History or the norms of the gradients, got {shown(history)}") from None
    if norms.ndim != 1 or not norms.size or np.any(norms < 0):
        raise ValueError(f"history must have one norm of at least 0 for each update, got shape {norms.shape}")
    finite = norms[np.isfinite(norms)]

    def see(name, what, action, proof):
        findings.append(Finding(name, "training", what, action, proof))

    if finite.size < norms.size:
        first = int(np.flatnonzero(~np.isfinite(norms))[0])
        see(
            "not finite",
            f"the gradient's norm is {norms[first]} at update {first}",
            "clip by norm from the start, or halve the learning rate",
            "the norms of the updates before must rise",
        )
    if not finite.size:
        return {}
    average, largest = float(finite.mean()), float(finite.max())
    numbers = {"average": average, "largest": largest, "threshold": average / 2}
    clipped = np.asarray(getattr(history, "clipped", []))
    if clipped.size:
        numbers["clip rate"] = float(clipped.mean())
    middle = float(np.median(finite))
    if middle > 0 and largest >= 1000 * middle:
        at = int(np.nanargmax(np.where(np.isfinite(norms), norms, -1)))
        see(
            "exploding",
            f"the gradient's norm reaches {largest:.2g} at update {at}, {largest / middle:.0f} times its median",
            f"clip by norm, with a threshold of {average / 2:.2g} to begin with",
            "the loss must no longer jump after the largest norms",
        )
    if middle == 0:
        see(
            "vanishing",
            f"the gradient's norm is 0 at {np.mean(finite == 0):.0%} of the updates",
            "look for a detach, a loss that is flat, or dead units",
            "the norm must be above 0",
        )
    return numbers
