import Glibc
import LinuxSystem

/// A short-lived `agentd` that talks to the object store, so that a store that hangs hangs nothing of the loop.
///
/// It dies with us (PR_SET_PDEATHSIG, set by itself), and at its time limit by SIGKILL.
final class ObjectStoreProcess {
    /// How it ended: its exit code, nil if it was killed, and what it said.
    struct End {
        let code: Int32?
        let words: String
    }

    private let pid: Int32
    private let janitors: Janitors
    private let output: Descriptor
    private let limit: Deadline

    /// `limit`: milliseconds until it is killed.
    ///
    /// - Throws: `SystemError`: nothing has been started.
    init(
        program: String, arguments: [String], environment: [String], among janitors: Janitors, limit: Int64
    ) throws(SystemError) {
        var pipe = try Pipe()
        let spawn = Spawn(
            path: program, arguments: ["agentd"] + arguments, environment: environment,
            // Its words come in one pipe: the loop says them, once and with what they mean for the job.
            descriptors: [(0, 0), (pipe.writer.number, 1), (pipe.writer.number, 2)])
        pid = try spawn.start()
        // What ends the orphans of a killed janitor spares it.
        janitors.insert(pid)
        self.janitors = janitors
        pipe.writer = Descriptor(adopting: -1)
        output = pipe.takeReader()
        try? setNonBlocking(output.number, true)
        self.limit = .after(milliseconds: limit)
    }

    /// Reaps it if it has ended; kills it if its time is over. To be called now and then until it gives an end.
    func look() -> End? {
        if let reaped = reap(pid) { return end(reaped.end) }
        return limit.hasPassed ? kill("it did not end in time and was killed") : nil
    }

    /// Waits for its end until the deadline, beating.
    func wait(until deadline: Deadline, attention: () -> Void) -> End? {
        while true {
            if let end = look() { return end }
            if deadline.hasPassed { return nil }
            attention()
            _ = poll(nil, 0, 5)
        }
    }

    func kill(_ reason: String) -> End {
        _ = Glibc.kill(pid, SIGKILL)
        let patience = Deadline.after(milliseconds: 1000)
        // One that hangs in a dead file system ends when that lets it; it stays among those that are spared.
        while !patience.hasPassed {
            if reap(pid) != nil {
                janitors.remove(pid)
                break
            }
            _ = poll(nil, 0, 2)
        }
        return End(code: nil, words: reason)
    }

    private func end(_ end: ProcessEnd) -> End {
        janitors.remove(pid)
        // A pipe holds 64 KiB: one that says more hangs, and is killed at its limit.
        var bytes: [UInt8] = []
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 1)
        defer { chunk.deallocate() }
        if case .bytes(let count)? = try? readSome(output.number, into: chunk) { bytes += chunk[..<count] }
        var words = String(decoding: bytes, as: UTF8.self)
        while words.last?.isNewline == true { words.removeLast() }
        guard case .exited(let code) = end else { return End(code: nil, words: "\(end) \(words)") }
        return End(code: code, words: words)
    }
}
