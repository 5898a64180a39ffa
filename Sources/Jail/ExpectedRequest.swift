import Contracts
import Glibc
import LinuxSystem

/// A request that came to a janitor that was started ahead: `agent-jail --wait-fd N …`.
///
/// Most of a short command's time is the start of its janitor: a second program is loaded before the command's own can
/// be. So the loop keeps one that has that behind it. It has no privilege, no descriptor and no knowledge that another
/// has not: it stands where every janitor stands before it knows its command, and ends when the socket's other end goes.
struct ExpectedRequest: ~Copyable {
    /// With the numbers of the descriptors that came with it.
    let request: JailRequest
    /// Made of the request that was expected; for one of another plan it is of no use.
    var fabric: JailFabric?

    /// The option before the number of the socket. What follows is a request of the kind that is expected, or nothing.
    static let option = JailStandby.option

    /// Says that it is ready, and waits.
    ///
    /// - Returns: nil if nobody wants it any more: the other end has gone, or a signal asks it to end.
    /// - Throws: `JailFailure`: the request is not one, or its descriptors are not all there.
    init?(_ arguments: [String], _ standby: borrowing Standby) throws(JailFailure) {
        guard arguments.count >= 2, let number = Int32(arguments[1]), number >= 3 else {
            throw JailFailure(.usage, "\(Self.option): a descriptor of at least 3 is wanted")
        }
        try claim(Self.option, number)
        let socket = Descriptor(adopting: number)
        // A rehearsal: code that has run once, and pages that have been touched, are there when it counts. All that it
        // makes goes again.
        var fabric: JailFabric?
        if let sample = try? parse(Array(arguments.dropFirst(2))),
            let plan = try? JailPlan(jailRules, for: sample, on: standby.kernel)
        {
            fabric = try? JailFabric(plan)
            // First: memory that both have had since the fork is copied by the first who writes to it.
            standby.preference.raise()
            fabric?.makeChild()
            standby.preference.restore()
            _ = try? Launch(sample, plan)
            _ = report(.exited(0), killed: 0, since: Clock.monotonic).lines
        }
        do throws(SystemError) {
            try DescriptorMessage.send([0], [], to: socket.number)
            guard try Self.comes(socket, standby.signals) else { return nil }
            guard var message = try DescriptorMessage.receive(from: socket.number, limit: JailStandby.longestRequest)
            else { return nil }
            guard message.count == JailStandby.descriptors else {
                throw SystemError("recvmsg", code: EBADMSG)
            }
            for standard in 0..<3 {
                let descriptor = message.take(standard)
                try retrying("dup2") { dup2(descriptor.number, Int32(standard)) }
            }
            let words = message.bytes.split(separator: 0, omittingEmptySubsequences: false)
            var request: JailRequest
            do throws(JailUsageError) {
                request = try JailRequest(arguments: words.map { String(decoding: $0, as: UTF8.self) })
            } catch {
                throw SystemError("recvmsg", code: EBADMSG)
            }
            // Kept until the process ends, as those that are passed on the command line are.
            request.reportDescriptor = message.take(3).release()
            request.controlDescriptor = message.take(4).release()
            self.request = request
            self.fabric = fabric
        } catch {
            throw JailFailure(.descriptors, error, "the request did not come whole; please report this")
        }
    }

    /// Waits for the request; false if a signal has come that asks to end.
    private static func comes(_ socket: borrowing Descriptor, _ signals: borrowing Descriptor) throws(SystemError)
        -> Bool
    {
        while true {
            let ready = try waitReadable([socket.number, signals.number], until: .never)
            if ready.contains(0) { return true }
            if try takeEndSignal(signals.number) { return false }
        }
    }
}
