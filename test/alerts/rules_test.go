//go:build alerts

package alerts

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	rulesFile  = "../../docker/prometheus/alerts.yml"
	rulesTest  = "../../docker/prometheus/alerts_test.yml"
	configFile = "../../docker/prometheus/prometheus.yml"
)

// What shorten makes of times. A range holds many scrapes (see scrapeEvery), and more
// than the five seconds for which a scheduler repeats what it asked.
const (
	shortFor   = "2s"
	shortRange = "8s"
	// timesBegin is the least threshold that is a time, in seconds: a count or a share
	// that wakes somebody up is smaller. Such times become shorter by the factor.
	timesBegin, factor = 60, 12
)

var (
	forLine   = regexp.MustCompile(`(?m)^( +for: ).+$`)
	ranges    = regexp.MustCompile(`(\[|offset )\d+[smhd]\b`)
	threshold = regexp.MustCompile(`(> )(\d+)\b`)
	alertName = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	ourMetric = regexp.MustCompile(`\bsocialqueue_[a-z0-9_]+`)
)

// shorten makes the rules quick enough to be watched. It changes times and nothing
// else: every `for` becomes shortFor, every range [5m] and offset shortRange, and a
// threshold of a minute or more a twelfth of it. The ten seconds of PostsLate stay ten.
func shorten(rules string) string {
	rules = forLine.ReplaceAllString(rules, "${1}"+shortFor)
	rules = ranges.ReplaceAllString(rules, "${1}"+shortRange)
	return threshold.ReplaceAllStringFunc(rules, func(comparison string) string {
		n, err := strconv.Atoi(threshold.FindStringSubmatch(comparison)[2])
		if err != nil || n < timesBegin {
			return comparison
		}
		return "> " + strconv.Itoa(n/factor)
	})
}

// Thresholds that are shortened are times, and all else of a rule stays what it is.
func TestShorten(t *testing.T) {
	before, after := strings.Split(read(t, rulesFile), "\n"), strings.Split(shorten(read(t, rulesFile)), "\n")
	if len(before) != len(after) {
		t.Fatalf("%d lines became %d", len(before), len(after))
	}
	changed := 0
	for i, line := range after {
		if line == before[i] {
			continue
		}
		changed++
		if strings.HasPrefix(strings.TrimSpace(line), "for: ") {
			continue
		}
		if ranges.ReplaceAllString(line, "") != ranges.ReplaceAllString(before[i], "") && !strings.Contains(line, "_seconds") {
			t.Errorf("the threshold of %q is no time, and became that of %q", before[i], line)
		}
	}
	if changed < 15 {
		t.Errorf("%d lines changed: the rules do not look as this test expects", changed)
	}
}

// An alert that no trouble of this package makes fire is one that nobody has seen fire.
func TestEveryAlertHasATrouble(t *testing.T) {
	names := alertNames(t)
	if len(names) < 15 {
		t.Fatalf("%d alerts are seen in %s: the rules do not look as this test expects", len(names), rulesFile)
	}
	var watched []string
	for _, trouble := range troubles {
		watched = append(append(watched, trouble.alerts...), trouble.after...)
	}
	for _, name := range names {
		if !slices.Contains(watched, name) {
			t.Errorf("no trouble makes %s fire: write one", name)
		}
	}
	for _, name := range watched {
		if !slices.Contains(names, name) {
			t.Errorf("a trouble expects %s, which is no alert", name)
		}
	}
}

func alertNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, found := range alertName.FindAllStringSubmatch(read(t, rulesFile), -1) {
		names = append(names, found[1])
	}
	return names
}

// watchedMetrics are the metrics that the rules name.
func watchedMetrics(t *testing.T) []string {
	t.Helper()
	names := ourMetric.FindAllString(read(t, rulesFile), -1)
	slices.Sort(names)
	return slices.Compact(names)
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
