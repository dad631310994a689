//! The settings that are a word each, and what nginx does where nobody says them.

use std::time::Duration;

use super::{Core, HTTP, HTTP_IF, SERVER};
use crate::{
    conf::ConfError,
    load::{Args, settings},
};

settings! { Core.settings: Settings, ROWS = {
    satisfy(HTTP): Satisfy = Satisfy::All, |args| match args.word(0) {
        "all" => Ok(Satisfy::All),
        "any" => Ok(Satisfy::Any),
        word => Err(args.complain(format!("invalid value \"{word}\""))),
    };

    // The request's head.
    client_header_timeout(SERVER): Duration = MINUTE, |args| args.time(0);
    /// One buffer grows as it is needed; the size is read so that a wrong one is named.
    client_header_buffer_size(SERVER): u64 = 1 << 10, |args| args.size(0);
    max_headers(SERVER): usize = 1000, |args| args.number(0);
    merge_slashes(SERVER): bool = true, |args| args.flag();
    underscores_in_headers(SERVER): bool = false, |args| args.flag();
    ignore_invalid_headers(SERVER): bool = true, |args| args.flag();

    // What is sent.
    send_timeout(HTTP): Duration = MINUTE, |args| args.time(0);
    sendfile(HTTP_IF): bool = false, |args| args.flag();
    tcp_nopush(HTTP): bool = false, |args| args.flag();
    tcp_nodelay(HTTP): bool = true, |args| args.flag();
    chunked_transfer_encoding(HTTP): bool = true, |args| args.flag();
    absolute_redirect(HTTP): bool = true, |args| args.flag();
    server_name_in_redirect(HTTP): bool = false, |args| args.flag();
    port_in_redirect(HTTP): bool = true, |args| args.flag();
    log_not_found(HTTP): bool = true, |args| args.flag();

    msie_padding(HTTP): bool = true, |args| args.flag();
    msie_refresh(HTTP): bool = false, |args| refuse_on(args);
    log_subrequest(HTTP): bool = false, |args| refuse_on(args);

    // How a connection ends.
    keepalive_time(HTTP): Duration = Duration::from_hours(1), |args| args.time(0);
    /// How long a client may count on its connection also when the server ends.
    keepalive_min_timeout(HTTP): Duration = Duration::ZERO, |args| args.time(0);
    keepalive_requests(HTTP): u64 = 1000, |args| args.number(0);
    lingering_close(HTTP): LingeringClose = LingeringClose::On, LingeringClose::read;
    lingering_time(HTTP): Duration = Duration::from_secs(30), |args| args.time(0);
    lingering_timeout(HTTP): Duration = Duration::from_secs(5), |args| args.time(0);
    /// Whether a client that is not waited for any more is told so with a reset.
    reset_timedout_connection(HTTP): bool = false, |args| args.flag();
}}

const MINUTE: Duration = Duration::from_mins(1);

fn refuse_on(args: &Args<'_>) -> Result<bool, ConfError> {
    if args.flag()? {
        return Err(args.refuse("is \"on\": nginx has this; the edge does not yet"));
    }
    Ok(false)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Satisfy {
    All,
    Any,
}

/// When a connection is read on before it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LingeringClose {
    Off,
    /// Where the client may still be sending.
    On,
    Always,
}

impl LingeringClose {
    fn read(args: &Args<'_>) -> Result<LingeringClose, ConfError> {
        match args.word(0) {
            "off" => Ok(LingeringClose::Off),
            "on" => Ok(LingeringClose::On),
            "always" => Ok(LingeringClose::Always),
            word => Err(args.complain(format!("invalid value \"{word}\""))),
        }
    }
}
