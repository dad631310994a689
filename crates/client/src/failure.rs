//! Errors of the network into sentences: what failed, in words of the matter.
//!
//! The library wraps the cause several times over ("error sending request"); whoever reads the
//! message wants the innermost one, and of the usual ones what it means.

use std::error::Error;
use std::io;
use std::time::Duration;

/// Why a request got no answer, or not a whole one. Reads on from "could not fetch …: ".
pub fn sentence(error: &reqwest::Error, timeout: Duration) -> String {
    if error.is_timeout() {
        return format!("no whole answer within {} s", timeout.as_secs_f64());
    }
    let host = error.url().and_then(url::Url::host_str).unwrap_or("the host").to_owned();
    let port = error.url().and_then(url::Url::port_or_known_default).unwrap_or(80);
    let innermost = causes(error).last().map_or_else(|| error.to_string(), ToString::to_string);
    let kind =
        causes(error).find_map(|cause| cause.downcast_ref::<io::Error>().map(io::Error::kind));
    if error.is_dns() || innermost.contains("failed to lookup address") {
        return format!("the name \"{host}\" is not known");
    }
    if let Some(why) = innermost.strip_prefix("invalid peer certificate: ") {
        return format!(
            "the certificate of {host} is not accepted ({why}); --insecure accepts any"
        );
    }
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => {
            format!("nothing listens at {host} port {port} (connection refused)")
        }
        Some(io::ErrorKind::ConnectionReset) => {
            "the server reset the connection before the answer was complete".to_owned()
        }
        Some(io::ErrorKind::UnexpectedEof) => {
            "the server closed the connection before the answer was complete".to_owned()
        }
        _ if innermost.contains("before message completed") => {
            "the server closed the connection before the answer was complete".to_owned()
        }
        _ if innermost.starts_with("invalid HTTP") => {
            format!("what answers at {host} port {port} does not speak HTTP ({innermost})")
        }
        _ if error.is_connect() => format!("no connection to {host} port {port}: {innermost}"),
        _ => innermost,
    }
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause: &&'a (dyn Error + 'static)| cause.source())
}
