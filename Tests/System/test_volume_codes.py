"""A volume that fails, has gone or is read-only when a job starts is 75: the platform mends it. What the configuration has
wrong, a missing mount or a missing permission, is 78."""

import contextlib
import ctypes
import errno
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import fault_points
from job import UID, Job
from job_ends import end_well, refuse
from turns import SMALL_JOB

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mounts need root")
needs_fuse = pytest.mark.skipif(os.getuid() != 0 or not os.path.exists("/dev/fuse"), reason="needs root and /dev/fuse")
BUSY = {"status": 529, "times": 100_000}
LIBC = ctypes.CDLL(None, use_errno=True)
FOLDERS = {"workspace": "WORKSPACE_PATH", "workspace/project": "AGENT_PROJECT_DIR", "workspace/checkpoints": "AGENT_CHECKPOINT_DIR"}


def begun(new_job, **settings):
    """A job that has begun and waits for the LLM, and the same with an LLM that has time."""
    first, *rest = SMALL_JOB["turns"]
    job = new_job({"turns": [{**first, "fault": BUSY}, *rest]}, AGENT_LLM_OUTAGE_SECONDS="0", **settings)
    ended = job.run()
    assert ended.code == 75 and ended.message["outcome"] == "try_again", ended
    job.change(AGENT_LLM_OUTAGE_SECONDS=None)
    job.serve(SMALL_JOB)
    return job


@contextlib.contextmanager
def own_volume(path):
    """Puts a folder on a volume of its own, with what it has."""
    path.mkdir(exist_ok=True)
    kept = path.with_name(path.name + ".kept")
    shutil.copytree(path, kept, symlinks=True)
    options = f"size=200m,mode=700,uid={UID},gid={UID}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "volume", path], check=True)
    try:
        shutil.copytree(kept, path, symlinks=True, dirs_exist_ok=True)
        for place in [path, *path.rglob("*")]:
            os.lchown(place, UID, UID)
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def remount(path, how):
    subprocess.run(["mount", "-o", f"remount,{how}", path], check=True)


@needs_root
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_volume_that_has_become_read_only_is_75_and_goes_on_when_it_is_mended(new_job, folder):
    job = begun(new_job)
    with own_volume(job.root / folder):
        remount(job.root / folder, "ro")
        # The workspace itself is only passed through: what is made in it is found first.
        setting = FOLDERS[folder].replace("WORKSPACE_PATH", "AGENT_CHECKPOINT_DIR")
        ended = refuse(job, 75, "storage", setting, "Read-only file system", "its volume is read-only")
        assert ended.err.count("Read-only file system") == 1, ended.err
        remount(job.root / folder, "rw")
        ended = job.run()
        assert ended.code == 0, ended


@needs_root
def test_a_root_that_is_read_only_where_a_mount_is_missing_is_78():
    """As in a pod with readOnlyRootFilesystem and no volume at its workspace, be the folder in the image or not."""
    with tempfile.TemporaryDirectory(prefix="agent-init-root-", dir="/var/tmp") as name:
        root = pathlib.Path(name)
        root.chmod(0o755)
        in_image = root / "in-the-image"
        in_image.mkdir()
        os.chown(in_image, UID, UID)
        # What the job may write without a workspace lies on another file system than the root.
        with own_volume(root / "volume"), Job(SMALL_JOB, base=root / "volume") as job:
            for workspace, setting in (("/not-in-the-image", "WORKSPACE_PATH"), (str(in_image), "AGENT_CHECKPOINT_DIR")):
                job.change(WORKSPACE_PATH=workspace)
                under = ["unshare", "-m", "sh", "-c", 'mount -o remount,bind,ro / && exec "$@"', "sh"]
                refuse(job, 78, "configuration", setting, workspace, "Read-only file system", under=under)


def dead_volume(path):
    """A file system whose server has gone, as that of a FUSE or Ceph volume: each call fails with ENOTCONN."""
    path.mkdir(exist_ok=True)
    server = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0,allow_other"
    assert LIBC.mount(b"volume", str(path).encode(), b"fuse", 0, options.encode()) == 0, os.strerror(ctypes.get_errno())
    os.close(server)


@needs_fuse
@pytest.mark.parametrize(("folder", "setting"), [*FOLDERS.items(), ("home", "AGENT_HOME"), ("tmp", "AGENT_TMP")])
def test_a_volume_whose_server_has_gone_is_75(new_job, folder, setting):
    job = begun(new_job)
    place = job.root / folder
    if "workspace" not in folder:
        place.mkdir()
        job.own(place)
        job.change(**{setting: str(place)})
    dead_volume(place)
    try:
        refuse(job, 75, "storage", setting, str(place), "Transport endpoint is not connected", "mend its volume")
    finally:
        subprocess.run(["umount", "-l", place], check=True)
    end_well(job, forgot=True)


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EUCLEAN], ids=errno.errorcode.get)
@pytest.mark.parametrize(("point", "setting"), [("access folder", "AGENT_CHECKPOINT_DIR"), ("statfs folder", "AGENT_CHECKPOINT_DIR"),
                                                ("access project", "AGENT_PROJECT_DIR")])
def test_a_volume_that_fails_a_look_at_its_folder_is_75(new_job, point, setting, code):
    job = begun(new_job)
    job.change(**fault_points.settings(at=f"{point} 1+", what=code))
    refuse(job, 75, "storage", setting, os.strerror(code), "mend its volume")
    job.change(**{name: None for name in fault_points.settings(at="access folder 1")})
    end_well(job, forgot=True)


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE], ids=errno.errorcode.get)
def test_a_volume_that_fails_the_opening_of_checkpoint_and_spool_is_75(new_job, code):
    job = begun(new_job)
    job.change(**fault_points.settings(at="open database 1+", what=code))
    ended = job.run()
    assert ended.code == 75 and ended.message["outcome"] in ("storage", "gateway"), ended
    assert os.strerror(code) in ended.message["reason"] and "volume" in ended.message["reason"]
    job.change(**{name: None for name in fault_points.settings(at="access folder 1")})
    end_well(job, forgot=True)


@needs_root
def test_a_folder_that_may_not_be_written_stays_78(new_job):
    job = new_job(SMALL_JOB)
    job.checkpoints.mkdir(mode=0o700)
    refuse(job, 78, "configuration", "AGENT_CHECKPOINT_DIR", f"UID {UID}", "Permission denied")
