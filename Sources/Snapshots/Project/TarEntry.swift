import Agent

/// One member of a tar archive, as POSIX.1-2001 (pax) has it: blocks of 512 bytes, of which the first is the header.
package struct TarEntry: Equatable {
    package enum Kind: Equatable {
        case file(size: Int64)
        case folder
        /// A symbolic link, with what it says.
        case link(String)
    }

    /// From the archive's root, without a slash at either end.
    package var path: String
    package var kind: Kind
    /// The nine bits of permission.
    package var mode: UInt32
    /// Seconds since 1970.
    package var modified: Int64

    package init(path: String, kind: Kind, mode: UInt32, modified: Int64) {
        self.path = path
        self.kind = kind
        self.mode = mode
        self.modified = modified
    }

    static let block = 512
    /// Bytes of a path or of what a link says, so that the kernel takes it with a folder before it (PATH_MAX is 4096).
    static let pathLimit = 3072

    /// Bytes of a file's content, padding not counted.
    var size: Int64 { if case .file(let size) = kind { size } else { 0 } }

    /// Whether it names something beneath the root: no absolute name, no `..`, no `.`.
    var isBeneath: Bool {
        path.utf8.count <= Self.pathLimit && !path.utf8.contains(0)
            && path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
                !$0.isEmpty && $0 != "." && $0 != ".."
            }
    }

    // MARK: Writing

    /// The header, after a pax header where ustar has no room.
    package var header: [UInt8] {
        let name = if case .folder = kind { path + "/" } else { path }
        var target = ""
        var flag = UInt8(ascii: "0")
        switch kind {
        case .file: break
        case .folder: flag = UInt8(ascii: "5")
        case .link(let text):
            flag = UInt8(ascii: "2")
            target = text
        }
        var records: [UInt8] = []
        if name.utf8.count > 100 { records += Self.record("path", name) }
        if target.utf8.count > 100 { records += Self.record("linkpath", target) }
        var result: [UInt8] = []
        if !records.isEmpty {
            result = Self.ustar("pax", 0o644, Int64(records.count), modified, UInt8(ascii: "x"), "") + records
            result += Self.padding(Int64(records.count))
        }
        return result + Self.ustar(name, mode, size, modified, flag, target)
    }

    /// Zeros up to a whole number of blocks.
    package static func padding(_ size: Int64) -> [UInt8] {
        [UInt8](repeating: 0, count: (block - Int(size % Int64(block))) % block)
    }

    /// `"<length> <key>=<value>\n"`, where the length counts itself.
    private static func record(_ key: String, _ value: String) -> [UInt8] {
        let rest = " \(key)=\(value)\n".utf8
        var length = rest.count
        while "\(length)".utf8.count + rest.count != length { length = "\(length)".utf8.count + rest.count }
        return Array("\(length)".utf8) + rest
    }

    private static func ustar(
        _ name: String, _ mode: UInt32, _ size: Int64, _ modified: Int64, _ flag: UInt8, _ target: String
    ) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: block)
        func put(_ bytes: some Collection<UInt8>, at start: Int, _ room: Int) {
            for (offset, byte) in bytes.prefix(room).enumerated() { header[start + offset] = byte }
        }
        func number(_ value: Int64, _ digits: Int) -> [UInt8] {
            // Beyond what the field holds only a time can be: it is cut to its limits.
            let text = String(min(max(0, value), (1 << (3 * Int64(digits))) - 1), radix: 8)
            return Array((String(repeating: "0", count: digits - text.count) + text).utf8)
        }
        put(name.utf8, at: 0, 100)
        put(number(Int64(mode), 7), at: 100, 8)
        put(number(0, 7), at: 108, 8)
        put(number(0, 7), at: 116, 8)
        put(number(size, 11), at: 124, 12)
        put(number(modified, 11), at: 136, 12)
        put(repeatElement(0x20, count: 8), at: 148, 8)
        put([flag], at: 156, 1)
        put(target.utf8, at: 157, 100)
        put("ustar\0".utf8, at: 257, 6)
        put("00".utf8, at: 263, 2)
        put(number(header.reduce(0) { $0 + Int64($1) }, 6) + [0, 0x20], at: 148, 8)
        return header
    }
}

/// A header that stands in an archive.
struct TarHeader {
    let flag: UInt8
    let name: String
    let target: String
    let mode: UInt32
    let size: Int64
    let modified: Int64

    /// Nil for a block of zeros, which ends an archive.
    ///
    /// - Throws: `ObjectStoreError(.damaged)`.
    init?(_ block: [UInt8]) throws(ObjectStoreError) {
        guard block.contains(where: { $0 != 0 }) else { return nil }
        func number(_ range: Range<Int>) throws(ObjectStoreError) -> Int64 {
            var value: Int64 = 0
            var digits = 0
            for byte in block[range] {
                if byte == 0 || byte == 0x20 { break }
                guard (0x30...0x37).contains(byte) else { throw tarDamage("a number in a header is none") }
                value = value * 8 + Int64(byte - 0x30)
                digits += 1
            }
            guard digits > 0 else { throw tarDamage("a number in a header is missing") }
            return value
        }
        func text(_ range: Range<Int>) throws(ObjectStoreError) -> String {
            guard let text = String(validating: block[range].prefix { $0 != 0 }, as: UTF8.self) else {
                throw tarDamage("a name is not UTF-8")
            }
            return text
        }
        let sum = block.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 0x20 : Int64($1.element)) }
        guard block[257..<263].elementsEqual("ustar\0".utf8), try number(148..<156) == sum else {
            throw tarDamage("a header is none of ustar's, or its sum is wrong")
        }
        flag = block[156]
        // A long name, which pax has in full, may be cut within a character.
        let isLong = block[99] != 0
        name = isLong ? String(decoding: block[0..<100], as: UTF8.self) : try text(0..<100)
        target = block[256] != 0 ? String(decoding: block[157..<257], as: UTF8.self) : try text(157..<257)
        mode = UInt32(try number(100..<108)) & 0o777
        size = try number(124..<136)
        modified = try number(136..<148)
    }
}

func tarDamage(_ words: String) -> ObjectStoreError {
    ObjectStoreError(.damaged, "the archive of the project tree is damaged: \(words)")
}
