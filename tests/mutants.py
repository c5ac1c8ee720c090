"""Mutation testing, by ``make mutants``: a change in the numerics that no test sees is explained, or a hole.

mutmut makes the changes one at a time, and runs the tests that reach the function. What it finds stays in the
folder `mutants`, and counts until the function changes; ``make clean`` forgets it. Arguments go to ``mutmut
run``.
"""

import re
import subprocess
import sys
from collections import Counter, defaultdict
from fnmatch import fnmatch

# What no test can see: the function, a pattern of the changed line, and why.
EXPLAINED = [
    ("*", r"\bzip\(.*, (strict=None|strict=False)?\)", "all are of one length"),
    ("*", r"reshape\(.*-2[,)]", "any negative number stands for the rest"),
    ("*", r'check_kind\(.*"XX(iu|fiub|f)XX"', "no kind of array is called X"),
    ("*", r"take_along_axis\(\w+, \w+, \)", "-1 is the default since NumPy 2.3"),
    ("*.*ward", r"finite=None", "as false as False"),
    ("*.*ward", r'finite=True|check_array\("(x|dh|h)", .*, \)', "found before, not after"),
    ("*.forward", r"\+= np\.(dot|multiply)\(.*, (out=None)?\)|tanh\(c_t, (out=None)?\)", "an array more"),
    ("training.fit", r"check_finite\(None", "the message is dropped"),
    ("training.fit", r"np\.array\(rows, (None)?\)", "they are floats, or none"),
    ("training._check_sizes", r"else h\[", "all are of one shape"),
    ("training._differentiate", r'check_finite\((None|"XX|"LOSS)', "the message is dropped"),
    ("training._differentiate", r"asarray\(loss, (None)?\)", "a loss is a number already"),
    ("training.fit", r"set_postfix\(.*(share, |refresh=None|refresh=True)\)", "drawn more often"),
    ("spectrum.classify", r"radius >= 1", "a radius of 1 is steady, and asked for that first"),
    ("spectrum.lyapunov_exponents", r"exponents, (-901|\+900)| 1021 -", "other limits do as well"),
    ("spectrum.lyapunov_exponents", r"11 \* n|axis=None|>= -np|small \|", "more columns are looked at twice"),
    ("spectrum._orthonormalize", r"range\(3\)", "a third time changes nothing more"),
    ("orthogonal.random_orthogonal", r"Q /= ", "a sign is its own inverse"),
    ("orthogonal.random_orthogonal", r"rows > columns", "the transpose of a square one is as random"),
    ("clipping._measure", r"arrays, 0\.0, 2\.0", "a multiple of 0"),
    ("_checks._all_finite", r"value\.size >|ravel\(", "a matter of speed"),
    ("_checks.check_dtype", r"itemsize <= 3", "no type of floats has three bytes"),
    ("_checks.check_square", r"shape\[-2\]", "the two are equal"),
    ("_checks.*", r"type\(None\) is not", "a matter of speed"),
    ("_checks.check_weights", r"check_array\(.*\), \)", "found before, not after"),
    ("_checks.check_weights", r"get\(rows / ", "3.0 is the same key as 3"),
    ("_checks.check_overflow", r"return False", "a matter of speed"),
    ("_checks.check_weights", r"gates > 2", "no network has two gates"),
    ("_checks.check_methods", r"\.rpartition", "no method is written with two parentheses"),
    ("_checks.check_matrix_shape", r"check_integer\(None", "the message is replaced"),
    ("rnn.RNN.forward", r"recurrent = None", "np.dot makes an array of its own"),
    ("rnn.RNN.backward", r"dh\.ndim == 4", "a window of the whole sequence gives the same"),
    (
        "lstm.LSTM.forward",
        r"product = .*np\.empty\(\(B, H\)(, None|, )\)",
        "a place for products may be longer",
    ),
    ("lstm.LSTM.step_jacobians", r"by_z = np\.empty\(.*\), (None)?\)", "rounded later"),
    ("gru.GRU.*", r"by_[an] = .*np\.empty\(.*\), (None)?\)|da, dn = .*\), (None)?\)", "rounded later"),
    ("gru.GRU.step_jacobians", r"B, 4, H", "a place may be larger"),
    ("*.*", r"_local_derivatives\(state, slice\(None\)", "there are no more than T steps"),
    ("*._backward_full", r"block = ", "a matter of speed"),
    ("lstm.LSTM._backward_full", r"arriving = .*\), (None)?\)", "rounded later"),
    ("lstm.LSTM._backward_full", r"arriving\[:, :4\]", "the fourth is written next"),
    ("lstm.LSTM._to_gates", r"axis=\+2", "there are four axes"),
    ("gru.GRU.forward", r"change = .*np\.empty\(\(B, H\)(, None|, )\)", "a place for products may be longer"),
    ("tasks.Task.__call__", r"check_array\((f'.*'|f\".*\"|name), \w+, None, ", "it has the type already"),
    ("tasks.Task.__call__", r"astype\(dtype, (copy=None|copy=True)?\)", "a copy more"),
    ("tasks._adding", r"length / 2", "NumPy rounds the ends down"),
    ("tasks._temporal_order", r"length / 10", "NumPy rounds the ends down"),
    ("_growth._mean_log", r"-31\.0|61\.0", "other limits do as well"),
    (
        "_growth._mean_log",
        r"\] / y|log1p\(3 \*",
        "y is integrated from 0 to infinity, on a logarithmic scale",
    ),
    ("_growth._*Steps.__init__", r"astype\(None\)", "None stands for float64"),
    ("_growth._*Steps.ahead", r"axis=\+2", "there are four axes"),
    ("_growth.growth_of_inputs", r"compute_uv=None", "as false as False"),
    ("_growth.growth_of_inputs", r">= 0, s|, 2\.0\)", "where all is lost, what is left of it does not count"),
    ("tasks._agreement", r"3 \* length", "more random numbers than are needed"),
]

# mutmut leaves out every function with a decorator. `refuse_overflow` stands on most of the numerics, and may
# stand on a copy too: it is not seen. And mutmut runs the fastest of thousands of tests first; a module's own
# tests see most of its changes, and need not wait for the rest to be collected.
MUTMUT = """
from mutmut.__main__ import cli
from mutmut.mutation.file_mutation import MutationVisitor, cst
from mutmut.runners.harness import PytestRunner

skip = MutationVisitor._skip_node_and_children

def skip_others(self, node):
    if isinstance(node, cst.FunctionDef):
        seen = [d for d in node.decorators if getattr(d.decorator, "value", None) != "refuse_overflow"]
        node = node.with_changes(decorators=seen)
    return skip(self, node)

MutationVisitor._skip_node_and_children = skip_others
run = PytestRunner.run_tests

def own_first(self, *, mutant_name, tests):
    if not mutant_name:
        return run(self, mutant_name=mutant_name, tests=tests)
    own = f"tests/test_{mutant_name.split('.')[1]}.py::"
    parts = [[t for t in tests if t.startswith(own) == is_own] for is_own in (True, False)]
    codes = (run(self, mutant_name=mutant_name, tests=part) for part in parts if part)
    return next(filter(None, codes), 0)

PytestRunner.run_tests = own_first
cli()
"""
MUTMUT = [sys.executable, "-c", MUTMUT]


def ask(*arguments):
    return subprocess.run([*MUTMUT, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout


def explanation(function, changed):
    return next(
        (entry for entry in EXPLAINED if fnmatch(function, entry[0]) and re.search(entry[1], changed)), None
    )


def findings():
    """Return {module: number of each status}, the explanations in use, and {name: diff} of what has none."""
    counts, used, unexplained = defaultdict(Counter), set(), {}
    for line in ask("results", "--all", "True").splitlines():
        name, status = line.strip().split(": ")
        module, function = re.fullmatch(r"rnn_notes\.(\w+)\.x[_ǁ](\w+)__mutmut_\d+", name).groups()
        if status not in ("killed", "timeout", "not checked"):
            diff = ask("show", name)
            changed = "\n".join(re.findall(r"^\+ .*", diff, re.MULTILINE))
            entry = explanation(f"{module}.{function.replace('ǁ', '.')}", changed)
            if entry:
                used.add(entry)
                status = "explained"
            else:
                unexplained[name] = diff
        counts[module][status] += 1
    return counts, used, unexplained


def main(*arguments):
    subprocess.run([*MUTMUT, "run", *arguments], check=True)
    counts, used, unexplained = findings()
    if unexplained:  # some may be from an earlier run, with other tests
        options = [argument for argument in arguments if not argument.startswith("rnn_notes")]
        subprocess.run([*MUTMUT, "run", *options, *unexplained], check=True)
        counts, used, unexplained = findings()
    print("", *unexplained.values(), sep="\n")
    for module, count in counts.items():
        print(f"{module}: " + ", ".join(f"{number} {status}" for status, number in sorted(count.items())))
    complete = not any(count["not checked"] for count in counts.values())
    unused = [entry for entry in EXPLAINED if complete and entry not in used]
    for entry in unused:
        print(f"explained, but no mutant that survives: {entry}")
    print(f"{len(unexplained) or 'none'} unexplained")
    return len(unexplained) + len(unused) > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
