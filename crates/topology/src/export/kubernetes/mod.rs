//! Kubernetes: plain manifests and a kustomization, which makes the ConfigMaps from the very files, so that a
//! changed one rolls its Deployment out. A database file does not go from node to node: with SQLite the
//! server is one pod with a volume; with PostgreSQL, whose address a Secret holds, there are several.

mod read_me;
mod workload; // pods: who runs in them, what is mounted, how they are looked after

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::image::{self, Containers};
use super::rehearse::{Exported, rehearse};
use super::{Written, yaml};
use crate::file::{Database, Topology};

pub(super) fn files(topology: &Topology, port: Option<u16>) -> Result<Vec<Written>> {
    for hop in &topology.hops {
        let server = hop.kind.role() == crate::kinds::Role::Server;
        ensure!(
            !(server && hop.count > 1 && topology.database == Database::Sqlite),
            "hop \"{}\": count = {} with SQLite: a database file does not go from node to node, so it takes database = \"postgresql\"",
            hop.name,
            hop.count
        );
    }
    let usual = if topology.hops[0].tls { 443 } else { 80 };
    let writer = Writer {
        topology,
        port: port.unwrap_or(usual),
        target: Containers {
            multiplied_by_the_engine: true,
            prefix: format!("{}-", topology.application.name),
        },
    };
    let exported = rehearse(topology, &writer.target)?;
    let mut manifests = Vec::new();
    for (at, hop) in exported.iter().enumerate() {
        let name = format!("{}.yaml", hop.name);
        manifests.push((name, writer.hop(&exported, at)));
    }
    let server = exported.iter().rev().find(|hop| hop.is_server());
    match (topology.database, server) {
        (Database::Sqlite, _) => manifests.push(("data.yaml".to_owned(), vec![writer.volume()])),
        (Database::Postgresql, Some(server)) => {
            manifests.push(("prepare.yaml".to_owned(), vec![writer.job(server)]));
        }
        (Database::Postgresql, None) => {}
    }
    let names: Vec<&String> = manifests.iter().map(|(name, _)| name).collect();
    let kustomization = writer.kustomization(&names, &exported);
    let mut files = vec![
        Written::new("kustomization.yaml", yaml::documents(&[kustomization])),
        Written::new("README.md", writer.read_me(&exported)),
    ];
    for (name, documents) in &manifests {
        files.push(Written::new(name, yaml::documents(documents)));
    }
    files.extend(image::dockerfile(topology, &exported)?);
    files.extend(super::placed(exported));
    Ok(files)
}

type Document = (String, Value);

struct Writer<'a> {
    topology: &'a Topology,
    target: Containers,
    /// Of the first hop's service.
    port: u16,
}

impl Writer<'_> {
    fn application(&self) -> &str {
        &self.topology.application.name
    }

    fn name(&self, hop: &str) -> String {
        format!("{}{hop}", self.target.prefix)
    }

    fn labels(&self, hop: &str) -> Value {
        json!({ "app.kubernetes.io/name": self.application(), "app.kubernetes.io/component": hop })
    }

    fn metadata(&self, hop: &str) -> Value {
        json!({ "name": self.name(hop), "labels": self.labels(hop) })
    }

    fn selector(&self, hop: &str) -> Value {
        json!({ "matchLabels": self.labels(hop) })
    }

    /// Whether there is exactly one of it, because of its volume.
    fn is_alone(&self, hop: &Exported<'_>) -> bool {
        hop.is_server() && self.topology.database == Database::Sqlite
    }

    fn hop(&self, exported: &[Exported<'_>], at: usize) -> Vec<Document> {
        let hop = &exported[at];
        let kind = hop.hop.kind.name();
        let mut documents = vec![
            (format!("{}: {kind}", hop.name), self.deployment(exported, at)),
            (String::new(), self.service(exported, at)),
        ];
        if !self.is_alone(hop) {
            let about = "Nodes are emptied one pod at a time.";
            documents.push((about.to_owned(), self.disruption_budget(hop)));
            documents.push((String::new(), self.autoscaler(hop)));
        }
        if at > 0 {
            let about =
                "Only the hop before it comes here, so it may be believed whom it speaks for.";
            documents.push((about.to_owned(), self.network_policy(hop, &exported[at - 1])));
        }
        documents
    }

    fn service(&self, exported: &[Exported<'_>], at: usize) -> Value {
        let hop = &exported[at];
        let port = if at == 0 { self.port } else { hop.port().unwrap_or_default() };
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": self.metadata(&hop.name),
            "spec": {
                "selector": self.labels(&hop.name),
                "ports": [{ "name": "http", "port": port, "targetPort": "http" }],
            },
        })
    }

    fn disruption_budget(&self, hop: &Exported<'_>) -> Value {
        json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": self.metadata(&hop.name),
            "spec": { "maxUnavailable": 1, "selector": self.selector(&hop.name) },
        })
    }

    fn autoscaler(&self, hop: &Exported<'_>) -> Value {
        let least = hop.hop.count.max(2);
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": self.metadata(&hop.name),
            "spec": {
                "scaleTargetRef": {
                    "apiVersion": "apps/v1", "kind": "Deployment", "name": self.name(&hop.name),
                },
                "minReplicas": least, "maxReplicas": least * 4,
                "metrics": [{
                    "type": "Resource",
                    "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 70 } },
                }],
            },
        })
    }

    fn network_policy(&self, hop: &Exported<'_>, before: &Exported<'_>) -> Value {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": self.metadata(&hop.name),
            "spec": {
                "podSelector": self.selector(&hop.name), "policyTypes": ["Ingress"],
                "ingress": [{
                    "from": [{ "podSelector": self.selector(&before.name) }],
                    "ports": [{ "port": "http" }],
                }],
            },
        })
    }

    fn volume(&self) -> Document {
        let volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": self.metadata("data"),
            "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
            },
        });
        ("The database file, and whatever else the application writes.".to_owned(), volume)
    }

    fn kustomization(&self, manifests: &[&String], exported: &[Exported<'_>]) -> Document {
        let maps = exported.iter().map(|hop| {
            let files = hop.files.iter().map(|file| {
                format!("{}={}", key(&file.path), super::below(&hop.name, &file.path).display())
            });
            json!({ "name": self.config(&hop.name), "files": files.collect::<Vec<_>>() })
        });
        let value = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
            "resources": manifests,
            "configMapGenerator": maps.collect::<Vec<_>>(),
            "images": [{ "name": self.application(), "newName": self.application(), "newTag": "latest" }],
        });
        let topology = self.topology;
        (format!("{}: {}\nSee README.md.", topology.name, topology.about), value)
    }

    fn config(&self, hop: &str) -> String {
        format!("{}-config", self.name(hop))
    }
}

/// A ConfigMap has no folders.
fn key(file: &Path) -> String {
    file.to_string_lossy().replace('/', "_")
}
