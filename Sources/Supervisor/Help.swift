/// The texts of `agent-init --help`, `agent-init run --help` and `agent-init --version`.
package enum Help {
    package static let version = "agent-init 0.1.0"

    package static let overview = """
        agent-init: the ENTRYPOINT of an agent's pod. It runs an LLM agent, jails its commands, records every step,
        and goes on where it stopped when the pod has been killed.

        USAGE
          agent-init run                   run the agent that JOB_ID and AGENT_TASK describe
          agent-init run [--] COMMAND…     be the init of any one command
          agent-init exec -- COMMAND…      one command in the jail: a sandbox, without a job
          agent-init doctor                what this kernel and pod enforce, and what to do about the rest
          agent-init status                where the job is
          agent-init run --help            how it stops, and the settings of PID 1
          agent-init help                  all other subcommands, for looking at a job and running parts of it

        FIRST RUN
          JOB_ID=demo AGENT_TASK='Say hello in hello.txt' WORKSPACE_PATH=$PWD/demo \\
            AGENT_SECRETS_DIR=$HOME/keys agent-init run
          The folder $HOME/keys holds the file anthropic-api-key or openai-api-key.

        EXIT CODES OF run
          0  done and verified      1  failed, cancelled, out of budget     64  usage
          65 checkpoint unusable    70 internal error, restarts spent       75  try again later
          77 no jail or credential  78 configuration                        143 stopped, saved

        """

    package static let run = """
        agent-init run: PID 1 of a container.

        USAGE
          agent-init run                   supervise the agent: its loop and its gateway
          agent-init run [OPTION…] [--] COMMAND…
                                           supervise COMMAND: signals are passed on, orphans reaped, its exit code
                                           is ours (128+n after signal n, 127 not found, 126 not executable)

        OPTIONS for a command
          -g, --group              signals go to the command's whole process group
          --rewrite TERM:INT       send INT where TERM comes; --rewrite HUP:0 drops HUP
          --remap-exit 143:0       exit with 0 where the command's code is 143
          --grace SECONDS          instead of AGENT_GRACE_SECONDS
          --heed-inside            as PID 1, let signals from inside the container count

        STOPPING
          On SIGTERM the main process gets SIGTERM, then the rest gets time to clean up, then SIGKILL: all within
          AGENT_GRACE_SECONDS, which must not be above the pod's terminationGracePeriodSeconds.
          As PID 1, signals count only from outside the container: `kill 1` from a command changes nothing.

        SETTINGS (environment only)
          AGENT_GRACE_SECONDS      60     1 to 3600: from SIGTERM to the end
          AGENT_WATCHDOG_SECONDS   120    10 to 3600: a child silent for so long is killed and started again
          AGENT_TERMINATION_LOG    /dev/termination-log: how the run ended, as JSON
          All other settings are described by the README and checked when the agent starts.

        """
}
