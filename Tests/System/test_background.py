"""Commands in the background: they outlive their call, never their phase, their process or the job."""

import os
import signal
import time
import uuid

import pytest

import process_tree
from job import eventually
from job_ends import end_failed, end_well
from turns import call, complete, done, execute, job_of, plan, turn

TICKS = "i=0; while :; do i=$((i + 1)); echo $i >> ticks; sleep 0.02; done"


def start(command, **given):
    return execute(command, background=True, **given)


def look(identifier):
    return call("background", action="status", id=identifier)


def kill(identifier):
    return call("background", action="kill", id=identifier)


def ends(journal):
    return {event["call"]: event["how"] for event in journal.of("background_ended")}


def still(job):
    """That nothing writes any more."""
    before = job.file("ticks")
    time.sleep(0.2)
    return before and job.file("ticks") == before


def test_it_goes_on_while_other_things_happen_until_it_is_killed(new_job):
    wait = "until [ $(wc -l < ticks) -gt {0} ]; do sleep 0.01; done; echo waited"
    job = new_job(job_of(
        turn(start(f"echo hello; {TICKS}")),
        turn(execute(wait.format(10)), look("2.0"), expect=["in the background as 2.0", "hello"]),
        turn(execute(wait.format(30)), expect=["waited", "2.0 is running", "hello"], delay_ms=300),
        turn(kill("2.0"), execute("a=$(wc -l < ticks); sleep 0.3; [ $a = $(wc -l < ticks) ] && echo silent")),
        turn(look("2.0"), expect=["2.0 is killed", "silent"]),
        turn(execute("true"), expect=["2.0 is killed"])))
    journal = end_well(job)
    assert ends(journal) == {"2.0": "killed"}
    assert job.status()["background"] == []


def test_its_end_is_told_with_how_it_ended_and_what_it_printed(new_job):
    job = new_job(job_of(
        turn(start("until [ -e go ]; do sleep 0.01; done; echo the last words; exit 3")),
        turn(execute("touch go; sleep 0.5")),
        turn(execute("true"), expect=["background command 2.0", "has ended: exit code 3", "the last words"])))
    assert ends(end_well(job)) == {"2.0": "finished"}


def test_it_is_ended_at_its_own_time_limit(new_job):
    job = new_job(job_of(turn(start("sleep 600", timeout_seconds=1)), turn(execute("sleep 2.5")),
                         turn(execute("true"), expect=["2.0", "ended after its time limit of 1 s"])))
    end_well(job)


def test_it_ends_with_its_phase(new_job):
    job = new_job({"turns": [
        plan("Work"),
        turn(start(TICKS), start(f"setsid bash -c '{TICKS}' & sleep 0.1; echo left"), execute("sleep 0.2")),
        turn(call("end_phase", reason="to look")),
        turn(execute("a=$(wc -l < ticks); sleep 0.3; [ $a = $(wc -l < ticks) ] && echo silent"),
             expect=["2.0", "was ended with the phase"]),
        turn(call("begin_tactical"), expect=["silent"]),
        turn(done("t1")), complete()]})
    journal = end_well(job)
    assert ends(journal)["2.0"] == "phase"
    # The other one had ended by itself, and its daemon with it.
    assert ends(journal)["2.1"] == "finished"


def test_in_the_strategic_phase_it_can_change_nothing(new_job):
    job = new_job({"turns": [
        turn(start("touch new || echo tried; sleep 100")), plan("Work", expect=["Permission denied"]), turn(done("t1")), complete()]})
    assert ends(end_well(job)) == {"1.0": "phase"}
    assert not (job.project / "new").exists()


def test_there_are_four_at_most(new_job):
    job = new_job(job_of(turn(*[start("sleep 600") for _ in range(5)]), turn(kill("2.1"), start("sleep 600"))))
    journal = end_well(job)
    refused = [event["call"] for event in journal.of("call_finished") if event["outcome"] == "refused"]
    assert refused == ["2.4"]
    assert sorted(ends(journal)) == ["2.0", "2.1", "2.2", "2.3", "3.1"]


def test_what_prints_without_end_disturbs_nobody(new_job):
    job = new_job(job_of(turn(start("yes"), start("yes"), start("cat /dev/zero")),
                         *[turn(execute("echo fine"), delay_ms=200) for _ in range(5)]))
    run = job.start()
    loop = run.until("the loop", lambda: job.pid("loop"))
    biggest = 0
    while run.process.poll() is None:
        try:
            with open(f"/proc/{loop}/status", encoding="ascii") as status:
                fields = dict(line.split(":", 1) for line in status)
            biggest = max(biggest, int(fields.get("VmRSS", "0 kB").split()[0]))
        except OSError:
            break
        time.sleep(0.02)
    ended = run.wait()
    assert ended.code == 0, ended
    assert biggest < 100_000, "the loop's memory, in kB"
    for spool in job.outputs.glob("2.*.out"):
        assert spool.stat().st_size <= 64 << 20
    facts = [event["facts"] for event in job.journal().of("background_ended")]
    # Exact, whatever was kept: "y" and a newline.
    assert [f["output_bytes"] for f in facts[:2]] == [2 * f["output_lines"] for f in facts[:2]]


def test_after_a_kill_the_model_is_told_that_it_is_gone(new_job):
    marker = f"marker-{uuid.uuid4()}"
    job = new_job(job_of(
        turn(start(f": {marker}; echo printed; {TICKS}"), execute("sleep 600", timeout_seconds=600)),
        turn(execute("sleep 600", timeout_seconds=600), expect=["2.0", "is no longer running", "printed", "was running when its process was killed"]),
        turn(look("2.0"))))
    for number, waiting in enumerate(["2.1", "3.0"]):
        run = job.start()
        begun = "SELECT 1 FROM event WHERE kind = 'call_started' AND body LIKE ?"
        run.until("it waits", lambda: job.ask(begun, f'%"{waiting}"%') and job.file("ticks"))
        job.kill()
        assert still(job)
        journal = job.journal()
        journal.check(model=job.model.log())
        assert ends(journal) == ({"2.0": "lost"} if number else {})
    journal = end_well(job)
    assert [event["how"] for event in journal.of("background_ended")] == ["lost"]
    assert "There is no background command 2.0" in job.told(4)


def test_it_goes_with_its_loop_alone(new_job):
    job = new_job(job_of(turn(start(TICKS), execute("until [ -e ../home/go ]; do sleep 0.02; done")),
                         turn(execute("true"), expect=["2.0", "is no longer running"])))
    run = job.start()
    run.until("it runs", lambda: job.file("ticks") and job.ask("SELECT 1 FROM call WHERE call_id = '2.1' AND state = 'started'"))
    victim = job.pid("loop")
    os.kill(victim, signal.SIGKILL)
    run.until("its successor", lambda: job.pid("loop") not in (None, victim))
    eventually("it has stopped", lambda: still(job))
    ended = run.wait()
    assert ended.code == 0, ended
    assert ends(job.journal()) == {"2.0": "lost"}


def test_sigterm_ends_it_and_says_so_at_the_resumption(new_job):
    job = new_job(job_of(turn(start(f"echo printed; {TICKS}"), execute("sleep 600", timeout_seconds=600)),
                         turn(execute("true"), expect=["2.0", "the process was told to stop", "printed"])))
    run = job.start()
    run.until("it runs", lambda: job.file("ticks") and job.ask("SELECT 1 FROM call WHERE call_id = '2.1' AND state = 'started'"))
    ended = run.stop()
    assert ended.code == 143, ended
    assert not job.alive() and still(job)
    assert ends(job.journal()) == {"2.0": "stopped"}
    assert ends(end_well(job)) == {"2.0": "stopped"}


def test_a_job_out_of_budget_leaves_none(new_job):
    job = new_job(job_of(turn(start(TICKS)), turn(execute("true")), turn(execute("true"))), AGENT_MAX_STEPS="3")
    journal = end_failed(job, "budget_exhausted", "AGENT_MAX_STEPS")
    assert ends(journal) == {"2.0": "job"}
    assert journal.events[-2].kind == "status_changed" or journal.events[-1].kind in ("status_changed", "acquired")
    assert still(job) and process_tree.descendants(os.getpid(), job.spared) == []


@pytest.mark.parametrize("given", [{"action": "stop", "id": "2.0"}, {"action": "kill", "id": "9.9"}])
def test_what_it_cannot_do_is_said(new_job, given):
    job = new_job(job_of(turn(call("background", **given))))
    journal = end_well(job)
    assert [event["outcome"] for event in journal.of("call_finished") if event["call"] == "2.0"] == ["refused"]


def test_if_the_janitor_is_killed_nothing_of_its_command_is_left_and_the_job_goes_on(new_job):
    tick = "while :; do echo x >> ticks; sleep 0.02; done"
    daemons = f"for i in 1 2 3; do setsid bash -c 'setsid bash -c \"{tick}\" & {tick}' & done; touch begun; sleep 600"
    job = new_job(job_of(turn(start("echo spared; sleep 600"), execute(daemons, timeout_seconds=600)),
                         turn(execute("a=$(wc -c < ticks); sleep 0.3; [ $a = $(wc -c < ticks) ] && echo silent"), look("2.0"),
                              expect=["agent-jail was killed while it watched", "nothing of the command is left"]),
                         turn(execute("true"), expect=["silent", "2.0 is running", "spared"])))
    run = job.start()
    run.until("the daemons run", lambda: (job.project / "begun").exists() and job.file("ticks"))
    janitors = [pid for pid, name in job.alive() if name == "agent-jail"]
    assert len(janitors) == 2
    # The later one is the one in the foreground.
    os.kill(max(janitors), signal.SIGKILL)
    ended = run.wait()
    assert ended.code == 0, ended
    assert job.refusals() == []
    job.journal().check(model=job.model.log())
