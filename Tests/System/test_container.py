"""The image in a container that is restricted as a pod is: a whole job, SIGTERM, SIGKILL, and what its jail hides."""
import contextlib
import json
import pathlib
import time

import pytest

import container
from model_server_process import ModelServerProcess
from nats_client import NATS
from nats_process import NATSProcess
from turns import execute, job_of, turn

HERE = pathlib.Path(__file__).resolve().parent
KEY = "test-key-of-the-container-tests"


@pytest.fixture
def pod(image, tmp_path):
    made = container.Pod(tmp_path / "pod", image)
    made.put_secrets({"anthropic-api-key": KEY})
    yield made
    for started in made.containers:
        print(f"--- container {started.id[:12]}\n{started.output()}")
    made.remove()


def eventually(what, condition, timeout=60):
    """Waits until the condition gives something true, and returns that."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    pytest.fail(f"not within {timeout} s: {what}")


def read(path):
    """A file that the container may not have written yet."""
    try:
        return pathlib.Path(path).read_text()
    except FileNotFoundError:
        return ""


@pytest.fixture
def model(tmp_path):
    """Starts the model server with one of our scripts, on this machine's loopback, which the container shares."""
    with contextlib.ExitStack() as running:
        yield lambda script: running.enter_context(ModelServerProcess(HERE / "scripts" / script, tmp_path))


def settings(model, **more):
    return {
        "JOB_ID": "container-test",
        "AGENT_TASK": "Do what the script says.",
        "AGENT_BASE_URL": model.url,
        "AGENT_MODEL": "scripted",
        "AGENT_LISTEN": "off",
        **more,
    }


def no_script_error(model):
    """Each turn's tools were offered and each result that the script expects was there."""
    return not [request for request in model.log() if "script_error" in request]


def end_well(pod, started):
    """Waits for the container to end and checks all the places where a finished job says so."""
    assert started.wait() == 0, started.output()
    message = json.loads(pod.termination_log.read_text())
    assert message["outcome"] == "completed", message
    assert len(pod.termination_log.read_bytes()) <= 4096
    assert KEY not in started.output() + json.dumps(message)


SYSTEM_CALLS = r"""
import ctypes, errno, json, os
libc = ctypes.CDLL(None, use_errno=True)
x86 = os.uname().machine == "x86_64"
calls = {
    "unshare": ((272, 97), 0x10000000), "mount": ((165, 40), 0, 0, 0, 0, 0), "setns": ((308, 268), -1, 0),
    "bpf": ((321, 280), 0, 0, 0), "keyctl": ((250, 219), 0, 0), "userfaultfd": ((323, 282), 0),
    "perf_event_open": ((298, 241), 0, 0, -1, -1, 0), "io_uring_setup": ((425, 425), 1, 0),
    "pidfd_getfd": ((438, 438), -1, 0, 0), "clone_user": ((56, 220), 0x10000011, 0, 0, 0, 0), "chroot": ((161, 51), 0),
    "clone3": ((435, 435), 0, 0),
}
answers = {}
for name, (numbers, *arguments) in calls.items():
    result = libc.syscall(numbers[0 if x86 else 1], *map(ctypes.c_long, arguments))
    answers[name] = "done" if result != -1 else errno.errorcode[ctypes.get_errno()]
answers["landlock"] = libc.syscall(444, None, ctypes.c_long(0), ctypes.c_long(1))
status = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
answers["status"] = {name: status[name] for name in ("NoNewPrivs", "Seccomp", "CapBnd", "CapEff", "CapPrm", "NSpid")}
answers["id"] = [os.getuid(), os.getgid(), os.getgroups()]
answers["writable"] = [p for p in ("/", "/usr/local/bin", "/home/agent", "/var/secrets", "/workspace", "/tmp",
                                   "/home/agent/.local", "/dev/shm") if os.access(p, os.W_OK)]
print(json.dumps(answers))
"""


def test_the_container_is_as_restricted_as_a_pod(pod):
    # What the other tests prove is worth only as much as this: the place they run in is as narrow as the real one.
    started = pod.start({}, entrypoint=["python3", "-c", SYSTEM_CALLS])
    assert started.wait() == 0, started.output()
    answers = json.loads(started.output())
    assert answers.pop("clone3") == "ENOSYS"
    assert answers.pop("landlock") >= 1
    none = "0" * 16
    assert answers.pop("status") == {
        "NoNewPrivs": "1", "Seccomp": "2", "CapBnd": none, "CapEff": none, "CapPrm": none, "NSpid": "1",
    }  # fmt: skip
    assert answers.pop("id") == [1000, 1000, [1000]]
    assert answers.pop("writable") == ["/workspace", "/tmp", "/home/agent/.local", "/dev/shm"]
    assert set(answers.values()) == {"EPERM"}, answers


def test_a_job_runs_to_its_verified_end(pod, model, tmp_path):
    script = model("whole-job.json")
    with NATSProcess(tmp_path / "nats") as nats:
        started = pod.start(settings(script, NATS_URL=nats.url, AGENT_NATS_CREATE_STREAMS="true"))
        end_well(pod, started)
        with NATS(nats.url) as client:
            records = [record for _, record in client.stored("logs.agent.container-test")]
            events = [event for _, event in client.stored("events.agent.container-test")]
    assert (pod.workspace / "project/add.py").read_text() == "def add(a, b):\n    return a + b\n"
    assert no_script_error(script)
    numbers = [record["seq"] for record in records]
    assert numbers and numbers == sorted(set(numbers))
    assert events and all(event["specversion"] == "1.0" for event in events)


@pytest.mark.parametrize(
    ("signal", "exit_code", "words"),
    [("TERM", 143, "was told to stop while the command ran"), ("KILL", 137, "running when its process was killed")],
)
def test_a_job_stopped_in_a_command_goes_on_where_it_was(pod, model, signal, exit_code, words):
    script = model("interrupted-job.json")
    runs = pod.workspace / "project/runs"
    first = pod.start(settings(script))
    eventually("the command that waits", lambda: read(runs) == "first\nwaiting\n" or not first.running())
    assert first.running(), first.output()
    first.send(signal)
    assert first.wait() == exit_code, first.output()
    # Written ahead at a change of phase, or not at all; never a success.
    message = pod.termination_log.read_text()
    assert not message or json.loads(message)["outcome"] != "completed", message

    second = pod.start(settings(script))
    end_well(pod, second)
    # Each line was written by one call of the script, so this is every call that ran, and how often.
    assert read(runs) == "first\nwaiting\nsecond\n"
    assert read(pod.workspace / "project/journal") == "first\nsecond\n"
    told = [request["last_text"] for request in script.log() if request["position"] == 3]
    assert told and all(words in text for text in told), told
    # Once, and of this call alone: no other result of the job speaks of it.
    assert {request["position"] for request in script.log() if words in request["last_text"]} == {3}
    assert no_script_error(script)


def test_the_jail_of_the_container_hides_what_is_not_the_models(pod, model):
    script = model("prying-job.json")
    started = pod.start(settings(script, SOME_VARIABLE="of the container"))
    end_well(pod, started)
    report = dict(line.split() for line in read(pod.workspace / "project/report.txt").splitlines())
    open_places = {place for place, answer in report.items() if answer == "open"}
    assert open_places == {"project", "tmp", "local"}, report
    assert len(report) == 17, report
    seen = read(pod.workspace / "project/seen")
    # The names that the script itself tried stand in its error messages.
    assert KEY not in seen and "SQLite format" not in seen and "AGENT_TASK" not in seen
    environment = read(pod.workspace / "project/environment.txt")
    assert "SOME_VARIABLE" not in environment and "AGENT_" not in environment and "JOB_ID" not in environment
    assert not (pod.workspace / "project/strategic-write").exists()


def test_a_command_that_would_fill_the_pods_memory_is_ended_and_the_pod_is_not(pod, tmp_path):
    hog = "echo begun >> log; python3 -c 'bytearray(1 << 30)'; echo not reached >> log"
    shared = "head -c 600M /dev/zero > $TMPDIR/big && cat $TMPDIR/big $TMPDIR/big | wc -c && rm $TMPDIR/big"
    job = job_of(turn(execute(hog)),
                 turn(execute(shared), expect=["the command was ended: the pod's memory is", "of 300 MiB"]),
                 turn(execute("cat log"), expect=["1258291200"]))
    with ModelServerProcess(job, tmp_path) as model:
        started = pod.start(settings(model, AGENT_LOG_FORMAT="json"), memory="300m")
        end_well(pod, started)
        assert no_script_error(model)
    assert read(pod.workspace / "project/log") == "begun\n"
    records = [json.loads(line) for line in started.output().splitlines() if '"exhausted"' in line]
    assert len(records) == 1 and "memory" in json.dumps(records[0]), records


# What a container's own seccomp profile and masked paths refuse to everyone in it: there the jail cannot be seen to.
REFUSED_TO_ALL = {
    "make a new user namespace", "take a descriptor of another process", "keep a key in the kernel",
    "be told by fanotify what happens beside the project",
    # All that a container starts is in the group of its first process, 1, and kill(2) takes -1 for everybody.
    "signal another process's group",
}


def test_no_escape_works_in_the_container_that_works_there_without_the_jail(pod):
    tests = pod.folder / "tests"
    tests.mkdir(mode=0o755)
    for name in ("escapes.py", "escapes_here.py", "jailed.py"):
        (tests / name).write_text((HERE / name).read_text())
        (tests / name).chmod(0o644)
    started = pod.start({"AGENT_BIN_DIR": "/usr/local/bin"}, "-B", "/tests/System/escapes_here.py",
                        entrypoint=["/usr/bin/python3"], mounts={"/tests/System": tests})
    assert started.wait(timeout=300) == 0, started.output()
    outcomes = [json.loads(line) for line in started.output().splitlines()]
    assert {one["uid"] for one in outcomes} == {1000}
    got_out = {one["escape"]: one for one in outcomes if one["jailed"] in (0, 125)}
    assert not got_out
    assert {one["escape"] for one in outcomes if one["bare"] != 0} == REFUSED_TO_ALL
    assert len(outcomes) - len(REFUSED_TO_ALL) >= 60
