//! Configurations as people find them: Debian's own, from the package that is installed here.

use std::{fs, path::Path};

use crate::server::{Edge, Site, is_nginx};

const STOCK: &str = "/etc/nginx";

/// The package's files in a scratch folder, with its paths and ports; `None` without the package.
fn stock() -> Option<Site> {
    let site = Site::new();
    copy(&site, Path::new(STOCK), "")?;
    Some(site)
}

fn copy(site: &Site, folder: &Path, name: &str) -> Option<()> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let (path, name) = (entry.path(), format!("{name}{}", entry.file_name().to_string_lossy()));
        if path.is_dir() {
            copy(site, &path, &format!("{name}/"))?;
        } else if let Ok(text) = fs::read_to_string(&path) {
            let text = text
                .replace("/etc/nginx/", "%%DIR%%/")
                .replace("/var/log/nginx/", "%%DIR%%/")
                .replace("/var/www/html", "%%DIR%%/html")
                .replace("/run/nginx.pid", "%%DIR%%/nginx.pid")
                .replace("listen 80 ", "listen 127.0.0.1:%%PORT%% ")
                .replace("listen [::]:80 ", "listen unix:%%DIR%%/http.sock ")
                .replace("user www-data;", "user root;");
            site.write(&name, site.fill(&text));
        }
    }
    Some(())
}

/// Takes out the lines that name one of these, as the edge asks for it. What it refuses else, fails.
fn without(site: &Site, lacking: &[&str]) {
    for _ in 0..10 {
        let output = site.run(&["-t"]);
        if output.status.success() {
            return;
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let first = said.lines().next().unwrap_or_default();
        let named = lacking.iter().any(|name| first.contains(&format!("\"{name}\"")));
        assert!(named, "{said}");
        let place = first.rsplit_once(" in ").and_then(|(_, place)| place.rsplit_once(':'));
        let (file, line) = place.expect("an error names its place");
        let text = fs::read_to_string(file).expect("the file it names");
        let line: usize = line.parse().expect("a line's number");
        let mut lines: Vec<&str> = text.lines().collect();
        lines[line - 1] = "";
        fs::write(file, lines.join("\n")).expect("the file can be written");
    }
    panic!("too much is lacking");
}

#[test]
fn debian_s_own_files_are_taken() {
    let Some(site) = stock() else { return };
    if is_nginx() {
        // Its modules are looked for below the prefix, which is another one here.
        let _none_enabled = fs::remove_dir_all(site.path("modules-enabled"));
    }
    without(&site, &["load_module", "ssl_protocols", "ssl_prefer_server_ciphers"]);
    // nginx makes one when it tests, and it is what says that the server is there.
    let _none_made = fs::remove_file(site.path("nginx.pid"));
    site.write("html/index.html", "stock");
    let config = format!("daemon off;\n{}", site.read("nginx.conf"));
    let edge = Edge::start_whole(site, &config);
    let page = edge.get("/");
    assert_eq!((page.status, page.text()), (200, "stock"));
    assert_eq!(page.header("Content-Type"), Some("text/html"));
    assert_eq!(edge.get("/missing").status, 404);
    assert!(edge.access_log().contains("\"GET / HTTP/1.1\" 200 5 "));
}

/// The other files of the package, as a site would include them.
#[test]
fn debian_s_types_and_parameters_are_taken() {
    let Some(site) = stock() else { return };
    let include = "include mime.types; include proxy_params;";
    site.write("nginx.conf", site.config(&format!(
        "{include} server {{ listen 127.0.0.1:%%PORT%%; location / {{ proxy_pass http://127.0.0.1:1; }} }}"
    )));
    let output = site.run(&["-t"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
