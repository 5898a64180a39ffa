"""Builds the project's image offline and runs it as a pod's container is run under the Restricted standard.

Everything lies in a podman store of its own, so that nobody's images are touched. The Debian base comes from
debootstrap, because no image registry can be reached; it and the layer of Debian packages stay in the store, so that
only the first run on a machine pays for them. Needs root, as the kubelet's runtime does (or sudo without a password).
"""
import contextlib
import fcntl
import json
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile

import seccomp

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = "docker.io/library/debian:bookworm-slim"
STORE = pathlib.Path("/var/cache/agent-init-tests")
AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
PODMAN = AS_ROOT + [
    "podman", "--root", str(STORE / "storage"), "--runroot", "/run/agent-init-tests",
    # crun fails on a hybrid cgroup mount, and the systemd manager where systemd is not PID 1.
    "--runtime", "runc", "--cgroup-manager", "cgroupfs",
]  # fmt: skip
AGENT = 1000


def run(*command, timeout=300, **options):
    """Runs a command to its end; its whole output is in the error when it fails."""
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout.strip()


def podman(*arguments, timeout=300):
    return run(*PODMAN, *arguments, timeout=timeout)


@contextlib.contextmanager
def store():
    """Makes the store, and keeps other test runs from building in it at the same time."""
    run(*AS_ROOT, "install", "--directory", "--mode=0700", STORE)
    lock = tempfile.gettempdir() + f"/agent-init-tests.{os.getuid()}.lock"
    with open(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def debian_mirror():
    """The mirror that this machine's apt uses for Debian's main component."""
    targets = run("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(ORIGIN) $(COMPONENT)")
    for site, codename, *origin in (line.split() for line in targets.splitlines() if line.count(" ") == 3):
        if codename == "bookworm" and origin == ["Debian", "main"]:
            return site
    return None


def ensure_base():
    """Makes the image that the Dockerfile's runtime stage starts from, unless an earlier run did."""
    if subprocess.run([*PODMAN, "image", "exists", BASE], timeout=60).returncode == 0:
        return
    with tempfile.TemporaryDirectory(prefix="agent-init-base-", dir="/var/tmp") as folder:
        mirror = debian_mirror()
        tree = f"{folder}/root"
        arguments = ["debootstrap", "--variant=minbase", "bookworm", tree] + ([mirror] if mirror else [])
        run(*AS_ROOT, *arguments, timeout=900)
        run(*AS_ROOT, "tar", "--create", "--file", f"{folder}/base.tar", "--directory", tree, ".")
        podman("import", f"{folder}/base.tar", BASE)
        run(*AS_ROOT, "rm", "--recursive", "--one-file-system", tree)


BUILD = ["build", "--pull=never", "--isolation", "chroot"]


def build(programs, name="agent-init", arguments=()):
    """Builds images/Dockerfile with the three programs of a folder and returns the image's name, one of this run.
    `arguments`: further values for --build-arg."""
    image, runtime = f"localhost/{name}-test:{os.getpid()}", f"localhost/{name}-runtime"
    with store(), tempfile.TemporaryDirectory(prefix="agent-init-image-") as context:
        ensure_base()
        for program in ("agent-init", "agent-jail", "agentd"):
            # Stripped, as the Dockerfile's own build stage does it.
            run("strip", "-o", f"{context}/{program}", pathlib.Path(programs) / program)
        options = [f"--build-arg={argument}" for argument in ("BINARIES=prebuilt", *arguments)]
        options += ["--file", ROOT / "images/Dockerfile"]
        # Tagged, so that the layer with Debian's packages is kept for the next run.
        podman(*BUILD, *options, "--target", "runtime", "--tag", runtime, context, timeout=900)
        podman(*BUILD, *options, "--tag", image, context)
        return image


def build_alone(file, name):
    """Builds an image that has nothing of ours inside, and returns its name, one of this run."""
    image = f"localhost/{name}-test:{os.getpid()}"
    with store():
        ensure_base()
        podman(*BUILD, "--file", file, "--tag", f"localhost/{name}-runtime", "--tag", image, file.parent, timeout=900)
        return image


def limit(name, kind):
    """A limit that can be set: podman's default may be above the machine's own, which --ulimit=host does not mend, and
    it lowers its own process limit to 32768 before runc sets the container's."""
    soft, hard = (20000 if value == resource.RLIM_INFINITY else min(value, 20000) for value in resource.getrlimit(kind))
    return f"{name}={soft}:{hard}"


LIMITS = [limit("nofile", resource.RLIMIT_NOFILE), limit("nproc", resource.RLIMIT_NPROC)]


def remove_image(image):
    podman("rmi", image)
    # What earlier builds left behind; the age spares a test run that is building at this moment.
    podman("image", "prune", "--force", "--filter", "until=1h")


def lay_secrets(volume, secrets):
    """Lays files as the kubelet does: mode 0440, in a dated folder behind the link `..data`."""
    data = volume / "..2026_01_01"
    data.mkdir(parents=True)
    (volume / "..data").symlink_to(data.name)
    for name, text in secrets.items():
        (data / name).write_text(text)
        (data / name).chmod(0o440)
        (volume / name).symlink_to(f"..data/{name}")
    run(*AS_ROOT, "chown", "--recursive", "--no-dereference", f"0:{AGENT}", volume)


class Pod:
    """The volumes of one pod: they outlive its containers, as a PVC and a Secret do."""

    def __init__(self, folder, image):
        self.folder = pathlib.Path(folder)
        self.image = image
        self.containers = []
        self.workspace, self.local, self.tmp = (self.folder / name for name in ("workspace", "local", "tmp"))
        self.termination_log = self.folder / "termination-log"
        self.profile = self.folder / "seccomp.json"
        self.folder.mkdir(mode=0o755)
        self.profile.write_text(json.dumps(seccomp.runtime_default()))
        # Folders of the host, as emptyDirs are: they outlive a restart of the container, which a tmpfs does not.
        for volume in (self.workspace, self.local, self.tmp):
            volume.mkdir()
            volume.chmod(0o777)
        self.termination_log.write_text("")
        self.termination_log.chmod(0o666)

    def put_secrets(self, secrets):
        lay_secrets(self.folder / "secrets", secrets)

    def start(self, environment, *arguments, entrypoint=None, memory="2g", mounts=None):
        """Starts a new container of this pod, its PID 1 the image's entrypoint, and returns it. `mounts`: folders of
        this machine that it may read, by their names in the container."""
        command = [
            "run", "--detach", "--pull=never",
            "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--security-opt=seccomp={self.profile}",
            "--read-only", "--read-only-tmpfs=false", "--network=host",
            "--pids-limit=1024", f"--memory={memory}",
            *(f"--ulimit={limit}" for limit in LIMITS),
            f"--volume={self.workspace}:/workspace", f"--volume={self.termination_log}:/dev/termination-log",
            f"--volume={self.local}:/home/agent/.local", f"--volume={self.tmp}:/tmp",
        ]  # fmt: skip
        if (self.folder / "secrets").exists():
            command.append(f"--volume={self.folder / 'secrets'}:/var/secrets:ro")
        command += [f"--volume={source}:{place}:ro" for place, source in (mounts or {}).items()]
        if entrypoint:
            command.append(f"--entrypoint={json.dumps(entrypoint)}")
        command += [f"--env={name}={value}" for name, value in environment.items()]
        container = Container(podman(*command, self.image, *arguments))
        self.containers.append(container)
        return container

    def remove(self):
        for container in self.containers:
            podman("rm", "--force", "--time=0", container.id)
        # What the container wrote belongs to UID 1000.
        run(*AS_ROOT, "rm", "--recursive", "--force", "--one-file-system", self.folder)


class Container:
    """One start of the pod's container."""

    def __init__(self, identity):
        self.id = identity

    def send(self, signal):
        """Sends a signal to PID 1 from outside, as the kubelet does; KILL takes the whole container at once."""
        podman("kill", f"--signal={signal}", self.id)

    def wait(self, timeout=120):
        """Waits for its end and returns its exit code."""
        return int(podman("wait", self.id, timeout=timeout))

    def output(self):
        """Its standard output and error so far, as `kubectl logs` would show them."""
        done = subprocess.run([*PODMAN, "logs", self.id], capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def running(self):
        return podman("inspect", "--format={{.State.Running}}", self.id) == "true"


def need_tools():
    """Fails with what to do rather than skip: a container test that did not run proves nothing."""
    missing = [tool for tool in ("podman", "runc", "debootstrap") if not shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin")]
    if missing:
        raise RuntimeError(f"missing {', '.join(missing)}: run scripts/install-dependencies test")
    if AS_ROOT and subprocess.run([*AS_ROOT, "true"], capture_output=True, timeout=30).returncode != 0:
        raise RuntimeError("the container tests need root, or sudo without a password")
