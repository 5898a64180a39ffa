"""The seccomp profile that a pod gets as `RuntimeDefault`.

Podman's own default is looser than containerd's and cri-o's: to a process without capabilities it allows unshare, mount,
setns and keyctl, and clone with any namespace flag. This takes the profile that Debian ships with podman and closes
what containerd closes, so that a test in podman meets what the product meets in a cluster. The self-check in
test_container.py makes the calls.
"""
import json
import pathlib

PODMAN_PROFILE = pathlib.Path("/usr/share/containers/seccomp.json")

EPERM, ENOSYS = 1, 38

# Allowed by podman to everybody, by containerd only with a capability, or not at all.
CLOSED = {
    "fsconfig", "fsmount", "fsopen", "fspick", "get_mempolicy", "keyctl", "mbind", "mount", "mount_setattr",
    "move_mount", "open_tree", "pidfd_getfd", "pivot_root", "reboot", "set_mempolicy", "setns", "sigaction", "signal",
    "sigpending", "sigsuspend", "syscall", "syslog", "timerfd", "umount", "umount2", "unshare",
}  # fmt: skip

# CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
NAMESPACES = 0x7E020000
AF_VSOCK, AF_ALG = 40, 38


def allow(name, index, value, comparison, value_two=0):
    argument = {"index": index, "value": value, "valueTwo": value_two, "op": f"SCMP_CMP_{comparison}"}
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [argument]}


def runtime_default():
    """The profile as podman reads it, for a container without any capability."""
    profile = json.loads(PODMAN_PROFILE.read_text())
    # containerd answers EPERM to what it does not know; podman says ENOSYS.
    profile.pop("defaultErrno", None)
    profile["defaultErrnoRet"] = EPERM
    rules = []
    for rule in profile["syscalls"]:
        gone = CLOSED | {"clone", "clone3", "socket"}
        rule["names"] = [name for name in rule["names"] if name not in gone]
        # Refusals are the default already, and what needs a capability is never had.
        needs_capability = rule.get("includes", {}).get("caps")
        if rule["names"] and rule["action"] == "SCMP_ACT_ALLOW" and not needs_capability:
            rules.append(rule)
    rules += [
        allow("clone", 0, NAMESPACES, "MASKED_EQ"),
        # libc falls back to clone only when told that there is no clone3.
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS},
        allow("socket", 0, AF_ALG, "LT"),
        allow("socket", 0, AF_ALG + 1, "EQ"),
        allow("socket", 0, AF_VSOCK, "GT"),
        {"names": ["io_pgetevents", "vmsplice"], "action": "SCMP_ACT_ALLOW"},
    ]
    profile["syscalls"] = rules
    return profile
