package import Events
import Glibc
package import LinuxSystem

/// The attention of a process that PID 1 runs: SIGTERM, the commands of the gateway, the beat.
package final class ProcessAttention: LoopAttention {
    private let signals: SignalDescriptor
    private let supervisor: SupervisorPipe
    private let live: LivePipe
    private var commands: Int32?
    private var buffer: [UInt8] = []
    private var isOverlong = false
    private var taken: [Event.CommandReceived] = []
    private var interruption: Interruption?
    private var statement: JournalStatement?

    /// The longest line of the gateway; a longer one is dropped to its end. JSON makes of one byte at most six.
    private static let lineLimit = 6 * Command.sizeLimit + 1024
    /// Commands that wait here; further ones stay in the pipe.
    private static let commandLimit = 64

    /// Blocks SIGTERM and SIGINT: they are taken here from now on.
    ///
    /// - Throws: `SystemError`.
    package init(commands: Int32?, supervisor: SupervisorPipe, live: LivePipe) throws(SystemError) {
        signals = try SignalDescriptor([SIGTERM, SIGINT])
        self.commands = commands
        self.supervisor = supervisor
        self.live = live
        if let commands { try setNonBlocking(commands, true) }
    }

    package var descriptors: [Int32] {
        var result = [signals.number]
        if let commands, taken.count < Self.commandLimit { result.append(commands) }
        return result
    }

    package func attend() -> Interruption? {
        supervisor.beat()
        live.beat()
        while signals.next() != nil { interruption = .stop }
        readCommands()
        return interruption
    }

    package func takeCommands() -> [Event.CommandReceived] {
        defer { taken = [] }
        // A cancellation has done its work once it is recorded; a stop never has.
        if interruption == .cancel { interruption = nil }
        return taken
    }

    package func takeStatement() -> JournalStatement? {
        defer { statement = nil }
        return statement
    }

    /// Waits for what the gateway has to say of the journal: until it has said it, is gone, or the deadline has passed.
    package func awaitStatement(until deadline: Deadline) {
        while statement == nil, commands != nil, !deadline.hasPassed, attend() == nil {
            _ = try? waitReadable(descriptors, until: deadline.sooner(.after(milliseconds: 1000)))
        }
    }

    private func readCommands() {
        guard let descriptor = commands, taken.count < Self.commandLimit else { return }
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 1)
        defer { chunk.deallocate() }
        switch try? readSome(descriptor, into: chunk) {
        case .wouldBlock: return
        case .end, nil: commands = nil
        case .bytes(let count):
            for byte in chunk[..<count] {
                if byte == UInt8(ascii: "\n") {
                    if !isOverlong { takeLine() }
                    buffer = []
                    isOverlong = false
                } else if buffer.count < Self.lineLimit {
                    buffer.append(byte)
                } else {
                    isOverlong = true
                }
            }
        }
    }

    /// A line that is no command is dropped with a word: a gateway that was killed may have left half of one, and its
    /// successor sends it again.
    private func takeLine() {
        if let json = try? JSON(parsing: buffer), let said = JournalStatement(json) {
            statement = said
            return
        }
        guard let command = try? Command(parsing: buffer, id: "", limit: Self.lineLimit), !command.id.isEmpty
        else {
            _ = try? writeAll(2, "agentd loop: a line on the command pipe is no command and is dropped\n")
            return
        }
        taken.append(.init(id: command.id, kind: command.kind, text: command.text))
        if command.kind == .cancel, interruption == nil { interruption = .cancel }
    }
}
