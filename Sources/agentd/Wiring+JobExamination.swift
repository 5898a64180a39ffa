import Agent
import Contracts
import Events
import Glibc
import HTTP
import LinuxSystem
import ObjectStores
import Providers
import Sinks

/// What `doctor` finds out about the job that `JOB_ID` names: whether a start would have what it needs.
///
/// Each server is asked something that changes and costs nothing, and given some seconds for it; only the store is written
/// to, one small object that is deleted again.
struct JobExamination {
    let environment: [String: String]

    private static let group = "job"

    func findings() -> [Finding] {
        let settings: Settings
        do throws(StartError) {
            settings = try Settings(environment: environment)
        } catch {
            return [Finding(Self.group, "settings", error)]
        }
        let good = Finding(Self.group, "settings", .good, "JOB_ID \(settings.job.text)")
        return [good] + task(settings) + credentials(settings) + [port(settings)]
    }

    private func task(_ settings: Settings) -> [Finding] {
        do {
            _ = try Acceptance.read(settings)
            // A job that has begun keeps its task.
            let hasBegun = access(settings.folders.database, F_OK) == 0
            let begun = hasBegun ? try Wiring.journal(of: settings.folders).task() : nil
            if let task = try settings.task(begun: begun) {
                return [Finding(Self.group, "task", .good, "\(task.text.count) characters by \(task.source)")]
            }
            let words =
                begun == nil ? "one is to come by NATS" : "the job has begun, and keeps the task that it began with"
            return [Finding(Self.group, "task", .note, words)]
        } catch let error as StartError {
            return [Finding(Self.group, "task", error)]
        } catch let error as StoreError {
            return [
                Finding(
                    Self.group, "checkpoint", .bad, "\(error)", remedy: "agent-init verify says more",
                    exit: LoopEnd(error).exit)
            ]
        } catch {
            return [Finding(Self.group, "task", .bad, "\(error)", remedy: "see the log", exit: .internalError)]
        }
    }

    private func credentials(_ settings: Settings) -> [Finding] {
        let secrets: Secrets
        do throws(StartError) {
            secrets = try Secrets(folder: settings.folders.secrets)
        } catch {
            return [Finding(Self.group, "secrets", error)]
        }
        return [model(settings, secrets)] + nats(settings, secrets) + store(settings)
    }

    private func model(_ settings: Settings, _ secrets: Secrets) -> Finding {
        do {
            let (api, _) = try secrets.key(for: settings.model, environment: environment)
            let model = try settings.model.model(for: api)
            var deadlines = HTTPDeadlines()
            deadlines.connect = 5000
            deadlines.firstByte = 10_000
            let provider = try Wiring.provider(settings, secrets, environment: environment, deadlines: deadlines)
            let place = settings.model.baseURL ?? "\(api.rawValue)'s own API"
            guard let models = try provider.models(attention: Unattended()) else {
                return Finding(
                    Self.group, "LLM", .note,
                    "\(place) answers, and has no list of models: the first request shows whether key and model are good"
                )
            }
            guard models.isEmpty || models.contains(model) else {
                return Finding(
                    Self.group, "LLM", .weak,
                    "\(place) takes the key; its list of models does not have \(model), but \(models.count) others such as "
                        + models.prefix(3).joined(separator: ", "),
                    remedy: "set AGENT_MODEL to one that it has, unless this is another name for one")
            }
            return Finding(Self.group, "LLM", .good, "\(place) takes the key and has \(model)")
        } catch let error as LLMError {
            let (exit, remedy): (Contracts.ExitCode, String) =
                switch error.kind {
                case .authentication, .quota: (.notPermitted, "put a key that is good into the secrets folder")
                case .invalidRequest, .overflow, .protocolError:
                    (.configuration, "check AGENT_BASE_URL and AGENT_PROVIDER")
                default: (.tryAgain, "check AGENT_BASE_URL, the proxy and the network policy")
                }
            return Finding(Self.group, "LLM", .bad, "\(error)", remedy: remedy, exit: exit)
        } catch let error as StartError {
            return Finding(Self.group, "LLM", error)
        } catch {
            return Finding(Self.group, "LLM", .bad, "\(error)", remedy: "see the log", exit: .internalError)
        }
    }

    private func nats(_ settings: Settings, _ secrets: Secrets) -> [Finding] {
        do {
            let outward = Outward(settings: settings, secrets: secrets, environment: environment)
            guard let nats = try outward.nats() else { return [] }
            return [Finding(Self.group, "NATS", .good, try NATSReach.tried(nats, patience: 5000))]
        } catch let error as StartError {
            return [Finding(Self.group, "NATS", error)]
        } catch {
            return [
                Finding(
                    Self.group, "NATS", .bad, "\(error)",
                    remedy:
                        "NATS_URL, its credentials and its streams (docs/NATS.md); until then a job keeps its log in its "
                        + "spool, and no command reaches it", exit: .tryAgain)
            ]
        }
    }

    private func store(_ settings: Settings) -> [Finding] {
        guard let snapshots = settings.snapshots else { return [] }
        do {
            let network = try HTTPConfiguration(
                httpProxy: settings.proxy.http, httpsProxy: settings.proxy.https,
                proxyExceptions: settings.proxy.exceptions, environment: environment)
            var folder: String?
            if case .folder(let path) = snapshots.store { folder = path }
            let isNew = folder.map { access($0, F_OK) != 0 } ?? false
            defer {
                if let folder {
                    _ = rmdir(folder + "/doctor")
                    if isNew { _ = rmdir(folder) }
                }
            }
            let store = try makeObjectStore(
                snapshots.store, secretsFolder: settings.folders.secrets, network: network, limits: .hasty)
            let key = "doctor/\(settings.job.text)-\(UInt64.random(in: .min ... .max))"
            try store.putIfAbsent(Array("agent-init doctor was here\n".utf8), as: key)
            _ = try store.get(key, limit: 100)
            _ = try store.list("jobs/\(settings.job.text)/")
            try store.delete(key)
            return [Finding(Self.group, "store", .good, "an object was stored, read, listed and deleted")]
        } catch let error as StartError {
            return [Finding(Self.group, "store", error)]
        } catch let error as ObjectStoreError {
            return [
                Finding(
                    Self.group, "store", .bad, "\(error)", remedy: "AGENT_SNAPSHOT_URL and its credentials (README)",
                    exit: ExitCode(error))
            ]
        } catch {
            return [Finding(Self.group, "store", .bad, "\(error)", remedy: "see the log", exit: .internalError)]
        }
    }

    private func port(_ settings: Settings) -> Finding {
        guard let address = settings.delivery.listen else {
            return Finding(Self.group, "port", .note, "AGENT_LISTEN is off")
        }
        do throws(SystemError) {
            try tryListening(on: address)
        } catch {
            if error.code == EADDRINUSE, case .runs = Tenure(of: settings.folders.database) {
                return Finding(Self.group, "port", .note, "\(address) is in use; the job runs")
            }
            return Finding(
                Self.group, "port", .bad, "\(error)", remedy: "set AGENT_LISTEN to another address, or to off",
                exit: .configuration)
        }
        return Finding(Self.group, "port", .good, "\(address) can be listened on")
    }
}

/// Nothing else is to be looked after.
private final class Unattended: Attention {
    let descriptors: [Int32] = []
    func attend() -> Interruption? { nil }
}
