import Supervisor
import Testing

struct InitSettingsTests {
    private func settings(_ values: [String: String]) throws -> InitSettings { try InitSettings { values[$0] } }

    @Test func `unset and empty settings have their defaults`() throws {
        for values in [[:], ["AGENT_GRACE_SECONDS": "", "AGENT_WATCHDOG_SECONDS": ""]] {
            let settings = try settings(values)
            #expect(settings.grace == 60_000)
            #expect(settings.watchdog == 120_000)
        }
    }

    @Test func `values are read in seconds up to the ends of their ranges`() throws {
        let settings = try settings(["AGENT_GRACE_SECONDS": "1", "AGENT_WATCHDOG_SECONDS": "3600"])
        #expect(settings.grace == 1000)
        #expect(settings.watchdog == 3_600_000)
    }

    @Test(arguments: [(nil, "/dev/termination-log", false), ("", "/dev/termination-log", false), ("/x", "/x", true)])
    func `the termination log is the kubelet's unless it is set`(setting: String?, path: String, isExplicit: Bool) {
        let log = TerminationLog(setting: setting)
        #expect(log.path == path)
        #expect(log.isExplicit == isExplicit)
    }

    @Test(arguments: [
        ("AGENT_GRACE_SECONDS", "0"), ("AGENT_GRACE_SECONDS", "3601"), ("AGENT_GRACE_SECONDS", "60s"),
        ("AGENT_WATCHDOG_SECONDS", "9"), ("AGENT_WATCHDOG_SECONDS", "99999999999999999999"),
    ])
    func `a malformed value is refused with its name and what is accepted`(name: String, value: String) throws {
        let error = try #require(throws: InitSettings.Invalid.self) { try settings([name: value]) }
        #expect(error.description.hasPrefix("\(name) is \"\(value)\"; accepted: a whole number of seconds from "))
    }
}
