"""The recipes, as they stand on their page: run with PyTorch, Keras and JAX, compared with the package."""

import ast
import contextlib
import copy
import functools
import io
import os
import re
import subprocess
import sys
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
from numerics import assert_close
from pages import ROOT, cells

import rnn_notes
from rnn_notes import LSTM, RNN, clip_by_norm, global_norm, random_orthogonal, spectral_norm, spectral_radius

PAGE = ROOT / "docs" / "recipes.md"
FENCE = r"```\{code-block\} python\n"
KINDS = ("RNN", "LSTM", "GRU")
every_kind = pytest.mark.parametrize("kind", KINDS)
every_seed = pytest.mark.parametrize("seed", range(3))
every_keras_seed = pytest.mark.parametrize("seed", [3])  # it compiles each layer anew, for seconds


@functools.cache
def sections():
    """Return the blocks of Python that are not run in the build, by the label of their heading."""
    found, label = {}, ""
    parts = re.split(rf"^(\([\w-]+\)=\n|{FENCE}.*?^```\n)", PAGE.read_text("utf-8"), flags=re.M | re.S)
    for part in parts:
        if part.startswith("```"):
            found.setdefault(label, []).append(part.split("\n", 1)[1].removesuffix("```\n"))
        elif re.fullmatch(r"\([\w-]+\)=\n", part):
            label = part[1:-3]
    return found


def recipe(label, **given):
    """Run a section's blocks: functions each by themselves, then lines that use them, with what is given."""
    names = {}
    for block in sections()[label]:
        tree = ast.parse(block)
        alone = any(isinstance(node, ast.FunctionDef) for node in tree.body)
        code = compile(tree, label, "exec")
        if alone:
            own = {}
            exec(code, own)
            names |= own
        elif given:
            names |= given
            exec(code, names)
    return SimpleNamespace(**{name: thing for name, thing in names.items() if name != "__builtins__"})


def page_function(name):
    """Return a function that a cell of the page defines."""
    (source,) = (cell.source for cell in cells(PAGE) if f"def {name}(" in cell.source)
    namespace = {"np": np, "RNN": RNN}
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    exec(compile(tree, name, "exec"), namespace)
    return namespace[name]


# The recipes as text.


def test_every_block_is_run():
    """Every section with blocks has a test, and lines that only use functions are run somewhere, too."""
    source = ast.parse((ROOT / "tests" / "test_recipes.py").read_text("utf-8"))
    plain, used = set(), set()
    for test in source.body:
        if isinstance(test, ast.FunctionDef) and re.match("test_(pytorch|keras|jax)", test.name):
            for node in ast.walk(test):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "recipe":
                    (used if node.keywords else plain).add(node.args[0].value)
    with_lines = {
        label
        for label, blocks in sections().items()
        if any(not any(isinstance(n, ast.FunctionDef) for n in ast.parse(b).body) for b in blocks)
    }
    assert plain | used == set(sections())
    assert used == with_lines


def test_functions_are_short():
    """At most 20 lines; no blank line inside, so that they paste at a prompt; no line is cut on the site."""
    count = 0
    for block in (block for blocks in sections().values() for block in blocks):
        for node in ast.parse(block).body:
            if isinstance(node, ast.FunctionDef):
                lines = block.splitlines()[node.lineno - 1 : node.end_lineno]
                assert len(lines) <= 20, node.name
                docstring = (ast.get_docstring(node, clean=False) or "").splitlines()
                assert lines.count("") == docstring.count(""), node.name
                count += 1
        assert max(map(len, block.splitlines())) <= 84
    assert count >= 25


def test_blocks_import_what_they_use():
    """Each by itself, so that it can be copied alone."""
    modules = {"np", "torch", "jax", "jnp", "keras", "re", "functools", "PackedSequence", "deque"}
    for block in (block for blocks in sections().values() for block in blocks):
        nodes = list(ast.walk(ast.parse(block)))
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        bound = {alias.asname or alias.name for node in imports for alias in node.names}
        assert modules & used <= bound


def test_the_table_leads_to_every_recipe():
    text = PAGE.read_text("utf-8")
    table = text[: text.index("(from-pytorch)=")]
    assert set(re.findall(r"\]\(#([\w-]+)\)", table)) == {*sections(), "one-output", "jax", "five-functions"}


def test_versions_are_those_of_the_tests():
    text, script = PAGE.read_text("utf-8"), (ROOT / ".ci" / "run").read_text("utf-8")
    for words, package in (("PyTorch", "torch"), ("Keras", "keras"), ("JAX", "jax")):
        (version,) = set(re.findall(rf"{words} (\d+\.\d+\.\d+)", text))
        assert f"{package}=={version}" in script


# Five functions in plain NumPy, each in a cell that runs alone.


@functools.cache
def five():
    """Return the names that each of the cells defines when it is run by itself."""
    section = PAGE.read_text("utf-8").partition("(five-functions)=")[2].partition("\n## What goes")[0]
    found = re.findall(r"^\(take-[\w-]+\)=\n### .*?^```\{code-cell\}\n(.*?)^```$", section, re.M | re.S)
    names = {}
    for code in found:
        own = {}
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code, own)
        assert out.getvalue().strip()
        tree = ast.parse(code)
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert list(map(ast.unparse, imports)) == ["import numpy as np"]
        function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
        assert function.end_lineno - function.lineno < 20
        names[function.name] = own[function.name]
    return names


def test_five_functions_run_alone():
    assert list(five()) == ["clip_by_norm", "orthogonal", "forget_bias", "gradient_by_step", "bptt"]


@pytest.mark.parametrize("size", [1e-200, 0.0, 1e-3, 1.0, 1e3, 1e200])
@every_seed
def test_numpy_clip(size, seed):
    rng = np.random.default_rng(seed)
    gradients = [size * rng.normal(size=shape) for shape in ((3, 4), (5,), (2, 1, 2))]
    before = copy.deepcopy(gradients)
    for threshold in (0.5, 1e210):
        clipped, norm = five()["clip_by_norm"]((g for g in gradients), threshold)  # can be read once only
        expected, expected_norm = clip_by_norm(gradients, threshold)
        assert norm == pytest.approx(expected_norm, rel=1e-12, abs=0)
        for ours, theirs, g, was in zip(clipped, expected, gradients, before, strict=True):
            assert_close(ours, theirs, rtol=1e-12)
            assert ours is not g
            np.testing.assert_array_equal(g, was)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_numpy_clip_says_what_is_not_finite(wrong, place):
    gradients = [np.ones(2), np.ones(3)]
    gradients[place][0] = wrong
    with pytest.raises(FloatingPointError, match="not finite"):
        five()["clip_by_norm"](gradients, 1.0)


@every_seed
def test_numpy_orthogonal(seed):
    ours = five()["orthogonal"](7, np.random.default_rng(seed), gain=1.5)
    assert_close(ours, 1.5 * random_orthogonal(7, np.random.default_rng(seed)), rtol=1e-12)


@pytest.mark.parametrize("steps", [1.5, 2, 100, [2, 10, 1e6]])
def test_numpy_forget_bias(steps):
    """A gate that sees no input keeps the cell for so many steps: the sum of its powers."""
    H, before = 3, np.arange(12.0)
    b = five()["forget_bias"](before, steps)
    lstm = LSTM(np.zeros((12, 1)), np.zeros((12, H)), b)
    forget = lstm.forward(np.zeros((1, 1, 1))).f[0, 0]
    assert_close(1 / (1 - forget), np.broadcast_to(np.asarray(steps, float), H), rtol=1e-9)
    assert_close(forget, 1 - 1 / np.broadcast_to(np.asarray(steps, float), H), rtol=1e-12)
    rest = np.delete(np.arange(12), slice(H, 2 * H))
    np.testing.assert_array_equal(b[rest], before[rest])
    np.testing.assert_array_equal(before, np.arange(12.0))


@every_seed
def test_numpy_gradient_by_step(seed):
    rng = np.random.default_rng(seed)
    T, B, inputs, H = 12, 3, 2, 5
    rnn = RNN(rng.normal(size=(H, inputs)), rng.normal(size=(H, H)) / np.sqrt(H), rng.normal(size=H))
    x, dh = rng.normal(size=(T, B, inputs)), rng.normal(size=(T, B, H))
    h = rnn.forward(x, h0=rng.normal(size=(B, H)))
    expected = [
        np.linalg.norm(rnn.backward(x[t:], h[t:], dh[t:]).h0 + (dh[t - 1] if t else 0)) for t in range(T)
    ]
    ours = five()["gradient_by_step"](rnn.W_h, h, dh)
    assert_close(ours, np.array([*expected, np.linalg.norm(dh[-1])]), rtol=1e-12)


@every_seed
def test_numpy_bptt(seed):
    rng = np.random.default_rng(seed)
    T, B, inputs, H = 12, 3, 2, 5
    W_x, W_h, b = rng.normal(size=(H, inputs)), rng.normal(size=(H, H)) / np.sqrt(H), rng.normal(size=H)
    x, target = rng.normal(size=(T, B, inputs)), rng.normal(size=(T, B, H))
    seen = []

    def loss(h):
        seen.append(h)
        return 0.5 * np.sum((h - target) ** 2), h - target

    value, gradients = five()["bptt"](W_x, W_h, b, x, loss)
    rnn = RNN(W_x, W_h, b)
    h = rnn.forward(x)
    assert_close(seen[0], h[1:], rtol=1e-12)
    assert value == pytest.approx(0.5 * np.sum((h[1:] - target) ** 2), rel=1e-12)
    expected = rnn.backward(x, h, dh=h[1:] - target)
    for ours, name in zip(gradients, ("W_x", "W_h", "b"), strict=True):
        assert_close(ours, getattr(expected, name), rtol=1e-12)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-30, 1e200])
def test_numpy_gradient_by_step_of_a_gradient_whose_square_is_no_number(size):
    """A vanishing gradient that is read as 0 would be a wrong measurement, in float32 as well."""
    rng = np.random.default_rng(0)
    h, dh = np.zeros((3, 1, 2)), size * rng.normal(size=(2, 1, 2))
    if 1e-40 < size < 1e40:
        h, dh = h.astype(np.float32), dh.astype(np.float32)
    ours = five()["gradient_by_step"](np.eye(2), h, dh)
    expected = [global_norm(dh.astype(float).sum(axis=0)), global_norm(dh.astype(float).sum(axis=0))]
    assert_close(ours, np.array([*expected, global_norm(dh[1].astype(float))]), rtol=1e-12)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_numpy_gradients_that_are_not_finite_are_seen(wrong):
    dh = np.zeros((2, 1, 2))
    dh[1, 0, 0] = wrong
    with np.errstate(invalid="ignore"):
        norms = five()["gradient_by_step"](np.eye(2), np.zeros((3, 1, 2)), dh)
    assert norms[2] == wrong or np.isnan(norms[2])
    assert not np.isfinite(norms).any()
    weights = np.eye(2), np.eye(2), np.zeros(2)
    with np.errstate(invalid="ignore"):
        _, gradients = five()["bptt"](*weights, np.ones((2, 1, 2)), lambda h: (0.0, dh))
    assert not any(np.isfinite(gradient).all() for gradient in gradients)


def test_numpy_without_steps_or_with_one_unit():
    """The ends: T = 0, and 1 x 1."""
    np.testing.assert_array_equal(
        five()["gradient_by_step"](np.eye(2), np.zeros((1, 3, 2)), np.zeros((0, 3, 2))), [0.0]
    )
    one = np.full((1, 1), 0.5)
    assert five()["gradient_by_step"](one, np.zeros((3, 1, 1)), np.ones((2, 1, 1))).tolist() == [0.75, 1.5, 1]
    _, (dW_x, dW_h, db) = five()["bptt"](one, one, np.zeros(1), np.ones((0, 1, 1)), lambda h: (0.0, h))
    assert dW_x.shape == dW_h.shape == (1, 1)
    assert not dW_x.any() and not dW_h.any() and not db.any()
    assert abs(five()["orthogonal"](1, np.random.default_rng(0))) == 1
    assert five()["clip_by_norm"]([np.zeros((2, 2))], 1.0)[1] == 0


def test_numpy_functions_keep_single_precision_and_cast_no_number_away():
    (clipped,), norm = five()["clip_by_norm"]([np.full(70_000, 100, np.float16)], 1.0)
    assert clipped.dtype == np.float16 and np.isfinite(norm) and clipped.any()
    (clipped,), _ = five()["clip_by_norm"]([np.full(4, 3, np.float32)], 1.0)
    assert clipped.dtype == np.float32
    assert five()["forget_bias"](np.zeros(8, np.float32), 5).dtype == np.float32
    assert_close(five()["forget_bias"](np.zeros(4, int), 5)[1], np.log(4.0), rtol=1e-12)


def bptt_of(*changed):
    """Return a call of `bptt` with I = 2, H = 3 and B = 3, in which some shapes are changed."""
    shapes = {"W_x": (3, 2), "W_h": (3, 3), "b": (3,), "x": (4, 3, 2), "dh": (4, 3, 3)} | dict(changed)
    *arrays, dh = map(np.ones, shapes.values())
    return lambda: five()["bptt"](*arrays, lambda h: (0.0, dh))


def by_step_of(*changed):
    shapes = {"W_h": (3, 3), "h": (5, 3, 3), "dh": (4, 3, 3)} | dict(changed)
    return lambda: five()["gradient_by_step"](*map(np.zeros, shapes.values()))


@pytest.mark.parametrize(
    "call",
    [
        *[lambda t=t: five()["clip_by_norm"]([np.ones(2)], t) for t in (0.0, -1.0, np.nan)],
        lambda: five()["clip_by_norm"]([], 1.0),
        *[lambda s=s: five()["forget_bias"](np.zeros(8), s) for s in (1, 0.5, np.nan, np.inf, [2, 3, 4])],
        *[lambda b=b: five()["forget_bias"](np.zeros(b), 5) for b in (7, (1, 8), (8, 1), (8, 2))],
        *map(by_step_of, [("W_h", (3, 1)), ("W_h", (4, 4)), ("h", (4, 3, 3)), ("h", (6, 3, 3))]),
        *map(by_step_of, [("dh", (4, 1, 3)), ("dh", (4, 3)), ("dh", (4, 3, 1))]),
        by_step_of(("h", (5, 3)), ("dh", (4, 3))),
        *map(bptt_of, [("W_x", (3, 1)), ("W_x", (1, 2)), ("W_h", (3, 1)), ("b", (1,)), ("b", (3, 1))]),
        *map(
            bptt_of, [("x", (4, 2)), ("x", (4, 3, 1)), ("dh", (3, 3)), ("dh", (4, 1, 3)), ("dh", (1, 3, 3))]
        ),
    ],
)
def test_numpy_functions_refuse_what_they_would_get_wrong(call):
    """No wrong shape is broadcast, and no threshold turns the gradient round."""
    with pytest.raises(ValueError, match=r"\w"):
        call()


@pytest.mark.parametrize("call", [by_step_of(), bptt_of()])
def test_numpy_functions_take_what_fits(call):
    assert call() is not None


# What all frameworks are compared with.


def weights(kind, inputs, H, rng):
    """Return a network of the package with random weights."""
    k = {"RNN": 1, "LSTM": 4, "GRU": 3}[kind]
    arrays = [rng.normal(size=(k * H, n)) / np.sqrt(n) for n in (inputs, H)] + [rng.normal(size=k * H)]
    if kind == "GRU":
        arrays.append(rng.normal(size=H))
    return getattr(rnn_notes, kind)(*arrays)


def later(state, t):
    """Return what `forward` computed, from step t on."""
    if isinstance(state, np.ndarray):
        return state[t:]
    parts = {name: array[t:] for name, array in vars(state).items()}
    return type(state)(**parts)


def total_gradients(network, x, state, dh, dc=None):
    """Return the gradients for (h, c) or (h,) of every step, along all paths, from `backward` alone."""
    last = {"dc": dc} if dc is not None else {}
    parts = {"h": dh.copy()}
    if isinstance(network, LSTM):
        parts["c"] = np.zeros_like(dh)
        parts["c"][-1] = 0 if dc is None else dc
    for t in range(1, len(x)):
        gradients = network.backward(x[t:], later(state, t), dh[t:], **last)
        for name, total in parts.items():
            total[t - 1] += getattr(gradients, name + "0")
    return parts


def norms(gradients):
    return np.sqrt((gradients**2).sum(axis=(1, 2)))


# PyTorch.


def import_torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


def module(torch, kind, *sizes, **options):
    return getattr(torch.nn, kind)(*sizes, dtype=torch.float64, **options)


def backward_of_layers(networks, x, dh, directions):
    """Return the total gradients of the states by PyTorch's names, and the gradient for x."""
    inputs, runs = x, []
    for first in range(0, len(networks), directions):
        runs.append([])
        outputs = []
        for way, network in enumerate(networks[first : first + directions]):
            turned = np.ascontiguousarray(inputs[::-1] if way else inputs)
            state = network.forward(turned)
            h = network.hidden(state)[1:]
            outputs.append(h[::-1] if way else h)
            runs[-1].append((network, turned, state))
        inputs = np.concatenate(outputs, axis=-1)
    found = {}
    for layer in reversed(range(len(runs))):
        below = 0
        for way, (network, turned, state) in enumerate(runs[layer]):
            part = np.split(dh, directions, axis=-1)[way]
            part = np.ascontiguousarray(part[::-1] if way else part)
            for name, total in total_gradients(network, turned, state, part).items():
                found[f"{name}_l{layer}" + "_reverse" * way] = total[::-1] if way else total
            dx = network.backward(turned, state, part).x
            below = below + (dx[::-1] if way else dx)
        dh = below
    return found, dh


@every_seed
@pytest.mark.parametrize("batch_first", [False, True], ids=["time first", "batch first"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@every_kind
def test_pytorch_gradient_by_step(kind, bidirectional, batch_first, seed):
    torch = import_torch()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = torch.nn.Module()
    options = {"bidirectional": bidirectional, "batch_first": batch_first, "bias": seed > 0}
    model.rnn = module(torch, kind, 3, 4, 3, **options)
    model.forward = lambda x: model.rnn(x)[0]
    T, B = 7, 5
    x, dh = rng.normal(size=(T, B, 3)), rng.normal(size=(T, B, 4 * (1 + bidirectional)))
    axes = (1, 0, 2) if batch_first else (0, 1, 2)
    x_torch, dh_torch = (torch.tensor(np.transpose(a, axes)) for a in (x, dh))
    networks = recipe("torch-weights").from_pytorch(model.rnn)
    expected, dx = backward_of_layers(networks, x, dh, 1 + bidirectional)

    given = {"model": model, "loss_of": lambda output, y: (output * y).sum(), "x": x_torch, "y": dh_torch}
    done = recipe("torch-gradients", **given)
    assert done.norms.keys() == expected.keys()
    assert vars(model.rnn).keys() & {"forward", "kept"} == set()
    done.watch(model.rnn)
    (model(x_torch) * dh_torch).sum().backward()
    for name, states in model.rnn.kept.items():
        grads = [np.zeros((B, 4)) if s.grad is None else s.grad.numpy() for s in states]
        assert_close(np.stack(grads), expected[name], 1e-10, name=name)
        assert_close(np.array(done.norms[name]), norms(expected[name]), 1e-10)
    del model.rnn.forward
    done = recipe("torch-inputs", **given)
    assert_close(np.transpose(done.norms.numpy(), axes[:2]), np.linalg.norm(dx, axis=-1), 1e-10)
    assert not model.rnn._forward_pre_hooks
    assert not x_torch.requires_grad and x_torch.grad is None


@every_seed
@pytest.mark.parametrize("enforce_sorted", [False, True], ids=["any order", "sorted"])
@every_kind
def test_pytorch_gradient_by_step_of_packed_sequences(kind, enforce_sorted, seed):
    """Each sequence by itself, at its own length, by the package; the loss sees outputs and last states."""
    torch = import_torch()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    rnn = module(torch, kind, 3, 4, 2, bidirectional=True)
    lengths = rng.integers(1, 8, size=6)
    lengths = -np.sort(-lengths) if enforce_sorted else lengths
    T, B = max(lengths), len(lengths)
    x, dh, dh_end = rng.normal(size=(T, B, 3)), rng.normal(size=(T, B, 8)), rng.normal(size=(2, B, 4))
    pack = functools.partial(
        torch.nn.utils.rnn.pack_padded_sequence,
        lengths=torch.from_numpy(lengths),
        enforce_sorted=enforce_sorted,
    )
    packed = pack(torch.from_numpy(x))

    def loss(watched=False):
        rnn.zero_grad()
        output, ends = rnn(packed)
        h_n = ends[0] if kind == "LSTM" else ends
        value = (output.data * pack(torch.from_numpy(dh)).data).sum()
        value = value + (h_n[-2:] * torch.from_numpy(dh_end)).sum()
        value.backward()
        return value.item(), output, h_n

    hook = recipe("torch-inputs").watch_input(rnn)
    fast, output, h_n = loss()
    hook.remove()
    dx = rnn.seen.grad.clone().split(packed.batch_sizes.tolist())
    tools = recipe("torch-gradients")
    tools.watch(rnn)
    slow, stepped, h_n_stepped = loss()
    np.testing.assert_allclose(slow, fast, rtol=1e-12)
    torch.testing.assert_close(stepped, output)
    torch.testing.assert_close(h_n_stepped, h_n)

    networks = recipe("torch-weights").from_pytorch(rnn)
    place = range(B) if enforce_sorted else packed.unsorted_indices.tolist()
    squares = {name: np.zeros(T) for name in rnn.kept}
    for b, n in enumerate(lengths):
        direct = dh[:n, b : b + 1].copy()
        direct[-1, 0, :4] += dh_end[0, b]
        direct[0, 0, 4:] += dh_end[1, b]
        expected, dx_b = backward_of_layers(networks, x[:n, b : b + 1].copy(), direct, 2)
        assert_close(np.stack([dx[t][place[b]].numpy() for t in range(n)]), dx_b[:, 0], 1e-9)
        for name, states in rnn.kept.items():
            squares[name][:n] += norms(expected[name]) ** 2
            grads = [s.grad[place[b]].numpy() for s in states[:n] if s.grad is not None]
            assert_close(np.stack(grads), expected[name][: len(grads), 0], 1e-9) if name[0] == "h" else None
    for name, found in tools.gradient_norms(rnn).items():
        assert_close(np.array(found) ** 2, squares[name], 1e-9)


@every_kind
def test_pytorch_step_by_step_is_the_same_program(kind):
    """Outputs, last states and gradients of parameters, from a given state; without gradients, too."""
    torch = import_torch()
    torch.manual_seed(0)
    rnn = module(torch, kind, 3, 4, 2, bidirectional=True)
    x = torch.randn(6, 5, 3, dtype=torch.float64)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([3, 6, 2, 6, 1]), enforce_sorted=False)
    start = torch.randn(2, 4, 5, 4, dtype=torch.float64)
    start = (start[0], start[1]) if kind == "LSTM" else start[0]

    def results(x):
        rnn.zero_grad()
        output, ends = rnn(x, start)
        ends = ends if kind == "LSTM" else (ends,)
        data = output.data if isinstance(x, torch.nn.utils.rnn.PackedSequence) else output
        ((data**2).sum() + sum((end**3).sum() for end in ends)).backward()
        return [data, *ends, *(p.grad.clone() for p in rnn.parameters())]

    for given in (x, packed):
        fast = results(given)
        recipe("torch-gradients").watch(rnn)
        slow = results(given)
        torch.testing.assert_close(rnn(input=given, hx=start), rnn(given, start))
        with torch.no_grad():
            rnn(given)
        del rnn.forward
        torch.testing.assert_close(slow, fast)


def test_pytorch_retained_gradient_of_the_output_is_the_direct_part():
    torch = import_torch()
    rng = np.random.default_rng(0)
    rnn = module(torch, "RNN", 3, 4)
    x, dh = rng.normal(size=(9, 2, 3)), np.zeros((9, 2, 4))
    dh[-1] = rng.normal(size=(2, 4))
    output, _ = rnn(torch.from_numpy(x))
    output.retain_grad()
    hooked = []
    output.register_hook(lambda gradient: hooked.append(gradient.numpy()))
    (output * torch.from_numpy(dh)).sum().backward()
    np.testing.assert_array_equal(output.grad.numpy(), dh)
    np.testing.assert_array_equal(hooked[0], dh)
    (network,) = recipe("torch-weights").from_pytorch(rnn)
    total = total_gradients(network, x, network.forward(x), dh)["h"]
    assert np.all(norms(total[:-1]) > 0) and np.all(norms(dh[:-1]) == 0)


def test_pytorch_last_output_of_both_directions_has_one_step_of_the_backward_one():
    torch = import_torch()
    rnn = module(torch, "GRU", 3, 4, bidirectional=True)
    tools = recipe("torch-gradients")
    tools.watch(rnn)
    output, _ = rnn(torch.randn(6, 2, 3, dtype=torch.float64))
    output[-1].sum().backward()
    found = tools.gradient_norms(rnn)
    assert all(norm > 0 for norm in found["h_l0"])
    assert found["h_l0_reverse"][:-1] == [0.0] * 5 and found["h_l0_reverse"][-1] > 0


@every_kind
def test_pytorch_gradient_by_step_of_a_frozen_module(kind):
    """No parameter asks for a gradient, and the states have the same one; without autograd none has."""
    torch = import_torch()
    torch.manual_seed(0)
    rnn, tools = module(torch, kind, 3, 4, 2, bidirectional=True), recipe("torch-gradients")
    x, found = torch.randn(6, 2, 3, dtype=torch.float64), []
    for trained in (True, False):
        rnn.requires_grad_(trained)
        tools.watch(rnn)
        (rnn(x)[0] ** 2).sum().backward()
        found.append(tools.gradient_norms(rnn))
    for name, numbers in found[0].items():
        np.testing.assert_allclose(found[1][name], numbers, rtol=1e-12, err_msg=name)
    assert min(found[0]["h_l0"]) > 0
    with torch.no_grad():
        assert not rnn(x)[0].requires_grad


def test_pytorch_mixed_precision_runs_step_by_step():
    torch = import_torch()
    torch.manual_seed(0)
    rnn, tools, found = torch.nn.LSTM(3, 4, 2), recipe("torch-gradients"), []
    x = torch.randn(6, 2, 3)
    tools.watch(rnn)
    for low in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            rnn(x)[0].float().sum().backward()
        found.append(tools.gradient_norms(rnn))
    for name, numbers in found[0].items():
        np.testing.assert_allclose(found[1][name], numbers, rtol=0.05, err_msg=name)


@every_kind
def test_pytorch_own_loop_over_a_cell(kind):
    """The states of a loop of one's own have the gradients that the recipe gives to the module's."""
    torch = import_torch()
    torch.manual_seed(0)
    rnn, tools = module(torch, kind, 3, 4), recipe("torch-gradients")
    cell = getattr(torch.nn, kind + "Cell")(3, 4, dtype=torch.float64)
    cell.load_state_dict({name.removesuffix("_l0"): array for name, array in rnn.state_dict().items()})
    x, dh = torch.randn(2, 6, 2, 4, dtype=torch.float64).split(1)
    x, dh = x[0, ..., :3], dh[0]
    tools.watch(rnn)
    (rnn(x)[0] * dh).sum().backward()
    state, kept = None, []
    for x_t in x:
        if kind == "LSTM":
            h, c = cell(x_t, state)
            c = c.clone()
            c.retain_grad()
            state = h, c
        else:
            state = h = cell(x_t, state)
        h.retain_grad()
        kept.append((h, c) if kind == "LSTM" else (h,))
    sum((h * dh_t).sum() for (h, *_), dh_t in zip(kept, dh, strict=True)).backward()
    for name, states in zip(("h_l0", "c_l0"), zip(*kept, strict=True), strict=False):
        found = [0.0 if s.grad is None else s.grad.norm().item() for s in states]
        np.testing.assert_allclose(found, tools.gradient_norms(rnn)[name], rtol=1e-12)


def test_pytorch_watched_module_is_as_before():
    """It can be copied, its input changed in place, and a learned input keeps what earlier losses gave."""
    torch = import_torch()
    x = torch.randn(5, 2, 3)
    model = torch.nn.Module()
    model.rnn = torch.nn.LSTM(3, 4)
    model.forward = lambda x: model.rnn(x)[0]
    before = vars(model.rnn).keys() | set()
    given = {"model": model, "loss_of": lambda output, y: output.sum(), "x": x, "y": None}
    for watched in (recipe("torch-gradients", **given), recipe("torch-inputs", **given)):
        assert len(watched.norms) and vars(model.rnn).keys() == before
        copy.deepcopy(model.rnn)
        x.mul_(2)
    learned = torch.nn.Parameter(x)
    recipe("torch-inputs").watch_input(model.rnn)
    for times in (1, 2):
        model(learned).sum().backward()
        np.testing.assert_allclose(learned.grad, times * model.rnn.seen.grad, rtol=1e-5)


@pytest.mark.parametrize("case", ["projection", "no batch"])
def test_pytorch_what_does_not_run_step_by_step_raises(case):
    torch = import_torch()
    rnn = torch.nn.LSTM(3, 4, proj_size=2 if case == "projection" else 0)
    recipe("torch-gradients").watch(rnn)
    with pytest.raises((TypeError, RuntimeError, IndexError)):
        rnn(torch.zeros(6, 3) if case == "no batch" else torch.zeros(6, 2, 3))


@every_seed
@every_kind
def test_pytorch_blocks(kind, seed):
    torch = import_torch()
    torch.manual_seed(seed)
    model = torch.nn.ModuleDict({"a": module(torch, kind, 3, 5, 2, bidirectional=True)})
    model["b"] = getattr(torch.nn, kind + "Cell")(3, 4, dtype=torch.float64)
    model["c"] = torch.nn.Linear(3, 3)
    found = recipe("torch-blocks").recurrent_blocks(model)
    expected = {}
    for name, W in model.state_dict().items():
        if "weight_hh" in name:
            for gate, block in zip(
                {"RNN": "h", "GRU": "rzn", "LSTM": "ifgo"}[kind], split(W.numpy()), strict=True
            ):
                expected[f"{name} {gate}"] = spectral_radius(block), spectral_norm(block)
    assert found.keys() == expected.keys()
    assert len(found) == 5 * {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    for name, numbers in expected.items():
        np.testing.assert_allclose(found[name], numbers, rtol=1e-10)


def split(W):
    return np.split(W, len(W) // W.shape[1])


@pytest.mark.parametrize(("H", "size"), [(4, 2), (5, 4), (9, 8), (16, 15)])
def test_pytorch_blocks_with_projection_raise(H, size):
    """Also where the size of the projection goes about four times into the rows."""
    torch = import_torch()
    lstm = torch.nn.LSTM(3, H, proj_size=size)
    with pytest.raises(KeyError):
        recipe("torch-blocks").recurrent_blocks(lstm)
    with pytest.raises(ValueError, match="weight_hh_l0 has a projection"):
        recipe("torch-orthogonal").orthogonal_gates(lstm)


@every_seed
@pytest.mark.parametrize("threshold", [0.5, 1e3])
def test_pytorch_clip(threshold, seed):
    torch = import_torch()
    torch.manual_seed(seed)
    model = module(torch, "LSTM", 3, 4, 2)
    before = {name: p.detach().clone().numpy() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    seen = []
    loss = (model(torch.randn(6, 5, 3, dtype=torch.float64))[0] ** 2).sum()
    gradients = dict(
        zip(before, torch.autograd.grad(loss, list(model.parameters()), retain_graph=True), strict=True)
    )
    gradients = {name: g.numpy() for name, g in gradients.items()}
    recipe("torch-clip").update(model, optimizer, loss, threshold, seen)
    clipped, norm = clip_by_norm(gradients, threshold)
    np.testing.assert_allclose(seen, [norm], rtol=1e-12)
    assert (norm > threshold) == (threshold == 0.5)
    for name, p in model.named_parameters():
        assert_close(before[name] - p.detach().numpy(), clipped[name], 1e-6)


@pytest.mark.parametrize("factor", [1e30, np.inf, np.nan], ids=["norm overflows", "infinite", "NaN"])
def test_pytorch_clip_skips_what_is_not_finite(factor):
    torch = import_torch()
    weight = torch.nn.Parameter(torch.ones(3))
    model = torch.nn.ParameterList([weight])
    seen = []
    recipe("torch-clip").update(model, torch.optim.SGD([weight], 1.0), (factor * weight).sum(), 1.0, seen)
    assert not np.isfinite(seen[0])
    assert weight.tolist() == [1, 1, 1]
    expected = [0.0] * 3 if factor == 1e30 else [np.nan] * 3
    np.testing.assert_array_equal(weight.grad.numpy(), expected)
    weight.grad.fill_(np.nan)
    with pytest.raises(RuntimeError, match="non-finite"):
        torch.nn.utils.clip_grad_norm_([weight], 1.0, error_if_nonfinite=True)


def test_pytorch_quantile():
    torch = import_torch()
    rng = np.random.default_rng(0)
    model = torch.nn.ParameterList(
        [torch.zeros(3, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)]
    )
    tools = recipe("torch-quantile", model=unmoved(torch, model, 1.0))
    assert tools.recent.maxlen == 1000 and len(tools.recent) == 1
    recent, history = deque(maxlen=50), []
    for _ in range(200):
        gradients = {"a": rng.normal(size=3), "b": rng.normal(size=(2, 2))}
        for p, g in zip(model, gradients.values(), strict=True):
            p.grad = torch.tensor(g)
        norm = tools.clip_to_quantile(model.parameters(), recent, q=0.8)
        history.append(float(global_norm(gradients)))
        np.testing.assert_allclose(norm, history[-1], rtol=1e-12)
        expected, _ = clip_by_norm(gradients, float(np.quantile(history[-50:], 0.8)))
        for p, g in zip(model, expected.values(), strict=True):
            np.testing.assert_allclose(p.grad.numpy(), g, rtol=1e-5)
    before = list(recent)
    assert not np.isfinite(tools.clip_to_quantile(unmoved(torch, model, np.nan).parameters(), recent))
    assert list(recent) == before


def unmoved(torch, model, value):
    for p in model.parameters():
        p.grad = torch.full_like(p, value)
    return model


def test_pytorch_cost_of_the_quantile():
    """One update in ten is clipped for ever, the first is not, and 101 large norms of 1000 are usual."""
    torch = import_torch()
    rng = np.random.default_rng(0)
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    clip, recent = recipe("torch-quantile").clip_to_quantile, deque(maxlen=1000)

    def share_kept(norm):
        p.grad = torch.tensor([norm], dtype=torch.float64)
        clip([p], recent)
        return p.grad.item() / norm

    kept = [share_kept(norm) for norm in np.exp(rng.normal(size=3000))]
    np.testing.assert_allclose(kept[0], 1, rtol=1e-5)
    assert 0.08 < np.mean(np.array(kept[1000:]) < 0.9999) < 0.12
    kept = np.array([share_kept(1e6) for _ in range(110)])
    assert np.all(kept[:99] < 1e-4)
    np.testing.assert_allclose(kept[101:], 1, rtol=1e-5)


def test_pytorch_forget_bias():
    torch = import_torch()
    model = torch.nn.ModuleDict({"a": module(torch, "LSTM", 3, 4, 3, bidirectional=True)})
    model["b"] = torch.nn.LSTMCell(3, 4)
    model["c"], model["d"] = torch.nn.GRU(3, 4), torch.nn.Linear(3, 16)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    recipe("torch-forget").set_forget_bias(model, 2.5)
    for network in recipe("torch-weights").from_pytorch(model["a"]):
        np.testing.assert_array_equal(network.b[4:8], 2.5)
    np.testing.assert_array_equal((model["b"].bias_ih + model["b"].bias_hh)[4:8].detach(), 2.5)
    for name, p in model.named_parameters():
        changed = (p != before[name]).flatten().nonzero().flatten().tolist()
        assert changed == (list(range(4, 8)) if name[0] in "ab" and "bias" in name else [])
        assert p.requires_grad
    with pytest.raises(ValueError, match="no bias to set"):
        recipe("torch-forget").set_forget_bias(torch.nn.LSTM(3, 4, bias=False), 1.0)


@every_kind
def test_pytorch_orthogonal(kind):
    torch = import_torch()
    model = torch.nn.ModuleDict({"a": module(torch, kind, 3, 6, 2, bidirectional=True)})
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    recipe("torch-orthogonal").orthogonal_gates(model, gain=1.5)
    blocks = []
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]) == ("weight_hh" not in name) and p.requires_grad
        if "weight_hh" in name:
            blocks += split(p.detach().numpy())
    assert_orthogonal(blocks, 1.5)


def assert_orthogonal(blocks, gain, tolerance=1e-10):
    for block in blocks:
        np.testing.assert_allclose(block @ block.T, gain**2 * np.eye(len(block)), atol=tolerance)
    different = {tuple(block.ravel().round(4)) for block in blocks}
    assert len(different) == len(blocks)


def test_pytorch_orthogonal_as_a_whole_is_another_start():
    torch = import_torch()
    torch.manual_seed(0)
    lstm = module(torch, "LSTM", 3, 256)
    torch.nn.init.orthogonal_(lstm.weight_hh_l0)
    W = lstm.weight_hh_l0.detach().numpy()
    np.testing.assert_allclose(W.T @ W, np.eye(256), atol=1e-10)
    radius, norm = zip(*recipe("torch-blocks").recurrent_blocks(lstm).values(), strict=True)
    np.testing.assert_allclose(radius, 0.5, atol=0.05)
    np.testing.assert_allclose(norm, 0.87, atol=0.02)


def chunks_of(network, x, dh, k, rate):
    """Train a network of the package on chunks of k steps; return its losses and its state at the end."""
    losses, ends = [], {}
    for t in range(0, len(x), k):
        state = network.forward(x[t : t + k], **ends)
        h = network.hidden(state)
        losses.append((h[1:] * dh[t : t + k]).sum())
        gradients = network.backward(x[t : t + k], state, dh[t : t + k])
        for name, parameter in network.parameters().items():
            parameter -= rate * getattr(gradients, name)
        ends = {"h0": h[-1]} | ({"c0": state.c[-1]} if isinstance(network, LSTM) else {})
    return losses, ends


@every_seed
@pytest.mark.parametrize("batch_first", [False, True], ids=["time first", "batch first"])
@every_kind
def test_pytorch_chunks(kind, batch_first, seed):
    torch = import_torch()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    rnn = module(torch, kind, 3, 4, batch_first=batch_first)
    x, dh = rng.normal(size=(11, 2, 3)), rng.normal(size=(11, 2, 4))
    (network,) = recipe("torch-weights").from_pytorch(rnn)
    if (
        kind == "GRU"
    ):  # its two biases learn together as in PyTorch: each has a part, and r and z have the sum
        rnn.bias_hh_l0.requires_grad_(True)
    rate = 0.05
    axes = (1, 0, 2) if batch_first else (0, 1, 2)
    given = [torch.tensor(np.transpose(a, axes)) for a in (x, dh)]
    parameters = [p for name, p in rnn.named_parameters() if name != "bias_hh_l0" or kind == "GRU"]
    optimizer = torch.optim.SGD(parameters, rate)
    if kind == "GRU":  # one bias for r and z
        rnn.bias_hh_l0.register_hook(lambda g: torch.cat([torch.zeros_like(g[:8]), g[8:]]))
    loss_of = lambda output, y: (output * y).sum()  # noqa: E731
    train = recipe("torch-chunks").train_in_chunks
    losses, state = train(rnn, torch.nn.Identity(), loss_of, optimizer, *given, k=4)
    expected, ends = chunks_of(network, x, dh, 4, rate)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    state = state if kind == "LSTM" else (state,)
    for part, end in zip(state, ends.values(), strict=True):
        assert not part.requires_grad
        assert_close(part[0].numpy(), end, 1e-9)
    (trained,) = recipe("torch-weights").from_pytorch(rnn)
    for name, parameter in network.parameters().items():
        assert_close(getattr(trained, name), parameter, 1e-9, name=name)


def test_pytorch_state_that_is_carried():
    torch = import_torch()
    carried = recipe("torch-chunks").carried
    lstm = torch.nn.LSTM(3, 4, 2)
    _, state = lstm(torch.randn(5, 3, 3))
    h, c = carried(state, torch.tensor([False, True, False]))
    assert not h.requires_grad and not c.requires_grad
    for part, before in zip((h, c), state, strict=True):
        assert torch.equal(part[:, [0, 2]], before[:, [0, 2]]) and not part[:, 1].any() and before[:, 1].any()
    for part in (0, 1):  # detach one of them alone
        output, state = lstm(torch.randn(5, 3, 3))
        output.sum().backward()
        half = tuple(carried(s) if i == part else s for i, s in enumerate(state))
        with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
            lstm(torch.randn(5, 3, 3), half)[0].sum().backward()


@every_seed
@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no bias"])
@pytest.mark.parametrize("kind", [*KINDS, "RNN relu"])
def test_pytorch_weights_there_and_back(kind, bias, seed):
    torch = import_torch()
    torch.manual_seed(seed)
    kind, _, activation = kind.partition(" ")
    options = {"nonlinearity": activation} if activation else {}
    rnn = module(torch, kind, 4, 4, 3, bidirectional=True, bias=bias, **options)
    networks = recipe("torch-weights").from_pytorch(rnn)
    x = np.random.default_rng(seed).normal(size=(6, 5, 4))
    output = rnn(torch.from_numpy(x))[0].detach().numpy()
    assert_close(page_function("run")(networks, x, 2), output, 1e-12)
    if kind == "RNN":
        assert {network.activation.name for network in networks} == {activation or "tanh"}

    other = module(torch, kind, 4, 4, 3, bidirectional=True, **options)
    names = [f"l{layer}{way}" for layer in range(3) for way in ("", "_reverse")]
    for name, network in zip(names, networks, strict=True):
        recipe("to-pytorch").to_pytorch(network, other, name)
    assert_close(other(torch.from_numpy(x))[0].detach().numpy(), output, 1e-12)
    with pytest.raises(ValueError, match="the module has no"):
        recipe("to-pytorch").to_pytorch(networks[0], other, "l3")
    with pytest.raises(RuntimeError, match="size mismatch"):
        recipe("to-pytorch").to_pytorch(weights(kind, 1, 4, np.random.default_rng(0)), other)


# Keras, on JAX. Its tanh makes float32 of float64 there, so layers that are compared closely have JAX's own.

keras_warns = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
LAYERS = {"RNN": "SimpleRNN", "LSTM": "LSTM", "GRU": "GRU"}


def import_jax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jax.config.update("jax_enable_x64", True)
    return jax


@pytest.fixture
def keras():
    os.environ["KERAS_BACKEND"] = "jax"
    import_jax()
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    policy = keras.config.dtype_policy()  # what other tests have made of it; it does not follow floatx
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield keras
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(policy)


@functools.cache
def own_tanh(keras):
    @keras.saving.register_keras_serializable()  # Bidirectional copies layers through their config
    def tanh(x):
        return import_jax().numpy.tanh(x)

    return tanh


def layer_of(keras, kind, H, **options):
    options = {"activation": own_tanh(keras), "return_sequences": True} | options
    return getattr(keras.layers, LAYERS[kind])(H, **options)


def randomize(model, seed):
    """Give every weight random numbers: Keras starts its biases at 0 or 1."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=w.shape) / np.sqrt(w.shape[-1]) for w in model.weights])


def batch_first(array):
    return np.swapaxes(array, 0, 1)


@keras_warns
@every_keras_seed
@every_kind
def test_keras_gradient_by_step(keras, kind, seed):
    """In each of two layers, and in the backward layer of a Bidirectional."""
    jnp = import_jax().numpy
    model = keras.Sequential([layer_of(keras, kind, 4), layer_of(keras, kind, 5)])
    rng = np.random.default_rng(seed)
    x, dh = rng.normal(size=(7, 2, 3)), rng.normal(size=(7, 2, 5))
    model.build((2, 7, 3))
    randomize(model, seed)
    first, second = model.layers
    networks = [recipe("keras-weights").from_keras(layer) for layer in model.layers]
    expected, _ = backward_of_layers(networks, x, dh, 1)
    measure = recipe("keras-gradients").gradient_norms
    loss_of = lambda h: (h * jnp.array(batch_first(dh))).sum()  # noqa: E731
    below = measure(first, jnp.array(batch_first(x)), lambda h: loss_of(second(h)))
    above = measure(second, first(batch_first(x)), loss_of)
    for layer, found in enumerate((below, above)):
        for part, numbers in zip("hc", found, strict=False):
            assert_close(np.array(numbers), norms(expected[f"{part}_l{layer}"]), 1e-9, name=part)
    assert len(below) == len(above) == len(expected) // 2

    both = keras.layers.Bidirectional(layer_of(keras, kind, 5))
    both.build((2, 7, 3))
    randomize(both, seed)
    network = recipe("keras-weights").from_keras(both.backward_layer)
    turned = x[::-1].copy()
    expected = total_gradients(network, turned, network.forward(turned), dh[::-1].copy())["h"]
    found = measure(
        both.backward_layer, jnp.array(batch_first(x))[:, ::-1], lambda h: loss_of(jnp.flip(h, axis=1))
    )
    assert_close(np.array(found[0]), norms(expected), 1e-9)


@keras_warns
@every_kind
def test_keras_blocks(keras, kind):
    model = keras.Sequential([keras.layers.Bidirectional(layer_of(keras, kind, 4)), layer_of(keras, kind, 5)])
    model.add(keras.layers.Dense(2))
    model.build((2, 3, 3))
    randomize(model, 0)
    found = recipe("keras-blocks").recurrent_blocks(model)
    layers = [model.layers[0].forward_layer, model.layers[0].backward_layer, model.layers[1]]
    expected = {}
    for layer in layers:
        W_h = recipe("keras-weights").from_keras(layer).W_h
        for gate, block in zip({"RNN": "h", "GRU": "rzh", "LSTM": "ifco"}[kind], split(W_h), strict=True):
            place = f"{layer.cell.recurrent_kernel.path} {gate}"
            expected[place] = spectral_radius(block), spectral_norm(block)
    assert found.keys() == expected.keys() and len(found) == 3 * {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    for name, numbers in expected.items():
        np.testing.assert_allclose(found[name], numbers, rtol=1e-10)


@keras_warns
def test_keras_clip(keras):
    """All variables together, recorded before; `clipnorm` clips each by itself."""
    jax = import_jax()
    done = recipe("keras-clip", **compiled(keras))
    assert done.optimizer.global_clipnorm == 1.0 and done.optimizer.clipnorm is None
    assert len(done.norms) == 2  # two batches
    for option in ("global_clipnorm", "clipnorm"):
        model, x, y = compiled(keras).values()
        before = [w.numpy() for w in model.trainable_variables]
        variables = [w.value for w in model.trainable_variables]
        others = [w.value for w in model.non_trainable_variables]

        def loss(variables, model=model, others=others, x=x, y=y):
            return ((model.stateless_call(variables, others, x)[0] - y) ** 2).mean()

        gradients = {str(i): np.array(g) for i, g in enumerate(jax.grad(loss)(variables))}
        optimizer, seen = keras.optimizers.SGD(1.0, **{option: 0.01}), []
        recipe("keras-clip").record_norms(optimizer, seen)
        model.compile(optimizer, "mse")
        model.train_on_batch(x, y)
        jax.effects_barrier()
        expected, norm = clip_by_norm(gradients, 0.01)
        np.testing.assert_allclose(seen, [norm], rtol=1e-6)
        if option == "clipnorm":
            expected = {name: clip_by_norm(g, 0.01)[0] for name, g in gradients.items()}
        for old, new, step in zip(before, model.trainable_variables, expected.values(), strict=True):
            assert_close(old - new.numpy(), step, 1e-6)


def compiled(keras):
    model = keras.Sequential([keras.Input((6, 3)), layer_of(keras, "LSTM", 4), keras.layers.Dense(2)])
    randomize(model, 0)
    rng = np.random.default_rng(0)
    return {"model": model, "x": rng.normal(size=(64, 6, 3)), "y": rng.normal(size=(64, 6, 2))}


@keras_warns
def test_keras_clip_does_not_stop_a_nan(keras):
    model, x, y = compiled(keras).values()
    optimizer, seen = keras.optimizers.SGD(1.0, global_clipnorm=1.0), []
    recipe("keras-clip").record_norms(optimizer, seen)
    model.compile(optimizer, "mse")
    y[0, 0, 0] = np.nan
    model.train_on_batch(x, y)
    import_jax().effects_barrier()
    assert np.isnan(seen).all()
    assert all(np.isnan(w.numpy()).all() for w in model.trainable_variables)


@keras_warns
def test_keras_quantile(keras):
    """As JAX's recipe, update by update, inside the compiled step of `fit`."""
    jax, rng = import_jax(), np.random.default_rng(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    tools = recipe("keras-quantile", model=model)
    assert [v.name for v in tools.optimizer.variables].count("recent_norms") == 1
    randomize(model, 0)
    x, y = rng.normal(size=(12, 1, 3)), rng.normal(size=(12, 1, 2)) * np.exp(rng.normal(size=(12, 1, 1)))
    optimizer, recent, norms = keras.optimizers.SGD(0.1), jax.numpy.full(5, np.nan), []
    tools.clip_to_quantile(optimizer, q=0.5, size=5)
    recipe("keras-clip").record_norms(optimizer, norms)
    y[9] = np.nan  # skipped
    weights, expected = [np.array(v.value) for v in model.trainable_variables], []
    clip = recipe("jax-quantile").clip_to_quantile
    for number, (x_now, y_now) in enumerate(zip(x, y, strict=True)):
        error = x_now @ weights[0] + weights[1] - y_now
        clipped, recent, norm = clip([x_now.T @ error, error[0]], recent, number, 0.5)
        weights = [w - 0.1 * np.array(g) for w, g in zip(weights, clipped, strict=True)]
        expected.append(norm)
    model.compile(optimizer, "mse")  # the mean over two outputs: the gradient is the error's
    model.fit(x[:, 0], y[:, 0], batch_size=1, shuffle=False, verbose=0)
    jax.effects_barrier()
    np.testing.assert_allclose(norms, expected, rtol=1e-6)
    for variable, array in zip(model.trainable_variables, weights, strict=True):
        assert_close(variable.numpy(), array, 1e-6)


@keras_warns
def test_keras_forget_bias(keras):
    model = keras.Sequential(
        [keras.layers.Bidirectional(layer_of(keras, "LSTM", 4)), layer_of(keras, "LSTM", 5)]
    )
    model.add(layer_of(keras, "GRU", 4))
    model.add(keras.layers.Dense(16))
    model.build((2, 3, 3))
    layers = [model.layers[0].forward_layer, model.layers[0].backward_layer, model.layers[1]]
    from_keras = recipe("keras-weights").from_keras
    for layer in layers:
        b = from_keras(layer).b.reshape(4, -1)
        assert (b[1] == 1).all() and not b[[0, 2, 3]].any()
    before = [w.numpy() for w in model.weights]
    recipe("keras-forget").set_forget_bias(model, 2.5)
    for layer in layers:
        b = from_keras(layer).b.reshape(4, -1)
        assert (b[1] == 2.5).all() and not b[[0, 2, 3]].any()
    changed = [np.sum(w.numpy() != old) for w, old in zip(model.weights, before, strict=True)]
    assert changed == [0, 0, 4, 0, 0, 4, 0, 0, 5, 0, 0, 0, 0, 0]
    after = [keras.layers.Dense(16), keras.layers.EinsumDense("abc,cd->abd", (None, 16)), only_a_bias(keras)]
    for last in after:  # the next array may be a bias, of another layer
        without = keras.Sequential([layer_of(keras, "LSTM", 4, use_bias=False), last])
        without.build((2, 3, 3))
        with pytest.raises(ValueError, match="no bias to set"):
            recipe("keras-forget").set_forget_bias(without, 1.0)
    assert without.weights[-1].name == "bias" and not without.weights[-1].numpy().any()


def only_a_bias(keras):
    """Return a layer that has nothing but a bias."""

    class Shifted(keras.layers.Layer):
        def build(self, shape):
            self.bias = self.add_weight(shape=(16,), initializer="zeros", name="bias")

        def call(self, x):
            return x

    return Shifted()


@keras_warns
@every_kind
def test_keras_orthogonal(keras, kind):
    model = keras.Sequential(
        [keras.layers.Bidirectional(layer_of(keras, kind, 6)), layer_of(keras, kind, 64)]
    )
    model.build((2, 3, 3))
    whole = model.layers[1].cell.recurrent_kernel.numpy()
    np.testing.assert_allclose(whole @ whole.T, np.eye(64), atol=1e-6)  # all gates together
    if kind == "LSTM":
        _, norm = np.transpose(list(recipe("keras-blocks").recurrent_blocks(model.layers[1]).values()))
        np.testing.assert_allclose(norm, 0.87, atol=0.06)
    before = [w.numpy() for w in model.weights]
    recipe("keras-orthogonal").orthogonal_gates(model, gain=1.5)
    blocks = []
    for w, old in zip(model.weights, before, strict=True):
        assert np.array_equal(w.numpy(), old) == (w.name != "recurrent_kernel")
        if w.name == "recurrent_kernel":
            blocks += split(w.numpy().T)
    assert_orthogonal(blocks, 1.5, 1e-5)
    start = keras.initializers.Orthogonal()
    np.testing.assert_array_equal(start((4, 4)), start((4, 4)))


@keras_warns
@every_kind
def test_keras_chunks(keras, kind):
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(11, 2, 3)), rng.normal(size=(11, 2, 4))
    state = [np.zeros((2, 4)) for _ in range(1 + (kind == "LSTM"))]
    inputs, start = keras.Input((None, 3)), [keras.Input((4,)) for _ in state]
    layer = layer_of(keras, kind, 4, return_state=True)
    model = keras.Model([inputs, *start], list(layer(inputs, initial_state=start)))
    randomize(model, 0)
    network = recipe("keras-weights").from_keras(layer)
    losses, state = recipe("keras-chunks").train_in_chunks(
        model,
        lambda h, y: (h * y).sum(),
        keras.optimizers.SGD(0.05),
        batch_first(x),
        batch_first(target),
        4,
        state,
    )
    train = gru_with_two_biases if kind == "GRU" else chunks_of
    expected, ends = train(network, x, target, 4, 0.05)
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    assert_close(recipe("keras-weights").from_keras(layer).W_h, network.W_h, 1e-6)
    for part, end in zip(state, ends.values(), strict=True):
        assert_close(np.array(part), end, 1e-6)


@keras_warns
def test_keras_chunks_draw_dropout_anew_and_compile_once(keras):
    jax = import_jax()
    inputs, start = keras.Input((None, 3)), keras.Input((4,))
    h, end = layer_of(keras, "RNN", 4, return_state=True)(inputs, initial_state=start)
    model = keras.Model([inputs, start], [keras.layers.Dropout(0.5)(h * 0 + 1), end])
    seen, compiled = [], []

    def loss_of(h, y):
        compiled.append(1)
        jax.debug.callback(lambda h: seen.append(np.array(h)), h, ordered=True)
        return (h * y).sum()

    train = recipe("keras-chunks").train_in_chunks
    for _ in range(2):
        x, y = np.ones((2, 6, 3)), np.ones((2, 6, 4))
        train(model, loss_of, keras.optimizers.SGD(0.0), x, y, 3, [np.zeros((2, 4))])
    jax.effects_barrier()
    assert len(compiled) == 1
    assert len({tuple(h.ravel()) for h in seen}) == 4 and set(np.unique(seen)) == {0, 2}


@keras_warns
def test_keras_chunks_of_the_model_on_the_page(keras):
    done = recipe("keras-chunks", I=3, H=4, B=2)
    x = np.random.default_rng(0).normal(size=(7, 2, 3))
    network = recipe("keras-weights").from_keras(done.lstm)
    _, h, c = done.model([batch_first(x), *done.zeros])
    state = network.forward(x)
    assert_close(np.array(h), state.h[-1], 1e-5)
    assert_close(np.array(c), state.c[-1], 1e-5)


@keras_warns
def test_keras_stateful_layer_carries_its_state_in_a_call_alone(keras):
    inputs = keras.Input(batch_shape=(2, None, 3))
    model = keras.Sequential([inputs, layer_of(keras, "LSTM", 4, stateful=True)])
    model.compile("sgd", "mse")
    (layer,) = model.layers
    x, y = np.ones((2, 5, 3)), np.zeros((2, 5, 4))
    model.predict(x, verbose=0)
    model.train_on_batch(x, y)
    model.fit(x, y, batch_size=2, verbose=0)
    assert not any(np.any(state.value) for state in layer.states)
    model(x)
    assert all(np.all(state.value) for state in layer.states)


def gru_with_two_biases(network, x, dh, k, rate):
    """Train as `chunks_of`; r and z have two biases, so their sum takes a step twice as long."""
    losses, h0 = [], np.zeros_like(dh[0])
    for t in range(0, len(x), k):
        state = network.forward(x[t : t + k], h0)
        losses.append((state.h[1:] * dh[t : t + k]).sum())
        gradients = network.backward(x[t : t + k], state, dh[t : t + k])
        gradients.b[: 2 * len(network.b_n)] *= 2
        for name, parameter in network.parameters().items():
            parameter -= rate * getattr(gradients, name)
        h0 = state.h[-1]
    return losses, {"h0": h0}


@keras_warns
@every_keras_seed
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@every_kind
def test_keras_weights_there_and_back(keras, kind, bias, seed):
    x = np.random.default_rng(seed).normal(size=(6, 5, 4))
    model = keras.Sequential(
        [
            keras.layers.Bidirectional(layer_of(keras, kind, 4, use_bias=bias)),
            keras.layers.Bidirectional(layer_of(keras, kind, 4, use_bias=bias)),
        ]
    )
    model.build((5, 6, 4))
    randomize(model, seed)
    layers = [way for both in model.layers for way in (both.forward_layer, both.backward_layer)]
    networks = [recipe("keras-weights").from_keras(layer) for layer in layers]
    output = batch_first(np.array(model(batch_first(x))))
    assert_close(page_function("run")(networks, x, 2), output, 1e-9)

    other = keras.Sequential([keras.layers.Bidirectional(layer_of(keras, kind, 4)) for _ in range(2)])
    other.build((5, 6, 4))
    ways = [way for both in other.layers for way in (both.forward_layer, both.backward_layer)]
    for network, layer in zip(networks, ways, strict=True):
        recipe("to-keras").to_keras(network, layer)
    assert_close(batch_first(np.array(other(batch_first(x)))), output, 1e-9)
    with pytest.raises(ValueError, match=r"weight shape|shape|weights"):
        recipe("to-keras").to_keras(weights(kind, 3, 4, np.random.default_rng(0)), ways[0])


@keras_warns
@every_kind
def test_keras_default_layers_in_float32(keras, kind):
    layer = layer_of(keras, kind, 4, activation="tanh", dtype="float32")
    x = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
    output = batch_first(np.array(layer(batch_first(x))))
    network = recipe("keras-weights").from_keras(layer)
    assert_close(page_function("run")([network], x), output, 1e-6)


@keras_warns
def test_keras_other_form_of_the_gru_raises(keras):
    layer = layer_of(keras, "GRU", 4, reset_after=False)
    layer.build((2, 3, 3))
    with pytest.raises(ValueError, match="another network"):
        recipe("keras-weights").from_keras(layer)
    with pytest.raises(ValueError, match="shape"):
        recipe("to-keras").to_keras(weights("GRU", 3, 4, np.random.default_rng(0)), layer)


@keras_warns
def test_keras_relu_arrives(keras):
    layer = layer_of(keras, "RNN", 4, activation="relu")
    layer.build((2, 3, 3))
    assert recipe("keras-weights").from_keras(layer).activation.name == "relu"


ON_PYTORCH = """
import keras
import numpy as np
from test_recipes import batch_first, page_function, recipe

layers = keras.layers
both = layers.Bidirectional(layers.LSTM(4, return_sequences=True))
model = keras.Sequential([keras.Input((None, 4)), both])
model.add(layers.GRU(5, return_sequences=True))
recipe("keras-forget").set_forget_bias(model, 2.5)
recipe("keras-orthogonal").orthogonal_gates(model, 1.5)
numbers = list(recipe("keras-blocks").recurrent_blocks(model).values())
np.testing.assert_allclose(numbers, np.full((11, 2), 1.5), rtol=1e-5)
x = np.random.default_rng(0).normal(size=(6, 2, 4)).astype(np.float32)
gru = model.layers[1]
networks = [recipe("keras-weights").from_keras(layer) for layer in (both.forward_layer, both.backward_layer)]
assert all((network.b[4:8] == 2.5).all() for network in networks)
run, out = page_function("run"), keras.ops.convert_to_numpy
h = batch_first(out(both(batch_first(x))))
np.testing.assert_allclose(run(networks, x, 2), h, atol=1e-6)
network = recipe("keras-weights").from_keras(gru)
network.b += 1
recipe("to-keras").to_keras(network, gru)
top = batch_first(out(gru(batch_first(h))))
np.testing.assert_allclose(run([network], np.ascontiguousarray(h)), top, atol=1e-6)
"""


@keras_warns
def test_keras_recipes_without_jax_run_on_pytorch(keras):
    import_torch()
    path = os.pathsep.join([str(ROOT / "tests"), *filter(None, sys.path)])
    run = [sys.executable, "-W", "ignore", "-c", ON_PYTORCH]
    subprocess.run(run, check=True, env=os.environ | {"KERAS_BACKEND": "torch", "PYTHONPATH": path})
    for label, blocks in sections().items():
        if label in ("keras-forget", "keras-orthogonal", "keras-blocks", "keras-weights", "to-keras"):
            assert "jax" not in "".join(blocks)


# JAX.


def jax_cell(jax, kind):
    """Return a cell as a reader would write it, with the gates of these pages."""
    jnp, σ = jax.numpy, jax.nn.sigmoid

    def rnn(p, h, x):
        return jnp.tanh(x @ p["W_x"].T + h @ p["W_h"].T + p["b"])

    def lstm(p, state, x):
        h, c = state
        i, f, g, o = jnp.split(x @ p["W_x"].T + h @ p["W_h"].T + p["b"], 4, axis=-1)
        c = σ(f) * c + σ(i) * jnp.tanh(g)
        return σ(o) * jnp.tanh(c), c

    def gru(p, h, x):
        r, z, n = jnp.split(x @ p["W_x"].T + p["b"], 3, axis=-1)
        h_r, h_z, h_n = jnp.split(h @ p["W_h"].T, 3, axis=-1)
        z = σ(z + h_z)
        return (1 - z) * jnp.tanh(n + σ(r + h_r) * (h_n + p["b_n"])) + z * h

    return {"RNN": rnn, "LSTM": lstm, "GRU": gru}[kind]


@every_seed
@every_kind
def test_jax_gradient_by_step(kind, seed):
    jax = import_jax()
    rng = np.random.default_rng(seed)
    network = weights(kind, 3, 4, rng)
    x, dh = rng.normal(size=(7, 2, 3)), rng.normal(size=(7, 2, 4))
    zeros = jax.numpy.zeros((2, 4))
    state = (zeros, zeros) if kind == "LSTM" else zeros
    loss_of = lambda states: ((states[0] if kind == "LSTM" else states) * dh).sum()  # noqa: E731
    measure = recipe("jax-gradients").gradient_norms
    found = measure(jax_cell(jax, kind), network.parameters(), state, x, loss_of)
    found = found if kind == "LSTM" else (found,)
    expected = total_gradients(network, x, network.forward(x), dh)
    for numbers, name in zip(found, expected, strict=True):
        assert_close(np.array(numbers), norms(expected[name]), 1e-9)


def jax_parameters(kind, seed=0):
    rng = np.random.default_rng(seed)
    layers = {f"layer_{n}": weights(kind, 4, 4, rng).parameters() for n in range(2)}
    return {"rnn": layers, "readout": {"W": rng.normal(size=(2, 4)), "b": rng.normal(size=16)}}


@every_kind
def test_jax_blocks(kind):
    import_jax()
    parameters = jax_parameters(kind)
    found = recipe("jax-blocks").recurrent_blocks(parameters)
    expected = {}
    for layer, part in parameters["rnn"].items():
        for gate, block in enumerate(split(part["W_h"])):
            expected[f"['rnn']['{layer}']['W_h'] block {gate}"] = spectral_radius(block), spectral_norm(block)
    assert found.keys() == expected.keys()
    for name, numbers in expected.items():
        np.testing.assert_allclose(found[name], numbers, rtol=1e-10)


@every_seed
@pytest.mark.parametrize("threshold", [0.5, 1e3])
def test_jax_clip(threshold, seed):
    jax = import_jax()
    gradients = jax_parameters("LSTM", seed)["rnn"]["layer_0"]
    clipped, norm = jax.jit(recipe("jax-clip").clip)(gradients, threshold)
    expected, expected_norm = clip_by_norm(gradients, threshold)
    np.testing.assert_allclose(norm, expected_norm, rtol=1e-12)
    for name, array in expected.items():
        assert_close(np.array(clipped[name]), array, 1e-10)


def test_jax_clip_at_the_ends_of_the_range():
    jnp = import_jax().numpy
    clip = recipe("jax-clip").clip
    clipped, norm = clip({"a": jnp.array([3e20, 4e20], jnp.float32)}, 10.0)
    np.testing.assert_allclose(clipped["a"], [6, 8], rtol=1e-6)
    np.testing.assert_allclose(norm, 5e20, rtol=1e-6)
    for bad in (np.nan, np.inf):
        clipped, norm = clip({"a": jnp.array([bad, 1.0]), "b": jnp.ones(2)}, 10.0)
        assert not np.isfinite(norm) and not clipped["a"].any() and not clipped["b"].any()
    clipped, norm = clip({"a": jnp.zeros(2)}, 10.0)
    assert norm == 0 and not clipped["a"].any()


def test_jax_quantile():
    jax = import_jax()
    rng = np.random.default_rng(0)
    given = {"a": rng.normal(size=3)}
    tools = recipe("jax-quantile", gradients=given)
    assert len(tools.recent) == 1000 and np.isfinite(tools.recent).sum() == 1
    np.testing.assert_allclose(tools.gradients["a"], given["a"])
    clip, recent, history = jax.jit(tools.clip_to_quantile), jax.numpy.full(50, np.nan), []
    for number in range(120):
        gradients = {"a": rng.normal(size=3), "b": rng.normal(size=(2, 2))}
        clipped, recent, norm = clip(gradients, recent, number)
        history.append(float(global_norm(gradients)))
        np.testing.assert_allclose(norm, history[-1], rtol=1e-12)
        expected, _ = clip_by_norm(gradients, float(np.quantile(history[-50:], 0.9)))
        for name, array in expected.items():
            np.testing.assert_allclose(clipped[name], array, rtol=1e-9)
    before = np.array(recent)
    clipped, recent, _ = clip({"a": np.full(3, np.nan), "b": np.ones((2, 2))}, recent, 120)
    np.testing.assert_array_equal(recent, before)
    assert not clipped["a"].any() and not clipped["b"].any()


def test_jax_forget_bias():
    jax = import_jax()
    parameters = jax.tree.map(jax.numpy.array, jax_parameters("LSTM") | {"other": jax_parameters("GRU")})
    changed = recipe("jax-forget").set_forget_bias(parameters, 2.5)
    for layer, part in changed["rnn"].items():
        before = np.array(parameters["rnn"][layer]["b"])
        assert (LSTM(*(np.array(part[n]) for n in ("W_x", "W_h", "b"))).b[4:8] == 2.5).all()
        np.testing.assert_array_equal(np.delete(part["b"], slice(4, 8)), np.delete(before, slice(4, 8)))
    for name in ("other", "readout"):
        same = jax.tree.map(lambda a, b: bool((a == b).all()), changed[name], parameters[name])
        assert all(jax.tree.leaves(same))
    del parameters["rnn"]["layer_0"]["b"]
    with pytest.raises(KeyError):
        recipe("jax-forget").set_forget_bias(parameters, 2.5)


def test_jax_orthogonal():
    jax = import_jax()
    W = np.array(recipe("jax-orthogonal").orthogonal_gates(jax.random.key(0), 4, 64, gain=1.5), float)
    assert W.shape == (256, 64)
    assert_orthogonal(split(W), 1.5, 1e-5)
    whole = np.array(jax.nn.initializers.orthogonal()(jax.random.key(0), (256, 64)))
    np.testing.assert_allclose(whole.T @ whole, np.eye(64), atol=1e-5)
    np.testing.assert_allclose([spectral_norm(block) for block in split(whole)], 0.87, atol=0.06)


@every_seed
@every_kind
def test_jax_chunks(kind, seed):
    jax = import_jax()
    rng = np.random.default_rng(seed)
    network, cell = weights(kind, 3, 4, rng), jax_cell(jax, kind)
    parameters = {name: jax.numpy.array(array) for name, array in network.parameters().items()}
    x, dh = rng.normal(size=(11, 2, 3)), rng.normal(size=(11, 2, 4))

    compiled = []

    def loss_of(parameters, state, x, y):
        compiled.append(len(x))

        def step(state, x_t):
            state = cell(parameters, state, x_t)
            return state, state[0] if kind == "LSTM" else state

        state, h = jax.lax.scan(step, state, x)
        return (h * y).sum(), state

    zeros = jax.numpy.zeros((2, 4))
    state = (zeros, zeros) if kind == "LSTM" else zeros
    train = recipe("jax-chunks").train_in_chunks
    start = state
    trained, state, losses = train(loss_of, parameters, start, x, dh, k=4, rate=0.05)
    traced = len(compiled)
    train(loss_of, parameters, start, x, dh, k=4, rate=0.05)
    assert traced == len(compiled) == 2  # chunks of four steps, and of three
    expected, ends = chunks_of(network, x, dh, 4, 0.05)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    for part, end in zip(jax.tree.leaves(state), ends.values(), strict=True):
        assert_close(np.array(part), end, 1e-9)
    for name, parameter in network.parameters().items():
        assert_close(np.array(trained[name]), parameter, 1e-9)


def test_jax_stop_gradient_cuts_where_the_package_does():
    """Within one scan over two chunks: the first chunk hears of its own losses alone."""
    jax = import_jax()
    rng = np.random.default_rng(0)
    network, cell = weights("LSTM", 3, 4, rng), jax_cell(jax, "LSTM")
    x, dh = rng.normal(size=(8, 2, 3)), rng.normal(size=(8, 2, 4))

    def loss(x):
        def step(state, now):
            x_t, first = now
            state = jax.tree.map(lambda s: jax.numpy.where(first, jax.lax.stop_gradient(s), s), state)
            state = cell(network.parameters(), state, x_t)
            return state, state[0]

        zeros = jax.numpy.zeros((2, 4))
        return (jax.lax.scan(step, (zeros, zeros), (x, np.arange(8) == 4))[1] * dh).sum()

    found = np.array(jax.grad(loss)(x))
    before = network.forward(x[:4])
    after = network.forward(x[4:], before.h[-1], before.c[-1])
    expected = [network.backward(x[:4], before, dh[:4]).x, network.backward(x[4:], after, dh[4:]).x]
    assert_close(found, np.concatenate(expected), 1e-9)
