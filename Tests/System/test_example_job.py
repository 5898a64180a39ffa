"""examples/k8s as it stands: every container of its manifests starts with its image's ENTRYPOINT and does its work.

The Job clones over HTTPS, compiles, mends and is verified; its model, its git server and NATS are reached as the manifests
name them: two of them only by the egress proxy, which is the example's own.
"""
import contextlib
import json
import pathlib

import pytest

import container
import internet
import kube_play
import nats_process
from container import ROOT, run
from job import eventually
from model_server_process import ModelServerProcess
from turns import complete, done, execute, job_of, plan, todo, turn

pytestmark = internet.NEEDS_ROOT

HERE = pathlib.Path(__file__).resolve().parent
JOB = kube_play.manifest("Job", "agent-example")
NAME = JOB["metadata"]["name"]
KEY = kube_play.manifest("Secret", "agent-secrets")["stringData"]["anthropic-api-key"]


def edits():
    """The calls with which the demo's script mends examples/task."""
    script = json.loads((ROOT / "examples/demo-script.json").read_text())
    return [call for one in script["turns"] for call in one.get("tools", []) if call["name"] == "edit_file"]


SCRIPT = {
    "require_key": KEY,
    "turns": [
        plan(todo("make test passes", "make test"), expect=["Clone https://git.example.org/team/program.git"]),
        turn(execute("git clone https://git.example.org/team/program.git .")),
        turn(execute("make test"), expect=["Cloning into '.'..."]),
        turn(*edits(), expect=["7 passed, 6 failed"]),
        turn(execute("make test")),
        turn(done("t1"), expect=["13 passed, 0 failed"]),
        complete("src/table.c"),
    ],
}  # fmt: skip


def publish(folder, site):
    """The program of the demo as the git repository that the task names, for git's plain HTTP."""
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main"]
    run("cp", "--recursive", ROOT / "examples/task", folder)
    run("rm", "--recursive", "--force", folder / "build")
    run(*git, "init", "--quiet", folder)
    run(*git, "-C", folder, "add", "--all")
    run(*git, "-C", folder, "commit", "--quiet", "--message", "The program")
    run(*git, "clone", "--quiet", "--bare", folder, site / "team/program.git")
    run(*git, "-C", site / "team/program.git", "update-server-info")


class Cluster:
    """What the Job finds: the internet, NATS, the model and the proxy. `agent` and `proxy` are the pods that were played."""

    def __init__(self, folder, images):
        self.folder, self.images = folder, images
        self.network = internet.Internet(folder / "internet")
        self.model = ModelServerProcess(SCRIPT, folder, under=self.network.inside)
        self.termination_log = folder / "termination-log"

    def run(self, running):
        """Starts everything that is to end with the ExitStack, and waits for the end of the Job."""
        publish(self.folder / "program", self.network.site("git.example.org"))
        running.enter_context(self.network)
        running.enter_context(self.model)
        self.network.pass_on({internet.LLM: self.model.port})
        running.callback(stop, self.network.start(
            nats_process.program(), "-js", "-sd", self.folder / "nats", "-a", internet.NATS, "-p", "4222"))
        self.proxy = running.enter_context(self.play("Deployment", "egress-proxy"))
        eventually("the proxy listens", lambda: "Accepting HTTP Socket" in self.proxy.output("squid"))
        self.termination_log.touch()
        self.termination_log.chmod(0o666)
        self.agent = running.enter_context(self.play("Job", NAME))
        self.agent.wait("agent")

    def play(self, kind, name):
        pod = kube_play.pod_of(kube_play.manifest(kind, name), self.images)
        kube_play.mount(pod, "trusted", self.network.certificate, "/etc/ssl/certs/ca-certificates.crt")
        if kind == "Job":
            kube_play.mount(pod, "termination-log", self.termination_log, "/dev/termination-log")
        return kube_play.Played(self.folder / name, self.network, pod)


def stop(process):
    process.terminate()
    process.wait(timeout=30)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, example_images):
    folder = tmp_path_factory.mktemp("example")
    # Containers of other users read in it.
    for opened in (folder, folder.parent):
        opened.chmod(0o755)
    with contextlib.ExitStack() as running:
        cluster = Cluster(folder, example_images)
        cluster.run(running)
        yield cluster


WORKLOADS = [one for one in kube_play.manifests() if "template" in one.get("spec", {})]
CONTAINERS = [(one["metadata"]["name"], container["name"])
              for one in WORKLOADS for container in kube_play.containers_of(one["spec"]["template"])]


def started(cluster, pod, name):
    """What podman says of a container."""
    [played] = [one for one in (cluster.agent, cluster.proxy) if one.workload == pod]
    [seen] = json.loads(played.podman("inspect", "--type=container", f"{played.name}-{name}"))
    return seen


def test_these_are_the_containers_of_the_manifests():
    assert set(CONTAINERS) == {(NAME, "restore"), (NAME, "agent"), ("egress-proxy", "squid")}


@pytest.mark.parametrize(("pod", "name"), CONTAINERS)
def test_a_container_starts_with_its_images_entrypoint_or_with_its_own_command(cluster, pod, name):
    [given] = [one for workload in WORKLOADS for one in kube_play.containers_of(workload["spec"]["template"])
               if (workload["metadata"]["name"], one["name"]) == (pod, name)]
    seen = started(cluster, pod, name)
    image = json.loads(container.podman("image", "inspect", "--format={{json .Config}}", seen["ImageName"]))
    line = given.get("command") or image["Entrypoint"]
    assert [seen["Path"], *seen["Args"]] == line + given.get("args", []), seen


@pytest.mark.parametrize(("pod", "name"), CONTAINERS)
def test_a_container_runs_restricted(cluster, pod, name):
    seen = started(cluster, pod, name)
    host = seen["HostConfig"]
    assert host["ReadonlyRootfs"] and not host["Privileged"]
    assert not seen["EffectiveCaps"] and not seen["BoundingCaps"], seen
    assert "no-new-privileges" in host["SecurityOpt"], host
    assert seen["Config"]["User"].split(":")[0] in ("1000", "13")


def test_the_init_container_finds_nothing_to_restore_and_ends_well(cluster):
    assert cluster.agent.wait("restore") == 0
    assert cluster.agent.output("restore").strip() == "AGENT_SNAPSHOT_URL is not set: nothing to do."


def test_the_agents_container_does_the_whole_job(cluster):
    assert cluster.agent.wait("agent") == 0
    message = json.loads(cluster.termination_log.read_text())
    assert (message["outcome"], message["exit_code"]) == ("completed", 0), message
    requests = cluster.model.log()
    assert [request["status"] for request in requests] == [200] * len(SCRIPT["turns"]), requests
    records = [json.loads(line) for line in cluster.agent.output("agent").splitlines() if line.startswith("{")]
    assert records[-1]["attributes"]["event.name"] == "verified", records[-3:]


def test_the_agent_and_its_commands_reach_the_world_by_the_proxy_alone(cluster):
    # A tunnel is logged when it ends.
    def logged():
        lines = [line.split() for line in cluster.proxy.output("squid").splitlines() if " CONNECT " in line]
        return {(words[3], words[6]) for words in lines}

    expected = {("TCP_TUNNEL/200", f"{host}:443") for host in ("api.anthropic.com", "git.example.org")}
    eventually("both are in the proxy's log", lambda: logged() >= expected)
    assert logged() == expected
    assert cluster.network.reached() <= {internet.LLM, internet.SITE, internet.SITE6}


READ_EVENTS = f"""
import json, sys
sys.path.insert(0, sys.argv[1])
from nats_client import NATS
with NATS("nats://{internet.NATS}:4222") as nats:
    print(json.dumps([event["type"] for _, event in nats.stored("events.agent.{NAME}")]))
"""


def test_the_events_have_arrived_at_nats_in_streams_that_the_job_made(cluster):
    types = json.loads(run(*cluster.network.inside, "/usr/bin/python3", "-B", "-c", READ_EVENTS, HERE))
    assert types[0] == "agent.started" and types[-1] == "agent.completed", types
