import Glibc
import LinuxSystem

/// Finds out what this kernel and this pod enforce, by trying it, and says what to do about the rest.
///
/// Leaves everything as it was, but for the folders of the commands, which every start makes. One thread.
package struct Doctor {
    let settings: SandboxSettings
    /// Runs commands as the loop does.
    let commands: JailedCommands
    let terminationLog: String
    /// A library and its version, or what is wrong with it.
    let libraries: [Finding]
    /// Opens, writes and removes a database in WAL mode in a folder; what went wrong, or nil.
    let writeAhead: (String) -> String?

    package init(
        settings: SandboxSettings, commands: JailedCommands, terminationLog: String, libraries: [Finding],
        writeAhead: @escaping (String) -> String?
    ) {
        self.settings = settings
        self.commands = commands
        self.terminationLog = terminationLog
        self.libraries = libraries
        self.writeAhead = writeAhead
    }

    /// Looks at everything; takes about a second.
    package func examine() -> Diagnosis {
        var diagnosis = Diagnosis()
        let checkpointsWereThere = access(settings.folders.checkpoints, F_OK) == 0
        diagnosis.findings += lookAtKernel()
        diagnosis.findings += lookAtPod()
        diagnosis.findings += lookAtFolders()
        diagnosis.findings += libraries
        diagnosis.findings += tryJail()
        // Whether there is to be a job here is not for us to say.
        if !checkpointsWereThere { _ = rmdir(settings.folders.checkpoints) }
        return diagnosis
    }
}
