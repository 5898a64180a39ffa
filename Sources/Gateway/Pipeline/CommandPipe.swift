import Events
import Glibc
import LinuxSystem

/// The pipe with commands for the loop: one at a time, given again until the loop has recorded it.
struct CommandPipe: ~Copyable {
    private let descriptor: Int32
    private var rest: ArraySlice<UInt8> = []
    private var current: String?
    private var resendAt: Int64 = 0
    /// What is to be said of the journal.
    private var statement: JournalStatement?

    /// Milliseconds after which a command is given again: half of it may have been lost with a process.
    private static let patience: Int64 = 10_000

    init(_ descriptor: Int32?) throws(SystemError) {
        self.descriptor = descriptor ?? -1
        if let descriptor { try setNonBlocking(descriptor, true) }
    }

    /// Whether the pipe was too full for all of a line.
    var isWaiting: Bool { !rest.isEmpty }
    /// To be polled for writing while `isWaiting`.
    var number: Int32 { descriptor }

    /// Has the loop told of the journal, by the next `send`.
    mutating func tell(_ statement: JournalStatement) { self.statement = statement }

    /// Sees to it that the command gets to the loop; to be called in every round while it is not recorded.
    mutating func send(_ command: Command?) {
        guard descriptor >= 0 else { return }
        // A line is finished whatever has become of its command: half of one would spoil the next.
        if rest.isEmpty, let statement {
            rest = Array(statement.line.utf8)[...]
            self.statement = nil
        }
        if rest.isEmpty, let command, command.id != current || Clock.monotonic >= resendAt {
            current = command.id
            rest = Array(command.line.utf8)[...]
        }
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { break }
            rest = rest.dropFirst(written)
            if rest.isEmpty { resendAt = Clock.monotonic + Self.patience }
        }
    }
}
