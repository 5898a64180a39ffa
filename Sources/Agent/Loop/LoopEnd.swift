package import Contracts

/// How a process of the loop ends: for good or to be started again.
package struct LoopEnd: Equatable, Sendable {
    package let exit: ExitCode
    /// A word for machines: `completed`, `failed`, …, or `stopped`, `try_again`, `not_permitted`.
    package let outcome: String
    /// For people.
    package let reason: String

    package init(_ exit: ExitCode, outcome: String, reason: String) {
        self.exit = exit
        self.outcome = outcome
        self.reason = reason
    }

    package init(_ error: StartError) {
        let outcome =
            switch error.exit {
            case .configuration: "configuration"
            case .notPermitted: "not_permitted"
            case .usage: "usage"
            case .tryAgain: "storage"
            default: "error"
            }
        self.init(error.exit, outcome: outcome, reason: error.description)
    }

    package init(_ error: StoreError) {
        switch error.kind {
        case .fenced: self.init(.tryAgain, outcome: "fenced", reason: error.description)
        case .unusable, .foreign, .newer:
            self.init(.checkpointUnusable, outcome: "checkpoint_unusable", reason: error.description)
        case .full: self.init(.tryAgain, outcome: "disk_full", reason: error.description)
        case .inputOutput, .replaced: self.init(.tryAgain, outcome: "storage", reason: error.description)
        case .stopped: self.init(.stopped, outcome: "stopped", reason: error.description)
        case .denied: self.init(.notPermitted, outcome: "not_permitted", reason: error.description)
        case .place, .refused: self.init(.configuration, outcome: "configuration", reason: error.description)
        }
    }
}
