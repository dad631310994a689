//! Broken configurations, one per file of `fixtures/conf`: a rule, the error it must give, in
//! nginx's words and with its line, and the configuration itself.

use std::{fs, path::Path};

use crate::server::Site;

#[test]
fn every_broken_configuration_is_refused_in_nginx_words() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/conf");
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(folder).expect("the fixtures are there") {
        let path = entry.expect("a file").path();
        let text = fs::read_to_string(&path).expect("a fixture of text");
        let said = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        let (rule, error) =
            (said("# rule: ").expect("a rule"), said("# error: ").expect("an error"));
        let site = Site::new();
        site.write("nginx.conf", &text);
        site.write("inc.conf", "# a comment\nnonsense;\n");
        let output = site.run(&["-t"]);
        let folder = format!("{}/", site.path("").display()).replace("//", "/");
        let stderr = String::from_utf8_lossy(&output.stderr).replace(&folder, "");
        let found = stderr.lines().find_map(|line| line.split_once("[emerg] "));
        // nginx's own lines have a process number in a log, and none on the terminal.
        let found = found.map(|(_, message)| match message.split_once(": ") {
            Some((number, rest)) if number.contains('#') => rest.to_owned(),
            _ => message.to_owned(),
        });
        // The edge names a place where nginx knows none.
        if output.status.success() || !found.as_deref().unwrap_or_default().starts_with(error) {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            wrong.push(format!("{name} ({rule}):\n  expected {error}\n  found    {found:?}"));
        }
        cases += 1;
    }
    assert!(cases >= 60, "only {cases} fixtures were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
