import Events

/// Keeps every record below what a NATS server takes by default (1 MiB) and a reader can bear.
///
/// Applied after the redaction: a cut could leave half a secret, which nothing would recognise.
enum RecordBounds {
    /// Bytes of a body, of one text among the attributes, and of all attributes together.
    static let body = 72 << 10
    static let text = 16 << 10
    static let attributes = 192 << 10
    private static let elements = 256

    static func bounded(_ entry: SpoolEntry) -> SpoolEntry {
        var result = entry
        result.record.body = cut(entry.record.body, body)
        result.record.attributes = bounded(.object(entry.record.attributes)).object ?? [:]
        if let event = entry.event { result.event = EventDraft(event.type, bounded(event.data)) }
        return result
    }

    private static func bounded(_ json: JSON) -> JSON {
        let result = cut(json)
        let size = result.text.utf8.count
        guard size > attributes else { return result }
        guard let members = result.object else { return .string("[\(size) bytes left out]") }
        // The large ones go; what is short says what it was about.
        return .object(
            members.mapValues { value in
                let size = value.text.utf8.count
                return size > 512 ? .string("[\(size) bytes left out]") : value
            })
    }

    private static func cut(_ json: JSON) -> JSON {
        switch json {
        case .string(let value): return .string(cut(value, text))
        case .array(let values):
            let kept = values.prefix(elements).map { cut($0) }
            return .array(
                values.count > elements ? kept + [.string("[\(values.count - elements) more left out]")] : kept)
        case .object(let members): return .object(members.mapValues { cut($0) })
        case .null, .bool, .int, .double: return json
        }
    }

    private static func cut(_ text: String, _ limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        // Both ends: an error is mostly at the end.
        let head = text.utf8.prefix(limit * 2 / 3)
        let tail = text.utf8.suffix(limit / 3)
        let left = text.utf8.count - head.count - tail.count
        return String(decoding: head, as: UTF8.self) + "\n[… \(left) bytes left out …]\n"
            + String(decoding: tail, as: UTF8.self)
    }
}
