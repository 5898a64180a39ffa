extension CommandEnvironment {
    /// Set by the jail itself, or by the network's settings: from elsewhere they would only mislead.
    private static let ours: Set<String> = [
        "HOME", "TMPDIR", "USER", "LOGNAME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
        "no_proxy",
    ]

    /// How the last or another word of a secret's name ends.
    private static let secretEndings = [
        "KEY", "KEYS", "TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE",
        "CREDENTIAL", "CREDENTIALS", "CREDS", "COOKIE",
    ]

    /// The variables of our own environment that `AGENT_COMMAND_ENV` names, with their values.
    ///
    /// Not accepted is a name that is none, is ours, looks like a secret's, or is not set.
    init(_ source: SettingsSource, environment: [String: String]) {
        self.init()
        let setting = "AGENT_COMMAND_ENV"
        let names = (source[setting] ?? "").split { $0 == "," || $0.isWhitespace }.map(String.init)
        for name in names {
            if let problem = Self.problem(of: name) {
                source.refuse(
                    .setting(setting, "names \(name), \(problem)", accepted: "names of variables, with commas"))
            } else if let value = environment[name] {
                set(name, value)
            } else {
                source.refuse(
                    .setting(
                        setting, "names \(name), which is not set in the environment of this process",
                        accepted: "names of variables that are set; an empty value will do"))
            }
        }
    }

    /// Why the configuration may not pass on the variable of this name; nil if it may.
    static func problem(of name: String) -> String? {
        guard isName(name) else { return "which cannot be the name of a variable" }
        if SettingsSource.known.contains(name) && !ours.contains(name) || name.hasPrefix("AGENT_") {
            return "which is a setting of agent-init and not for commands"
        }
        if ours.contains(name) { return "which agent-init sets itself for every command" }
        let parts = name.uppercased().split(separator: "_")
        for part in parts where secretEndings.contains(where: part.hasSuffix) {
            return "which by its name (\(part)) is a secret: commands get none; give what they need by a proxy"
        }
        return nil
    }

    /// Refuses a value of the configuration's that has a secret in it.
    ///
    /// - Throws: `StartError(.configuration)` with the variable's name, never its value.
    package func refuse(where hasSecret: (String) -> Bool) throws(StartError) {
        for (name, value) in additions.sorted(by: { $0.key < $1.key }) where hasSecret(value) {
            throw .setting(
                "AGENT_COMMAND_ENV",
                "names \(name), whose value has a secret in it (one of the secrets folder, or what "
                    + "has the form of a credential)", accepted: "variables without secrets")
        }
    }
}
