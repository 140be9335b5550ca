#!/bin/sh
# Makes an identity for one machine outside the cluster and prints its kubeconfig:
#   deploy/bare-metal/kubeconfig.sh mac-mini-1 > kubeconfig
# Run it where kubectl is the administrator's, after kubectl apply -k deploy/. Run again, it prints the same identity.
# The token does not expire: a machine that was switched off for a month must be able to come back. To revoke it:
#   kubectl delete serviceaccount mac-mini-1 -n foreman-agents
set -eu

die() { echo "kubeconfig.sh: $*" >&2; exit 2; }

[ $# -eq 1 ] || die "usage: kubeconfig.sh NODE > kubeconfig"
node=$1
printf '%s\n' "$node" | grep -Eqx '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?' ||
  die "'$node' is no name for a node: a-z, 0-9 and -, at most 63"
[ "$(kubectl get node "$node" --ignore-not-found -o name)" = "" ] ||
  die "$node is a node of the cluster, whose agent the DaemonSet runs: choose another name"

kubectl apply -f - >&2 <<YAML
apiVersion: v1
kind: ServiceAccount
metadata:
  name: $node
  namespace: foreman-agents
---
apiVersion: v1
kind: Secret
type: kubernetes.io/service-account-token
metadata:
  name: $node
  namespace: foreman-agents
  annotations:
    kubernetes.io/service-account.name: $node
YAML

token=
tries=0
while [ -z "$token" ]; do
  tries=$((tries + 1))
  [ "$tries" -le 10 ] || die "the cluster has put no token into the secret foreman-agents/$node"
  [ "$tries" -eq 1 ] || sleep 1
  token=$(kubectl get secret "$node" -n foreman-agents \
    -o go-template='{{with .data}}{{with .token}}{{. | base64decode}}{{end}}{{end}}')
done

look() { kubectl config view --minify --flatten -o "jsonpath={.clusters[0].cluster.$1}"; }
server=$(look server)
ca=$(look certificate-authority-data)

cat <<YAML
apiVersion: v1
kind: Config
current-context: foreman
contexts:
  - name: foreman
    context:
      cluster: foreman
      user: $node
clusters:
  - name: foreman
    cluster:
      server: $server
${ca:+      certificate-authority-data: $ca
}users:
  - name: $node
    user:
      token: $token
YAML
