#!/usr/bin/env bash
# From an empty cluster to the first routed answer, on the cluster that kubectl talks to. Its nodes have the images
# (`make images`), or Helm's values and the two kustomization.yaml say where they are. No key is needed.
#
# `make kind` runs this on kind, `make test-node` on the node of the tests; `make docs` shows its commands in README.md
# and docs/install.md. Each is shown before it runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
PS4='$ '
set -x

helm upgrade --install pointsman-crds charts/pointsman-crds --namespace pointsman-system --create-namespace --wait
helm upgrade --install pointsman charts/pointsman --namespace pointsman-system --wait
kubectl apply -k examples/kubernetes/stub-provider   # canned answers, by the name of the real provider
kubectl apply -f examples/quickstart/policy.yaml     # namespace shop and its policy
kubectl label namespace shop pointsman.dev/inject=true --overwrite
kubectl apply -k examples/kubernetes/app             # ready once it has its answers
kubectl rollout status deployment/support --namespace shop --timeout=2m
kubectl logs deployment/support --namespace shop --container app
kubectl get mrp --namespace shop
