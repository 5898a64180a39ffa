import Glibc
import LinuxSystem

/// The end of a database's -wal, beyond what SQLite takes of it.
///
/// SQLite ends a -wal at the first frame whose checksum is wrong, and says nothing: after a power loss that is the end
/// of the last commit, which nobody has been told of. A frame that went bad in the middle looks the same to it, and all
/// commits after it would be lost. They show by their frames, for one commit is on the disk before the next begins.
///
/// The form of the file is that of sqlite.org/fileformat2.html#walformat. It has no locks of SQLite's, so it may be opened
/// beside it; the -shm has.
struct WriteAheadEnd: ~Copyable {
    private static let header = 32
    private static let frameHeader = 24
    /// The page size of a checkpoint.
    private static let ourPage = 8192

    private let file: Descriptor
    private var page: Int
    private var salt: [UInt8]
    private var isHeaderGood: Bool
    private let isBigEndian: Bool
    private var sums: (UInt32, UInt32)

    /// How many commits of the -wal beside `path` lie beyond the last frame that SQLite takes. More than one is damage;
    /// one is a commit that was under way.
    static func commitsBeyond(_ path: String) -> Int {
        var seen = 0
        // An owner that still writes may end a frame between two reads: what is damage is so at each look.
        for _ in 0..<3 {
            guard var end = WriteAheadEnd(path + "-wal") else { return 0 }
            seen = end.count()
            if seen <= 1 { return seen }
            _ = poll(nil, 0, 20)
        }
        return seen
    }

    /// Nil if there is no such file, or no frame in it.
    private init?(_ path: String) {
        file = Descriptor(adopting: open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK))
        // The salt of a frame stands where a frame's header has it: after the file's.
        var head = [UInt8](repeating: 0, count: Self.header + Self.frameHeader)
        let isLongEnough = pread(file.number, &head, head.count, 0) == head.count
        let magic = Self.big(head, 0)
        isBigEndian = magic & 1 == 1
        sums = (0, 0)
        (page, salt, isHeaderGood) = (Int(Self.big(head, 8)), Array(head[16..<24]), false)
        guard isLongEnough else { return nil }
        add(head, 0..<24)
        isHeaderGood =
            magic | 1 == 0x377f_0683 && page >= 512 && page <= 65536 && sums == (Self.big(head, 24), Self.big(head, 28))
        // With another header SQLite takes no frame at all: they are known by the first one's salt.
        if !isHeaderGood { (page, salt) = (Self.ourPage, Array(head[Self.header + 8..<Self.header + 16])) }
    }

    private mutating func count() -> Int {
        let size = Self.frameHeader + page
        var frame = [UInt8](repeating: 0, count: size)
        var offset = Self.header
        var (isTaken, beyond) = (isHeaderGood, 0)
        while pread(file.number, &frame, size, offset) == size {
            offset += size
            let isOurs = frame[8..<16].elementsEqual(salt)
            // Frames of an older use of the file, which come after ours, have another salt.
            guard isOurs || isTaken else { continue }
            if isTaken {
                add(frame, 0..<8)
                add(frame, Self.frameHeader..<size)
                isTaken = isOurs && sums == (Self.big(frame, 16), Self.big(frame, 20))
            }
            // The last frame of a commit has the size of the database.
            if isOurs, !isTaken, Self.big(frame, 4) != 0 { beyond += 1 }
        }
        return beyond
    }

    /// The running checksum over a range of whole pairs of words.
    private mutating func add(_ bytes: [UInt8], _ range: Range<Int>) {
        var (first, second) = sums
        bytes.withUnsafeBytes { buffer in
            for offset in stride(from: range.lowerBound, to: range.upperBound, by: 8) {
                let (low, high) = (
                    buffer.loadUnaligned(fromByteOffset: offset, as: UInt32.self),
                    buffer.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
                )
                first &+= (isBigEndian ? UInt32(bigEndian: low) : UInt32(littleEndian: low)) &+ second
                second &+= (isBigEndian ? UInt32(bigEndian: high) : UInt32(littleEndian: high)) &+ first
            }
        }
        sums = (first, second)
    }

    private static func big(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}
