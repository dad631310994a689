//! `$fastcgi_script_name` and `$fastcgi_path_info`: the path cut in two by
//! `fastcgi_split_path_info`, and completed by `fastcgi_index` where it names a folder.

use bytes::Bytes;

use crate::{
    exchange::Exchange,
    regex::Regex,
    vars::{Variable, volatile},
};

pub struct Script {
    index: Bytes,
    split: Option<Regex>,
}

/// Other paths once a rewrite has made them so: never kept.
pub(super) const VARIABLES: &[Variable] = &[
    volatile("fastcgi_script_name", |exchange, _| Some(script_name(exchange))),
    volatile("fastcgi_path_info", |exchange, _| {
        let script = exchange.location.plan.fastcgi_script.as_ref();
        Some(script.map_or_else(Bytes::new, |script| script.cut(&exchange.uri).1))
    }),
];

fn script_name(exchange: &Exchange) -> Bytes {
    let Some(script) = &exchange.location.plan.fastcgi_script else { return exchange.uri.clone() };
    let (name, _) = script.cut(&exchange.uri);
    if name.ends_with(b"/") { [name, script.index.clone()].concat().into() } else { name }
}

impl Script {
    pub fn new(index: Bytes, split: Option<Regex>) -> Script {
        Script { index, split }
    }

    /// The script's name and what follows it.
    fn cut(&self, path: &Bytes) -> (Bytes, Bytes) {
        match self.split.as_ref().and_then(|split| split.capture(path)) {
            None => (path.clone(), Bytes::new()),
            Some(found) => (found.get(1).unwrap_or_default(), found.get(2).unwrap_or_default()),
        }
    }
}
