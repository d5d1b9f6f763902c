#!/usr/bin/env bash
# Writes the configuration files of the cluster's parts.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
CONFIG=$STATE/config
mkdir -p "$CONFIG/cni"

# restrict_oom_score_adj: without CAP_SYS_RESOURCE, runc must not lower the score; it exits without an error message.
cat >"$CONFIG/containerd.toml" <<Y
version = 2
root = "$STATE/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "dev.local/pause:$IMAGE_TAG"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$CONFIG/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
Y

cat >"$CONFIG/cni/10-pods.conflist" <<Y
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$POD_RANGE"}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "$STATE/ipam"}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
Y

# Pods get the cluster's name server and search list from the kubelet, and no DNS settings of this machine.
: >"$CONFIG/pods-resolv.conf"
echo "nameserver $NODE_ADDRESS" >"$CONFIG/resolv.conf"

cat >"$CONFIG/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_ADDRESS
authentication: {x509: {clientCAFile: $PKI/ca.crt}, webhook: {enabled: true}, anonymous: {enabled: false}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet.crt
tlsPrivateKeyFile: $PKI/kubelet.key
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
clusterDNS: ["$NODE_ADDRESS"]
clusterDomain: cluster.local
resolvConf: $CONFIG/pods-resolv.conf
# The cluster shares the machine's disk. Evict pods only when the disk is almost full, and never remove images.
evictionHard: {imagefs.available: "1%", nodefs.available: "1%", memory.available: "100Mi"}
imageGCHighThresholdPercent: 100
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 100
kubeAPIBurst: 200
nodeStatusUpdateFrequency: 5s
volumePluginDir: $STATE/volume-plugins
Y

# conntrack: its limits apply to the whole machine; a network namespace cannot set them.
cat >"$CONFIG/proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $PKI/proxy.conf}
mode: iptables
clusterCIDR: $POD_RANGE
hostnameOverride: $NODE
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 0s, syncPeriod: 30s}
Y

# Every name under the functions' domain resolves to the node, where port 80 is the gateway. All other names return
# NXDOMAIN immediately.
cat >"$CONFIG/Corefile" <<Y
.:53 {
  bind $NODE_ADDRESS
  errors
  kubernetes cluster.local {
    kubeconfig $PKI/dns.conf scalezero
  }
  template IN A $DOMAIN {
    answer "{{ .Name }} 5 IN A $NODE_ADDRESS"
  }
  template ANY ANY $DOMAIN {
    rcode NOERROR
  }
  template ANY ANY . {
    rcode NXDOMAIN
  }
  cache 5
}
Y
