import Contracts

/// Where programs are searched if the environment has no PATH: what Debian's shells take (confstr(_CS_PATH) and
/// /usr/local).
private let standardPath = "/usr/local/bin:/usr/bin:/bin"

/// The PATH of the command's own environment: the first that counts, as for getenv(3).
func searchPath(_ request: JailRequest) -> String {
    // By bytes, here and below, as the kernel sees strings: "/" and a combining mark after it are one Character.
    for entry in request.environment where entry.utf8.starts(with: "PATH=".utf8) {
        return String(decoding: entry.utf8.dropFirst(5), as: UTF8.self)
    }
    return standardPath
}

/// The files to try, in order, as execvp(3) would: a name with a slash is a path, relative to the working directory.
func programCandidates(_ request: JailRequest) -> [String] {
    guard let program = request.command.first, !program.isEmpty else { return [] }
    if isPath(program) { return [program] }
    let colon = UInt8(ascii: ":")
    return searchPath(request).utf8.split(separator: colon, omittingEmptySubsequences: false).map { folder in
        // An empty entry is the working directory.
        folder.isEmpty ? "./\(program)" : "\(Substring(folder))/\(program)"
    }
}

/// Whether a program is named by a path, and so not searched.
func isPath(_ program: String) -> Bool { program.utf8.contains(UInt8(ascii: "/")) }
