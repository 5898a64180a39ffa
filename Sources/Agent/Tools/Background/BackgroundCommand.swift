import Contracts
import LinuxSystem

/// A command that runs while the loop does other things.
///
/// Nothing waits for it: `pump` takes what has come and returns. What it takes is bounded, so that a command that prints
/// without end costs the loop little; its pipe fills meanwhile and makes it wait, as a terminal would.
final class BackgroundCommand {
    let id: String
    /// The command line, as the model gave it.
    let text: String
    let timeout: Int64
    let began = Clock.monotonic
    private let process: JailProcess
    private let commands: JailedCommands
    private let profile: JailProfile
    private var capture: OutputCapture
    private var output: Int32
    private var reports: Int32
    private var reportText: [UInt8] = []
    /// Bytes taken in the second that began then.
    private var taken = 0
    private var second = Clock.monotonic
    /// How it ended; nil as long as it runs.
    private(set) var result: CommandResult?
    /// Whether we had it killed while it ran.
    private(set) var wasKilled = false
    /// Whether it was ended for the room that it took.
    var gaveRoom = false

    /// Bytes that are taken in a second.
    private static let most = 16 << 20

    init(
        id: String, text: String, timeout: Int64, process: consuming JailProcess, capture: consuming OutputCapture,
        of commands: JailedCommands, profile: JailProfile
    ) {
        self.id = id
        self.text = text
        self.timeout = timeout
        self.commands = commands
        self.profile = profile
        output = process.output
        reports = process.reports
        self.process = process
        self.capture = capture
    }

    /// To be polled. Without its output as long as it has printed more than its share.
    var descriptors: [Int32] {
        if result != nil { return [] }
        return mayTake ? [output, reports] : [reports]
    }

    private var mayTake: Bool { taken < Self.most || Clock.monotonic - second >= 1000 }

    /// What it has printed so far, as the model sees it.
    var printed: (text: String, bytes: Int, lines: Int) { (capture.text, capture.bytes, capture.lines) }

    /// Takes in what has come, without waiting.
    func pump(_ buffer: UnsafeMutableRawBufferPointer) {
        guard result == nil else { return }
        if Clock.monotonic - second >= 1000 { (second, taken) = (Clock.monotonic, 0) }
        for _ in 0..<4 {
            guard mayTake, let count = Watch.take(&output, buffer), count > 0 else { break }
            taken += count
            capture.take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        while reports >= 0, let count = Watch.take(&reports, buffer), count > 0 {
            if reportText.count < 65536 { reportText += buffer[..<count] }
        }
        // The janitor goes last: what is still to be read is in the pipe, 1 MiB at most.
        if reports < 0 { finish(buffer) }
    }

    private func finish(_ buffer: UnsafeMutableRawBufferPointer) {
        for _ in 0..<64 {
            guard let count = Watch.take(&output, buffer), count > 0 else { break }
            capture.take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        let report = process.settle(report: JailReport(text: String(decoding: reportText, as: UTF8.self)))
        capture.close()
        let text = capture.text
        result = CommandResult(
            report: report, output: text, outputBytes: capture.bytes, outputLines: capture.lines,
            spooledBytes: capture.spooled, interruption: nil,
            refusals: commands.refusals(report, output: text, profile: profile))
    }

    /// Has it killed, and waits until nothing of it is left: a moment, and at most 10 s.
    func end(_ buffer: UnsafeMutableRawBufferPointer) {
        wasKilled = true
        process.kill()
        let patience = Deadline.after(milliseconds: 5000)
        while result == nil, !patience.hasPassed {
            _ = try? waitReadable([output, reports], until: patience)
            // Its share does not matter any more.
            taken = 0
            pump(buffer)
        }
        if result == nil { finish(buffer) }
    }
}
