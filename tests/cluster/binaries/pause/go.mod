// The process that holds a pod's namespaces in the node tier.
module pointsman.dev/tests/cluster/binaries/pause

go 1.26
