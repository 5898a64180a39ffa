package import Agent
import Contracts
import Glibc

/// The way out: proxy and certificate authorities.
///
/// libcurl would read `http_proxy` (only in lower case), `HTTPS_PROXY` and `NO_PROXY` from the environment by itself.
/// They are given to it explicitly instead, empty ones included, so that what is used is what the settings say.
package struct HTTPConfiguration: Equatable, Sendable {
    /// For `http://` and `https://` URLs; nil is none.
    package let httpProxy: String?
    package let httpsProxy: String?
    /// Hosts, domains and networks that are reached directly, as in `NO_PROXY`.
    package let proxyExceptions: String?
    /// A PEM file with the certificate authorities; nil is the system's.
    package let authorities: String?

    /// - Parameters:
    ///   - httpProxy: `HTTP_PROXY` of the settings; empty is none. Likewise the next two.
    ///   - httpsProxy: `HTTPS_PROXY`.
    ///   - proxyExceptions: `NO_PROXY`.
    ///   - environment: of the process; `CURL_CA_BUNDLE` and then `SSL_CERT_FILE` are read.
    /// - Throws: `StartError(.configuration)` if the certificate file cannot be read; it names variable and file.
    package init(
        httpProxy: String? = nil, httpsProxy: String? = nil, proxyExceptions: String? = nil,
        environment: [String: String]
    ) throws(StartError) {
        self.httpProxy = Self.present(httpProxy)
        self.httpsProxy = Self.present(httpsProxy)
        self.proxyExceptions = Self.present(proxyExceptions)
        for value in [httpProxy, httpsProxy, proxyExceptions].compactMap(\.self) where !isHeaderSafe(value) {
            throw StartError(.configuration, "HTTP_PROXY, HTTPS_PROXY or NO_PROXY contains control characters")
        }
        // The curl program's order.
        for name in ["CURL_CA_BUNDLE", "SSL_CERT_FILE"] {
            guard let path = Self.present(environment[name]) else { continue }
            guard access(path, R_OK) == 0 else {
                throw StartError(
                    .configuration,
                    "\(name): the certificate file \(path) cannot be read (\(String(cString: strerror(errno)))); "
                        + "accepted: a readable PEM file")
            }
            authorities = path
            return
        }
        authorities = nil
    }

    /// Why the certificate file cannot be used now, nil if nothing can be said against it. It could be read when the process
    /// started; libcurl reads it at each connection, so that a new one is used from then on, and while one is being
    /// replaced it may be missing or empty.
    package var missingAuthorities: String? {
        guard let authorities else { return nil }
        let file = open(authorities, O_RDONLY | O_CLOEXEC)
        defer { if file >= 0 { close(file) } }
        var byte: UInt8 = 0
        let count = file < 0 ? -1 : read(file, &byte, 1)
        guard count >= 0 else {
            return "the certificate file \(authorities) cannot be read (\(String(cString: strerror(errno))))"
        }
        return count == 0 ? "the certificate file \(authorities) is empty" : nil
    }

    /// The proxy for a URL; empty is none.
    package func proxy(for url: String) -> String {
        (url.hasPrefix("https://") ? httpsProxy : httpProxy) ?? ""
    }

    /// What a proxy's URL carries before its `@`: libcurl quotes a URL that it cannot use.
    package var secrets: [String] {
        [httpProxy, httpsProxy].compactMap(\.self).compactMap { url in
            guard let mark = url.lastIndex(of: "@") else { return nil }
            let start = url.firstRange(of: "://")?.upperBound ?? url.startIndex
            return start < mark ? String(url[start..<mark]) : nil
        }
    }

    private static func present(_ text: String?) -> String? { text?.isEmpty == false ? text : nil }
}

/// True if a text can be part of a header or a URL: a line break in it would begin another header, and a NUL would end
/// it early for C.
package func isHeaderSafe(_ text: String) -> Bool {
    text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
}
