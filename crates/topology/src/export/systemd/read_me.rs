//! What whoever installs the units has to fill in first.

use super::super::elsewhere::Source;
use super::super::rehearse::Exported;
use super::{Machine, takes_socket};
use crate::file::{Database, Topology};

pub(super) fn read_me(
    topology: &Topology,
    machine: &Machine<'_>,
    exported: &[Exported<'_>],
) -> String {
    let name = machine.application;
    let mut install: Vec<String> = topology
        .application
        .requirement_files(topology.database)
        .iter()
        .map(|file| format!("-r /srv/{name}/app/{}", file.display()))
        .collect();
    let mut packages = vec!["python3-venv".to_owned()];
    for hop in exported {
        if let Some(word) = hop.elsewhere.requirement().map(str::to_owned)
            && !install.contains(&word)
        {
            install.push(word);
        }
        if let Source::Package { package, .. } = hop.elsewhere.source
            && !packages.iter().any(|known| known == package)
        {
            packages.push(package.to_owned());
        }
    }
    let tls = if machine.tls {
        format!(
            "- `/etc/{name}/tls/certificate.pem`, `key.pem`: your certificate, readable by `{name}-web`\n"
        )
    } else {
        String::new()
    };
    let database = match topology.database {
        Database::Sqlite => "",
        Database::Postgresql => "- `DATABASE_URL` in the same file: a PostgreSQL server of yours\n",
    };
    let sockets: Vec<String> = exported
        .iter()
        .filter(|hop| takes_socket(hop))
        .map(|hop| format!("{}.socket", machine.unit(&hop.name)))
        .collect();
    let services: Vec<String> =
        exported.iter().map(|hop| format!("{}.service", machine.unit(&hop.name))).collect();
    format!(
        "# {name} with systemd

Made from the topology \"{topology}\": {about}

The files below `etc/` go to `/etc`. To fill in first:

- `/etc/{name}/environment`: what the application is told, above all the host names it answers to, and secrets
- `server_name` in the first hop's configuration, if it says `localhost`
{tls}{database}
Then, as root:

```sh
apt-get install {packages}
cp -r etc/. /etc/
chmod 0640 /etc/{name}/environment
systemd-sysusers
mkdir -p /srv/{name} && cp -r {source} /srv/{name}/app
python3 -m venv /srv/{name}/venv
/srv/{name}/venv/bin/pip install {install}
systemctl daemon-reload
systemctl enable {sockets} {services} {name}.target
systemctl start {name}.target
```

`systemctl reload {last}` reads a changed configuration, `systemctl restart {name}-prepare` migrates after
an update, and then the server is reloaded. Logs are in `/var/log/{name}-*`, and what a program says
before it has a log in `journalctl -u '{name}-*'`.
",
        topology = topology.name,
        about = topology.about,
        packages = packages.join(" "),
        source = topology.application.folder.display(),
        install = install.join(" "),
        sockets = sockets.join(" "),
        services = services.join(" "),
        last = services.last().map_or("", String::as_str),
    )
}
