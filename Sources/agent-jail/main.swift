import Glibc
import Jail

// Nothing but a call: a closure here would belong to the main actor, and bring the runtime of concurrency with it into
// each start of the program.
exit(runJail(arguments: commandLineArguments()))
