//! Where a suite is run, and with what.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use url::Url;

/// A request that is about to be sent: whose turn it is.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    pub file: &'a Path,
    /// Of the entry.
    pub line: usize,
    /// Counted from 1 over all requests of a run of the file: entries, retries and redirects.
    pub number: usize,
}

type FieldOfTurn = dyn Fn(Turn<'_>) -> (String, String) + Send + Sync;

/// Where a suite is run, and with what.
#[derive(Clone)]
pub struct Target {
    /// What `{{base}}` stands for, without a slash at the end.
    pub base: Url,
    /// Where the base is to be found, when its name alone does not lead there.
    pub address: Option<SocketAddr>,
    /// The certificates that an https base is trusted by.
    pub ca: Option<PathBuf>,
    /// More of the files' variables. `base` is not one of them.
    pub variables: BTreeMap<String, String>,
    /// For one request, unless its entry says otherwise.
    pub time: Duration,
    /// Of an answer, in bytes.
    pub max_body: usize,
    /// Goes on in a file after an entry that failed, as a comparison has to.
    pub continue_on_error: bool,
    field: Option<Arc<FieldOfTurn>>,
}

impl Target {
    pub fn new(base: Url) -> Target {
        Target {
            base,
            address: None,
            ca: None,
            variables: BTreeMap::new(),
            time: Duration::from_secs(30),
            max_body: 256 << 20,
            continue_on_error: false,
            field: None,
        }
    }

    /// Adds a header field to each request, by which its ways can be followed.
    #[must_use]
    pub fn with_field(
        mut self,
        field: impl Fn(Turn<'_>) -> (String, String) + Send + Sync + 'static,
    ) -> Target {
        self.field = Some(Arc::new(field));
        self
    }

    pub(crate) fn field(&self, turn: Turn<'_>) -> Option<(String, String)> {
        self.field.as_ref().map(|field| field(turn))
    }

    /// `base` as it stands in a URL of a file.
    pub(crate) fn base_text(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Target").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

#[derive(Debug, Error)]
pub enum TargetError {
    #[error("the base \"{0}\" is neither http nor https")]
    Scheme(Url),
    #[error("the base \"{0}\" has a query or a fragment")]
    Query(Url),
    #[error("an https base needs the file of the CA that its certificate is from")]
    NoCa,
    #[error("the CA file \"{file}\": {error}")]
    Ca { file: PathBuf, error: String },
    #[error("the variable \"base\" is what the suite is run against; it cannot be given twice")]
    BaseVariable,
}
