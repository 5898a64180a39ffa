import CLinux
import Glibc

/// The options of `run COMMAND…`, as other inits have them under various names.
package struct CommandOptions: Equatable, Sendable {
    /// `-g`, `--group`: signals go to the command's whole process group.
    package var signalsGroup = false
    /// `--rewrite TERM:INT`: which signal is sent on in the place of which; 0 drops it.
    package var rewrites: [Int32: Int32] = [:]
    /// `--remap-exit 143:0`: which exit code becomes which.
    package var exitCodes: [Int32: Int32] = [:]
    /// `--grace SECONDS`, in milliseconds; nil: AGENT_GRACE_SECONDS.
    package var grace: Int64?
    /// `--heed-inside`: as PID 1, signals from processes of the container count too.
    package var heedsInside = false

    package init() {}

    /// The signal to send on for one that came; nil if it is to be dropped.
    package func rewritten(_ signal: Int32) -> Int32? {
        let result = rewrites[signal] ?? signal
        return result == 0 ? nil : result
    }

    /// Takes the options at the head of `arguments` off.
    ///
    /// - Throws: `Invocation.Wrong` with the option and what is accepted.
    mutating func take(from arguments: inout ArraySlice<String>) throws(Invocation.Wrong) {
        while let option = arguments.first, option.hasPrefix("-"), option != "--" {
            arguments.removeFirst()
            switch option {
            case "-g", "--group": signalsGroup = true
            case "--heed-inside": heedsInside = true
            case "--rewrite":
                let (from, to) = try Self.pair(option, &arguments, accepted: "SIGNAL:SIGNAL, or SIGNAL:0") { text in
                    Self.signal(text)
                }
                guard from != 0 else { throw Self.wrong(option, "0:…", accepted: "SIGNAL:SIGNAL, or SIGNAL:0") }
                rewrites[from] = to
            case "--remap-exit":
                let (from, to) = try Self.pair(option, &arguments, accepted: "CODE:CODE, each from 0 to 255") { text in
                    Int32(text).flatMap { (0...255).contains($0) ? $0 : nil }
                }
                exitCodes[from] = to
            case "--grace":
                let text = arguments.popFirst() ?? ""
                guard let seconds = Int64(text), (1...3600).contains(seconds) else {
                    throw Self.wrong(option, text, accepted: "a whole number of seconds from 1 to 3600")
                }
                grace = seconds * 1000
            default:
                throw Invocation.Wrong(
                    description: "\"\(option)\" is no option of run; for a command of that name: "
                        + "agent-init run -- \(option)")
            }
        }
    }

    private static func pair(
        _ option: String, _ arguments: inout ArraySlice<String>, accepted: String, _ value: (String) -> Int32?
    ) throws(Invocation.Wrong) -> (Int32, Int32) {
        let text = arguments.popFirst() ?? ""
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let from = value(parts[0]), let to = value(parts[1]) else {
            throw wrong(option, text, accepted: accepted)
        }
        return (from, to)
    }

    /// A signal by its name, with or without SIG, or by its number; 0 is no signal.
    private static func signal(_ text: String) -> Int32? {
        if let number = Int32(text) { return (0...64).contains(number) ? number : nil }
        let name = text.hasPrefix("SIG") ? String(text.dropFirst(3)) : text
        return (1...31).first { number in
            clinux_signal_name(number).map { String(cString: $0) } == name
        }
    }

    private static func wrong(_ option: String, _ text: String, accepted: String) -> Invocation.Wrong {
        Invocation.Wrong(description: "\(option) \"\(text)\"; accepted: \(accepted). See agent-init run --help")
    }
}
