// swift-tools-version: 6.2
import PackageDescription

// Every target of ours is built in Swift 6 mode with warnings as errors. The flags are the ones that were measured to
// build clean with all dependencies (docs/ARCHITECTURE.md, "Build").
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// `agent-init` and `agent-jail` are wholly static: they start in under a millisecond and need nothing of the image.
let staticExecutable: [LinkerSetting] = [.unsafeFlags(["-static-executable"])]

// `agentd` carries the Swift runtime with it, so the image needs only Debian's libcurl, libsqlite3 and libnats.
// FoundationEssentials' own libraries are named because only a module compiled with -static-stdlib names them itself.
let staticRuntime: [LinkerSetting] = [
    .unsafeFlags(["-static-stdlib", "-l_FoundationCollections", "-l_FoundationCShims", "-lswiftSynchronization"])
]

// A loop that does not say what it starts: with it scripts/test builds the fault that the tests of resume must find.
let planted: [SwiftSetting] =
    Context.environment["AGENT_INIT_WITHOUT_STARTED"] == nil ? [] : [.define("WITHOUT_STARTED")]

let package = Package(
    name: "agent-init",
    products: [
        .executable(name: "agent-init", targets: ["agent-init"]),
        .executable(name: "agent-jail", targets: ["agent-jail"]),
        .executable(name: "agentd", targets: ["agentd"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    ],
    targets: [
        // The kernel, in C: what Swift cannot call (variadic syscalls) and what must follow a fork.
        .target(name: "CLinux"),
        // What agentd writes to stderr when it dies.
        .target(name: "CCrash"),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CNATS", providers: [.apt(["libnats-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

        // Pure values.
        .target(name: "Contracts", swiftSettings: strict),
        .target(name: "Events", swiftSettings: strict),

        // The kernel, typed.
        .target(name: "LinuxSystem", dependencies: ["CLinux"], swiftSettings: strict),

        // What no text may hold that leaves a process of ours.
        .target(name: "SecretRedaction", dependencies: ["LinuxSystem"], swiftSettings: strict),

        // The agent: seams, loop, tools. No C library.
        .target(
            name: "Agent", dependencies: ["Contracts", "Events", "LinuxSystem", "SecretRedaction"],
            swiftSettings: strict + planted),

        // What all that speaks HTTP by libcurl has in common.
        .target(name: "HTTP", dependencies: ["Agent", "Contracts", "CCurl"], swiftSettings: strict),

        // Implementations of the agent's seams.
        .target(name: "SQLite", dependencies: ["CSQLite"], swiftSettings: strict),
        .target(
            name: "Providers", dependencies: ["Agent", "Contracts", "Events", "HTTP", "LinuxSystem", "CCurl"],
            swiftSettings: strict),
        .target(
            name: "Stores", dependencies: ["Agent", "Events", "SQLite", "LinuxSystem", "CCrypto"], swiftSettings: strict
        ),
        .target(
            name: "ObjectStores", dependencies: ["Agent", "Contracts", "HTTP", "LinuxSystem", "CCurl", "CCrypto"],
            swiftSettings: strict),
        // Snapshots of a checkpoint in an object store, and who owns a job among all volumes.
        .target(
            name: "Snapshots", dependencies: ["Agent", "Events", "LinuxSystem", "Stores"], swiftSettings: strict),
        .target(name: "Sinks", dependencies: ["Events", "LinuxSystem", "CNATS"], swiftSettings: strict),
        .target(
            name: "Gateway",
            dependencies: [
                "Agent", "Contracts", "Events", "SQLite", "LinuxSystem", "SecretRedaction",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),

        // The two static programs, as libraries, so that tests can reach them.
        .target(
            name: "Supervisor", dependencies: ["Contracts", "LinuxSystem", "CLinux", "SecretRedaction"],
            swiftSettings: strict),
        .target(name: "Jail", dependencies: ["Contracts", "LinuxSystem", "CLinux"], swiftSettings: strict),

        .executableTarget(
            name: "agent-init", dependencies: ["Supervisor"], swiftSettings: strict, linkerSettings: staticExecutable),
        .executableTarget(
            name: "agent-jail", dependencies: ["Jail"], swiftSettings: strict,
            linkerSettings: staticExecutable),
        .executableTarget(
            name: "agentd",
            dependencies: [
                "Agent", "CCrash", "Contracts", "Events", "HTTP", "Providers", "Stores", "ObjectStores", "Snapshots",
                "Sinks", "Gateway", "Jail", "LinuxSystem", "SecretRedaction",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict, linkerSettings: staticRuntime),

        // Tests. A conformance suite is a library: every implementation of a seam runs it.
        .target(
            name: "AgentFixtures", dependencies: ["Agent", "Contracts", "Events", "LinuxSystem"],
            path: "Tests/AgentFixtures", swiftSettings: strict),
        .target(
            name: "CheckpointStoreConformance", dependencies: ["Agent", "Events", "AgentFixtures"],
            path: "Tests/CheckpointStoreConformance", swiftSettings: strict),
        .testTarget(
            name: "AgentTests",
            dependencies: [
                "Agent", "Contracts", "Events", "LinuxSystem", "AgentFixtures", "CheckpointStoreConformance",
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "checkpoint-benchmark", dependencies: ["Agent", "Events", "LinuxSystem", "Stores"],
            path: "Benchmarks/Checkpoint", swiftSettings: strict, linkerSettings: staticRuntime),
        .executableTarget(
            name: "jail-benchmark", dependencies: ["Agent", "Contracts", "LinuxSystem"], path: "Benchmarks/Jail",
            swiftSettings: strict, linkerSettings: staticRuntime),
        .target(
            name: "ProviderConformance", dependencies: ["Agent", "Events"],
            path: "Tests/ProviderConformance", swiftSettings: strict),
        .testTarget(
            name: "ProvidersTests",
            dependencies: [
                "Agent", "AgentFixtures", "Contracts", "Events", "HTTP", "LinuxSystem", "Providers",
                "ProviderConformance",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "StoresTests",
            dependencies: [
                "Agent", "Events", "Stores", "SQLite", "LinuxSystem", "AgentFixtures", "CheckpointStoreConformance",
            ],
            swiftSettings: strict),
        .target(
            name: "ObjectStoreConformance", dependencies: ["Agent", "AgentFixtures", "LinuxSystem"],
            path: "Tests/ObjectStoreConformance", swiftSettings: strict),
        .testTarget(
            name: "ObjectStoresTests",
            dependencies: [
                "Agent", "AgentFixtures", "Contracts", "HTTP", "LinuxSystem", "ObjectStoreConformance", "ObjectStores",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "SnapshotsTests",
            dependencies: ["Agent", "AgentFixtures", "LinuxSystem", "ObjectStores", "Snapshots", "Stores"],
            swiftSettings: strict),
        .testTarget(name: "EventsTests", dependencies: ["Events"], swiftSettings: strict),
        .testTarget(
            name: "SQLiteTests", dependencies: ["SQLite", "LinuxSystem", "AgentFixtures"], swiftSettings: strict),
        .target(
            name: "EventSinkConformance", dependencies: ["Events"], path: "Tests/EventSinkConformance",
            swiftSettings: strict),
        .testTarget(
            name: "SinksTests",
            dependencies: ["Events", "Sinks", "LinuxSystem", "CNATS", "AgentFixtures", "EventSinkConformance"],
            swiftSettings: strict),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Agent", "Contracts", "Events", "Gateway", "SQLite", "LinuxSystem", "SecretRedaction", "AgentFixtures",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "SecretRedactionTests", dependencies: ["AgentFixtures", "LinuxSystem", "SecretRedaction"],
            swiftSettings: strict),
        .testTarget(name: "ContractsTests", dependencies: ["Contracts"], swiftSettings: strict),
        .target(
            name: "JailConformance", dependencies: ["Contracts", "Jail", "LinuxSystem", "CLinux"],
            path: "Tests/JailConformance",
            swiftSettings: strict),
        .testTarget(
            name: "JailTests", dependencies: ["Contracts", "Jail", "JailConformance", "LinuxSystem", "CLinux"],
            swiftSettings: strict),
        .testTarget(
            name: "SupervisorTests",
            dependencies: ["AgentFixtures", "Contracts", "LinuxSystem", "SecretRedaction", "Supervisor"],
            swiftSettings: strict),
    ]
)
