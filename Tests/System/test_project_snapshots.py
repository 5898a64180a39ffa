"""The project tree in snapshots: archived at the end or always, and brought back onto an empty volume."""

import random
import socket
import subprocess
import tarfile
import time

from job_ends import end_well
from test_snapshots import Objects, WAITS, new_volume, restore
from turns import execute, job_of, turn

TREE = job_of(turn(execute("mkdir -p src node_modules/x build && echo code > src/main && chmod 750 src/main && "
                           "ln -s main src/link && echo big > node_modules/x/y && echo out > build/out && mkfifo pipe")))


def archive(objects):
    [part] = [manifest["project"] for manifest in objects.manifests() if manifest.get("project")]
    return objects.folder / part["key"]


def test_the_end_leaves_the_tree_without_what_is_excluded_and_a_lost_volume_gets_it_back(new_job):
    job = new_job(TREE, AGENT_SNAPSHOT_EXCLUDE="node_modules,build/out")
    objects = Objects(job)
    end_well(job)
    with tarfile.open(archive(objects)) as tar:
        assert {"src/main", "src/link", "build"} <= set(tar.getnames())
        assert not {"node_modules", "node_modules/x/y", "build/out", "pipe"} & set(tar.getnames())
        assert tar.getmember("src/link").issym() and tar.getmember("src/main").mode == 0o750
    assert not list(job.checkpoints.glob("*.snapshot*")), "the archive is left behind"
    new_volume(job)
    assert restore(job)["project"] == "restored"
    assert job.file("src/main") == "code\n" and (job.project / "src/link").readlink().name == "main"
    assert not list(job.workspace.glob("*.restoring")) and not list(job.checkpoints.glob("*.fetched*"))
    # The volume has all: what is there stays.
    (job.project / "src/main").write_text("mine")
    assert restore(job)["project"] == "kept"
    assert job.file("src/main") == "mine"


def test_always_has_the_tree_in_the_snapshot_of_a_stop_and_the_job_goes_on_from_it(new_job):
    job = new_job(WAITS, AGENT_SNAPSHOT_PROJECT="always")
    objects = Objects(job)
    run = job.start()
    run.until("the second command", lambda: job.file("effects") == "one\ntwo\n")
    assert run.stop().code == 143
    assert objects.manifests()[-1]["project"]
    new_volume(job)
    done = restore(job)
    assert (done["project"], done["final"]) == ("restored", True)
    end_well(job)
    assert job.file("effects") == "one\ntwo\nthree\n", "an effect was done twice or lost"


def test_never_archives_nothing(new_job):
    job = new_job(TREE, AGENT_SNAPSHOT_PROJECT="never")
    objects = Objects(job)
    end_well(job)
    assert not any(manifest.get("project") for manifest in objects.manifests())


def test_a_damaged_archive_is_not_extracted_and_the_job_asks(new_job):
    job = new_job(WAITS, AGENT_SNAPSHOT_PROJECT="always")
    objects = Objects(job)
    run = job.start()
    run.until("the second command", lambda: job.file("effects") == "one\ntwo\n")
    assert run.stop().code == 143
    path = objects.folder / objects.manifests()[-1]["project"]["key"]
    damaged = bytearray(path.read_bytes())
    damaged[0] ^= 1
    path.write_bytes(damaged)
    new_volume(job)
    done = restore(job)
    assert (done["project"], done["final"]) == ("damaged", False)
    assert not list(job.project.iterdir()) and not list(job.workspace.glob("*.restoring"))
    assert job.run().message["outcome"] == "needs_input"


def test_a_restore_of_the_tree_that_is_killed_can_be_run_again(new_job):
    job = new_job(job_of(turn(execute("for i in $(seq 300); do mkdir d$i; echo $i > d$i/f; done"))))
    Objects(job)
    end_well(job)
    pause = random.Random(2)
    for _ in range(10):
        new_volume(job)
        process = subprocess.Popen(job.command("restore"), env=job.settings, cwd="/", stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        # At any moment of its work; which one it is tells nothing about what must hold.
        time.sleep(pause.uniform(0, 0.12))
        process.kill()
        process.wait()
        assert len(list(job.project.glob("*/f"))) in (0, 300), "half a tree is in place"
        restore(job)
        assert len(list(job.project.glob("*/f"))) == 300
        assert not list(job.workspace.glob("*.restoring"))


def test_without_a_store_a_restore_that_serves_both_does_nothing(new_job):
    job = new_job(TREE)
    done = job.agent("restore", "--if-configured")
    assert done.returncode == 0, done.stderr
    assert job.agent("restore").returncode == 78


def test_a_store_that_accepts_and_never_answers_starts_no_job_and_holds_none_up(new_job):
    # Without an answer nobody knows who owns the job: it ends with 75 within its patience, and nothing was done.
    with socket.create_server(("127.0.0.1", 0)) as server:
        job = new_job(TREE, AGENT_SNAPSHOT_URL="s3://bucket/agents",
                      AGENT_S3_ENDPOINT=f"http://127.0.0.1:{server.getsockname()[1]}")
        job.put_secret("s3-access-key-id", "key-id")
        job.put_secret("s3-secret-access-key", "secret-key")
        ended = job.run()
    assert ended.code == 75 and "who owns the job" in ended.message["reason"]
    assert not job.ask("SELECT 1 FROM event WHERE kind = 'call_started'")
