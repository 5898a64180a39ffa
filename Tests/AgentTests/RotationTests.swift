import Agent
import AgentFixtures
import Glibc
import LinuxSystem
import Testing

/// Volumes of Secrets, as the kubelet makes and exchanges them, and the settings that must not be taken for others.
struct RotationTests {
    private func volume(_ folder: TemporaryFolder, version: String, file: String, _ text: String) throws {
        try makeFolder(folder.path + "/" + version + "/llm")
        try folder.write(version + "/llm/" + file, text)
        _ = unlink(folder.path + "/..data_tmp")
        try retrying("symlink") { symlink(version, folder.path + "/..data_tmp") }
        try retrying("rename") { rename(folder.path + "/..data_tmp", folder.path + "/..data") }
    }

    @Test func `a secrets folder within a version is found in the next one`() throws {
        let mount = try TemporaryFolder()
        try volume(mount, version: "..2026_01_01", file: "anthropic-api-key", "one")
        try retrying("symlink") { symlink("..data/llm", mount.path + "/llm") }
        let settings = try Settings(environment: [
            "JOB_ID": "j", "AGENT_TASK": "t", "WORKSPACE_PATH": "/srv/w", "AGENT_SECRETS_DIR": mount.path + "/llm",
            "AGENT_TMP": "/srv/t",
        ])
        let folder = settings.folders.secrets
        #expect(try Secrets(folder: folder).all == ["one"])
        try volume(mount, version: "..2026_01_02", file: "anthropic-api-key", "two")
        _ = unlink(mount.path + "/..2026_01_01/llm/anthropic-api-key")
        #expect(try Secrets(folder: folder).all == ["two"])
        #expect(RotatedVolume.mount(of: folder) == canonicalPath(mount.path))
    }

    @Test func `an ordinary folder is its own`() {
        for path in ["/var/secrets", "/", "/a/.b/c", "/a/b..c"] { #expect(RotatedVolume.mount(of: path) == path) }
        #expect(RotatedVolume.mount(of: "/v/..2026/x/y") == "/v")
    }
}

struct ServiceLinksTests {
    private func settings(_ more: [String: String]) throws -> Settings {
        try Settings(
            environment: ["JOB_ID": "j", "AGENT_TASK": "t", "WORKSPACE_PATH": "/srv/w"].merging(more) { $1 })
    }

    @Test(arguments: [
        ["AGENT_SERVICE_HOST": "10.96.0.7"], ["AGENT_SERVICE_HOST": "fd00::7"], ["AGENT_SERVICE_PORT": "8080"],
        ["AGENT_SERVICE_PORT_HTTP": "8080"], ["AGENT_SERVICE_PORT_GRPC_WEB": "9090"],
        ["AGENT_PORT": "tcp://10.96.0.7:8080"], ["AGENT_PORT": "udp://[fd00::7]:53"],
        ["AGENT_PORT_8080_TCP": "tcp://10.96.0.7:8080"], ["AGENT_PORT_8080_TCP_ADDR": "10.96.0.7"],
        ["AGENT_PORT_8080_TCP_PORT": "8080"], ["AGENT_PORT_8080_TCP_PROTO": "tcp"],
        ["AGENT_PORT_53_UDP_PROTO": "udp"], ["AGENT_PORT_9_SCTP": "sctp://10.96.0.7:9"],
        // Of Services with longer names, also such as look like forms themselves.
        ["AGENT_PROXY_SERVICE_HOST": "10.96.0.8"], ["AGENT_EGRESS_PROXY_PORT_3128_TCP": "tcp://10.96.0.8:3128"],
        ["AGENT_SERVICE_PORT": "tcp://10.96.0.9:80"], ["AGENT_SERVICE_SERVICE_PORT": "80"],
        ["AGENT_PORT_PORT": "tcp://10.96.0.9:80"], ["AGENT_PORT_PORT_80_TCP_ADDR": "10.96.0.9"],
        ["AGENT_PORT_80_SERVICE_HOST": "10.96.0.9"],
    ])
    func `the variables of a Service are no settings`(environment: [String: String]) throws {
        _ = try settings(environment)
    }

    @Test(arguments: [
        // The name of a form with a value that is none of it.
        ["AGENT_SERVICE_HOST": "agent.example"], ["AGENT_SERVICE_PORT": "http"], ["AGENT_PORT": "8080"],
        ["AGENT_PORT": "http://10.96.0.7:8080"], ["AGENT_PORT": "tcp://agent:8080"], ["AGENT_PORT": "tcp://10.96.0.7"],
        ["AGENT_PORT_8080_TCP": "udp://10.96.0.7:8080"], ["AGENT_PORT_8080_TCP": "tcp://10.96.0.7:80"],
        ["AGENT_PORT_8080_TCP_PORT": "80"], ["AGENT_PORT_8080_TCP_PROTO": "udp"],
        ["AGENT_PORT_8080_TCP_ADDR": "here"], ["AGENT_PORT_8080_TCP_NAME": "http"],
        ["AGENT_PORT_8080_HTTP": "tcp://10.96.0.7:8080"],
        // A value that would be one, with another name.
        ["AGENT_MAX_STEP": "5"], ["AGENT_HOST": "10.96.0.7"], ["AGENT_LISTEN_PORTS": "8080"],
        ["AGENT_SERVICE": "10.96.0.7"],
    ])
    func `a setting that is misspelt does not pass for one`(environment: [String: String]) throws {
        let error = #expect(throws: StartError.self) { _ = try settings(environment) }
        #expect(error?.description.contains("is not a setting") == true)
    }

    @Test func `in a file there are none`() throws {
        let folder = try TemporaryFolder()
        try folder.write("config", #"{"AGENT_PORT": "tcp://10.96.0.7:8080"}"#)
        let error = #expect(throws: StartError.self) { _ = try settings(["AGENT_CONFIG": folder.path + "/config"]) }
        #expect(error?.description.contains("AGENT_PORT in \(folder.path)/config is not a setting") == true)
    }
}
