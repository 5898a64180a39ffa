import LinuxSystem

/// A volume of a Secret or ConfigMap: each version of it is a folder of its own below the mounted one, and the link `..data`,
/// which is renamed, says which one counts (kubernetes, pkg/volume/util, AtomicWriter).
package enum RotatedVolume {
    private static let link = "..data"

    /// The path by which a folder is found in every version, for one of a version: `/s/..2026_01_02/llm` is `/s/..data/llm`.
    static func lasting(_ path: String) -> String {
        guard let (mount, version, rest) = parts(path), canonicalPath("\(mount)/\(link)") == "\(mount)/\(version)"
        else {
            return path
        }
        return ([mount, link] + rest).joined(separator: "/")
    }

    /// The folder that all versions lie in; `path` itself if it is not of such a volume. A rule of Landlock is bound to a
    /// folder and holds for what comes to lie in it later, and not for what later bears the folder's name.
    package static func mount(of path: String) -> String { parts(path)?.mount ?? path }

    private static func parts(_ path: String) -> (mount: String, version: String, rest: [String])? {
        let all = path.split(separator: "/").map(String.init)
        guard path.hasPrefix("/"), let index = all.firstIndex(where: { $0.hasPrefix("..") && $0 != ".." }), index > 0
        else { return nil }
        return ("/" + all[..<index].joined(separator: "/"), all[index], Array(all[(index + 1)...]))
    }
}
