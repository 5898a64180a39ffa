/// Why a wait has to end before what it waits for has come.
package enum Interruption: Equatable, Sendable {
    /// SIGTERM: save and stop; the job goes on in the next pod.
    case stop
    /// The user cancelled the job.
    case cancel
}

/// What every wait of the loop also looks after, on the loop's one thread.
///
/// A wait polls `descriptors` together with its own, at most one second at a time, and calls `attend` each time it
/// wakes. That is what beats the heart: a wait that hangs stops beating, and PID 1 sees it.
package protocol Attention: AnyObject {
    /// To be polled for reading.
    var descriptors: [Int32] { get }
    /// Beats, takes in signals and commands that have come, and says whether the wait has to end.
    func attend() -> Interruption?
}
