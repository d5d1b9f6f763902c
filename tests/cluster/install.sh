#!/usr/bin/env bash
# Installs images, cluster resources and Knative on the running node, and waits until they are ready.
# usage: install.sh images|base|serving|eventing
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
PYTHON=$ROOT/.venv/bin/python

apply() { kubectl apply --server-side --force-conflicts -f - >/dev/null; }

render() { "$PYTHON" "$HERE/manifests.py" "$PROGRAMS/upstream" "$DOMAIN" "$IMAGE_TAG" "$1"; }

until_done() { # seconds command...
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || { "$@"; return 1; }
    sleep 0.2
  done
}

import_images() { # archive...
  local archive
  for archive in "$@"; do inside ctr -n k8s.io images import "$archive" >/dev/null; done
}

# Imports the images of all pods except those of Eventing.
images() {
  local archives
  mapfile -t archives < <(find "$PROGRAMS/images/" -name '*.tar' ! -name 'eventing-*')
  until_done 60 inside ctr version
  import_images "${archives[@]}"
}

available() { kubectl -n "$1" wait --for=condition=Available deploy --all --timeout=180s >/dev/null; }

# Allows CoreDNS to read services, endpoints, pods and namespaces.
name_server() {
  apply <<Y
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: scalezero-dns}
rules:
- {apiGroups: [""], resources: [endpoints, services, pods, namespaces], verbs: [list, watch, get]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: scalezero-dns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: scalezero-dns}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: "scalezero:dns"}]
Y
}

# Creates the Secret with which functions read their models from S3.
s3_secret() {
  until_done 60 test -s "$S3_ENVIRONMENT"
  kubectl create secret generic scalezero-s3 --from-env-file="$S3_ENVIRONMENT" --dry-run=client -o yaml | apply
}

base() {
  until_done 60 kubectl get --raw=/readyz
  name_server
  until_done 60 kubectl get node "$NODE"
  kubectl wait "node/$NODE" --for=condition=Ready --timeout=90s >/dev/null
  # The controller creates it about a second after the node is ready. Pods cannot start without it.
  until_done 30 kubectl get serviceaccount default
  s3_secret
}

serving() {
  render definitions | apply
  kubectl wait --for=condition=Established crd --all --timeout=60s >/dev/null
  render serving | apply
  available knative-serving
  available kourier-system
  until_done 60 admitted
}

# Whether the webhook admits a Service. The API server may not reach the webhook yet when its pod is already ready.
admitted() {
  kubectl create --dry-run=server -f - <<Y
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: admitted, namespace: default}
spec: {template: {spec: {containers: [{image: "dev.local/pause:$IMAGE_TAG"}]}}}
Y
}

eventing() {
  import_images "$PROGRAMS"/images/eventing-*.tar
  render eventing-definitions | apply
  kubectl wait --for=condition=Established crd --all --timeout=60s >/dev/null
  render eventing | apply
  available knative-eventing
}

"$1"
