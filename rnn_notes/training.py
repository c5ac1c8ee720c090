"""Training: a readout, two losses, two optimizers, and one loop that records what the gradient does."""

from dataclasses import dataclass

import numpy as np

from rnn_notes._checks import (
    NotFiniteError,
    check_array,
    check_dtype,
    check_finite,
    check_fraction,
    check_generator,
    check_integer,
    check_positive,
)
from rnn_notes.clipping import clip_by_norm, global_norm
from rnn_notes.lstm import LSTM
from rnn_notes.rnn import RNN
from rnn_notes.tasks import Task


@dataclass(frozen=True, eq=False)
class ReadoutGradients:
    """Gradients of a loss, each of the shape of what it is the gradient for.

    Attributes
    ----------
    W_y, b_y : ndarray
        For the parameters, of shapes (O, H) and (O,).
    h : ndarray
        For the states that were read, of shape (..., H).
    """

    W_y: np.ndarray
    b_y: np.ndarray
    h: np.ndarray


class Readout:
    """The prediction ŷ = W_y h + b_y.

    The parameters are kept, not copied, so an update in place trains the readout.

    Parameters
    ----------
    W_y : ndarray of shape (O, H)
        Weights, float32 or float64.
    b_y : ndarray of shape (O,)
        Bias.

    Raises
    ------
    TypeError, ValueError
        If a parameter has the wrong type, dtype or shape, is empty or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import Readout
    >>> readout = Readout(W_y=np.array([[1.0, -1.0]]), b_y=np.array([0.5]))
    >>> readout.forward(np.array([[3.0, 1.0], [0.0, 2.0]]))
    array([[ 2.5],
           [-1.5]])
    """

    def __init__(self, W_y, b_y):
        self.W_y, self.b_y = W_y, b_y
        self._check_parameters()

    def forward(self, h):
        """Return the predictions of shape (..., O) from states of shape (..., H).

        Parameters
        ----------
        h : ndarray of shape (B, H) or (T, B, H)
            States, such as ``h[-1]`` or ``h[1:]`` of a network's.

        Returns
        -------
        ndarray of shape (B, O) or (T, B, O)
            ŷ for each state.

        Raises
        ------
        TypeError, ValueError
            If `h` has the wrong type, dtype or shape, is empty or not finite.

        Examples
        --------
        Read the state after each of three steps, and not the initial one.

        >>> import numpy as np
        >>> from rnn_notes import RNN, Readout
        >>> rnn = RNN(np.ones((1, 1)), np.ones((1, 1)), np.zeros(1), activation="identity")
        >>> h = rnn.forward(np.ones((3, 1, 1)))
        >>> Readout(W_y=np.array([[10.0]]), b_y=np.array([5.0])).forward(h[1:]).ravel()
        array([15., 25., 35.])
        """
        self._check_parameters()
        self._check_states(h)
        return h @ self.W_y.T + self.b_y

    def backward(self, h, dy):
        """Return the gradients of a loss from its gradient for the predictions.

        Parameters
        ----------
        h : ndarray of shape (B, H) or (T, B, H)
            The states given to `forward`.
        dy : ndarray of shape (B, O) or (T, B, O)
            ∂L/∂ŷ, as `mean_squared_error` and `cross_entropy` return it.

        Returns
        -------
        ReadoutGradients
            With attributes `W_y`, `b_y` and `h`. The last is what `RNN.backward` and `LSTM.backward` take as
            `dh`.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, dtype or shape, is empty or not finite.

        Examples
        --------
        >>> import numpy as np
        >>> from rnn_notes import Readout
        >>> readout = Readout(W_y=np.array([[1.0, -1.0]]), b_y=np.array([0.5]))
        >>> readout.backward(h=np.array([[3.0, 1.0]]), dy=np.array([[2.0]])).h
        array([[ 2., -2.]])
        """
        self._check_parameters()
        self._check_states(h)
        O, H = self.W_y.shape  # noqa: E741
        check_array("dy", dy, h.dtype, (*h.shape[:-1], O))
        rows = dy.reshape(-1, O)
        return ReadoutGradients(W_y=rows.T @ h.reshape(-1, H), b_y=rows.sum(axis=0), h=dy @ self.W_y)

    def _check_parameters(self):
        O, _ = check_array("W_y", self.W_y, None, ("O", "H"))  # noqa: E741
        check_array("b_y", self.b_y, self.W_y.dtype, (O,))

    def _check_states(self, h):
        H = self.W_y.shape[1]
        check_array("h", h, self.W_y.dtype, ("B", H), ("T", "B", H))


def mean_squared_error(y_hat, target):
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
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape, is empty or not finite.

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
    return float(np.mean(np.square(error, dtype=np.float64))), (2 / error.size) * error


def cross_entropy(y_hat, target):
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
    TypeError, ValueError
        If an argument has the wrong type or shape, is empty or not finite, or a class is out of range.

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
    classes = y_hat.shape[-1]
    if type(target) is not np.ndarray or not np.issubdtype(target.dtype, np.integer):
        kind = target.dtype if type(target) is np.ndarray else type(target).__name__
        raise TypeError(f"target must be a numpy.ndarray of integers, got {kind}")
    if target.shape != y_hat.shape[:-1]:
        raise ValueError(f"target must have shape {y_hat.shape[:-1]}, got {target.shape}")
    if target.min() < 0 or target.max() >= classes:
        worst = target.min() if target.min() < 0 else target.max()
        raise ValueError(f"target must be integers from 0 to {classes - 1}, got {worst}")
    right = target[..., None]
    shifted = y_hat - y_hat.max(axis=-1, keepdims=True)  # so that exp cannot overflow
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    dy = np.exp(log_probability)
    np.put_along_axis(dy, right, np.take_along_axis(dy, right, axis=-1) - 1, axis=-1)
    loss = -np.mean(np.take_along_axis(log_probability, right, axis=-1))
    return float(loss), dy / target.size


def _check_predictions(y_hat, axes):
    check_dtype("y_hat", y_hat, None)
    if y_hat.ndim < axes or y_hat.size == 0:
        raise ValueError(f"y_hat must have at least {axes} axes and one entry, got {y_hat.shape}")
    check_finite("y_hat", y_hat)


class SGD:
    """Stochastic gradient descent: w ← w - α ∂L/∂w, with momentum if wanted (Polyak 1964).

    Parameters
    ----------
    learning_rate : float
        α, above 0.
    momentum : float
        β from 0 to below 1: v ← β v + ∂L/∂w, and w ← w - α v.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number, or out of range.

    References
    ----------
    B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR Computational
    Mathematics and Mathematical Physics 4(5):1-17, 1964, https://doi.org/10.1016/0041-5553(64)90137-5.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import SGD
    >>> w = np.array([1.0, 2.0])
    >>> SGD(learning_rate=0.5).step({"w": w}, {"w": np.array([1.0, 0.0])})
    >>> w
    array([0.5, 2. ])
    """

    def __init__(self, learning_rate, momentum=0.0):
        self.learning_rate = check_positive("learning_rate", learning_rate)
        self.momentum = check_fraction("momentum", momentum)
        self._velocity = {}

    def step(self, parameters, gradients):
        """Update the parameters, in place.

        Parameters
        ----------
        parameters, gradients : dict of str to ndarray
            The same names, and for each name the same shape and dtype.

        Raises
        ------
        TypeError, ValueError
            If names, shapes or dtypes differ, or a gradient is not finite.

        Examples
        --------
        With momentum 0.5 the second of two equal gradients moves the parameter by half as much again.

        >>> import numpy as np
        >>> from rnn_notes import SGD
        >>> w, optimizer = np.array([10.0]), SGD(learning_rate=1.0, momentum=0.5)
        >>> for _ in range(2):
        ...     optimizer.step({"w": w}, {"w": np.array([2.0])})
        ...     print(w)
        [8.]
        [5.]
        """
        _check_update(parameters, gradients, self._velocity)
        for name, w in parameters.items():
            v = gradients[name]
            if self.momentum:
                v = self._velocity[name] = self.momentum * self._velocity.get(name, 0) + v
            w -= self.learning_rate * v


class Adam:
    """Adam: steps of a size near the learning rate, whatever the size of the gradient (Kingma and Ba 2015).

    Parameters
    ----------
    learning_rate : float
        α, above 0.
    beta_1, beta_2 : float
        Decay of the running means of the gradient and of its square, from 0 to below 1.
    epsilon : float
        Added to the root of the mean square, above 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number, or out of range.

    References
    ----------
    D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1,
    https://arxiv.org/abs/1412.6980.

    Examples
    --------
    The first step has the length of the learning rate, for a small gradient and for a large one.

    >>> import numpy as np
    >>> from rnn_notes import Adam
    >>> w = np.array([1.0, 1.0])
    >>> Adam(learning_rate=0.1).step({"w": w}, {"w": np.array([0.001, 1000.0])})
    >>> w.round(4)
    array([0.9, 0.9])
    """

    def __init__(self, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        self.learning_rate = check_positive("learning_rate", learning_rate)
        self.beta_1 = check_fraction("beta_1", beta_1)
        self.beta_2 = check_fraction("beta_2", beta_2)
        self.epsilon = check_positive("epsilon", epsilon)
        self._steps, self._mean, self._root = 0, {}, {}

    def step(self, parameters, gradients):
        """Update the parameters, in place.

        Parameters
        ----------
        parameters, gradients : dict of str to ndarray
            The same names, and for each name the same shape and dtype.

        Raises
        ------
        TypeError, ValueError
            If names, shapes or dtypes differ, or a gradient is not finite.

        Examples
        --------
        Adam remembers one long gradient: a hundred steps later it still divides by it.

        >>> import numpy as np
        >>> from rnn_notes import Adam
        >>> w, optimizer = np.array([0.0]), Adam(learning_rate=0.1)
        >>> for gradient in [1.0] * 10 + [1000.0] + [1.0] * 100:
        ...     before = w.copy()
        ...     optimizer.step({"w": w}, {"w": np.array([gradient])})
        >>> (before - w).round(4)
        array([0.0011])
        """
        _check_update(parameters, gradients, self._mean)
        self._steps += 1
        for name, w in parameters.items():
            g = gradients[name]
            mean = self.beta_1 * self._mean.get(name, 0) + (1 - self.beta_1) * g
            # The root of the running mean of g²: the square itself would overflow for large gradients.
            root = np.hypot(self.beta_2**0.5 * self._root.get(name, 0), (1 - self.beta_2) ** 0.5 * g)
            self._mean[name], self._root[name] = mean, root
            # Both started at 0; dividing makes up for it.
            mean = mean / (1 - self.beta_1**self._steps)
            root = root / (1 - self.beta_2**self._steps) ** 0.5
            w -= self.learning_rate * mean / (root + self.epsilon)


def _check_update(parameters, gradients, remembered):
    """Raise unless the two dicts fit together, and to what the optimizer remembers of earlier steps."""
    for name, value in (("parameters", parameters), ("gradients", gradients)):
        if not isinstance(value, dict):
            raise TypeError(f"{name} must be a dict of arrays, got {type(value).__name__}")
    if parameters.keys() != gradients.keys():
        wanted, got = (sorted(map(str, names)) for names in (parameters, gradients))
        raise ValueError(f"gradients must have the names {wanted}, got {got}")
    for name, w in parameters.items():
        check_dtype(f"parameters[{name!r}]", w, None)
        if name in remembered:
            check_array(f"parameters[{name!r}]", w, remembered[name].dtype, remembered[name].shape)
        check_array(f"gradients[{name!r}]", gradients[name], w.dtype, w.shape)


@dataclass(frozen=True, eq=False)
class History:
    """What `fit` recorded, one entry for each update.

    Attributes
    ----------
    loss : ndarray
        The loss that was differentiated.
    error : ndarray
        The same batches in the measure of the task, to be compared with its baseline.
    gradient_norm : ndarray
        The norm of all gradients together, before clipping.
    clipped : ndarray of bool
        Whether clipping changed the gradient.
    outcome : {"solved", "steps", "interrupted", "diverged"}
        Why training ended. "diverged": a state, gradient or weight was no longer finite. An update that could
        not be computed has no entry.
    """

    loss: np.ndarray
    error: np.ndarray
    gradient_norm: np.ndarray
    clipped: np.ndarray
    outcome: str

    @property
    def clip_rate(self):
        """The share of updates whose gradient was clipped."""
        return float(self.clipped.mean()) if len(self.clipped) else 0.0


def fit(
    network,
    readout,
    task,
    optimizer,
    rng,
    *,
    length,
    batch=32,
    steps=1000,
    clip=None,
    clip_with=clip_by_norm,
    window=None,
    solved=0.05,
    progress=None,
):
    """Train a network and its readout on a task, on new sequences at every step.

    Each batch is drawn anew and measured before the update, so the recorded error is not one on data learned
    by heart. Interrupt it (Ctrl-C) when you have seen enough: it returns what it has recorded, and the
    parameters stay as they are.

    Parameters
    ----------
    network : RNN or LSTM
        Trained in place. Its dtype is that of all computation.
    readout : Readout
        Trained in place.
    task : Task
        `adding`, `copying`, `temporal_order`, `agreement`, or your own.
    optimizer : SGD or Adam
        Anything with a method ``step(parameters, gradients)``.
    rng : numpy.random.Generator
        The source of the sequences.
    length : int
        Length of the task.
    batch : int
        Sequences in a batch.
    steps : int
        The most updates.
    clip : float, optional
        Threshold for the gradients of all parameters together; no clipping if not given.
    clip_with : callable
        How, if `clip` is given: `clip_by_norm` or `clip_by_value`.
    window : int, optional
        The most steps that each loss term flows back, for an `RNN`; see `RNN.backward`.
    solved : float
        Stop when the mean error of the last 50 batches is below this share of the baseline; 0 never stops.
    progress : bool, optional
        Show a progress bar with loss, gradient norm and clip rate. If not given, only in a terminal.

    Returns
    -------
    History
        Loss, error, gradient norm and clipping of every step, and why training ended.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range, or sizes of network, readout and task differ.

    Examples
    --------
    A or B comes early, and again in the middle of twenty steps. Twenty units learn which.

    >>> import numpy as np
    >>> from rnn_notes import Adam, Readout, RNN, fit, glorot_uniform, random_orthogonal, temporal_order
    >>> rng = np.random.default_rng(0)
    >>> rnn = RNN(glorot_uniform((20, 6), rng), random_orthogonal(20, rng), np.zeros(20))
    >>> readout = Readout(glorot_uniform((4, 20), rng), np.zeros(4))
    >>> history = fit(rnn, readout, temporal_order, Adam(0.01), rng, length=20, clip=1.0)
    >>> print(history.outcome, "from an error rate of", history.error[0], "to", history.error[-1])
    solved from an error rate of 0.65625 to 0.0
    """
    for name, value, types in (
        ("network", network, (RNN, LSTM)),
        ("readout", readout, (Readout,)),
        ("task", task, (Task,)),
    ):
        if not isinstance(value, types):
            expected = " or ".join(kind.__name__ for kind in types)
            raise TypeError(f"{name} must be of type {expected}, got {type(value).__name__}")
    _check_sizes(network, readout, task)
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "step", None)):
        raise TypeError(f"optimizer must have a method step(parameters, gradients), got {optimizer!r}")
    check_generator("rng", rng)
    check_integer("batch", batch, 1)
    if clip is not None:
        check_positive("clip", clip)
    if not callable(clip_with):
        raise TypeError(f"clip_with must be a function such as clip_by_norm, got {clip_with!r}")
    options = {} if window is None else {"window": check_integer("window", window, 1)}
    if options and isinstance(network, LSTM):
        raise ValueError(f"window must be None for an LSTM, got {window!r}")
    enough = check_fraction("solved", solved) * task.baseline(check_integer("length", length, task.shortest))
    parameters = {name: getattr(network, name) for name in ("W_x", "W_h", "b")}
    parameters |= {name: getattr(readout, name) for name in ("W_y", "b_y")}
    for name, w in parameters.items():
        check_finite(name, w)
    if progress not in (None, True, False):
        raise TypeError(f"progress must be True, False or None, got {progress!r}")

    from tqdm import tqdm  # here, so that importing rnn_notes stays fast

    rows, clips, outcome = [], 0, "steps"
    silent = progress if progress is None else not progress  # tqdm's None: silent unless in a terminal
    with tqdm(range(check_integer("steps", steps, 1)), desc=task.name, disable=silent) as bar:
        try:
            for _ in bar:
                x, target = task(length, batch, rng, dtype=network.W_h.dtype)
                with np.errstate(over="ignore", invalid="ignore"):  # what overflows ends the loop
                    loss, error, gradients = _differentiate(network, readout, task, x, target, options)
                    if clip is None:
                        clipped, norm = gradients, global_norm(gradients)
                    else:
                        clipped, norm = clip_with(gradients, clip)
                    optimizer.step(parameters, clipped)
                changed = any((clipped[name] != g).any() for name, g in gradients.items())
                rows.append((loss, error, norm, changed))
                clips += changed
                for name, w in parameters.items():
                    check_finite(name, w)
                share = f"{clips / len(rows):.0%}"
                bar.set_postfix(loss=loss, norm=norm, clipped=share, refresh=False)
                if len(rows) >= 50 and np.mean([row[1] for row in rows[-50:]]) < enough:
                    outcome = "solved"
                    break
        except KeyboardInterrupt:
            outcome = "interrupted"
        except NotFiniteError:
            outcome = "diverged"
    loss, error, norm, clipped = np.array(rows, float).reshape(-1, 4).T
    return History(loss, error, norm, clipped.astype(bool), outcome)


def _check_sizes(network, readout, task):
    """Raise unless the three fit together."""
    H, dtype = network.W_h.shape[1], network.W_h.dtype
    if network.W_x.shape[1] != task.inputs:
        raise ValueError(f"network must have {task.inputs} inputs for this task, got {network.W_x.shape[1]}")
    if readout.W_y.dtype != dtype:
        raise TypeError(f"readout must have dtype {dtype} as the network has, got {readout.W_y.dtype}")
    if readout.W_y.shape != (task.outputs, H):
        raise ValueError(f"readout must have W_y of shape {(task.outputs, H)}, got {readout.W_y.shape}")


def _differentiate(network, readout, task, x, target, options):
    """Return the loss, the error in the measure of the task, and the gradients of all parameters."""
    state = network.forward(x)
    h = state if isinstance(network, RNN) else state.h
    classes = np.issubdtype(target.dtype, np.integer)
    at_every_step = target.ndim == (2 if classes else 3)
    read = h[1:] if at_every_step else h[-1]
    y_hat = readout.forward(read)
    loss, dy = (cross_entropy if classes else mean_squared_error)(y_hat, target)
    error = np.mean(y_hat.argmax(axis=-1) != target) if task.measure == "error rate" else loss
    last = readout.backward(read, dy)
    first = network.backward(x, state, last.h, **options)
    gradients = {name: getattr(first, name) for name in ("W_x", "W_h", "b")}
    return loss, error, gradients | {"W_y": last.W_y, "b_y": last.b_y}
