import Contracts
import Glibc
import LinuxSystem

/// Stands between our standard streams and a command's, from its start until it is over and all it wrote is delivered.
///
/// Between, and not out of the way by handing them over: a command that had our terminal, socket or log file itself
/// could change its modes, read from it, cut it. One thread, one poll(2).
struct Relay: ~Copyable {
    private let janitor: JanitorProcess
    private let signals: SignalDescriptor
    private let input: Flow
    private let outputs: [Flow]
    /// Our ends of the command's streams; -1 once closed. With a terminal the first is its controller.
    private var inputEnd: Descriptor
    private var outputEnd: Descriptor
    private var errorEnd: Descriptor
    private let hasTerminal: Bool
    private let screen: RawTerminal?
    private var reported = ReportText()
    private var janitorHasGone = false
    /// The signal that told us to end it.
    private(set) var signal: Int32?
    /// Nobody read what the command wrote, it took no notice of that, and was ended.
    private(set) var readerHasGone = false
    /// When the command, told to end, or to take notice of a closed output, must be gone.
    private var patience = Deadline.never
    private var readersPatience = Deadline.never
    /// When, of an output that a process hanging in the kernel holds open, no more is expected.
    private var lastWords = Deadline.never

    /// From a closed output to the end of a command that does not take notice of it, in milliseconds.
    private static let notice: Int64 = 2000

    /// Starts the command with three pipes. What is captured is not passed on.
    init(
        pipesOf request: JailRequest, program: String, among janitors: Janitors, signals: consuming SignalDescriptor,
        captures: (Capture, Capture)?
    ) throws(SystemError) {
        var input = try Pipe()
        var output = try Pipe()
        var errors = try Pipe()
        output.enlarge()
        errors.enlarge()
        janitor = try JanitorProcess(
            program: program, request, input: input.reader.number, output: output.writer.number,
            errors: errors.writer.number, ownSession: true, among: janitors)
        self.signals = signals
        inputEnd = input.takeWriter()
        outputEnd = output.takeReader()
        errorEnd = errors.takeReader()
        self.input = Flow(from: 0, to: inputEnd.number)
        if let captures {
            outputs = [
                Flow(from: outputEnd.number, to: captures.0), Flow(from: errorEnd.number, to: captures.1),
            ]
        } else {
            outputs = [Flow(fromPipe: outputEnd.number, to: 1), Flow(fromPipe: errorEnd.number, to: 2)]
        }
        hasTerminal = false
        screen = nil
    }

    /// Starts the command with a pseudo-terminal, as large as ours.
    init(
        terminalOf request: JailRequest, program: String, among janitors: Janitors, signals: consuming SignalDescriptor,
        capture: Capture?,
        screen: RawTerminal?
    ) throws(SystemError) {
        var pair = try PseudoTerminal()
        try setNonBlocking(pair.controller.number, true)
        (Self.windowSize ?? WindowSize(rows: 24, columns: 80)).set(pair.controller.number)
        var request = request
        request.terminalDescriptor = 0
        janitor = try JanitorProcess(
            program: program, request, input: pair.terminal.number, output: pair.terminal.number,
            errors: pair.terminal.number, ownSession: true, among: janitors)
        // The end of the terminal's life is seen only when nobody has it open any more, we neither.
        pair.terminal = Descriptor(adopting: -1)
        var controller = Descriptor(adopting: -1)
        swap(&controller, &pair.controller)
        self.signals = signals
        inputEnd = Descriptor(adopting: -1)
        outputEnd = controller
        errorEnd = Descriptor(adopting: -1)
        // Control-D ends the input at the start of a line; within one it takes two, of which the first only ends it.
        input = Flow(from: 0, to: outputEnd.number) { last in last == UInt8(ascii: "\n") ? [4] : [4, 4] }
        let number = outputEnd.number
        outputs = [capture.map { Flow(from: number, to: $0) } ?? Flow(from: number, to: 1)]
        hasTerminal = true
        self.screen = screen
        screen?.enter()
    }

    /// The size of our own terminal, whichever of our streams it is.
    private static var windowSize: WindowSize? {
        WindowSize(of: 0) ?? WindowSize(of: 1) ?? WindowSize(of: 2)
    }

    /// Passes everything on until all is over. Returns how the command ended.
    mutating func run() -> JailReport {
        let limit = janitor.limit
        // A reader that takes its time may: no limit but a signal ends the delivery of what a command has written.
        while !(janitorHasGone && isDelivered), !patience.hasPassed {
            if !janitorHasGone, limit.hasPassed || readersPatience.hasPassed {
                readerHasGone = readersPatience.hasPassed
                cancel()
            }
            if lastWords.hasPassed { for flow in outputs where flow.readable >= 0 { flow.endSource() } }
            let wake = Deadline.after(milliseconds: 1000).sooner(patience).sooner(lastWords).sooner(readersPatience)
            let readable =
                [signals.number, janitorHasGone ? -1 : janitor.reports.number, input.readable]
                + outputs.map(\.readable)
            guard
                let ready = try? waitReady(
                    readable: readable, writable: [input.writable] + outputs.map(\.writable), until: wake)
            else { break }
            if ready.readable.contains(0) { takeSignals() }
            if ready.readable.contains(1) { takeReport() }
            if ready.readable.contains(2) { _ = input.fill() }
            if ready.writable.contains(0) { _ = input.drain() }
            if input.isDone { inputEnd = Descriptor(adopting: -1) }
            for index in outputs.indices {
                if ready.readable.contains(3 + index), outputs[index].fill() == .broken { lose(index) }
                if janitorHasGone, outputs[index].readable < 0 { lastWords = .after(milliseconds: Self.notice) }
                if ready.writable.contains(1 + index), outputs[index].drain() == .broken { lose(index) }
            }
        }
        return janitor.end(reported: reported.report)
    }

    /// Whether all that the command has written has been passed on, or cannot be.
    var isDelivered: Bool { outputs.allSatisfy(\.isDone) }

    private mutating func takeReport() {
        withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 1) { buffer in
            switch try? readSome(janitor.reports.number, into: buffer) {
            case .bytes(let count): reported.take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            case .wouldBlock: return
            case .end, nil:
                janitorHasGone = true
                readersPatience = .never
                lastWords = .after(milliseconds: Self.notice)
            }
        }
    }

    private mutating func takeSignals() {
        while let number = signals.next() {
            switch number {
            case SIGWINCH: Self.windowSize?.set(outputEnd.number)
            case SIGCONT:
                // A shell that had us stopped gave the terminal its own modes.
                screen?.enter()
                Self.windowSize?.set(outputEnd.number)
            default:
                signal = signal ?? number
                cancel()
            }
        }
    }

    /// Nobody takes an output any more: the command is told as in a shell's pipeline, by SIGPIPE at its next write, and
    /// ended if it does not end of that.
    private mutating func lose(_ index: Int) {
        if hasTerminal {
            readersPatience = .after(milliseconds: 0)
        } else {
            if index == 0 { outputEnd = Descriptor(adopting: -1) } else { errorEnd = Descriptor(adopting: -1) }
            readersPatience = .after(milliseconds: Self.notice)
        }
    }

    /// Has everything killed, once, and bounds the rest of the wait.
    private mutating func cancel() {
        guard patience == .never else { return }
        janitor.cancel()
        patience = .after(milliseconds: 5000)
    }
}
