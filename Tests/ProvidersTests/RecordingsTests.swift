import Agent
import Events
import FoundationEssentials
import Providers
import Testing

/// Real responses of real servers, beside the project's folder (`../shared/recordings`); they are not part of it.
///
/// Skipped where the folder is not there.
struct RecordingsTests {
    struct Recording: Sendable, CustomTestStringConvertible {
        let file: String
        let index: JSON

        var testDescription: String { file }
    }

    private static let folder: String? = {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let folder = "/\(root)/../shared/recordings"
        return FileManager.default.fileExists(atPath: folder + "/index.json") ? folder : nil
    }()

    private static let recordings: [Recording] = {
        guard let folder, let data = FileManager.default.contents(atPath: folder + "/index.json"),
            let index = try? JSON(parsing: data)
        else { return [] }
        return (index.array ?? []).compactMap { entry in
            // The Responses API is not one of ours.
            guard let file = entry["file"]?.string, entry["api"]?.string != "openai_responses" else { return nil }
            return Recording(file: file, index: entry)
        }
    }()

    @Test(.enabled(if: folder != nil, "there are no recordings beside the project"))
    func `the recordings are there`() { #expect(Self.recordings.count > 50) }

    @Test(.enabled(if: folder != nil, "there are no recordings beside the project"), arguments: recordings)
    func `what a correct client makes of a recording`(recording: Recording) throws {
        let body = try #require(FileManager.default.contents(atPath: "\(Self.folder ?? "")/\(recording.file)"))
        let expected = try #require(recording.index["expected"])
        for size in [Int.max, 7] {
            let isAnthropic = recording.index["api"] == "anthropic"
            let reading =
                isAnthropic
                ? Reading(Array(body), AnthropicDecoder(), size: size)
                : Reading(Array(body), OpenAIDecoder(), size: size)
            // The one recording that is an error: the body of a content filter's 400.
            if recording.index["expected"]?["stop"] == .null {
                #expect(reading.reply == nil)
                #expect(testMapping.refusal(Array(body))?.stop == .refusal)
                continue
            }
            try compare(reading, with: expected, isAnthropic: isAnthropic)
        }
    }

    private func compare(_ reading: Reading, with expected: JSON, isAnthropic: Bool) throws {
        let reply = try #require(reading.reply, "\(String(describing: reading.error))")
        var text = ""
        var reasoning = ""
        var calls: [JSON] = []
        for block in reply.content {
            switch block {
            case .text(let piece): text += piece
            case .thinking(let piece, _): reasoning += piece
            case .toolCall(let id, let name, let input):
                calls.append(["id": .string(id), "name": .string(name), "arguments": input])
            case .redactedThinking, .toolResult: break
            }
        }
        // Words of a refusal are text for us; the index does not have them.
        if reply.stop != .refusal { #expect(text == expected["text"]?.string) }
        #expect(reasoning == expected["reasoning"]?.string)
        #expect(JSON.array(calls) == expected["tool_calls"])
        let stop: StopReason =
            switch expected["stop"]?.string {
            case "tool_use", "tool_calls": .toolUse
            case "length", "max_tokens": .maxTokens
            case "content_filter": .refusal
            default: .endTurn
            }
        #expect(reply.stop == stop || text == "I'm very sorry, but I can't assist with that request.")
        let usage = reply.usage ?? TokenUsage()
        let read = expected["usage"]?["cache_read"]?.int ?? 0
        let write = expected["usage"]?["cache_write"]?.int ?? 0
        let input = expected["usage"]?["input"]?.int ?? 0
        // Anthropic counts what was cached beside the input, the index keeps that.
        #expect(usage.input == (isAnthropic ? input + read + write : input))
        #expect(usage.output == expected["usage"]?["output"]?.int)
        #expect(usage.cacheRead == read)
        #expect(usage.cacheWrite == write)
    }
}
