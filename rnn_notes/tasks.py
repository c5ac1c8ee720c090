"""Synthetic tasks that need a memory, and what you get without one.

Call a task with a length, a batch size and a generator: it returns inputs and targets, new ones each time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np

from rnn_notes._checks import check_array, check_choice, check_float_type, check_generator, check_integer


@dataclass(frozen=True)
class Task:
    """A task: `adding`, `copying`, `temporal_order` and `agreement` are the four instances.

    Attributes
    ----------
    name : str
        The name.
    inputs, outputs : int
        I, and the number of predicted numbers or classes.
    measure : {"mean squared error", "cross-entropy", "error rate"}
        What `baseline` is a value of, in nats for the cross-entropy. A mean over the predictions.
    shortest : int
        The smallest length.
    baseline : callable
        ``baseline(length)``: what the best answer that is the same for all sequences gets.
    generate : callable
        ``generate(length, batch, rng)``: inputs and targets. Call the task instead: it checks the arguments.
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
    measure: str
    shortest: int
    baseline: Callable
    generate: Callable
    symbols: tuple = ()
    classes: tuple = ()

    def __post_init__(self):
        check_choice("measure", self.measure, ("mean squared error", "cross-entropy", "error rate"))

    def __call__(self, length, batch, rng, *, dtype=np.float64):
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
            Of shape (B, O) for numbers and (B,) for classes to predict from the last state; (T, B) for a
            class to predict at every step. Classes are of type int64.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, or is too small.

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
        if np.issubdtype(target.dtype, np.floating):
            target = target.astype(dtype, copy=False)
        return x.astype(dtype, copy=False), target

    def read(self, x):
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
        TypeError, ValueError
            If `x` has the wrong type or shape, is empty or not finite, or the inputs of the task are numbers.

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
    measure="cross-entropy",
    shortest=1,
    baseline=lambda length: 10 * log(8) / (length + 20),
    generate=_copying,
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
