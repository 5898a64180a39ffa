/// What a command may use of what it shares with the rest of the pod.
///
/// Two kinds: what the kernel keeps by itself for each process (file size, descriptors), and what the janitor watches,
/// because an unprivileged process can make the kernel keep it for nobody: the pod's memory and the volumes' space.
package struct JailLimits: Equatable, Sendable {
    /// Of the memory limit of the pod's cgroup, the percentage at which the command is ended; 100 watches nothing.
    package var memoryPercent = 85
    /// Memory of the command's own processes together, in MiB, above which it is ended; nil watches nothing.
    package var memory: Int64?
    /// Space, in MiB, that must stay free on each volume that the command can write and of `watchedFolder`; 0 watches nothing.
    /// On a small volume a tenth of it at most.
    package var diskReserve: Int64 = 64
    /// A folder outside the jail whose volume must not be filled either: the checkpoint's. Absolute.
    package var watchedFolder: String?
    /// The largest file, in MiB. Reaching it is SIGXFSZ.
    package var fileSize: Int64 = 16384
    /// Descriptors of one process: its soft limit, which it may raise itself up to 65536.
    package var openFiles: Int64 = 4096

    package init() {}

    package static let memoryPercents = 50...100
    package static let memories: ClosedRange<Int64> = 16...16_777_216
    package static let diskReserves: ClosedRange<Int64> = 0...1_048_576
    package static let fileSizes: ClosedRange<Int64> = 1...16_777_216
    package static let openFileCounts: ClosedRange<Int64> = 16...65536

    /// The options of the command line: only those that are not at their default.
    var arguments: [String] {
        let standard = JailLimits()
        var result: [String] = []
        if memoryPercent != standard.memoryPercent { result += ["--memory-percent", String(memoryPercent)] }
        if let memory { result += ["--memory-mib", String(memory)] }
        if diskReserve != standard.diskReserve { result += ["--disk-reserve-mib", String(diskReserve)] }
        if let watchedFolder { result += ["--disk-watch", watchedFolder] }
        if fileSize != standard.fileSize { result += ["--file-size-mib", String(fileSize)] }
        if openFiles != standard.openFiles { result += ["--open-files", String(openFiles)] }
        return result
    }

    static func isOption(_ name: String) -> Bool {
        switch name {
        case "--memory-percent", "--memory-mib", "--disk-reserve-mib", "--disk-watch", "--file-size-mib",
            "--open-files":
            true
        default: false
        }
    }

    /// Takes the options out of a command line's.
    init(options: GivenOptions) throws(JailUsageError) {
        if let value = options["--memory-percent"] {
            memoryPercent = try JailRequest.number("--memory-percent", value, Self.memoryPercents)
        }
        if let value = options["--memory-mib"] {
            memory = try JailRequest.number("--memory-mib", value, Self.memories)
        }
        if let value = options["--disk-reserve-mib"] {
            diskReserve = try JailRequest.number("--disk-reserve-mib", value, Self.diskReserves)
        }
        if let value = options["--disk-watch"] { watchedFolder = try JailRequest.absolute("--disk-watch", value) }
        if let value = options["--file-size-mib"] {
            fileSize = try JailRequest.number("--file-size-mib", value, Self.fileSizes)
        }
        if let value = options["--open-files"] {
            openFiles = try JailRequest.number("--open-files", value, Self.openFileCounts)
        }
    }
}
