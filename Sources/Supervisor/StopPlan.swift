/// How the seconds between SIGTERM and the kubelet's SIGKILL are spent.
///
/// All of it must be over before `terminationGracePeriodSeconds` is, or the termination message is lost: the last
/// twelfth of the time is kept free. At the default of 60 s: the main process has 40 s, then the gateway until 50 s
/// to ship what is left, then everything else 5 s to clean up, then SIGKILL.
package struct StopPlan: Equatable, Sendable {
    /// Milliseconds after SIGTERM at which the main process is killed.
    package let mainLimit: Int64
    /// Milliseconds after SIGTERM at which the gateway must have shipped everything.
    package let drainLimit: Int64
    /// Milliseconds between SIGTERM and SIGKILL for whatever is left at the end.
    package let leftoversLimit: Int64
    /// Milliseconds the gateway gets when the run ended by itself.
    package static let ordinaryDrain: Int64 = 5000

    /// The stages of a grace period of `grace` milliseconds.
    package init(grace: Int64) {
        mainLimit = grace * 8 / 12
        drainLimit = grace * 10 / 12
        leftoversLimit = min(5000, grace / 12)
    }
}
