#!/usr/bin/python3
"""CPython's own test suite as a judge of the jail: each case outside and inside, and what differs.

    Tests/Suites/cpython.py [MODULE…]        (none: all of them)

Runs as an ordinary user, with copies of the programs of AGENT_BIN_DIR (default .build/release). What passes outside and not inside
is printed, and is a failure unless a pattern of cpython.differences matches it, which has the reason. So is a pattern that
is not needed any more, if all modules were run.
"""
import fnmatch
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = pathlib.Path(os.environ.get("AGENT_BIN_DIR", HERE.parents[1] / ".build/release")).resolve()
CACHE = HERE.parents[1] / ".build/suites"
USER = 1000 if os.getuid() == 0 else os.getuid()
# They need a display, or take longer than all the others together.
LEFT_OUT = ["test_tools", "test_peg_generator", "test_idle", "test_tkinter", "test_ttk", "test_ttk_textonly", "test_turtle"]


def library():
    """The folder that has the package `test`: Debian's, unpacked here, for it is not wanted on the machine itself."""
    folder = CACHE / "cpython"
    if not folder.exists():
        with tempfile.TemporaryDirectory() as download:
            subprocess.run(["apt-get", "download", "libpython3.11-testsuite"], cwd=download, check=True)
            package = next(pathlib.Path(download).glob("*.deb"))
            subprocess.run(["dpkg", "-x", package, folder.with_suffix(".part")], check=True)
        folder.with_suffix(".part").rename(folder)
    return folder / "usr/lib/python3.11"


def run(name, modules, prefix, root):
    """The outcome of each case, as the user, in a workspace of its own: {case: passed, failed or skipped}."""
    workspace = root / name
    for folder in ("project", "home", "tmp"):
        (workspace / folder).mkdir(parents=True)
    # The package's beginning is in another package of Debian's, which is installed.
    for part in (pathlib.Path("/usr/lib/python3.11/test"), library() / "test"):
        shutil.copytree(part, workspace / "project/lib/test", symlinks=True, dirs_exist_ok=True)
    subprocess.run(["chown", "-R", f"{USER}:{USER}", workspace], check=True)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(workspace / "home"), "LANG": "C.UTF-8",
                   "TMPDIR": str(workspace / "tmp"), "WORKSPACE_PATH": str(workspace)}
    chosen = ["-x", *LEFT_OUT] if not modules else modules
    command = ["env", f"PYTHONPATH={workspace}/project/lib", "/usr/bin/python3", "-m", "test", "-j2", "--timeout", "600",
               "-u", "all,-gui,-audio,-largefile,-network,-urlfetch,-cpu,-tzdata,-curses",
               "--junit-xml", str(workspace / "project/result.xml"), *chosen]
    as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.getuid() == 0 else []
    with open(root / f"{name}.log", "w") as log:
        subprocess.run([*as_user, *prefix, *command], env=environment, cwd=workspace / "project", stdin=subprocess.DEVNULL,
                       stdout=log, stderr=subprocess.STDOUT)
    outcomes = {}
    for case in xml.etree.ElementTree.parse(workspace / "project/result.xml").iter("testcase"):
        kinds = {child.tag for child in case}
        ran = "skipped" not in kinds and case.get("result") == "completed"
        outcomes[case.get("name")] = "failed" if kinds & {"failure", "error"} else "passed" if ran else "skipped"
    return outcomes


def allowed():
    lines = (HERE / "cpython.differences").read_text().splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def main():
    modules = sys.argv[1:]
    root = pathlib.Path(tempfile.mkdtemp(prefix="agent-suite-", dir="/var/tmp"))
    root.chmod(0o755)
    # The user need not be able to reach the build folder.
    (root / "bin").mkdir()
    for name in ("agent-init", "agent-jail", "agentd"):
        shutil.copy(PROGRAMS / name, root / "bin")
    print(f"outside and inside; logs in {root}", flush=True)
    outside = run("outside", modules, [], root)
    inside = run("inside", modules, [root / "bin/agent-init", "exec", "--timeout", "7200", "--"], root)
    passed = [case for case, outcome in outside.items() if outcome == "passed"]
    different = sorted(case for case in passed if inside.get(case, "missing") != "passed")
    patterns = allowed()
    known = {case for case in different if any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns)}
    for case in different:
        print(f"{inside.get(case, 'missing'):8} {case}{'' if case not in known else '   (known)'}")
    new = [case for case in different if case not in known]
    gone = [] if modules else [pattern for pattern in patterns if not fnmatch.filter(different, pattern)]
    for pattern in gone:
        print(f"nothing differs that is {pattern}   (take it out of cpython.differences)")
    print(f"{len(passed)} cases pass outside, {len(different)} of them not inside, {len(new)} of these unexplained")
    sys.exit(1 if new or gone else 0)


if __name__ == "__main__":
    main()
