"""The examples in docstrings: a reader checks their numbers by hand, this runs them."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import u1core
import u1core.measures


def modules(package):
    return [
        name
        for _, name, is_package in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not is_package
    ]


def public_functions(name):
    module = importlib.import_module(name)
    found = inspect.getmembers(module, inspect.isfunction)
    return [f for label, f in found if f.__module__ == name and not label.startswith("_")]


@pytest.mark.parametrize("name", modules(u1core))
def test_examples_are_what_they_say(name):
    module = importlib.import_module(name)
    failed, tried = doctest.testmod(module)
    assert failed == 0
    assert tried == inspect.getsource(module).count(">>> "), "an example that is not run"


@pytest.mark.parametrize("name", modules(u1core.measures))
def test_every_measure_shows_an_example(name):
    missing = [f.__name__ for f in public_functions(name) if ">>> " not in (inspect.getdoc(f) or "")]
    assert missing == []


def test_a_wrong_example_would_be_found():
    found = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(found, out=lambda text: None).failed == 1
