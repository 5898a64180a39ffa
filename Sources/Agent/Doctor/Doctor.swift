import Glibc
import LinuxSystem

/// Finds out what this kernel and this pod enforce, by trying it, and says what to do about the rest.
///
/// Leaves everything as it was, but for the folders of the commands, which every start makes. One thread.
package struct Doctor {
    let settings: SandboxSettings
    /// Runs commands as the loop does.
    let commands: JailedCommands
    let environment: [String: String]
    let terminationLog: String
    /// A library and its version, or what is wrong with it.
    let libraries: [Finding]
    /// Opens, writes and removes a database in WAL mode in a folder; what went wrong, or nil.
    let writeAhead: (String) -> String?
    /// What the job needs that `JOB_ID` names: a question for whoever knows LLM, NATS and store. Nil: there is no job.
    let job: (() -> [Finding])?

    package init(
        settings: SandboxSettings, commands: JailedCommands, environment: [String: String], libraries: [Finding],
        writeAhead: @escaping (String) -> String?, job: (() -> [Finding])?
    ) {
        self.settings = settings
        self.commands = commands
        self.environment = environment
        terminationLog = environment["AGENT_TERMINATION_LOG"] ?? "/dev/termination-log"
        self.libraries = libraries
        self.writeAhead = writeAhead
        self.job = job
    }

    /// Looks at everything; takes about a second, and as long as the servers of a job let it wait.
    package func examine() -> Diagnosis {
        var diagnosis = Diagnosis()
        let checkpointsWereThere = access(settings.folders.checkpoints, F_OK) == 0
        diagnosis.findings += lookAtKernel()
        diagnosis.findings += lookAtPod()
        diagnosis.findings += lookAtFolders()
        diagnosis.findings += libraries
        diagnosis.findings += lookAtGrants()
        diagnosis.findings += tryJail()
        if let job {
            diagnosis.findings += job()
            diagnosis.looksAtJob = true
        }
        // A group is shown once, wherever its findings come from.
        let order = ["kernel", "pod", "folders", "programs", "jail", "job"]
        diagnosis.findings = order.flatMap { group in diagnosis.findings.filter { $0.group == group } }
        // Whether there is to be a job here is not for us to say.
        if !checkpointsWereThere { _ = rmdir(settings.folders.checkpoints) }
        return diagnosis
    }
}
