import CLinux
import Contracts
import Glibc
import LinuxSystem

/// The program `agent-jail`: runs the one command that its arguments describe.
///
/// - Parameter arguments: the command line without the program's own name.
/// - Returns: the exit code (`JailReport.End.exitCode`).
package func runJail(arguments: [String]) -> Int32 {
    // A file opened under a free number below 3 would become the command's input or output.
    for number in Int32(0)...2 where fcntl(number, F_GETFD) < 0 { _ = open("/dev/null", O_RDWR) }

    var started = Clock.monotonic
    var end: JailReport.End
    var killed = 0
    var reportDescriptor: Int32?
    var violations = JailViolations()
    do throws(JailFailure) {
        var janitor: Janitor
        if arguments.first == ExpectedRequest.option {
            let standby = try Standby()
            guard var expected = try ExpectedRequest(arguments, standby) else { return 0 }
            started = Clock.monotonic
            reportDescriptor = expected.request.reportDescriptor
            janitor = try Janitor(expected.request, standby, fabric: expected.fabric.take())
        } else {
            let request = try parse(arguments)
            try claim("--report-fd", request.reportDescriptor)
            reportDescriptor = request.reportDescriptor
            try claim("--control-fd", request.controlDescriptor)
            janitor = try Janitor(request, try Standby())
        }
        defer { violations = janitor.violations }
        (end, killed) = try janitor.run()
    } catch {
        write("agent-jail: \(error)\n", to: STDERR_FILENO)
        end = .notStarted(error.stage, errno: error.code, message: error.message)
    }
    // The command's output ends with the command: its reader is not to wait until this program has been taken apart.
    for number in Int32(0)...2 where number != reportDescriptor { _ = close(number) }
    if let reportDescriptor {
        var report = report(end, killed: killed, since: started)
        report.violations = violations
        for line in report.lines { write(line + "\n", to: reportDescriptor) }
    }
    return end.exitCode
}

/// The command line without the program's own name.
///
/// From CLinux rather than CommandLine: a static Swift program reads the latter from /proc/self/cmdline.
package func commandLineArguments() -> [String] {
    var result: [String] = []
    for index in 1..<max(1, clinux_argument_count()) {
        if let argument = clinux_argument(index) { result.append(String(cString: argument)) }
    }
    return result
}

func parse(_ arguments: [String]) throws(JailFailure) -> JailRequest {
    do throws(JailUsageError) {
        return try JailRequest(arguments: arguments)
    } catch {
        throw JailFailure(.usage, error.description)
    }
}

/// Keeps a descriptor that was passed in from the command.
func claim(_ option: String, _ descriptor: Int32?) throws(JailFailure) {
    guard let descriptor else { return }
    do throws(SystemError) {
        try setCloseOnExec(descriptor, true)
    } catch {
        throw JailFailure(.descriptors, code: error.code, "\(option) \(descriptor): not open: pass it, or leave it out")
    }
}

/// The times are those of everything that was reaped: the whole tree.
func report(_ end: JailReport.End, killed: Int, since started: Int64) -> JailReport {
    var usage = rusage()
    // Cannot fail with this argument (getrusage(2)).
    _ = getrusage(RUSAGE_CHILDREN.rawValue, &usage)
    func milliseconds(_ time: timeval) -> Int64 { Int64(time.tv_sec) * 1000 + Int64(time.tv_usec) / 1000 }
    return JailReport(
        end: end, killed: killed, wall: Clock.monotonic - started, user: milliseconds(usage.ru_utime),
        system: milliseconds(usage.ru_stime), maximumResident: Int64(usage.ru_maxrss))
}

/// Writes a line if its reader takes it within a second: nobody may keep the janitor by not reading, or by going away
/// (SIGPIPE is blocked).
private func write(_ line: String, to descriptor: Int32) {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    guard poll(&waiting, 1, 1000) > 0 else { return }
    // Below PIPE_BUF, so that a pipe that poll calls writable takes it whole without waiting.
    var bytes = Array(line.utf8.prefix(4096))
    if bytes.count == 4096 { bytes[4095] = UInt8(ascii: "\n") }
    _ = write(descriptor, bytes, bytes.count)
}
