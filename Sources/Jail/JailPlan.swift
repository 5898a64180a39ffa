package import Contracts

/// What the jail of one command will be: what the rules collect, and the child then puts on.
///
/// A value without descriptors or side effects, so that a test can read what a rule did.
package struct JailPlan: Equatable, Sendable {
    /// Rights beneath a file or folder.
    package struct PathGrant: Equatable, Sendable {
        package var path: String
        /// On a file, the rights that make no sense for one are left out.
        package var rights: FileRights
        /// Passed over where it does not exist. One that is not optional must be there, and no part of its path a link:
        /// it is a folder of the job's, and what lies above it may be a command's to write.
        package var isOptional: Bool
    }

    /// A limit of setrlimit(2), in its own unit. It lowers, and never raises what was inherited.
    package struct Limit: Equatable, Sendable {
        package var resource: Int32
        package var soft: UInt64
        package var hard: UInt64
    }

    /// File rights that are denied where no grant gives them.
    package private(set) var deniedFiles: FileRights = []
    package private(set) var paths: [PathGrant] = []
    /// TCP rights that are denied, on every port.
    package private(set) var deniedNetwork: NetworkRights = []
    package private(set) var scopes: Scopes = []
    package private(set) var calls: [CallRule] = []
    package private(set) var limits: [Limit] = []
    package private(set) var dropsCapabilities = false

    package init() {}

    /// The plan of these rules.
    package init(
        _ rules: [any JailRule], for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        for rule in rules { try rule.extend(&self, for: request, on: kernel) }
    }

    package mutating func deny(_ rights: FileRights) { deniedFiles.formUnion(rights) }
    package mutating func deny(_ rights: NetworkRights) { deniedNetwork.formUnion(rights) }
    package mutating func scope(_ scopes: Scopes) { self.scopes.formUnion(scopes) }

    package mutating func grant(_ rights: FileRights, beneath path: String, isOptional: Bool = false) {
        paths.append(PathGrant(path: path, rights: rights, isOptional: isOptional))
    }

    /// Refuses a call unless one of `exceptions` holds. Several rules for one call must all let it through.
    package mutating func refuse(
        _ call: Int, unless exceptions: [CallRule.Exception] = [], with error: CallRule.Refusal = .notPermitted
    ) {
        calls.append(CallRule(call: call, exceptions: exceptions, refusal: error))
    }

    /// Whether some calls wait for a broker.
    package var needsBroker: Bool { calls.contains { $0.refusal == .brokered } }

    package mutating func dropCapabilities() { dropsCapabilities = true }

    package mutating func limit(_ resource: Int32, soft: UInt64, hard: UInt64) {
        limits.append(Limit(resource: resource, soft: soft, hard: hard))
    }
}
