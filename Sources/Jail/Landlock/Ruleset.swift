import CLinux
import Contracts
import Glibc
package import LinuxSystem

/// A Landlock ruleset in the kernel, ready to be entered.
package struct Ruleset: ~Copyable {
    package let descriptor: Descriptor
    /// What each granted path was when its rule was made, in the plan's order.
    private let files: [FileIdentity?]

    /// The ruleset of a plan. Its paths are looked up now, and stay the same files whatever is renamed later.
    ///
    /// - Throws: `JailFailure` if a path that is not optional cannot be opened, or the kernel refuses a rule.
    package init(_ plan: JailPlan) throws(JailFailure) {
        let descriptor = try Self.create(files: plan.deniedFiles, network: plan.deniedNetwork, scopes: plan.scopes)
        var files: [FileIdentity?] = []
        for grant in plan.paths {
            files.append(try Self.add(grant, handled: plan.deniedFiles, to: descriptor.number))
        }
        self.descriptor = descriptor
        self.files = files
    }

    /// Whether a ruleset that is made of the same plan now would be this one: each path leads to the file that it led to.
    borrowing func isCurrent(_ plan: JailPlan) -> Bool {
        zip(plan.paths, files).allSatisfy { FileIdentity($0.path) == $1 }
    }

    private static func create(
        files: FileRights, network: NetworkRights, scopes: Scopes
    ) throws(JailFailure) -> Descriptor {
        let result = cjail_landlock_ruleset(files.rawValue, network.rawValue, scopes.rawValue)
        if result < 0 { throw refused("landlock_create_ruleset", -result, "") }
        return Descriptor(adopting: result)
    }

    private static func add(
        _ grant: JailPlan.PathGrant, handled: FileRights, to ruleset: Int32
    ) throws(JailFailure) -> FileIdentity? {
        var rights = grant.rights.intersection(handled)
        let number = grant.isOptional ? cjail_open_path(grant.path) : cjail_open_straight(grant.path)
        if number < 0 {
            let error = SystemError("open", code: -number, subject: grant.path)
            if grant.isOptional, error.code == ENOENT || error.code == ENOTDIR { return nil }
            throw JailFailure(.files, error, "the jail was to grant this path; make it reachable for this user")
        }
        let path = Descriptor(adopting: number)
        var information = stat()
        if fstat(path.number, &information) < 0 {
            throw JailFailure(.files, SystemError.last("fstat", subject: grant.path), "check the file system")
        }
        if information.st_mode & S_IFMT != S_IFDIR { rights.formIntersection(.ofFiles) }
        let identity = FileIdentity(information)
        if rights.isEmpty { return identity }
        let result = cjail_landlock_grant_path(ruleset, path.number, rights.rawValue)
        if result < 0 { throw Self.refused("landlock_add_rule", -result, grant.path) }
        return identity
    }

    private static func refused(_ call: String, _ code: Int32, _ subject: String) -> JailFailure {
        JailFailure(
            .landlock, SystemError(call, code: code, subject: subject),
            "this kernel's Landlock does not take the jail's rule; please report the kernel's version")
    }
}

/// One file and no other, as long as it exists.
private struct FileIdentity: Equatable {
    let device: UInt64
    let number: UInt64

    init(_ information: stat) {
        device = UInt64(information.st_dev)
        number = UInt64(information.st_ino)
    }

    /// Nil if nothing is there.
    init?(_ path: String) {
        var information = stat()
        guard stat(path, &information) == 0 else { return nil }
        self.init(information)
    }
}
