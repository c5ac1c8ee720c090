"""What a network is: the same questions to all of them, a network of one's own, and what readers pass in."""

import inspect
import re
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
from numerics import assert_close, central_differences

from rnn_notes import (
    ACTIVATIONS,
    GRU,
    LSTM,
    RNN,
    SGD,
    Adam,
    Network,
    Readout,
    adding,
    classify,
    clip_by_norm,
    copying,
    cross_entropy,
    fit,
    framework_default,
    mean_squared_error,
    random_normal,
    table,
    temporal_order,
)

KINDS = {RNN: 1, LSTM: 4, GRU: 3}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
EVERY_ACTIVATION = [(RNN, {"activation": name}) for name in ACTIVATIONS] + [(LSTM, {}), (GRU, {})]
METHODS = ("parameters", "forward", "backward", "hidden")


def make(kind, I=3, H=4, dtype=np.float64, scale=1.0, **options):  # noqa: E741
    rng, gates = np.random.default_rng(0), KINDS[kind]
    shapes = [(gates * H, I), (gates * H, H), (gates * H,)] + [(H,)] * (kind is GRU)
    return kind(*((scale * rng.standard_normal(shape) / H**0.5).astype(dtype) for shape in shapes), **options)


def whole_state(network, state):
    return np.concatenate([state.h, state.c], axis=-1) if isinstance(network, LSTM) else network.hidden(state)


def run(network, T=5, B=2, I=3, seed=0):  # noqa: E741
    rng, dtype = np.random.default_rng(seed), network.W_x.dtype
    x, dh = rng.standard_normal((T, B, I)).astype(dtype), rng.standard_normal((T, B, 4)).astype(dtype)
    return x, network.forward(x), dh


def test_the_protocol_is_four_methods():
    assert [name for name in vars(Network) if not name.startswith("_")] == list(METHODS)


@every_kind
def test_every_network_has_the_methods_and_their_parameters(kind):
    for name in METHODS:
        wanted = list(inspect.signature(getattr(Network, name)).parameters)
        got = inspect.signature(getattr(kind, name)).parameters.values()
        assert len([p for p in got if p.default is p.empty]) == len(wanted)


@every_kind
def test_the_same_questions_to_every_network(kind):
    network = make(kind)
    x, state, dh = run(network)
    assert list(network.parameters().values()) == [getattr(network, name) for name in network.parameters()]
    h = network.hidden(state)
    assert h.shape == (6, 2, 4)
    S = whole_state(network, state).shape[-1]
    assert network.step_jacobians(state).shape == (5, 2, S, S)
    assert network.jacobian_product(state, 1, 4).shape == (2, S, S)
    for options in ({}, {"window": 2}):
        gradients = network.backward(x, state, dh, **options)
        for name, w in (network.parameters() | {"x": x}).items():
            assert getattr(gradients, name).shape == w.shape


@every_kind
@pytest.mark.parametrize("K", [1, 3])
def test_a_window_reaches_what_the_jacobian_product_reaches(kind, K):
    """A loss on the last state owes to x⁽ᵏ⁾ what leads through the states after k, if these are reached."""
    network = make(kind)
    x, state, dh = run(network)
    full, cut = (network.backward(x, state, dh[-1], **o).x for o in ({}, {"window": K}))
    assert not cut[: 5 - K - 1].any()
    np.testing.assert_allclose(cut[5 - K - 1 :], full[5 - K - 1 :], rtol=1e-12)


# A network of one's own.


class Minimal:
    """h⁽ᵗ⁾ = tanh(W h⁽ᵗ⁻¹⁾ + x⁽ᵗ⁾ V), with other names, another state and other gradients than ours."""

    def __init__(self, V, W):
        self.weights = {"V": V, "W": W}

    def parameters(self):
        return self.weights

    def forward(self, x):
        states = [np.zeros((x.shape[1], len(self.weights["W"])), x.dtype)]
        for x_t in x:
            states.append(np.tanh(states[-1] @ self.weights["W"] + x_t @ self.weights["V"]))
        return {"all": states}

    def backward(self, x, state, dh):
        h, V, W = state["all"], *self.weights.values()
        d_next, dV, dW, dx = np.zeros_like(h[0]), np.zeros_like(V), np.zeros_like(W), np.empty_like(x)
        for t in reversed(range(len(x))):
            direct = dh[t] if dh.ndim == 3 else dh * (t == len(x) - 1)
            dz = (1 - h[t + 1] ** 2) * (d_next + direct)
            dV, dW = dV + x[t].T @ dz, dW + h[t].T @ dz
            dx[t], d_next = dz @ V.T, dz @ W.T
        return type("Gradients", (), {"V": dV, "W": dW, "x": dx})

    def hidden(self, state):
        return np.stack(state["all"])


NOT_FINITE = np.full(2, np.nan)


def own(task, H=6, dtype=np.float64):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s) / H**0.5 for s in [(task.inputs, H), (H, H), (task.outputs, H)]]
    V, W, W_y = (a.astype(dtype) for a in arrays)
    return Minimal(V, W), Readout(W_y, np.zeros(task.outputs, dtype))


@every_dtype
@pytest.mark.parametrize("task", [adding, copying, temporal_order], ids=lambda task: task.name)
@pytest.mark.parametrize("clip", [None, 1.0])
def test_fit_trains_a_network_of_ones_own_as_it_trains_ours(task, dtype, clip):
    mine, readout = own(task, dtype=dtype)
    W_x, W_h = (mine.weights[name].T.copy() for name in "VW")
    bias = np.zeros(6, dtype)
    theirs, same = RNN(W_x, W_h, bias), Readout(readout.W_y.copy(), readout.b_y.copy())
    options = {"length": 12, "batch": 4, "steps": 1, "clip": clip}
    ends = [
        fit(network, part, task, SGD(0.1), np.random.default_rng(1), **options)
        for network, part in ((mine, readout), (theirs, same))
    ]
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    assert ends[0].loss[0] == pytest.approx(ends[1].loss[0], rel=tolerance)
    if clip is None:  # with clipping, the norm includes the bias that only ours has
        assert_close(mine.weights["W"].T, theirs.W_h, rtol=tolerance)
        assert_close(mine.weights["V"].T, theirs.W_x, rtol=tolerance)
    assert_close(readout.W_y, same.W_y, rtol=0.1 if clip else tolerance)


def broken(**replaced):
    """Return a network of one's own, of which one method is another or missing (None)."""
    kind = type("Broken", (Minimal,), replaced)
    network, readout = own(adding)
    return kind(*network.weights.values()), readout


def train(network, readout, task=adding, **options):
    return fit(
        network, readout, task, SGD(0.1), np.random.default_rng(0), length=6, batch=4, steps=2, **options
    )


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("parameters", "parameters()"),
        ("forward", "forward(x)"),
        ("backward", "backward(x, state, dh)"),
        ("hidden", "hidden(state)"),
    ],
)
def test_the_error_says_which_method_is_missing(method, says):
    network, readout = broken(**{method: None})
    with pytest.raises(TypeError) as error:
        train(network, readout)
    assert str(error.value).startswith(f"network must have a method {says}, got ")


@pytest.mark.parametrize("method", ["parameters", "forward", "backward"])
def test_a_readout_of_ones_own_needs_three(method):
    network, readout = own(adding)
    with pytest.raises(TypeError, match=rf"^readout must have a method {method}\("):
        train(network, type("Other", (Readout,), {method: None})(readout.W_y, readout.b_y))


@pytest.mark.parametrize("value", [None, 3, "RNN", np.zeros(3)], ids=repr)
def test_what_is_no_network(value):
    network, readout = own(adding)
    with pytest.raises(TypeError, match=r"^network must have a method parameters\(\), got "):
        train(value, readout)
    with pytest.raises(TypeError, match=r"^readout must have a method parameters\(\), got "):
        train(network, value)


def test_a_class_is_no_network():
    network, readout = own(adding)
    with pytest.raises(TypeError, match=r"^network must be an object, got the class RNN itself$"):
        train(RNN, readout)
    with pytest.raises(ValueError, match=r"^readout must not have a parameter 'V': the network has one$"):
        train(network, network)


@pytest.mark.parametrize(
    ("replaced", "error", "message"),
    [
        (
            {"parameters": lambda self: [1]},
            TypeError,
            r"^network.parameters\(\) must return a dict, got list",
        ),
        (
            {"parameters": lambda self: {n: w.copy() for n, w in self.weights.items()}},
            ValueError,
            r"^network.parameters\(\) must return the arrays themselves, got a copy of 'V'",
        ),
        (
            {"parameters": lambda self: {"W_y": self.weights["W"]}},
            ValueError,
            r"^readout must not have a .* 'W_y'",
        ),
        (
            {"hidden": lambda self, state: np.stack(state["all"][1:])},
            ValueError,
            r"^network must return its hidden states: hidden\(state\) must have shape \(3, 4, H\)",
        ),
        ({"hidden": lambda self, state: state["all"]}, ValueError, r"^network must return .*, got list"),
        (
            {"backward": lambda self, x, state, dh: {"V": 0, "W": 0}},
            ValueError,
            r"^network must return the gradients of its parameters: .*no attribute 'V'",
        ),
        (
            {"backward": lambda self, x, state, dh: type("G", (), {n: w.T for n, w in self.weights.items()})},
            ValueError,
            r"^network must return the gradients of its parameters: gradients.V must have shape \(2, 6\)",
        ),
        (
            {
                "backward": lambda self, x, state, dh: type(
                    "G", (), {n: w.astype(np.float32) for n, w in self.weights.items()}
                )
            },
            ValueError,
            r"^network must return .*: gradients.V must have dtype float64, got float32",
        ),
        (
            {"hidden": lambda self, state: np.stack(state["all"]).astype(np.float32)},
            ValueError,
            r"^network must return its hidden states: hidden\(state\) must have dtype float64, got float32",
        ),
        ({"parameters": lambda self: {"V": [1.0]}}, TypeError, r"^V must be a numpy.ndarray, got list"),
        (
            {"parameters": lambda self: self.weights | {"U": NOT_FINITE}},
            ValueError,
            r"^U must be finite, got nan at index \(0,\)",
        ),
    ],
    ids=[
        "list",
        "copies",
        "names",
        "no initial state",
        "no array",
        "no attribute",
        "transposed",
        "rounded",
        "rounded states",
        "no arrays",
        "not finite",
    ],
)
def test_what_does_not_fit_is_named_before_anything_is_changed(replaced, error, message):
    network, readout = broken(**replaced)
    before = [w.copy() for w in (*network.weights.values(), readout.W_y, readout.b_y)]
    with pytest.raises(error, match=message):
        train(network, readout)
    for w, kept in zip((*network.weights.values(), readout.W_y, readout.b_y), before, strict=True):
        np.testing.assert_array_equal(w, kept)


def test_nothing_to_train():
    _, readout = own(adding)
    empty = type("Empty", (Readout,), {"parameters": lambda self: {}})
    with pytest.raises(ValueError, match=r"^network and readout must have a parameter to train, got none$"):
        train(broken(parameters=lambda self: {})[0], empty(readout.W_y, readout.b_y))


@pytest.mark.parametrize("beyond", [lambda h: np.full_like(h, 1e200) ** 2, lambda h: h + np.inf - np.inf])
def test_states_of_ones_own_beyond_the_range_are_divergence(beyond):
    """Without a warning, which is an error here."""

    def forward(self, x):
        state = Minimal.forward(self, x)
        return {"all": [*state["all"][:-1], beyond(state["all"][-1])]}

    assert train(*broken(forward=forward)).outcome == "diverged"


PREDICTS = "readout must predict {O} numbers from 6 units for this task:"
RETURNS = "readout must return the gradients of its parameters and of h:"


@pytest.mark.parametrize("task", [adding, copying], ids=lambda task: task.name)
@pytest.mark.parametrize(
    ("method", "value", "message"),
    [
        (
            "forward",
            lambda y: y[..., :-1],
            PREDICTS + " forward(h)",
        ),
        (
            "forward",
            lambda y: y.tolist(),
            PREDICTS + " forward(h)",
        ),
        (
            "forward",
            lambda y: y.astype(np.float32),
            PREDICTS + " forward(h) must have dtype float64",
        ),
        (
            "backward",
            lambda g: SimpleNamespace(W_y=g.W_y, b_y=g.b_y),
            RETURNS + " 'types.SimpleNamespace' object has no",
        ),
        (
            "backward",
            lambda g: replace(g, h=g.h[..., 1:]),
            RETURNS + " gradients.h must have shape {read}",
        ),
        (
            "backward",
            lambda g: replace(g, b_y=g.b_y[1:]),
            RETURNS + " gradients.b_y must have shape ({O},)",
        ),
        (
            "backward",
            lambda g: replace(g, b_y=g.b_y.astype(np.float32)),
            RETURNS + " gradients.b_y must have dtype float64",
        ),
    ],
)
def test_a_readout_that_does_not_fit_is_named_before_anything_is_changed(task, method, value, message):
    network, readout = own(task)
    other = type("Other", (Readout,), {method: lambda *given: value(getattr(Readout, method)(*given))})
    before = {name: w.copy() for name, w in (network.parameters() | readout.parameters()).items()}
    read = (2, 4, 6) if task.every_step else (4, 6)
    with pytest.raises(ValueError) as error:
        train(network, other(readout.W_y, readout.b_y), task)
    assert str(error.value).startswith(message.format(O=task.outputs, read=read))
    for name, w in (network.parameters() | readout.parameters()).items():
        np.testing.assert_array_equal(w, before[name])


@every_dtype
@pytest.mark.parametrize("task", [adding, copying], ids=lambda task: task.name)
def test_two_steps_of_zeros_are_tried_before_the_first_batch(task, dtype):
    seen = []

    class Watched(Minimal):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)

        def backward(self, x, state, dh):
            seen.append(dh)
            return super().backward(x, state, dh)

    network, readout = own(task, dtype=dtype)
    train(Watched(*network.weights.values()), readout, task)
    x, dh = seen[:2]
    assert (x.shape, dh.shape) == ((2, 4, task.inputs), (2, 4, 6) if task.every_step else (4, 6))
    assert (x.dtype, dh.dtype) == (dtype, dtype)
    assert not x.any()
    assert not dh.any()


def test_an_error_of_a_network_of_ones_own_stays_behind_ours():
    def forward(self, x):
        raise IndexError("only the first")

    with pytest.raises(ValueError) as error:
        train(*broken(forward=forward))
    assert str(error.value) == "network must take x of shape (T, B, 2) for this task: only the first"
    assert isinstance(error.value.__cause__, IndexError)


def test_a_network_of_ones_own_gets_no_window_unless_it_takes_one():
    network, readout = own(adding)
    with pytest.raises(
        ValueError, match=r"^window must be None for a network whose backward takes none, got 3$"
    ):
        train(network, readout, window=3)
    windows = []

    def backward(self, x, state, dh, window=None):
        windows.append(window)
        return Minimal.backward(self, x, state, dh)

    train(*broken(backward=backward), window=3)
    assert set(windows) == {3}


@every_kind
@pytest.mark.parametrize("task", [temporal_order, copying], ids=lambda task: task.name)
def test_fit_passes_the_window_to_every_network(kind, task):
    network, readout = make(kind, I=task.inputs), Readout(np.ones((task.outputs, 4)), np.zeros(task.outputs))
    x, target = task(10, 4, np.random.default_rng(1))
    state = network.forward(x)
    h = network.hidden(state)
    read = h[1:] if task.every_step else h[-1]
    dh = readout.backward(read, cross_entropy(readout.forward(read), target)[1]).h
    expected = {
        name: w - getattr(network.backward(x, state, dh, window=2), name)
        for name, w in network.parameters().items()
    }
    fit(network, readout, task, SGD(1.0), np.random.default_rng(1), length=10, batch=4, steps=1, window=2)
    for name, w in network.parameters().items():
        assert_close(w, expected[name], rtol=1e-12, name=name)


@pytest.mark.parametrize("name", ["W_x", "W_h", "b", "W_y", "b_y"])
@pytest.mark.parametrize("optimizer", [SGD, Adam])
@every_kind
def test_a_read_only_parameter_is_named_before_another_is_changed(kind, optimizer, name):
    network, readout = make(kind, I=2), Readout(np.ones((1, 4)), np.ones(1))
    parameters = network.parameters() | readout.parameters()
    before = {key: w.copy() for key, w in parameters.items()}
    parameters[name].flags.writeable = False
    with pytest.raises(
        ValueError, match=f"^{name} must be writeable to be trained in place, got a read-only"
    ):
        fit(network, readout, adding, optimizer(0.1), np.random.default_rng(0), length=5, steps=1)
    with pytest.raises(ValueError, match=rf"^parameters\['{name}'\] must be writeable"):
        optimizer(0.1).step(parameters, before)
    for key, w in parameters.items():
        np.testing.assert_array_equal(w, before[key])


@every_kind
def test_optimizers_take_what_backward_returns(kind):
    first, second = make(kind), make(kind)
    x, state, dh = run(first)
    gradients = first.backward(x, state, dh)
    SGD(0.1).step(first.parameters(), gradients)
    SGD(0.1).step(second.parameters(), {name: getattr(gradients, name) for name in second.parameters()})
    for a, b in zip(first.parameters().values(), second.parameters().values(), strict=True):
        np.testing.assert_array_equal(a, b)


# What readers really pass in.


@every_kind
def test_arrays_on_disk_are_arrays(kind, tmp_path):
    network = make(kind)
    x, state, dh = run(network)
    expected = network.backward(x, state, dh)

    def on_disk(name, array, mode="r"):
        np.save(tmp_path / f"{name}.npy", array)
        return np.load(tmp_path / f"{name}.npy", mmap_mode=mode)

    other = kind(**{name: on_disk(name, w, "r+") for name, w in network.parameters().items()})
    x_disk = on_disk("x", x)
    got = other.backward(x_disk, other.forward(x_disk), on_disk("dh", dh))
    for name, gradient in vars(expected).items():
        np.testing.assert_array_equal(getattr(got, name), gradient)
    SGD(0.1).step(other.parameters(), got)
    other.W_h.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "W_h.npy"), network.W_h - 0.1 * expected.W_h)
    with pytest.raises(ValueError, match=r"^parameters\['W_x'\] must be writeable"):
        SGD(0.1).step({"W_x": on_disk("W_x", network.W_x)}, {"W_x": expected.W_x})


class Tagged(np.ndarray):
    """A subclass as in NumPy's manual, which carries something along and computes as an array does."""

    def __array_finalize__(self, other):
        self.tag = getattr(other, "tag", None)


@every_kind
def test_subclasses_that_behave_are_arrays(kind):
    network = make(kind)
    x, state, dh = run(network)
    tagged = lambda a: a.view(Tagged)  # noqa: E731
    other = kind(**{name: tagged(w) for name, w in network.parameters().items()})
    got = other.backward(tagged(x), other.forward(tagged(x)), tagged(dh))
    for name, gradient in vars(network.backward(x, state, dh)).items():
        np.testing.assert_array_equal(getattr(got, name), gradient)


def own_ufunc(self, *inputs, **options):
    return NotImplemented


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (np.matrix, "__mul__"),
        (np.ma.MaskedArray, "__add__"),
        (type("Quantity", (np.ndarray,), {"__array_ufunc__": own_ufunc}), "__array_ufunc__"),
    ],
)
def test_subclasses_that_compute_otherwise_are_refused_with_the_reason(kind, method):
    value = np.zeros((4, 3)).view(kind)
    with pytest.raises(TypeError) as error:
        RNN(value, np.zeros((4, 4)), np.zeros(4))
    reason = f"which computes in its own way, by its {method}"
    assert str(error.value) == f"W_x must be a numpy.ndarray, got {kind.__name__}, {reason}"


def test_half_precision_is_refused_with_the_reason_and_what_to_do():
    message = r"got float16: too few digits and too short a range .* convert it with .astype\('float32'\)$"
    with pytest.raises(TypeError, match=message):
        RNN(np.zeros((4, 3), np.float16), np.zeros((4, 4)), np.zeros(4))


def test_bfloat16_is_refused_with_the_reason_and_what_to_do():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    with pytest.raises(TypeError, match=r"got bfloat16: too few digits .*'float32'\)$"):
        RNN(np.zeros((4, 3), ml_dtypes.bfloat16), np.zeros((4, 4)), np.zeros(4))


@every_dtype
def test_swapped_bytes_are_named_and_the_advice_works(dtype):
    swapped = np.ones((4, 3)).astype(np.dtype(dtype).newbyteorder())
    name = np.dtype(dtype).name
    with pytest.raises(
        TypeError, match=rf"float64, got [<>]f\d: its byte order .* with .astype\('{name}'\)$"
    ):
        RNN(swapped, np.zeros((4, 4), dtype), np.zeros(4, dtype))
    rnn = RNN(swapped.astype(name), np.zeros((4, 4), dtype), np.zeros(4, dtype))
    for other in (np.float16, np.dtype(np.float32).newbyteorder(), np.dtype(np.float64).newbyteorder()):
        with pytest.raises(TypeError, match=rf"^x must have .* convert it with .astype\('{name}'\)$"):
            rnn.forward(np.ones((2, 1, 3), other))


@pytest.mark.parametrize(("kind", "given_kind"), [*permutations(KINDS, 2)])
@pytest.mark.parametrize("H", [1, 2, 4, 5, 12])
def test_weights_of_another_kind_are_called_so(kind, given_kind, H):
    rows = KINDS[given_kind] * H
    arrays = [np.zeros((rows, 3)), np.zeros((rows, H)), np.zeros(rows)] + [np.zeros(H)] * (kind is GRU)
    article = {RNN: "an RNN", LSTM: "an LSTM", GRU: "a GRU"}
    with pytest.raises(ValueError) as error:
        kind(*arrays)
    message = str(error.value)
    assert message.startswith("W_h must have shape (")
    assert f"for {article[kind]}, and this is one of {article[given_kind]}, got ({rows}, {H})" in message


def test_rows_that_the_units_do_not_divide_are_no_gates():
    with pytest.raises(ValueError, match=r"^W_h must have shape \(7, 7\), got \(7, 2\)$"):
        RNN(np.zeros((7, 3)), np.zeros((7, 2)), np.zeros(7))


TOO_LONG = 10**5000  # Python writes no integer of more than 4,300 digits


@pytest.mark.parametrize(
    "refuse",
    [
        lambda: SGD(TOO_LONG),
        lambda: SGD(0.1, momentum=TOO_LONG),
        lambda: Adam((TOO_LONG,)),
        lambda: clip_by_norm({"w": np.ones(1)}, -TOO_LONG),
        lambda: adding(-TOO_LONG, 1, np.random.default_rng(0)),
        lambda: adding(2, {TOO_LONG}, np.random.default_rng(0)),
        lambda: adding(2, 1, np.random.default_rng(0), dtype=TOO_LONG),
        lambda: replace(adding, measure=TOO_LONG),
        lambda: replace(adding, loss=TOO_LONG),
        lambda: make(RNN, activation=TOO_LONG),
        lambda: random_normal((1, -TOO_LONG), np.random.default_rng(0)),
        lambda: random_normal(
            100, np.random.default_rng(0), std=Fraction(2 * 10**38 * TOO_LONG + 1, TOO_LONG), dtype=np.float32
        ),
        lambda: framework_default("keras", 1, 1, np.random.default_rng(0), gates=TOO_LONG),
        lambda: framework_default("keras", 1, 1, np.random.default_rng(0), gates=[TOO_LONG]),
        lambda: classify([TOO_LONG]),
        lambda: table({"a": TOO_LONG}, [(1,)]),
        lambda: table({"a": ""}, [(TOO_LONG, 2)]),
        lambda: fit(TOO_LONG, *own(adding)[1:], adding, SGD(0.1), np.random.default_rng(0), length=2),
        *(
            lambda option=option: fit(
                *own(adding), adding, SGD(0.1), np.random.default_rng(0), length=2, **{option: TOO_LONG}
            )
            for option in ("clip_with", "progress", "solved", "window")
        ),
    ],
)
def test_a_number_too_long_to_show_is_refused_in_our_own_words(refuse):
    with pytest.raises(
        (TypeError, ValueError), match=r"must .*(int|set|dict|tuple|list|Fraction) too long to show"
    ):
        refuse()


# Near the end of the range.


@every_dtype
@pytest.mark.parametrize("T", [1, 2**14, 2**14 + 1])
def test_long_inputs_are_checked_as_short_ones(dtype, T):
    """Of a large array the sum of squares is tried first, which overflows for large numbers."""
    network, x = RNN(*(np.zeros(shape, dtype) for shape in [(1, 1), (1, 1), 1])), np.zeros((T, 1, 1), dtype)
    x[:] = np.finfo(dtype).max
    assert not network.forward(x).any()
    assert not network.forward(x[::-1]).any()
    for value in (np.nan, np.inf, -np.inf):
        x[-1] = value
        with pytest.raises(ValueError) as error:
            network.forward(x)
        assert str(error.value) == f"x must be finite, got {value} at index ({T - 1}, 0, 0)"


@every_kind
@every_dtype
def test_what_overflows_is_refused_by_name(kind, dtype):
    options = {"activation": "identity"} if kind is RNN else {}
    network, largest = make(kind, dtype=dtype, **options), np.finfo(dtype).max
    x, state, dh = run(network)
    with pytest.raises(ValueError, match=r"^(W_x|W_h|b|x|h0) overflows float(32|64): got "):
        network.backward(x, state, np.sign(dh) * largest)
    huge = make(kind, dtype=dtype, **options)
    huge.W_h[:] = largest / 2 * np.sign(huge.W_h)
    if kind is RNN:
        with pytest.raises(ValueError, match=r"^h overflows float"):
            huge.forward(x)
        with pytest.raises(ValueError, match=r"^product overflows float"):
            huge.jacobian_product(state, 0, 5)


@every_kind
@every_dtype
def test_saturation_by_the_largest_numbers_is_right(kind, dtype):
    """One input of the largest size: every gate is open or shut, and no sum is NaN."""
    network, largest = make(kind, dtype=dtype), np.finfo(dtype).max
    x = np.zeros((3, 1, 3), dtype)
    x[:, 0, 0] = largest
    network.W_x[:] = np.sign(network.W_x)
    h, half = network.hidden(network.forward(x)), network.hidden(network.forward(x / 1e4))
    np.testing.assert_array_equal(h, half)


SIZES = re.escape("abs(W_x x) + abs(W_h h) + abs(b)")


@pytest.mark.parametrize("kind, options", EVERY_ACTIVATION)
@every_dtype
def test_a_sum_beyond_the_range_before_an_activation_is_refused(kind, options, dtype):
    """W_x x = -4/3, W_h h = 1 and b = 1 of the largest: 2/3 in all, but W_x x alone is minus infinity."""
    network, largest = make(kind, I=1, H=1, dtype=dtype, **options), np.finfo(dtype).max
    network.W_x[:], network.W_h[:], network.b[:] = -2 * (largest / 3), largest, largest
    two, one = np.full((1, 1, 1), 2, dtype), np.ones((1, 1), dtype)
    with pytest.raises(
        ValueError,
        match=r"^(abs\(W_x x\) . abs\(W_h h\) . abs\(b\)|h) overflows float(32|64): got -?(inf|nan) at",
    ):
        network.forward(two, h0=one)
    large = dtype(largest**0.5 * 4)  # each square alone overflows, and no sum does
    network.W_x[:], network.W_h[:], network.b[:] = large, 0, 0
    h = network.hidden(network.forward(two, h0=one))[1]
    network.W_x[:] = 1e4
    np.testing.assert_array_equal(h > 0, network.hidden(network.forward(two, h0=one))[1] > 0)


@pytest.mark.parametrize("kind, options", EVERY_ACTIVATION)
@pytest.mark.parametrize("others", [("b",), ("W_h",)], ids=str)
@every_dtype
def test_a_sum_of_two_large_terms_is_refused(kind, options, others, dtype):
    """Each is 0.7 of the largest, and W_h h is it after a step; tanh and sigmoid would make 1 of the sum."""
    network, largest = make(kind, I=1, H=1, dtype=dtype, **options), np.finfo(dtype).max
    for name, array in network.parameters().items():
        array[:] = 0.7 * largest if name in ("W_x", *others) else 0
    x, h0 = np.ones((2, 1, 1), dtype), np.full((1, 1), kind is GRU, dtype)  # which keeps a state of 0
    with pytest.raises(ValueError, match=rf"^({SIZES}|h) overflows float(32|64)"):
        network.forward(x, h0=h0)
    network.W_x[:] *= dtype(0.1)
    if options.get("activation") not in ("relu", "identity"):  # whose second state is beyond the largest
        network.forward(x, h0=h0)


@pytest.mark.parametrize("kind, options", EVERY_ACTIVATION)
@pytest.mark.parametrize("window", [None, 1, 2])
@pytest.mark.parametrize("every_step", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_entry_that_is_not_finite_is_named_wherever_it_stands(kind, options, window, every_step, value):
    network = make(kind, I=2, H=2, **options)
    network.W_h[0] = 0.0  # and no zero hides it
    x, dh = np.zeros((3, 2, 2)), np.zeros((3, 2, 2) if every_step else (2, 2))
    state = network.forward(x)
    of_the_state = {"h": state} if kind is RNN else {f"state.{name}": a for name, a in vars(state).items()}
    for name, array in (network.parameters() | {"x": x, "dh": dh} | of_the_state).items():
        for index in np.ndindex(array.shape):
            right, array[index] = array[index], value
            match = rf"^{name} must be finite, got {value} at index \({', '.join(map(str, index))},?\)$"
            if name in ("x", *network.parameters()):
                with pytest.raises(ValueError, match=match):
                    network.forward(x)
            with pytest.raises(ValueError, match=match):
                network.backward(x, state, dh, window=window)
            array[index] = right
    network.backward(x, network.forward(x), dh, window=window)


@every_dtype
def test_a_readout_that_overflows_is_refused(dtype):
    readout, h = (
        Readout(np.full((1, 2), np.finfo(dtype).max, dtype), np.zeros(1, dtype)),
        np.ones((3, 2), dtype),
    )
    with pytest.raises(ValueError, match=r"^y_hat overflows float"):
        readout.forward(h)
    with pytest.raises(ValueError, match=r"^h overflows float"):
        readout.backward(h, np.full((3, 1), 2, dtype))


@every_dtype
@pytest.mark.parametrize("learning_rate", [1e-3, 1.0])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.0), (0.5, 0.9), (0.99, 0.9999)])
def test_adam_at_the_largest_float_takes_steps_of_the_learning_rate(dtype, learning_rate, betas):
    largest = np.finfo(dtype).max
    w, optimizer = np.zeros(2, dtype), Adam(learning_rate, *betas)
    optimizer.step({"w": w}, {"w": np.array([largest, -largest])})
    np.testing.assert_allclose(w, [-learning_rate, learning_rate], rtol=1e-5)
    optimizer.step({"w": w}, {"w": np.array([1.0, 1.0], dtype)})
    assert np.isfinite(w).all()


@pytest.mark.parametrize("make", [lambda: SGD(10.0), lambda: SGD(1.0, momentum=0.9)], ids=["SGD", "momentum"])
@every_dtype
def test_a_step_beyond_the_largest_float_is_refused_and_changes_nothing(make, dtype):
    largest, optimizer = np.finfo(dtype).max, make()
    parameters = {"a": np.ones(1, dtype), "b": np.full(1, -largest, dtype)}
    gradients = {"a": np.ones(1, dtype), "b": np.full(1, largest, dtype)}
    with pytest.raises(ValueError, match=r"^the step of parameters\['b'\] overflows float"):
        optimizer.step(parameters, gradients)
    assert parameters["a"][0] == 1
    optimizer.step(parameters, {name: np.zeros(1, dtype) for name in gradients})  # nothing is remembered
    assert parameters["a"][0] == 1


@every_dtype
def test_losses_near_the_end_of_the_range(dtype):
    largest = np.finfo(dtype).max
    big = largest / 2
    loss, dy = (
        mean_squared_error(np.full(4, big, dtype), np.zeros(4, dtype)) if dtype is np.float32 else (0, 0)
    )
    if dtype is np.float32:
        assert loss == pytest.approx(float(big) ** 2, rel=1e-6)
        np.testing.assert_allclose(dy, big / 2, rtol=1e-6)
    with pytest.raises(ValueError, match=rf"^y_hat - target overflows {np.dtype(dtype).name}: got inf at"):
        mean_squared_error(np.full(4, largest, dtype), np.full(4, -largest, dtype))

    with pytest.raises(
        ValueError, match=r"^loss overflows float64" if dtype is np.float64 else r"^dy overflows"
    ):
        mean_squared_error(np.array([largest]), np.zeros(1, dtype))

    y_hat = np.array([[big, -big], [-big, big]], dtype)
    loss, dy = cross_entropy(y_hat, np.array([0, 1]))
    assert loss == 0
    assert not dy.any()
    loss, dy = cross_entropy(y_hat, np.array([1, 1]))
    assert loss == pytest.approx(float(big), rel=1e-6)
    np.testing.assert_array_equal(dy, [[0.5, -0.5], [0, 0]])
    extremes = np.array([[largest, -largest]], dtype)
    if dtype is np.float32:
        assert cross_entropy(extremes, np.array([1]))[0] == pytest.approx(2 * float(largest), rel=1e-6)
    else:
        with pytest.raises(ValueError, match=r"^loss overflows float64"):
            cross_entropy(extremes, np.array([1]))
    assert cross_entropy(extremes, np.array([0]))[0] == 0


@every_kind
def test_central_differences_of_one_unit_one_step_one_sequence(kind):
    network = make(kind, I=1, H=1)
    x = np.full((1, 1, 1), 0.3)
    loss = lambda x: network.hidden(network.forward(x))[-1].sum()  # noqa: E731
    got = network.backward(x, network.forward(x), np.ones((1, 1))).x
    assert_close(got, central_differences(loss, x, 1e-3).reshape(1, 1, 1), rtol=1e-8)
