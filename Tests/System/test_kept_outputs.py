"""The kept outputs of commands stay within a budget over the whole job: the oldest go, and the model and the log are told."""

from job_ends import end_well
from journal import INTERRUPTED
from test_resume import killed, resumed
from turns import execute, job_of, turn

LOUD = "head -c 400000 /dev/zero | tr '\\0' x"
MEBIBYTE = 1 << 20


def sizes(job):
    return {path.stem: path.stat().st_size for path in job.outputs.iterdir()}


def removed(journal):
    """The outputs that each result says went, by call."""
    return {event["call"]: event["facts"]["outputs_removed"] for event in journal.of("call_finished")
            if "outputs_removed" in event["facts"]}


def test_the_oldest_outputs_go_and_the_model_and_the_log_are_told(new_job):
    job = new_job(job_of(
        turn(execute(LOUD)), turn(execute(LOUD)), turn(execute(LOUD)),
        turn(execute("true"), expect=["the oldest were removed: those of 2.0, 400000 bytes", "AGENT_OUTPUT_BUDGET_MIB", "run again"]),
    ), AGENT_OUTPUT_BUDGET_MIB="1")
    ended = job.start().wait()
    assert ended.code == 0, ended
    journal = job.journal()
    assert sum(sizes(job).values()) <= MEBIBYTE
    assert [sizes(job).get(name) for name in ("2.0", "3.0", "4.0")] == [None, 400000, 400000]
    assert removed(journal) == {"4.0": ["2.0.out"]}
    told = [record["attributes"] for record in ended.records if "outputs_removed" in record.get("attributes", {})]
    assert [(record["outputs_removed"], record["outputs_removed_why"]) for record in told] == [(["2.0.out"], "AGENT_OUTPUT_BUDGET_MIB")]


def test_the_output_of_a_command_that_runs_is_never_removed_and_its_end_is_counted_only(new_job):
    job = new_job(job_of(
        turn(execute(f"{LOUD}; touch printed; until [ -e go ]; do sleep 0.01; done", background=True)),
        turn(execute(f"until [ -e printed ]; do sleep 0.01; done; sleep 0.3; {LOUD}; {LOUD}")),
        turn(execute("touch go; sleep 0.5"), expect=["of its 800000 bytes of output only the first "]),
    ), AGENT_OUTPUT_BUDGET_MIB="1")
    end_well(job)
    assert sizes(job)["2.0"] == 400000
    assert sizes(job)["3.0"] == MEBIBYTE - 400000
    assert (job.outputs / "3.0.out").read_text() == "x" * (MEBIBYTE - 400000)


def test_after_a_kill_the_budget_counts_what_lies_on_the_disk(new_job):
    job = new_job(job_of(
        turn(execute(LOUD)),
        turn(execute(f"{LOUD}; touch begun; sleep 600", timeout_seconds=600)),
        turn(execute(LOUD), expect=[INTERRUPTED, "What it had printed:"]),
    ), AGENT_OUTPUT_BUDGET_MIB="1")
    spool = job.outputs / "3.0.out"
    before = killed(job, job.start(), "the output is spooled", lambda: spool.exists()
                    and spool.stat().st_size == 400000 and (job.project / "begun").exists())
    # What was interrupted is told whole, though the budget is smaller than what lies there.
    (job.outputs / "1.9.out").write_bytes(b"x" * MEBIBYTE)
    job.own(job.outputs / "1.9.out")
    resumed(job, before)
    assert sum(sizes(job).values()) <= MEBIBYTE
    assert removed(job.journal())["4.0"].count("2.0.out") == 1
