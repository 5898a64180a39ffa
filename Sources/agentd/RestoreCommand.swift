import Agent
import ArgumentParser
import Contracts
import Events
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

            The job then belongs to this volume: one that still runs on another stops before its next step.

            It can be killed anywhere and run again. Exit codes: 0 restored, or nothing to restore (first start); 65 no \
            whole snapshot of a job that has run; 75 the store is out of reach, try again; 77 the store refuses the \
            credentials; 78 the configuration is wrong.
            """)

    @Flag(help: "Say what was done as one JSON object on stdout.") var json = false

    func run() throws {
        confineProcess("restore")
        try SnapshotWiring.work("restore") {
            let environment = processEnvironment()
            let folders = try Folders(environment: environment)
            try folders.prepare()
            let wiring = try SnapshotWiring.needed(try SnapshotWiring(environment: environment))
            let outcome = try Restoration(
                store: wiring.store, job: folders.job.text, checkpoint: folders.database,
                asks: wiring.settings.asksAfterRestore, say: { say("agent-init restore: \($0)") }
            ).run(version: version, host: hostName())
            try show(json ? Self.object(outcome).text : Self.words(outcome))
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

    private static func object(_ outcome: Restoration.Outcome) -> JSON {
        switch outcome {
        case .nothing: ["outcome": "nothing"]
        case .upToDate(let own): ["outcome": "up_to_date", "epoch": .int(own.epoch), "seq": .int(own.seq)]
        case .overtaken(let own): ["outcome": "overtaken", "epoch": .int(own.epoch), "seq": .int(own.seq)]
        case .restored(let manifest, let hasGoneOn):
            [
                "outcome": "restored", "epoch": .int(manifest.epoch), "seq": .int(manifest.seq),
                "final": .bool(!hasGoneOn),
            ]
        }
    }
}
