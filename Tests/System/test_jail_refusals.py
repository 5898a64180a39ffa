"""Exit codes and the report, and what the jail refuses by name."""
import os
import platform
import subprocess

import pytest

from jailed import HANGS, WITH_FILTER

# MARK: Exit codes and the report

CODES = {
    "true": ("true", 0, {"exited": "0"}),
    "false": ("false", 1, {"exited": "1"}),
    "exit 77": ("exit 77", 77, {"exited": "77"}),
    "killed by SIGTERM": ("kill -TERM $$", 143, {"signaled": "15"}),
    "killed by SIGKILL": ("kill -KILL $$", 137, {"signaled": "9"}),
    "killed by SIGSEGV": ("kill -SEGV $$", 139, {"signaled": "11"}),
    "too large a file": ("exec python3 -c 'import signal; signal.signal(25, signal.SIG_DFL); "
                         "open(\"big\", \"w\").truncate(17 << 30)'", 153, {"signaled": "25"}),
}


@pytest.mark.parametrize("case", CODES)
def test_the_exit_code_is_what_a_shell_gives(workspace, case):
    script, code, report = CODES[case]
    done = workspace.run(script)
    assert done.code == code
    assert report.items() <= done.report.items()
    assert {"killed", "wall_ms", "user_ms", "sys_ms", "maxrss_kb"} <= done.report.keys()


def test_a_program_that_is_not_there_is_127(workspace):
    done = workspace.run(["no-such-program"])
    assert done.code == 127
    assert done.report["not_started"] == "exec" and done.report["errno"] == "2"
    assert "no-such-program: not found in PATH (/usr/local/bin:/usr/bin:/bin)" in done.err
    assert workspace.run(["./nothing"]).code == 127


def test_a_program_that_cannot_be_executed_is_126(workspace):
    (workspace.project / "plain").write_text("echo no first line\n")
    assert workspace.run(["./plain"]).code == 126
    (workspace.project / "plain").chmod(0o755)
    done = workspace.run(["./plain"])
    assert done.code == 126
    assert "#!/bin/sh" in done.err
    assert workspace.run([str(workspace.home)]).code == 126


def test_a_program_is_searched_in_the_commands_own_path(workspace):
    tool = workspace.home / "tool"
    tool.write_text("#!/bin/sh\necho mine\n")
    tool.chmod(0o755)
    path = {"PATH": f"/nowhere:{workspace.home}:/usr/bin"}
    assert workspace.run(["tool"], environment=path).out == "mine\n"


REFUSED = {
    "a project that is not there": (dict(project="/no/such"), "files", "/no/such"),
    "a home that is not there": (dict(home="/no/such"), "files", "/no/such"),
    "a temporary folder that is a file": (dict(tmp="/etc/passwd"), "files", "not a folder"),
    "a home behind a link": (dict(home="{project}/link"), "files", "no link is a part of"),
    "the root as home": (dict(home="/"), "files", "the root"),
    "a working directory elsewhere": (dict(cwd="/usr"), "cwd", "/usr"),
    "a working directory that is not there": (dict(cwd="{project}/missing"), "cwd", "missing"),
    "a working directory through ..": (dict(cwd="{project}/../checkpoints"), "cwd", "must lie in the project"),
    "a working directory behind a link": (dict(cwd="{project}/link"), "cwd", "must lie in the project"),
    "a name that only begins like the project's": (dict(cwd="{project}s"), "cwd", "must lie in the project"),
    "a read-only project in a writable folder": (dict(profile="strategic", tmp="/tmp"), "files", "within each other"),
    "a writable folder in a read-only project": (
        dict(profile="strategic", home="{project}/sub"), "files", "within each other"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_jail_that_cannot_be_as_asked_is_refused_by_name(workspace, case):
    options, stage, words = REFUSED[case]
    (workspace.project / "link").symlink_to(workspace.outside)
    (workspace.project / "sub").mkdir()
    options = {key: value.format(project=workspace.project) for key, value in options.items()}
    done = workspace.run("touch ran", **options)
    assert done.code == 125
    assert done.report["not_started"] == stage
    assert words in done.report["message"] and words in done.err
    assert not (workspace.project / "ran").exists()


def test_a_wrong_command_line_is_125_with_the_option_and_the_accepted_form(workspace):
    for arguments, words in [(["--profile", "loose"], "strategic, tactical"), (["--nonsense", "1"], "--nonsense"), ([], "")]:
        done = subprocess.run([workspace.jail, *arguments, "--project", "/x", "--home", "/x", "--tmp", "/x",
                               "--timeout-ms", "1", "--grace-ms", "1", "--", "true"], env={}, capture_output=True, text=True)
        assert done.returncode == 125
        assert done.stderr.startswith("agent-jail: ") and words in done.stderr


def test_a_descriptor_that_is_not_open_is_refused(workspace):
    done = workspace.run("touch ran", options=["--control-fd", "77"])
    assert done.code == 125
    assert "--control-fd 77" in done.err
    assert not (workspace.project / "ran").exists()


# MARK: What the kernel and the container must have

LANDLOCK_CREATE, LANDLOCK_RESTRICT, CLONE3 = 444, 446, 435
UNSHARE = {"x86_64": 272, "aarch64": 97}[platform.machine()]
ENOSYS, EOPNOTSUPP, EPERM = 38, 95, 1


@pytest.mark.parametrize("code, words", [
    (ENOSYS, "no Landlock"), (EOPNOTSUPP, 'add "landlock" to lsm='), (EPERM, "seccomp profile"),
])
def test_without_landlock_nothing_is_started_and_the_fix_is_named(workspace, code, words):
    done = workspace.run("touch ran", under=[WITH_FILTER, f"{LANDLOCK_CREATE}={code}", "--"])
    assert done.code == 125
    assert done.report["not_started"] == "kernel"
    assert words in done.err and "Linux 6.12" in done.err
    assert not (workspace.project / "ran").exists()


SECCOMP = {"x86_64": 317, "aarch64": 277}[platform.machine()]


@pytest.mark.parametrize("code", [ENOSYS, EPERM])
def test_without_seccomps_notification_nothing_is_started_and_the_fix_is_named(workspace, code):
    done = workspace.run("touch ran", under=[WITH_FILTER, f"{SECCOMP}={code}", "--"])
    assert done.code == 125
    assert done.report["not_started"] == "kernel"
    assert "user notification" in done.err and "RuntimeDefault" in done.err
    assert not (workspace.project / "ran").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs a pid namespace, so that a mistake would kill only that")
def test_a_kernel_that_only_pretends_to_scope_signals_is_found_out_before_anything_is_killed(workspace):
    inner = [WITH_FILTER, f"{LANDLOCK_RESTRICT}=0", "--", workspace.jail, *workspace.arguments(["touch", "ran"])]
    script = 'sleep 1000 & "$@"; echo code $?; kill -0 $! && echo alive; kill $!'
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", script, "inner",
         *workspace.as_user(inner)], capture_output=True, text=True, timeout=HANGS)
    assert done.stdout == "code 125\nalive\n", done
    assert "pretends to have signal scopes" in done.stderr
    assert not (workspace.project / "ran").exists()


FOREIGN_CALLS = """
#include <stdio.h>
#include <unistd.h>
int main(void) {
    long old = 20, x32 = 0x40000000 | 39;  // getpid, by the 32-bit entry and by an x32 number
    __asm__ volatile("int $0x80" : "+a"(old) : : "memory", "r8", "r9", "r10", "r11");
    __asm__ volatile("syscall" : "+a"(x32) : : "memory", "rcx", "r11");
    printf("%d %ld\\n", old == getpid() ? 0 : (int)old, x32);
}
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86_64 has other ways to call the kernel")
def test_the_kernels_other_entries_are_closed(workspace):
    (workspace.project / "foreign.c").write_text(FOREIGN_CALLS)
    assert workspace.run("gcc -o foreign foreign.c").code == 0
    assert workspace.bare("./foreign").out.split()[0] == "0", "this kernel has no 32-bit entry: the test shows nothing"
    # EPERM from the filter; a kernel without x32 would say ENOSYS itself.
    assert workspace.run("./foreign").out.split() == ["-1", "-1"]


def test_it_works_under_a_container_runtimes_filter(workspace):
    under = [WITH_FILTER, f"{CLONE3}={ENOSYS}", f"{UNSHARE}={EPERM}", "--"]
    done = workspace.run("python3 -c 'import threading; threading.Thread(target=print, args=(1,)).start()'; cat ../*/s*",
                         under=under)
    assert done.out == "1\n"
    assert done.code == 1
