//! Where things lie on the machines it is written for. Each engine has its own answer.

use std::path::PathBuf;

use super::Elsewhere;
use crate::file::Hop;
use crate::probe::Address;

/// The machines of one engine. `hop` is a hop's name, with its number when there are several.
pub(super) trait Target {
    /// The application's folder.
    fn application(&self) -> PathBuf;
    /// Its virtual environment, or what stands for one.
    fn environment(&self) -> PathBuf;
    /// Where it may write.
    fn data(&self) -> PathBuf;
    /// What the hop reads and can not write.
    fn config(&self, hop: &str) -> PathBuf;
    /// What it writes and nobody keeps: its pid, bodies on their way.
    fn run(&self, hop: &str) -> PathBuf;
    fn logs(&self, hop: &str) -> Logs;
    /// `certificate.pem` and `key.pem` of the first hop.
    fn tls(&self) -> PathBuf;
    /// How many of them are described one by one; the engine may multiply one by itself.
    fn instances(&self, hop: &Hop) -> usize {
        hop.count
    }
    /// `at` is 0 for the first hop, and then counts every instance.
    fn socket(&self, at: usize, name: &str, hop: &Hop, elsewhere: &Elsewhere) -> Socket;
}

/// Where one instance is found.
pub(super) struct Socket {
    pub(super) listen: Address,
    /// By the hop before it, when that has another way than `listen`: a host's name and the port.
    pub(super) reached: Option<String>,
}

/// Where logs go.
pub(super) enum Logs {
    Folder(PathBuf),
    /// To whoever reads standard output and errors.
    Streams,
}
