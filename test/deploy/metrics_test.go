// Package deploy checks what operators are given against the code: the dashboard,
// the alert rules, the runbook and the manifests.
package deploy

import (
	"database/sql"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"socialqueue/models"
	"socialqueue/observe"
)

// root is the root of the repository.
const root = "../.."

const (
	dashboard = "docker/grafana/dashboards/socialqueue.json"
	alerts    = "docker/prometheus/alerts.yml"
	alertTest = "docker/prometheus/alerts_test.yml"
	rule      = "docker/kubernetes/components/monitoring/alerts.yaml"
	scaler    = "docker/kubernetes/components/keda/scaledobject.yaml"
	runbook   = "docs/runbook.md"
)

var (
	ours    = regexp.MustCompile(`\bsocialqueue_[a-z0-9_]+`)
	general = regexp.MustCompile(`\b(?:go|process)_[a-z0-9_]+`)
)

// A name that no process shows makes a graph that is empty, and an alert that never fires.
func TestMetricsExist(t *testing.T) {
	declared, shown := declaredMetrics(t), shownMetrics(t)
	if len(declared) < 20 || len(shown) < 20 {
		t.Fatalf("the code declares %d metrics and a process shows %d: this test no longer sees them", len(declared), len(shown))
	}
	for _, file := range []string{dashboard, alerts, alertTest, scaler} {
		text := read(t, file)
		used := ours.FindAllString(text, -1)
		if len(used) == 0 {
			t.Errorf("%s uses no metric", file)
		}
		for _, name := range distinct(used) {
			if !declared[name] {
				t.Errorf("%s uses %s, which the code does not declare", file, name)
			}
		}
		if file != dashboard {
			continue
		}
		for _, name := range distinct(general.FindAllString(text, -1)) {
			if !shown[name] {
				t.Errorf("%s uses %s, which no process shows", file, name)
			}
		}
	}
}

// A metric that nobody looks at can go, or belongs on the dashboard.
func TestDashboardShowsAllMetrics(t *testing.T) {
	text := read(t, dashboard)
	for name := range declaredMetrics(t) {
		if base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count"); !strings.Contains(text, base) {
			t.Errorf("%s does not show %s", dashboard, base)
		}
	}
}

// declaredMetrics reads from the code the name of each metric of ours: the calls of
// counter and histogram, and the field Name of GaugeOpts, CounterOpts and observe.Gauge.
func declaredMetrics(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	add := func(arg ast.Expr, suffixes ...string) {
		lit, ok := arg.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return // the name is a variable: inside of counter or histogram itself
		}
		name, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		for _, suffix := range suffixes {
			names["socialqueue_"+name+suffix] = true
		}
	}
	for _, file := range sources(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				switch nameOf(n.Fun) {
				case "counter":
					add(n.Args[0], "")
				case "histogram":
					add(n.Args[0], "_bucket", "_sum", "_count")
				}
			case *ast.CompositeLit:
				if kind := nameOf(n.Type); kind != "GaugeOpts" && kind != "Gauge" && kind != "CounterOpts" {
					break
				}
				for _, field := range n.Elts {
					if pair, ok := field.(*ast.KeyValueExpr); ok && nameOf(pair.Key) == "Name" {
						add(pair.Value, "")
					}
				}
			}
			return true
		})
	}
	return names
}

// sources parses the folders that import observe, and observe itself.
func sources(t *testing.T) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, folder := range []string{"observe", "app", "jobs"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			files = append(files, file)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// shownMetrics is what a process shows that has done nothing yet: the metrics of Go,
// of the process and of its pool of connections.
func shownMetrics(t *testing.T) map[string]bool {
	t.Helper()
	m := observe.NewMetrics(observe.PlatformKinds{Platform: models.TikTok, Kinds: []models.Kind{models.Video}})
	m.Database(new(sql.DB))
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	names := map[string]bool{}
	for _, name := range general.FindAllString(answer.Body.String(), -1) {
		names[name] = true
	}
	return names
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
