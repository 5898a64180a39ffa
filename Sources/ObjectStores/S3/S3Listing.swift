package import Agent

/// One answer to ListObjectsV2.
package struct S3Listing: Equatable {
    package private(set) var objects: [StoredObject] = []
    /// The token for the rest; nil if this is the end.
    package let next: String?

    /// - Returns: nil if it is no listing, or says that there is more but not how to ask for it.
    package init?(parsing bytes: [UInt8]) {
        guard let root = XMLElement(parsing: bytes), root.name == "ListBucketResult" else { return nil }
        let isEncoded = root["EncodingType"] == "url"
        for entry in root.children where entry.name == "Contents" {
            guard let text = entry["Key"], let key = isEncoded ? Self.decode(text) : text,
                let size = entry["Size"].flatMap({ Int64($0) }), size >= 0
            else { return nil }
            objects.append(StoredObject(key: key, size: size))
        }
        switch root["IsTruncated"] {
        case "true":
            guard let token = root["NextContinuationToken"], !token.isEmpty else { return nil }
            next = token
        case "false", nil: next = nil
        default: return nil
        }
    }

    /// Undoes `encoding-type=url`, in which a space is a plus.
    private static func decode(_ text: String) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard rest.count >= 2, rest.first != UInt8(ascii: "+"),
                    let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
                else { return nil }
                rest.removeFirst(2)
                bytes.append(code)
            } else {
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
