<<<<<<< HEAD
"""What several test files use."""

import pytest

from model_client import SCRIPT
from model_server_process import ModelServerProcess


@pytest.fixture
def server(tmp_path):
    """The model server with the script of `model_client`."""
    with ModelServerProcess(SCRIPT, tmp_path) as process:
        yield process
=======
import os

import pytest

import jailed


@pytest.fixture(params=sorted({os.getuid(), 1000} if os.getuid() == 0 else {os.getuid()}), ids=lambda uid: f"uid{uid}")
def workspace(request):
    workspace = jailed.Workspace(request.param)
    yield workspace
    workspace.close()
>>>>>>> e1b1f42f9b79d2c16e140153060d493470691156
