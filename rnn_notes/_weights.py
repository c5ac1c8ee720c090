"""Weights as other programs keep them, read as networks of this package: names, orders, files."""

import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from numbers import Real
from pathlib import Path

import numpy as np

from rnn_notes._checks import (
    NETWORKS,
    check_dtype,
    check_methods,
    check_subclass,
    refuse_overflow,
    shown,
)
from rnn_notes.activations import ACTIVATIONS
from rnn_notes.gru import GRU
from rnn_notes.lstm import LSTM
from rnn_notes.rnn import RNN

GATES = {RNN: 1, GRU: 3, LSTM: 4}
TORCH = re.compile(
    r"(?P<group>.*?)(?P<name>(?:weight|bias)_(?:ih|hh|hr))(?:_l(?P<layer>[0-9]{1,4}))?(?P<back>_reverse)?"
)
KERAS = re.compile(r"(?P<group>.*?)(?P<name>recurrent_kernel|kernel|bias)(?::0)?")
RECURRENT = re.compile(
    r"peephole|recurrent|_diag|(weight|bias)_\w+_l[0-9]|weight_(hh|ih)|W_[cx]|w_c[ifo]|_cell/"
)
OURS = re.compile(r"(?:(?P<group>.*?)(?P<layer>[0-9]{1,4})?[^A-Za-z0-9])?(?P<name>W_x|W_h|b_n|b)")

BFLOAT16 = "bfloat16 is measured in float32: in bfloat16 more is lost"


@dataclass(eq=False)
class Cell:
    """One recurrent matrix and what belongs to it: a layer, in one direction.

    Attributes
    ----------
    where : str
        Its name in a report.
    group : str
        Cells of one group are a stack: each layer reads the one before.
    layer : int
        From 0.
    reverse : bool
        Whether it reads the sequence from the end.
    network : Network or None
        None if it cannot be run; then `problem` says why.
    arrays : dict of str to ndarray
        The parameters, finite or not.
    gates : int
        1, 3 or 4; 0 for a network that is not of this package.
    problem : str
        Why it cannot be run.
    forget_biases : tuple of ndarray
        The forget gate's part of each bias, if there are two.
    batch_first : bool
        Whether the program that it is of takes x as (B, T, I).
    """

    where: str
    group: str
    layer: int
    reverse: bool
    network: object
    arrays: dict
    gates: int
    problem: str = ""
    forget_biases: tuple = ()
    batch_first: bool = False


@dataclass
class Found:
    """What `read` found: cells as data reaches them, what there is to say of it, and whether it is all."""

    cells: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    complete: bool = True


@refuse_overflow
def read(network) -> Found:
    """Return the recurrent cells of a network, a module, a dict or list of arrays, or a file of one."""
    found = Found()
    if isinstance(network, str | Path):
        network = load(Path(network))
    if type(network) in GATES:
        return Found([_of_ours(network, "network")])
    if isinstance(network, list | tuple) and network and all(type(part) in GATES for part in network):
        return Found([_of_ours(p, _name(i, len(network)), layer=i) for i, p in enumerate(network)])
    if callable(getattr(network, "get_weights", None)) and hasattr(network, "weights"):
        return _from_keras_model(network, found)  # before PyTorch, which Keras can stand on
    if callable(getattr(network, "named_modules", None)) and callable(getattr(network, "state_dict", None)):
        return _from_module(network, found)
    if isinstance(network, Mapping):
        return _from_arrays(_as_arrays(network, found), found, {})
    if isinstance(network, list | tuple):
        return _from_list([as_array(f"network[{i}]", a, found.notes) for i, a in enumerate(network)], found)
    if isinstance(network, np.ndarray):
        raise TypeError(
            "network must be a network, a module, a dict or list of weights, or a file of one, "
            f"got one array of shape {network.shape}: a recurrent network needs its W_x, W_h and b"
        )
    expected = "forward(x)", "backward(x, state, dh)", "hidden(state)", "parameters()"
    check_methods("network", network, *expected)
    parameters = network.parameters()
    if not isinstance(parameters, dict):
        raise TypeError(f"network.parameters() must return a dict, got {type(parameters).__name__}")
    for name, array in parameters.items():
        check_dtype(f"network.parameters()[{name!r}]", array, None)
    return Found([Cell("network", "", 0, False, network, parameters, 0)])


def _name(layer, cells):
    """Return the name of a cell that its program gives none: alone it is the network."""
    return f"layer {layer}" if cells > 1 else "network"


def _of_ours(network, where, layer=0):
    return Cell(where, "", layer, False, network, network.parameters(), GATES[type(network)])


# Arrays by name.


def _from_module(module, found):
    """Read a PyTorch module: its arrays, and what only the module knows."""
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    known, arrays = {}, dict(module.state_dict())
    for name, part in module.named_modules():
        group = f"{name}." if name else ""
        kind = str(getattr(part, "mode", "")) + str(getattr(part, "nonlinearity", ""))
        phi = "relu" if "relu" in kind.lower() else "tanh"
        known[group] = (phi, getattr(part, "batch_first", False), False)
        for weight in getattr(part, "_flat_weights_names", ()):  # with weight_norm, state_dict has its parts
            if group + weight not in arrays and hasattr(part, weight):
                arrays[group + weight] = getattr(part, weight)
                parts = rf"{re.escape(group)}(parametrizations\.)?{weight}(_[gv]|\..*)"
                arrays = {key: array for key, array in arrays.items() if not re.fullmatch(parts, key)}
    return _from_arrays(_as_arrays(arrays, found), found, known)


def _from_keras_model(model, found):
    """Read a Keras model or layer: its arrays, and what only its layers know."""
    arrays, known, layers = model.get_weights(), {}, [model]
    names = [str(getattr(w, "path", None) or getattr(w, "name", "")) for w in model.weights]
    while layers:
        layer = layers.pop()
        layers += [part for part in getattr(layer, "layers", ()) if part is not layer]
        layers += [part for way in ("forward", "backward") if (part := getattr(layer, f"{way}_layer", None))]
        cell = getattr(layer, "cell", None)
        phi = getattr(getattr(cell, "activation", None), "__name__", "tanh")
        gate = getattr(getattr(cell, "recurrent_activation", None), "__name__", "sigmoid")
        path = f"{getattr(cell, 'path', '')}/"
        # The backward layer of a Bidirectional has its output turned round again, another has not.
        turned = getattr(layer, "go_backwards", False) and not re.search("(^|/)backward_", path)
        known[path] = (phi if gate == "sigmoid" else f"{phi} and {gate}", True, turned)
    if len(set(names)) < len(arrays):
        _from_list([np.asarray(array) for array in arrays], found)
    else:
        _from_arrays(_as_arrays(dict(zip(names, arrays, strict=True)), found), found, known)
    for cell in found.cells:
        cell.batch_first = True
    return found


def _as_arrays(mapping, found):
    arrays, left = {}, []

    def collect(mapping, before):
        for key, value in mapping.items():
            name = f"{before}{key}"
            if isinstance(value, Mapping):
                collect(value, f"{name}.")
            elif hasattr(value, "shape") or (isinstance(value, list | tuple) and _is_nested(value)):
                arrays[name] = as_array(name, value, found.notes)
            elif "packed_params" in name or type(value).__name__ == "ScriptObject":
                raise ValueError(
                    f"{name} is quantised, and its weights are packed in a form of PyTorch's own: "
                    "give the network as it was before quantisation"
                )
            else:
                left.append(name)

    try:
        collect(mapping, "")
    except RecursionError:
        raise ValueError(
            "network must have arrays at some depth, got a dict that has itself within"
        ) from None
    if left:
        found.notes.append(f"no arrays, and left out: {_listed(left)}")
    return arrays


def _is_nested(value):
    """Return whether lists in lists, or no lists, have nothing but numbers in them."""
    if isinstance(value, list | tuple):
        return all(map(_is_nested, value))
    return isinstance(value, Real)


def as_array(name, value, notes):
    """Return the array of a NumPy array or of another program's tensor, with its dtype if it has one here."""
    if isinstance(value, np.ndarray):
        check_subclass(name, type(value))
    try:
        if callable(getattr(value, "detach", None)):  # PyTorch
            if getattr(value, "is_quantized", False):
                notes.append(f"{name} is quantised, and measured by the values that it stands for")
                value = value.dequantize()
            value = value.detach().cpu()
            if "bfloat16" in str(value.dtype):
                notes.append(BFLOAT16)
                value = value.float()
            value = value.numpy()
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be an array, got {type(value).__name__}: {error}") from None
    if array.dtype.hasobject:
        raise TypeError(f"{name} must be an array of numbers, got dtype {array.dtype}")
    if array.dtype.name == "bfloat16":  # of JAX, no kind of NumPy's own
        notes.append(BFLOAT16)
        array = array.astype(np.float32)
    return array


def _from_arrays(arrays, found, known):
    """Sort arrays by the names that PyTorch, Keras and this package give them."""
    schemes, used, twice = {}, set(), []
    for scheme, (pattern, key, _) in SCHEMES.items():
        parts = {}
        for name, array in arrays.items():
            match = pattern.fullmatch(name)
            if match:
                said = match.groupdict()
                place = (said["group"] or "", int(said.get("layer") or 0), bool(said.get("back")))
                part = parts.setdefault(place, {})
                if said["name"] in part:
                    twice.append(name)
                part.setdefault(said["name"], (name, array))
        parts = {place: part for place, part in parts.items() if key in part}
        if parts:
            schemes[scheme] = parts
            used |= {name for part in parts.values() for name, _ in part.values()}
    if not schemes:
        expected = (
            "weight_ih_l0 and weight_hh_l0 (PyTorch), kernel and recurrent_kernel (Keras), or W_x and W_h"
        )
        got = _listed(list(arrays)) if arrays else "no arrays"
        raise ValueError(f"network must have weights of the names {expected}, got {got}")
    if len(schemes) > 1:
        names = " and of ".join(schemes)
        found.notes.append(f"names of {names}, which no network mixes: each is taken for one of its own")
    for scheme, parts in schemes.items():
        _from_parts(parts, scheme, f"{scheme} " if len(schemes) > 1 else "", found, known)
    # What stands beside a recurrent matrix, or has a name like one.
    groups = {place[0] for parts in schemes.values() for place in parts} - {""}
    left = [name for name in arrays if name not in used]
    beside = {name for name in left if name[: re.search(r"[^./]*$", name).start()] in groups}
    recurrent = [name for name in left if name in beside or name in twice or RECURRENT.search(name)]
    if recurrent:
        found.complete = False  # with them it is another network
        found.notes.append(f"not understood, and measured without: {_listed(recurrent)}")
    rest = [name for name in left if name not in recurrent]
    if rest:
        found.notes.append(f"no part of a recurrence: {_listed(rest)}")
    return found


def _from_parts(parts, scheme, before, found, known):
    """Add the cells of all parts that have their names from one program, each after these words."""
    groups = {place[0] for place in parts}
    keras, build = scheme == "Keras", SCHEMES[scheme][2]
    layers, cells, all_turned = _layers_of_keras(parts) if keras else {p: p[1:] for p in parts}, [], False
    for place, part in parts.items():
        layer, reverse = layers[place]
        activation, batch_first, turned = known.get(place[0], ("tanh", False, False))
        all_turned ^= turned  # and what stands above reads it so
        reverse ^= all_turned
        where = place[0].rstrip("./_ ") if keras or len(groups) > 1 else ""
        if "stacked" not in where:
            where = re.sub(r"(?<=.)/\w+_cell$", "", where)  # Keras names the layer, and its cell
        if not where or (not keras and len(parts) > len(groups)):
            where = f"{where} {_name(layer, len(parts))}".strip()
        where = before + where + ", backward" * reverse
        cell = build(where, part, activation, found)
        cell.group, cell.layer, cell.reverse = before + ("" if keras else place[0]), layer, reverse
        cell.batch_first = batch_first
        cells.append(((cell.group, layer, layers[place][1]), cell))  # in the order in which they are joined
        if cell.gates == 1 and place[0] not in known:
            found.notes.append(f"{where}: weights do not say the activation, so tanh is assumed")
    found.cells += [cell for _, cell in sorted(cells, key=lambda entry: entry[0])]


def _listed(names, most=6):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _layers_of_keras(parts):
    """Number Keras's layers in their order; forward_ and backward_ of one Bidirectional are one layer."""
    layers, seen = {}, {}
    for place in parts:
        match = re.search(r"(^|/)(forward|backward)_", place[0])
        wrapper = place[0][: match.start()] + "/" + place[0][match.end() :] if match else place[0]
        layers[place] = (seen.setdefault(wrapper, len(seen)), bool(match and match[2] == "backward"))
    return layers


def _torch(where, part, activation, found):
    W_h = part["weight_hh"][1]
    if "weight_hr" in part:
        arrays, gates = {name: array for name, (_, array) in part.items()}, 0
        problem = f"{where} has a projection (proj_size), which this package does not run"
        W_hr = part["weight_hr"][1]
        P, H = W_hr.shape if W_hr.ndim == 2 else (0, 0)
        if W_h.shape == (4 * H, P) and np.isfinite(W_h).all() and np.isfinite(W_hr).all():
            wide = np.result_type(W_h, np.float32)
            arrays["W_h"], gates = W_h.astype(wide) @ W_hr.astype(wide), 4
            problem += "; of its recurrence only the products weight_hh weight_hr are measured"
        return _cell(where, gates, arrays, problem, found)
    gates = _gates(part["weight_hh"][0], W_h.shape)
    if "weight_ih" not in part:
        problem = f"{where} has no weight_ih: no input, so it cannot be run"
        return _cell(where, gates, {"W_h": W_h}, problem, found)
    W_x = part["weight_ih"][1]
    arrays, biases = {"W_x": W_x, "W_h": W_h}, [part[n][1] for n in ("bias_ih", "bias_hh") if n in part]
    problem = ""
    if len(biases) == 1:
        found.notes.append(f"{where}: one of its two biases is missing, taken as 0")
    H = len(W_h) // gates
    for name in ("bias_ih", "bias_hh"):
        if name in part and part[name][1].shape != (gates * H,):
            problem = f"{part[name][0]} must have shape {(gates * H,)}, got {part[name][1].shape}"
    if not problem:
        # A sum in half precision would lose more.
        zeros = np.zeros(gates * H, np.result_type(W_h, np.float32))
        b_ih, b_hh = (part[n][1] + zeros if n in part else zeros for n in ("bias_ih", "bias_hh"))
        arrays["b"] = b_ih + b_hh
        if gates == 3:
            arrays["b"][2 * H :], arrays["b_n"] = b_ih[2 * H :], b_hh[2 * H :]
    cell = _cell(where, gates, arrays, problem, found, activation)
    if gates == 4 and len(biases) == 2 and not problem:
        cell.forget_biases = tuple(b[H : 2 * H] for b in biases)
    return cell


def _keras(where, part, activation, found):
    name, recurrent = part["recurrent_kernel"]
    if recurrent.ndim != 2:
        raise ValueError(f"{name} must have shape (H, H), (H, 3H) or (H, 4H), got {recurrent.shape}")
    gates = _gates(name, recurrent.shape[::-1])
    H = len(recurrent)
    if "kernel" not in part:
        return _cell(where, gates, {"W_h": recurrent.T}, f"{where} has no kernel, so it cannot be run", found)
    none = np.zeros((2, 3 * H) if gates == 3 else gates * H, recurrent.dtype)
    bias = part["bias"][1] if "bias" in part else none
    return _from_keras(where, gates, part["kernel"][1], recurrent, bias, found, activation)


def _from_keras(where, gates, kernel, recurrent, bias, found, activation="tanh"):
    """Turn Keras's arrays round: columns to rows, and the GRU's gates from z, r, h to r, z, n."""
    H = len(recurrent)
    arrays, problem = {"W_x": kernel.T, "W_h": recurrent.T}, ""
    bias = bias.astype(np.result_type(bias, np.float32)) if bias.dtype.kind == "f" else bias
    if gates == 3:
        order = np.r_[H : 2 * H, :H, 2 * H : 3 * H]
        if kernel.ndim == 2 and kernel.shape[1] == 3 * H:
            arrays = {name: W[order] for name, W in arrays.items()}
        if bias.shape == (2, 3 * H):
            total, n = bias.sum(axis=0)[order], slice(2 * H, None)
            total[n] = bias[0, n]
            arrays |= {"b": total, "b_n": bias[1, n]}
        else:
            problem = (
                f"{where} has a bias of shape {bias.shape}, as Keras's GRU with reset_after=False: there "
                "the reset gate acts before the product, which this package does not run"
            )
    else:
        arrays["b"] = bias
    if activation not in (ACTIVATIONS if gates == 1 else ("tanh",)):
        problem = f"{where} has the activation {activation}, which this package does not run"
    return _cell(where, gates, arrays, problem, found, activation)


def _ours(where, part, activation, found):
    name, W_h = part["W_h"]
    gates = _gates(name, W_h.shape)
    arrays = {key: array for key, (_, array) in part.items()}
    if "W_x" not in part:
        return _cell(where, gates, arrays, f"{where} has no W_x: no input, so it cannot be run", found)
    H = len(W_h) // gates
    for key, size in (("b", gates * H), ("b_n", H)):
        if key not in arrays and (key == "b" or gates == 3):
            found.notes.append(f"{where} has no {key}, taken as 0")
            arrays[key] = np.zeros(size, W_h.dtype)
    if gates != 3:
        arrays.pop("b_n", None)
    return _cell(where, gates, arrays, "", found)


def _gates(name, shape):
    """Return 1, 3 or 4 from the shape of a recurrent matrix, rows first."""
    if len(shape) == 2 and shape[1] and shape[0] % shape[1] == 0 and shape[0] // shape[1] in NETWORKS:
        return shape[0] // shape[1]
    raise ValueError(
        f"{name} must have 1, 3 or 4 times as many rows as columns (RNN, GRU, LSTM), got {shape}"
    )


def _cell(where, gates, arrays, problem, found, activation="tanh"):
    """Return a cell with the network that these arrays make, in one dtype."""
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            hint = "; of a quantised network, give the weights as they were before"
            hint = hint if array.dtype.kind in "iu" else ""
            raise TypeError(f"{where}: {name} must be of floats, got {array.dtype}{hint}")
    dtypes = {array.dtype for array in arrays.values()}
    wide = np.result_type(np.float32, *dtypes)
    wide = np.dtype(np.float64 if wide.itemsize > 8 else wide)
    if any(d.itemsize < 4 for d in dtypes):
        found.notes.append(
            f"{where}: half-precision weights, measured in {wide}: in half precision more is lost"
        )
    elif len(dtypes) > 1:
        found.notes.append(
            f"{where}: weights of several dtypes, {_listed(sorted(map(str, dtypes)))}, measured in {wide}"
        )
    arrays = {name: np.ascontiguousarray(array, wide.newbyteorder("=")) for name, array in arrays.items()}
    network = None
    if not problem and all(np.isfinite(a).all() for a in arrays.values()):
        order = [arrays[name] for name in ("W_x", "W_h", "b", "b_n") if name in arrays]
        try:
            network = RNN(*order, activation) if gates == 1 else {3: GRU, 4: LSTM}[gates](*order)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{where}: {error}") from None
    return Cell(where, "", 0, False, network, arrays, gates, problem)


def _from_list(arrays, found):
    """Read the list that Keras's get_weights returns: kernel, recurrent kernel, bias, layer after layer."""
    i, left, read_so_far = 0, 0, []
    while i < len(arrays):
        pair = arrays[i : i + 2]
        shapes = [array.shape for array in arrays[i : i + 4]]
        H = shapes[0][-1] if shapes[0] else 0
        if len(shapes[0]) == 2 and shapes[1:] in ([(H, H), (H, H)], [(H, H), (H, H), (H,)]):
            found.notes.append(
                f"an array of shape {shapes[0]} stands before two of shape {(H, H)}, and is taken for an "
                "embedding; weights with their names, {w.path: w.numpy() for w in model.weights}, say more"
            )
            i, left = i + 1, left + 1
            continue
        if len(pair) == 2 and all(a.ndim == 2 for a in pair) and pair[0].shape[1] == pair[1].shape[1]:
            kernel, recurrent = pair
            H, columns = recurrent.shape
            if H and columns % H == 0 and columns // H in NETWORKS:
                gates, i = columns // H, i + 2
                shapes = [(2, 3 * H), (3 * H,)] if gates == 3 else [(columns,)]
                has_bias = i < len(arrays) and arrays[i].shape in shapes
                bias = arrays[i] if has_bias else np.zeros(shapes[0], recurrent.dtype)
                i += has_bias
                # The second direction of a layer reads what the first reads; the next layer reads H numbers.
                layer, back = 0, False
                if read_so_far:
                    below, reverse, (read_by_last, *_) = read_so_far[-1]
                    back = not reverse and len(read_by_last) == len(kernel) != H
                    layer = below + (not back)
                read_so_far.append((layer, back, (kernel, recurrent, bias)))
                continue
        i, left = i + 1, left + 1
    for layer, back, (kernel, recurrent, bias) in read_so_far:
        where = _name(layer, len(read_so_far)) + ", backward" * back
        gates = recurrent.shape[1] // len(recurrent)
        cell = _from_keras(where, gates, kernel, recurrent, bias, found)
        cell.layer, cell.reverse = layer, back
        found.cells.append(cell)
    if not found.cells:
        shapes = _listed([str(a.shape) for a in arrays]) or "none"
        raise ValueError(
            "network must be a list as Keras's get_weights returns it, kernel (I, kH), recurrent kernel "
            f"(H, kH) and bias with k = 1, 3 or 4, got arrays of shapes {shapes}; from PyTorch, give the "
            "module or its state_dict, for names say which array is which"
        )
    if left:
        found.notes.append(f"{left} arrays of the list are no part of a recurrence")
    if any(cell.gates == 1 for cell in found.cells):
        found.notes.append("weights do not say the activation, so tanh is assumed")
    return found


SCHEMES = {  # the names of each program: their pattern, which of them there must be, and what reads them
    "PyTorch": (TORCH, "weight_hh", _torch),
    "Keras": (KERAS, "recurrent_kernel", _keras),
    "this package": (OURS, "W_h", _ours),
}


# Files.


def load(path) -> Mapping:
    """Return the arrays of a file by name. No pickle is opened; sizes are checked before reading."""
    if not path.is_file():
        what = "the folder " if path.is_dir() else ""
        raise ValueError(f"network must be a file that exists, got {what}{shown(str(path))}")
    readers = {".npz": _npz, ".safetensors": _safetensors, ".pt": _pt, ".pth": _pt, ".bin": _pt}
    if path.suffix not in readers:
        hint = {
            ".npy": "; one array is no network: np.savez(path, W_x=..., W_h=..., b=...)",
            ".h5": "; from Keras: np.savez(path, **{w.path: w.numpy() for w in model.weights})",
            ".keras": "; from Keras: np.savez(path, **{w.path: w.numpy() for w in model.weights})",
        }
        got = f"{shown(str(path))}{hint.get(path.suffix, '')}"
        raise ValueError(f"network must be a file .npz, .safetensors or .pt, got {got}")
    return readers[path.suffix](path)


UNREADABLE = (ValueError, OSError, EOFError, SyntaxError)  # what an .npy file can raise


def _npz(path):
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.filename.endswith(".npy"):
                    raise ValueError(f"it has {shown(info.filename)}, which is no array")
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{shown(info.filename)} is compressed in another way than NumPy's")
                with archive.open(info) as stream:
                    arrays[info.filename.removesuffix(".npy")] = _npy(stream, info.file_size)
    except (*UNREADABLE, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"network must be an .npz file of numpy.savez, got {shown(str(path))}: {error}"
        ) from None
    return arrays


def load_array(path) -> np.ndarray:
    """Return the array of an .npy file."""
    try:
        with path.open("rb") as stream:
            return _npy(stream, path.stat().st_size)
    except UNREADABLE as error:
        raise ValueError(f"x must be an .npy file of numpy.save, got {shown(str(path))}: {error}") from None


def _npy(stream, size):
    """Read one array; its header must promise what the file has, before there is memory for it."""
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"its array is of version {version} of the format")
    shape, fortran, dtype = readers[version](stream)
    if dtype.hasobject:
        raise ValueError("it has Python objects, which only a pickle could restore")
    count = prod(shape)
    if min(shape, default=0) < 0 or count * dtype.itemsize > size:
        raise ValueError(f"it promises an array of shape {shape}, and has {size} bytes")
    if count * dtype.itemsize > LARGEST:
        raise ValueError(f"its array of shape {shape} is larger than {LARGEST} bytes")
    data = stream.read(count * dtype.itemsize)
    array = np.frombuffer(data, dtype, count)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?"}
SAFETENSORS |= {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"}
SAFETENSORS |= {"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1"}
LARGEST = 2**32  # bytes of one array of an .npz: a small file can promise, and hold, any number of zeros
LONGEST_HEADER = 100_000_000  # bytes, the format's own limit


def _safetensors(path):
    """Read a safetensors file: the header's length in 8 bytes, the header in JSON, then the numbers.

    https://github.com/huggingface/safetensors#format
    """
    size, arrays = path.stat().st_size, {}
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > min(size - 8, LONGEST_HEADER):
                raise ValueError(f"its header is said to have {length} bytes, of {size} in all")
            header = json.loads(stream.read(length).decode("utf-8"))
            if not isinstance(header, dict):
                raise ValueError("its header is no dict")
            start = 8 + length
            for name, entry in header.items():
                if name == "__metadata__":
                    continue
                dtype, shape, (low, high) = entry["dtype"], entry["shape"], entry["data_offsets"]
                if not all(type(n) is int and n >= 0 for n in (*shape, low, high)):
                    raise ValueError(f"{name} has sizes or offsets that are no counts")
                if dtype not in SAFETENSORS:
                    raise ValueError(f"{name} has dtype {shown(dtype)}: give its weights as F32")
                kind = np.dtype(SAFETENSORS[dtype])
                if high - low != prod(shape) * kind.itemsize or start + high > size:
                    raise ValueError(
                        f"{name} of shape {tuple(shape)} has the bytes from {low} to {high}, of "
                        f"{size - start}"
                    )
                stream.seek(start + low)
                array = np.frombuffer(stream.read(high - low), kind)
                if dtype == "BF16":  # the upper half of a float32
                    array = (array.astype("<u4") << 16).view("<f4")
                arrays[name] = array.reshape(shape)
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"network must be a safetensors file, got {shown(str(path))}: {said}") from None
    return arrays


def _pt(path):
    try:
        import torch
    except ImportError:
        raise ValueError(
            f"network must be a file that can be read without PyTorch, got {shown(str(path))}: a "
            f"{path.suffix} file is a pickle, and PyTorch is not installed; save it with safetensors, "
            "or as .npz"
        ) from None
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the file makes PyTorch raise
        first = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"network must be a state_dict saved by PyTorch, got {shown(str(path))}: {first}"
        ) from None
    if not isinstance(loaded, Mapping):
        raise ValueError(
            f"network must be a state_dict saved by PyTorch, got {type(loaded).__name__} in "
            f"{shown(str(path))}"
        )
    return loaded
