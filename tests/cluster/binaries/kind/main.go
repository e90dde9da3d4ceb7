// Kind-config reads a cluster's configuration as `kind create cluster --config` does, from standard input, and creates
// nothing. It writes what kind would go by, with the defaults filled in, or says what kind would refuse.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

func main() {
	if err := check(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(from io.Reader, to io.Writer) error {
	var cluster v1alpha4.Cluster
	decoder := yaml.NewDecoder(from)
	decoder.KnownFields(true)
	if err := decoder.Decode(&cluster); err != nil {
		return err
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one document")
	}
	if cluster.APIVersion != "kind.x-k8s.io/v1alpha4" || cluster.Kind != "Cluster" {
		return fmt.Errorf("apiVersion %q and kind %q are not kind.x-k8s.io/v1alpha4 and Cluster", cluster.APIVersion, cluster.Kind)
	}
	v1alpha4.SetDefaultsCluster(&cluster)
	return yaml.NewEncoder(to).Encode(cluster)
}
