import Events

extension Event.Call {
    /// What the call is about, in one line: the command, or the tool with its first argument.
    package var headline: String {
        if tool == "execute", let command = input["command"]?.string { return "$ \(command)" }
        for name in ["path", "pattern", "id", "reason", "question", "summary"] {
            if let text = input[name]?.string { return "\(tool) \(text)" }
        }
        return tool
    }
}
