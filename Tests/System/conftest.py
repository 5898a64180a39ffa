import os

import pytest

import jailed


@pytest.fixture(params=sorted({os.getuid(), 1000} if os.getuid() == 0 else {os.getuid()}), ids=lambda uid: f"uid{uid}")
def workspace(request):
    workspace = jailed.Workspace(request.param)
    yield workspace
    workspace.close()
