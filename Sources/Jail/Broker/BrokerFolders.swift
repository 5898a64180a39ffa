import CLinux
import Contracts
import Glibc
import LinuxSystem

/// The folders in which the command's own Unix sockets may lie: those that it writes to.
struct BrokerFolders: ~Copyable {
    private let folders: [Folder]

    private struct Folder {
        /// As they were asked for and without links.
        var names: [[ArraySlice<UInt8>]]
        var descriptor: Int32
    }

    init(_ request: JailRequest) {
        var folders: [Folder] = []
        for path in [request.project, request.home, request.temporary, JailGrants.sharedMemory] {
            let number = path == JailGrants.sharedMemory ? cjail_open_path(path) : cjail_open_straight(path)
            // The rules have looked at them; /dev/shm need not be there.
            if number < 0 { continue }
            var names = [Self.parts(Array(path.utf8))]
            if let real = realpath(path, nil) {
                names.append(Self.parts(Array(String(cString: real).utf8)))
                free(real)
            }
            folders.append(Folder(names: names, descriptor: number))
        }
        self.folders = folders
    }

    deinit { for folder in folders { _ = close(folder.descriptor) } }

    private static func parts(_ path: [UInt8]) -> [ArraySlice<UInt8>] {
        path.split(separator: UInt8(ascii: "/")).filter { $0 != [UInt8(ascii: ".")] }
    }

    /// Opens (O_PATH) what an absolute path names, if it begins with one of the folders and does not lead out of it.
    ///
    /// - Returns: the descriptor; -EXDEV if it leads elsewhere, or another error.
    func open(_ path: [UInt8]) -> Int32 {
        let parts = Self.parts(path)
        for folder in folders {
            for name in folder.names where parts.starts(with: name) {
                let rest = Array(parts.dropFirst(name.count).joined(separator: [UInt8(ascii: "/")]))
                guard !rest.isEmpty, !rest.contains(0) else { return -ECONNREFUSED }
                return (rest + [0]).withUnsafeBytes { buffer in
                    cbroker_open_beneath(
                        folder.descriptor, buffer.assumingMemoryBound(to: CChar.self).baseAddress)
                }
            }
        }
        return -EXDEV
    }
}
