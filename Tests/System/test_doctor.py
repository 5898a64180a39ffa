"""`agent-init doctor`: what this kernel and this pod enforce, found out by trying."""
import json
import os
import shutil
import signal
import socket
import subprocess

import pytest

import process_tree
from jailed import WITH_FILTER
from job import UID, programs

ENOSYS, EPERM = 38, 1
LANDLOCK_CREATE, LANDLOCK_RESTRICT, SECCOMP = 444, 446, {"x86_64": 317, "aarch64": 277}[os.uname().machine]


def examine(sandbox, code, **options):
    """The findings by "group: name", of a doctor that must exit with that code."""
    done = sandbox.run("doctor", "--json", **options)
    assert done.returncode == code, done
    assert done.stderr == b"" and done.stdout.count(b"\n") == 1
    result = json.loads(done.stdout)
    assert result["exit_code"] == code
    found = {f"{finding['group']}: {finding['name']}": finding for finding in result["findings"]}
    assert len(found) == len(result["findings"]), "every name once"
    for finding in found.values():
        assert finding["verdict"] != "bad" or finding["remedy"]
    return result, found


def bad(found):
    return {name for name, finding in found.items() if finding["verdict"] == "bad"}


def test_where_all_is_enforced_it_says_so_and_exits_with_0(sandbox):
    result, found = examine(sandbox, 0)
    assert result["enforceable"] is True and bad(found) == set()
    for profile in ("tactical", "strategic", "none-network"):
        text = found[f"jail: {profile}"]["text"]
        for attempt in ("reading a checkpoint", "reading a secret", "writing outside", "signalling", "environment", "TCP", "UDP"):
            assert attempt in text
        assert "not possible here outside the jail either" not in text, "each attempt succeeds without the jail"
        assert ("writing in the project tree" in text) == (profile == "strategic")
    for name in ("kernel: Landlock", "kernel: signal scope", "kernel: seccomp filter", "folders: checkpoint WAL",
                 "programs: libsqlite3", "programs: libcurl", "programs: libnats", "pod: clock"):
        assert found[name]["verdict"] == "good", found[name]
    assert found["pod: user"]["text"].startswith(f"UID {UID},")
    assert any("chmod" in line for line in result["not_enforced"])


def test_it_leaves_nothing_behind(sandbox):
    examine(sandbox, 0)
    left = {str(path.relative_to(sandbox.root)) for path in sandbox.root.rglob("*")}
    assert left <= {"workspace", "workspace/project", "workspace/home", "workspace/tmp"}
    # Nor does it touch what a job has there.
    sandbox.make(sandbox.checkpoints, mode=0o700)
    sandbox.make(sandbox.checkpoints / "job_x.db", "a checkpoint")
    examine(sandbox, 0)
    assert [path.name for path in sandbox.checkpoints.iterdir()] == ["job_x.db"]
    assert (sandbox.checkpoints / "job_x.db").read_text() == "a checkpoint"


def test_the_table_is_for_people(sandbox):
    done = sandbox.run("doctor")
    text = done.stdout.decode()
    assert done.returncode == 0 and "\x1b" not in text
    for word in ["KERNEL", "POD", "FOLDERS", "PROGRAMS", "JAIL", "NOT ENFORCED", "Landlock", "ABI"]:
        assert word in text
    assert text.splitlines()[-1].startswith("The configured jail is enforced here. No job was looked at")


def test_without_landlock_it_is_77_and_names_the_thing_and_the_fix(sandbox):
    under = [WITH_FILTER, f"{LANDLOCK_CREATE}={ENOSYS}", "--"]
    result, found = examine(sandbox, 77, under=under)
    assert result["enforceable"] is False
    assert bad(found) == {"kernel: Landlock", "jail: tactical", "jail: strategic", "jail: none-network"}
    text = sandbox.run("doctor", under=under).stdout.decode()
    assert "BAD   Landlock" in text and "ENOSYS" in text
    for fix in ("Linux 6.12", "lsm=", "gVisor", "RuntimeDefault"):
        assert fix in text
    assert text.splitlines()[-1].startswith("The configured jail is NOT enforced here (exit 77): kernel: Landlock, jail: tactical")
    assert "no command is run at all" in text


def test_a_landlock_that_only_pretends_is_found_out(sandbox):
    _, found = examine(sandbox, 77, under=[WITH_FILTER, f"{LANDLOCK_RESTRICT}=0", "--"])
    assert {"kernel: files", "kernel: TCP ports", "kernel: signal scope", "jail: tactical"} <= bad(found)
    assert "did not do it" in found["kernel: signal scope"]["text"]
    assert "pretends" in found["jail: tactical"]["text"]


def test_without_seccomp_listeners_there_is_no_connect_broker(sandbox):
    result, found = examine(sandbox, 77, under=[WITH_FILTER, f"{SECCOMP}={EPERM}", "--"])
    assert {"kernel: seccomp listener", "jail: tactical"} <= bad(found)
    assert "NEW_LISTENER" in found["kernel: seccomp listener"]["remedy"]
    assert any("network" in line for line in result["not_enforced"])


def test_an_open_network_is_one_that_is_not_promised_to_be_closed(sandbox):
    _, found = examine(sandbox, 0, settings={"AGENT_NETWORK": "open"})
    assert "TCP" not in found["jail: tactical"]["text"] and "TCP" in found["jail: none-network"]["text"]


def test_a_jail_that_lets_something_through_is_77_and_says_what(sandbox):
    # An agent-jail that builds none.
    fake = sandbox.root / "programs"
    shutil.copytree(programs(), fake)
    (fake / "agent-jail").write_text("""#!/usr/bin/python3
import os, sys
words = sys.argv
mark = words.index("--")
given = dict(words[i + 1].split("=", 1) for i in range(mark) if words[i] == "--env")
# What outlives the command shall hold its output open, not the pipes to us.
for number in (3, 4):
    os.set_inheritable(number, False)
pid = os.spawnvpe(os.P_NOWAIT, words[mark + 1], words[mark + 1:], given)
os.waitpid(pid, 0)
os.write(3, b"exited=0\\n")
""")
    (fake / "agent-jail").chmod(0o755)
    line = [word if word != str(programs() / "agent-init") else str(fake / "agent-init") for word in sandbox.line("doctor", "--json")]
    done = subprocess.run(line, env=sandbox.settings, cwd="/", capture_output=True, stdin=subprocess.DEVNULL, timeout=90)
    assert done.returncode == 77
    for pid, name in process_tree.descendants(os.getpid()):
        if name == "sleep":
            os.kill(pid, signal.SIGKILL)
    found = {finding["name"]: finding["text"] for finding in json.loads(done.stdout)["findings"] if finding["group"] == "jail"}
    for attempt in ("reading a checkpoint", "reading a secret", "writing outside the project tree", "signalling another process",
                    "reading another process's environment", "a TCP connection", "a UDP datagram"):
        assert f"{attempt} is possible" in found["tactical"]
    assert "writing in the project tree is possible" in found["strategic"]
    assert "writing in the project tree" not in found["tactical"]
    assert "a process outlived its command" in found["tactical"]


@pytest.mark.skipif(os.getuid() == 0 and UID == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_78_and_named(sandbox):
    sandbox.make(sandbox.checkpoints, mode=0o500)
    _, found = examine(sandbox, 78)
    assert "folders: checkpoints" in bad(found)
    assert str(sandbox.checkpoints) in found["folders: checkpoints"]["text"]
    assert "fsGroup" in found["folders: checkpoints"]["remedy"]


def test_a_wrong_setting_is_78(sandbox):
    done = sandbox.run("doctor", settings={"AGENT_MODLE": "x"})
    assert done.returncode == 78 and b"AGENT_MODEL" in done.stderr


def test_secrets_are_looked_at_and_never_shown(sandbox):
    sandbox.make(sandbox.secrets, mode=0o700)
    key = sandbox.make(sandbox.secrets / "anthropic-api-key", "hunter2-hunter2", 0o600)
    settings = {"AGENT_SECRETS_DIR": str(sandbox.secrets)}
    result, found = examine(sandbox, 0, settings=settings)
    assert "anthropic-api-key" in found["folders: secrets"]["text"]
    assert "hunter2" not in json.dumps(result)
    key.chmod(0o644)
    _, found = examine(sandbox, 0, settings=settings)
    assert found["folders: secrets"]["verdict"] == "weak" and "every user" in found["folders: secrets"]["text"]
    key.chmod(0o000)
    _, found = examine(sandbox, 77, settings=settings)
    assert bad(found) == {"folders: secrets"}


def test_the_termination_log(sandbox):
    path = sandbox.make(sandbox.root / "end", "")
    _, found = examine(sandbox, 0, settings={"AGENT_TERMINATION_LOG": str(path)})
    assert found["folders: termination log"]["verdict"] == "good"
    _, found = examine(sandbox, 0, settings={"AGENT_TERMINATION_LOG": "/proc/nowhere/end"})
    assert found["folders: termination log"]["verdict"] == "weak"


def test_it_reads_nothing_from_its_input(sandbox):
    ours, theirs = socket.socketpair()
    ours.sendall(b"typed meanwhile")
    assert sandbox.run("doctor", stdin=theirs).returncode == 0
    assert theirs.recv(100) == b"typed meanwhile"
    ours.close()
    theirs.close()


def test_help_teaches(sandbox):
    text = sandbox.run("doctor", "--help").stdout.decode()
    for word in ["kubectl run", "--json", "77", "78"]:
        assert word in text
