import Glibc
import HTTP
import ProviderConformance
import Providers

/// Proxies that do not exist, in the environment of all these tests: libcurl would read them by itself. They are set
/// once and before the first exchange, as setenv(3) must not run beside getenv(3).
private let misleadingEnvironment: Void = {
    for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"] { setenv(name, "http://127.0.0.1:1", 1) }
}()

/// A configuration for the loopback, with short times where they are wanted.
func configuration(_ baseURL: String, _ time: ShortTimes = ShortTimes()) throws -> ProviderConfiguration {
    _ = misleadingEnvironment
    var configuration = ProviderConfiguration(
        baseURL: baseURL, key: LLMProviderConformance.key,
        network: try HTTPConfiguration(environment: [:]))
    let standard = configuration.deadlines
    configuration.deadlines.connect = time.connect ?? standard.connect
    configuration.deadlines.firstByte = time.firstByte ?? standard.firstByte
    configuration.deadlines.byteIdle = time.byteIdle ?? standard.byteIdle
    configuration.deadlines.progressIdle = time.progressIdle ?? standard.progressIdle
    configuration.deadlines.trailer = time.trailer ?? standard.trailer
    configuration.limits.event = time.eventLimit ?? configuration.limits.event
    configuration.limits.body = time.bodyLimit ?? configuration.limits.body
    return configuration
}
