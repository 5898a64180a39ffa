/// All tools: to add one, add its line here.
package struct ToolSet {
    package let all: [any Tool]

    package init(_ all: [any Tool]) { self.all = all }

    /// The tools of a job.
    package init(
        commands: JailedCommands, background: BackgroundCommands, tree: ProjectTree, longestCommand: Int64,
        hasAcceptance: Bool
    ) {
        self.init([
            ExecuteTool(commands: commands, longest: longestCommand, background: background),
            BackgroundTool(background: background),
            ReadFileTool(tree: tree),
            ListFilesTool(commands: commands),
            SearchTool(commands: commands),
            WriteFileTool(tree: tree),
            EditFileTool(tree: tree),
            PlanWriteTool(),
            TodoStageTool(),
            TodoUpdateTool(),
            BeginTacticalTool(),
            EndPhaseTool(),
            AskHumanTool(),
            JobCompleteTool(hasAcceptance: hasAcceptance),
        ])
    }

    /// What is offered to the model in a phase, in a fixed order, so that the provider's cache holds.
    package func offered(in phase: Phase) -> [ToolSpecification] {
        all.filter { $0.phases.contains(phase) }.map(\.specification)
    }

    package subscript(name: String) -> (any Tool)? { all.first { $0.specification.name == name } }
}
