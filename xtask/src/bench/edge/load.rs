//! One run of a load generator against one server, and what the server's processes used meanwhile.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Sample, Server, Subject, find, number_before, wrk};
use crate::bench::Load;

const CONNECTIONS: u32 = 32;

/// Streams of HTTP/2 that a connection has open at a time.
const STREAMS: u32 = 8;

pub(super) fn measure(subject: Subject, server: &Server, seconds: u64) -> Result<Sample> {
    let before = server.running.cpu_seconds();
    let load = match subject {
        Subject::Static => wrk(&server.url("/1k.txt"), CONNECTIONS, seconds)?,
        Subject::Proxied => wrk(&server.url("/proxied"), CONNECTIONS, seconds)?,
        Subject::Http2 => h2load(&server.tls_url("/1k.txt"), seconds)?,
    };
    let cpu = server.running.cpu_seconds() - before;
    ensure!(load.requests > 0.0, "{} answers nothing: {}", server.name, subject.name());
    Ok(Sample {
        subject,
        server: server.name,
        requests_per_second: load.requests_per_second,
        microseconds: cpu * 1e6 / load.requests.max(1.0),
        errors: load.errors,
    })
}

fn h2load(url: &str, seconds: u64) -> Result<Load> {
    let mut command = Command::new(find("h2load").context("seen above")?);
    command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-m{STREAMS}")]);
    let output = command.args([&format!("-D{seconds}"), url]).output();
    let output = output.context("cannot start h2load")?;
    let text = String::from_utf8_lossy(&output.stdout);
    read(&text).with_context(|| format!("h2load said:\n{text}"))
}

/// `finished in 5.01s, 12345.60 req/s, 13.1MB/s`, and
/// `requests: 61728 total, 61728 started, 61728 done, 61728 succeeded, 0 failed, 0 errored, 0 timeout`.
fn read(text: &str) -> Option<Load> {
    let requests = text.lines().find_map(|line| line.strip_prefix("requests: "))?;
    let succeeded = number_before(requests, " succeeded")?;
    let failures = [" failed", " errored", " timeout"];
    let failures: f64 = failures.iter().filter_map(|what| number_before(requests, what)).sum();
    Some(Load {
        requests: succeeded,
        requests_per_second: number_before(text, " req/s")?,
        errors: failures as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_h2load_says_is_read() {
        let text = "finished in 5.01s, 12345.60 req/s, 13.1MB/s\n\
                    requests: 70 total, 70 started, 70 done, 61 succeeded, 4 failed, 3 errored, 2 timeout\n";
        let load = read(text).unwrap();
        assert_eq!((load.requests, load.requests_per_second, load.errors), (61.0, 12345.6, 9));
        assert!(read("no").is_none());
    }
}
