import CLinux
import Glibc

/// O_PATH, which the headers define only with _GNU_SOURCE (asm-generic/fcntl.h; the same on x86-64 and arm64).
package let openPathOnly: Int32 = 0o10_000_000

/// Opens `path` under an open folder, never outside it and through no symbolic link.
///
/// openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS decides in the kernel, in one walk:
/// there is no time between a check and the use. Always close-on-exec, without blocking on a FIFO.
/// - Throws: `SystemError("open")`: EXDEV if the path leads out, ELOOP if a part of it is a link, ENOSYS before
///   Linux 5.6.
package func openBeneath(
    _ folder: Int32, _ path: String, _ flags: Int32, mode: UInt32 = 0, subject: String
) throws(SystemError) -> Descriptor {
    // openat2(2) refuses with EINVAL any flag that O_PATH has no use for.
    let always = flags & openPathOnly == 0 ? O_CLOEXEC | O_NOCTTY | O_NONBLOCK : O_CLOEXEC
    let result = clinux_open_beneath(folder, path, flags | always, mode, 1)
    guard result >= 0 else { throw SystemError("open", code: -result, subject: subject) }
    return Descriptor(adopting: result)
}
