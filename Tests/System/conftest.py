"""What several test files use."""

import contextlib
import os
import tempfile

import pytest

import container
import jailed
import kube_play
from init_box import Box
from job import Job
from model_client import SCRIPT
from model_server_process import ModelServerProcess
from object_store_process import ObjectStoreProcess
from sandbox import Sandbox


@pytest.fixture
def server(tmp_path):
    """The model server with the script of `model_client`."""
    with ModelServerProcess(SCRIPT, tmp_path) as process:
        yield process


@pytest.fixture(params=sorted({os.getuid(), 1000} if os.getuid() == 0 else {os.getuid()}), ids=lambda uid: f"uid{uid}")
def workspace(request):
    """A project tree with its neighbours, for the present user and, as root, for UID 1000 too."""
    workspace = jailed.Workspace(request.param)
    yield workspace
    workspace.close()


@pytest.fixture
def bucket(request):
    """An object store that verifies signatures: the one that makes faults, or that of an indirect parameter. To be named
    before `new_job`, whose jobs spare what runs already."""
    # Not pytest's folder: as a tmpfs it may be without extended attributes.
    with tempfile.TemporaryDirectory(prefix="agent-init-store-", dir="/var/tmp") as folder, \
            ObjectStoreProcess(getattr(request, "param", "object-store-server"), folder) as store:
        yield store


@pytest.fixture
def new_job():
    """Makes jobs that end with the test: `new_job(script, **settings)`."""
    with contextlib.ExitStack() as jobs:
        yield lambda *arguments, **settings: jobs.enter_context(Job(*arguments, **settings))


@pytest.fixture
def box():
    """agent-init beside a scripted agentd, in a folder of their own."""
    box = Box()
    yield box
    box.close()


@pytest.fixture
def sandbox():
    """A workspace for `agent-init exec` and `doctor`, without a job."""
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def programs_to_install():
    container.need_tools()
    return os.environ.get("AGENT_BIN_DIR", container.ROOT / ".build/release")


@pytest.fixture(scope="session")
def image():
    """The project's image; a container test that cannot run fails."""
    built = container.build(programs_to_install())
    yield built
    container.remove_image(built)


@pytest.fixture(scope="session")
def example_images():
    """The images of examples/k8s, by their names in its manifests."""
    built = kube_play.build(programs_to_install())
    yield built
    for name in built.values():
        container.remove_image(name)
