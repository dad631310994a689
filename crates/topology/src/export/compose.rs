//! Docker compose: a service for each hop, begun when the one behind it is healthy; configurations mounted
//! for reading, one network, volumes for what is kept.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::image::{self, Containers};
use super::rehearse::{Exported, rehearse};
use super::{Written, yaml};
use crate::file::{Database, Topology};

const TARGET: Containers = Containers { multiplied_by_the_engine: false, prefix: String::new() };

pub(super) fn files(topology: &Topology, port: Option<u16>) -> Result<Vec<Written>> {
    let exported = rehearse(topology, &TARGET)?;
    let mut services = Map::new();
    for (at, hop) in exported.iter().enumerate() {
        services.insert(hop.name.clone(), service(topology, &exported, at));
    }
    services.insert("prepare".to_owned(), prepare(topology, &exported));
    let mut volumes = json!({ "data": {} });
    if image::has_static_files(topology) {
        volumes["static"] = json!({});
    }
    if topology.database == Database::Postgresql {
        services.insert("postgresql".to_owned(), postgresql());
        volumes["postgresql"] = json!({});
    }
    let document = json!({
        "services": services, "volumes": volumes, "networks": { "inside": {} },
    });
    let about = format!("{}: {}\nSee README.md.", topology.name, topology.about);
    let mut files = vec![
        Written::new("docker-compose.yml", yaml::documents(&[(about, document)])),
        Written::new(".env", dot_env(topology, port.unwrap_or(8000))),
        Written::new("README.md", read_me(topology, &exported)),
    ];
    files.extend(image::dockerfile(topology, &exported)?);
    files.extend(super::placed(exported));
    Ok(files)
}

fn service(topology: &Topology, exported: &[Exported<'_>], at: usize) -> Value {
    let hop = &exported[at];
    let mut service = match image::foreign_image(hop) {
        Some(image) => json!({ "image": image }),
        None => ours(),
    };
    service["entrypoint"] = json!(hop.command);
    service["environment"] = environment(topology, hop);
    let mut mounts = vec![json!(format!("./{}:/etc/causeway:ro", hop.name))];
    if hop.is_server() {
        mounts.push(json!(format!("data:{}", image::DATA)));
    }
    if image::serves_files(topology, &TARGET, hop) {
        let folder = image::static_folder(topology, &TARGET);
        mounts.push(json!(format!("static:{}:ro", folder.display())));
    }
    if at == 0 && hop.hop.tls {
        mounts.push(json!(format!("./tls:{}:ro", image::TLS)));
    }
    service["volumes"] = json!(mounts);
    if at == 0 {
        let port = hop.port().unwrap_or_default();
        service["ports"] = json!([format!("${{PORT}}:{port}")]);
    }
    let mut awaited = Map::new();
    for behind in behind(exported, at) {
        awaited.insert(behind.name.clone(), json!({ "condition": "service_healthy" }));
    }
    if hop.is_server() {
        awaited
            .insert("prepare".to_owned(), json!({ "condition": "service_completed_successfully" }));
    }
    service["depends_on"] = json!(awaited);
    let mut health = vec!["CMD".to_owned()];
    health.extend(image::health(topology, hop));
    service["healthcheck"] = json!({
        "test": health.iter().map(|word| literally(word)).collect::<Vec<_>>(),
        "interval": "10s", "timeout": "6s", "retries": 6, "start_period": "60s",
    });
    service["stop_signal"] = json!(hop.hop.kind.stop().as_str());
    service["stop_grace_period"] = json!("40s");
    service["restart"] = json!("unless-stopped");
    confined(&mut service, &image::writable(hop));
    service
}

/// The hops that this one passes requests on to.
fn behind<'a>(exported: &'a [Exported<'a>], at: usize) -> impl Iterator<Item = &'a Exported<'a>> {
    let of = &exported[at].hop.name;
    let next = exported[at..].iter().map(|hop| &hop.hop.name).find(|name| *name != of);
    exported[at..].iter().filter(move |hop| Some(&hop.hop.name) == next)
}

/// Once, before the servers.
fn prepare(topology: &Topology, exported: &[Exported<'_>]) -> Value {
    let mut service = ours();
    let mut lines = vec![image::preparation(topology)];
    let mut mounts = vec![format!("data:{}", image::DATA)];
    if image::has_static_files(topology) {
        lines.push(image::sharing());
        mounts.push(format!("static:{}", image::SHARED));
    }
    service["entrypoint"] = json!(["/bin/sh", "-c", literally(&lines.join("; "))]);
    if let Some(server) = exported.iter().rev().find(|hop| hop.is_server()) {
        service["environment"] = environment(topology, server);
    }
    service["volumes"] = json!(mounts);
    if topology.database == Database::Postgresql {
        service["depends_on"] = json!({ "postgresql": { "condition": "service_healthy" } });
    }
    service["restart"] = json!("no");
    confined(&mut service, &["/tmp".to_owned()]);
    service
}

fn ours() -> Value {
    json!({
        "image": "${IMAGE}",
        "build": { "context": "${APPLICATION}", "dockerfile": "${PWD}/Dockerfile" },
    })
}

fn environment(topology: &Topology, hop: &Exported<'_>) -> Value {
    let mut variables = image::variables(hop);
    for (_, value) in variables.as_object_mut().into_iter().flatten() {
        *value = json!(literally(value.as_str().unwrap_or_default()));
    }
    if hop.is_server() && topology.database == Database::Postgresql {
        variables["DATABASE_URL"] =
            json!("postgres://application:${POSTGRES_PASSWORD}@postgresql:5432/application");
    }
    variables
}

fn postgresql() -> Value {
    json!({
        "image": "postgres:17",
        "environment": {
            "POSTGRES_USER": "application", "POSTGRES_DB": "application",
            "POSTGRES_PASSWORD": "${POSTGRES_PASSWORD}",
        },
        "volumes": ["postgresql:/var/lib/postgresql/data"],
        "healthcheck": {
            "test": ["CMD", "pg_isready", "-U", "application"],
            "interval": "5s", "timeout": "5s", "retries": 12,
        },
        "restart": "unless-stopped",
        "networks": ["inside"],
    })
}

/// What a web application has no need of.
fn confined(service: &mut Value, writable: &[String]) {
    service["read_only"] = json!(true);
    service["tmpfs"] = json!(writable);
    service["user"] = json!(format!("{0}:{0}", image::USER));
    service["cap_drop"] = json!(["ALL"]);
    service["security_opt"] = json!(["no-new-privileges:true"]);
    service["networks"] = json!(["inside"]);
}

/// Compose would put a variable's value where it sees a `$`.
fn literally(word: &str) -> String {
    word.replace('$', "$$")
}

fn dot_env(topology: &Topology, port: u16) -> String {
    let password = match topology.database {
        Database::Sqlite => "",
        Database::Postgresql => {
            "# Of the database: choose one before the first start.\nPOSTGRES_PASSWORD=\n"
        }
    };
    format!(
        "# The port that visitors come to.
PORT={port}
# What the built image is called.
IMAGE={name}:latest
# The application's folder, from here or absolute.
APPLICATION={folder}
{password}",
        name = topology.application.name,
        folder = topology.application.folder.display(),
    )
}

fn read_me(topology: &Topology, exported: &[Exported<'_>]) -> String {
    let hops: String = exported
        .iter()
        .map(|hop| format!("- `{}/`: what {} reads\n", hop.name, hop.hop.kind.name()))
        .collect();
    let tls = if exported.iter().any(|hop| hop.hop.tls) {
        "- `tls/certificate.pem` and `tls/key.pem`: your certificate, readable by user 10001\n"
    } else {
        ""
    };
    format!(
        "# {name} with docker compose

Made from the topology \"{topology}\": {about}

Fill in first, in `.env`: the port, the image's name, the application's folder, passwords. The
application's own settings (allowed host names, secret keys) go under `environment` of the servers and
of `prepare` in `docker-compose.yml`. `localhost` has to stay an allowed host: the health checks ask for it.

To look at:

{tls}{loopback}{hops}
Then:

```sh
docker compose up --build --wait
docker compose logs -f
docker compose kill -s HUP HOP      # after a change of its configuration
```

`prepare` runs first, and again at every `up`: it brings the database and the static files up to date.
causeway-gateway has to be on the index that pip asks; else put its wheel into the application's folder and
the line `./causeway_gateway-….whl` into its requirements.
",
        name = topology.application.name,
        topology = topology.name,
        about = topology.about,
        loopback = image::about_loopback(exported),
    )
}
