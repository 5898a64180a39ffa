import Agent
import ArgumentParser
import Contracts
import Events
import Glibc
import LinuxSystem
import Snapshots
import Stores

/// `agentd restore`: the newest snapshot onto a volume that has none of the job, or an older state.
struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Bring the newest snapshot of the job onto this volume.",
        discussion: """
            For an init container before `agent-init run`, or by hand while the job does not run on this volume. It \
            reads JOB_ID, WORKSPACE_PATH and AGENT_SNAPSHOT_URL. A checkpoint that is missing or older than the newest \
            whole snapshot is replaced; the older one is set aside as .superseded-<ms>, never deleted. A snapshot that is \
            damaged is passed over for the next older one. If commands may have run after the snapshot, the job asks a \
            human before it goes on (AGENT_AFTER_RESTORE=continue: it only tells the model).

            A project folder that is missing or empty gets the project tree of the same snapshot, if that has one \
            (AGENT_SNAPSHOT_PROJECT); never one of another snapshot.

            The job then belongs to this volume: one that still runs on another stops before its next step.

            It can be killed anywhere and run again. Exit codes: 0 restored, or nothing to restore (first start); 65 no \
            whole snapshot of a job that has run; 75 the store is out of reach, try again; 77 the store refuses the \
            credentials (after 90 s, in which they are read again) or what they may do; 78 the configuration is wrong, or the \
            store refuses what it is asked; 143 it was stopped.
            """)

    @Flag(help: "Say what was done as one JSON object on stdout.") var json = false

    @Flag(help: "End with 0 if AGENT_SNAPSHOT_URL is not set, for a pod that serves both.") var ifConfigured = false

    func run() throws {
        confineProcess("restore")
        // In an init container it is PID 1, to which a signal without a handler is none.
        for number in [SIGTERM, SIGINT] { signal(number) { _exit(128 + $0) } }
        try SnapshotWiring.work("restore") {
            let environment = processEnvironment()
            let folders = try Folders(environment: environment)
            try folders.prepare()
            let configured = try SnapshotWiring(environment: environment, restores: true)
            if configured == nil, ifConfigured {
                return try show(
                    json
                        ? JSON.object(["outcome": "not_configured"]).text
                        : "AGENT_SNAPSHOT_URL is not set: nothing to do.")
            }
            let wiring = try SnapshotWiring.needed(configured)
            let restoration = Restoration(
                store: wiring.store, job: folders.job.text, checkpoint: folders.database,
                project: ProjectRestoration(
                    path: folders.project, isOff: wiring.settings.project.occasion == .never),
                asks: wiring.settings.asksAfterRestore, say: { say("agent-init restore: \($0)") })
            let (outcome, project) = try Self.patiently { try restoration.run(version: version, host: hostName()) }
            try show(json ? Self.object(outcome, project).text : Self.words(outcome) + Self.words(project))
        }
    }

    /// Does it again while the store refuses the credentials, for as long as they may be behind (`KeyPatience`).
    private static func patiently<Result>(_ body: () throws -> Result) throws -> Result {
        var key = KeyPatience()
        while true {
            do {
                return try body()
            } catch let error as ObjectStoreError where error.kind == .denied {
                let isFirst = !key.isWaiting
                guard let pause = key.refused(random: Double.random(in: 0...1)) else { throw error }
                if isFirst {
                    say(
                        "agent-init restore: the object store refuses the credentials; they are read again, and the same are "
                            + "tried for \(KeyPatience.total / 1000) s: \(error)")
                }
                let next = Deadline.after(milliseconds: pause)
                while !next.hasPassed { _ = try? waitReadable([], until: next) }
            }
        }
    }

    private static func words(_ outcome: Restoration.Outcome) -> String {
        switch outcome {
        case .nothing: "Nothing to restore: there is no snapshot of this job and no checkpoint. It begins anew."
        case .upToDate(let own):
            "Nothing to restore: this volume has the newest state (epoch \(own.epoch), event \(own.seq))."
        case .overtaken(let own):
            "This volume has the newest state that there is (event \(own.seq)), but another volume has been at work "
                + "since. The job takes it from here, and says so."
        case .restored(let manifest, let hasGoneOn):
            "Restored the snapshot of epoch \(manifest.epoch), event \(manifest.seq). "
                + (hasGoneOn ? "Commands may have run after it." : "Nothing was done after it.")
        }
    }

    private static func words(_ project: ProjectRestoration.Outcome?) -> String {
        switch project {
        case .restored: " The project tree was restored."
        case .absent: " The project tree is not in the snapshot: the project folder is empty."
        case .kept: " The project folder is not empty and was left as it is."
        case .damaged: " The project tree was not restored: its archive is damaged."
        case .off: " The project tree was left as it is (AGENT_SNAPSHOT_PROJECT=never)."
        case nil: ""
        }
    }

    private static func object(_ outcome: Restoration.Outcome, _ project: ProjectRestoration.Outcome?) -> JSON {
        var object: [String: JSON]
        switch outcome {
        case .nothing: object = ["outcome": "nothing"]
        case .upToDate(let own): object = ["outcome": "up_to_date", "epoch": .int(own.epoch), "seq": .int(own.seq)]
        case .overtaken(let own): object = ["outcome": "overtaken", "epoch": .int(own.epoch), "seq": .int(own.seq)]
        case .restored(let manifest, let hasGoneOn):
            object = [
                "outcome": "restored", "epoch": .int(manifest.epoch), "seq": .int(manifest.seq),
                "final": .bool(!hasGoneOn),
            ]
        }
        if let project { object["project"] = .string(project.rawValue) }
        return .object(object)
    }
}
