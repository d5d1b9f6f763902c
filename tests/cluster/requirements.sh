#!/usr/bin/env bash
# Says, one line each, what this machine lacks for the cluster; --install fetches Debian's packages first.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

# Needed: what must be found -> the Debian package that has it.
NEEDED=(
  containerd:containerd ctr:containerd runc:runc etcd:etcd-server iptables:iptables ip:iproute2 openssl:openssl
  nsenter:util-linux setpriv:util-linux mount:mount curl:curl
  /usr/lib/cni/bridge:containernetworking-plugins /usr/lib/cni/portmap:containernetworking-plugins
  /etc/ssl/certs/ca-certificates.crt:ca-certificates
)
# What scripts/image builds images with; the cluster runs without.
FOR_IMAGES=(buildah:buildah mmdebstrap:mmdebstrap)
# What tests of the unit suite run: h2load where it is there, and a client of Node.js.
FOR_TESTS=(h2load:nghttp2-client node:nodejs npm:npm)
MEMORY_MIB=3072
FIRST_BUILD_MIB=12288
DISK_MIB=4096

found() { case $1 in /*) [ -e "$1" ] ;; *) command -v "$1" >/dev/null ;; esac; }

# The packages of what is missing, one a line.
missing() {
  local need
  for need in "$@"; do found "${need%%:*}" || echo "${need#*:}"; done | sort -u
}

install_packages() {
  local packages
  mapfile -t packages < <(missing "${NEEDED[@]}" "${FOR_IMAGES[@]}" "${FOR_TESTS[@]}")
  [ ${#packages[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "only root, on Debian, can install ${packages[*]}"
  fi
  say "installing ${packages[*]}"
  mkdir -p "$CACHE"
  # Once more, for a mirror that was busy.
  apt_install "${packages[@]}" || { sleep 5 && apt_install "${packages[@]}"; } || {
    tail -n 5 "$CACHE/packages.log" >&2
    fail "apt-get could not install ${packages[*]}; the whole story: $CACHE/packages.log"
  }
}

apt_install() {
  local -x DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get install --yes --no-install-recommends "$@"; } >"$CACHE/packages.log" 2>&1 </dev/null
}

complain() { echo "scripts/cluster: $*" >&2; complaints=$((complaints + 1)); }

check_packages() {
  local need packages
  for need in "${NEEDED[@]}"; do
    found "${need%%:*}" || complain "${need%%:*} is missing; Debian's package ${need#*:} has it"
  done
  packages=$(missing "${NEEDED[@]}" | tr '\n' ' ')
  [ -z "$packages" ] || complain "on Debian: apt-get install --no-install-recommends $packages(or: scripts/cluster requirements --install)"
}

# A first build compiles; later starts need no Go.
check_go() {
  [ -f "$BUILT/core" ] && return
  local wanted have
  wanted=$(awk '$1 == "go" {print $2}' "$HERE/tools/go.mod")
  have=$(cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || { complain "go is missing; Go $wanted or newer builds the cluster's programs"; return; }
  printf '%s\n' "$wanted" "${have#go}" | sort -V -C || complain "$have is too old; Go $wanted or newer builds the cluster's programs"
}

check_room() {
  local available wanted free
  available=$(awk '$1 == "MemAvailable:" {print int($2 / 1024)}' /proc/meminfo)
  [ "$available" -ge "$MEMORY_MIB" ] || complain "$available MiB of memory are free; the cluster and a few pods need $MEMORY_MIB"
  wanted=$DISK_MIB
  [ -f "$BUILT/core" ] || wanted=$FIRST_BUILD_MIB
  mkdir -p "$CACHE"
  free=$(df --output=avail -BM "$CACHE" | tail -n 1 | tr -dc 0-9)
  [ "$free" -ge "$wanted" ] || complain "$free MiB are free under $CACHE; $wanted are needed"
}

check_kernel() {
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    complain "this machine has cgroup v2 only; the cluster knows v1 (kernel parameter systemd.unified_cgroup_hierarchy=0)"
  elif ! grep -q ' - cgroup ' /proc/self/mountinfo; then
    complain "no cgroup is mounted under /sys/fs/cgroup; the cluster limits its pods with them"
  fi
  local folder word
  folder=$(mktemp -d -p "$CACHE" rehearsal.XXXXXX)
  word=$(unshare --net --mount --pid --cgroup --uts --ipc --fork bash "$HERE/requirements.sh" --rehearse "$folder" 2>&1) ||
    complain "the kernel refuses what the cluster is made of (namespaces, bridge, overlay, iptables): ${word:-no word why}"
  rm -rf "$folder"
}

# In namespaces of its own: what node.sh and the pods will ask of the kernel.
rehearse() {
  local folder=$1
  mount --make-rprivate /
  ip link add rehearsal type bridge
  ip link add rehearsal0 type veth peer name rehearsal1
  iptables -t nat -S >/dev/null
  mkdir "$folder"/{lower,upper,work,merged}
  mount -t overlay overlay -o "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work" "$folder/merged"
}

check() {
  complaints=0
  if [ "$(uname -s)" != Linux ]; then complain "the cluster runs on Linux only, and this is $(uname -s)"; fi
  check_packages
  check_go
  check_room
  if [ "$complaints" = 0 ]; then check_kernel; fi
  [ "$complaints" = 0 ]
}

case ${1:-} in
  --rehearse) rehearse "$2" ;;
  --install) install_packages && check ;;
  "") check ;;
  *) fail "requirements: unknown argument $1; --install is the only one" ;;
esac
