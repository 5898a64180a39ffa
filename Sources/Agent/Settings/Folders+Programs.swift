import Contracts
import LinuxSystem

extension Folders {
    /// Refuses to work with programs, libraries or settings that a command could exchange: the next start would run, or
    /// obey, what it has put there.
    ///
    /// - Throws: `StartError(.configuration)` with the file and the setting that grants its place.
    package func refuseWritablePrograms(environment: [String: String]) throws(StartError) {
        var files = loadedFiles().map { ("the library or program", $0) }
        // What is not there yet may come.
        for name in ["LD_LIBRARY_PATH", "LD_PRELOAD"] {
            let paths = (environment[name] ?? "").split { $0 == ":" || $0 == " " }
            files += paths.map { (name, canonicalPath(String($0))) }
        }
        if let folder = programFolder() { files.append(("the program", folder + "/agent-jail")) }
        if let path = environment["AGENT_CONFIG"], !path.isEmpty { files.append(("AGENT_CONFIG", canonicalPath(path))) }
        for (what, path) in files {
            guard let place = writable(path) else { continue }
            throw StartError(
                .configuration,
                "\(what) \(path) lies in \(place), where commands can write and so exchange it; put it elsewhere")
        }
    }
}
