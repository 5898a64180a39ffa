import Glibc
import Supervisor

exit(agentInit())
