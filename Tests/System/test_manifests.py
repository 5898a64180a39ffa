"""examples/k8s is what the API server takes: strict against Kubernetes' own schemas, and Restricted by the standard."""
import json
import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples/k8s"
VALIDATE = ROOT / ".build/python/bin/kubernetes-validate"
# The oldest release that has all the fields we use, and the newest that the validator knows.
VERSIONS = ["1.29.0", "1.37.0"]

KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())


def resources():
    for file in KUSTOMIZATION["resources"]:
        yield from yaml.safe_load_all((FOLDER / file).read_text())


def resource(kind):
    found = [document for document in resources() if document["kind"] == kind]
    assert len(found) == 1
    return found[0]


JOB = resource("Job")["spec"]
POD = JOB["template"]["spec"]
CONTAINER = POD["containers"][0]


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
    assert resource("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert resource("Namespace")["metadata"]["name"] == KUSTOMIZATION["namespace"]


def test_the_pod_is_restricted():
    # https://kubernetes.io/docs/concepts/security/pod-security-standards, each control of the Restricted profile.
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] != 0
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for host in ("hostNetwork", "hostPID", "hostIPC"):
        assert host not in POD
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    for volume in POD["volumes"]:
        assert set(volume) - {"name"} <= allowed
    for container in POD["containers"] + POD.get("initContainers", []):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context.get("privileged", False) is False
        assert all("hostPort" not in port for port in container.get("ports", []))


def test_the_pod_gives_away_no_more_than_it_must():
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"] is True
    assert POD["automountServiceAccountToken"] is False
    assert POD["enableServiceLinks"] is False
    assert len(POD["containers"]) == 1
    assert "LLM" not in json.dumps(CONTAINER["env"]) and "KEY" not in json.dumps(CONTAINER["env"])


def test_what_is_mounted_is_what_the_image_expects():
    mounts = {mount["mountPath"]: mount for mount in CONTAINER["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    assert {mount["name"] for mount in mounts.values()} == set(volumes)
    assert mounts["/var/secrets"]["readOnly"] is True
    secret = volumes[mounts["/var/secrets"]["name"]]["secret"]
    assert secret["defaultMode"] == 0o440
    assert secret["secretName"] == resource("Secret")["metadata"]["name"]
    claim = volumes[mounts["/workspace"]["name"]]["persistentVolumeClaim"]["claimName"]
    assert claim == resource("PersistentVolumeClaim")["metadata"]["name"]
    for folder in ("/tmp", "/home/agent/.local", "/dev/shm"):
        assert "sizeLimit" in volumes[mounts[folder]["name"]]["emptyDir"]


def test_what_is_restored_is_what_the_agent_finds():
    [restore] = POD["initContainers"]
    assert restore["args"] == ["restore", "--if-configured"] and restore["image"] == CONTAINER["image"]
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
    settings = json.loads(resource("ConfigMap")["data"]["config.json"])
    variables = {variable["name"] for variable in CONTAINER["env"]}
    assert set(settings) <= known
    assert variables <= known
    task = pathlib.PurePath(settings["AGENT_TASK_FILE"])
    mounts = {mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert str(task.parent) in mounts and task.name in resource("ConfigMap")["data"]


def test_the_default_of_the_namespace_is_no_network():
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in resources() if policy["kind"] == "NetworkPolicy"}
    deny = policies["default-deny"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    egress = policies["agent-egress"]["egress"]
    assert all("to" in rule and "ports" in rule for rule in egress)
    assert {port["port"] for rule in egress for port in rule["ports"]} == {53, 3128, 4222, 9000, 443}
    open_blocks = [peer["ipBlock"] for rule in egress for peer in rule["to"] if "ipBlock" in peer]
    assert all("169.254.0.0/16" in block["except"] for block in open_blocks), "the node's metadata service is reachable"
