"""The manifests of examples/k8s as a node starts them: each container with its image's own ENTRYPOINT, by `podman kube play`.

A pod stands in the network namespace of an internet of the test's own (internet.py). What a cluster would do first is
done here: the Job and the Deployment become a pod each, kustomize names the images, the kubelet lays secrets and termination log.
"""
import json
import os
import pathlib
import shlex
import subprocess

import yaml

import container
import internet
import seccomp

ROOT = container.ROOT
FOLDER = ROOT / "examples/k8s"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())


def manifests():
    """All documents of the example, in the order of the kustomization."""
    for file in KUSTOMIZATION["resources"]:
        yield from yaml.safe_load_all((FOLDER / file).read_text())


def manifest(kind, name):
    [found] = [one for one in manifests() if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def builds():
    """What `make example` builds: of each image the name, the Dockerfile and the values for --build-arg."""
    for line in container.run("make", "--no-print-directory", "--dry-run", "example", cwd=ROOT).splitlines():
        words = shlex.split(line)
        given = {"--build-arg": [], "--file": [], "--tag": []}
        for flag, value in zip(words, words[1:]):
            given.get(flag, []).append(value)
        yield given["--tag"][0].removesuffix(":latest"), ROOT / given["--file"][0], given["--build-arg"]


def build(programs):
    """Builds them with the three programs of a folder; the images by their names in the manifests."""
    made = {}
    for name, file, arguments in builds():
        ours = file == ROOT / "images/Dockerfile"
        made[name] = container.build(programs, name, arguments) if ours else container.build_alone(file, name)
    return made


def pod_of(document, images):
    """The pod that the controller of a Job or a Deployment makes, with the images that are built here."""
    name = document["metadata"]["name"]
    template = document["spec"]["template"]
    labels = dict(template["metadata"]["labels"])
    if document["kind"] == "Job":
        labels.update({"batch.kubernetes.io/job-name": name, "job-name": name})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": template["spec"]}
    # A container that has ended, and an init container too, stays as it is, so that its end can be seen.
    pod["spec"]["restartPolicy"] = "Never"
    pod["metadata"]["annotations"] = {"io.podman.annotations.init.container.type": "always"}
    for one in containers_of(pod):
        one["image"] = images[one["image"].split(":")[0]]
        # podman has probes run by systemd, and takes a port for one of the host.
        for field in ("livenessProbe", "readinessProbe", "startupProbe", "ports"):
            one.pop(field, None)
    return pod


def containers_of(pod):
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


SOURCES = {"configMap": ("ConfigMap", "name"), "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName")}


def mounted_by(pod):
    """The ConfigMaps and claims that the pod's volumes name."""
    return [manifest(SOURCES[kind][0], volume[kind][SOURCES[kind][1]])
            for volume in pod["spec"]["volumes"] for kind in volume if kind in SOURCES]


def mount(pod, name, path, place):
    """Lays a file of this machine into each container of a pod."""
    pod["spec"]["volumes"].append({"name": name, "hostPath": {"path": str(path), "type": "File"}})
    for one in containers_of(pod):
        one["volumeMounts"].append({"name": name, "mountPath": place})


class Played:
    """One pod with what its volumes name, from its start to the end of the `with` block. Its name and theirs are of this run
    alone; `workload` is the name in the manifests."""

    def __init__(self, folder, network, pod):
        self.folder, self.network, self.pod, self.others = pathlib.Path(folder), network, pod, mounted_by(pod)
        self.workload = pod["metadata"]["name"]
        self.name = pod["metadata"]["name"] = f"{self.workload}-{os.getpid()}"
        for other in self.others:
            other["metadata"]["name"] = self.own(other["metadata"]["name"])
        for volume in pod["spec"]["volumes"]:
            for kind in SOURCES.keys() & volume.keys():
                volume[kind][SOURCES[kind][1]] = self.own(volume[kind][SOURCES[kind][1]])
        self.folder.mkdir(mode=0o755)
        # Options that `podman run` has as words and `kube play` has not.
        (self.folder / "seccomp.json").write_text(json.dumps(seccomp.runtime_default()))
        (self.folder / "containers.conf").write_text(
            f'[containers]\ndefault_ulimits = {json.dumps(container.LIMITS)}\n'
            f'seccomp_profile = "{self.folder}/seccomp.json"\ndns_servers = ["{internet.DNS}"]\n')
        for volume in pod["spec"]["volumes"]:
            # podman 4.3 leaves the values in base64, and has neither the modes nor the links of the kubelet.
            if secret := volume.pop("secret", None):
                laid = self.folder / volume["name"]
                container.lay_secrets(laid, manifest("Secret", secret["secretName"])["stringData"])
                volume["hostPath"] = {"path": str(laid), "type": "Directory"}

    def own(self, name):
        return f"{self.name}.{name}"

    def podman(self, *arguments, timeout=120):
        # In the network namespace; the mounts are the machine's, so that every call of podman sees the same.
        line = ["env", f"CONTAINERS_CONF={self.folder}/containers.conf"]
        line += ["nsenter", f"--net=/run/netns/{self.network.name}", *container.PODMAN]
        return container.run(*line, *arguments, timeout=timeout)

    def __enter__(self):
        (self.folder / "pod.yaml").write_text(yaml.safe_dump_all([*self.others, self.pod]))
        try:
            self.podman("kube", "play", "--network=host", self.folder / "pod.yaml")
        except BaseException:
            # An init container that fails, for one.
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        for one in containers_of(self.pod):
            # pytest shows it only if the test has failed.
            print(f"--- container {self.name}/{one['name']}\n{self.output(one['name'])[-20000:]}")
        self.remove()

    def remove(self):
        self.podman("pod", "rm", "--force", "--ignore", "--time=0", self.name)
        for other in self.others:
            # A ConfigMap too is a volume of its name.
            self.podman("volume", "rm", "--force", other["metadata"]["name"])

    def wait(self, name, timeout=120):
        """Waits for a container's end and returns its exit code."""
        return int(self.podman("wait", f"{self.name}-{name}", timeout=timeout))

    def output(self, name):
        """Standard output and error of a container so far."""
        done = subprocess.run(
            [*container.PODMAN, "logs", f"{self.name}-{name}"], capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr
