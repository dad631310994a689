//! What can be ordered of the HTTP toxics, which are ours and not Toxiproxy's. On the downstream each
//! acts on responses, on the upstream on requests. `first` and `path` mean the same for all of them:
//! which requests are taken, or their responses.

use serde::{Deserialize, Serialize};

/// More than any server takes; and a client may put many requests into one packet.
const LARGEST_HEADER: u64 = 1024 * 1024;

/// The connection is closed without an answer: on the upstream before the server has seen the
/// request, on the downstream when it has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpDrop {
    /// Only so many requests; 0 for all.
    pub first: u64,
    /// Only requests whose target begins so.
    pub path: String,
}

/// Another status: on the upstream instead of asking the server, on the downstream instead of what it
/// has answered. The connection is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpStatus {
    pub status: u16,
    pub first: u64,
    pub path: String,
}

/// The body is cut after so many bytes (chunks' own lines count), and the connection closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpTruncate {
    pub bytes: u64,
    pub first: u64,
    pub path: String,
}

/// Content-Length is off; the body is what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpWrongLength {
    /// Added to the length; negative to take off.
    pub offset: i64,
    pub first: u64,
    pub path: String,
}

/// The body comes in chunks, and the first line of them is no size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpBadChunk {
    pub first: u64,
    pub path: String,
}

/// One more field, `X-Fault`, of so many bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpHugeHeader {
    pub bytes: u64,
    pub first: u64,
    pub path: String,
}

/// The head passes, the body waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpStall {
    /// Milliseconds; 0 until the toxic is removed.
    pub delay: u64,
    pub first: u64,
    pub path: String,
}

/// A field comes twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpDuplicateHeader {
    pub name: String,
    /// Of the second one; the same again if empty.
    pub value: String,
    pub first: u64,
    pub path: String,
}

/// The head comes one byte at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSlowHead {
    /// Milliseconds between two bytes.
    pub delay: u64,
    pub first: u64,
    pub path: String,
}

impl Default for HttpStatus {
    fn default() -> HttpStatus {
        HttpStatus { status: 503, first: 0, path: String::new() }
    }
}

impl Default for HttpWrongLength {
    fn default() -> HttpWrongLength {
        HttpWrongLength { offset: 1, first: 0, path: String::new() }
    }
}

impl Default for HttpHugeHeader {
    fn default() -> HttpHugeHeader {
        HttpHugeHeader { bytes: 64 * 1024, first: 0, path: String::new() }
    }
}

impl Default for HttpDuplicateHeader {
    fn default() -> HttpDuplicateHeader {
        let name = "Content-Length".to_owned();
        HttpDuplicateHeader { name, value: String::new(), first: 0, path: String::new() }
    }
}

impl Default for HttpSlowHead {
    fn default() -> HttpSlowHead {
        HttpSlowHead { delay: 100, first: 0, path: String::new() }
    }
}

impl HttpStatus {
    pub(super) fn check(&self) -> Result<(), String> {
        if (200..600).contains(&self.status) {
            return Ok(());
        }
        Err(format!("status {} is not between 200 and 599", self.status))
    }
}

impl HttpWrongLength {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.offset == 0 { Err("offset 0 is the right length".to_owned()) } else { Ok(()) }
    }
}

impl HttpHugeHeader {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.bytes <= LARGEST_HEADER {
            return Ok(());
        }
        Err(format!("bytes {} are more than {LARGEST_HEADER}", self.bytes))
    }
}

impl HttpDuplicateHeader {
    pub(super) fn check(&self) -> Result<(), String> {
        if !http1::is_token(self.name.as_bytes()) {
            return Err(format!("name \"{}\" is not a field's", self.name.escape_debug()));
        }
        if !http1::is_field_value(self.value.as_bytes()) {
            return Err(format!("value \"{}\" is not a field's", self.value.escape_debug()));
        }
        Ok(())
    }
}
