import CLinux
package import Contracts

/// The command does not reach the parts of the kernel that no build, test or script needs, and that have been the way
/// out of many a sandbox; nor those that change the machine, for a pod that runs as root.
package struct KernelRule: JailRule {
    package let name = "kernel"

    package init() {}

    package func extend(
        _ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        // io_uring makes calls that no filter sees. ENOSYS: programs then use the ordinary calls.
        // file_setattr changes a file's flags and quota project by its path, for which Landlock has no hook; the ioctls
        // that programs use for it need the file to be open.
        for call in [CJAIL_IO_URING_SETUP, CJAIL_IO_URING_ENTER, CJAIL_IO_URING_REGISTER, CJAIL_FILE_SETATTR] {
            plan.refuse(call, with: .notImplemented)
        }
        for call in [
            CJAIL_ADD_KEY, CJAIL_REQUEST_KEY, CJAIL_KEYCTL, CJAIL_BPF, CJAIL_USERFAULTFD, CJAIL_PERF_EVENT_OPEN,
            // Opens any file of a file system by number, past every path.
            CJAIL_OPEN_BY_HANDLE_AT, CJAIL_FANOTIFY_INIT,
            CJAIL_INIT_MODULE, CJAIL_FINIT_MODULE, CJAIL_DELETE_MODULE, CJAIL_KEXEC_LOAD, CJAIL_KEXEC_FILE_LOAD,
            CJAIL_REBOOT, CJAIL_SWAPON, CJAIL_SWAPOFF, CJAIL_ACCT, CJAIL_QUOTACTL, CJAIL_QUOTACTL_FD,
            CJAIL_SETHOSTNAME, CJAIL_SETDOMAINNAME, CJAIL_SETTIMEOFDAY, CJAIL_CLOCK_SETTIME, CJAIL_CLOCK_ADJTIME,
            CJAIL_SYSLOG, CJAIL_VHANGUP, CJAIL_IOPL, CJAIL_IOPERM,
        ] {
            plan.refuse(call)
        }
    }
}
