package deploy

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"socialqueue/config"
)

// Kubernetes is given the same alerts as everybody: kustomize cannot make one from the other.
func TestAlertsOfKubernetes(t *testing.T) {
	_, groups, found := strings.Cut(read(t, alerts), "groups:\n")
	_, spec, alsoFound := strings.Cut(read(t, rule), "spec:\n  groups:\n")
	if !found || !alsoFound {
		t.Fatal("the files do not look as this test expects")
	}
	if unindent(spec) != groups {
		t.Errorf("%s does not hold what %s holds: run `make manifests`", rule, alerts)
	}
}

func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return strings.Join(lines, "\n")
}

// Whoever is woken up is sent to a section that is there.
func TestRunbookSections(t *testing.T) {
	sections := map[string]bool{}
	for _, title := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(read(t, runbook), -1) {
		sections[strings.ToLower(title[1])] = true
	}
	for _, file := range []string{dashboard, alerts} {
		links := regexp.MustCompile(`docs/runbook\.md#([a-z0-9-]+)`).FindAllStringSubmatch(read(t, file), -1)
		if len(links) == 0 {
			t.Errorf("%s sends nobody to the runbook", file)
		}
		for _, link := range links {
			if !sections[link[1]] {
				t.Errorf("%s names the section %s of %s, which is not there", file, link[1], runbook)
			}
		}
	}
}

// A process that is killed before its own time-out is over cannot hand its work back.
func TestTimeToStop(t *testing.T) {
	settings, err := config.Load(config.CLI, func(name string) string {
		return map[string]string{"DATABASE_URL": "postgresql://u:p@localhost/d"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	const closing = 5 * time.Second // what app.Run allows beyond SHUTDOWN_TIMEOUT
	for _, where := range []struct{ files, pattern string }{
		{"docker/kubernetes/base/*.yaml", `terminationGracePeriodSeconds: (\d+)`},
		{"docker/systemd/*.service", `TimeoutStopSec=(\d+)`},
	} {
		files, err := filepath.Glob(filepath.Join(root, where.files))
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, file := range files {
			file = strings.TrimPrefix(file, root+"/")
			text := read(t, file)
			for _, found := range regexp.MustCompile(where.pattern).FindAllStringSubmatch(text, -1) {
				seconds, err := strconv.Atoi(found[1])
				if err != nil {
					t.Fatal(err)
				}
				needed := settings.ShutdownTimeout + closing
				if delay := regexp.MustCompile(`name: SHUTDOWN_DELAY\n\s+value: (\S+)`).FindStringSubmatch(text); delay != nil {
					before, err := time.ParseDuration(delay[1])
					if err != nil {
						t.Fatal(err)
					}
					needed += before
				}
				if given := time.Duration(seconds) * time.Second; given <= needed {
					t.Errorf("%s gives %s to stop, of which the process may need %s", file, given, needed)
				}
				seen++
			}
		}
		if seen < 3 {
			t.Errorf("%s says %d times how long a process may take to stop; there are three processes", where.files, seen)
		}
	}
}
