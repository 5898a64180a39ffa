import Events

/// How a conversation that has outgrown the model's window is made shorter.
///
/// By rule, from the state alone, in one event: nothing is asked of the model for it, so nothing can fail, be lost or be
/// charged on the way, and two processes make the same of the same journal. Kept word for word: the task, the user's
/// messages, the plan, all todos, what is known of interrupted calls, and the last answers with their results. The rest
/// becomes a line for each answer, in the model's own words, and one for each of its calls. The journal keeps all.
extension JobState {
    /// Parts of the window, in percent, at which the conversation is compacted; at a phase's beginning, where a piece of
    /// work has just been finished, it is done earlier (docs/ARCHITECTURE.md, "Compaction").
    static let compactionMark = 80
    static let compactionMarkOfPhase = 60
    /// How many answers stay whole: at first, and when that was not enough.
    static let keptAnswers = [6, 2, 1]
    /// Bytes: of an answer's text, of a call's result, of all these lines; of a piece kept word for word, of all those.
    private static let textLimit = 600
    private static let resultLimit = 240
    private static let digestLimit = 32 << 10
    private static let wordLimit = 8 << 10
    private static let wordsLimit = 64 << 10

    /// Tokens of the next request: the provider's own count of the last one with its answer, and what has come since at
    /// four bytes a token; all of it at four bytes where the provider has not said.
    package var contextTokens: Int {
        guard let answeredTokens else { return messages.reduce(0) { $0 + $1.bytes } / 4 }
        let since = messages.reversed().prefix { $0.role == .user }
        return answeredTokens + since.reduce(0) { $0 + $1.bytes } / 4
    }

    /// Whether the conversation is to be compacted before the model is asked again.
    func isCompactionDue(window: Int) -> Bool {
        if hasOverflowed { return true }
        let isBeginning = stepsInPhase == 0 && phaseNumber > 1
        return contextTokens / max(1, window / 100) >= (isBeginning ? Self.compactionMarkOfPhase : Self.compactionMark)
    }

    /// What makes it shorter; nil if nothing is left to leave out.
    func compaction() -> Event.Compacted? {
        let answers = messages.indices.filter { messages[$0].role == .assistant }
        guard compactions < Self.keptAnswers.count,
            let kept = Self.keptAnswers[compactions...].first(where: { answers.count > $0 })
        else { return nil }
        // The kept part begins with an answer: each result stays with its call.
        let cut = answers[answers.count - kept]
        let left = answers.count - kept
        return Event.Compacted(
            dropped: cut, answers: compactedAnswers + left, tokens: contextTokens,
            words: Self.newest(words + newWords(before: cut), limit: Self.wordsLimit),
            digest: Self.newest(digest + newDigest(answers.prefix(left)), limit: Self.digestLimit),
            brief: Prompt.brief(of: phase, number: phaseNumber, state: self, reason: "the work goes on"))
    }

    mutating func compact(_ body: Event.Compacted) {
        words = body.words
        digest = body.digest
        compactedAnswers = body.answers
        compactions += 1
        answeredTokens = nil
        hasOverflowed = false
        let rest = messages.dropFirst(max(0, body.dropped))
        messages = [Message(role: .user, content: [.text(summary(body))])] + rest
        if lastStop == .contextWindow {
            // Its answer was cut there: it is told so, and asked again.
            lastStop = nil
            notes.append("Your last answer was cut: the conversation had outgrown your window. Go on from here.")
        }
    }

    private func summary(_ body: Event.Compacted) -> String {
        var parts = [
            "The task:\n\n\(task ?? "")",
            """
            This conversation had grown too long. Its first \(body.answers) answers were compacted into what follows; what \
            came after them is below, word for word. Files, plan and todos are as you left them: read again what you need.
            """,
        ]
        if !body.words.isEmpty { parts.append("Word for word:\n\n" + body.words.joined(separator: "\n\n")) }
        if !plan.isEmpty { parts.append("Your plan:\n\n\(plan)") }
        parts.append("What you did:\n\n" + body.digest.joined(separator: "\n"))
        parts.append(body.brief)
        return parts.joined(separator: "\n\n")
    }

    /// What must not be retold: the user's words, and what is known of calls that were interrupted.
    private func newWords(before cut: Int) -> [String] {
        messages[..<cut].enumerated().flatMap { index, message -> [String] in
            // The summary of before has its own list.
            if message.role == .assistant || index == 0 && compactedAnswers > 0 { return [] }
            return message.content.compactMap { block in
                switch block {
                case .text(let text) where Self.isFromUser(text): text.clipped(Self.wordLimit)
                case .toolResult(_, let content, _) where content.hasPrefix("interrupted:"):
                    content.clipped(Self.wordLimit)
                default: nil
                }
            }
        }
    }

    private static func isFromUser(_ text: String) -> Bool {
        text.hasPrefix(messageMark) || text.hasPrefix(furtherTaskMark)
    }

    private func newDigest(_ answers: some Collection<Int>) -> [String] {
        answers.enumerated().flatMap { offset, index in
            digestLines(of: index, number: compactedAnswers + offset + 1)
        }
    }

    /// An answer and its calls, a line each.
    private func digestLines(of index: Int, number: Int) -> [String] {
        var results: [String: String] = [:]
        if index + 1 < messages.count {
            for case .toolResult(let id, let content, _) in messages[index + 1].content { results[id] = content }
        }
        var said: [String] = []
        var calls: [String] = []
        for block in messages[index].content {
            switch block {
            case .text(let text): said.append(text)
            case .toolCall(let id, let name, let input):
                let call = Event.Call(id: id, providerID: id, tool: name, input: input, isIdempotent: true)
                let result = Self.oneLine(results[id] ?? "", limit: Self.resultLimit)
                calls.append("  - \(Self.oneLine(call.headline, limit: Self.resultLimit)): \(result)")
            case .thinking, .redactedThinking, .toolResult: break
            }
        }
        return ["\(number). \(Self.oneLine(said.joined(separator: " "), limit: Self.textLimit))"] + calls
    }

    private static func oneLine(_ text: String, limit: Int) -> String {
        let line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return line.utf8.count <= limit ? line : String(decoding: line.utf8.prefix(limit), as: UTF8.self) + "…"
    }

    /// The last of them that fit, with a line in the place of what does not.
    private static func newest(_ lines: [String], limit: Int) -> [String] {
        var (room, kept) = (limit, 0)
        for line in lines.reversed() {
            room -= line.utf8.count + 1
            if room < 0 { break }
            kept += 1
        }
        if kept == lines.count { return lines }
        let left = lines.count - kept
        return ["(… \(left) earlier lines are left out; the job's record has them)"] + lines.suffix(kept)
    }
}

extension Message {
    /// Bytes of what the model reads.
    package var bytes: Int {
        content.reduce(0) { sum, block in
            switch block {
            case .text(let text): sum + text.utf8.count
            case .thinking(let text, let signature): sum + text.utf8.count + (signature?.utf8.count ?? 0)
            case .redactedThinking(let data): sum + data.utf8.count
            case .toolCall(_, let name, let input): sum + name.utf8.count + input.text.utf8.count
            case .toolResult(_, let content, _): sum + content.utf8.count
            }
        }
    }
}
