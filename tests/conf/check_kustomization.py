"""What a folder with a kustomization names is there, and what its pods name is made: for want of a
kubectl, whose `kustomize` would say so.
"""

import sys
from pathlib import Path

import yaml

folder = Path(sys.argv[1])
kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
documents = []
for resource in kustomization["resources"]:
    documents += yaml.safe_load_all((folder / resource).read_text())

maps = {}
for generated in kustomization["configMapGenerator"]:
    files = dict(entry.split("=") for entry in generated["files"])
    assert all((folder / path).is_file() for path in files.values()), files
    maps[generated["name"]] = set(files)

names = {(each["kind"], each["metadata"]["name"]) for each in documents}
labels = [
    each["spec"]["template"]["metadata"]["labels"] for each in documents if each["kind"] == "Deployment"
]
used = set()
for each in documents:
    kind, spec = each["kind"], each["spec"]
    if kind == "HorizontalPodAutoscaler":
        assert ("Deployment", spec["scaleTargetRef"]["name"]) in names
    if kind == "Service":
        assert spec["selector"] in labels, spec
    if kind == "PodDisruptionBudget":
        assert spec["selector"]["matchLabels"] in labels, spec
    if kind != "Deployment":
        continue
    pod = spec["template"]["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    for volume in pod["volumes"]:
        if "configMap" in volume:
            keys = {item["key"] for item in volume["configMap"]["items"]}
            assert keys == maps[volume["configMap"]["name"]], volume
            used.add(volume["configMap"]["name"])
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]["claimName"]
            assert ("PersistentVolumeClaim", claim) in names, claim
    for container in pod["containers"] + pod.get("initContainers", []):
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= volumes, mounted - volumes
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
    [container] = pod["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        [action] = [container[probe].get(how) for how in ("httpGet", "tcpSocket") if how in container[probe]]
        assert action["port"] in {port["name"] for port in container["ports"]}, action
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["lifecycle"]["preStop"]["exec"]["command"]
assert used == set(maps), "a configuration that nobody reads"
