#!/usr/bin/env bash
# Creates the cluster's certificates, and a kubeconfig for each client of the API server.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
mkdir -p "$PKI"
cd "$PKI"
exec 2>certificates.log # openssl prints its progress to standard error

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

authority() {
  key ca
  openssl req -x509 -new -key ca.key -subj /CN=scalezero-ca -days 3650 -out ca.crt
}

certificate() { # name subject [alternative names]
  key "$1"
  {
    printf 'keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n'
    [ -z "${3:-}" ] || echo "subjectAltName=$3"
  } >"$1.ext"
  openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile "$1.ext" -out "$1.crt"
}

kubeconfig() { # name
  cat >"$1.conf" <<Y
apiVersion: v1
kind: Config
clusters: [{name: scalezero, cluster: {server: "https://$NODE_ADDRESS:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: scalezero, context: {cluster: scalezero, user: $1}}]
current-context: scalezero
Y
}

client() { # name subject [alternative names]
  certificate "$@"
  kubeconfig "$1"
}

authority
certificate apiserver /CN=kube-apiserver "IP:$NODE_ADDRESS,IP:127.0.0.1,IP:${SERVICE_RANGE%.0/*}.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
certificate apiserver-kubelet /O=system:masters/CN=apiserver-kubelet
certificate front-proxy /CN=front-proxy
client admin /O=system:masters/CN=admin
client controller-manager /CN=system:kube-controller-manager
client scheduler /CN=system:kube-scheduler
client kubelet "/O=system:nodes/CN=system:node:$NODE" "DNS:$NODE,IP:$NODE_ADDRESS"
client proxy /CN=system:kube-proxy
client dns /CN=scalezero:dns
# This key signs the tokens of service accounts.
key service-account
openssl ec -in service-account.key -pubout -out service-account.pub
