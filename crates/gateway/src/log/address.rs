//! Hosts and ports as `--statsd-host` and `--log-syslog-to` have them.

/// `HOST:PORT`, `[ADDRESS]:PORT`, or either without its port.
pub(super) fn host_and_port(text: &str, default: u16) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None => default,
        Some(port) => port.parse().map_err(|_| format!("\"{port}\" is not a port"))?,
    };
    let host = if host.is_empty() { "localhost" } else { host };
    Ok((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn either_may_be_missing() {
        for (text, host, port) in [
            ("a:1", "a", 1),
            ("A", "a", 514),
            (":1", "localhost", 1),
            ("", "localhost", 514),
            ("[::1]:2", "::1", 2),
            ("[::1]", "::1", 514),
        ] {
            assert_eq!(host_and_port(text, 514), Ok((host.to_owned(), port)), "{text:?}");
        }
        assert!(host_and_port("a:b", 514).is_err());
        assert!(host_and_port("::1", 514).is_err());
    }
}
