import Events
import LinuxSystem

/// Reads lines of a text file.
struct ReadFileTool: Tool {
    let tree: ProjectTree
    let specification = ToolSpecification(
        name: "read_file",
        description: "Read a text file of the project tree, with line numbers. At most 2000 lines or 48 KiB at a time.",
        inputSchema: schema(
            [
                "path": property("string", "The path, relative to the project tree."),
                "offset": property("integer", "The first line, from 1."),
                "limit": property("integer", "How many lines, at most 2000."),
            ], required: ["path"]))
    let phases: Set<Phase> = [.strategic, .tactical]
    let isIdempotent = true

    /// Larger files are for execute: the loop holds one whole file in memory at most.
    private static let fileLimit = 16 << 20

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let path = try call.input.text("path")
        let offset = try call.input.number("offset", 1...Int(Int32.max), default: 1)
        let limit = try call.input.number("limit", 1...2000, default: 2000)
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try tree.read(path, limit: Self.fileLimit)
        } catch {
            return ToolResult(explain(error), outcome: .failed)
        }
        guard !bytes.prefix(8192).contains(0) else {
            return ToolResult("\(path) is a binary file of \(bytes.count) bytes.", outcome: .failed)
        }
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        guard offset <= max(1, lines.count) else {
            return ToolResult("\(path) has only \(lines.count) lines.", outcome: .failed)
        }
        var text = ""
        var shown = 0
        for (index, line) in lines.enumerated().dropFirst(offset - 1).prefix(limit) {
            let entry = "\(index + 1)\t\(String(decoding: line.prefix(2000), as: UTF8.self))\n"
            if text.utf8.count + entry.utf8.count > 48 << 10 { break }
            text += entry
            shown += 1
        }
        let end = offset - 1 + shown
        if end < lines.count { text += "[\(lines.count - end) more lines; go on with offset \(end + 1)]\n" }
        return ToolResult(text.isEmpty ? "\(path) is empty." : text, facts: ["path": .string(path)])
    }
}

/// Writes a whole file.
struct WriteFileTool: Tool {
    let tree: ProjectTree
    let specification = ToolSpecification(
        name: "write_file",
        description: "Write a file of the project tree, replacing what is there; folders above it are made.",
        inputSchema: schema(
            [
                "path": property("string", "The path, relative to the project tree."),
                "content": property("string", "The whole content."),
            ], required: ["path", "content"]))
    let phases: Set<Phase> = [.tactical]
    // Writing the same content again changes nothing.
    let isIdempotent = true

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let path = try call.input.text("path")
        let content = Array(try call.input.anyText("content").utf8)
        do throws(SystemError) {
            try tree.write(path, content)
        } catch {
            return ToolResult(explain(error), outcome: .failed)
        }
        return ToolResult(
            "\(path) is written, \(content.count) bytes.", effects: [.artifactChanged(path: path)],
            facts: ["path": .string(path), "bytes": .int(Int64(content.count))])
    }
}

/// Replaces text in a file.
struct EditFileTool: Tool {
    let tree: ProjectTree
    let specification = ToolSpecification(
        name: "edit_file",
        description: """
            Replace text in a file of the project tree. "old" must occur exactly once, unless replace_all is true; give \
            enough lines around it to make it unique.
            """,
        inputSchema: schema(
            [
                "path": property("string", "The path, relative to the project tree."),
                "old": property("string", "The text to be replaced, exactly as it stands in the file."),
                "new": property("string", "The text in its place."),
                "replace_all": property("boolean", "Replace every occurrence."),
            ], required: ["path", "old", "new"]))
    let phases: Set<Phase> = [.tactical]
    let isIdempotent = false

    func run(_ call: ToolCall) throws(ToolFailure) -> ToolResult {
        let path = try call.input.text("path")
        let old = Array(try call.input.text("old").utf8)
        let new = Array(try call.input.anyText("new").utf8)
        let all = try call.input.flag("replace_all")
        guard old != new else { throw .refused(ToolRefusal("\"old\" and \"new\" are the same.")) }
        do throws(SystemError) {
            let bytes = try tree.read(path, limit: 16 << 20)
            let places = occurrences(of: old, in: bytes)
            guard let first = places.first else {
                return ToolResult("\"old\" does not occur in \(path); read the file again.", outcome: .failed)
            }
            guard all || places.count == 1 else {
                return ToolResult(
                    "\"old\" occurs \(places.count) times in \(path); add lines around it or set replace_all.",
                    outcome: .failed)
            }
            var result: [UInt8] = []
            var position = 0
            for place in all ? places : [first] {
                result += bytes[position..<place] + new
                position = place + old.count
            }
            result += bytes[position...]
            try tree.write(path, result)
            let count = all ? places.count : 1
            return ToolResult(
                "\(path): \(count) place\(count == 1 ? "" : "s") replaced.",
                effects: [.artifactChanged(path: path)], facts: ["path": .string(path)])
        } catch {
            return ToolResult(explain(error), outcome: .failed)
        }
    }
}

/// The starts of `pattern` in `bytes`, without overlaps. The pattern is not empty.
private func occurrences(of pattern: [UInt8], in bytes: [UInt8]) -> [Int] {
    guard let head = pattern.first, bytes.count >= pattern.count else { return [] }
    var places: [Int] = []
    var index = 0
    while index <= bytes.count - pattern.count {
        if bytes[index] == head, bytes[index..<index + pattern.count].elementsEqual(pattern) {
            places.append(index)
            index += pattern.count
        } else {
            index += 1
        }
    }
    return places
}
