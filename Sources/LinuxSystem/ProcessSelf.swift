import CLinux
import Glibc

/// The environment of this process; of a name given twice, the first counts, as for getenv(3).
package func processEnvironment() -> [String: String] {
    var result: [String: String] = [:]
    var position = environ
    while let entry = position.pointee {
        let text = String(cString: entry)
        if let mark = text.firstIndex(of: "=") {
            let name = String(text[..<mark])
            if result[name] == nil { result[name] = String(text[text.index(after: mark)...]) }
        }
        position += 1
    }
    return result
}

/// argv of this process as the kernel gave it, the program's name included.
///
/// Not `CommandLine.arguments`: those are read from /proc/self/cmdline, and are none where /proc is not mounted.
package func processArguments() -> [String] {
    (0..<clinux_argument_count()).map { index in clinux_argument(index).map { String(cString: $0) } ?? "" }
}

/// The host's name: in a pod, the pod's.
package func hostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
    return buffer.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "unknown" }
}

/// The folder of the program that this process runs, from /proc/self/exe; nil without /proc.
package func programFolder() -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    guard count > 0, count < buffer.count else { return nil }
    let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let slash = path.lastIndex(of: "/") else { return nil }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// The program and the libraries that this process has loaded: what is mapped to be executed, from /proc/self/maps; none
/// without /proc.
package func loadedFiles() -> [String] {
    // The file has no size of its own, so it is read to its end: some hundred lines.
    guard let file = try? retrying("open", { open("/proc/self/maps", O_RDONLY | O_CLOEXEC) }) else { return [] }
    let maps = Descriptor(adopting: file)
    var bytes: [UInt8] = []
    withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 1) { buffer in
        while bytes.count < 4 << 20, case .bytes(let count)? = try? readSome(maps.number, into: buffer) {
            bytes += buffer[..<count]
        }
    }
    var paths: Set<String> = []
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
        // `address perms offset device inode path` (proc(5)); data that is mapped is no program.
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 2)
        guard words.count == 3, words[1].contains(UInt8(ascii: "x")), let slash = line.firstIndex(of: UInt8(ascii: "/"))
        else { continue }
        paths.insert(String(decoding: line[slash...], as: UTF8.self))
    }
    return paths.sorted()
}

/// Whether others of the same user may look into this process (PR_SET_DUMPABLE, 4). It is a property of the address
/// space: nobody may share ours.
package func setDumpable(_ on: Bool) -> Bool {
    clinux_prctl(4, on ? 1 : 0, 0, 0, 0) >= 0
}

/// Asks for a signal when the thread that started this process ends (PR_SET_PDEATHSIG, 1). PID 1 has one thread, so
/// that is its end; where agent-init is PID 1 the kernel ends everything then anyway.
package func signalAtParentsEnd(_ signal: Int32) { _ = clinux_prctl(1, UInt(signal), 0, 0, 0) }

/// Whether the descriptor is a terminal.
package func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

/// Lets root go on as the owner of a file, for good, so that what it makes beside the file is the owner's. Does nothing
/// for anybody else, or if there is no such file.
///
/// - Throws: `SystemError` of setgroups(2), setgid(2) or setuid(2): a root without the capability.
package func becomeOwner(of path: String) throws(SystemError) {
    var status = stat()
    guard geteuid() == 0, stat(path, &status) == 0, status.st_uid != 0 else { return }
    try retrying("setgroups") { setgroups(0, nil) }
    try retrying("setgid") { setgid(status.st_gid) }
    try retrying("setuid") { setuid(status.st_uid) }
}
