"""What a jailed command is given, and that ordinary work works."""
import os
import signal

import pytest

from jailed import python

# MARK: What the command is given

def test_the_environment_is_exactly_what_was_asked_for(workspace):
    environment = {"A": "1", "EMPTY": "", "WITH": "a=b\nc\td \\", "PATH": "/usr/bin"}
    done = workspace.run(["env", "-0"], environment=environment)
    assert sorted(done.out.rstrip("\0").split("\0")) == sorted(f"{key}={value}" for key, value in environment.items())


def test_no_descriptor_but_0_1_and_2_reaches_the_command(workspace):
    secret = os.open(workspace.outside / "secret", os.O_RDONLY)
    theirs, ours = os.pipe()
    listing = "import os; print(sorted(int(name) for name in os.listdir(\"/proc/self/fd\")))"
    done = workspace.run(["python3", "-c", listing], control=theirs, pass_fds=[secret])
    for descriptor in (secret, theirs, ours):
        os.close(descriptor)
    # 3 is the listing's own.
    assert done.out == "[0, 1, 2, 3]\n"


def test_it_runs_in_the_project_or_in_a_folder_of_it(workspace):
    (workspace.project / "a/b").mkdir(parents=True)
    assert workspace.run("pwd -P").out == f"{workspace.project}\n"
    assert workspace.run("pwd -P", cwd=workspace.project / "a/b").out == f"{workspace.project}/a/b\n"
    assert workspace.run("pwd -P", cwd=f"{workspace.project}//a/./b/").out == f"{workspace.project}/a/b\n"


def test_standard_input_reaches_the_command_whole_and_so_does_its_output(workspace):
    text = "0123456789abcde\n" * 500_000
    assert workspace.run("cat", input=text).out == text


def test_signals_are_at_their_defaults_and_none_is_blocked(workspace):
    previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        process = workspace.start(["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"])
    finally:
        signal.signal(signal.SIGCHLD, previous)
    done = workspace.finish(process)
    assert [line.split()[1] for line in done.out.splitlines()] == ["0" * 16, "0" * 16]


def test_it_is_a_session_of_its_own_without_a_terminal(workspace):
    done = workspace.run(["python3", "-c", "import os; print(os.getsid(0) == os.getpid()); open('/dev/tty')"])
    assert done.out == "True\n"
    assert done.code == 1


def test_while_planning_the_project_can_be_read_and_run_but_not_changed(workspace):
    (workspace.project / "tool").write_text("#!/bin/sh\necho ran\n")
    (workspace.project / "tool").chmod(0o755)
    script = """
        ./tool; cat tool > /dev/null || exit 1
        echo x > $HOME/x && echo x > $TMPDIR/x || exit 2
        for change in 'touch new' 'echo x >> tool' 'rm -f tool' 'mkdir folder' 'mv tool $HOME/' 'ln -s tool link' \
            'truncate -s 0 tool'; do
            eval "$change" 2> /dev/null && echo "could: $change"
        done
        exit 0
    """
    done = workspace.run(script, profile="strategic")
    assert (done.code, done.out) == (0, "ran\n"), done
    assert (workspace.project / "tool").read_text() == "#!/bin/sh\necho ran\n"


# MARK: Ordinary work

# The smallest wheel there is: a zip with a module and three files about it (PyPA, binary distribution format).
WHEEL = """
import pathlib, zipfile
index = pathlib.Path("index/tiny")
index.mkdir(parents=True)
about = "tiny-1.0.dist-info/"
with zipfile.ZipFile(index / "tiny-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("tiny.py", "def main(): print(\\"tiny runs\\")")
    wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
    wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(about + "entry_points.txt", "[console_scripts]\\ntiny = tiny:main\\n")
    wheel.writestr(about + "RECORD", "")
(index / "index.html").write_text("<a href=tiny-1.0-py3-none-any.whl>tiny-1.0-py3-none-any.whl</a>")
"""

WORK = {
    "git": """
        git init -q -b main one && cd one && git config user.email a@b.c && git config user.name n
        echo x > file && git add . && git commit -qm first && cd .. && git clone -q one two && cat two/file
    """,
    "git with a bare remote, a branch and a merge": """
        git config --global user.email a@b.c; git config --global user.name n; git config --global init.defaultBranch main
        git init -q --bare remote.git && git clone -q remote.git work 2> /dev/null && cd work
        echo x > file && git add . && git commit -qm first && git push -q origin main
        git checkout -q -b topic && echo y >> file && git commit -qam second && git push -q origin topic
        git checkout -q main && git merge -q topic && git push -q && git log --oneline origin/main | wc -l | grep -qx 2
        cd .. && git clone -q --depth 1 file://$PWD/remote.git shallow && git -C shallow fsck
    """,
    "pip install --user from a local index": f"""
        export PYTHONUSERBASE=$HOME/.local PATH=$HOME/.local/bin:$PATH PIP_BREAK_SYSTEM_PACKAGES=1
        {python(WHEEL)}
        /usr/bin/python3 -m pip install --quiet --user --no-cache-dir --index-url file://$PWD/index tiny &&
            tiny | grep -qx "tiny runs" && /usr/bin/python3 -c "import tiny" &&
            /usr/bin/python3 -m pip uninstall --quiet --yes tiny && ! tiny 2> /dev/null
    """,
    "a virtual environment": "/usr/bin/python3 -m venv --without-pip env && env/bin/python -c 'import sys; assert sys.prefix.endswith(\"/env\")'",
    "node": """
        printf 'const {execSync} = require("child_process"); const fs = require("fs/promises");\n' > main.js
        printf 'const {Worker, isMainThread} = require("worker_threads");\n' >> main.js
        printf 'if (isMainThread) new Worker(__filename).on("exit", async () => {\n' >> main.js
        printf '  await fs.writeFile("out", execSync("echo child")); console.log("done"); });\n' >> main.js
        node main.js | grep -qx done && grep -qx child out
    """,
    "a program that is talked to through a terminal": python("""
import os, pty
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", "stty -echo; tty; printf name:; read x; echo got-$x-end; exit 7"])
said = b""
while b"name:" not in said: said += os.read(terminal, 4096)
os.write(terminal, b"somebody\\n")
try:
    while True: said += os.read(terminal, 4096)
except OSError: pass
assert b"/dev/pts/" in said and b"got-somebody-end" in said, said
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
"""),
    "gcc and make": """
        printf 'int main(void){return 0;}' > main.c; printf 'main: main.c\\n\\tgcc -O2 -o main main.c\\n' > Makefile
        make -s -j4 && ./main
    """,
    "python's multiprocessing": """
        cat > pool.py <<'END'
import multiprocessing
def square(x): return x * x
if __name__ == '__main__':
    with multiprocessing.Pool(2) as pool: assert pool.map(square, range(4)) == [0, 1, 4, 9]
    lock, value = multiprocessing.Lock(), multiprocessing.Value('i', 0)
    with multiprocessing.Manager() as manager: manager.list([1]).append(2)
END
        python3 pool.py
    """,
    "a pseudo-terminal": python("import os, pty; m, s = os.openpty(); os.write(s, b\"x\"); assert os.read(m, 1) == b\"x\"; "
                                "assert pty.spawn([\"sh\", \"-c\", \"tty > /dev/null\"]) == 0"),
    "threads": python("import threading; t = [threading.Thread(target=print) for _ in range(9)]; "
                      "[x.start() for x in t]; [x.join() for x in t]"),
    "process substitution": "exec > >(tee log); echo hello; exec >&-; wait; sleep 0.1; grep -q hello log",
    "a here-document": "cat <<END | grep -q 4\n$((2 + 2))\nEND",
    "job control": "set -m; sleep 0.1 & fg %1 > /dev/null; sleep 5 & kill %1; code=0; wait %1 || code=$?; [ $code = 143 ]",
    "stopping and going on": """
        set -m; sleep 0.2 & kill -STOP %1; until grep -q ' T ' /proc/$!/stat; do sleep 0.01; done
        bg %1 > /dev/null; wait %1
    """,
    "here-documents, quoted and indented": "cat <<'A' | grep -qx '$x' && cat <<-B | grep -qx tab\n$x\nA\n\ttab\n\tB",
    "sqlite with two connections": """
        sqlite3 db 'pragma journal_mode=wal; create table t(x)' > /dev/null
        for i in $(seq 20); do sqlite3 -cmd '.timeout 5000' db "insert into t values($i)" & done; wait
        sqlite3 db 'select count(*) from t; pragma integrity_check' | tr '\\n' ' ' | grep -qx '20 ok '
    """,
    "make in parallel with sub-makes": """
        mkdir -p a b && for d in a b; do printf 'all:\\n\\techo '$d' > out\\n' > $d/Makefile; done
        printf 'all: a b\\n.PHONY: a b\\na b:\\n\\t+$(MAKE) -s -C $@\\n' > Makefile && make -s -j4 && cat a/out b/out
    """,
    "sqlite": "sqlite3 db 'pragma journal_mode=wal; create table t(x); insert into t values(1);' && sqlite3 db .dump",
    "a named pipe": "mkfifo pipe; echo x > pipe & read line < pipe; [ $line = x ]",
    "a Unix socket": python("import socket; a = socket.socket(socket.AF_UNIX); a.bind(\"s\"); a.listen(); "
                            "b = socket.socket(socket.AF_UNIX); b.connect(\"s\"); a.accept()"),
    "an abstract socket of its own": python(
        "import socket; a = socket.socket(socket.AF_UNIX); a.bind(\"\\0jail-test\"); a.listen(); "
        "b = socket.socket(socket.AF_UNIX); b.connect(\"\\0jail-test\")"),
    "signals among its own": "sleep 100 & kill $!; code=0; wait $! || code=$?; [ $code = 143 ]",
    "its own priority and processors": "nice -n 5 true && taskset 1 true && ionice -c 3 true",
    "its own limits": "ulimit -n 100 && prlimit --nofile > /dev/null",
    "ps": "ps aux > /dev/null",
    "tar": "mkdir d && echo x > d/f && tar czf d.tgz d && rm -r d && tar xzf d.tgz && cat d/f",
    "the usual devices": "head -c 9 /dev/urandom > /dev/null && : > /dev/null && ! echo x > /dev/full 2> /dev/null",
    "standard error by name": "(echo x > /dev/stderr) 2>&1 | grep x > seen && echo y | tee /dev/fd/2 2>&1 | grep y >> seen",
    "perl": "perl -e 'system(\"true\") == 0 or die; print `echo x`'",
    # Not by mv, which copies where it cannot rename.
    "renaming and linking between folders": """
        mkdir -p a b && echo x > a/f && ln a/f b/link && [ "$(stat -c %h a/f)" = 2 ]
        python3 -c "
import os
os.rename('a/f', 'b/f'); os.rename('b/f', os.environ['HOME'] + '/f'); os.rename(os.environ['HOME'] + '/f', 'a/g')
os.rename('a', 'b/a'); os.link('b/a/g', 'h')"
        grep -qx x h
    """,
}


@pytest.mark.parametrize("work", WORK)
def test_ordinary_work_works(workspace, work):
    done = workspace.run(WORK[work])
    assert done.code == 0, done
    assert done.report["exited"] == "0"
