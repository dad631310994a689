//! The applications under `apps/`, by their names.

use std::fs;

use anyhow::{Result, bail};
use topology::application::Application;

use crate::workspace;

/// One of `apps/`.
pub fn named(name: &str) -> Result<Application> {
    let folder = workspace::root().join("apps").join(name);
    if !folder.join("app.toml").is_file() {
        bail!("there is no application \"{name}\": there are {}", names().join(", "));
    }
    Application::in_folder(name, &folder)
}

pub fn names() -> Vec<String> {
    let entries = fs::read_dir(workspace::root().join("apps")).into_iter().flatten().flatten();
    let entries = entries.filter(|entry| entry.path().join("app.toml").is_file());
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_application_of_the_workspace_can_be_read() {
        let names = names();
        assert!(
            names.contains(&"pybo".to_owned()) && names.contains(&"flaskr".to_owned()),
            "{names:?}"
        );
        for name in names {
            let application = named(&name).unwrap();
            let (module, _) = application.callable().split_once(':').unwrap();
            assert!(
                application.folder.join(module.replace('.', "/")).with_extension("py").is_file()
            );
            let folder = application.static_folder(Path::new("/data"));
            assert!(
                folder.is_absolute() && !folder.to_string_lossy().contains('{'),
                "{}",
                folder.display()
            );
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = named("blog").unwrap_err().to_string();
        assert!(error.starts_with("there is no application \"blog\": there are flaskr"), "{error}");
    }
}
