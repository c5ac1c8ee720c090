"""Training: a readout, two optimizers, and one loop that records what the gradient does."""

from contextlib import suppress
from dataclasses import dataclass
from inspect import Parameter, signature

import numpy as np

from rnn_notes._checks import (
    NotFiniteError,
    blame,
    check_array,
    check_dtype,
    check_finite,
    check_fraction,
    check_generator,
    check_integer,
    check_loss,
    check_methods,
    check_overflow,
    check_positive,
    check_writeable,
    refuse_overflow,
    shown,
)
from rnn_notes.clipping import clip_by_norm, global_norm
from rnn_notes.network import Network
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

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the arrays `W_y` and `b_y` by name: themselves, no copies."""
        return {"W_y": self.W_y, "b_y": self.b_y}

    @refuse_overflow
    def forward(self, h) -> np.ndarray:
        """Return the predictions of shape (..., O) from states of shape (..., H).

        Parameters
        ----------
        h : ndarray of shape (B, H) or (T, B, H)
            States, such as ``h[-1]`` or ``h[1:]`` of a network's.

        Returns
        -------
        ndarray of shape (B, O) or (T, B, O)
            ŷ for each state.

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
        y_hat = h @ self.W_y.T + self.b_y
        check_overflow(y_hat=y_hat)
        return y_hat

    @refuse_overflow
    def backward(self, h, dy) -> ReadoutGradients:
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
            With attributes `W_y`, `b_y` and `h`. The last is what the `backward` of a network takes as `dh`.

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
        gradients = ReadoutGradients(W_y=rows.T @ h.reshape(-1, H), b_y=rows.sum(axis=0), h=dy @ self.W_y)
        check_overflow(**vars(gradients))
        return gradients

    def _check_parameters(self):
        O, _ = check_array("W_y", self.W_y, None, ("O", "H"))  # noqa: E741
        check_array("b_y", self.b_y, self.W_y.dtype, (O,))

    def _check_states(self, h):
        H = self.W_y.shape[1]
        check_array("h", h, self.W_y.dtype, ("B", H), ("T", "B", H))


class SGD:
    """Stochastic gradient descent: w ← w - α ∂L/∂w, with momentum if wanted (Polyak 1964).

    Parameters
    ----------
    learning_rate : float
        α, above 0.
    momentum : float
        β from 0 to below 1: v ← β v + ∂L/∂w, and w ← w - α v.

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

    @refuse_overflow
    def step(self, parameters, gradients) -> None:
        """Update the parameters, in place.

        Parameters
        ----------
        parameters : dict of str to ndarray
            The arrays by name, as a network's ``parameters()`` returns them.
        gradients : dict of str to ndarray, or an object with attributes
            For each name the same shape and dtype; a network's `backward` returns such an object.

        Raises
        ------
        TypeError, ValueError
            Before anything is changed: also if names differ, a shape or dtype is not that of the steps
            before, a parameter is read-only, or the step leads beyond the largest float.

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
        gradients = _check_update(parameters, gradients, self._velocity)
        velocity, changes = {}, {}
        for name in parameters:
            v = gradients[name]
            if self.momentum:
                v = velocity[name] = np.asarray(self.momentum * self._velocity.get(name, 0) + v)
            changes[name] = self.learning_rate * v
        _update(parameters, changes)
        self._velocity |= velocity


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
        self._steps, self._mean, self._root = {}, {}, {}

    @refuse_overflow
    def step(self, parameters, gradients) -> None:
        """Update the parameters, in place.

        Parameters
        ----------
        parameters : dict of str to ndarray
            The arrays by name, as a network's ``parameters()`` returns them.
        gradients : dict of str to ndarray, or an object with attributes
            For each name the same shape and dtype; a network's `backward` returns such an object.

        Raises
        ------
        TypeError, ValueError
            Before anything is changed: also if names differ, a shape or dtype is not that of the steps
            before, a parameter is read-only, or the step leads beyond the largest float.

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
        gradients = _check_update(parameters, gradients, self._mean)
        steps, means, roots, changes = {}, {}, {}, {}
        for name in parameters:
            g, t = gradients[name], self._steps.get(name, 0) + 1
            mean = self.beta_1 * self._mean.get(name, 0) + (1 - self.beta_1) * g
            # The root of the running mean of g²: the square itself would overflow for large gradients.
            root = np.hypot(self.beta_2**0.5 * self._root.get(name, 0), (1 - self.beta_2) ** 0.5 * g)
            steps[name], means[name], roots[name] = t, np.asarray(mean), np.asarray(root)
            # Both started at 0; dividing makes up for it. By four times as much, and epsilon too: the
            # quotient is the same, and the largest float does not round up to infinity.
            mean = mean / (4 * (1 - self.beta_1**t))
            root = root / (4 * (1 - self.beta_2**t) ** 0.5)
            changes[name] = self.learning_rate * mean / (root + self.epsilon / 4)
        _update(parameters, changes)
        self._steps |= steps
        self._mean |= means
        self._root |= roots


def _check_update(parameters, gradients, remembered):
    """Return the gradients as a dict; raise unless they fit to the parameters, and these to earlier steps."""
    if not isinstance(parameters, dict):
        raise TypeError(f"parameters must be a dict of arrays, got {type(parameters).__name__}")
    if not isinstance(gradients, dict):
        if not all(hasattr(gradients, str(name)) for name in parameters):
            expected = f"a dict of arrays, or have the attributes {_names(parameters)}"
            raise TypeError(f"gradients must be {expected}, got {type(gradients).__name__}")
        gradients = {name: getattr(gradients, name) for name in parameters}
    if parameters.keys() != gradients.keys():
        raise ValueError(f"gradients must have the names {_names(parameters)}, got {_names(gradients)}")
    for name, w in parameters.items():
        check_dtype(f"parameters[{name!r}]", w, None)
        check_writeable(f"parameters[{name!r}]", w)
        if name in remembered:
            check_array(f"parameters[{name!r}]", w, remembered[name].dtype, remembered[name].shape)
        check_array(f"gradients[{name!r}]", gradients[name], w.dtype, w.shape)
    return gradients


def _names(arrays):
    return sorted(map(str, arrays))


def _update(parameters, changes):
    """Subtract the changes from the parameters, after all results are known to be finite."""
    for name, w in parameters.items():
        check_overflow(**{f"the step of parameters[{name!r}]": np.asarray(w - changes[name])})
    for name, w in parameters.items():
        w -= changes[name]


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
        Why training ended. "diverged": a state, gradient, loss or weight was no longer finite. An update that
        could not be computed has no entry.
    """

    loss: np.ndarray
    error: np.ndarray
    gradient_norm: np.ndarray
    clipped: np.ndarray
    outcome: str

    @property
    def clip_rate(self) -> float:
        """The share of updates whose gradient was clipped."""
        return float(self.clipped.mean()) if len(self.clipped) else 0.0


def fit(
    network: Network,
    readout,
    task: Task,
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
) -> History:
    """Train a network and its readout on a task, on new sequences at every step.

    Each batch is drawn anew and measured before the update, so the recorded error is not one on data learned
    by heart. Interrupt it (Ctrl-C) when you have seen enough: it returns what it has recorded, and the
    parameters stay as they are.

    Parameters
    ----------
    network : Network
        An `RNN`, `LSTM` or `GRU`, or anything with the methods of `Network`. Trained in place. The dtype of
        its parameters is that of all computation. Before the first batch, two steps of zeros show whether it
        fits to the readout and the task.
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
        The most steps that each loss term flows back; see `RNN.backward`.
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
        Before anything is changed: also if a method is missing, sizes of network, readout and task differ,
        two parameters have one name, or one is read-only.

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
    methods = "parameters()", "forward(x)", "backward(x, state, dh)", "hidden(state)"
    check_methods("network", network, *methods)
    check_methods("readout", readout, "parameters()", "forward(h)", "backward(h, dy)")
    if not isinstance(task, Task):
        raise TypeError(f"task must be of type Task, got {type(task).__name__}")
    check_methods("optimizer", optimizer, "step(parameters, gradients)")
    check_generator("rng", rng)
    check_integer("batch", batch, 1)
    if clip is not None:
        check_positive("clip", clip)
    if not callable(clip_with):
        raise TypeError(f"clip_with must be a function such as clip_by_norm, got {shown(clip_with)}")
    options = {}
    if window is not None:
        options["window"] = check_integer("window", window, 1)
        takes = signature(network.backward).parameters
        if "window" not in takes and all(p.kind is not Parameter.VAR_KEYWORD for p in takes.values()):
            raise ValueError(
                f"window must be None for a network whose backward takes none, got {shown(window)}"
            )
    enough = check_fraction("solved", solved) * task.baseline(check_integer("length", length, task.shortest))
    check_integer("steps", steps, 1)
    if progress is not None and not isinstance(progress, bool | np.bool_):
        raise TypeError(f"progress must be True, False or None, got {shown(progress)}")
    parameters = _all_parameters(network, readout)
    dtype = next(iter(parameters.values())).dtype
    with suppress(NotFiniteError), np.errstate(over="ignore", invalid="ignore"):  # the loop will find it
        _check_sizes(network, readout, task, batch, dtype, options)

    from tqdm import tqdm  # here, so that importing rnn_notes stays fast

    rows, clips, outcome = [], 0, "steps"
    silent = progress if progress is None else not progress  # tqdm's None: silent unless in a terminal
    with tqdm(range(steps), desc=task.name, disable=silent) as bar:
        try:
            for _ in bar:
                try:
                    x, target = task(length, batch, rng, dtype=dtype)
                except NotFiniteError as error:  # the task's fault: nothing diverged
                    raise ValueError(str(error)) from error
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


def _all_parameters(network, readout):
    """Return the parameters of both by name; raise unless they can be trained together."""
    dtype, every = None, {}
    for owner, part in (("network", network), ("readout", readout)):
        parameters = part.parameters()
        if not isinstance(parameters, dict):
            raise TypeError(f"{owner}.parameters() must return a dict, got {type(parameters).__name__}")
        again = part.parameters()
        for name, w in parameters.items():
            if name in every:
                raise ValueError(f"{owner} must not have a parameter {name!r}: the network has one")
            check_dtype(name, w, None)
            dtype = dtype or w.dtype
            if w.dtype != dtype:
                raise TypeError(
                    f"{owner} must have dtype {dtype} in all parameters, got {w.dtype} for {name!r}"
                )
            check_writeable(name, w)
            if not np.may_share_memory(w, again[name]):
                raise ValueError(
                    f"{owner}.parameters() must return the arrays themselves, got a copy of {name!r}"
                )
            check_finite(name, w)
        every |= parameters
    if not every:
        raise ValueError("network and readout must have a parameter to train, got none")
    return every


def _check_sizes(network, readout, task, batch, dtype, options):
    """Raise unless the three fit together, from what they do with two steps of zeros."""
    x = np.zeros((2, batch, task.inputs), dtype)
    with blame(f"network must take x of shape (T, B, {task.inputs}) for this task"):
        state = network.forward(x)
    with blame("network must return its hidden states"):
        h = network.hidden(state)
        check_array("hidden(state)", h, dtype, (3, batch, "H"))
    read = h[1:] if task.every_step else h[-1]
    expected = f"readout must predict {task.outputs} numbers from {h.shape[-1]} units for this task"
    with blame(expected):
        y_hat = readout.forward(read)
        check_array("forward(h)", y_hat, dtype, (*read.shape[:-1], task.outputs))
    with blame("readout must return the gradients of its parameters and of h"):
        last = readout.backward(read, np.zeros_like(y_hat))
        for name, w in (readout.parameters() | {"h": read}).items():
            check_array(f"gradients.{name}", getattr(last, name), dtype, w.shape)
    with blame("network must return the gradients of its parameters"):
        first = network.backward(x, state, np.zeros_like(read), **options)
        for name, w in network.parameters().items():
            check_array(f"gradients.{name}", getattr(first, name), dtype, w.shape)


def _differentiate(network, readout, task, x, target, options):
    """Return the loss, the error in the measure of the task, and the gradients of all parameters."""
    state = network.forward(x)
    h = network.hidden(state)
    read = h[1:] if task.every_step else h[-1]
    y_hat = readout.forward(read)
    loss, dy = check_loss(f"loss of the task {task.name!r}", task.loss(y_hat, target))
    check_finite("loss", np.asarray(loss, float))
    error = task.error(y_hat, target)  # in the measure of the task, whatever its loss
    last = readout.backward(read, dy)
    first = network.backward(x, state, last.h, **options)
    gradients = {name: getattr(first, name) for name in network.parameters()}
    return loss, error, gradients | {name: getattr(last, name) for name in readout.parameters()}
