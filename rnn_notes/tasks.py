"""Synthetic tasks that need a memory, what you get without one, and the two losses by which they are learned.

Call a task with a length, a batch size and a generator: it returns inputs and targets, new ones each time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np

from rnn_notes._checks import (
    check_array,
    check_choice,
    check_classes,
    check_dtype,
    check_finite,
    check_float_type,
    check_generator,
    check_integer,
    check_kind,
    check_overflow,
    refuse_overflow,
    shown,
)


@refuse_overflow
def mean_squared_error(y_hat, target) -> tuple[float, np.ndarray]:
    """Return the mean squared error and its gradient for the predictions.

    Parameters
    ----------
    y_hat : ndarray
        Predictions ŷ with at least one axis, float32 or float64.
    target : ndarray
        What they should be, of the same shape and dtype.

    Returns
    -------
    loss : float
        The mean over all entries.
    dy : ndarray
        ∂loss/∂ŷ, of the shape of `y_hat`.

    Raises
    ------
    ValueError
        Also if a difference, the loss or its gradient is beyond the largest float of its type.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import mean_squared_error
    >>> mean_squared_error(np.array([[3.0], [0.0]]), np.array([[1.0], [0.0]]))
    (2.0, array([[2.],
           [0.]]))
    """
    _check_predictions(y_hat, 1)
    check_array("target", target, y_hat.dtype, y_hat.shape)
    error = y_hat - target
    check_overflow(**{"y_hat - target": error})
    loss, dy = np.mean(np.square(error, dtype=np.float64)), (2 / error.size) * error
    check_overflow(loss=loss, dy=dy)
    return float(loss), dy


@refuse_overflow
def cross_entropy(y_hat, target) -> tuple[float, np.ndarray]:
    """Return the mean cross-entropy of softmax(ŷ) and its gradient for the predictions.

    Parameters
    ----------
    y_hat : ndarray of shape (..., O)
        Predictions before the softmax, float32 or float64.
    target : ndarray of shape (...)
        The right classes, integers from 0 to O - 1.

    Returns
    -------
    loss : float
        The mean over all predictions, in nats.
    dy : ndarray of shape (..., O)
        ∂loss/∂ŷ: the probabilities less 1 at the right class, over the number of predictions.

    Raises
    ------
    ValueError
        Also if a class is out of range, or the loss beyond the largest float.

    Examples
    --------
    Four predictions that are all alike cost ln 4.

    >>> import numpy as np
    >>> from rnn_notes import cross_entropy
    >>> loss, dy = cross_entropy(np.zeros((1, 4)), np.array([2]))
    >>> round(loss, 4), round(float(np.log(4)), 4), dy
    (1.3863, 1.3863, array([[ 0.25,  0.25, -0.75,  0.25]]))
    """
    _check_predictions(y_hat, 2)
    check_classes("target", target, y_hat.shape[:-1], y_hat.shape[-1])
    right = target[..., None]
    largest = y_hat.max(axis=-1, keepdims=True)
    shifted = y_hat - largest  # so that exp cannot overflow
    log_total = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    dy = np.exp(shifted - log_total)
    np.put_along_axis(dy, right, np.take_along_axis(dy, right, axis=-1) - 1, axis=-1)
    # In float64: the difference of two large numbers of float32 need not fit into float32.
    below = np.subtract(np.take_along_axis(y_hat, right, axis=-1), largest, dtype=np.float64)
    loss = np.mean(log_total - below)
    check_overflow(loss=loss)
    return float(loss), dy / target.size


def _check_predictions(y_hat, axes):
    check_dtype("y_hat", y_hat, None)
    if y_hat.ndim < axes or y_hat.size == 0:
        raise ValueError(f"y_hat must have at least {axes} axes and one entry, got {y_hat.shape}")
    check_finite("y_hat", y_hat)


@dataclass(frozen=True)
class Task:
    """A task: `adding`, `copying`, `temporal_order` and `agreement` are the four instances.

    Attributes
    ----------
    name : str
        The name.
    inputs, outputs : int
        I, and the number of predicted numbers or classes.
    loss : callable
        What training makes small: `mean_squared_error`, `cross_entropy`, or your own. ``loss(y_hat, target)``
        returns a float and its gradient for the predictions.
    measure : {"mean squared error", "cross-entropy", "error rate"}
        What `baseline` is a value of, in nats for the cross-entropy. A mean over the predictions. It says
        what the targets are: numbers for the first, classes for the others.
    shortest : int
        The smallest length.
    baseline : callable
        ``baseline(length)``: what the best answer that is the same for all sequences gets.
    generate : callable
        ``generate(length, batch, rng)``: inputs and targets. Call the task instead: it checks both.
    every_step : bool
        Whether a prediction is read at every step, not only from the last state.
    symbols : tuple of str
        The names of the inputs, where one of them is 1 and the others 0.
    classes : tuple of str
        The names of the outputs, where the target is one of them.

    Examples
    --------
    What comes in, what should come out, and what one answer for all sequences gets.

    >>> import numpy as np
    >>> from rnn_notes import adding, copying
    >>> x, target = adding(length=4, batch=1, rng=np.random.default_rng(0))
    >>> x[:, 0].round(2).T, target.round(2), round(adding.baseline(4), 4)
    (array([[0.64, 0.27, 0.04, 0.02],
           [1.  , 0.  , 0.  , 1.  ]]), array([[0.65]]), 0.1667)
    >>> x, target = copying(length=4, batch=1, rng=np.random.default_rng(0))
    >>> print(copying.read(x)[0])
    g f e c c a a a b g - - - ! - - - - - - - - - -
    >>> print(*(copying.classes[n] for n in target[:, 0]))
    - - - - - - - - - - - - - - g f e c c a a a b g
    """

    name: str
    inputs: int
    outputs: int
    loss: Callable
    measure: str
    shortest: int
    baseline: Callable
    generate: Callable
    every_step: bool = False
    symbols: tuple = ()
    classes: tuple = ()

    def __post_init__(self):
        check_choice("measure", self.measure, ("mean squared error", "cross-entropy", "error rate"))
        for name in ("inputs", "outputs", "shortest"):
            check_integer(name, getattr(self, name), 1)
        for name, example in (("loss", " such as mean_squared_error"), ("baseline", ""), ("generate", "")):
            if not callable(getattr(self, name)):
                raise TypeError(f"{name} must be a function{example}, got {shown(getattr(self, name))}")
        if self.loss is (mean_squared_error if self._classes else cross_entropy):
            kinds = "classes" if self._classes else "numbers"
            expected = f"a loss of {kinds} for the measure {self.measure!r}"
            raise ValueError(f"loss must be {expected}, got {self.loss.__name__}")

    @property
    def _classes(self):
        """Whether the targets are classes, not numbers."""
        return self.measure != "mean squared error"

    def error(self, y_hat, target) -> float:
        """Return what predictions get in the measure of this task.

        Parameters
        ----------
        y_hat : ndarray of shape (..., O)
            Predictions, as a `Readout` makes them.
        target : ndarray
            What they should be: of the shape of `y_hat` for numbers, and without its last axis for classes.

        Returns
        -------
        float
            The mean over the predictions, to be compared with the baseline.

        Examples
        --------
        Of two guesses, the second is right.

        >>> import numpy as np
        >>> from rnn_notes import temporal_order
        >>> temporal_order.error(np.array([[3.0, 1, 1, 0], [0, 0, 0, 9]]), target=np.array([2, 3]))
        0.5
        """
        if self.measure == "error rate":
            _check_predictions(y_hat, 2)
            check_classes("target", target, y_hat.shape[:-1], y_hat.shape[-1])
            return float(np.mean(y_hat.argmax(axis=-1) != target))
        loss, _ = (cross_entropy if self._classes else mean_squared_error)(y_hat, target)
        return loss

    def __call__(self, length, batch, rng, *, dtype=np.float64) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and targets of `batch` random sequences.

        Parameters
        ----------
        length : int
            How far the memory must reach; T, except for `copying`, where T is length + 20.
        batch : int
            B, the number of sequences.
        rng : numpy.random.Generator
            The source of randomness.
        dtype : {numpy.float64, numpy.float32}
            Type of the inputs, and of targets that are not classes.

        Returns
        -------
        x : ndarray of shape (T, B, I)
            Inputs.
        target : ndarray
            Of shape (B, O) for numbers and (B,) for classes to predict from the last state; (T, B, O) and (T,
            B) to predict at every step. Classes are integers.

        Examples
        --------
        >>> import numpy as np
        >>> from rnn_notes import temporal_order
        >>> x, target = temporal_order(length=20, batch=2, rng=np.random.default_rng(0))
        >>> x.shape
        (20, 2, 6)
        >>> for text, n in zip(temporal_order.read(x), target):
        ...     print(text, "->", temporal_order.classes[n])
        f e A c c e e f e A d e d e f f c c c d -> AA
        e d c A f f e e e A f c f c e c f e d d -> AA
        """
        length = check_integer("length", length, self.shortest)
        batch = check_integer("batch", batch, 1)
        check_generator("rng", rng)
        check_float_type("dtype", dtype)
        x, target = self.generate(length, batch, rng)
        check_kind(f"x of the task {self.name!r}", x, "fiub", "numbers")
        x = x.astype(dtype, copy=False)
        T, *_ = check_array(f"x of the task {self.name!r}", x, dtype, ("T", batch, self.inputs))
        name, steps = f"target of the task {self.name!r}", (T, batch) if self.every_step else (batch,)
        if self._classes:
            check_classes(name, target, steps, self.outputs)
        else:
            check_kind(name, target, "f", "floats, as the measure is the mean squared error")
            target = target.astype(dtype, copy=False)
            check_array(name, target, dtype, (*steps, self.outputs))
        return x, target

    def read(self, x) -> list[str]:
        """Return each sequence of a batch as text, in the names of `symbols`.

        Parameters
        ----------
        x : ndarray of shape (T, B, I)
            Inputs of this task.

        Returns
        -------
        list of str
            One text for each sequence.

        Raises
        ------
        ValueError
            Also if the inputs of the task are numbers.

        Examples
        --------
        >>> import numpy as np
        >>> from rnn_notes import agreement
        >>> x, target = agreement(length=14, batch=1, rng=np.random.default_rng(0))
        >>> agreement.read(x)[0], agreement.classes[target[0]]
        ('the cat who is in Japan, a country in Asia, is a', 'pet')
        """
        if not self.symbols:
            raise ValueError(f"the inputs of {self.name} are numbers and cannot be read as text")
        check_array("x", x, None, ("T", "B", self.inputs))
        words = np.array(self.symbols)[x.argmax(axis=-1)]
        return [" ".join(sequence).replace(" ,", ",") for sequence in words.T]


def _one_hot(ids, size):
    """Return zeros with a one where `ids` say, in a new last axis."""
    return np.eye(size)[ids]


def _adding(length, batch, rng):
    x = np.zeros((length, batch, 2))
    x[..., 0] = rng.random((length, batch))
    first, second = rng.integers(0, length // 2, batch), rng.integers(length // 2, length, batch)
    column = np.arange(batch)
    x[first, column, 1] = x[second, column, 1] = 1.0
    return x, (x[first, column, 0] + x[second, column, 0])[:, None]


def _copying(length, batch, rng):
    symbols = rng.integers(0, 8, (10, batch))
    ids = np.full((length + 20, batch), 8)
    ids[:10] = symbols
    ids[length + 9] = 9
    target = np.full((length + 20, batch), 8)
    target[-10:] = symbols
    return _one_hot(ids, 10), target


def _temporal_order(length, batch, rng):
    ids = rng.integers(2, 6, (length, batch))
    first, second = rng.integers(0, 2, (2, batch))
    column = np.arange(batch)
    ids[rng.integers(length // 10, 2 * length // 10, batch), column] = first
    ids[rng.integers(4 * length // 10, 5 * length // 10, batch), column] = second
    return _one_hot(ids, 6), 2 * first + second


NOUNS = {
    "boy": "student",
    "girl": "student",
    "king": "ruler",
    "queen": "ruler",
    "dog": "pet",
    "cat": "pet",
    "baker": "worker",
    "miner": "worker",
}
CONTINENTS = {
    "France": "Europe",
    "Spain": "Europe",
    "Italy": "Europe",
    "Japan": "Asia",
    "India": "Asia",
    "China": "Asia",
    "Egypt": "Africa",
    "Kenya": "Africa",
    "Ghana": "Africa",
    "Peru": "America",
    "Chile": "America",
    "Cuba": "America",
}
ADJECTIVES = ("sunny", "quiet", "green", "lovely")
PREDICATES = tuple(sorted(set(NOUNS.values())))
WORDS = tuple(
    sorted(
        {"the", "who", "is", "in", "a", "country", "and", ","}.union(
            NOUNS, CONTINENTS, CONTINENTS.values(), ADJECTIVES
        )
    )
)
WORD_NUMBERS = {word: number for number, word in enumerate(WORDS)}


def _sentence(length, choose):
    """Return a sentence of `length` words up to its last noun, and that noun.

    The shortest is "the boy who is in France is a". Of what is still to fill, ", a country in Europe," takes
    six words, "and in Spain" three, and adjectives the last one or two.
    """
    subject, missing = choose(tuple(NOUNS)), length - 8
    words, country = ["the", subject, "who", "is", "in"], None

    def adjectives():
        nonlocal missing
        if missing > 2:
            return []
        unused, count, missing = list(ADJECTIVES), missing, 0
        return [unused.pop(choose(range(len(unused)))) for _ in range(count)]

    while True:
        words += adjectives()
        country = choose([other for other in CONTINENTS if other != country])
        words.append(country)
        if missing >= 6 and choose((True, False)):
            missing -= 6
            words += [",", "a", *adjectives(), "country", "in", CONTINENTS[country], ","]
        if missing == 0:
            return [*words, "is", "a"], NOUNS[subject]
        missing -= 3
        words += ["and", "in"]


def _agreement(length, batch, rng):
    ids, target = np.empty((length, batch), int), np.empty(batch, int)
    for n in range(batch):
        random = iter(rng.random(2 * length))
        words, noun = _sentence(
            length, lambda options, random=random: options[int(next(random) * len(options))]
        )
        ids[:, n] = [WORD_NUMBERS[word] for word in words]
        target[n] = PREDICATES.index(noun)
    return _one_hot(ids, len(WORDS)), target


# The four tasks. A text below a name is its entry in the reference.

adding = Task(
    "adding",
    inputs=2,
    outputs=1,
    loss=mean_squared_error,
    measure="mean squared error",
    shortest=2,
    baseline=lambda length: 1 / 6,
    generate=_adding,
)
"""Add the two marked numbers of a sequence.

Numbers from 0 to 1 in the first column of x; a 1 in the second column marks one in each half. After
Hochreiter and Schmidhuber (1997, experiment 4), as in Arjovsky, Shah, Bengio (2016,
https://arxiv.org/abs/1511.06464). Baseline: 1/6, the variance of the sum.

:meta hide-value:
"""

copying = Task(
    "copying",
    inputs=10,
    outputs=9,
    loss=cross_entropy,
    measure="cross-entropy",
    shortest=1,
    baseline=lambda length: 10 * log(8) / (length + 20),
    generate=_copying,
    every_step=True,
    symbols=tuple("abcdefgh-!"),
    classes=tuple("abcdefgh-"),
)
"""Repeat ten symbols after a pause.

Ten symbols out of eight, `length` - 1 blanks, a sign, ten blanks: T = `length` + 20. Blanks are expected up
to the sign, and then the ten symbols. As in Arjovsky, Shah, Bengio (2016, https://arxiv.org/abs/1511.06464,
section 4.1). Baseline: 10 ln 8/(`length` + 20), for ten guesses among eight.

:meta hide-value:
"""

temporal_order = Task(
    "temporal_order",
    inputs=6,
    outputs=4,
    loss=cross_entropy,
    measure="error rate",
    shortest=10,
    baseline=lambda length: 3 / 4,
    generate=_temporal_order,
    symbols=tuple("ABcdef"),
    classes=("AA", "AB", "BA", "BB"),
)
"""Tell which of A and B came early, and which in the middle.

One of them stands in the second tenth of the sequence, one in the fifth tenth, among c, d, e and f. After
Hochreiter and Schmidhuber (1997, experiment 6a), as in Pascanu, Mikolov, Bengio (2013,
https://arxiv.org/abs/1211.5063). Baseline: 3/4, a guess among four.

:meta hide-value:
"""

agreement = Task(
    "agreement",
    inputs=len(WORDS),
    outputs=len(PREDICATES),
    loss=cross_entropy,
    measure="error rate",
    shortest=8,
    baseline=lambda length: 1 - 1 / len(PREDICATES),
    generate=_agreement,
    symbols=WORDS,
    classes=PREDICATES,
)
"""Complete a sentence such as "the boy who is in France, a country in Europe, is a": with "student".

The subject is the second word. It alone decides the noun that follows the last word, so the two are `length`
- 1 words apart; a comma counts as a word. A small grammar fills what lies between. Baseline: 3/4, a guess
among four nouns.

:meta hide-value:
"""
