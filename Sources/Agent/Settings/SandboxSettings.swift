package import Contracts

/// What is needed to run commands in the jail without a job: no task, no model, no secrets.
package struct SandboxSettings: Sendable {
    /// Those of `JOB_ID`, or of no job: then nothing is made that bears its name.
    package var folders: Folders
    package var proxy: Settings.Proxy
    package var network: NetworkSettings
    package var limits: JailLimits
    package var environment: CommandEnvironment
    /// What a command gets that does not say, in milliseconds.
    package var timeout: Int64

    /// Reads and checks them; nothing is made on disk.
    ///
    /// - Throws: `StartError(.configuration)`, as `Settings`.
    package init(environment: [String: String]) throws(StartError) {
        let source = SettingsSource(environment: environment)
        folders = Folders(source, job: Settings.job(source, default: .sandbox))
        proxy = Settings.Proxy(source)
        network = NetworkSettings(source, proxy: proxy)
        limits = JailLimits(source, folders: folders)
        // Without a job there need be no checkpoint to keep room for.
        if source["JOB_ID"] == nil { limits.watchedFolder = folders.project }
        self.environment = CommandEnvironment(source, environment: environment)
        timeout = Settings.commandTimeout(source)
        try source.check()
    }

    /// Runs commands with these settings.
    package func commands(program: String) -> JailedCommands {
        var commands = JailedCommands(program: program, folders: folders, proxy: proxy, limits: limits)
        commands.network = network
        commands.environment = environment
        return commands
    }
}
