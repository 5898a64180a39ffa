"""A command that leaves 100,000 files, and what comes after it: the next calls, a resumption, the end of the job."""

import os
import signal

from job_ends import end_well
from turns import call, complete, done, execute, plan, turn

COUNT = 100_000

MANY = f"""python3 -c '
import os
for place in (".", os.environ["HOME"], os.environ["TMPDIR"]):
    for folder in range(100):
        os.mkdir(os.path.join(place, str(folder)))
        for file in range({COUNT} // 300 + 1):
            open(os.path.join(place, str(folder), str(file)), "x").close()
'; touch ../home/made; """


def test_a_job_with_100_000_files_goes_on_after_a_kill_and_ends(new_job):
    look = "find . $HOME $TMPDIR -type f | wc -l | xargs test {} -le && echo all".format(COUNT)
    job = new_job({"turns": [
        plan("Work"), turn(execute(MANY + "sleep 600", timeout_seconds=600)),
        turn(execute(look), call("list_files"), call("search", pattern="nowhere"),
             expect=["was running when its process was killed", "Files of the project tree that have changed"]),
        turn(execute("rm -r [0-9]* $HOME/[0-9]* $TMPDIR/[0-9]* && ls | wc -l"),
             expect=["all\n", "\t0 bytes\n", "No match."]),
        turn(done("t1"), expect=["exit code 0\n0\n"]), complete()]})
    job.change(AGENT_TMP=str(job.workspace / "tmp"))
    run = job.start()
    run.until("the files", (job.workspace / "home/made").exists)
    os.kill(job.pid("loop"), signal.SIGKILL)
    assert run.wait().code == 0 and not job.alive()
    assert job.refusals() == []
    job.journal().check(model=job.model.log())


def test_a_job_ends_well_with_all_of_them_left(new_job):
    job = new_job({"turns": [plan("Work"), turn(execute(MANY)), turn(done("t1")), complete("99/0")]})
    job.change(AGENT_TMP=str(job.workspace / "tmp"))
    end_well(job)
    assert sum(len(files) for _, _, files in os.walk(job.workspace)) >= COUNT
