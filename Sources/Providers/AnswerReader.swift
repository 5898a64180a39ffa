package import Agent
import Events
import HTTP

/// Reads the body of a successful answer, piece by piece.
package struct AnswerReader<Decoder: AnswerDecoder> {
    private enum Form {
        /// Only white space so far, which means nothing in any form.
        case unknown
        case events(ServerSentEvents)
        /// Not a stream: a JSON document, or the HTML of something that is no LLM.
        case document([UInt8])
    }

    private var form = Form.unknown
    private var decoder: Decoder
    private let mapping: ErrorMapping
    private let limits: HTTPLimits

    /// Reads with `decoder`; `mapping` says what the provider's errors mean.
    package init(decoder: Decoder, mapping: ErrorMapping, limits: HTTPLimits) {
        self.decoder = decoder
        self.mapping = mapping
        self.limits = limits
    }

    /// True if anything but white space has come.
    var hasBegun: Bool { if case .unknown = form { false } else { true } }

    /// Takes the next piece of the body.
    ///
    /// - Throws: what the provider says in the stream; `protocolError` for an event above its limit.
    package mutating func read(_ bytes: [UInt8], onDelta: (LLMDelta) -> Void) throws(LLMError) -> Reception {
        switch form {
        case .unknown:
            let rest = Array(bytes.drop(while: Self.blank.contains))
            guard let first = rest.first else { return .idle }
            // The content type is not asked: servers send streams as JSON and JSON as plain text.
            if Self.documentStarts.contains(first) {
                form = .document(rest)
                return .progress
            }
            form = .events(ServerSentEvents(limit: limits.event))
            return try read(events: rest, onDelta: onDelta)
        case .events: return try read(events: bytes, onDelta: onDelta)
        case .document(var document):
            form = .unknown
            document += bytes
            form = .document(document)
            return .progress
        }
    }

    private mutating func read(events bytes: [UInt8], onDelta: (LLMDelta) -> Void) throws(LLMError) -> Reception {
        guard case .events(var parser) = form else { return .idle }
        // The one owner of its buffers is `parser`, so that they are not copied.
        form = .unknown
        defer { form = .events(parser) }
        let events: [ServerSentEvent]
        do throws(EventTooLarge) { events = try parser.feed(bytes) } catch {
            throw LLMError(.protocolError, "an event of the answer is larger than \(error.limit) bytes", status: 200)
        }
        var sum = Reception.idle
        // Some servers keep the connection alive with events that say nothing.
        for event in events where !event.data.allSatisfy(\.isWhitespace) {
            let reception: Reception
            do throws(AnswerFault) { reception = try decoder.take(event, show: onDelta) } catch {
                throw mapping.error(error)
            }
            switch reception {
            case .enough: return .enough
            case .answered: sum = .answered
            case .progress: if sum == .idle { sum = .progress }
            case .idle: break
            }
        }
        return sum
    }

    /// Ends the reading; `cut` is why the transport ended early, nil if it did not.
    ///
    /// - Returns: the whole answer.
    /// - Throws: `truncated` if there was no terminal event, however the transport ended. JSON that can be read is whole.
    package mutating func finish(cut: String?) throws(LLMError) -> LLMReply {
        do throws(AnswerFault) {
            if case .document(let bytes) = form {
                guard let body = try? JSON(parsing: bytes) else {
                    throw AnswerFault.malformed(
                        "it is not JSON: \(String(decoding: bytes.prefix(2000), as: UTF8.self))")
                }
                try decoder.take(whole: body) { _ in }
            }
            if let reply = try decoder.reply() { return reply }
        } catch {
            if cut == nil { throw mapping.error(error) }
        }
        let reason = cut.map { ": " + mapping.redaction.excerpt($0) } ?? " without its last event"
        throw LLMError(.truncated, "the answer ended\(reason)", status: 200)
    }

    private static var blank: [UInt8] { Array(" \t\r\n".utf8) + [0xEF, 0xBB, 0xBF] }
    private static var documentStarts: [UInt8] { Array("{[<".utf8) }
}
