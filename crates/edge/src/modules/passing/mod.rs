//! What all families share that pass a request on: `proxy`, `fastcgi`, `uwsgi`.
//!
//! nginx writes the same thirty directives once for each of them. Here they are one set of settings
//! ([`Passing`]), whose rows `passing_directives` makes under each family's prefix; what the
//! client's body becomes ([`Outbound`]), which upstream a name means ([`destination`]), and what the
//! client gets of the answer ([`ResponseRules`]). It knows no protocol: the bytes that ask, and what
//! the upstream's bytes mean, belong to the family and to `upstream/`.

mod cookie; // Set-Cookie as seen from outside
pub mod destination; // which upstream a name means
mod params; // the request as CGI variables
mod cgi; // passing on by way of them
mod outbound; // the client's body, on its way on
mod response; // what the client is told
mod rewrite; // places as seen from outside
mod settings; // the directives
mod settle; // what a location makes of them

pub use cgi::{Dialect, Packet, To};
pub use cookie::{CookieRewrites, Domain, Flags, value as cookie_value};
pub use outbound::{BodyLength, BodyRules, Outbound, UnknownLength};
pub use params::{Param, Params};
pub use response::ResponseRules;
pub use rewrite::{Pattern, Rewrites, Rule};
pub(super) use settings::passing_directives;
pub use settings::{PLACES, Passing, Set};

/// Whether asking twice does no more than asking once. nginx counts so, and not as RFC 9110 does.
pub fn is_idempotent(method: &[u8]) -> bool {
    !matches!(method, b"POST" | b"LOCK" | b"PATCH")
}
