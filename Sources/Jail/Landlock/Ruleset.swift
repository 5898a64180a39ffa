import CLinux
import Glibc
package import LinuxSystem

/// A Landlock ruleset in the kernel, ready to be entered.
package struct Ruleset: ~Copyable {
    package let descriptor: Descriptor

    /// A ruleset with scopes only: it denies nothing else.
    package init(scopes: Scopes) throws(JailFailure) {
        descriptor = try Self.create(files: [], network: [], scopes: scopes)
    }

    /// The ruleset of a plan. Its paths are looked up now, and stay the same files whatever is renamed later.
    ///
    /// - Throws: `JailFailure` if a path that is not optional cannot be opened, or the kernel refuses a rule.
    package init(_ plan: JailPlan) throws(JailFailure) {
        let descriptor = try Self.create(files: plan.deniedFiles, network: plan.deniedNetwork, scopes: plan.scopes)
        for grant in plan.paths { try Self.add(grant, handled: plan.deniedFiles, to: descriptor.number) }
        self.descriptor = descriptor
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
    ) throws(JailFailure) {
        var rights = grant.rights.intersection(handled)
        let number = cjail_open_path(grant.path)
        if number < 0 {
            let error = SystemError("open", code: -number, subject: grant.path)
            if grant.isOptional, error.code == ENOENT || error.code == ENOTDIR { return }
            throw JailFailure(.files, error, "the jail was to grant this path; make it reachable for this user")
        }
        let path = Descriptor(adopting: number)
        var information = stat()
        if fstat(path.number, &information) < 0 {
            throw JailFailure(.files, SystemError.last("fstat", subject: grant.path), "check the file system")
        }
        if information.st_mode & S_IFMT != S_IFDIR { rights.formIntersection(.ofFiles) }
        if rights.isEmpty { return }
        let result = cjail_landlock_grant_path(ruleset, path.number, rights.rawValue)
        if result < 0 { throw Self.refused("landlock_add_rule", -result, grant.path) }
    }

    private static func refused(_ call: String, _ code: Int32, _ subject: String) -> JailFailure {
        JailFailure(
            .landlock, SystemError(call, code: code, subject: subject),
            "this kernel's Landlock does not take the jail's rule; please report the kernel's version")
    }
}
