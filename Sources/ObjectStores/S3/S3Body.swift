import Glibc
import LinuxSystem

/// What is sent: read piece by piece, never all in memory if it is a file. It can be sent again.
final class S3Body {
    private let bytes: [UInt8]
    /// nil: the bytes.
    private let file: Int32?
    let size: Int64
    let digest: [UInt8]
    private var offset: Int64 = 0
    /// Why the file could not be read.
    private(set) var failure: SystemError?

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        file = nil
        size = Int64(bytes.count)
        digest = Digest.sha256(bytes)
    }

    /// The first `size` bytes of an open file, which must stay open and as it is.
    init(file: Int32, size: Int64) throws(SystemError) {
        bytes = []
        self.file = file
        self.size = size
        let digest = Digest()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 1)
        defer { buffer.deallocate() }
        var position: Int64 = 0
        while position < size {
            let count = try Self.read(file, at: position, into: buffer, most: size - position)
            digest.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            position += Int64(count)
        }
        self.digest = digest.finish()
    }

    func rewind() {
        offset = 0
        failure = nil
    }

    /// - Returns: how many bytes were given, 0 at the end; nil if the file cannot be read.
    func give(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let most = min(Int64(buffer.count), size - offset)
        guard most > 0 else { return 0 }
        if let file {
            do throws(SystemError) {
                let count = try Self.read(file, at: offset, into: buffer, most: most)
                offset += Int64(count)
                return count
            } catch {
                failure = error
                return nil
            }
        }
        bytes.withUnsafeBytes { all in
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: all[Int(offset)..<Int(offset + most)]))
        }
        offset += most
        return Int(most)
    }

    /// - Throws: `SystemError`; EIO if the file has become shorter.
    private static func read(
        _ file: Int32, at offset: Int64, into buffer: UnsafeMutableRawBufferPointer, most: Int64
    ) throws(SystemError) -> Int {
        while true {
            let count = pread(file, buffer.baseAddress, min(buffer.count, Int(most)), off_t(offset))
            if count > 0 { return count }
            if count == 0 { throw SystemError("pread", code: EIO, subject: "a file that has become shorter") }
            if errno != EINTR { throw SystemError.last("pread") }
        }
    }
}

/// Where an object's bytes go.
enum S3Target {
    case memory(limit: Int)
    case file(NewFile, limit: Int64)

    var limit: Int64 {
        switch self {
        case .memory(let limit): Int64(limit)
        case .file(_, let limit): limit
        }
    }
}
