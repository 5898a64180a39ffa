import Agent
import Events
import Providers
import Testing

/// What is sent.
struct RequestTests {
    private let conversation = [
        Message(role: .user, content: [.text("Do it.")]),
        Message(
            role: .assistant,
            content: [
                .thinking(text: "Hm.", signature: "c2ln"), .redactedThinking(data: "b3BhcXVl"), .text("Looking."),
                .toolCall(id: "a", name: "look", input: ["at": "x"]), .toolCall(id: "b", name: "look", input: [:]),
            ]),
        Message(
            role: .user,
            content: [
                .toolResult(id: "a", content: "seen", isError: false), .text("Also this."),
                .toolResult(id: "b", content: "no such place", isError: true),
            ]),
    ]

    private func request(_ messages: [Message]) -> LLMRequest {
        LLMRequest(
            model: "m", system: "Be brief.", messages: messages,
            tools: [ToolSpecification(name: "look", description: "Looks.", inputSchema: ["type": "object"])],
            maxOutputTokens: 1000)
    }

    private func anthropic(_ messages: [Message], needsSignatures: Bool = true) -> JSON {
        AnthropicRequest.body(request(messages), needsSignatures: needsSignatures)
    }

    private func openAI(_ messages: [Message], isOpenAI: Bool = false) -> JSON {
        OpenAIRequest.body(request(messages), isOpenAI: isOpenAI)
    }

    // MARK: Anthropic

    @Test func `an Anthropic request has the cache marks on the system prompt and on the last user block only`() {
        #expect(
            anthropic(conversation) == [
                "model": "m", "max_tokens": 1000, "stream": true,
                "system": [["type": "text", "text": "Be brief.", "cache_control": ["type": "ephemeral"]]],
                "tools": [["name": "look", "description": "Looks.", "input_schema": ["type": "object"]]],
                "messages": [
                    ["role": "user", "content": [["type": "text", "text": "Do it."]]],
                    [
                        "role": "assistant",
                        "content": [
                            ["type": "thinking", "thinking": "Hm.", "signature": "c2ln"],
                            ["type": "redacted_thinking", "data": "b3BhcXVl"], ["type": "text", "text": "Looking."],
                            ["type": "tool_use", "id": "a", "name": "look", "input": ["at": "x"]],
                            ["type": "tool_use", "id": "b", "name": "look", "input": [:]],
                        ],
                    ],
                    [
                        "role": "user",
                        "content": [
                            ["type": "tool_result", "tool_use_id": "a", "content": "seen", "is_error": false],
                            ["type": "tool_result", "tool_use_id": "b", "content": "no such place", "is_error": true],
                            ["type": "text", "text": "Also this.", "cache_control": ["type": "ephemeral"]],
                        ],
                    ],
                ],
            ])
    }

    @Test func `Anthropic gets no thinking without a signature, other servers all of it`() {
        let messages = [
            conversation[0],
            Message(role: .assistant, content: [.thinking(text: "Hm.", signature: nil), .text("Yes.")]),
        ]
        #expect(anthropic(messages)["messages"]?.array?.last?["content"] == [["type": "text", "text": "Yes."]])
        #expect(
            anthropic(messages, needsSignatures: false)["messages"]?.array?.last?["content"] == [
                ["type": "thinking", "thinking": "Hm."], ["type": "text", "text": "Yes."],
            ])
    }

    @Test func `an answer that was cut while the model thought ends before its thinking`() {
        let thought = Block.thinking(text: "Hm.", signature: "c2ln")
        let messages = [
            conversation[0], Message(role: .assistant, content: [.text("So."), thought]), conversation[0],
            Message(role: .assistant, content: [thought]),
        ]
        let sent = anthropic(messages)["messages"]?.array ?? []
        #expect(sent.map { $0["role"] } == ["user", "assistant", "user"])
        #expect(sent[1]["content"] == [["type": "text", "text": "So."]])
    }

    @Test func `without system prompt and tools neither is sent`() {
        var bare = request(conversation)
        bare.system = ""
        bare.tools = []
        let body = AnthropicRequest.body(bare, needsSignatures: true)
        #expect(body["system"] == nil && body["tools"] == nil)
        let other = OpenAIRequest.body(bare, isOpenAI: true)
        #expect(other["tools"] == nil)
        #expect(other["messages"]?.array?.first?["role"] == "user")
    }

    // MARK: Chat Completions

    @Test func `a Chat Completions request has results as tool messages before the user's text`() {
        #expect(
            openAI(conversation) == [
                "model": "m", "max_tokens": 1000, "stream": true, "stream_options": ["include_usage": true],
                "tools": [
                    [
                        "type": "function",
                        "function": ["name": "look", "description": "Looks.", "parameters": ["type": "object"]],
                    ]
                ],
                "messages": [
                    ["role": "system", "content": "Be brief."], ["role": "user", "content": "Do it."],
                    [
                        "role": "assistant", "content": "Looking.", "reasoning_content": "Hm.",
                        "tool_calls": [
                            [
                                "id": "a", "type": "function",
                                "function": ["name": "look", "arguments": #"{"at":"x"}"#],
                            ], ["id": "b", "type": "function", "function": ["name": "look", "arguments": "{}"]],
                        ],
                    ], ["role": "tool", "tool_call_id": "a", "content": "seen"],
                    ["role": "tool", "tool_call_id": "b", "content": "no such place"],
                    ["role": "user", "content": "Also this."],
                ],
            ])
    }

    @Test func `OpenAI itself gets max_completion_tokens and no reasoning`() {
        let body = openAI(conversation, isOpenAI: true)
        #expect(body["max_completion_tokens"] == 1000)
        #expect(body["max_tokens"] == nil)
        #expect(!body.text.contains("reasoning_content"))
        #expect(openAI(conversation)["max_completion_tokens"] == nil)
    }

    @Test func `a call without text has null as content`() {
        let messages = [
            conversation[0], Message(role: .assistant, content: [.toolCall(id: "a", name: "look", input: [:])]),
        ]
        #expect(openAI(messages)["messages"]?.array?.last?["content"] == .null)
    }

    // MARK: Both

    @Test func `blank texts and empty messages are left out, and neighbours of one role are joined`() {
        let messages = [
            conversation[0], Message(role: .assistant, content: [.text("  \n")]),
            Message(role: .user, content: [.text("Go on.")]),
        ]
        #expect(
            anthropic(messages)["messages"] == [
                [
                    "role": "user",
                    "content": [
                        ["type": "text", "text": "Do it."],
                        ["type": "text", "text": "Go on.", "cache_control": ["type": "ephemeral"]],
                    ],
                ]
            ])
        #expect(openAI(messages)["messages"]?.array?.dropFirst() == [["role": "user", "content": "Do it.\n\nGo on."]])
    }

    @Test func `input that was no object goes back inside of one`() {
        let messages = [
            conversation[0],
            Message(role: .assistant, content: [.toolCall(id: "a", name: "look", input: .string(#"{"at":"#))]),
        ]
        let wrapped: JSON = ["malformed_input": #"{"at":"#]
        #expect(anthropic(messages)["messages"]?.array?.last?["content"]?.array?.first?["input"] == wrapped)
        let call = openAI(messages)["messages"]?.array?.last?["tool_calls"]?.array?.first
        #expect(call?["function"]?["arguments"]?.string == wrapped.text)
    }

    @Test func `equal requests are equal bytes, or no cache would find them`() {
        #expect(anthropic(conversation).text == anthropic(conversation).text)
        #expect(anthropic(conversation).text.hasPrefix(#"{"max_tokens":1000,"messages""#))
    }
}
