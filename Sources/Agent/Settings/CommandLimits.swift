import Contracts

extension JailLimits {
    /// The limits of every command of a job.
    init(_ source: SettingsSource, folders: Folders) {
        self.init()
        let percents = JailLimits.memoryPercents
        memoryPercent = source.number("AGENT_COMMAND_MEMORY_PERCENT", percents) ?? memoryPercent
        memory = source.mebibytes("AGENT_COMMAND_MEMORY_MIB", JailLimits.memories)
        diskReserve = source.mebibytes("AGENT_DISK_RESERVE_MIB", JailLimits.diskReserves) ?? diskReserve
        watchedFolder = folders.checkpoints
    }
}

extension SettingsSource {
    fileprivate func mebibytes(_ name: String, _ range: ClosedRange<Int64>) -> Int64? {
        number(name, Int(range.lowerBound)...Int(range.upperBound)).map { Int64($0) }
    }
}
