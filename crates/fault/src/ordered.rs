//! A proxy as JSON orders it, with whatever is left out left out.

use serde::{Deserialize, de::IgnoredAny};

use crate::{Address, FaultError};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ordered {
    pub(crate) name: Option<String>,
    pub(crate) listen: Option<String>,
    pub(crate) upstream: Option<String>,
    pub(crate) enabled: Option<bool>,
    /// Clients that send a proxy back send what toxics it had when they saw it last. They are changed
    /// under paths of their own.
    pub(crate) toxics: Option<Vec<IgnoredAny>>,
}

impl Ordered {
    /// Name, and what is given on beside it, of a proxy that is to be made.
    pub(crate) fn complete(self) -> Result<(String, Address, Address, bool), FaultError> {
        let given = |value: Option<String>, field: &str| {
            let value = value.filter(|value| !value.is_empty());
            value.ok_or_else(|| FaultError::MissingField(field.to_owned()))
        };
        let name = given(self.name, "name")?;
        let upstream = address(&given(self.upstream, "upstream")?)?;
        let listen = self.listen.filter(|listen| !listen.is_empty());
        let listen = address(listen.as_deref().unwrap_or("127.0.0.1:0"))?;
        if self.toxics.is_some_and(|toxics| !toxics.is_empty()) {
            return Err(FaultError::Fixed("toxics"));
        }
        Ok((name, listen, upstream, self.enabled.unwrap_or(true)))
    }
}

/// Toxiproxy takes `:PORT` for all of the machine's addresses. The faults of this proxy are nobody
/// else's, so here it is loopback, and all addresses have to be asked for.
pub(crate) fn address(text: &str) -> Result<Address, FaultError> {
    if text.starts_with(':') {
        return format!("127.0.0.1{text}")
            .parse()
            .map_err(|_| FaultError::Address(text.to_owned()));
    }
    text.parse()
}
