import Contracts

/// Where programs are searched if the environment has no PATH: what Debian's shells take (confstr(_CS_PATH) and
/// /usr/local).
private let standardPath = "/usr/local/bin:/usr/bin:/bin"

/// The PATH of the command's own environment: the first that counts, as for getenv(3).
func searchPath(_ request: JailRequest) -> String {
    for entry in request.environment where entry.hasPrefix("PATH=") { return String(entry.dropFirst(5)) }
    return standardPath
}

/// The files to try, in order, as execvp(3) would: a name with a slash is a path, relative to the working directory.
func programCandidates(_ request: JailRequest) -> [String] {
    guard let program = request.command.first, !program.isEmpty else { return [] }
    if program.contains("/") { return [program] }
    return searchPath(request).split(separator: ":", omittingEmptySubsequences: false).map { folder in
        // An empty entry is the working directory.
        folder.isEmpty ? "./\(program)" : "\(folder)/\(program)"
    }
}
