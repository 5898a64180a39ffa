import Contracts
import Glibc
import LinuxSystem

extension Doctor {
    /// What commands are granted, and whether something of ours lies where they can write.
    func lookAtGrants() -> [Finding] {
        [grants(), ownPrograms()] + tools()
    }

    private func grants() -> Finding {
        let own = [settings.folders.project, settings.folders.home, settings.folders.temporary]
        let tools = settings.folders.tools
        let text = JailGrants.Access.allCases.map { access in
            let places = JailGrants.places.filter { $0.access == access }.map(\.path)
            return "\(access.rawValue): "
                + ((access == .readAndWrite ? own : access == .readAndExecute ? tools : []) + places).joined(
                    separator: " ")
        }
        return Finding("jail", "grants", .note, text.joined(separator: "; "))
    }

    private func ownPrograms() -> Finding {
        do throws(StartError) {
            try settings.folders.refuseWritablePrograms(environment: environment)
        } catch {
            return Finding("programs", "agent-init", error)
        }
        return Finding(
            "programs", "agent-init", .good, "programs, libraries and AGENT_CONFIG lie where no command can write")
    }

    /// What our own tools start, by its path in the image.
    private func tools() -> [Finding] {
        let needs = [
            ("bash", "no command can be run", Finding.Verdict.bad), ("grep", "the tool search fails", .weak),
            ("find", "the tool list_files fails", .weak),
        ]
        return needs.map { name, consequence, verdict in
            let path = VerdictRoom.program(name)
            if access(path, X_OK) == 0 { return Finding("programs", name, .good, path) }
            return Finding(
                "programs", name, verdict,
                "is not in \(CommandEnvironment.systemPath.joined(separator: ", ")): \(consequence)",
                remedy: "install it in the image", exit: .configuration)
        }
    }
}
