"""What holds for the package as a whole: what is public, what an import loads."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rnn_notes

MODULES = {
    module.name: importlib.import_module(f"rnn_notes.{module.name}")
    for module in pkgutil.iter_modules(rnn_notes.__path__)
    if not module.name.startswith("_") and module.name != "figures"
}


def defined(module):
    """Return the public functions and classes of a module, by name."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    }


def test_everything_public_is_importable_from_the_package():
    public = {name: value for module in MODULES.values() for name, value in defined(module).items()}
    assert len(public) > 30
    assert public.keys() <= set(rnn_notes.__all__)
    assert all(getattr(rnn_notes, name) is value for name, value in public.items())


def test_the_package_names_its_modules():
    for name in MODULES:
        assert f"`rnn_notes.{name}`" in rnn_notes.__doc__


def test_no_public_name_hides_a_module():
    for name, module in MODULES.items():
        assert getattr(rnn_notes, name) is module


CALLABLE = [name for name in rnn_notes.__all__ if callable(getattr(rnn_notes, name))]


@pytest.mark.parametrize("name", CALLABLE)
def test_every_public_name_says_what_it_is_and_shows_it(name):
    value = getattr(rnn_notes, name)
    doc = inspect.getdoc(type(value) if isinstance(value, rnn_notes.Activation | rnn_notes.Task) else value)
    if inspect.isfunction(value) and inspect.signature(value).parameters:
        for section in ("Parameters", "Returns"):
            assert f"\n{section}\n-----" in doc, section
        for parameter in inspect.signature(value).parameters:
            assert re.search(rf"^(\w+, )*{parameter}(, \w+)* : ", doc, re.MULTILINE), parameter
    result = name.endswith(("Gradients", "State", "Motion", "History", "Table"))  # shown where it is returned
    assert result or ">>> " in doc


FUNCTIONS = [name for name in CALLABLE if inspect.isfunction(getattr(rnn_notes, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_the_reference_promises_of_every_function_is_true(name):
    """An argument of the wrong type raises an error that names it; so no docstring has to repeat it."""
    function = getattr(rnn_notes, name)
    parameters = inspect.signature(function).parameters
    with pytest.raises((TypeError, ValueError)) as error:
        function(**dict.fromkeys(parameters, object()))
    assert re.match(rf"({'|'.join(parameters)})\b.* must ", str(error.value))


@pytest.mark.parametrize("module", MODULES)
def test_an_editor_can_complete_what_comes_back(module):
    """Every public function, method and property says what it returns."""
    for value in defined(MODULES[module]).values():
        for function in [value, *vars(value).values()] if inspect.isclass(value) else [value]:
            function = function.fget if isinstance(function, property) else function
            if inspect.isfunction(function) and not function.__name__.startswith("_"):
                assert "return" in function.__annotations__, function.__qualname__


def test_the_package_says_that_its_annotations_count():
    assert (Path(rnn_notes.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("other", ["matplotlib", "tqdm"])
def test_the_import_loads_neither(other):
    code = f"import sys, rnn_notes; sys.exit({other!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
