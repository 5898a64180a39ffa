import Contracts
import Glibc
import LinuxSystem

/// An `agent-jail` that was started ahead and waits for its command (`JailStandby`).
///
/// When this value goes without having been used, the janitor sees the end of its socket and goes too.
struct JanitorInWaiting: ~Copyable {
    let pid: Int32
    private let socket: Descriptor

    /// Starts one that expects commands like `sample`.
    ///
    /// - Throws: `SystemError`: nothing has been started.
    init(program: String, like sample: JailRequest) throws(SystemError) {
        let null = Descriptor(
            adopting: try retrying("open", subject: "/dev/null") { open("/dev/null", O_RDWR | O_CLOEXEC) })
        var ends = try DescriptorMessage.socketPair()
        pid = try Spawn(
            path: program, arguments: ["agent-jail", JailStandby.option, "3"] + sample.arguments, environment: [],
            descriptors: [(null.number, 0), (null.number, 1), (null.number, 2), (ends.writer.number, 3)]
        ).start()
        socket = ends.takeReader()
    }

    /// Gives it the request and the descriptors, in the order of `JailStandby`.
    ///
    /// - Returns: whether it has them; if not, nothing of the command will run, and it ends.
    borrowing func take(_ message: [UInt8], _ descriptors: [Int32]) -> Bool {
        // It says when it is ready. One that is not after a second hangs, or has failed: another is started then.
        guard let ready = try? waitReadable([socket.number], until: .after(milliseconds: 1000)), !ready.isEmpty,
            let _ = try? DescriptorMessage.receive(from: socket.number, limit: 1)
        else { return false }
        return (try? DescriptorMessage.send(message, descriptors, to: socket.number)) != nil
    }

    /// Ends one that was not used. To be reaped by the caller.
    borrowing func dismiss() { _ = kill(pid, SIGKILL) }
}
