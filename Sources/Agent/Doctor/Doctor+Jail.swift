import Contracts
import Glibc
import LinuxSystem

extension Doctor {
    /// Runs a command in each profile, and from inside tries what must not be possible; outside the jail the same
    /// attempts must succeed, or they would show nothing.
    func tryJail() -> [Finding] {
        let scene: DoctorScene
        do throws(SystemError) {
            scene = try DoctorScene(folders: settings.folders)
        } catch {
            return [
                Finding(
                    "jail", "trial", .bad, "cannot be made: \(error)",
                    remedy: "bash in the image, and folders that can be written (see above)", exit: .configuration)
            ]
        }
        let control = scene.runBare()
        return ExecProfile.allCases.map { profile in
            do throws(SystemError) {
                let outcome = try scene.run(commands, profile)
                return judge(profile, outcome, scene, control)
            } catch {
                return broken(profile, "the command cannot be started: \(error)")
            }
        }
    }

    /// Whether the profile, as it is configured here, does not allow the attempt.
    private func isClosed(_ attempt: DoctorScene.Attempt, in profile: ExecProfile, _ scene: DoctorScene) -> Bool {
        if attempt.needsWritableProject { return profile == .strategic }
        guard attempt.needsNetwork else { return true }
        var narrowed = commands
        _ = profile.apply(to: &narrowed)
        let policy = narrowed.network.resolved()
        return policy != .open && IPAddress("127.0.0.1").map { !policy.allows($0, scene.port) } ?? true
    }

    private func broken(_ profile: ExecProfile, _ text: String) -> Finding {
        Finding(
            "jail", profile.rawValue, .bad, text,
            remedy: "what is bad above; the three programs must lie side by side in one folder")
    }

    private func judge(
        _ profile: ExecProfile, _ outcome: ExecOutcome, _ scene: DoctorScene, _ control: Set<String>
    ) -> Finding {
        guard outcome.report.end == .exited(0) else {
            if case .notStarted(let stage, _, let message) = outcome.report.end {
                return broken(profile, "no command can be run: \(stage.rawValue): \(message)")
            }
            return broken(
                profile,
                "a plain command ended so: \(outcome.report.end) \(String(decoding: outcome.errors.head, as: UTF8.self))"
            )
        }
        let said = String(decoding: outcome.output.head, as: UTF8.self)
        let opened = DoctorScene.opened(said)
        let closed = DoctorScene.attempts.filter { isClosed($0, in: profile, scene) }
        var wrong: [String] = []
        for attempt in DoctorScene.attempts {
            let mustBeClosed = closed.contains { $0.name == attempt.name }
            if mustBeClosed, opened.contains(attempt.name) { wrong.append("\(attempt.what) is possible") }
            if attempt.needsWritableProject, !mustBeClosed, !opened.contains(attempt.name) {
                wrong.append("\(attempt.what) is not possible")
            }
        }
        if scene.isLeft(said) { wrong.append("a process outlived its command") }
        guard wrong.isEmpty else { return broken(profile, wrong.joined(separator: "; ")) }
        let unproven = closed.filter { !control.contains($0.name) }.map(\.what)
        let text =
            "a command ran; refused from inside: \(closed.filter { control.contains($0.name) }.map(\.what).joined(separator: ", "))"
        return Finding(
            "jail", profile.rawValue, .good,
            unproven.isEmpty
                ? text : text + " (not possible here outside the jail either: \(unproven.joined(separator: ", ")))")
    }
}
