// Promql reads PromQL expressions, one a line, from standard input. For each it writes a line of JSON with the series
// that it asks for and the labels that it names, or it says which expression Prometheus would refuse, and why.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

type query struct {
	Series []series `json:"series"`
	// By or without which the whole is grouped.
	Grouping []string `json:"grouping"`
}

type series struct {
	Name   string   `json:"name"`
	Labels []string `json:"labels"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		found, err := read(lines.Text())
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", lines.Text(), err)
			os.Exit(1)
		}
		text, _ := json.Marshal(found)
		fmt.Println(string(text))
	}
}

func read(text string) (query, error) {
	found := query{Series: []series{}, Grouping: []string{}}
	expression, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return found, err
	}
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.VectorSelector:
			one := series{Name: node.Name, Labels: []string{}}
			for _, matcher := range node.LabelMatchers {
				if matcher.Name != labels.MetricName {
					one.Labels = append(one.Labels, matcher.Name)
				}
			}
			found.Series = append(found.Series, one)
		case *parser.AggregateExpr:
			found.Grouping = append(found.Grouping, node.Grouping...)
		}
		return nil
	})
	return found, nil
}
