import CLinux
import Contracts
import Glibc
import LinuxSystem

/// What one of our own processes can reach from its start on: the places of its work, and nothing else.
///
/// The jail keeps commands from us; this keeps a bug in us, in libcurl, SQLite or libnats from what we have no business
/// with. A Landlock domain is inherited: what the process starts lives in it too, and may take more away (agent-jail
/// does, twice), never less. So the loop's places hold all that the jail grants to commands.
///
/// Not closed: the network (the proxy's and NATS's ports are configuration), and what Landlock has no hook for
/// (docs/THREAT_MODEL.md).
package struct Confinement: Equatable, Sendable {
    /// Read, write and execute: the folders that commands write to.
    package var commands: [String] = []
    /// Read and write.
    package var work: [String] = []
    /// Read and execute.
    package var programs: [String] = []
    /// Read.
    package var reading: [String] = []

    package init() {}

    /// The plan of it. A place that is not there, or that this user cannot even name, is left out: it cannot be
    /// reached either, and one that comes later stays closed.
    package func plan(on kernel: Kernel) throws(JailFailure) -> JailPlan {
        try kernel.requireLandlock()
        var plan = JailPlan()
        plan.deny(FileRights.all(abi: kernel.landlock))
        plan.scope([.signals, .abstractSockets])
        let places: [([String], FileRights)] = [
            (commands, .readAndWrite), (work, .readAndWrite.subtracting(.execute)), (programs, .readAndExecute),
            (reading, .read), (JailGrants.devices, .device),
        ]
        for (paths, rights) in places {
            for path in paths where access(path, F_OK) == 0 { plan.grant(rights, beneath: path, isOptional: true) }
        }
        return plan
    }

    /// Puts the calling process into the domain, and out of the reach of setuid programs. There is no way back.
    ///
    /// - Throws: `JailFailure`: the kernel has no such Landlock or refuses, or there is a second thread, which would
    ///   stay outside (landlock_restrict_self(2) is about the calling thread). Nothing has changed then.
    package func enter() throws(JailFailure) {
        let ruleset = try Ruleset(try plan(on: Kernel.probe()))
        guard let threads = try? namesInFolder("/proc/self/task"), threads.count == 1 else {
            throw JailFailure(
                .landlock, "a process with several threads cannot be confined as one; please report this")
        }
        // PR_SET_NO_NEW_PRIVS (38): without it or CAP_SYS_ADMIN there is no domain. PID 1 has set it already, but not
        // where the process was started by hand.
        let denied = clinux_prctl(38, 1, 0, 0, 0)
        let result = denied < 0 ? denied : cjail_landlock_enter(ruleset.descriptor.number)
        guard result == 0 else {
            throw JailFailure(
                .landlock, SystemError("landlock_restrict_self", code: -result),
                "at most 16 domains lie within each other; the container's seccomp profile must allow landlock_*")
        }
    }
}
