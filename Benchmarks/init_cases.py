"""What Benchmarks/run measures of an init beside its start: its memory at rest, and a burst of orphans."""

import os
import pathlib
import signal
import statistics
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
ORPHANS = 20_000
# Beats once, so that PID 1 has seen what it sees of a real loop and gateway, and then rests as they do.
QUIET_AGENTD = "#!/bin/sh\nprintf 'beat\\nphase=TACTICAL\\tstep=1\\tseq=2\\n' >&3\nexec sleep 1000\n"


def resting_cases(agent_init, folder):
    """Each over a `sleep`; and PID 1 of the agent over a stand-in, in its folder, for its loop and gateway."""
    (folder / "agentd").write_text(QUIET_AGENTD)
    (folder / "agentd").chmod(0o755)
    return {
        "tini": ["tini", "-s", "--", "sleep", "1000"],
        "tini-static": ["tini-static", "-s", "--", "sleep", "1000"],
        "dumb-init": ["dumb-init", "sleep", "1000"],
        "catatonit": ["catatonit", "--", "sleep", "1000"],
        "agent-init run -- sleep": [agent_init, "run", "--", "sleep", "1000"],
        "agent-init run": [agent_init, "run"],
    }


def memory(arguments, folder):
    """KiB of the running program, from /proc: resident, and what of it is its own (anonymous)."""
    environment = {"PATH": "/usr/bin:/bin", "AGENT_TERMINATION_LOG": str(folder / "message")}
    process = subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        time.sleep(1.5)
        try:
            fields = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]
            names = ("Rss", "Anonymous")
        except PermissionError:
            # agent-init is closed to its own user; this is not, but on Linux 6.2 to 6.15 it is up to 256 KiB wrong.
            fields = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
            names = ("VmRSS", "RssAnon")
        values = {line.split(":")[0]: line.split()[1] for line in fields}
        return tuple(int(values[name]) for name in names)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=90)


def resting_table(cases, folder, reference):
    measured = {name: memory(arguments, folder) for name, arguments in cases.items()}
    for name, (resident, anonymous) in measured.items():
        ratio = resident / measured[reference][0]
        yield f"| memory at rest, KiB (anonymous) | {name} | {resident} ({anonymous}) | | {ratio:.2f} |"


def burst_cases(agent_init):
    return {
        "tini": ["tini", "--"],
        "dumb-init": ["dumb-init"],
        "catatonit": ["catatonit", "--"],
        "agent-init run": [agent_init, "run", "--"],
    }


def burst_table(cases, folder, reference, rounds):
    """Milliseconds from the instant in which all orphans die until the last one is reaped, by PID 1 of a namespace."""
    orphans = folder / "orphans"
    subprocess.run(["cc", "-O1", "-o", orphans, TOP / "Tests/System/orphans.c"], check=True)
    namespace = ["unshare", *([] if os.getuid() == 0 else ["--user", "--map-root-user"]), "--pid", "--fork", "--mount-proc"]
    times = {name: [] for name in cases}
    for _ in range(rounds):
        for name, arguments in cases.items():
            line = [*namespace, *arguments, orphans, str(ORPHANS)]
            times[name].append(float(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout))
    base = statistics.median(times[reference])
    for name, values in times.items():
        median = statistics.median(values)
        yield f"| {ORPHANS:,} orphans at once, ms | {name} | {median:.0f} | {max(values):.0f} (worst) | {median / base:.2f} |"
