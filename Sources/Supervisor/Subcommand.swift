import CLinux
import Contracts
import Glibc
import LinuxSystem

/// `agent-init SUBCOMMAND…`: runs `agentd` with our arguments, as transparent as can be: what it is given, what it
/// prints, its exit code and the signal it died of are passed on.
///
/// It is not executed in our place because its exit code alone cannot be believed. A program in the place of `agentd`, a
/// loader that does not find a library (exit code 127) or a preloaded library that ends the process (0) would pass for
/// a checkpoint that was verified, or for a command that `exec` did not find.
struct Subcommand {
    let agentd: String
    let plan: StopPlan
    let signals: SignalSource

    /// Runs it to its end and returns the code to exit with.
    ///
    /// - Throws: `SystemError` if there is no pipe to be had.
    func run() throws(SystemError) -> Int32 {
        let word = try Pipe()
        try setNonBlocking(word.reader.number, true)
        try setCloseOnExec(word.writer.number, false)
        var command = Command(path: agentd, arguments: kernelsArguments(from: 0))
        command.environment.insert(strdup("\(LastWord.variable)=\(word.writer.number)"), at: 0)
        let end: ProcessEnd
        do throws(ProgramError) {
            end = try CommandRun(options: CommandOptions(), plan: plan, signals: signals).run(command)
        } catch {
            logLine("\(error.description) (exit code 70)")
            return ExitCode.internalError.rawValue
        }
        switch end {
        case .exited(let code):
            if wordSays(code, word.reader.number) { return code }
            return believed(code)
        case .signaled(let number):
            // A shell sees what it died of; PID 1 cannot die of it.
            if !isInit { die(of: number) }
            return end.shellCode
        }
    }

    private func wordSays(_ code: Int32, _ reader: Int32) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            guard case .bytes(let count)? = try? readSome(reader, into: buffer) else { return false }
            return buffer[..<count].elementsEqual(LastWord.line(exit: code).utf8)
        }
    }

    /// The code for one that nobody has given a word for.
    private func believed(_ code: Int32) -> Int32 {
        switch code {
        case 127:
            logLine("agentd cannot be loaded: what it needs is not there, as the line above says (exit code 70)")
        case 0:
            logLine(
                "\(agentd) ended without a word of what it has done: it is another program, or something else ended it, "
                    + "such as a library of LD_PRELOAD (exit code 70)")
        default: return code
        }
        return ExitCode.internalError.rawValue
    }
}
