"""Five hundred hostile commands in a row through one agent leave no process, descriptor, file or memory behind."""

import os
import pathlib
import random
import uuid

from jailed import python
from turns import call, complete, done, execute, plan, turn

COMMANDS = 500
A_TURN = 20

FORK = "import os, signal, time\nsignal.signal(15, signal.SIG_IGN)\n"

# With how often each comes; {shm} is a file in /dev/shm. What a command leaves in the folders that are granted to it is
# the job's and stays, so each writes to the same few names.
HOSTILE = {
    "setsid sleep 1000 & setsid sleep 1000 & echo out": 60,
    "trap '' TERM HUP; (trap '' TERM HUP; sleep 1000) & exit 3": 50,
    "exec >&- 2>&-; setsid sleep 1000 & exit 0": 50,
    "for i in 1 2 3; do (kill -STOP $BASHPID; :) & done; sleep 0.01; exit 0": 40,
    "sleep 1000 & kill -9 -1": 40,
    "rm -f pipe; mkfifo pipe; (echo x > pipe) & exit 0": 40,
    "head -c 4096 /dev/urandom > garbage; chmod +x garbage; ./garbage; ./nothing": 40,
    "mkdir -p many; for i in $(seq 200); do : > many/$i; done": 30,
    "head -c 8M /dev/zero > {shm}; exec 9< {shm}; rm {shm}; setsid sleep 1000 & exit 0": 30,
    python(FORK + "for d in range(3):\n  if os.fork() == 0:\n    os.setsid()\n    os.fork()\n    time.sleep(1000)"): 30,
    python("import os; os.chdir(os.environ['TMPDIR'])\nfor i in range(400):\n  os.makedirs('d', exist_ok=True); os.chdir('d')"): 20,
    python(FORK + "for d in range(6): os.fork() or os.setsid()\ntime.sleep(1000 if os.getppid() == 1 or os.fork() else 0.05)\n"
           ).replace("python3", "timeout -s KILL 0.3 python3"): 15,
    python("import os, time\nfor i in range(2000): os.open('/dev/null', 0)\nos.fork() or time.sleep(1000)"): 15,
    python("import os, pty, time\npid, fd = pty.fork()\npid or time.sleep(1000)"): 15,
    python("import os\nfd = os.memfd_create('x'); os.ftruncate(fd, 1 << 24); os.write(fd, b'1' * (1 << 24)); os.fork() or os.setsid()"): 10,
    "head -c 100M /dev/zero | tr '\\0' x; setsid yes & exit 0": 7,
    python("x = b'1' * (800 << 20)"): 5,
}
# At its time limit, with a tree that has stopped itself.
STOPPED = "(setsid sleep 1000) & kill -STOP $$"


def commands(shm):
    result = [text.replace("{shm}", shm) for text, count in HOSTILE.items() for _ in range(count)]
    random.Random(7).shuffle(result)
    result = [execute(text) for text in result[:COMMANDS - 3]]
    return result + [execute(STOPPED, timeout_seconds=1)] * 3


def wait(name):
    # Without a process of its own that might be mistaken for one that was left behind.
    return execute(f"mkfifo ../home/{name}; read line < ../home/{name}", timeout_seconds=600)


def script(shm):
    every = commands(shm)
    turns = [plan("Survive"), turn(wait("first"))]
    for start in range(0, len(every), A_TURN):
        # A file in every ten calls, or the loop would take it for a stall.
        batch = every[start:start + A_TURN]
        half = [call("write_file", path="progress", content=f"{start}")]
        turns.append(turn(*half, *batch[:A_TURN // 2], *half, *batch[A_TURN // 2:]))
    return {"turns": [*turns, turn(wait("last")), turn(done("t1")), complete()]}


class Moment:
    """What the loop holds while it waits for one command that only waits."""

    def __init__(self, job):
        pid = job.pid("loop")
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        self.memory = int(status.split("VmRSS:")[1].split()[0])
        # Of a process that is not dumpable only root may see it.
        self.descriptors = len(os.listdir(f"/proc/{pid}/fd")) if os.getuid() == 0 else None
        self.processes = sorted(name for _, name in job.alive())


def at(job, run, name):
    """The moment at which the loop's command waits for that file, and nothing else runs."""
    call_id = {"first": "2.0", "last": f"{3 + -(-COMMANDS // A_TURN)}.0"}[name]
    begun = "SELECT 1 FROM call WHERE call_id = ? AND state = 'started'"
    run.until(f"the {name} wait", lambda: job.ask(begun, call_id), timeout=240)
    pipe = job.workspace / "home" / name
    def waits():
        moment = pipe.exists() and Moment(job)
        return moment and "bash" in moment.processes and "mkfifo" not in moment.processes and moment

    moment = run.until("it waits", waits)
    pipe.write_text("go\n", encoding="ascii")
    return moment


def test_five_hundred_hostile_commands_leave_nothing_behind(new_job):
    shm = f"/dev/shm/agent-stress-{uuid.uuid4()}"
    assert len(commands(shm)) == COMMANDS
    job = new_job(script(shm), AGENT_COMMAND_MEMORY_MIB="400", AGENT_PHASE_MAX_STEPS="100")
    job.change(AGENT_TMP=str(job.workspace / "tmp"))
    run = job.start()
    first = at(job, run, "first")
    last = at(job, run, "last")
    ended = run.wait(timeout=240)
    assert ended.code == 0, ended
    assert last.processes == first.processes
    assert last.descriptors == first.descriptors
    # The conversation is in there, and what the allocator keeps.
    assert last.memory < first.memory + 30_000, (first.memory, last.memory)
    assert not job.alive()
    assert not pathlib.Path(shm).exists()

    journal = job.journal()
    journal.check(model=job.model.log())
    ends = [event for event in journal.of("call_finished") if "output_bytes" in event["facts"]]
    assert len(ends) == COMMANDS + 2
    assert {event["outcome"] for event in ends} == {"done", "failed"}, "none was taken for an interruption"
    exhausted = [event for event in ends if event["facts"].get("exhausted") == "memory"]
    assert len(exhausted) == 5
    loud = [event["facts"] for event in ends if event["facts"]["output_bytes"] >= 100 << 20]
    assert len(loud) == 7 and all(facts["spooled_bytes"] == 64 << 20 for facts in loud)
    # One file a call, and nothing else of ours.
    calls = {row["call_id"] for row in journal.calls if row["tool"] == "execute"}
    assert {path.stem for path in job.outputs.iterdir()} == calls | {"jail-proof"}
    assert {path.name for path in job.checkpoints.iterdir() if path.is_dir()} <= {job.outputs.name, "gasps_job-1", "verdict_job-1"}
