"""examples/k8s is what the API server takes: strict against Kubernetes' own schemas, and Restricted by the standard."""
import json
import pathlib
import re
import subprocess

import pytest

import network_policy
from kube_play import FOLDER, KUSTOMIZATION, ROOT, containers_of, manifest, manifests

VALIDATE = ROOT / ".build/python/bin/kubernetes-validate"
# The oldest release that has all the fields we use, and the newest that the validator knows.
VERSIONS = ["1.29.0", "1.37.0"]

JOB = manifest("Job", "agent-example")["spec"]
POD = JOB["template"]["spec"]
CONTAINER = POD["containers"][0]
# By what makes them: every pod of the example.
PODS = {one["metadata"]["name"]: one["spec"]["template"] for one in manifests() if "template" in one.get("spec", {})}


def validate(path, version):
    assert VALIDATE.exists(), "run scripts/install-dependencies test"
    command = [VALIDATE, "--strict", "--kubernetes-version", version, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_every_manifest_belongs_to_the_kustomization():
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", KUSTOMIZATION["resources"])
def test_a_manifest_passes_strict_validation(file, version):
    status, output = validate(FOLDER / file, version)
    assert status == 0, output


@pytest.mark.parametrize(
    ("file", "sound", "broken"),
    [
        ("job.yaml", "podFailurePolicy:", "podFailurPolicy:"),
        ("job.yaml", "readOnlyRootFilesystem:", "readOnlyRootFileSystem:"),
        ("job.yaml", "backoffLimit: 6", "backoffLimit: six"),
        ("pvc.yaml", "accessModes:", "accessMode:"),
        ("networkpolicy.yaml", "egress:", "egres:"),
    ],
)
def test_a_mistyped_field_is_refused(tmp_path, file, sound, broken):
    text = (FOLDER / file).read_text()
    assert sound in text
    (tmp_path / file).write_text(text.replace(sound, broken))
    status, output = validate(tmp_path / file, VERSIONS[-1])
    assert status != 0, output


def test_the_namespace_enforces_the_restricted_standard():
    namespace = manifest("Namespace", KUSTOMIZATION["namespace"])
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_these_are_the_pods():
    assert set(PODS) == {"agent-example", "egress-proxy"}


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_restricted(name):
    # https://kubernetes.io/docs/concepts/security/pod-security-standards, each control of the Restricted profile.
    pod = PODS[name]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] != 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for host in ("hostNetwork", "hostPID", "hostIPC"):
        assert host not in pod
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    for volume in pod["volumes"]:
        assert set(volume) - {"name"} <= allowed
    for container in containers_of(PODS[name]):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context.get("privileged", False) is False
        assert not {"runAsUser", "runAsNonRoot", "seccompProfile"} & set(context), "the pod's hold"
        assert all("hostPort" not in port for port in container.get("ports", []))


@pytest.mark.parametrize("name", PODS)
def test_a_pod_gives_away_no_more_than_it_must(name):
    pod = PODS[name]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert len(pod["containers"]) == 1
    for container in containers_of(PODS[name]):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert not re.search("LLM|KEY|TOKEN", json.dumps(container.get("env", [])))
        assert set(container["resources"]["limits"]) >= {"cpu", "memory"}


def test_what_is_mounted_is_what_the_image_expects():
    mounts = {mount["mountPath"]: mount for mount in CONTAINER["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    assert {mount["name"] for mount in mounts.values()} == set(volumes)
    assert mounts["/var/secrets"]["readOnly"] is True
    secret = volumes[mounts["/var/secrets"]["name"]]["secret"]
    assert secret["defaultMode"] == 0o440
    assert manifest("Secret", secret["secretName"])
    assert manifest("PersistentVolumeClaim", volumes[mounts["/workspace"]["name"]]["persistentVolumeClaim"]["claimName"])
    for folder in ("/tmp", "/home/agent/.local", "/dev/shm"):
        assert "sizeLimit" in volumes[mounts[folder]["name"]]["emptyDir"]


def test_what_is_restored_is_what_the_agent_finds():
    [restore] = POD["initContainers"]
    assert restore["command"] == ["/usr/local/bin/agent-init", "restore", "--if-configured"]
    assert restore["image"] == CONTAINER["image"]
    assert {variable["name"] for variable in restore["env"]} <= {variable["name"] for variable in CONTAINER["env"]}
    assert all(variable in CONTAINER["env"] for variable in restore["env"])
    assert all(mount in CONTAINER["volumeMounts"] for mount in restore["volumeMounts"])
    assert restore["securityContext"] == CONTAINER["securityContext"]


def action(exit_code, container="agent"):
    """What the Job controller does with a pod that ended so: the first rule that fits decides."""
    for rule in JOB["podFailurePolicy"]["rules"]:
        codes = rule.get("onExitCodes")
        if codes and codes["containerName"] == container and (exit_code in codes["values"]) == (codes["operator"] == "In"):
            return rule["action"]
    return "Count"


def test_the_failure_policy_knows_the_exit_codes():
    assert JOB["podFailurePolicy"]["rules"][0]["action"] == "Ignore"
    assert JOB["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert {code: action(code) for code in (1, 64, 65, 77, 78)} == dict.fromkeys((1, 64, 65, 77, 78), "FailJob")
    assert {code: action(code) for code in (70, 75, 137, 143)} == dict.fromkeys((70, 75, 137, 143), "Count")
    assert {code: action(code, "restore") for code in (64, 65, 77, 78)} == dict.fromkeys((64, 65, 77, 78), "FailJob")
    assert action(75, "restore") == "Count"
    assert POD["restartPolicy"] == "Never"
    assert JOB["podReplacementPolicy"] == "Failed"


def test_every_exit_code_of_the_programs_has_its_place():
    codes = set(map(int, re.findall(r"=\s*(\d+)", (ROOT / "Sources/Contracts/ExitCode.swift").read_text())))
    assert codes - {0} == {1, 64, 65, 70, 75, 77, 78, 143}


def test_the_settings_file_holds_only_settings_that_exist():
    source = (ROOT / "Sources/Agent/Settings/SettingsSource.swift").read_text()
    known = set(re.findall(r'"([A-Z_]+)"', source.split("known: Set<String> = [")[1].split("]")[0]))
    settings = json.loads(manifest("ConfigMap", "agent-config")["data"]["config.json"])
    variables = {variable["name"] for variable in CONTAINER["env"]}
    assert set(settings) <= known
    assert variables <= known
    task = pathlib.PurePath(settings["AGENT_TASK_FILE"])
    mounts = {mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert str(task.parent) in mounts and task.name in manifest("ConfigMap", "agent-config")["data"]


def test_every_image_has_a_place_in_a_registry():
    named = {container["image"] for pod in PODS.values() for container in containers_of(pod)}
    assert named == {f"{image['name']}:latest" for image in KUSTOMIZATION["images"]}


def test_the_agent_is_told_where_the_proxys_service_is():
    service = manifest("Service", "egress-proxy")
    [port] = service["spec"]["ports"]
    url = f"http://{service['metadata']['name']}.{KUSTOMIZATION['namespace']}.svc:{port['port']}"
    for container in containers_of(PODS["agent-example"]):
        told = {variable["name"]: variable["value"] for variable in container["env"] if variable["name"].endswith("_PROXY")}
        assert told.pop("NO_PROXY") == "localhost,127.0.0.1,.svc"
        assert told == {"HTTP_PROXY": url, "HTTPS_PROXY": url}
    proxy = PODS["egress-proxy"]
    assert service["spec"]["selector"].items() <= proxy["metadata"]["labels"].items()
    [container] = proxy["spec"]["containers"]
    assert {"name": port["targetPort"], "containerPort": 3128} in container["ports"]


# MARK: Network policies, by what Kubernetes makes of them (network_policy.py)

AGENT, PROXY = PODS["agent-example"]["metadata"]["labels"], PODS["egress-proxy"]["metadata"]["labels"]
DNS = {"namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}
PRIVATE = ["10.1.2.3", "172.20.0.1", "192.168.1.1", "100.64.9.9", "169.254.169.254", "127.0.0.1", "fd00::1", "fe80::1",
           "fd00:ec2::254", "64:ff9b::a9fe:a9fe", "2002:a00:1::1", "::1"]


def may(direction, pod, peer, port, protocol="TCP"):
    peer = {"address": peer} if isinstance(peer, str) else peer
    policies = [one["spec"] for one in manifests() if one["kind"] == "NetworkPolicy"]
    return network_policy.allows(policies, KUSTOMIZATION["namespace"], direction, pod, peer, port, protocol)


def here(labels):
    return {"namespace": KUSTOMIZATION["namespace"], "labels": labels}


def test_another_pod_of_the_namespace_has_no_network():
    other = {"app.kubernetes.io/name": "other"}
    for peer, port in [("203.0.113.1", 443), (here(PROXY), 3128), (DNS, 53), (here(AGENT), 8080)]:
        assert not may("egress", other, peer, port) and not may("ingress", other, peer, port)


def test_the_agent_reaches_the_proxy_and_what_stands_in_the_cluster_and_nothing_else():
    assert may("egress", AGENT, here(PROXY), 3128)
    assert may("egress", AGENT, {"namespace": "nats", "labels": {}}, 4222)
    assert may("egress", AGENT, {"namespace": "object-store", "labels": {}}, 9000)
    assert not may("egress", AGENT, here(PROXY), 22)
    assert not may("egress", AGENT, {"namespace": "elsewhere", "labels": PROXY}, 3128)
    for address in ["203.0.113.1", "2001:db8::1", *PRIVATE]:
        assert not any(may("egress", AGENT, address, port) for port in (22, 80, 443, 3128, 4222)), address


def test_nobody_reaches_the_agent():
    for peer in (here(AGENT), here(PROXY), "203.0.113.1"):
        assert not any(may("ingress", AGENT, peer, port) for port in (8080, 3128))


def test_the_proxy_lives_in_the_namespace_that_is_closed():
    assert may("ingress", PROXY, here(AGENT), 3128)
    assert not may("ingress", PROXY, here({"app.kubernetes.io/name": "other"}), 3128)
    assert not may("ingress", PROXY, {"namespace": "elsewhere", "labels": AGENT}, 3128)
    assert not may("ingress", PROXY, "203.0.113.1", 3128)


@pytest.mark.parametrize("address", ["203.0.113.1", "8.8.8.8", "2001:db8::1", "2a00:1450::1"])
def test_the_proxy_reaches_the_internet_in_both_families_by_two_ports(address):
    assert may("egress", PROXY, address, 443) and may("egress", PROXY, address, 80)
    assert not any(may("egress", PROXY, address, port) for port in (22, 53, 3128, 6443, 8080))


@pytest.mark.parametrize("address", PRIVATE)
def test_the_proxy_reaches_nothing_private_should_squid_ever_try(address):
    assert not any(may("egress", PROXY, address, port) for port in (53, 80, 443))
    assert not may("egress", PROXY, here(AGENT), 443)


@pytest.mark.parametrize("labels", [AGENT, PROXY], ids=["agent", "proxy"])
def test_names_are_looked_up_at_the_clusters_dns_and_at_the_nodes(labels):
    for protocol in ("UDP", "TCP"):
        assert may("egress", labels, DNS, 53, protocol)
        assert may("egress", labels, "169.254.20.10", 53, protocol)
    assert not may("egress", labels, "169.254.20.10", 80)
    assert not may("egress", labels, {"namespace": "elsewhere", "labels": DNS["labels"]}, 53)


def test_what_squid_takes_for_closed_is_closed_by_the_policy_too():
    squid = manifest("ConfigMap", "egress-proxy")["data"]["squid.conf"]
    four = {block for line in re.findall("acl closed dst (.*)", squid) for block in line.split() if ":" not in block}
    [policy] = [one for one in manifests() if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "egress-proxy"]
    blocks = {peer["ipBlock"]["cidr"]: set(peer["ipBlock"]["except"]) for rule in policy["spec"]["egress"] for peer in rule["to"]}
    assert blocks["0.0.0.0/0"] == four
    assert blocks["2000::/3"] == {"2001::/32", "2002::/16"}
