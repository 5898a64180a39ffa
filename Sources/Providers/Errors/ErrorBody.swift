package import Events
import HTTP

/// What a provider says about an error, out of the many shapes in which they say it.
///
/// `{"error":{"type","code","message"}}`, `{"type":"error","error":{…}}`, `{"error":"text"}`, `{"detail":…}`,
/// `{"message":…}`, a list of one of these, HTML, or nothing.
package struct ErrorBody: Equatable, Sendable {
    /// Lowercase; empty if there is none.
    package private(set) var type = ""
    package private(set) var code = ""
    /// An HTTP status inside of the body, as relays give it.
    package private(set) var status: Int?
    /// In the provider's own words; empty if there are none.
    package private(set) var message = ""

    /// Reads a body of any form.
    package init(_ bytes: [UInt8]) {
        if let json = try? JSON(parsing: bytes) {
            self.init(json)
        } else {
            self.init(words: Self.plainText(String(decoding: bytes, as: UTF8.self)))
        }
    }

    private init(words: String) { message = words }

    /// Reads a body, or an event in a stream, that is JSON.
    package init(_ json: JSON) {
        let json = json.array?.first ?? json
        let error = json["error"] ?? .null
        switch error {
        case .string(let text):
            message = text
            read(json)
        case .object:
            read(error)
            // Relays hide the words of the server behind them here.
            if let raw = error["metadata"]?["raw"]?.nonEmptyString { message += " (\(raw))" }
        default: read(json)
        }
        if message.isEmpty { message = json.text }
    }

    private mutating func read(_ json: JSON) {
        type = json["type"]?.string?.lowercased() ?? ""
        switch json["code"] {
        case .string(let text):
            code = text.lowercased()
            status = Int(text)
        case .int(let number): status = Int(exactly: number)
        default: break
        }
        if code.isEmpty, let text = json["status"]?.string { code = text.lowercased() }
        guard message.isEmpty else { return }
        for name in ["message", "detail", "msg"] {
            switch json[name] {
            case .string(let text): message = text
            case .null?, nil: continue
            case let other?: message = other.text
            }
            return
        }
    }

    /// Without tags, if it is HTML.
    private static func plainText(_ text: String) -> String {
        guard text.trimmed.hasPrefix("<") else { return text }
        var result = ""
        var isTag = false
        for character in text {
            switch character {
            case "<": isTag = true
            case ">":
                isTag = false
                result.append(" ")
            default: if !isTag { result.append(character) }
            }
        }
        return result
    }
}
