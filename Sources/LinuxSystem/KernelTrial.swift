import CLinux
import Glibc

/// What this kernel and container let a process do, found out by doing it, in a child that ends with the trial.
package enum KernelTrial: CaseIterable, Sendable {
    case userNamespace, noNewPrivileges, filter, listener
    case files, refer, truncate, deviceControl, socketPaths, tcp, signals

    private var number: clinux_trial {
        switch self {
        case .userNamespace: CLINUX_TRY_USER_NAMESPACE
        case .noNewPrivileges: CLINUX_TRY_NO_NEW_PRIVILEGES
        case .filter: CLINUX_TRY_FILTER
        case .listener: CLINUX_TRY_LISTENER
        case .files: CLINUX_TRY_FILES
        case .refer: CLINUX_TRY_REFER
        case .truncate: CLINUX_TRY_TRUNCATE
        case .deviceControl: CLINUX_TRY_DEVICE_CONTROL
        case .socketPaths: CLINUX_TRY_SOCKET_PATHS
        case .tcp: CLINUX_TRY_TCP
        case .signals: CLINUX_TRY_SIGNALS
        }
    }

    /// Tries it. Nil if it works; else why not: ENOTSUP if every call went well and yet nothing was enforced.
    package func run() -> SystemError? {
        let result = clinux_try(number)
        return result == 0 ? nil : SystemError("\(self)", code: -result)
    }

    /// The ABI of Landlock, at least 1.
    ///
    /// - Throws: `SystemError("landlock_create_ruleset")`: ENOSYS without Landlock, EOPNOTSUPP if it is switched off.
    package static func landlockABI() throws(SystemError) -> Int32 {
        let result = cjail_landlock_abi()
        guard result > 0 else { throw SystemError("landlock_create_ruleset", code: -result) }
        return result
    }
}

/// A field of /proc/self/status, for example `CapEff`; nil without /proc.
package func processStatus(_ field: String) -> String? {
    guard let bytes = try? readFile("/proc/self/status", limit: 1 << 20) else { return nil }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix(field + ":") {
        return String(line.dropFirst(field.utf8.count + 1).drop { $0 == " " || $0 == "\t" })
    }
    return nil
}
