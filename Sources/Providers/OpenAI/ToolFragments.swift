import Agent
import Events

/// Puts tool calls together from fragments that every server cuts and labels in its own way.
///
/// OpenAI gives id and name once and then an index; Mistral gives no index; Kimi repeats id and name; Ollama gives all
/// parallel calls the index 0. Hence: an id not seen before opens a slot, a known one selects its slot; without an id
/// the index selects, the latest slot if several have it; without an index it is the last slot.
struct ToolFragments {
    private struct Slot {
        var id: String?
        var name: String?
        var arguments = ""
    }

    private var slots: [Slot] = []
    private var placeOfID: [String: Int] = [:]
    private var placeOfIndex: [Int: Int] = [:]

    var isEmpty: Bool { slots.isEmpty }

    mutating func merge(_ fragment: JSON) {
        let id = fragment["id"]?.nonEmptyString ?? fragment["id"]?.int.map(String.init)
        let index = fragment["index"]?.int
        let known = id.map { placeOfID[$0] } ?? index.map { placeOfIndex[$0] } ?? slots.indices.last
        let place = known ?? slots.count
        if place == slots.count {
            slots.append(Slot(id: id))
            if let id { placeOfID[id] = place }
            if let index { placeOfIndex[index] = place }
        }
        let function = fragment["function"]
        if slots[place].name == nil { slots[place].name = function?["name"]?.nonEmptyString }
        switch function?["arguments"] {
        case .string(let text): slots[place].arguments += text
        // Whole, as an object.
        case .object(let members) where !members.isEmpty: slots[place].arguments += JSON.object(members).text
        default: break
        }
    }

    /// The calls in the order in which they began. If the answer was cut at its limit, a call without a whole input is
    /// left out.
    func calls(isCut: Bool) throws(AnswerFault) -> [Block] {
        var calls: [Block] = []
        for (place, slot) in slots.enumerated() {
            guard let input = ToolInputText.input(slot.arguments, isCut: isCut) else { continue }
            guard let name = slot.name else {
                if isCut { continue }
                throw .malformed("a tool call has no name")
            }
            // It only has to be unique within its message.
            calls.append(.toolCall(id: slot.id ?? "call_\(place)", name: name, input: input))
        }
        return calls
    }
}
