//! Which location a URI means: exact, longest prefix, then patterns, as nginx's `location` has it.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use crate::{
    exchange::Exchange,
    load::{Location, Name},
};

/// The locations of one block.
#[derive(Default)]
pub struct Locations {
    exact: HashMap<Vec<u8>, Arc<Location>>,
    /// In the order of their bytes, so that a name is found by halving.
    prefixes: Vec<(Vec<u8>, Arc<Location>)>,
    /// Whether one of them asks for its slash, so that it must be looked for at all.
    any_wants_slash: bool,
    /// In the order of the file: the first that matches is the one.
    patterns: Vec<Arc<Location>>,
}

/// What was found for a URI.
pub enum Found {
    Location(Arc<Location>),
    /// `/x` where only `/x/` has a handler that wants the slash: a redirect for the client.
    MissingSlash,
    /// None: the server's own block stays in force.
    Nothing,
}

impl Locations {
    pub fn add(&mut self, location: Arc<Location>) -> Result<(), String> {
        let duplicate = |text: &str| format!("duplicate location \"{text}\"");
        match &location.name {
            Name::Exact(text) => {
                if self.exact.contains_key(text.as_bytes()) {
                    return Err(duplicate(text));
                }
                self.exact.insert(text.clone().into_bytes(), location);
            }
            Name::Prefix(text) | Name::FinalPrefix(text) => {
                let bytes = text.as_bytes();
                let place = self.prefixes.binary_search_by(|(other, _)| other[..].cmp(bytes));
                let Err(place) = place else { return Err(duplicate(text)) };
                self.any_wants_slash |= location.plan.wants_slash;
                self.prefixes.insert(place, (bytes.to_vec(), Arc::clone(&location)));
            }
            Name::Pattern(..) => self.patterns.push(location),
            Name::Outer | Name::Named(_) => {
                unreachable!("only locations that are found by their URI are listed")
            }
        }
        Ok(())
    }

    /// Looks for the location of the exchange's URI. A pattern that matches leaves its captures.
    pub fn find(&self, exchange: &mut Exchange) -> Found {
        let uri = exchange.uri.clone();
        match self.search(exchange, &uri) {
            Some(Match { by: By::MissingSlash, .. }) => Found::MissingSlash,
            Some(Match { location, .. }) => Found::Location(location),
            None => Found::Nothing,
        }
    }

    fn search(&self, exchange: &mut Exchange, uri: &Bytes) -> Option<Match> {
        if let Some(location) = self.exact.get(&uri[..]) {
            return Some(Match { location: Arc::clone(location), by: By::Exact });
        }
        if let Some(location) = self.wants_slash(uri) {
            return Some(Match { location: Arc::clone(location), by: By::MissingSlash });
        }
        let mut found = None;
        if let Some(location) = self.longest_prefix(uri) {
            // What is inside is asked first; a pattern or an exact name in there decides.
            match location.locations.search(exchange, uri) {
                Some(inner) if inner.by != By::Prefix => return Some(inner),
                inner => {
                    let outer = || Match { location: Arc::clone(location), by: By::Prefix };
                    found = Some(inner.unwrap_or_else(outer));
                }
            }
            if matches!(location.name, Name::FinalPrefix(_)) {
                return found;
            }
        }
        for location in &self.patterns {
            let Name::Pattern(pattern, _) = &location.name else {
                unreachable!("only patterns are listed here")
            };
            let matched = if pattern.captures() {
                pattern.matches(exchange, uri)
            } else {
                pattern.is_match(uri)
            };
            if matched {
                let inner = location.locations.search(exchange, uri);
                let location = inner.map_or_else(|| Arc::clone(location), |inner| inner.location);
                return Some(Match { location, by: By::Pattern });
            }
        }
        found
    }

    /// The name that is next to the URI in order, if the URI begins with it; if not, a name the URI
    /// does begin with is in what the two have in common, and is looked for there.
    fn longest_prefix(&self, uri: &[u8]) -> Option<&Arc<Location>> {
        let mut rest = uri;
        loop {
            let above = self.prefixes.partition_point(|(prefix, _)| prefix[..] <= *rest);
            let (prefix, location) = &self.prefixes[above.checked_sub(1)?];
            if rest.starts_with(prefix) {
                return Some(location);
            }
            let common = prefix.iter().zip(rest).take_while(|(one, other)| one == other).count();
            rest = &rest[..common];
        }
    }

    /// `location /x/` with a handler that wants its slash, where the URI is `/x`.
    fn wants_slash(&self, uri: &[u8]) -> Option<&Arc<Location>> {
        if !self.any_wants_slash {
            return None;
        }
        let name = || uri.iter().chain(b"/");
        let place = self.prefixes.binary_search_by(|(prefix, _)| prefix.iter().cmp(name())).ok()?;
        let (_, location) = &self.prefixes[place];
        location.plan.wants_slash.then_some(location)
    }
}

struct Match {
    location: Arc<Location>,
    by: By,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Exact,
    MissingSlash,
    Prefix,
    Pattern,
}
