//! What pip leaves in a virtual environment.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::site::{Site, environment};

#[test]
fn one_wheel_for_every_python_from_3_10_on() -> Result<()> {
    let packages = environment()?.packages()?;
    let mut entries = fs::read_dir(&packages)?.flatten().map(|entry| entry.path());
    let info = entries
        .find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("causeway_gateway-") && name.ends_with(".dist-info")
        })
        .context("no dist-info")?;
    let wheel = fs::read_to_string(info.join("WHEEL"))?;
    assert!(wheel.contains("Tag: cp310-abi3-linux_"), "{wheel}");
    assert!(packages.join("causeway_app_host/causeway_app_host.abi3.so").is_file());
    Ok(())
}

#[test]
fn the_manual_and_the_completions_are_where_they_are_looked_for() -> Result<()> {
    let share = environment()?.folder.join("share");
    for file in [
        "man/man1/causeway-gateway.1",
        "bash-completion/completions/causeway-gateway",
        "zsh/site-functions/_causeway-gateway",
        "fish/vendor_completions.d/causeway-gateway.fish",
    ] {
        assert!(share.join(file).is_file(), "{file}");
    }
    Ok(())
}

/// No variable, no folder and no PATH leads to the library or to the interpreter: the program finds both
/// from where it lies.
#[test]
fn the_programs_find_their_library_and_their_interpreter() -> Result<()> {
    let site = Site::new()?;
    let gateway = environment()?.program("causeway-gateway");
    let checked = site.command(&gateway).args(["--check-config", "config.wsgi"]).output()?;
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let host = environment()?.program("causeway-app-host");
    let help = site.command(&host).arg("--help").output()?;
    assert!(help.status.success(), "{}", String::from_utf8_lossy(&help.stderr));
    Ok(())
}

#[test]
fn the_library_is_a_module_of_that_python() -> Result<()> {
    let python = environment()?.python();
    let imported = Command::new(python)
        .current_dir(Path::new("/"))
        .args(["-c", "import causeway_app_host; causeway_app_host.run"])
        .output()?;
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    Ok(())
}
