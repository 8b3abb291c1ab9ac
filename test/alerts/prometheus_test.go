//go:build alerts

package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"socialqueue/test/testkit"
)

// scrapeEvery is how often Prometheus scrapes, and evaluates the rules.
const scrapeEvery = "500ms"

// server is a Prometheus that runs.
type server struct {
	t    *testing.T
	http *http.Client
	url  string
}

var (
	intervals = regexp.MustCompile(`(_interval: )\S+`)
	lookup    = regexp.MustCompile(`dns_sd_configs:\n +- \{names: \[(\w+)\].*\}`)
)

// configured is the configuration of docker/prometheus, which finds each process at
// its address and looks at it more often.
func configured(t *testing.T, passwordFile string, addrs map[string]string) string {
	t.Helper()
	text := intervals.ReplaceAllString(read(t, configFile), "${1}"+scrapeEvery)
	text = strings.ReplaceAll(text, "/run/secrets/operator_password", passwordFile)
	text = strings.ReplaceAll(text, "username_file: /run/secrets/operator_user", "username: operator") // Debian's is older than such files
	found := 0
	text = lookup.ReplaceAllStringFunc(text, func(lines string) string {
		found++
		return fmt.Sprintf("static_configs: [{targets: [%q]}]", addrs[lookup.FindStringSubmatch(lines)[1]])
	})
	if found != len(addrs) {
		t.Fatalf("%s has %d jobs, there are %d processes", configFile, found, len(addrs))
	}
	return text
}

// startPrometheus starts one that watches the processes by the shortened rules.
func startPrometheus(t *testing.T, addr, password string, processes map[string]string) *server {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("alerts.yml", shorten(read(t, rulesFile)))
	config := write("prometheus.yml", configured(t, write("password", password), processes))

	var log bytes.Buffer
	cmd := exec.CommandContext(context.Background(), prometheus, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("the log of Prometheus:\n%s", log.Bytes())
		}
	})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s := &server{t: t, url: "http://" + addr, http: &http.Client{Transport: transport}}
	testkit.Await(t, 30*time.Second, "Prometheus is ready", func() (bool, string) {
		select {
		case <-ended:
			t.Fatal("Prometheus ended while starting")
		default:
		}
		_, err := s.get("/-/ready")
		return err == nil, fmt.Sprint(err)
	})
	// It looks for its targets for five seconds first, which is longer than shortFor:
	// until then it knows of no scheduler.
	testkit.Await(t, 30*time.Second, "Prometheus sees every process", func() (bool, string) {
		up, firing := s.query("job", "up == 1"), s.firing()
		return len(up) == len(processes) && len(firing) == 0, fmt.Sprint(up, firing)
	})
	return s
}

func (s *server) get(path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", path, resp.Status, body)
	}
	return body, err
}

// api asks Prometheus' API, and reads the data of its answer into v.
func (s *server) api(path string, v any) {
	s.t.Helper()
	body, err := s.get("/api/v1/" + path)
	if err != nil {
		s.t.Fatal(err)
	}
	answer := struct{ Data any }{v}
	if err := json.Unmarshal(body, &answer); err != nil {
		s.t.Fatalf("%v in %s", err, body)
	}
}

// firing are the alerts that fire now, each with its labels.
func (s *server) firing() map[string]string {
	s.t.Helper()
	var list struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	s.api("alerts", &list)
	firing := map[string]string{}
	for _, a := range list.Alerts {
		if a.State == "firing" {
			name := a.Labels["alertname"]
			delete(a.Labels, "alertname")
			firing[name] += fmt.Sprint(a.Labels)[len("map"):]
		}
	}
	return firing
}

// query gives the values that an expression has now, by the label of that name.
func (s *server) query(label, expression string) map[string]string {
	s.t.Helper()
	var answer struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	s.api("query?query="+url.QueryEscape(expression), &answer)
	values := map[string]string{}
	for _, r := range answer.Result {
		values[r.Metric[label]] = fmt.Sprint(r.Value[1])
	}
	return values
}

// fired are the alerts that have been firing at any time since then.
func (s *server) fired(since time.Time) []string {
	s.t.Helper()
	expression := fmt.Sprintf(`count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[%dms]))`, time.Since(since).Milliseconds())
	var names []string
	for name := range s.query("alertname", expression) {
		names = append(names, name)
	}
	return names
}
