"""What several test files use."""

import pytest

from model_client import SCRIPT
from model_server_process import ModelServerProcess


@pytest.fixture
def server(tmp_path):
    """The model server with the script of `model_client`."""
    with ModelServerProcess(SCRIPT, tmp_path) as process:
        yield process
