#!/usr/bin/env bash
# Process 1 of the cluster, in its own namespaces. It sets up mounts and network, starts the parts, and reaps processes.
# When it ends, the kernel ends all other processes of the cluster, and removes its mounts and network.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
. "$HERE/cgroups.sh"
CONFIG=$STATE/config

# /proc is still that of the outer PID namespace here, so this is the PID of this process outside the cluster.
read -r outside_pid _ </proc/self/stat
echo "$outside_pid" >"$STATE/init.pid"

mounts() {
  mount --make-rprivate / # the mounts below do not propagate to the machine
  mount --make-rshared /
  mount -t proc proc /proc
  mount -t sysfs sysfs /sys
  mount_cgroups
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/netns /run/lock
  resolver
  own_folders
  kernel_settings
}

# Makes the cluster's name server the resolver. /etc/resolv.conf may be a link into /run, which is empty now.
resolver() {
  local file
  file=$(readlink -m /etc/resolv.conf)
  case $file in /run/*) mkdir -p "${file%/*}" && : >"$file" ;; esac
  mount --bind "$CONFIG/resolv.conf" "$file"
}

# Mounts the folders whose paths are fixed in programs, without creating them on the machine.
own_folders() {
  local folder
  mkdir -p /run/var-lib/upper /run/var-lib/work
  mount -t overlay overlay -o lowerdir=/var/lib,upperdir=/run/var-lib/upper,workdir=/run/var-lib/work /var/lib
  mount -t tmpfs -o mode=755 tmpfs /var/log
  for folder in /var/lib/cni /var/lib/kubelet /var/log/pods /var/log/containers; do
    mkdir -p "$STATE$folder" "$folder"
    mount --bind "$STATE$folder" "$folder"
  done
}

# The kubelet sets these parameters for the whole machine if they differ. Mount files with the values that it expects, so
# that it changes nothing.
kernel_settings() {
  local name value
  mkdir -p /run/kernel
  while read -r name value; do
    echo "$value" >"/run/kernel/$name"
    mount --bind "/run/kernel/$name" "/proc/sys/${name/.//}"
  done <<<"vm.overcommit_memory 1
vm.panic_on_oom 0
kernel.panic 10
kernel.panic_on_oops 1"
}

network() {
  hostname "$NODE"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables || true # the file is missing if the kernel module is not loaded; then it is not needed
  ip link set lo up
  ip link add node0 type bridge
  ip address add "$NODE_ADDRESS/24" dev node0
  ip link set node0 up
  # A Service's address needs a route before kube-proxy rewrites it. All addresses outside the cluster are unreachable,
  # so that connections to them fail immediately.
  ip route add "$SERVICE_RANGE" dev node0
  ip route add unreachable default metric 4278198272
}

start() { # name program argument...
  local name=$1
  shift
  ( exec "$@" >>"$LOG/$name.log" 2>&1 </dev/null ) &
  echo $! >"$STATE/parts/$name.pid"
}

store() {
  start etcd etcd --name node --data-dir "$STATE/etcd" --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster node=http://127.0.0.1:2380
}

# Node ports start at 80, the gateway's port, and end below the ports of the node's own components.
api_server() {
  start apiserver "$LIBEXEC/kube" kube-apiserver --etcd-servers=http://127.0.0.1:2379 --profiling=false \
    --advertise-address="$NODE_ADDRESS" --bind-address=0.0.0.0 --secure-port=6443 --allow-privileged=true \
    --service-cluster-ip-range="$SERVICE_RANGE" --service-node-port-range=80-1023 \
    --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" --client-ca-file="$PKI/ca.crt" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$PKI/service-account.pub" --service-account-signing-key-file="$PKI/service-account.key" \
    --kubelet-client-certificate="$PKI/apiserver-kubelet.crt" --kubelet-client-key="$PKI/apiserver-kubelet.key" \
    --kubelet-certificate-authority="$PKI/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --requestheader-client-ca-file="$PKI/ca.crt" --requestheader-allowed-names=front-proxy \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$PKI/front-proxy.crt" --proxy-client-key-file="$PKI/front-proxy.key"
}

controller() { # name program argument...
  local name=$1 program=$2 config=$PKI/$1.conf
  shift 2
  start "$name" "$LIBEXEC/kube" "$program" --kubeconfig="$config" --authentication-kubeconfig="$config" \
    --authorization-kubeconfig="$config" --bind-address=127.0.0.1 --leader-elect=false --profiling=false "$@"
}

controllers() {
  controller controller-manager kube-controller-manager --service-account-private-key-file="$PKI/service-account.key" \
    --root-ca-file="$PKI/ca.crt" --use-service-account-credentials=true --cluster-cidr="$POD_RANGE" --node-monitor-period=2s
  controller scheduler kube-scheduler
}

node() {
  start proxy "$LIBEXEC/kube" kube-proxy --config="$CONFIG/proxy.yaml"
  start kubelet "$LIBEXEC/kube" kubelet --config="$CONFIG/kubelet.yaml" --kubeconfig="$PKI/kubelet.conf" \
    --root-dir="$STATE/kubelet" --cert-dir="$STATE/kubelet/pki" --hostname-override="$NODE" --node-ip="$NODE_ADDRESS"
  start dns "$LIBEXEC/dns" -conf "$CONFIG/Corefile"
}

api_answers() { "$BIN/kubectl" --kubeconfig="$ADMIN" get --raw=/readyz >/dev/null 2>&1; }

mounts
network
start containerd containerd -c "$CONFIG/containerd.toml"
store
api_server
"$HERE/s3.sh" start &
until api_answers; do sleep 0.1; done
controllers
node
while :; do
  sleep 3600 &
  wait $! || true
done
