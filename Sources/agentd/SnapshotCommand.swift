import Agent
import ArgumentParser
import Glibc
import LinuxSystem
import Snapshots

/// `agentd snapshot`: one snapshot of the job's checkpoint.
struct SnapshotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Store a snapshot of the checkpoint. The loop does this.",
        discussion: "Of a running job too. AGENT_SNAPSHOT_URL says where, AGENT_SNAPSHOT_KEEP how many are kept.")

    @Option(help: "Why, for the manifest.") var reason = "asked"
    @Flag(help: "With the project tree, unless AGENT_SNAPSHOT_PROJECT is never.") var project = false
    @Flag(help: .hidden) var final = false
    /// The exit code tells more: `SnapshotVerdict`.
    @Flag(help: .hidden) var forLoop = false

    func run() throws {
        try helper {
            let wiring = try SnapshotWiring.needed(try SnapshotWiring(environment: processEnvironment()))
            let occasion = wiring.settings.project.occasion
            let isArchived = occasion == .always || (project && occasion == .completion)
            try wiring.library.take(
                of: wiring.folders.database, reason: reason, final: final,
                project: isArchived
                    ? ProjectArchive(root: wiring.folders.project, excludes: wiring.settings.project.excludes) : nil,
                say: { say("agent-init snapshot: \($0)") })
            do throws(ObjectStoreError) {
                try wiring.library.retain(wiring.settings.keep)
            } catch {
                say(
                    "agent-init snapshot: warning: the snapshot is stored, but older ones than the "
                        + "\(wiring.settings.keep) of AGENT_SNAPSHOT_KEEP stay: \(error)")
                if forLoop { throw ArgumentParser.ExitCode(SnapshotVerdict.oldOnesStay) }
            }
        }
    }

    private func helper(_ body: () throws -> Void) throws {
        beginObjectStoreProcess("snapshot")
        try SnapshotWiring.work("snapshot", body)
    }
}

/// `agentd claim`: whether this volume's process may work at the job.
struct ClaimCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "claim", abstract: "Claim an epoch among all volumes. The loop does this.", shouldDisplay: false)

    @Option var epoch: Int64
    @Option var nonce = ""
    @Flag(help: "Only look whether another volume has the job since.") var check = false

    func run() throws {
        beginObjectStoreProcess("claim")
        try SnapshotWiring.work(nil) {
            let wiring = try SnapshotWiring.needed(try SnapshotWiring(environment: processEnvironment()))
            let newest: Int64?
            do {
                newest =
                    try check
                    ? wiring.claims.superseding(epoch) : wiring.claims.take(epoch, nonce: nonce, host: hostName())
            } catch let error as ObjectStoreError where error.kind == .denied {
                say("\(error)")
                throw ArgumentParser.ExitCode(ClaimVerdict.keyRefused)
            }
            guard let newest else { return }
            say("epoch \(newest) is claimed")
            throw ArgumentParser.ExitCode(ClaimVerdict.superseded)
        }
    }
}

private func beginObjectStoreProcess(_ name: String) {
    signal(SIGPIPE, SIG_IGN)
    confineProcess(name)
    // By hand it has a shell above it, which may well end first; from the loop its output is a pipe.
    if !isTerminal(1) { signalAtParentsEnd(SIGKILL) }
}
