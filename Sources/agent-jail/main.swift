import CLinux
import Glibc
import Jail

// From CLinux rather than CommandLine: a static Swift program reads the latter from /proc/self/cmdline.
let arguments = (1..<max(1, clinux_argument_count())).compactMap { clinux_argument($0).map { String(cString: $0) } }
exit(runJail(arguments: arguments))
