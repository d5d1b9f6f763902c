#!/usr/bin/env bash
# Lists what this machine lacks for the cluster, one line each. --install first installs Debian's packages.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

# Program or file -> the Debian package that contains it.
NEEDED=(
  containerd:containerd ctr:containerd runc:runc etcd:etcd-server iptables:iptables ip:iproute2 openssl:openssl
  nsenter:util-linux setpriv:util-linux mount:mount curl:curl
  /usr/lib/cni/bridge:containernetworking-plugins /usr/lib/cni/portmap:containernetworking-plugins
  /etc/ssl/certs/ca-certificates.crt:ca-certificates
)
# The programs with which scripts/image builds images. The cluster does not need them.
FOR_IMAGES=(buildah:buildah mmdebstrap:mmdebstrap)
# Programs that some unit tests run: h2load, a client for Node.js, and the compiler of WebAssembly guests in C.
FOR_TESTS=(
  h2load:nghttp2-client node:nodejs npm:npm
  clang:clang wasm-ld:lld /usr/lib/wasm32-wasi/libc.a:wasi-libc /usr/share/doc/libclang-rt-dev-wasm32:libclang-rt-dev-wasm32
)
MEMORY_MIB=3072
FIRST_BUILD_MIB=12288
DISK_MIB=4096

found() { case $1 in /*) [ -e "$1" ] ;; *) command -v "$1" >/dev/null ;; esac; }

# Prints the packages of everything that is missing, one per line.
missing() {
  local need
  for need in "$@"; do found "${need%%:*}" || echo "${need#*:}"; done | sort -u
}

install_packages() {
  local packages
  mapfile -t packages < <(missing "${NEEDED[@]}" "${FOR_IMAGES[@]}" "${FOR_TESTS[@]}")
  [ ${#packages[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "cannot install ${packages[*]}: --install needs root and apt-get (Debian)"
  fi
  say "installing ${packages[*]}"
  mkdir -p "$CACHE"
  # Try twice, because the mirror may be busy.
  apt_install "${packages[@]}" || { sleep 5 && apt_install "${packages[@]}"; } || {
    tail -n 5 "$CACHE/packages.log" >&2
    fail "apt-get could not install ${packages[*]}; full log: $CACHE/packages.log"
  }
}

apt_install() {
  local -x DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get install --yes --no-install-recommends "$@"; } >"$CACHE/packages.log" 2>&1 </dev/null
}

report_problem() { echo "scripts/cluster: $*" >&2; problems=$((problems + 1)); }

check_packages() {
  local need packages
  for need in "${NEEDED[@]}"; do
    found "${need%%:*}" || report_problem "${need%%:*} is missing; it is in Debian's package ${need#*:}"
  done
  packages=$(missing "${NEEDED[@]}" | tr '\n' ' ')
  [ -z "$packages" ] || report_problem "on Debian: apt-get install --no-install-recommends $packages(or: scripts/cluster requirements --install)"
}

# Only the build needs Go. Later starts do not.
check_go() {
  [ -f "$BUILT/core" ] && return
  local wanted have
  wanted=$(awk '$1 == "go" {print $2}' "$HERE/tools/go.mod")
  have=$(cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || { report_problem "go is missing; the build of the cluster's programs needs Go $wanted or later"; return; }
  printf '%s\n' "$wanted" "${have#go}" | sort -V -C || report_problem "$have is too old; the build of the cluster's programs needs Go $wanted or later"
}

check_room() {
  local available wanted free
  available=$(awk '$1 == "MemAvailable:" {print int($2 / 1024)}' /proc/meminfo)
  [ "$available" -ge "$MEMORY_MIB" ] || report_problem "$available MiB of memory are available; the cluster and a few pods need $MEMORY_MIB MiB"
  wanted=$DISK_MIB
  [ -f "$BUILT/core" ] || wanted=$FIRST_BUILD_MIB
  mkdir -p "$CACHE"
  free=$(df --output=avail -BM "$CACHE" | tail -n 1 | tr -dc 0-9)
  [ "$free" -ge "$wanted" ] || report_problem "$free MiB are free in $CACHE; the cluster needs $wanted MiB"
}

check_kernel() {
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    report_problem "this machine has only cgroup v2, and the cluster needs v1; set the kernel parameter systemd.unified_cgroup_hierarchy=0"
  elif ! grep -q ' - cgroup ' /proc/self/mountinfo; then
    report_problem "no cgroup hierarchy is mounted under /sys/fs/cgroup; the cluster needs cgroups to limit its pods"
  fi
  local folder error
  folder=$(mktemp -d -p "$CACHE" rehearsal.XXXXXX)
  error=$(unshare --net --mount --pid --cgroup --uts --ipc --fork bash "$HERE/requirements.sh" --rehearse "$folder" 2>&1) ||
    report_problem "the kernel does not allow what the cluster needs (namespaces, bridge, overlay, iptables): ${error:-unknown error}"
  rm -rf "$folder"
}

# Tries, in new namespaces, the kernel features that node.sh and the pods use.
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
  problems=0
  if [ "$(uname -s)" != Linux ]; then report_problem "the cluster runs only on Linux; this system is $(uname -s)"; fi
  check_packages
  check_go
  check_room
  if [ "$problems" = 0 ]; then check_kernel; fi
  [ "$problems" = 0 ]
}

case ${1:-} in
  --rehearse) rehearse "$2" ;;
  --install) install_packages && check ;;
  "") check ;;
  *) fail "requirements: unknown argument $1; expected --install or none" ;;
esac
