"""`agent-init exec`: one command in the jail, for people and for other agents."""
import base64
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import uuid

import pytest

import process_tree
from jailed import WITH_FILTER
from job import HANGS, eventually


def marker():
    """A number of seconds that no other process sleeps."""
    return f"{100000 + uuid.uuid4().int % 800000}.{uuid.uuid4().int % 10**8}"


def alive(word):
    """The processes with that word in their command line, zombies left out."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (folder / "cmdline").read_bytes() and "State:\tZ" not in (folder / "status").read_text():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


# MARK: How it ends

CODES = {
    "its own": ("exit 3", 3), "zero": ("true", 0), "a signal": ("kill -SEGV $$", 139), "SIGKILL": ("kill -9 $$", 137),
}


@pytest.mark.parametrize("case", CODES)
def test_the_exit_code_is_the_commands(sandbox, case):
    script, code = CODES[case]
    assert sandbox.script(script).returncode == code


def test_the_time_limit_is_124_and_says_so(sandbox):
    word = marker()
    done = sandbox.script(f"sleep {word} & sleep {word}", "--timeout", "0.2")
    assert done.returncode == 124
    assert b"time limit" in done.stderr
    assert alive(word) == []


def test_a_program_that_is_not_there_is_127_and_one_that_cannot_run_126(sandbox):
    done = sandbox.exec("--", "no-such-program")
    assert (done.returncode, done.stdout) == (127, b"")
    assert b"no-such-program: not found in PATH" in done.stderr
    sandbox.script("echo text > plain")
    assert sandbox.exec("--", "./plain").returncode == 126


@pytest.mark.parametrize("arguments, word", [
    ([], "no command"), (["--"], "no command"), (["--jsn", "--", "true"], "--jsn"), (["--profile", "loose", "--", "true"], "loose"),
    (["--timeout", "0", "--", "true"], "--timeout"), (["--timeout", "soon", "--", "true"], "soon"),
    (["--env", "=x", "--", "true"], "--env =x"), (["--env", "NAME", "--", "true"], "--env NAME"),
    (["--env", "1A=x", "--", "true"], "1A=x"), (["--env", "A B=x", "--", "true"], "A B=x"),
    (["--cwd", "/usr", "--", "true"], "outside the project tree"), (["--cwd", "..", "--", "true"], "outside the project"),
    (["--cwd", "missing", "--", "true"], "there is no folder"),
])
def test_a_wrong_command_line_is_64_and_names_what_is_wrong(sandbox, arguments, word):
    done = sandbox.exec(*arguments)
    assert (done.returncode, done.stdout) == (64, b"")
    assert word in done.stderr.decode()


def test_a_wrong_setting_is_78_and_named(sandbox):
    for settings, word in [({"WORKSPACE_PATH": "here"}, "WORKSPACE_PATH"), ({"AGENT_MAX_STEP": "1"}, "AGENT_MAX_STEP"),
                           ({"JOB_ID": "a b"}, "JOB_ID"), ({"WORKSPACE_PATH": "/proc/x"}, "/proc/x"),
                           ({"AGENT_SECRETS_DIR": str(sandbox.project)}, "AGENT_SECRETS_DIR")]:
        done = sandbox.exec("--", "true", settings=settings)
        assert done.returncode == 78 and word in done.stderr.decode(), done


def test_without_landlock_it_is_125_and_nothing_has_run(sandbox):
    done = sandbox.script("touch ran", under=[WITH_FILTER, "444=38", "--"])
    assert done.returncode == 125
    assert b"Landlock" in done.stderr
    assert not (sandbox.project / "ran").exists()


def test_help_teaches(sandbox):
    for arguments in (["exec", "--help"], ["help", "exec"]):
        done = sandbox.run(*arguments)
        assert done.returncode == 0
        for word in ["EXAMPLES", "--pty -- bash", "--json", "124", "125", "WORKSPACE_PATH"]:
            assert word in done.stdout.decode()


# MARK: Streams


def test_output_and_errors_come_apart_and_as_they_are_written(sandbox):
    # The command goes on only when it is told to: what is read before that has not waited for its end.
    process = sandbox.start("exec", "--", "bash", "-c", "echo out; echo err >&2; read line; echo $line", stdin=subprocess.PIPE)
    assert process.stdout.readline() == b"out\n"
    assert process.stderr.readline() == b"err\n"
    assert process.poll() is None
    out, err = process.communicate(b"told\n", timeout=HANGS)
    assert (out, err, process.returncode) == (b"told\n", b"", 0)


def test_input_is_passed_on_to_its_end_byte_for_byte(sandbox):
    data = os.urandom(3_000_000)
    done = sandbox.exec("--", "cat", input=data)
    assert done.returncode == 0
    assert done.stdout == data


def test_a_command_that_does_not_read_its_input_ends_all_the_same(sandbox):
    done = sandbox.script("exec 0<&-; echo done", input=b"x" * 1_000_000)
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_with_its_streams_closed(sandbox):
    done = sandbox.script("cat; echo out; ls -l /proc/self/fd/ >&2", stdin=None, preexec_fn=lambda: os.close(0))
    assert (done.returncode, done.stdout) == (0, b"out\n")
    for number in (1, 2):
        done = sandbox.script("echo out; echo err >&2; exit 5", preexec_fn=lambda: os.close(number))
        assert done.returncode == 5
        assert (done.stdout, done.stderr) == ((b"", b"err\n") if number == 1 else (b"out\n", b""))


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def test_when_nobody_reads_the_command_is_told_as_in_a_pipeline(sandbox):
    writer = closed_pipe()
    done = sandbox.exec("--", "yes", stdout=writer)
    os.close(writer)
    assert done.returncode == 128 + signal.SIGPIPE


def test_a_command_that_takes_no_notice_that_nobody_reads_is_ended(sandbox):
    word, writer = marker(), closed_pipe()
    done = sandbox.script(f"trap '' PIPE; echo x; sleep {word}", stdout=writer)
    os.close(writer)
    assert done.returncode == 128 + signal.SIGPIPE
    assert alive(word) == []


def test_it_ends_without_a_reader_when_all_of_the_output_is_in_the_callers_pipe(sandbox):
    # Who waits for the end before he reads must not wait for ever: the pipe holds exactly what was written.
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    done = sandbox.exec("--", "head", "-c", str(size), "/dev/zero", stdout=writer)
    os.close(writer)
    assert done.returncode == 0
    with open(reader, "rb") as rest:
        assert rest.read() == bytes(size)


def test_a_reader_that_does_not_read_holds_up_the_command_and_loses_nothing(sandbox):
    # Two pipes and a buffer are full long before the command has written all.
    numbers = "".join(f"{one}\n" for one in range(1, 400_001)).encode()
    process = sandbox.start("exec", "--", "bash", "-c", "seq 400000; echo done >&2", stderr=subprocess.PIPE)
    eventually("the command to be held up", lambda: any(
        pathlib.Path(f"/proc/{pid}/wchan").read_text().endswith("pipe_write") for pid, name in
        process_tree.descendants(process.pid) if name == "seq"))
    out, err = process.communicate(timeout=HANGS)
    assert (process.returncode, err) == (0, b"done\n")
    assert out == numbers


def test_a_full_disk_ends_it_too(sandbox):
    with open("/dev/full", "wb") as full:
        assert sandbox.exec("--", "yes", stdout=full).returncode == 128 + signal.SIGPIPE


def test_a_daemon_that_holds_the_output_open_does_not_hold_us(sandbox):
    word = marker()
    done = sandbox.script(f"setsid sleep {word} & echo out")
    assert (done.returncode, done.stdout) == (0, b"out\n")
    assert alive(word) == []


def test_our_descriptors_stay_as_they_were(sandbox):
    # The file description is shared with whoever started us: a changed flag would be changed for him too.
    reader, writer = os.pipe()
    done = sandbox.script("echo x", stdin=reader, stdout=writer)
    assert done.returncode == 0
    assert os.get_blocking(reader) and os.get_blocking(writer)
    os.close(reader)
    os.close(writer)


def peak_kib(process):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text()).group(1))


def test_hundreds_of_megabytes_pass_through_bounded_memory(sandbox):
    size = 400_000_000
    for options, expected in ([], size), (["--json"], None):
        process = sandbox.start("exec", *options, "--", "bash", "-c", f"head -c {size} /dev/zero; read line", stdin=subprocess.PIPE)
        count = 0
        if expected:
            while count < size:
                count += len(process.stdout.read(min(1 << 20, size - count)))
        else:
            # All that bash waits for now is the line: its output has been read.
            eventually("head to end", lambda: not any(name == "head" for _, name in process_tree.descendants(process.pid))
                       and any(name == "bash" for _, name in process_tree.descendants(process.pid)))
        peak = peak_kib(process)
        out, _ = process.communicate(b"\n", timeout=HANGS)
        assert process.returncode == 0
        if not expected:
            assert json.loads(out)["stdout"]["bytes"] == size
        # The libraries that it is linked to are most of it.
        assert peak < 64 * 1024, f"{peak} KiB"


# MARK: --json


def test_json_is_one_object_with_the_whole_result(sandbox):
    result = sandbox.json("echo one; echo two; printf bad >&2; sleep 1000 & exit 4")
    assert result["command"][0] == "/bin/bash" and result["profile"] == "tactical"
    assert (result["end"], result["exit_code"], result["killed"]) == ("exited", 4, 1)
    assert result["stdout"] == {
        "bytes": 8, "lines": 2, "encoding": "utf-8", "head": "one\ntwo\n", "tail": "", "omitted_bytes": 0}
    assert (result["stderr"]["head"], result["stderr"]["bytes"], result["stderr"]["lines"]) == ("bad", 3, 0)
    assert result["max_rss_kb"] > 0
    for name in ("wall_ms", "user_ms", "system_ms"):
        assert result[name] >= 0


@pytest.mark.parametrize("script, options, expected", [
    ("kill -TERM $$", [], {"end": "signaled", "signal": 15, "exit_code": 143}),
    ("sleep 1000", ["--timeout", "0.2"], {"end": "timeout", "exit_code": 124}),
])
def test_json_says_how_it_ended(sandbox, script, options, expected):
    assert expected.items() <= sandbox.json(script, *options).items()


def test_json_says_why_nothing_has_run(sandbox):
    done = sandbox.exec("--json", "--", "no-such-program")
    result = json.loads(done.stdout)
    assert (done.returncode, result["exit_code"], result["end"], result["stage"]) == (127, 127, "not_started", "exec")
    assert "not found in PATH" in result["message"]


def test_json_of_a_long_output_has_both_ends_and_exact_counts(sandbox):
    result = sandbox.json("seq 1 1000000")["stdout"]
    text = "".join(f"{number}\n" for number in range(1, 1_000_001))
    assert (result["bytes"], result["lines"]) == (len(text), 1_000_000)
    assert text.startswith(result["head"]) and text.endswith(result["tail"])
    # Of the 12 KiB and 20 KiB of the README at most a part of a line is left out.
    assert 11 << 10 < len(result["head"]) <= 12 << 10 and 19 << 10 < len(result["tail"]) <= 20 << 10
    assert len(result["head"]) + len(result["tail"]) + result["omitted_bytes"] == len(text)


def test_json_cuts_no_character_in_two(sandbox):
    for shift in range(4):
        result = sandbox.json(f"printf %{shift}s ''; python3 -c 'print(\"\\N{{grinning face}}\" * 50000, end=\"\")'")["stdout"]
        assert result["encoding"] == "utf-8"
        assert set(result["head"].strip() + result["tail"]) == {"\N{grinning face}"}
        shown = len((result["head"] + result["tail"]).encode())
        assert shown + result["omitted_bytes"] == result["bytes"] == 200_000 + shift


def test_json_of_binary_output_is_base64(sandbox):
    result = sandbox.json(r"printf '\xff\x00\xfe'")["stdout"]
    assert result["encoding"] == "base64"
    assert base64.b64decode(result["head"]) == b"\xff\x00\xfe"


# MARK: Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("options", [[], ["--json"], ["--pty"]], ids=lambda options: "".join(options) or "plain")
def test_a_signal_ends_the_command_and_all_it_started(sandbox, number, options):
    word = marker()
    ready = sandbox.project / "ready"
    process = sandbox.start("exec", *options, "--", "bash", "-c",
                            f"trap '' TERM INT HUP; setsid sleep {word} & touch ready; sleep {word}", stdin=subprocess.PIPE)
    eventually("the command to run", ready.exists)
    process.send_signal(number)
    out, _ = process.communicate(timeout=HANGS)
    assert process.returncode == -number, "a shell sees what it died of"
    assert alive(word) == []
    if options == ["--json"]:
        result = json.loads(out)
        assert (result["end"], result["signal"], result["exit_code"]) == ("cancelled", number, 128 + number)


def test_if_it_is_killed_the_command_goes_too(sandbox):
    word = marker()
    process = sandbox.start("exec", "--", "bash", "-c", f"setsid sleep {word} & echo ready; sleep {word}")
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    process.wait()
    eventually("the command to go", lambda: alive(word) == [])


def test_what_nohup_has_set_stays(sandbox):
    process = sandbox.start("exec", "--", "bash", "-c", "echo ready; read line; echo $line", stdin=subprocess.PIPE,
                            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(b"still there\n", timeout=HANGS)
    assert (out, process.returncode) == (b"still there\n", 0)


# MARK: Where and with what it runs


def test_the_working_directory_is_in_the_project_tree(sandbox):
    assert sandbox.exec("--", "pwd").stdout.decode() == f"{sandbox.project}\n"
    sandbox.script("mkdir -p a/b; ln -s a/b link")
    for cwd in ("a/b", sandbox.project / "a/b", "link", "a/../a/b"):
        assert sandbox.exec("--cwd", cwd, "--", "pwd").stdout.decode() == f"{sandbox.project}/a/b\n"


def test_a_working_directory_that_a_link_leads_out_of_the_tree_is_refused(sandbox):
    sandbox.make(sandbox.checkpoints)
    sandbox.script("ln -s / out; ln -s ../checkpoints state; mkdir ../project/x")
    for cwd in ("out", "out/usr", "state", "x/../../.."):
        done = sandbox.exec("--cwd", cwd, "--", "touch", "ran")
        assert done.returncode == 64
        assert "outside the project tree" in done.stderr.decode() and cwd in done.stderr.decode()


def test_the_profiles(sandbox):
    assert sandbox.script("echo x > file").returncode == 0
    done = sandbox.script("cat file; echo y > file", "--profile", "strategic")
    assert done.stdout == b"x\n" and done.returncode == 1 and b"denied" in done.stderr
    proxy = {"HTTP_PROXY": "http://127.0.0.1:3128", "NO_PROXY": "localhost"}
    assert sandbox.script("echo $HTTP_PROXY $no_proxy $NODE_USE_ENV_PROXY", settings=proxy).stdout == b"http://127.0.0.1:3128 localhost 1\n"
    assert sandbox.script("echo ${HTTP_PROXY-}${http_proxy-}${NO_PROXY-}${NODE_USE_ENV_PROXY-}", "--profile", "none-network", settings=proxy).stdout == b"\n"


def test_none_network_cannot_even_connect_to_the_proxy(sandbox):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = f"exec 3<>/dev/tcp/127.0.0.1/{port}"
        proxy = {"HTTP_PROXY": f"http://127.0.0.1:{port}"}
        assert sandbox.script(connect, settings=proxy).returncode == 0
        assert sandbox.script(connect, "--profile", "none-network", settings=proxy).returncode == 1
        assert sandbox.script(connect).returncode == 1


def test_the_checkpoint_and_the_secrets_are_closed(sandbox):
    sandbox.make(sandbox.checkpoints)
    sandbox.make(sandbox.checkpoints / "job_x.db", "hunter2")
    done = sandbox.script(f"cat {sandbox.checkpoints}/job_x.db")
    assert done.returncode == 1 and b"hunter2" not in done.stdout and b"Permission denied" in done.stderr


def test_the_environment_is_a_list_of_its_own(sandbox):
    done = sandbox.exec("--", "env", settings={"SECRET": "hunter2", "AGENT_MODEL": "x", "JOB_ID": "j"})
    names = {line.partition("=")[0] for line in done.stdout.decode().splitlines()}
    assert names == {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TERM", "PYTHONUSERBASE", "TMPDIR", "PAGER", "GIT_PAGER",
                     "GIT_TERMINAL_PROMPT"}


def test_env_adds_variables_and_replaces_those_of_the_list(sandbox):
    done = sandbox.script('echo "$A|$B|$C|$LANG"', "--env", "A=1=2", "--env", "B=", "--env", "C=a\nb", "--env", "LANG=C")
    assert done.stdout == b"1=2||a\nb|C\n"


def test_the_configuration_can_pass_variables_on(sandbox):
    settings = {"AGENT_COMMAND_ENV": "CARGO_HOME, LANG", "CARGO_HOME": "/opt/cargo", "LANG": "de_DE.UTF-8", "OTHER": "x"}
    done = sandbox.script('echo "$CARGO_HOME|$LANG|${OTHER-}"', settings=settings)
    assert done.stdout == b"/opt/cargo|de_DE.UTF-8|\n"


@pytest.mark.parametrize("name, value, words", [
    ("AGENT_MODEL", "x", "a setting of agent-init"), ("NATS_URL", "nats://x", "a setting of agent-init"),
    ("GITHUB_TOKEN", "x", "is a secret"), ("aws_secret_access_key", "x", "is a secret"), ("MISSING", None, "is not set"),
    ("HOME", "/x", "sets itself"), ("1A", "x", "cannot be the name"), ("HARMLESS", "hunter2-hunter2", "has a secret in it"),
    ("ENCODED", "basic aHVudGVyMi1odW50ZXIy", "has a secret in it"),
])
def test_the_configuration_cannot_pass_a_secret_on(sandbox, name, value, words):
    sandbox.make(sandbox.secrets)
    sandbox.make(sandbox.secrets / "anthropic-api-key", "hunter2-hunter2\n", 0o600)
    settings = {"AGENT_COMMAND_ENV": name, "AGENT_SECRETS_DIR": str(sandbox.secrets), **({name: value} if value else {})}
    done = sandbox.script("env", settings=settings)
    assert (done.returncode, done.stdout) == (78, b"")
    said = done.stderr.decode()
    assert words in said and name in said and "AGENT_COMMAND_ENV" in said
    assert "hunter2" not in said
