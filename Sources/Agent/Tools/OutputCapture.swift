import Glibc
import LinuxSystem

/// The output of one command, of any size in bounded memory: the head and the tail for the model, exact counts, and
/// the whole in a spool file up to its cap.
///
/// Memory: `headLimit` + 2 x `tailLimit` bytes. The spool is written without fsync: it is evidence, not state, and a
/// command runs without it where it cannot be made (a full disk). Used from one thread.
package struct OutputCapture: ~Copyable {
    /// What the model is shown of a long output.
    static let headLimit = 12 << 10
    static let tailLimit = 20 << 10
    /// The most that a spool file holds, the output's beginning; what comes after is counted only.
    static let spoolLimit = 64 << 20

    private(set) var bytes = 0
    private(set) var lines = 0
    private(set) var spooled = 0
    /// Why the spool ended before its cap, if it did: a full disk.
    private(set) var spoolFailure: SystemError?
    private var head: [UInt8] = []
    private var tail: [UInt8] = []
    /// -1 if there is no spool file.
    private let spool: Descriptor
    /// Where the spool file is counted, and by which name.
    private let kept: (outputs: KeptOutputs, name: String)?
    /// Room that it took of the budget.
    private var granted = 0
    /// Whether the budget had no room for all: what comes later would not follow on.
    private var isCut = false

    /// Head, tail and counts only.
    init() {
        spool = Descriptor(adopting: -1)
        kept = nil
    }

    /// Begins a new spool file, in the place of an older one of the same call. It is in use until `close`.
    init(spoolPath: String, among outputs: KeptOutputs) {
        let name = spoolPath.split(separator: "/").last.map { String($0) } ?? spoolPath
        outputs.begin(name)
        kept = (outputs, name)
        do throws(SystemError) {
            spool = Descriptor(
                adopting: try retrying("open", subject: spoolPath) {
                    open(spoolPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
                })
        } catch {
            spool = Descriptor(adopting: -1)
            spoolFailure = error
        }
    }

    mutating func take(_ chunk: UnsafeRawBufferPointer) {
        bytes += chunk.count
        lines += newlines(in: chunk)
        let toHead = min(chunk.count, Self.headLimit - head.count)
        if toHead > 0 { head.append(contentsOf: UnsafeRawBufferPointer(rebasing: chunk[..<toHead])) }
        // The ring is trimmed only when it is twice its size, and of a long piece only the end is copied at all.
        let rest = UnsafeRawBufferPointer(rebasing: chunk[toHead...])
        if rest.count >= Self.tailLimit {
            tail.removeAll(keepingCapacity: true)
            tail.append(contentsOf: UnsafeRawBufferPointer(rebasing: rest.suffix(Self.tailLimit)))
        } else {
            tail.append(contentsOf: rest)
            if tail.count > 2 * Self.tailLimit { tail.removeFirst(tail.count - Self.tailLimit) }
        }
        let toSpool = min(chunk.count, Self.spoolLimit - spooled)
        guard toSpool > 0, spool.number >= 0, spoolFailure == nil, !isCut, let kept else { return }
        let room = kept.outputs.takeRoom(toSpool)
        granted += room
        isCut = room < toSpool
        do throws(SystemError) {
            try writeAll(spool.number, UnsafeRawBufferPointer(rebasing: chunk[..<room]))
            spooled += room
        } catch {
            spoolFailure = error
        }
    }

    /// Nothing more comes: the spool file is one of the kept outputs, and may go when it is the oldest.
    func close() {
        if let kept { kept.outputs.end(kept.name, granted: granted) }
    }

    /// The output as the model sees it: whole if it is short, else head and tail with what is left out between them.
    var text: String { Self.shorten(head: head, tail: tail, bytes: bytes, lines: lines) }

    /// The same of a spool file that an earlier process left.
    static func text(ofSpool path: String) -> String? {
        guard let bytes = try? readFile(path, limit: spoolLimit) else { return nil }
        let head = Array(bytes.prefix(headLimit))
        let lines = bytes.withUnsafeBytes { newlines(in: $0) }
        return shorten(head: head, tail: Array(bytes.dropFirst(headLimit)), bytes: bytes.count, lines: lines)
    }

    private static func shorten(head: [UInt8], tail: [UInt8], bytes: Int, lines: Int) -> String {
        let shown = tail.suffix(tailLimit)
        let left = bytes - head.count - shown.count
        guard left > 0 else { return String(decoding: head + shown, as: UTF8.self) }
        // Cut at line ends where there are some, so that no half line misleads.
        var start = head[...]
        if let end = start.lastIndex(of: UInt8(ascii: "\n")) { start = start[...end] }
        var end = shown
        if let first = end.firstIndex(of: UInt8(ascii: "\n")) { end = end[(first + 1)...] }
        let omitted = bytes - start.count - end.count
        return String(decoding: start, as: UTF8.self)
            + "[… \(omitted) bytes left out of \(bytes) bytes in \(lines) lines; run a narrower command to see them …]\n"
            + String(decoding: end, as: UTF8.self)
    }
}

/// How many newlines there are: 8 bytes at a time, a gigabyte in a tenth of a second.
///
/// In a word that is 0 in each byte that was a newline, adding 0x7f to the low seven bits sets the eighth of every other
/// byte, without a carry into the next (Warren, Hacker's Delight, 6-1). SIMD types are ten times slower than a plain loop
/// where the compiler does not specialise them.
package func newlines(in bytes: UnsafeRawBufferPointer) -> Int {
    let low: UInt64 = 0x7f7f_7f7f_7f7f_7f7f
    let newline: UInt64 = 0x0a0a_0a0a_0a0a_0a0a
    var count = 0
    var offset = 0
    while offset &+ 8 <= bytes.count {
        let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ newline
        count &+= (~(((word & low) &+ low) | word | low)).nonzeroBitCount
        offset &+= 8
    }
    for byte in bytes[offset...] where byte == UInt8(ascii: "\n") { count += 1 }
    return count
}

extension OutputCapture {
    /// An output for machines: exact counts, and the bytes at its two ends.
    package struct Parts: Equatable, Sendable {
        package var bytes = 0
        package var lines = 0
        /// All of it if that is at most `headLimit` + `tailLimit` bytes, and then there is no tail.
        package var head: [UInt8] = []
        package var tail: [UInt8] = []

        package init() {}

        init(bytes: Int, lines: Int, head: [UInt8], tail: [UInt8] = []) {
            self.bytes = bytes
            self.lines = lines
            self.head = head
            self.tail = tail
        }

        /// Bytes between head and tail.
        package var omitted: Int { bytes - head.count - tail.count }
    }

    var parts: Parts {
        let last = Array(tail.suffix(Self.tailLimit))
        guard head.count + last.count < bytes else { return Parts(bytes: bytes, lines: lines, head: head + last) }
        return Parts(bytes: bytes, lines: lines, head: head, tail: last)
    }
}
