import CLinux
import Contracts
import Glibc
import LinuxSystem

/// What a janitor has before it knows its command: the same for every one, and so made ahead where one is expected.
///
/// Nothing here depends on a request. What does — ruleset, filter, limits, folders — is made when the request is there,
/// from what is there then.
struct Standby: ~Copyable {
    let preference: OOMPreference
    let signals: Descriptor
    let kernel: Kernel
    let domain: Domain

    /// - Throws: `JailFailure` if this kernel has not what every jail needs.
    init() throws(JailFailure) {
        let preference = OOMPreference()
        // Before anything can look. The command becomes dumpable again when it executes its program.
        let result = cjail_become_janitor()
        guard result == 0 else {
            throw JailFailure(.privileges, SystemError("prctl", code: -result), "please report this")
        }
        let number = cjail_take_signals()
        guard number >= 0 else {
            throw JailFailure(.descriptors, SystemError("signalfd", code: -number), "too many files are open")
        }
        let signals = Descriptor(adopting: number)
        let kernel = Kernel.probe()
        try kernel.requireLandlock()
        let domain = try Domain()
        self.preference = preference
        self.signals = signals
        self.kernel = kernel
        self.domain = domain
    }
}
