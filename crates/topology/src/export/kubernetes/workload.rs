//! What runs in Kubernetes' pods: each hop in one container, told and mounted what its topology says,
//! confined, probed, and given time to finish.

use serde_json::{Value, json};

use super::super::image;
use super::super::rehearse::Exported;
use super::{Document, Writer, key};
use crate::file::Database;

/// How long a pod may take to finish its requests; more than the servers give themselves.
const GRACE: u32 = 60;

impl Writer<'_> {
    pub(super) fn deployment(&self, exported: &[Exported<'_>], at: usize) -> Value {
        let hop = &exported[at];
        let replicas = if self.is_alone(hop) { 1 } else { hop.hop.count.max(2) };
        let strategy = if self.is_alone(hop) {
            json!({ "type": "Recreate" })
        } else {
            json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } })
        };
        let mut spec = pod(&hop_volumes(self, hop, at));
        spec["terminationGracePeriodSeconds"] = json!(GRACE);
        spec["containers"] = json!([self.container(hop, at)]);
        if let Some(before) = self.before(hop) {
            spec["initContainers"] = json!([before]);
        }
        if !self.is_alone(hop) {
            spec["topologySpreadConstraints"] = json!([{
                "maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": self.selector(&hop.name),
            }]);
        }
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": self.metadata(&hop.name),
            "spec": {
                "replicas": replicas, "strategy": strategy, "selector": self.selector(&hop.name),
                "template": { "metadata": { "labels": self.labels(&hop.name) }, "spec": spec },
            },
        })
    }

    fn container(&self, hop: &Exported<'_>, at: usize) -> Value {
        let mut container =
            confined(&hop.name, image::foreign_image(hop).unwrap_or(self.application()));
        let port = hop.port().unwrap_or_default();
        container["command"] =
            json!(hop.command.iter().map(|word| literally(word)).collect::<Vec<_>>());
        container["env"] = variables(hop);
        if hop.is_server() {
            container["envFrom"] = self.secret();
        }
        container["ports"] = json!([{ "name": "http", "containerPort": port }]);
        let scheme = if hop.hop.tls { "HTTPS" } else { "HTTP" };
        let page = json!({
            "path": self.topology.application.first_page(), "port": "http", "scheme": scheme,
            "httpHeaders": [{ "name": "Host", "value": "localhost" }],
        });
        container["startupProbe"] = if hop.is_server() {
            json!({ "httpGet": page, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 60 })
        } else {
            json!({ "tcpSocket": { "port": "http" }, "periodSeconds": 1, "failureThreshold": 60 })
        };
        container["readinessProbe"] = json!({ "httpGet": page, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3 });
        // A slow database is no reason to begin anew.
        container["livenessProbe"] =
            json!({ "tcpSocket": { "port": "http" }, "periodSeconds": 10, "failureThreshold": 3 });
        container["lifecycle"] =
            json!({ "preStop": { "exec": { "command": ["/bin/sh", "-c", drain(hop)] } } });
        let mut mounts =
            vec![json!({ "name": "config", "mountPath": "/etc/causeway", "readOnly": true })];
        for folder in image::writable(hop) {
            mounts.push(
                json!({ "name": "scratch", "mountPath": folder, "subPath": sub_path(&folder) }),
            );
        }
        if hop.is_server() {
            mounts.push(json!({ "name": "data", "mountPath": image::DATA }));
        }
        if self.serves_files(hop) {
            let folder = image::static_folder(self.topology, &self.target);
            mounts.push(json!({ "name": "static", "mountPath": folder, "readOnly": true }));
        }
        if at == 0 && hop.hop.tls {
            mounts.push(json!({ "name": "tls", "mountPath": image::TLS, "readOnly": true }));
        }
        container["volumeMounts"] = json!(mounts);
        container
    }

    /// What runs before the hop: the static files are brought along, the database up to date.
    fn before(&self, hop: &Exported<'_>) -> Option<Value> {
        let script = if self.serves_files(hop) {
            image::sharing()
        } else if self.is_alone(hop) {
            image::preparation(self.topology)
        } else {
            return None;
        };
        let mut container = confined("prepare", self.application());
        container["command"] = json!(["/bin/sh", "-c", literally(&script)]);
        let mounts = if self.serves_files(hop) {
            json!([{ "name": "static", "mountPath": image::SHARED }])
        } else {
            container["env"] = variables(hop);
            container["envFrom"] = self.secret();
            json!([
                { "name": "data", "mountPath": image::DATA },
                { "name": "scratch", "mountPath": "/tmp", "subPath": sub_path("/tmp") },
            ])
        };
        container["volumeMounts"] = mounts;
        Some(container)
    }

    fn serves_files(&self, hop: &Exported<'_>) -> bool {
        image::serves_files(self.topology, &self.target, hop)
    }

    /// Whose absence matters only where an address is in it.
    fn secret(&self) -> Value {
        let optional = self.topology.database == Database::Sqlite;
        json!([{ "secretRef": { "name": self.name("secrets"), "optional": optional } }])
    }

    /// With several servers one migration is enough.
    pub(super) fn job(&self, server: &Exported<'_>) -> Document {
        let mut container = confined("prepare", self.application());
        container["command"] =
            json!(["/bin/sh", "-c", literally(&image::preparation(self.topology))]);
        container["env"] = variables(server);
        container["envFrom"] = self.secret();
        container["volumeMounts"] = json!([
            { "name": "data", "mountPath": image::DATA },
            { "name": "scratch", "mountPath": "/tmp" },
        ]);
        let empty = |name: &str| json!({ "name": name, "emptyDir": {} });
        let mut spec = pod(&[empty("data"), empty("scratch")]);
        spec["restartPolicy"] = json!("OnFailure");
        spec["containers"] = json!([container]);
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": self.metadata("prepare"),
            "spec": {
                "backoffLimit": 10,
                "template": { "metadata": { "labels": self.labels("prepare") }, "spec": spec },
            },
        });
        ("Brings the database up to date: once for each release.".to_owned(), job)
    }
}

/// What every pod of ours is.
fn pod(volumes: &[Value]) -> Value {
    json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": image::USER, "runAsGroup": image::USER,
            "fsGroup": image::USER, "seccompProfile": { "type": "RuntimeDefault" },
        },
        "volumes": volumes,
    })
}

fn hop_volumes(writer: &Writer<'_>, hop: &Exported<'_>, at: usize) -> Vec<Value> {
    let items = hop.files.iter().map(|file| json!({ "key": key(&file.path), "path": file.path }));
    let mut volumes = vec![
        json!({
            "name": "config",
            "configMap": { "name": writer.config(&hop.name), "items": items.collect::<Vec<_>>() },
        }),
        json!({ "name": "scratch", "emptyDir": { "sizeLimit": "256Mi" } }),
    ];
    if writer.is_alone(hop) {
        volumes.push(json!({
            "name": "data", "persistentVolumeClaim": { "claimName": writer.name("data") },
        }));
    } else if hop.is_server() {
        volumes.push(json!({ "name": "data", "emptyDir": {} }));
    }
    if writer.serves_files(hop) {
        volumes.push(json!({ "name": "static", "emptyDir": {} }));
    }
    if at == 0 && hop.hop.tls {
        let items = json!([
            { "key": "tls.crt", "path": "certificate.pem" }, { "key": "tls.key", "path": "key.pem" },
        ]);
        let secret = json!({ "secretName": writer.name("tls"), "items": items });
        volumes.push(json!({ "name": "tls", "secret": secret }));
    }
    volumes
}

fn confined(name: &str, image: &str) -> Value {
    json!({
        "name": name,
        "image": image,
        "resources": {
            "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "memory": "512Mi" },
        },
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
    })
}

fn variables(hop: &Exported<'_>) -> Value {
    let pairs = hop.variables.iter();
    pairs.map(|(name, value)| json!({ "name": name, "value": literally(value) })).collect()
}

/// First nobody comes any more; then what has come is answered. Without a word of this, a pod is told
/// SIGTERM, which is not every program's word for "finish".
fn drain(hop: &Exported<'_>) -> String {
    match hop.hop.kind.stop() {
        nix::sys::signal::Signal::SIGTERM => "sleep 5".to_owned(),
        signal => {
            format!(
                "sleep 5; kill -s {} 1; sleep {GRACE}",
                signal.as_str().trim_start_matches("SIG")
            )
        }
    }
}

/// Kubernetes would put a variable's value where it sees `$(NAME)`.
fn literally(word: &str) -> String {
    word.replace("$(", "$$(")
}

fn sub_path(folder: &str) -> String {
    folder.trim_start_matches('/').replace('/', "-")
}
