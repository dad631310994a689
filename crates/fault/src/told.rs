//! The lines about one connection: one when a toxic of bytes comes upon it, one for each request that a
//! toxic of HTTP takes.

use crate::{Journal, Toxic, http::Exchange};

pub(crate) struct Told {
    pub(crate) journal: Journal,
    /// How each of them begins.
    pub(crate) connection: String,
}

impl Told {
    pub(crate) fn applied(&self, toxic: &Toxic) {
        let attributes = serde_json::Value::Object(toxic.kind.attributes());
        self.write(toxic, format_args!("applied with {attributes} on the {}", toxic.stream.name()));
    }

    pub(crate) fn takes(&self, toxic: &Toxic, exchange: &Exchange, count: u64) {
        let first = toxic.kind.requests().map_or(0, |(first, _)| first);
        let of = if first == 0 { String::new() } else { format!(" ({count} of {first})") };
        self.write(toxic, format_args!("applied to {}{of}", exchange.request()));
    }

    pub(crate) fn leaves_alone(&self, toxic: &Toxic, exchange: &Exchange, missing: &str) {
        let request = exchange.request();
        self.write(toxic, format_args!("not applied to {request}: it has no {missing}"));
    }

    pub(crate) fn knows_nothing(&self, toxic: &Toxic) {
        self.write(toxic, format_args!("not applied: this is not HTTP/1"));
    }

    fn write(&self, toxic: &Toxic, what: std::fmt::Arguments<'_>) {
        let (begin, name, kind) = (&self.connection, &toxic.name, toxic.kind.type_name());
        self.journal.write(format_args!("{begin}: toxic \"{name}\" ({kind}) {what}"));
    }
}
