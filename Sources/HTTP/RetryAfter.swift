import CCurl

/// When the provider wants to be asked again.
package enum RetryAfter {
    /// `retry-after-ms`, else `retry-after` as a number of seconds, else as a date. What is not in the future counts as
    /// absent. A date is taken against the answer's own `date`, so that it does not matter what our clock says; only if
    /// there is none against `now`, in milliseconds since 1970.
    ///
    /// - Returns: milliseconds from now, at most a year.
    package static func milliseconds(_ head: HTTPHead, now: Int64) -> Int64? {
        if let text = head["retry-after-ms"], let wish = duration(Double(text)) { return wish }
        guard let text = head["retry-after"] else { return nil }
        if let seconds = Double(text) { return duration(seconds * 1000) }
        // curl_getdate(3) knows the three forms of HTTP; -1 is none of them.
        let date = curl_getdate(text, nil)
        let answered = head["date"].map { curl_getdate($0, nil) } ?? -1
        return date < 0 ? nil : duration(Double(date) * 1000 - (answered < 0 ? Double(now) : Double(answered) * 1000))
    }

    private static func duration(_ milliseconds: Double?) -> Int64? {
        guard let milliseconds, milliseconds.isFinite, milliseconds > 0 else { return nil }
        return Int64(min(milliseconds, 365 * 86_400_000).rounded(.up))
    }
}
