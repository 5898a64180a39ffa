"""No secret leaves by PID 1: termination message, stderr and last-gasp records, whatever process says it and how."""

import base64
import signal
import urllib.parse

import pytest

from init_box import SERVE, done, init_or_not
from test_init_gasp import gasps

SECRET = 'the/Key+of "nobody"\\0815'
# What has the shape of a credential, whoever's it is.
SHAPE = "sk-ant-api03-0123456789abcdefghij"


@pytest.fixture
def secrets(box):
    """The folder that AGENT_SECRETS_DIR names in the runs of `leave`."""
    folder = box.folder / "secrets"
    folder.mkdir()
    (folder / "anthropic-api-key").write_text(SECRET + "\n")
    return folder


@pytest.fixture
def records(box):
    folder = box.folder / "gasps"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    return folder


def forms(secret):
    """The ways in which a program may print it."""
    return {
        "as it is": secret, "in JSON": secret.replace("\\", "\\\\").replace('"', '\\"'),
        "in a URL": urllib.parse.quote(secret, safe=""), "in hex": secret.encode().hex(),
        "in base64": base64.b64encode(b"user:" + secret.encode()).decode(), "a token of somebody's": SHAPE,
    }


def what_leaves(box, log, records):
    """All that has left by PID 1, as one text."""
    files = [path.read_text(errors="replace") for path in records.iterdir()]
    return "\n".join([log, box.message_path.read_text(), *files])


def assert_clean(text, form=SECRET):
    """No piece of 12 characters of it is there; what PID 1 has put in its place is."""
    assert "[redacted]" in text, text
    pieces = [form[start:start + 12] for start in range(len(form) - 11)]
    if form.startswith("dXNlcjo"):  # what stands before the secret in base64 may stay
        pieces = pieces[8:]
    assert not [piece for piece in pieces if piece in text], text


def run(box, secrets, **options):
    code, _, log = box.run(env={"AGENT_SECRETS_DIR": str(secrets), **options.pop("env", {})}, **options)
    return code, log


@init_or_not
@pytest.mark.parametrize("form", forms(SECRET), ids=str)
def test_what_a_gateway_prints_with_a_secret_comes_out_without_it(box, init, secrets, records, form):
    text = forms(SECRET)[form]
    box.script([[["until", "gone"]] + done(0)],
               [[["status", f"records={records}"], ["err", f"gateway: {text} was refused\nand so\n"], ["touch", "gone"],
                 ["exit", 3]], SERVE])
    code, log = run(box, secrets, init=init)
    assert code == 0 and "was refused\nand so\n" in log
    assert_clean(log, text)
    assert_clean(what_leaves(box, log, records), text)


def test_a_secret_in_two_pieces_and_without_a_newline_does_not_come_out(box, secrets, records):
    box.script([[["until", "gone"]] + done(0)],
               [[["status", f"records={records}"], ["err", SECRET[:9]], ["sleep", 0.3], ["err", SECRET[9:]],
                 ["touch", "gone"], ["die", signal.SIGKILL]], SERVE])
    code, log = run(box, secrets, init=False)
    (_, output), = gasps(records)
    assert code == 0 and output == b"[redacted]" and "\n[redacted]\n" in "\n" + log
    assert_clean(what_leaves(box, log, records))


@init_or_not
@pytest.mark.parametrize("role", ["loop", "gateway"])
@pytest.mark.parametrize("last", [["exit", 127], ["exit", 78], ["exit", 3], ["die", signal.SIGSEGV]],
                         ids=["unloadable", "refusing", "failing", "crashing"])
def test_the_last_words_of_a_process_that_never_said_one_to_us_come_out_without_the_secret(
        box, init, secrets, records, role, last):
    """Whatever program it is: it was not asked to hide anything."""
    bad = [["err", f"at {SECRET}: no\n"], last]
    other = [["status", f"records={records}"], ["on_term", done(143, "stopped", "saved")], ["until", "never"]]
    box.script([bad] if role == "loop" else [other],
               [bad] if role == "gateway" else [[["status", f"records={records}"]] + SERVE])
    code, log = run(box, secrets, init=init)
    assert code in (70, 78)
    assert "the last it wrote: at [redacted]: no" in log or "cannot be loaded: at [redacted]: no" in log
    assert_clean(what_leaves(box, log, records))


@pytest.mark.parametrize("form", forms(SECRET), ids=str)
def test_a_reason_with_a_secret_comes_out_without_it(box, secrets, records, form):
    text = forms(SECRET)[form]
    escaped = text.replace("\\", "\\\\")
    box.script([[["status", f"records={records}"]] + done(77, "not_permitted", f"the server says: {escaped} is wrong")])
    code, log = run(box, secrets, init=False)
    assert code == 77 and box.message["reason"] == log.partition("exit code 77: ")[2].rstrip("\n")
    assert box.message["reason"].endswith(" is wrong")
    assert_clean(what_leaves(box, log, records), text)


def test_a_place_with_a_secret_comes_out_without_it(box, secrets, records):
    escaped = SECRET.replace("\\", "\\\\")
    place = f"phase=PHASE {escaped}\tstep=1\tseq=2\tdoing=call {escaped} (execute)"
    box.script([[["status", f"records={records}"], ["status", place], ["die", 9]],
                [["status", place], ["touch", "there"], ["sleep", 60]]])
    process = box.start("run", init=False, env={"AGENT_SECRETS_DIR": str(secrets)})
    box.wait_for("there")
    process.send_signal(signal.SIGTERM)
    _, _, log = box.finish(process)
    assert box.message["phase"] == "PHASE [redacted]"
    assert gasps(records)[0][0]["doing"] == "call [redacted] (execute)"
    assert_clean(what_leaves(box, log, records))


def test_a_folder_that_only_the_children_know_counts_before_they_say_anything_else(box, secrets, records):
    told = ["status", f"secrets={secrets}"]
    box.script([[told, ["status", f"records={records}"], ["err", f"loop: {SECRET}\n"], ["die", 9]], done(0)],
               [[told, ["err", f"gateway: {SECRET}\n"], ["exit", 3]], SERVE])
    code, _, log = box.run(init=False)
    assert code == 0 and "gateway: [redacted]\n" in log
    assert_clean(what_leaves(box, log, records))


def test_a_secret_that_is_rotated_while_it_runs_is_kept_in_both_its_values(box, secrets, records):
    new = "another-Value+of/the-key"
    box.script([[["status", f"records={records}"], ["touch", "up"], ["until", "rotated"],
                 ["err", f"{SECRET} became {new}\n"], ["die", 9]], done(0)])
    process = box.start("run", init=False, env={"AGENT_SECRETS_DIR": str(secrets)})
    box.wait_for("up")
    (secrets / "anthropic-api-key").write_text(new)
    (box.folder / "rotated").touch()
    _, _, log = box.finish(process)
    (_, output), = gasps(records)
    assert output == b"[redacted] became [redacted]\n"


def test_more_secrets_than_can_be_looked_for_withhold_what_the_children_say(box, secrets, records):
    for number in range(20):
        (secrets / f"large-{number}").write_text(f"{number:02}" * (30 << 10))
    reason = SECRET.replace("\\", "\\\\")
    box.script([[["status", f"records={records}"], ["err", f"{SECRET}\n"], ["die", 9]], done(1, "failed", reason)])
    code, log = run(box, secrets, init=False)
    left = what_leaves(box, log, records)
    assert code == 1 and "withheld" in box.message["reason"] and "withheld" in log and SECRET not in left


def test_what_a_command_line_says_is_cleaned_too(box, secrets):
    code, _, log = box.run("run", f"--{SECRET}", init=False, env={"AGENT_SECRETS_DIR": str(secrets)})
    assert code == 64
    assert_clean(log + box.message_path.read_text())


def test_a_long_line_of_the_gateway_is_not_cut_in_the_middle_of_a_secret(box, secrets, records):
    long = "x" * 4090 + SECRET + "y" * 5000
    box.script([[["until", "gone"]] + done(0)],
               [[["status", f"records={records}"], ["err", long + "\nnext\n"], ["touch", "gone"], ["exit", 3]], SERVE])
    code, log = run(box, secrets, init=False)
    assert code == 0 and "(a line of more than 4096 bytes)\nnext\n" in log
    assert_clean(what_leaves(box, log, records))


def test_controls_in_what_the_gateway_prints_do_not_reach_the_terminal(box):
    box.script([[["until", "gone"]] + done(0)],
               [[["status", "beat"], ["err", "a\x1b[2Jb\x07\n"], ["touch", "gone"]] + SERVE])
    code, _, log = box.run(init=False)
    assert code == 0 and "a [2Jb\n" in log and not {"\x1b", "\x07"} & set(log)
