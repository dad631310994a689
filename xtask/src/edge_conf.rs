//! nginx.conf of a chain, from the template a reader finds in `deploy/`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use topology::words::{self, Words};

use crate::workspace;

/// What differs from one chain to the next.
#[derive(Clone, Debug)]
pub struct EdgeConf {
    pub run: PathBuf,
    pub port: u16,
    /// The gateway's unix socket.
    pub socket: PathBuf,
    /// A location such as `/static/`, and the folder behind it.
    pub static_url: String,
    pub static_folder: PathBuf,
}

impl EdgeConf {
    /// The filled-in template `name` of `deploy/`.
    pub fn render(&self, name: &str) -> Result<String> {
        let template = workspace::root().join("deploy").join(name);
        let text = std::fs::read_to_string(&template)
            .with_context(|| format!("cannot read \"{}\"", template.display()))?;
        self.fill(&text)
    }

    /// Puts the values where the template names them, and refuses a name it does not know.
    pub fn fill(&self, template: &str) -> Result<String> {
        let shown = |path: &Path| path.display().to_string();
        let values = Words::from([
            ("run", shown(&self.run)),
            ("port", self.port.to_string()),
            ("listen", format!("127.0.0.1:{}", self.port)),
            ("tls", String::new()),
            ("workers", "2".to_owned()),
            ("socket", shown(&self.socket)),
            ("upstreams", format!("server unix:{};", self.socket.display())),
            ("static_url", self.static_url.clone()),
            ("static_folder", shown(&self.static_folder)),
            ("deploy", shown(&workspace::root().join("deploy"))),
        ]);
        for path in [&self.run, &self.socket, &self.static_folder] {
            // A quote or a blank would end the argument in nginx's eyes.
            let path = shown(path);
            ensure!(
                !path.contains([' ', '\t', '\n', '"', '\'', ';', '{', '}', '$', '\\']),
                "\"{path}\" cannot stand in nginx.conf"
            );
        }
        words::fill(template, &values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(run: &str) -> EdgeConf {
        EdgeConf {
            run: run.into(),
            port: 8000,
            socket: "/run/gateway.sock".into(),
            static_url: "/static/".into(),
            static_folder: "/srv/static/".into(),
        }
    }

    #[test]
    fn every_placeholder_of_the_template_is_filled() {
        let filled = conf("/run/x").render("nginx.conf").unwrap();
        assert!(!filled.contains("@{"), "{filled}");
        assert!(filled.contains("listen 127.0.0.1:8000;"));
        assert!(filled.contains("server unix:/run/gateway.sock;"));
    }

    #[test]
    fn what_would_break_the_file_is_refused() {
        assert!(conf("/my folder").fill("pid @{run}/pid;").is_err());
        assert!(conf("/run").fill("pid @{nothing};").is_err());
    }
}
