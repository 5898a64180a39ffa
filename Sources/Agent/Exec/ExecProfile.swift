package import Contracts

/// The profiles by the names that a command line takes: what the project tree is for a command, and its network.
package enum ExecProfile: String, CaseIterable, Sendable {
    /// Read-write project tree; the network that the configuration gives.
    case tactical
    /// The same with a read-only project tree.
    case strategic
    /// Read-write project tree, no network at all.
    case noneNetwork = "none-network"

    /// Narrows `commands` to the profile and says what the jail calls it.
    package func apply(to commands: inout JailedCommands) -> JailProfile {
        switch self {
        case .tactical: return .tactical
        case .strategic: return .strategic
        case .noneNetwork:
            // Then neither are the proxy's variables set.
            commands.network.policy = .none
            commands.network.listening = .none
            return .tactical
        }
    }
}
