"""Scripts for the model server, put together from turns."""


def call(tool, **given):
    """One tool call."""
    return {"name": tool, "input": given}


def turn(*calls, **more):
    """An answer with these calls; `more`: fields of the script's turn (Tests/ModelServer/README.md)."""
    return {"tools": list(calls), **more}


def todo(title, check=None):
    return {"title": title, "acceptance": f"{title}: seen", **({"check": check} if check else {})}


def plan(*todos, **more):
    """The strategic turn that stages the todos (a text is a title) and ends the phase."""
    staged = [todo(given) if isinstance(given, str) else given for given in todos]
    return turn(call("plan_write", text="As the script says."), call("todo_stage", todos=staged),
                call("begin_tactical"), **more)


def execute(command, **given):
    return call("execute", command=command, **given)


def done(identifier):
    """Closes a todo; when all are closed the tactical phase ends by itself."""
    return call("todo_update", id=identifier, status="done", evidence="seen")


def complete(*deliverables, **more):
    """The strategic turn that claims the end."""
    return turn(call("job_complete", summary="All is done.", deliverables=list(deliverables)), **more)


def job_of(*tactical, deliverables=(), check=None):
    """A whole job: one todo, these tactical turns, the claim."""
    turns = [plan(todo("The work", check)), *tactical, turn(done("t1")), complete(*deliverables)]
    return {"turns": turns}


SMALL_JOB = job_of(turn(call("write_file", path="result", content="42\n"), execute("grep -q 42 result && echo good")),
                   deliverables=["result"], check="grep -qx 42 result")
"""The shortest job that uses the jail, writes a deliverable and is checked."""
