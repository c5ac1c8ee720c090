"""The recipes, as they stand on their page: run with PyTorch, Keras and JAX, and compared with the package."""

import ast
import functools
import os
import re
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
from numerics import assert_close
from pages import ROOT, cells

import rnn_notes
from rnn_notes import GRU, LSTM, RNN, clip_by_norm, clip_by_value, global_norm, spectral_norm, spectral_radius

PAGE = ROOT / "docs" / "recipes.md"
FENCE = r"```\{code-block\} python\n"
KINDS = ("RNN", "LSTM", "GRU")
every_kind = pytest.mark.parametrize("kind", KINDS)
every_seed = pytest.mark.parametrize("seed", range(3))


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


def test_blocks_with_functions_import_what_they_use():
    for block in (block for blocks in sections().values() for block in blocks):
        tree = ast.parse(block)
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if any(isinstance(node, ast.FunctionDef) for node in tree.body):
            bound = {
                alias.asname or alias.name
                for n in ast.walk(tree)
                for alias in getattr(n, "names", [])
                if not isinstance(alias, str)
            }
            for name in ("np", "torch", "jax", "jnp", "keras", "re", "functools", "PackedSequence", "deque"):
                assert (name in names) <= (name in bound), name


def test_the_table_leads_to_every_recipe():
    text = PAGE.read_text("utf-8")
    table = text[: text.index("(from-pytorch)=")]
    assert set(re.findall(r"\]\(#([\w-]+)\)", table)) == {*sections(), "one-output"}


def test_versions_are_those_of_the_tests():
    text, script = PAGE.read_text("utf-8"), (ROOT / ".ci" / "run").read_text("utf-8")
    for words, package in (("PyTorch", "torch"), ("Keras", "keras"), ("JAX", "jax")):
        (version,) = set(re.findall(rf"{words} (\d+\.\d+\.\d+)", text))
        assert f"{package}=={version}" in script


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
    for name, states in model.rnn.kept.items():
        grads = [np.zeros((B, 4)) if s.grad is None else s.grad.numpy() for s in states]
        assert_close(np.stack(grads), expected[name], 1e-10, name=name)
        assert_close(np.array(done.norms[name]), norms(expected[name]), 1e-10)
    assert "forward" not in vars(model.rnn)
    done = recipe("torch-inputs", **given)
    assert_close(np.transpose(done.norms.numpy(), axes[:2]), np.linalg.norm(dx, axis=-1), 1e-10)
    assert not model.rnn._forward_pre_hooks


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
    """Outputs, last states and gradients of parameters, from a state that is given; without gradients, too."""
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
            for gate, block in zip({"RNN": "h", "GRU": "rzn", "LSTM": "ifgo"}[kind], split(W.numpy()), strict=True):
                expected[f"{name} {gate}"] = spectral_radius(block), spectral_norm(block)
    assert found.keys() == expected.keys()
    assert len(found) == 5 * {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    for name, numbers in expected.items():
        np.testing.assert_allclose(found[name], numbers, rtol=1e-10)


def split(W):
    return np.split(W, len(W) // W.shape[1])


def test_pytorch_blocks_with_projection_raise():
    torch = import_torch()
    with pytest.raises(KeyError):
        recipe("torch-blocks").recurrent_blocks(torch.nn.LSTM(3, 4, proj_size=2))


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


def test_pytorch_orthogonal_as_a_whole_halves_the_gates():
    torch = import_torch()
    lstm = module(torch, "LSTM", 3, 64)
    torch.nn.init.orthogonal_(lstm.weight_hh_l0)
    W = lstm.weight_hh_l0.detach().numpy()
    np.testing.assert_allclose(W.T @ W, np.eye(64), atol=1e-10)
    sizes = [np.linalg.norm(block) / 8 for block in split(W)]
    np.testing.assert_allclose(sizes, 0.5, atol=0.05)


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
