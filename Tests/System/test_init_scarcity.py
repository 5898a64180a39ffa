"""agent-init where something is missing or used up: a clean error or none at all, never a hang, never kill(0)."""

import os
import platform
import signal
import subprocess
from pathlib import Path

import pytest

from init_box import done, init_or_not, needs_root, pid_of_init, until

# A user who has no other process: the limit counts all of one's processes on the machine.
NOBODY_ELSE = ["setpriv", "--reuid=64322", "--regid=64322", "--clear-groups", "--"]
WITH_FILTER = str(Path(__file__).with_name("with_filter.py"))
# fork, vfork, clone and clone3 of linux/unistd.h, each answered with EAGAIN.
NO_FORK = {"x86_64": ["56=11", "57=11", "58=11", "435=11"], "aarch64": ["220=11", "435=11"]}[platform.machine()]


# MARK: no process to be had

@needs_root
def test_no_process_for_the_command_is_70_and_nobody_is_signalled(box):
    """A neighbour in our process group sees what a kill(0) would do."""
    line = (f"sleep 60 & prlimit --nproc=1:1 {' '.join(NOBODY_ELSE)} {box.folder}/agent-init run -- true; code=$?; "
            "kill -0 $! || exit 1; kill -9 $!; exit $code")
    code, out, log = box.run("-c", line, init=False, program="/bin/sh", start_new_session=True)
    assert code == 70 and "no process can be started: Resource temporarily unavailable" in log, log


def test_a_seccomp_filter_that_refuses_every_fork_is_70_and_nobody_is_signalled(box):
    line = (f"sleep 60 & {WITH_FILTER} {' '.join(NO_FORK)} -- {box.folder}/agent-init run -- /bin/true; code=$?; "
            "kill -0 $! || exit 1; kill -9 $!; exit $code")
    code, out, log = box.run("-c", line, init=False, program="/bin/sh", start_new_session=True)
    assert code == 70 and "no process can be started: Resource temporarily unavailable" in log, log


def test_an_agent_that_no_child_can_be_started_for_says_so_and_ends(box):
    box.script([done(0)])
    line = (f"sleep 60 & {WITH_FILTER} {' '.join(NO_FORK)} -- {box.folder}/agent-init run; code=$?; "
            "kill -0 $! || exit 1; kill -9 $!; exit $code")
    code, out, log = box.run("-c", line, init=False, program="/bin/sh", start_new_session=True)
    assert code == 70 and "could not be started (posix_spawn" in box.message["reason"], log
    assert "Resource temporarily unavailable" in box.message["reason"] and box.message["exit_code"] == 70


def limit(pid, processes):
    """As the process's own user: root may have no CAP_SYS_RESOURCE."""
    subprocess.run([*NOBODY_ELSE, "prlimit", f"--pid={pid}", f"--nproc={processes}"], check=True)


@needs_root
def test_a_restart_that_finds_no_process_is_tried_again_until_there_is_one(box):
    box.script([[["until", "die"], ["die", 9]], done(0)])
    log = open(box.folder / "log", "w+b")
    process = box.start(*NOBODY_ELSE[1:], str(box.folder / "agent-init"), "run", init=False, program=NOBODY_ELSE[0],
                        stderr=log)
    box.wait_for("loop_starts")
    box.wait_for("gateway_starts")
    limit(process.pid, "1:")
    (box.folder / "die").touch()
    until(lambda: b"could not be started" in (box.folder / "log").read_bytes(), "the failed restart")
    limit(process.pid, "4096:")
    assert box.finish(process)[0] == 0 and box.message["restarts"] >= 2
    log.close()


# MARK: no /proc

@needs_root
@pytest.mark.parametrize("init", [True, False], ids=["PID 1", "a subreaper"])
def test_without_proc_a_command_runs_and_its_end_is_bounded(box, init):
    """Without /proc nobody but PID 1 can be found: what ignores our end is left to the kernel, and that is said."""
    (box.folder / "command").write_text(
        "sh -c \"trap '' TERM; touch $FAKE/held; sleep 30\" & (sleep 0 &)\n"
        "while [ ! -e $FAKE/held ]; do sleep 0.01; done; exit 21\n")
    line = (f"umount -l /proc; {'exec' if init else ''} {box.folder}/agent-init run --grace 1 -- sh $FAKE/command; "
            "code=$?; kill -9 -1; exit $code")
    code, _, log = box.run("--mount", "--pid", "--fork", "/bin/sh", "-c", line, init=False, program="unshare")
    assert code == 21 and "SIGKILL to" in log and (init or "did not end even after SIGKILL" in log), log


# MARK: a full disk, a closed log

@init_or_not
def test_a_log_on_a_full_disk_changes_nothing(box, init):
    with open("/dev/full", "wb") as full:
        assert box.finish(box.start("run", "--", "sh", "-c", "(sleep 60 &); exit 5", init=init, stderr=full))[0] == 5
        box.script([[["die", 9]], done(0)])
        assert box.finish(box.start("run", init=init, stdout=full, stderr=full))[0] == 0


@needs_root
def test_a_termination_log_on_a_disk_that_fills_up_is_said_and_changes_nothing(box):
    box.script([[["call", ["/bin/sh", "-c", "cat /dev/zero > /mnt/fill"]], ["status", "phase=TACTICAL\tstep=1\tseq=2"]]
                + done(1, "failed", "x" * 900)])
    line = f"mount -t tmpfs -o size=64k none /mnt && exec {box.folder}/agent-init run"
    code, _, log = box.run("--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", line, init=False,
                           program="unshare", env={"AGENT_TERMINATION_LOG": "/mnt/termination-log"})
    assert code == 1 and "exit code 1" in log, log


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors_do_not_keep_a_command_from_running(box, closed):
    line = f"{box.folder}/agent-init run -- sh -c '(sleep 60 &); exit 5' {closed}"
    assert box.run("-c", line, init=False, program="/bin/sh")[0] == 5


def test_no_descriptor_to_be_had_is_a_clean_error(box):
    box.script([done(0)])
    for arguments in (["run"], ["run", "--", "true"]):
        code, _, log = box.run("--nofile=3:3", str(box.folder / "agent-init"), *arguments, init=False, program="prlimit")
        assert code == 70 and "Too many open files" in log, log


# MARK: memory

def anonymous_and_resident(pid):
    """KiB of one process: its own memory, and all of it, the program's pages included."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    fields = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return fields["Anonymous"], fields["Rss"]


@init_or_not
@pytest.mark.parametrize("agent", [False, True], ids=["run COMMAND", "run"])
def test_at_rest_it_takes_less_than_200_kb_of_its_own_and_3500_in_all(box, init, agent):
    # It knows the secrets: a key, and credentials of many lines.
    secrets = box.folder / "secrets"
    secrets.mkdir()
    (secrets / "anthropic-api-key").write_text("k" * 100)
    (secrets / "nats.creds").write_text("a line of the credentials\n" * 40)
    box.script([[["status", "beat"], ["status", "phase=TACTICAL\tstep=1\tseq=2"], ["touch", "ready"], ["until", "no"]]])
    process = box.start("run", *([] if agent else ["--", "sh", "-c", "echo [] > $FAKE/ready; exec sleep 60"]), init=init,
                        env={"AGENT_SECRETS_DIR": str(secrets)})
    box.wait_for("ready")
    if agent:
        box.wait_for("gateway_starts")
    pid = pid_of_init(process) if init else process.pid
    anonymous, resident = anonymous_and_resident(pid)
    os.kill(pid, signal.SIGTERM)
    box.finish(process)
    assert anonymous < 200 and resident < 3500, f"{anonymous} KiB anonymous, {resident} KiB resident"
