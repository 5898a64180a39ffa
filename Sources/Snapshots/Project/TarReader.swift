import Agent
package import LinuxSystem

/// Reads a tar archive that is not trusted, member by member: files, folders and links beneath its root, in the form
/// that `TarEntry` writes. Anything else is damage. In memory there is one header and one piece of content.
package struct TarReader: ~Copyable {
    private let file: Descriptor
    /// Bytes of the present member, padding included, that have not been read.
    private var rest: Int64 = 0
    private var unread: Int64 = 0

    /// Bytes of the pax records of one member.
    private static let recordsLimit: Int64 = 8192
    private static let piece = 1 << 18

    package init(_ file: consuming Descriptor) { self.file = file }

    /// The next member; what is left of the present one is passed over. Nil at the archive's end.
    ///
    /// - Throws: `ObjectStoreError(.damaged)`, `SystemError`.
    package mutating func next() throws -> TarEntry? {
        try content { _ in }
        guard let header = try TarHeader(try block()) else { return nil }
        guard header.flag == UInt8(ascii: "x") else { return try entry(header, [:]) }
        guard header.size <= Self.recordsLimit else { throw tarDamage("a pax header is too long") }
        var bytes: [UInt8] = []
        while bytes.count < header.size { bytes += try block() }
        let records = try Self.records(bytes.prefix(Int(header.size)))
        guard let header = try TarHeader(try block()) else { throw tarDamage("a pax header stands alone") }
        return try entry(header, records)
    }

    /// Gives the content of the present member in pieces.
    ///
    /// - Throws: what `body` throws; `ObjectStoreError(.damaged)` if the archive ends before.
    package mutating func content(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard rest > 0 else { return }
        let piece = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Int(min(rest, Int64(Self.piece))), alignment: 1)
        defer { piece.deallocate() }
        while rest > 0 {
            let wanted = UnsafeMutableRawBufferPointer(rebasing: piece[..<Int(min(rest, Int64(piece.count)))])
            guard case .bytes(let count) = try readSome(file.number, into: wanted) else {
                throw tarDamage("it ends within a member")
            }
            rest -= Int64(count)
            let content = Int(min(unread, Int64(count)))
            unread -= Int64(content)
            if content > 0 { try body(UnsafeRawBufferPointer(rebasing: wanted[..<content])) }
        }
    }

    private mutating func entry(_ header: TarHeader, _ records: [String: String]) throws(ObjectStoreError) -> TarEntry {
        var path = records["path"] ?? header.name
        let kind: TarEntry.Kind
        switch header.flag {
        case UInt8(ascii: "0"): kind = .file(size: header.size)
        case UInt8(ascii: "5"):
            kind = .folder
            if path.hasSuffix("/") { path.removeLast() }
        case UInt8(ascii: "2"):
            let target = records["linkpath"] ?? header.target
            guard !target.isEmpty, !target.utf8.contains(0), target.utf8.count <= TarEntry.pathLimit else {
                throw tarDamage("a link says nothing, or too much")
            }
            kind = .link(target)
        default: throw tarDamage("a member is neither a file nor a folder nor a link")
        }
        let entry = TarEntry(path: path, kind: kind, mode: header.mode, modified: header.modified)
        guard entry.isBeneath else { throw tarDamage("the name \(String(reflecting: path)) leads out of it") }
        guard entry.size == header.size else { throw tarDamage("a folder or a link has content") }
        unread = entry.size
        rest = entry.size + Int64(TarEntry.padding(entry.size).count)
        return entry
    }

    private mutating func block() throws -> [UInt8] {
        var bytes: [UInt8] = []
        rest = Int64(TarEntry.block)
        unread = rest
        try content { bytes += $0 }
        return bytes
    }

    private static func records(_ bytes: ArraySlice<UInt8>) throws(ObjectStoreError) -> [String: String] {
        var rest = bytes
        var records: [String: String] = [:]
        while !rest.isEmpty {
            let digits = rest.prefix(5).prefix { $0 != 0x20 }
            guard let length = Int(String(decoding: digits, as: UTF8.self)), length > digits.count + 1,
                length <= rest.count,
                let text = String(validating: rest.prefix(length).dropFirst(digits.count + 1), as: UTF8.self),
                text.utf8.last == 0x0A, let equals = text.utf8.firstIndex(of: UInt8(ascii: "="))
            else { throw tarDamage("a pax record is malformed") }
            records[String(text[..<equals])] = String(
                decoding: text.utf8[text.utf8.index(after: equals)...].dropLast(), as: UTF8.self)
            rest = rest.dropFirst(length)
        }
        return records
    }
}
