"""What `diagnose` returns: measurements, what they show, and one verdict in words."""

import re
from base64 import b64encode
from dataclasses import asdict, dataclass, field, replace
from html import escape
from math import isfinite
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from rnn_notes.tables import Table, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VERDICTS = {
    "not finite": "a NaN or an infinity, in the weights, in the states, or in the loss",
    "dead units": "at least half of the ReLU units are 0 at every step of every sequence",
    "chaotic": "states are bounded, and along them a gradient grows, at a positive Lyapunov rate",
    "exploding": "a gradient grows to more than a thousand times its length",
    "saturated": "activations or gates are so near their limits that little gets through",
    "transient growth": "a gradient grows at least tenfold, and decays in the long run",
    "forgets": "gates let less than a thousandth of a gradient through",
    "vanishing": "less than a thousandth of a gradient is left",
    "not measured": "something could not be run, and what could shows no trouble",
    "healthy": "no trouble of these kinds was seen",
}
"""What `Report.verdict` can be, and what it means; the worst first.

:meta hide-value:
"""
NO_VERDICTS = "spikes", "forget bias"  # what is worth a look, and by itself stops no gradient

# The place of each finding in the lectures; for a network with gates, its own if it has one.
LINKS = {
    "not finite": "clipping.html#not-finite",
    "dead units": "wont_train.html#see-dead",
    "chaotic": "initialization.html#saturated-explodes",
    "exploding": "clipping.html#threshold",
    "saturated": "initialization.html#saturated-slopes",
    "transient growth": "eigenvalues.html#far-from-normal",
    "forgets": "lstm.html#forget-bias",
    "vanishing": "initialization.html#scale-on-the-edge",
    "forget bias": "lstm.html#bias-slices",
    "spikes": "wont_train.html#see-spikes",
    ("chaotic", "LSTM"): "lstm.html#large-weights",
    ("exploding", "LSTM"): "lstm.html#large-weights",
    ("saturated", "LSTM"): "lstm.html#lstm-gate-by-gate",
    ("vanishing", "LSTM"): "lstm.html#whole-step",
    ("chaotic", "GRU"): "gru.html#gru-whole-step",
    ("exploding", "GRU"): "gru.html#gru-whole-step",
    ("saturated", "GRU"): "gru.html#gru-gate-by-gate",
    ("forgets", "GRU"): "gru.html#gru-mean",
    ("vanishing", "GRU"): "gru.html#gru-whole-step",
}
CLIPS = "wont_train.html#see-clips"  # of a report that found nothing else
MEASURE = "recipes.html#torch-gradients"  # of one that could not run all
SECTIONS = {  # what stands at these places, for where the lectures are is not known here
    "clipping.html#not-finite": "NaN, infinity, silent zeros",
    "wont_train.html#see-dead": "The ReLU network is dead",
    "initialization.html#saturated-explodes": "Saturated, and exploding all the same",
    "clipping.html#threshold": "Choose the threshold",
    "initialization.html#saturated-slopes": "How much saturated units pass on",
    "eigenvalues.html#far-from-normal": "How far a power can rise",
    "lstm.html#forget-bias": "How many steps does the cell path remember?",
    "initialization.html#scale-on-the-edge": "The scale that sits on the edge",
    "lstm.html#bias-slices": "The bias in PyTorch, Keras and ONNX",
    "lstm.html#large-weights": "Large weights",
    "lstm.html#lstm-gate-by-gate": "Gate by gate",
    "lstm.html#whole-step": "The whole step",
    "gru.html#gru-whole-step": "One step back, every term",
    "gru.html#gru-gate-by-gate": "Two gates and no cell",
    "gru.html#gru-mean": "The state is a mean",
    "wont_train.html#see-spikes": "The norm spikes",
    "wont_train.html#see-clips": "It clips at every step",
    "recipes.html#torch-gradients": "Gradient norm by step",
}

CLIPPED = 0.9  # a clip rate above is one of nearly all updates


@dataclass(frozen=True)
class Finding:
    """One thing that `diagnose` saw.

    Attributes
    ----------
    name : str
        One of `VERDICTS`, or ``"spikes"`` or ``"forget bias"``, which are never the verdict.
    where : str
        The layer and direction, ``"training"`` or ``"loss"``.
    what : str
        The measurement, in words.
    action, proof : str
        What to do next, and what would prove that this was it.
    inputs : tuple of str
        The kinds of input on which it was seen. `what` is said of the first, where it is worst.
    size : float
        How bad it is, beside others of its name: powers of ten lost or gained, or a share.
    gate, network : str
        The letter of the gate that it is about; ``"RNN"``, ``"LSTM"`` or ``"GRU"``. Empty if there is none.

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
    network: str = ""

    @property
    def link(self) -> str:
        """The place in the lectures: a page and a heading, relative to wherever the site is."""
        return LINKS.get((self.name, self.network), LINKS[self.name])

    @property
    def section(self) -> str:
        """The title of that place."""
        return SECTIONS[self.link]


@dataclass(frozen=True)
class Block:
    """One square recurrent matrix: that of an RNN, or of one gate.

    Attributes
    ----------
    where, name : str
        The layer and direction; ``"W_h"``, or with the letter of its gate.
    radius, norm, departure : float
        ρ, ‖·‖₂ and Henrici's departure from normality, 0 where it is rounding; NaN if it is not finite.

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
        log₁₀ of the length of uᵀ ∂h⁽ᵀ⁾/∂s⁽ᵀ⁻ᵈ⁾ for d = 0, ..., D, in which s is h, or (h, c) of an LSTM, and
        u, of length 1, is the gradient of a loss for the last hidden state: for the best u, which gives the
        spectral norm, and the geometric mean over all u. (That of the singular values is another: one
        direction that is lost makes it 0.) Medians over the sequences. Of a network of another class, the
        gradient for the input, against that for the last.
    exact : bool
        Whether all directions were carried. Of more than 64 units a few are: then `best` is a lower bound,
        and `typical` the mean of a sample; of a network of another class, `best` is an estimate.
    rate, spread, error : float
        The Lyapunov rate, the growth of ln `best` per step in the middle half of the distances; its standard
        deviation over sequences and four stretches; the standard error of the mean, as if these were
        independent. Of the sequences in which something of a gradient is left in the end, as long as there
        is one; -inf where all is lost before.
    slopes, matrix : float or None
        The factors per step by which φ′ and W_h change a gradient, of the same sequences; for gates there is
        no such split. None for W_h, too, if φ′ leaves nothing to it.
    saturated, dead : float
        Shares: of all units and steps, those whose slope is below a tenth of the largest possible, if φ has
        limits; of all units, if it has none, those that are 0, with slope 0, at every step. Of an LSTM the
        slope of tanh(c) counts, of a GRU that of n.
    gates : dict of str to tuple of float
        For each gate its mean, the share of units and steps where it is below 0.01, and that above 0.99.
    memory : float or None
        The steps after which the gate that keeps the state, f or z, leaves a thousandth, by itself: the
        median of the units. Infinity for a gate that is 1.
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
        From `history`: ``"average"`` and ``"largest"`` norm, ``"clip rate"`` if known, and ``"threshold"``,
        half the average norm, to begin with.
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
            first = "look at the threshold and the learning rate first; " if self._clips else ""
            first = f"{self._spikes.action}; " if self._spikes else first
            return f"{first}nothing wrong with its gradients at the start: look elsewhere"
        return (
            "give what the notes name, and diagnose again; of what this package does not run, measure the "
            "gradient norm by time step in your own program"
        )

    @property
    def proof(self) -> str:
        """What would prove the verdict."""
        if self._worst:
            return self._worst.proof
        if self._clips:
            return "with a threshold of half the average norm, the loss must fall faster, or this was not it"
        if self._spikes:
            return self._spikes.proof
        if not self.complete:
            return "diagnose again: no note may name what was left out"
        return "diagnose it on your own input, and again after some training: both change the answer"

    @property
    def link(self) -> str:
        """The place in the lectures, relative to wherever the site is; empty if there is none to look up."""
        if self.verdict == "not measured":
            return MEASURE
        seen = self._worst or self._spikes
        return seen.link if seen else CLIPS if self._clips else ""

    @property
    def section(self) -> str:
        """The title of that place, or empty."""
        return SECTIONS.get(self.link, "")

    @property
    def _clips(self):
        """Whether nothing else was found, and training clipped nearly all updates."""
        return self.verdict == "healthy" and self.training.get("clip rate", 0) > CLIPPED

    @property
    def _spikes(self):
        """The spikes of a training that was not clipped nearly always, if nothing else was found."""
        found = (finding for finding in self.findings if finding.name == "spikes")
        return next(found, None) if self.verdict == "healthy" and not self._clips else None

    @property
    def _worst(self):
        return next((finding for finding in self.findings if finding.name in VERDICTS), None)

    def _sentences(self):
        """Return the verdict, what to do and what would prove it, and then all else that was seen."""
        worst = self._worst
        first = _sentence(worst) if worst else f"{self.verdict}: {VERDICTS[self.verdict]}."
        if self._clips:
            rate = int(100 * self.training["clip rate"])  # 100% are all
            first = f"{self.verdict}, but training clipped {rate}% of its updates: {VERDICTS[self.verdict]}."
        if self._spikes:
            first = f"{self.verdict}, but {self._spikes.what}: {VERDICTS[self.verdict]}."
        lines = [first, f"Next: {self.action}.", f"Proof: {self.proof}."]
        lines += [f'In the lectures of rnn-notes: "{self.section}", {self.link}.'] if self.link else []
        return lines, [_sentence(f) for f in self.findings if f is not worst and f is not self._spikes]

    def _tables(self):
        if self.measurements:
            yield "Gradients", _gradients(self.measurements)
        gates = [
            (m.where, m.input, gate, *numbers) for m in self.measurements for gate, numbers in m.gates.items()
        ]
        if gates:
            columns = {
                "layer": "",
                "input": "",
                "gate": "",
                "mean": ".3f",
                "below 0.01": ".0%",
                "above 0.99": ".0%",
            }
            yield "Gates", table(columns, gates)
        if self.blocks:
            rows = [(b.where, b.name, b.radius, b.norm, b.departure) for b in self.blocks]
            columns = {"layer": "", "matrix": "", "ρ": ".3g", "‖·‖₂": ".3g", "departure": ".3g"}
            yield "Recurrent matrices", table(columns, rows)
        if self.loss_gradient:
            columns = {"layer": "", "first step": ".3g", "last step": ".3g", "least": ".3g", "most": ".3g"}
            rows = [(where, n[0], n[-1], n.min(), n.max()) for where, n in self.loss_gradient.items()]
            yield "Gradient of the loss for the input of the top layer", table(columns, rows)
        if self.training:
            names = {"threshold": "threshold to begin with"}
            rows = [(names.get(name, name), number) for name, number in self.training.items()]
            yield "Training", table({"of the gradient norms": "", "value": ".3g"}, rows)

    def __repr__(self) -> str:
        verdict, others = self._sentences()
        parts = ["\n".join(_wrapped(sentence) for sentence in verdict)]
        if others:
            parts.append("\n".join(["Also seen", *(_wrapped(f"- {sentence}") for sentence in others)]))
        parts += [f"{title}\n{body!r}" for title, body in self._tables()]
        if self.notes:
            parts.append("\n".join(["Notes", *(_wrapped(f"- {note}") for note in self.notes)]))
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        verdict, others = self._sentences()
        first, *rest = map(_html, verdict)
        if self.link:
            # A link would lead out of a notebook to nowhere; in a page of the site html_fixes.py makes one.
            place = f'<code class="place">{escape(self.link)}</code>'
            rest[-1] = rest[-1].replace(escape(self.link), place)
        parts = [f"<p><strong>{first}</strong><br>\n" + "<br>\n".join(rest) + "</p>"]
        if others:
            parts.append("<p>Also seen</p>\n" + _list(others))
        if self.measurements:
            parts.append(self._image())
        parts += [f"<p>{title}</p>\n{body._repr_html_()}" for title, body in self._tables()]
        if self.notes:
            parts.append("<p>Notes</p>\n" + _list(self.notes))
        return "\n".join(parts)

    def figure(self) -> "Figure":
        """Draw what is left of a gradient at each distance: the best direction of each layer, typical dashed.

        On the input where the verdict is worst.

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
        inputs = (self._worst and self._worst.inputs) or (self.measurements[0].input,)
        measured = [m for m in self.measurements if m.input == inputs[0]]
        names = [m.where for m in measured] if len(measured) > 1 else ["best"]
        typical = [f"{name}, typical" for name in names] if len(measured) > 1 else ["typical"]
        reach = min(len(m.best) for m in measured)  # of stacks that were run on inputs of their own
        curves = [m.best[:reach] for m in measured] + [m.typical[:reach] for m in measured]
        left = np.concatenate([curve[abs(curve) <= 300] for curve in curves])
        # What no float can be drawn at, such as 0, is drawn beyond the rest, and its label says where it is.
        low, high = left.min(initial=0) - 2, left.max(initial=0) + 2
        norms = [10.0 ** np.clip(curve, low, high)[None] for curve in curves]
        labels = [
            name if abs(curve[-1]) <= 300 else f"{name} → {_power(curve[-1])}"
            for name, curve in zip(names + typical, curves, strict=True)
        ]
        by = "s" if any("f" in m.gates for m in measured) else "h"
        dashed = labels[len(names) :]
        figure = figures.norms_by_distance(norms, labels, dashed=dashed, by=by)
        if all(_is_other(m) for m in measured):
            figure.axes[0].set_ylabel("gradient for $x^{(k)}$, of that for $x^{(t)}$")
        return figure

    def _image(self):
        """Return the figure as HTML, for a notebook."""
        from rnn_notes.figures import style

        figure = self.figure()
        width, height = (round(72 * side) for side in figure.get_size_inches())
        says = "How much of a gradient is left at each distance, of each layer; the numbers are in the table."
        what = f'alt="{says}" class="report" width="{width}" height="{height}" loading="lazy"'
        return f'<img {what} src="data:image/svg+xml;base64,{b64encode(style.svg(figure)).decode()}">'

    def as_dict(self) -> dict:
        """Return all of it in numbers, strings, lists and dicts, as JSON takes them; not finite is None.

        Examples
        --------
        >>> import json
        >>> import numpy as np
        >>> from rnn_notes import RNN, diagnose
        >>> report = diagnose(RNN(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1)))
        >>> json.loads(json.dumps(report.as_dict(), allow_nan=False))["verdict"]
        'vanishing'
        """
        head = {
            name: getattr(self, name) for name in ("verdict", "where", "action", "proof", "link", "section")
        }
        findings = [asdict(f) | {"link": f.link, "section": f.section} for f in self.findings]
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


def _is_other(m):
    """Return whether the network is of another class: it has neither gates nor a split of its steps."""
    return m.slopes is None and not m.gates


def _wrapped(sentence):
    """Return a sentence in lines of at most 80 characters; a name or an address stays whole."""
    indent = "  " * sentence.startswith("- ")
    return fill(sentence, 80, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _html(sentence):
    """Return a sentence as HTML, in which no line ends within a number."""
    return re.sub(r"\d[\d.]*e-\d+", r'<span style="white-space: nowrap">\g<0></span>', escape(sentence))


def _list(sentences):
    return "<ul>" + "".join(f"<li>{_html(sentence)}</li>" for sentence in sentences) + "</ul>"


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
    columns |= {"Lyapunov rate": "", "φ′ leaves": "", "W_h gives": "", "saturated": ".0%", "dead": ".0%"}
    rows = []
    for m in measurements:
        # Of a network of another class it is a bound against a bound, which is none.
        least = "" if m.exact else "≈ " if _is_other(m) else "≥ "
        split = ["" if factor is None else f"{factor:.3g}" for factor in (m.slopes, m.matrix)]
        left = "not yet" if m.steps is None else str(m.steps)
        # Over as many steps as are measured, what is less is no growth, and rounding.
        rate, spread = (number if abs(number) > 1e-6 else 0.0 for number in (m.rate, m.spread))
        rate = f"{rate:.3g} ± {spread:.1g}" if isfinite(rate) and (rate or spread) else f"{rate:.3g}"
        ends = (least + _power(m.best[-1]), _power(m.typical[-1]))
        rows.append((m.where, m.input, len(m.best) - 1, *ends, left, rate, *split, m.saturated, m.dead))
    shown = table(columns, rows)
    # Numbers, with ≥, ≈ and ± beside them.
    return replace(shown, numeric=(False, False) + (True,) * (len(columns) - 2))


def _power(exponent) -> str:
    """Write 10 to this power, which may be beyond all floats."""
    if not isfinite(exponent):
        return "0" if exponent < 0 else "inf"
    whole = int(np.floor(exponent + 1e-9))
    digit = round(10 ** (exponent - whole))
    if digit == 10:
        whole, digit = whole + 1, 1
    return f"{digit}e{whole:+03d}" if abs(whole) > 2 else f"{10**exponent:.3g}"
