import Agent
import AgentFixtures
import Contracts
import Glibc
import HTTP
import ProviderConformance
import Providers
import Testing

struct EndpointTests {
    @Test(arguments: [
        "http://h:9000", "http://h:9000/", "http://h:9000/v1", "http://h:9000/v1/", "http://h:9000/v1/messages",
    ])
    func `a base URL with or without slash, version and path is the same`(base: String) throws {
        let endpoint = try Endpoint(base: base, path: "messages", versionAnywhere: false)
        #expect(endpoint.url == "http://h:9000/v1/messages")
        #expect(endpoint.host == "h")
        #expect(endpoint.beside("models") == "http://h:9000/v1/models")
        let chat = base.replacing("/messages", with: "/chat/completions")
        #expect(
            try Endpoint(base: chat, path: "chat/completions", versionAnywhere: true).url
                == "http://h:9000/v1/chat/completions")
    }

    @Test(arguments: [
        ("https://g.test/v1beta/openai/", "https://g.test/v1beta/openai/chat/completions"),
        ("https://b.test/api/paas/v4", "https://b.test/api/paas/v4/chat/completions"),
        ("https://q.test/openai/v1", "https://q.test/openai/v1/chat/completions"),
        ("https://q.test/openai", "https://q.test/openai/v1/chat/completions"),
        ("https://m.test/inference/chat/completions", "https://m.test/inference/chat/completions"),
        ("https://a.test/openai/v1?api-version=2", "https://a.test/openai/v1/chat/completions?api-version=2"),
        ("http://[::1]:8080", "http://[::1]:8080/v1/chat/completions"),
    ])
    func `a version elsewhere in the path stays where it is`(base: String, url: String) throws {
        let endpoint = try Endpoint(base: base, path: "chat/completions", versionAnywhere: true)
        #expect(endpoint.url == url)
        #expect(endpoint.beside("models") == url.replacing("chat/completions", with: "models"))
    }

    @Test func `an Anthropic base has its version at the end`() throws {
        #expect(
            try Endpoint(base: "https://d.test/anthropic", path: "messages", versionAnywhere: false).url
                == "https://d.test/anthropic/v1/messages")
    }

    @Test(arguments: [
        "", "api.test", "ftp://h", "https://", "https:///v1", "https://user:hunter2@h", "https://h/#x", "https://h/a b",
        "https://h/\r\nx: y",
    ])
    func `what is no base URL is refused with its name, and no password is shown`(base: String) throws {
        let error = #expect(throws: StartError.self) {
            try Endpoint(base: base, path: "messages", versionAnywhere: false)
        }
        #expect(error?.exit == .configuration)
        #expect(error?.description.contains("AGENT_BASE_URL") == true)
        #expect(error?.description.contains("hunter2") == false)
    }
}

@Suite(.timeLimit(.minutes(1))) struct HTTPConfigurationTests {
    private let dialects: [any ProviderDialect] = [AnthropicDialect(), OpenAIDialect()]

    @Test(arguments: ["", "sk-a\nx-evil: 1", "sk-\u{0}"]) func `a key that cannot be a header is refused`(key: String)
        throws
    {
        var bad = try configuration("http://127.0.0.1:9")
        bad.key = key
        for api in ModelSettings.API.allCases {
            let error = #expect(throws: StartError.self) { _ = try makeProvider(api, bad) }
            #expect(error?.exit == .configuration)
        }
    }

    @Test(arguments: ["SSL_CERT_FILE", "CURL_CA_BUNDLE"])
    func `a certificate file that is not there is named, with its variable`(name: String) throws {
        let error = #expect(throws: StartError.self) {
            _ = try HTTPConfiguration(environment: [name: "/nowhere/ca.pem"])
        }
        #expect(error?.exit == .configuration)
        #expect(error?.description.contains(name) == true)
        #expect(error?.description.contains("/nowhere/ca.pem") == true)
    }

    @Test func `a certificate file that can be read is taken, empty names are none`() throws {
        let network = try HTTPConfiguration(
            httpProxy: "", environment: ["CURL_CA_BUNDLE": "", "SSL_CERT_FILE": "/proc/self/status"])
        #expect(network.authorities == "/proc/self/status")
        #expect(network.httpProxy == nil)
    }

    @Test func `a certificate file without certificates ends in an error that names it`() throws {
        let server = try LoopbackServer([[]])
        defer { server.stop() }
        var configuration = try configuration(server.url.replacing("http:", with: "https:"))
        configuration.network = try HTTPConfiguration(environment: ["SSL_CERT_FILE": "/proc/self/status"])
        let error = ask(configuration).error
        #expect(error?.kind == .invalidRequest)
        #expect(error?.message.contains("/proc/self/status") == true)
    }

    @Test func `a certificate file that is away while it is replaced is named, and the request tried again`() throws {
        let folder = try TemporaryFolder()
        let file = folder.path + "/ca.pem"
        try folder.write("ca.pem", "one")
        let server = try LoopbackServer([[]])
        defer { server.stop() }
        var configuration = try configuration(server.url.replacing("http:", with: "https:"))
        configuration.network = try HTTPConfiguration(environment: ["SSL_CERT_FILE": file])
        for (problem, word) in [
            ({ _ = unlink(file) }, "No such file"), ({ try folder.write("ca.pem", "") }, "is empty"),
        ] {
            try problem()
            let error = ask(configuration).error
            #expect(error?.isRetryable == true)
            #expect(error?.message.contains(file) == true && error?.message.contains(word) == true)
        }
    }

    @Test func `a proxy of the settings is used, one of the environment is not`() throws {
        let proxy = try LoopbackServer([[.send(HTTPText.openHead + answer)]])
        defer { proxy.stop() }
        var through = try configuration("http://llm.invalid")
        through.network = try HTTPConfiguration(
            httpProxy: "http://me:hunter2@127.0.0.1:\(proxy.port)", environment: [:])
        #expect(ask(through).reply != nil)
        #expect(proxy.requests.first?.line == "POST http://llm.invalid/v1/messages HTTP/1.1")

        // `configuration` has put proxies that do not exist into the environment.
        #expect(String(cString: getenv("http_proxy")) == "http://127.0.0.1:1")
        let server = try LoopbackServer([[.send(HTTPText.openHead + answer)]])
        defer { server.stop() }
        #expect(ask(try configuration(server.url)).reply != nil)
    }

    @Test func `exceptions are reached directly`() throws {
        let server = try LoopbackServer([[.send(HTTPText.openHead + answer)]])
        defer { server.stop() }
        var direct = try configuration(server.url)
        direct.network = try HTTPConfiguration(
            httpProxy: "http://127.0.0.1:1", proxyExceptions: "other.test, 127.0.0.0/8", environment: [:])
        #expect(ask(direct).reply != nil)
    }

    @Test func `a proxy that wants a password says so, and shows none`() throws {
        let proxy = try LoopbackServer([[.send(HTTPText.response("407 Proxy Authentication Required", body: []))]])
        defer { proxy.stop() }
        var through = try configuration("https://llm.invalid")
        through.network = try HTTPConfiguration(
            httpsProxy: "http://me:hunter2@127.0.0.1:\(proxy.port)", environment: [:])
        let error = ask(through).error
        #expect(error?.kind == .invalidRequest)
        #expect(error?.message.contains("HTTPS_PROXY") == true)
        #expect(proxy.requests.first?.line == "CONNECT llm.invalid:443 HTTP/1.1")

        through.network = try HTTPConfiguration(httpsProxy: "http://me:hunter2@host:port:1", environment: [:])
        #expect(ask(through).error?.message.contains("hunter2") == false)
    }

    @Test func `the key can go as a bearer token or in its own header`() throws {
        let server = try LoopbackServer([[.send(HTTPText.openHead + answer)]])
        defer { server.stop() }
        var configuration = try configuration(server.url)
        configuration.anthropicVersion = "2027-01-01"
        for authentication in [nil, .bearer, .apiKey] as [ProviderConfiguration.Authentication?] {
            configuration.authentication = authentication
            _ = ask(configuration)
        }
        let headers = server.requests.map(\.headers)
        #expect(headers.map { $0["x-api-key"] } == [LLMProviderConformance.key, nil, LLMProviderConformance.key])
        #expect(headers.map { $0["authorization"] } == [nil, "Bearer " + LLMProviderConformance.key, nil])
        #expect(headers.allSatisfy { $0["anthropic-version"] == "2027-01-01" && $0["user-agent"] == "agent-init" })
    }

    @Test func `a connection that nobody accepts runs into its deadline`() throws {
        // 192.0.2.0/24 is nowhere (RFC 5737): depending on the network it is unreachable at once or never answers.
        let lost = try configuration("http://192.0.2.1:9", ShortTimes(connect: 200, firstByte: 5000))
        let error = ask(lost).error
        #expect(error?.kind == .timeout || error?.kind == .network)
        #expect(error?.isRetryable == true)
    }

    private var answer: [UInt8] { Array((AnthropicDialect().events + AnthropicDialect().ending).joined().utf8) }

    private func ask(_ configuration: ProviderConfiguration) -> (reply: LLMReply?, error: LLMError?) {
        do {
            let provider = try makeProvider(.anthropic, configuration)
            return (try provider.complete(LLMProviderConformance.request, attention: CountingAttention()) { _ in }, nil)
        } catch {
            return (nil, error as? LLMError)
        }
    }
}
