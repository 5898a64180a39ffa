/// The texts of `agent-init --help`, `agent-init run --help` and `agent-init --version`.
package enum Help {
    package static let version = "agent-init 0.1.0"

    /// All that stands after `agent-init`: `run`, and what `agentd` takes.
    package static let subcommands: [(name: String, words: String)] = [
        ("run", "run the agent that JOB_ID and AGENT_TASK describe"),
        ("exec", "one command in the jail: a sandbox, without a job"),
        ("doctor", "what this kernel and pod enforce, and what to do about the rest"),
        ("status", "where the job is"),
        ("history", "every step of the job: time, tokens, cost, what came of its calls"),
        ("export", "the job's whole trajectory, to be read or parsed"),
        ("verify", "whether everything holds that must hold of the checkpoint"),
        ("fork", "a new job that begins where this one stood"),
        ("restore", "bring the newest snapshot of the job onto this volume"),
        ("snapshot", "store a snapshot of the checkpoint"),
        ("loop", "the agent alone, by hand"),
        ("gateway", "what ships its log, by hand"),
        ("help", "help SUBCOMMAND: its options"),
    ]

    package static let overview = """
        agent-init: the ENTRYPOINT of an agent's pod. It runs an LLM agent, jails its commands, records every step,
        and goes on where it stopped when the pod has been killed.

        USAGE
          agent-init SUBCOMMAND [OPTION…]
          agent-init run [OPTION…] -- COMMAND…   be the init of any one command
          agent-init SUBCOMMAND --help           its options; of run: how it stops, and the settings of PID 1

        SUBCOMMANDS
        \(table)

        FIRST RUN
          JOB_ID=demo AGENT_TASK='Say hello in hello.txt' WORKSPACE_PATH=$PWD/demo \\
            AGENT_SECRETS_DIR=$HOME/keys agent-init run
          The folder $HOME/keys holds the file anthropic-api-key or openai-api-key.

        EXIT CODES OF run
          0  done and verified      1  failed, cancelled, out of budget     64  usage
          65 checkpoint unusable    70 internal error, restarts spent       75  try again later
          77 no jail or credential  78 configuration                        143 stopped, saved

        """

    private static var table: String {
        subcommands.map { name, words in
            "  " + name + String(repeating: " ", count: 10 - name.utf8.count) + words
        }.joined(separator: "\n")
    }

    package static let run = """
        agent-init run: PID 1 of a container.

        USAGE
          agent-init run                   supervise the agent: its loop and its gateway
          agent-init run [OPTION…] [--] COMMAND…
                                           supervise COMMAND: signals are passed on, orphans reaped, its exit code
                                           is ours (128+n after signal n, 127 not found, 126 not executable); the
                                           "--" may only be left out where COMMAND is no subcommand of agent-init

        OPTIONS for a command
          -g, --group              signals go to the command's whole process group
          --rewrite TERM:INT       send INT where TERM comes; --rewrite HUP:0 drops HUP
          --remap-exit 143:0       exit with 0 where the command's code is 143
          --grace SECONDS          instead of AGENT_GRACE_SECONDS
          --heed-inside            as PID 1, let signals from inside the container count

        STOPPING A COMMAND
          Every signal is passed on that can be caught, SIGSEGV and SIGABRT too. At SIGTERM the clock of
          AGENT_GRACE_SECONDS starts: the command has 8/12 of it, 40 of 60 s, then SIGKILL. When the command has ended,
          whatever it left running gets SIGTERM and the rest of the grace, less a spare second, then SIGKILL. If it
          ended by itself, the clock starts at its end. Signals that come meanwhile are passed on to what is left.

        STOPPING THE AGENT
          At SIGTERM the loop has 8/12 of the grace to save, then the gateway until 10/12 to ship the log, whatever
          else is left the rest. An agent that ends by itself waits at most 5 s for what is left.

        As PID 1, signals count only from outside the container: `kill 1` from a command changes nothing.
        AGENT_GRACE_SECONDS must not be above the pod's terminationGracePeriodSeconds.

        SETTINGS (environment only)
          AGENT_GRACE_SECONDS      60     1 to 3600: from SIGTERM to the end
          AGENT_WATCHDOG_SECONDS   120    10 to 3600: a child silent for so long is killed and started again
          AGENT_TERMINATION_LOG    /dev/termination-log: how the run ended, as JSON
          All other settings are described by the README and checked when the agent starts.

        """
}
