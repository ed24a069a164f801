"""Keras with its torch backend, imported once, only for the tests that ask for it, and nothing of it left behind."""

import os

import pytest


@pytest.fixture(scope="session")
def keras(tmp_path_factory):
    """Keras on the torch backend; its own configuration file goes to a folder of the tests."""
    before = {name: os.environ.get(name) for name in ("KERAS_BACKEND", "KERAS_HOME")}
    os.environ |= {"KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path_factory.mktemp("keras"))}
    try:
        return pytest.importorskip("keras")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
