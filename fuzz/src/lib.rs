//! What reads bytes from the network or a file, fed with bytes that nobody meant: it may refuse them,
//! and must neither panic nor hang. Where a property is known (a split changes nothing, what is
//! normal stays as it is), it is asserted as well.
//!
//! A target is a function of bytes. Two drivers call it: libFuzzer, coverage-guided and for minutes
//! (`libfuzzer/`, by `cargo xtask fuzz`), and a plain test, for seconds, on the seeds and what is near
//! them (`near_seeds.rs`). Input that broke something is added to the seeds.

mod configuration; // nginx.conf, up to the settled blocks
mod uri; // a target to a path
mod head_lines; // request line, status line, fields
mod chunked; // a body's framing
mod connection; // everything a client may send, to a whole server
mod response_head; // what an upstream may send
mod fastcgi_answer; // an application's answer, to the edge
mod fastcgi_records; // both ends
mod cgi_head; // the head of a FastCGI or uwsgi response
mod http2_frames; // frame heads, header blocks
mod gateway_head; // what a client may send to the gateway
mod dns_reply; // what a name server may send
pub mod sys; // no name is looked up

#[cfg(test)]
mod near_seeds;

pub struct Target {
    /// Also the folder of its seeds.
    pub name: &'static str,
    pub run: fn(&[u8]),
}

pub const TARGETS: &[Target] = &[
    Target { name: "configuration", run: configuration::run },
    Target { name: "uri", run: uri::run },
    Target { name: "head_lines", run: head_lines::run },
    Target { name: "chunked", run: chunked::run },
    Target { name: "connection", run: connection::http1 },
    Target { name: "connection_http2", run: connection::http2 },
    Target { name: "response_head", run: response_head::run },
    Target { name: "fastcgi_answer", run: fastcgi_answer::run },
    Target { name: "fastcgi_records", run: fastcgi_records::run },
    Target { name: "cgi_head", run: cgi_head::run },
    Target { name: "http2_frames", run: http2_frames::run },
    Target { name: "gateway_head", run: gateway_head::run },
    Target { name: "dns_reply", run: dns_reply::run },
];

/// The first byte says where the rest is cut in two: a parser must not care in what pieces it comes.
fn cut(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (first, whole) = data.split_first()?;
    let at = usize::from(*first) % (whole.len() + 1);
    Some((whole, &whole[..at], &whole[at..]))
}
