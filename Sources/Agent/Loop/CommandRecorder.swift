import Events

/// The attention of a running step: records what comes from outside as it comes, not only between two steps.
///
/// The gateway hands over one command at a time and waits until the journal has it. Were a message left unrecorded
/// while a command runs, the cancellation after it would have to wait for the command's end. The fold is made for it:
/// what a message says waits until no call and no request is open.
///
/// It also takes in what commands in the background print.
///
/// A cancellation itself is recorded only between steps, after the result of the call that it ends.
final class CommandRecorder: Attention {
    private let source: any LoopAttention
    private let background: BackgroundCommands
    private let record: (Event.CommandReceived) throws(StoreError) -> Void
    private var cancellations: [Event.CommandReceived] = []
    /// Why a command could not be recorded: the process must end.
    private var failure: StoreError?

    init(
        _ source: any LoopAttention, background: BackgroundCommands,
        record: @escaping (Event.CommandReceived) throws(StoreError) -> Void
    ) {
        self.source = source
        self.background = background
        self.record = record
    }

    var descriptors: [Int32] { source.descriptors + background.descriptors }

    func attend() -> Interruption? {
        background.pump()
        let interruption = source.attend()
        for command in source.takeCommands() {
            if command.kind == .cancel {
                cancellations.append(command)
            } else if failure == nil {
                do throws(StoreError) {
                    try record(command)
                } catch {
                    failure = error
                }
            }
        }
        if interruption == .stop || failure != nil { return .stop }
        return cancellations.isEmpty ? nil : .cancel
    }

    /// To be called between steps: records what was kept back.
    ///
    /// - Returns: whether the process has to stop.
    /// - Throws: `StoreError`, also one of an earlier `attend`.
    func settle() throws(StoreError) -> Bool {
        let interruption = attend()
        if let failure { throw failure }
        for command in cancellations { try record(command) }
        cancellations = []
        return interruption == .stop
    }
}
