import Agent

/// The conversation in the form that both APIs take.
enum Conversation {
    /// Messages with what they refuse taken out: blank texts, messages without content, two neighbours of one role;
    /// and with the results of tools before all else in their message.
    static func messages(_ messages: [Message]) -> [Message] {
        var result: [Message] = []
        for message in messages {
            let content = message.content.filter { block in
                if case .text(let text) = block { return !text.allSatisfy(\.isWhitespace) }
                return true
            }
            guard !content.isEmpty else { continue }
            if let last = result.indices.last, result[last].role == message.role {
                result[last].content += content
            } else {
                result.append(Message(role: message.role, content: content))
            }
        }
        for index in result.indices where result[index].role == .user {
            let content = result[index].content
            result[index].content = content.filter(\.isToolResult) + content.filter { !$0.isToolResult }
        }
        return result
    }
}

extension Block {
    var isToolResult: Bool { if case .toolResult = self { true } else { false } }
}
