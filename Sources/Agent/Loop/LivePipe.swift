import Events
import LinuxSystem

/// The pipe to the gateway for what is only shown: beats and pieces of an answer. What it does not take is lost.
package final class LivePipe: LiveDisplay {
    private let descriptor: Int32?
    private var nextBeat: Int64 = 0

    /// `descriptor` nil: there is no gateway.
    package init(descriptor: Int32?) {
        self.descriptor = descriptor
        if let descriptor { try? setNonBlocking(descriptor, true) }
    }

    /// Beats, if a beat is due (every 2 s): `/livez` is about this.
    func beat() {
        guard Clock.monotonic >= nextBeat else { return }
        nextBeat = Clock.monotonic + 2000
        send(["beat": .int(Clock.wall)])
    }

    /// Tells the gateway that the journal has grown.
    package func committed() { send(["committed": true]) }

    package func show(_ delta: LLMDelta) {
        switch delta {
        case .text(let text): send(["delta": "text", "text": .string(text)])
        case .thinking(let text): send(["delta": "thinking", "text": .string(text)])
        }
    }

    private func send(_ json: JSON) {
        guard let descriptor else { return }
        let line = json.text + "\n"
        // Longer than PIPE_BUF it could be torn; then it is not for showing.
        if line.utf8.count <= 4096 { _ = writeOnce(descriptor, line) }
    }
}
