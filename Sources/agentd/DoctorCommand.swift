import Agent
import ArgumentParser
import Contracts
import Events
import Glibc
import LinuxSystem

/// `agentd doctor`: what this kernel and this pod enforce.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Try what this kernel and pod enforce, and say what to do about the rest.",
        discussion: """
            Runs commands in the jail in each profile and tries, from inside, to read a checkpoint and a secret, to \\
            signal and spy on another process, to write outside the project tree and to reach the network; tries \\
            Landlock and seccomp level by level; and looks at folders, programs, memory limit and clock. With JOB_ID \\
            and the job's other settings it tries what that job needs too: the model's key and address (its list of \\
            models, which costs nothing), NATS and its streams, the snapshot store (one small object, deleted again) \\
            and the port of the probes. Run it where the agent is to run, for example

              kubectl run doctor --rm -it --image=IMAGE --command -- agent-init doctor
              agent-init doctor --json | jq '.findings[] | select(.verdict == "bad")'

            EXIT CODES
            0 nothing is bad; 77 the jail is not enforced, or a credential is missing or refused; 78 a folder or a \\
            setting; 75 a server is out of reach.
            """)

    @Flag(help: "One JSON object, for machines.") var json = false

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        for number in Int32(0)...2 where fcntl(number, F_GETFD) < 0 { _ = open("/dev/null", O_RDWR) }
        let diagnosis: Diagnosis
        do {
            let folder = try ownFolder()
            let environment = processEnvironment()
            let settings = try SandboxSettings(environment: environment)
            // The trial's commands read nothing, and least of all what somebody types here.
            let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
            if null > 0 { _ = dup2(null, 0) }
            diagnosis = Doctor(
                settings: settings, commands: settings.commands(program: folder + "/agent-jail"),
                environment: environment, libraries: Wiring.libraries, writeAhead: Wiring.writeAhead,
                job: environment["JOB_ID"] == nil ? nil : { JobExamination(environment: environment).findings() }
            ).examine()
        } catch {
            say("agent-init doctor: \(error)")
            throw ArgumentParser.ExitCode(error.exit.rawValue)
        }
        let colours = isTerminal(1) && processEnvironment()["NO_COLOR"] == nil
        try writeAll(1, json ? diagnosis.json.text + "\n" : diagnosis.table(isColoured: colours))
        throw ArgumentParser.ExitCode(diagnosis.exit.rawValue)
    }
}
