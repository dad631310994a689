//! What is exported says the same as the topology: the same configurations, addresses that meet, every hop.
//! Whether the engines take it is asked of their own validators, in the packaging suite.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use topology::Topology;
use topology::export::{Format, export};

const FORMATS: [Format; 4] =
    [Format::Systemd, Format::Compose, Format::Kubernetes, Format::Procfile];
const SHIPPED: [&str; 2] = ["default", "nginx-gunicorn"];

fn root() -> Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?)
}

struct Exported {
    folder: TempDir,
    files: Vec<PathBuf>,
}

impl Exported {
    fn shipped(name: &str, format: Format) -> Result<Exported> {
        let file = root()?.join("topologies").join(name).with_extension("toml");
        Exported::of(&Topology::read(&file)?, format)
    }

    fn of(topology: &Topology, format: Format) -> Result<Exported> {
        let folder = tempfile::tempdir()?;
        let files = export(topology, format, None, folder.path())?;
        Ok(Exported { folder, files })
    }

    fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.folder.path().join(file)).context(file.to_owned())
    }

    /// The one file whose path ends so.
    fn ending(&self, end: &str) -> Result<String> {
        let found: Vec<&PathBuf> = self.files.iter().filter(|file| file.ends_with(end)).collect();
        let [file] = found[..] else { bail!("{} files {end} in {:?}", found.len(), self.files) };
        self.read(&file.to_string_lossy())
    }
}

/// A topology of two files in a folder of its own.
fn written(topology: &str) -> Result<(TempDir, Topology)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("mine.toml");
    fs::write(&file, topology.replace("PYBO", &root()?.join("apps/pybo").display().to_string()))?;
    let topology = Topology::read(&file)?;
    Ok((folder, topology))
}

fn refusal(text: &str, format: Format) -> Result<String> {
    let (folder, topology) = written(text)?;
    let into = folder.path().join("out");
    let error = export(&topology, format, None, &into).err().context("it is refused")?;
    assert!(!into.exists(), "nothing is written of what is refused");
    Ok(format!("{error:#}"))
}

/// What stands between the words of a template stands in the text, in that order; what is put in for a
/// word is on one line.
fn assert_same_but_for_words(template: &str, text: &str) {
    let mut rest = text;
    for (number, piece) in template.split("@{").enumerate() {
        let literal =
            if number == 0 { piece } else { piece.split_once('}').map_or("", |(_, after)| after) };
        let at = rest.find(literal).unwrap_or_else(|| panic!("no {literal:?} in {rest:?}"));
        assert!(!rest[..at].contains('\n'), "{:?} came in for a word", &rest[..at]);
        rest = &rest[at + literal.len()..];
    }
    assert_eq!(rest, "");
}

#[test]
fn each_has_the_same_configurations_and_every_hop() -> Result<()> {
    let deploy =
        |name: &str| Ok::<_, anyhow::Error>(fs::read_to_string(root()?.join("deploy").join(name))?);
    // Where nobody keeps files, a log is a stream.
    let nginx = deploy("nginx.conf")?.replace("@{run}/edge.log", "@{log}");
    let nginx = nginx.replace("@{run}/edge-access.log", "@{log}");
    for name in SHIPPED {
        for format in FORMATS {
            let exported = Exported::shipped(name, format)?;
            assert_same_but_for_words(&nginx, &exported.ending("edge/nginx.conf")?);
            for file in ["mime.types", "proxy_params"] {
                assert_eq!(exported.ending(&format!("edge/{file}"))?, deploy(file)?, "{format:?}");
            }
            let settings = exported.ending("gateway/gunicorn.conf.py")?;
            assert_eq!(settings, deploy("gunicorn.conf.py")?, "{format:?}");
            assert!(exported.ending("README.md")?.contains(&format!("\"{name}\"")));
        }
    }
    Ok(())
}

/// What this machine's own paths are for: `.env` says where the application is, and README.md how to take
/// it along; a Procfile is for this machine altogether.
#[test]
fn no_path_of_this_machine_is_left() -> Result<()> {
    let here =
        [root()?.display().to_string(), "causeway-export-".to_owned(), "240.0.0.".to_owned()];
    for name in SHIPPED {
        for format in [Format::Systemd, Format::Compose, Format::Kubernetes] {
            let exported = Exported::shipped(name, format)?;
            for file in &exported.files {
                if file.ends_with(".env") || file.ends_with("README.md") {
                    continue;
                }
                let text = exported.read(&file.to_string_lossy())?;
                for word in &here {
                    assert!(!text.contains(word), "{format:?} {}: {word}", file.display());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn addresses_meet() -> Result<()> {
    for name in SHIPPED {
        let systemd = Exported::shipped(name, Format::Systemd)?;
        let socket = "/run/pybo/gateway.sock";
        assert!(systemd.ending("edge/nginx.conf")?.contains(&format!("server unix:{socket};")));
        assert!(systemd.ending("edge/nginx.conf")?.contains("listen 0.0.0.0:80;"));
        let unit = systemd.ending("pybo-gateway.socket")?;
        assert!(unit.contains(&format!("\nListenStream={socket}\n")), "{unit}");
        let service = systemd.ending("pybo-gateway.service")?;
        assert!(service.contains(&format!(" --bind unix:{socket} ")), "{service}");

        let compose = Exported::shipped(name, Format::Compose)?;
        assert!(compose.read("edge/nginx.conf")?.contains("server gateway:8000;"));
        let yaml = compose.read("docker-compose.yml")?;
        for line in ["  edge:\n", "  gateway:\n", "\"0.0.0.0:8000\"\n", "\"${PORT}:8080\"\n"] {
            assert!(yaml.contains(line), "{line} {yaml}");
        }
        assert!(compose.read("edge/nginx.conf")?.contains("listen 0.0.0.0:8080;"));
        // Files are served from where the volume with them is mounted.
        assert!(compose.read("edge/nginx.conf")?.contains("alias /srv/data/static/;"));
        assert!(yaml.contains("\"static:/srv/data/static:ro\""), "{yaml}");

        let kubernetes = Exported::shipped(name, Format::Kubernetes)?;
        assert!(kubernetes.read("edge/nginx.conf")?.contains("server pybo-gateway:8000;"));
        let gateway = kubernetes.read("gateway.yaml")?;
        for line in ["  name: pybo-gateway\n", "containerPort: 8000\n", "port: 8000\n"] {
            assert!(gateway.contains(line), "{line} {gateway}");
        }
        let kustomization = kubernetes.read("kustomization.yaml")?;
        for line in ["- edge.yaml\n", "- gateway.yaml\n", "- data.yaml\n"] {
            assert!(kustomization.contains(line), "{line} {kustomization}");
        }
        assert!(kustomization.contains("\"nginx.conf=edge/nginx.conf\""), "{kustomization}");

        let procfile = Exported::shipped(name, Format::Procfile)?;
        let socket = procfile.folder.path().join("run/gateway.sock").display().to_string();
        assert!(procfile.read("edge/nginx.conf")?.contains(&format!("server unix:{socket};")));
        assert!(procfile.read("Procfile")?.contains(&format!(" --bind unix:{socket} ")));
    }
    Ok(())
}

/// What is good for one who watches on his own machine is nobody's business on the internet.
#[test]
fn visitors_are_told_no_timings_and_nobody_becomes_root() -> Result<()> {
    for format in FORMATS {
        let exported = Exported::shipped("default", format)?;
        for file in &exported.files {
            let text = exported.read(&file.to_string_lossy())?;
            for word in ["server-timing", "server_timing", "user root"] {
                assert!(!text.contains(word), "{format:?} {}: {word}", file.display());
            }
        }
    }
    Ok(())
}

const TWO_SERVERS: &str = r#"
about = "Two side by side"
database = "postgresql"
[application]
folder = "PYBO"
application = "config.wsgi:application"
requirements = ["requirements.txt"]
requirements_postgresql = ["requirements-postgres.txt"]
[[hop]]
kind = "nginx"
tls = true
[[hop]]
name = "app"
kind = "gunicorn"
count = 2
env = { WHO = "a b$c" }
"#;

#[test]
fn several_of_one_hop_with_tls_and_postgresql() -> Result<()> {
    let (_folder, topology) = written(TWO_SERVERS)?;
    let compose = Exported::of(&topology, Format::Compose)?;
    let conf = compose.read("nginx/nginx.conf")?;
    assert!(conf.contains("server app-1:8000; server app-2:8000;"), "{conf}");
    assert!(conf.contains("ssl_certificate /etc/causeway-tls/certificate.pem;"), "{conf}");
    // A hop without a configuration has its kind's, and its folder with it.
    assert!(conf.contains("include /etc/causeway/deploy/mime.types;"), "{conf}");
    let yaml = compose.read("docker-compose.yml")?;
    for line in ["  app-1:\n", "  app-2:\n", "  postgresql:\n", "WHO: \"a b$$c\"\n"] {
        assert!(yaml.contains(line), "{line} {yaml}");
    }
    assert!(compose.read("Dockerfile")?.contains(" -r requirements-postgres.txt gunicorn=="));

    let kubernetes = Exported::of(&topology, Format::Kubernetes)?;
    let app = kubernetes.read("app.yaml")?;
    for word in ["replicas: 2", "HorizontalPodAutoscaler", "PodDisruptionBudget", "pybo-secrets"] {
        assert!(app.contains(word), "{word} {app}");
    }
    assert!(kubernetes.read("prepare.yaml")?.contains("kind: Job\n"));
    let conf = kubernetes.read("nginx/nginx.conf")?;
    // One name for both.
    assert!(conf.contains("server pybo-app:8000;"), "{conf}");

    let systemd = Exported::of(&topology, Format::Systemd)?;
    let conf = systemd.ending("nginx/nginx.conf")?;
    assert!(conf.contains("listen 0.0.0.0:443 ssl"), "{conf}");
    assert!(conf.contains("server unix:/run/pybo/app-1.sock; server unix:/run/pybo/app-2.sock;"));
    let unit = systemd.ending("pybo-app-2.service")?;
    assert!(unit.contains("\nEnvironment=\"WHO=a b$c\"\n"), "{unit}");
    assert!(systemd.ending("pybo/environment")?.contains("\nDATABASE_URL=postgres://"));
    Ok(())
}

#[test]
fn what_can_not_be_exported_is_refused_by_name() -> Result<()> {
    let sqlite = TWO_SERVERS.replace("database = \"postgresql\"", "");
    assert_eq!(
        refusal(&sqlite, Format::Kubernetes)?,
        "hop \"app\": count = 2 with SQLite: a database file does not go from node to node, so it takes database = \"postgresql\""
    );
    let hosts = "about = \"\"\napplication = \"PYBO\"\n[[hop]]\nkind = \"nginx\"\nhost = \"front\"\n[[hop]]\nkind = \"gunicorn\"\nhost = \"back\"\n";
    for format in [Format::Systemd, Format::Procfile] {
        assert_eq!(
            refusal(hosts, format)?,
            "host = \"front\": this is for one machine; export compose or kubernetes instead"
        );
    }
    let caddy = "about = \"\"\napplication = \"PYBO\"\n[[hop]]\nkind = \"caddy\"\n[[hop]]\nkind = \"gunicorn\"\n";
    for format in FORMATS {
        assert_eq!(refusal(caddy, format)?, "hop \"caddy\": caddy can not be exported yet");
    }
    let own = "about = \"\"\n[application]\nfolder = \"PYBO\"\napplication = \"a:b\"\npython = \"venv/bin/python\"\n[[hop]]\nkind = \"gunicorn\"\n";
    assert_eq!(
        refusal(own, Format::Compose)?,
        "application \"pybo\": it brings a python of its own along, so nothing tells what to install in an image: name its requirements"
    );
    Ok(())
}

#[test]
fn a_configuration_takes_along_what_it_names_beside_it() -> Result<()> {
    let text = "about = \"\"\napplication = \"PYBO\"\n[[hop]]\nkind = \"nginx\"\nconfig = \"web/my.conf\"\nreplace = { \"listen 80\" = \"listen @{listen}\" }\n[[hop]]\nkind = \"gunicorn\"\n";
    let (folder, topology) = written(text)?;
    let web = folder.path().join("web");
    fs::create_dir_all(web.join("parts"))?;
    let beside = |name: &str| web.join(name).display().to_string();
    let conf = format!("include {};\nlisten 80;\n", beside("parts/one"));
    fs::write(web.join("my.conf"), conf)?;
    fs::write(web.join("parts/one"), format!("include {};\n", beside("two")))?;
    fs::write(web.join("two"), "# the end\n")?;
    let exported = Exported::of(&topology, Format::Systemd)?;
    let conf = "include /etc/pybo/nginx/parts/one;\nlisten 0.0.0.0:80;\n";
    assert_eq!(exported.ending("nginx/nginx.conf")?, conf);
    assert_eq!(exported.ending("nginx/parts/one")?, "include /etc/pybo/nginx/two;\n");
    assert_eq!(exported.ending("nginx/two")?, "# the end\n");

    fs::write(web.join("my.conf"), format!("listen 80; include {};", beside("*.inc")))?;
    let error = export(&topology, Format::Systemd, None, &folder.path().join("out"))
        .err()
        .context("it is refused")?;
    assert!(format!("{error:#}").contains("/web/*.inc\", which is not one file"), "{error:#}");
    Ok(())
}
