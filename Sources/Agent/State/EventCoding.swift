import FoundationEssentials

/// A body in the journal that this version cannot read.
package struct EventCodingError: Error, CustomStringConvertible {
    package let description: String
}

extension Event {
    /// All kinds that can be stored.
    package static let kinds = [
        "acquired", "restored", "task_received", "command_received", "llm_intent", "llm_done", "llm_failed",
        "call_started",
        "call_finished", "background_ended", "phase_changed", "noted", "compacted", "verified", "status_changed",
    ]

    /// The kind, as it is stored.
    package var kind: String {
        switch self {
        case .acquired: "acquired"
        case .restored: "restored"
        case .taskReceived: "task_received"
        case .commandReceived: "command_received"
        case .llmIntent: "llm_intent"
        case .llmDone: "llm_done"
        case .llmFailed: "llm_failed"
        case .callStarted: "call_started"
        case .callFinished: "call_finished"
        case .phaseChanged: "phase_changed"
        case .noted: "noted"
        case .compacted: "compacted"
        case .verified: "verified"
        case .statusChanged: "status_changed"
        case .backgroundEnded: "background_ended"
        }
    }

    /// The body as JSON with sorted keys.
    package func encoded() throws(EventCodingError) -> String {
        switch self {
        case .acquired(let body): try Event.text(body)
        case .restored(let body): try Event.text(body)
        case .taskReceived(let body): try Event.text(body)
        case .commandReceived(let body): try Event.text(body)
        case .llmIntent(let body): try Event.text(body)
        case .llmDone(let body): try Event.text(body)
        case .llmFailed(let body): try Event.text(body)
        case .callStarted(let body): try Event.text(body)
        case .callFinished(let body): try Event.text(body)
        case .phaseChanged(let body): try Event.text(body)
        case .noted(let body): try Event.text(body)
        case .compacted(let body): try Event.text(body)
        case .verified(let body): try Event.text(body)
        case .statusChanged(let body): try Event.text(body)
        case .backgroundEnded(let body): try Event.text(body)
        }
    }

    /// Reads an event back.
    package init(kind: String, body: String) throws(EventCodingError) {
        switch kind {
        case "acquired": self = .acquired(try Event.value(body))
        case "restored": self = .restored(try Event.value(body))
        case "task_received": self = .taskReceived(try Event.value(body))
        case "command_received": self = .commandReceived(try Event.value(body))
        case "llm_intent": self = .llmIntent(try Event.value(body))
        case "llm_done": self = .llmDone(try Event.value(body))
        case "llm_failed": self = .llmFailed(try Event.value(body))
        case "call_started": self = .callStarted(try Event.value(body))
        case "call_finished": self = .callFinished(try Event.value(body))
        case "phase_changed": self = .phaseChanged(try Event.value(body))
        case "noted": self = .noted(try Event.value(body))
        case "compacted": self = .compacted(try Event.value(body))
        case "verified": self = .verified(try Event.value(body))
        case "status_changed": self = .statusChanged(try Event.value(body))
        case "background_ended": self = .backgroundEnded(try Event.value(body))
        default: throw EventCodingError(description: "unknown event kind \(kind): written by a newer version?")
        }
    }

    private static func text(_ body: some Encodable) throws(EventCodingError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(body), as: UTF8.self)
        } catch {
            throw EventCodingError(description: "cannot encode: \(error)")
        }
    }

    private static func value<Body: Decodable>(_ text: String) throws(EventCodingError) -> Body {
        do {
            return try JSONDecoder().decode(Body.self, from: Data(text.utf8))
        } catch {
            throw EventCodingError(description: "cannot decode: \(error)")
        }
    }
}
