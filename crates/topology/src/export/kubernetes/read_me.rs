//! What whoever applies the manifests has to fill in first.

use super::super::image;
use super::super::rehearse::Exported;
use super::Writer;
use crate::file::Database;

impl Writer<'_> {
    pub(super) fn read_me(&self, exported: &[Exported<'_>]) -> String {
        let name = self.application();
        let secrets = self.name("secrets");
        let (database, restart) = match self.topology.database {
            Database::Sqlite => (
                format!(
                    "The database is SQLite, a file, so there is one server with one volume, and an update replaces it: for \
seconds nobody is served. With `database = \"postgresql\"` in the topology there are several.

Secrets, if the application has any:

```sh
kubectl create secret generic {secrets} --from-literal=NAME=VALUE
```"
                ),
                String::new(),
            ),
            Database::Postgresql => (
                format!(
                    "The database is a PostgreSQL server of yours, outside of these files. Nothing starts before this secret is \
there. Pods share no files: a key that the application would make for itself has to be in it, too.

```sh
kubectl create secret generic {secrets} --from-literal=DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/NAME
```"
                ),
                format!(
                    "Before the next release is applied: `kubectl delete job {}`, so that it migrates again.\n",
                    self.name("prepare")
                ),
            ),
        };
        let tls = if exported[0].hop.tls {
            format!(
                "\nThe certificate:\n\n```sh\nkubectl create secret tls {} --cert=certificate.pem --key=key.pem\n```\n",
                self.name("tls")
            )
        } else {
            String::new()
        };
        format!(
            "# {name} on Kubernetes

Made from the topology \"{topology}\": {about}

Fill in first: under `images` in `kustomization.yaml` the name and tag of your image, and under `env` of the
server what the application is told (allowed host names). `localhost` has to stay an allowed host: the
probes ask for it.

{loopback}
{database}
{tls}
Then:

```sh
docker build -f Dockerfile -t REGISTRY/{name}:TAG {source} && docker push REGISTRY/{name}:TAG
kubectl apply -k .
kubectl port-forward service/{front} 8000:{port}
```

The service `{front}` is where your Ingress or Gateway sends visitors. A changed configuration file gives its
ConfigMap another name, so `kubectl apply -k .` rolls that hop out, and no other.
{restart}causeway-gateway has to be on the index that pip asks; else put its wheel into the application's folder and
the line `./causeway_gateway-….whl` into its requirements.
",
            topology = self.topology.name,
            loopback = image::about_loopback(exported),
            about = self.topology.about,
            source = self.topology.application.folder.display(),
            front = self.name(&exported[0].name),
            port = self.port,
        )
    }
}
