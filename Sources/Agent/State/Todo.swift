/// One thing to do. None is ever deleted, and its id never changes.
package struct Todo: Codable, Equatable, Sendable {
    package enum Status: String, Codable, Sendable, CaseIterable {
        case pending, done, blocked, dropped
        case inProgress = "in_progress"

        /// Whether nothing more is to be done about it.
        package var isClosed: Bool { self == .done || self == .dropped }
    }

    /// `t1`, `t2`, … in the order of staging, over the whole job.
    package var id: String
    package var title: String
    /// How one can tell that it is done.
    package var acceptance: String
    /// A shell command that VERIFY runs: it must exit with 0.
    package var check: String?
    package var status: Status = .pending
    package var evidence: String?
    /// How often it was put in progress.
    package var attempts = 0

    package init(id: String, title: String, acceptance: String, check: String? = nil) {
        self.id = id
        self.title = title
        self.acceptance = acceptance
        self.check = check
    }
}
