/// How the seconds between SIGTERM and the kubelet's SIGKILL are spent.
///
/// All of it must be over before `terminationGracePeriodSeconds` is, or the termination message is lost: the last second
/// (of a grace under 12 s, the last twelfth) is kept free. At the default of 60 s: the main process has 40 s, then the
/// gateway until 50 s to ship what is left, then everything else until 59 s to clean up, then SIGKILL. Who is done
/// earlier leaves the time to who comes after.
package struct StopPlan: Equatable, Sendable {
    /// Milliseconds after SIGTERM at which the main process is killed.
    package let mainLimit: Int64
    /// Milliseconds after SIGTERM at which the gateway must have shipped everything.
    package let drainLimit: Int64
    /// Milliseconds after SIGTERM at which whatever is left is killed. Where no SIGTERM has come, a command's leftovers
    /// have as much from the command's end on.
    package let wholeLimit: Int64
    /// Milliseconds for what an agent that ended by itself leaves behind: all that it has started has been ended before,
    /// so nothing of what is left has work to save.
    package let strayLimit: Int64
    /// Milliseconds the gateway gets when the run ended by itself.
    package static let ordinaryDrain: Int64 = 5000

    /// The stages of a grace period of `grace` milliseconds.
    package init(grace: Int64) {
        mainLimit = grace * 8 / 12
        drainLimit = grace * 10 / 12
        wholeLimit = grace - min(1000, grace / 12)
        strayLimit = min(5000, grace / 12)
    }
}
