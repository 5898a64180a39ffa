import Agent
import Contracts
import Testing

struct ProxyAddressTests {
    @Test(
        arguments: [
            ("http://egress.agents.svc:3128", "http://10.96.0.31:3128"),
            ("http://egress.agents.svc:3128/", "http://10.96.0.31:3128/"),
            ("http://u:p%40@egress.agents.svc:3128/path", "http://u:p%40@10.96.0.31:3128/path"),
            ("http://egress.agents.svc", "http://10.96.0.31"),
            ("egress.agents.svc:3128", "10.96.0.31:3128"),
            // The certificate of such a proxy has its name.
            ("https://egress.agents.svc:3128", "https://egress.agents.svc:3128"),
            ("http://other.agents.svc:3128", "http://other.agents.svc:3128"),
            ("http://egress.agents.svc.example:3128", "http://egress.agents.svc.example:3128"),
            ("http://egress.agents.svc@other.example:3128", "http://egress.agents.svc@other.example:3128"),
        ])
    func `a proxy's name becomes its address, and all around it stays`(url: String, replaced: String) throws {
        var proxy = Settings.Proxy()
        proxy.https = url
        proxy.http = "http://elsewhere:80"
        let address = try #require(IPAddress("10.96.0.31"))
        proxy.replace("egress.agents.svc", by: address)
        #expect(proxy.https == replaced)
        #expect(proxy.http == "http://elsewhere:80")
    }

    @Test func `both proxies may have the name, and an IPv6 address gets its brackets`() throws {
        var proxy = Settings.Proxy()
        proxy.https = "http://egress:3128"
        proxy.http = "http://egress:3129"
        let address = try #require(IPAddress("fd00::31"))
        proxy.replace("egress", by: address)
        #expect(proxy.https == "http://[fd00::31]:3128")
        #expect(proxy.http == "http://[fd00::31]:3129")
    }

    @Test func `localhost is left alone: commands know it, and a proxy may listen in one family only`() throws {
        var proxy = Settings.Proxy()
        proxy.http = "http://localhost:3128"
        proxy.replace("localhost", by: .loopback)
        #expect(proxy.http == "http://localhost:3128")
    }
}
