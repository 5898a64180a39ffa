package import Events
package import SecretRedaction

extension Redactor {
    /// The value without secrets in any of its texts, names of members included.
    package func redact(_ json: JSON) -> JSON {
        switch json {
        case .string(let text): .string(redact(text))
        case .array(let values): .array(values.map { redact($0) })
        case .object(let members):
            .object(Dictionary(members.map { (redact($0.key), redact($0.value)) }) { _, last in last })
        case .null, .bool, .int, .double: json
        }
    }

    package func redact(_ entry: SpoolEntry) -> SpoolEntry {
        var result = entry
        result.record.body = redact(entry.record.body)
        result.record.attributes = entry.record.attributes.mapValues { redact($0) }
        if let event = entry.event { result.event = EventDraft(event.type, redact(event.data)) }
        return result
    }
}
