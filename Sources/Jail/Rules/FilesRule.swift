package import Contracts
import Glibc
import LinuxSystem

/// The command sees the programs, its project, its home and its temporary folder, and nothing else.
///
/// Read-write: project (in TACTICAL; read and execute in STRATEGIC), home, tmp. Read and execute: the request's tools.
/// Besides what `JailGrants` lists. Everything else — the checkpoints, the secrets, other users' files — cannot be opened, made, removed, renamed or cut.
///
/// Not closed, because Landlock has no hook there: stat, chmod, chown, utime, setxattr and inotify on a path outside,
/// within what the file modes allow.
package struct FilesRule: JailRule {
    package let name = "files"

    package init() {}

    package func extend(
        _ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        try kernel.requireLandlock()
        let project = try Self.folder("--project", request.project)
        let home = try Self.folder("--home", request.home)
        let temporary = try Self.folder("--tmp", request.temporary)
        plan.deny(FileRights.all(abi: kernel.landlock))

        // Landlock adds up the grants on the way to a file: a writable folder above the project would open it.
        if request.profile == .strategic {
            for (option, folder) in [
                ("--home", home), ("--tmp", temporary), (JailGrants.sharedMemory, JailGrants.sharedMemory),
            ]
            where Self.overlap(project, folder) {
                throw JailFailure(
                    .files,
                    "\(option) \(folder) and --project \(project) lie within each other, so the project cannot be"
                        + " read-only: put them side by side")
            }
        }
        for folder in request.tools { _ = try Self.folder("--tools", folder) }
        for place in JailGrants.folders(of: request) {
            plan.grant(FileRights(place.access), beneath: place.path)
        }
        for place in JailGrants.places {
            plan.grant(FileRights(place.access), beneath: place.path, isOptional: true)
        }
    }

    /// The folder, if no part of its path is a link: a command may write the folder that another one lies in, and a link
    /// that it puts there would be granted in the place of what it leads to. The ruleset opens it so too.
    ///
    /// The root is refused: a grant on it leaves nothing closed.
    private static func folder(_ option: String, _ path: String) throws(JailFailure) -> String {
        guard let resolved = realpath(path, nil) else {
            throw JailFailure(
                .files, SystemError.last("\(option)", subject: path), "make the folder, or give the right one")
        }
        defer { free(resolved) }
        let real = String(cString: resolved)
        guard real.utf8.elementsEqual(path.utf8) else {
            throw JailFailure(
                .files, code: ELOOP, "\(option) \(path) leads to \(real): give the path that no link is a part of")
        }
        var information = stat()
        guard stat(real, &information) == 0 else {
            throw JailFailure(.files, SystemError.last("\(option)", subject: real), "make the folder reachable")
        }
        guard information.st_mode & S_IFMT == S_IFDIR else {
            throw JailFailure(.files, code: ENOTDIR, "\(option) \(path) is not a folder: give a folder")
        }
        guard real != "/" else {
            throw JailFailure(.files, "\(option) \(path) is the root, which would open everything: give a folder in it")
        }
        return real
    }

    private static func overlap(_ one: String, _ other: String) -> Bool {
        // By bytes, as the kernel sees paths: for Swift "/" and a combining mark after it are one other Character.
        let one = Array((one + "/").utf8)
        let other = Array((other + "/").utf8)
        return one.starts(with: other) || other.starts(with: one)
    }
}
