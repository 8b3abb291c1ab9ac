package deploy

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Go collects garbage harder near GOMEMLIMIT. Without it, or above the limit of the container, the kernel kills the
// process first.
func TestMemoryLimits(t *testing.T) {
	compose := read(t, "docker/compose.yaml")
	for _, name := range []string{"api", "worker", "scheduler", "migrate"} {
		for _, where := range []struct{ file, text, limit, golimit string }{
			{"docker/kubernetes/base/" + name + ".yaml", "", `limits:\n\s+memory: (\S+)`, `name: GOMEMLIMIT\n\s+value: (\S+)`},
			{"docker/systemd/socialqueue-" + name + ".service", "", `(?m)^MemoryMax=(\S+)$`, `(?m)^Environment=GOMEMLIMIT=(\S+)$`},
			{"docker/compose.yaml", service(t, compose, name), `mem_limit: (\S+)`, `GOMEMLIMIT: (\S+)`},
		} {
			if where.text == "" {
				where.text = read(t, where.file)
			}
			limit, golimit := size(t, where.text, where.limit), size(t, where.text, where.golimit)
			if golimit < limit*85/100 || golimit > limit*92/100 {
				t.Errorf("%s: %s may have %d MiB, and GOMEMLIMIT is %d MiB: want nine tenths", where.file, name, limit, golimit)
			}
		}
	}
}

// The containers of compose and the pods of Kubernetes have the same limits.
func TestMemoryOfCompose(t *testing.T) {
	compose := read(t, "docker/compose.yaml")
	for _, name := range []string{"api", "worker", "scheduler", "migrate"} {
		pod := size(t, read(t, "docker/kubernetes/base/"+name+".yaml"), `limits:\n\s+memory: (\S+)`)
		if container := size(t, service(t, compose, name), `mem_limit: (\S+)`); container != pod {
			t.Errorf("%s may have %d MiB in compose and %d MiB in Kubernetes", name, container, pod)
		}
	}
}

// Each setting reaches the container that uses it, and the scheduler and the migration hold no secret of a platform.
func TestSettingsOfCompose(t *testing.T) {
	compose := read(t, "docker/compose.yaml")
	if strings.Contains(compose, "env_file") {
		t.Error("env_file hands every setting to a container")
	}
	reach := map[string]string{}
	for _, name := range []string{"api", "worker", "scheduler", "migrate"} {
		text := service(t, compose, name)
		for _, anchor := range regexp.MustCompile(`\*(\w+)`).FindAllStringSubmatch(text, -1) {
			block := regexp.MustCompile(`(?m)^x-\w+: &` + anchor[1] + `\n((?:[ #].*\n)+)`).FindStringSubmatch(compose)
			if block == nil {
				t.Fatalf("no block %s", anchor[1])
			}
			text += block[1]
		}
		reach[name] = text
	}
	ours, _, _ := strings.Cut(read(t, ".env.example"), "# --- read by docker/compose.yaml alone")
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z][A-Z0-9_]*)=`).FindAllStringSubmatch(ours, -1) {
		setting := regexp.MustCompile(`(?m)^ +` + m[1] + `:`)
		if !setting.MatchString(reach["api"]) && !setting.MatchString(reach["worker"]) {
			t.Errorf("docker/compose.yaml hands %s to neither api nor worker", m[1])
		}
		secret := regexp.MustCompile(`^(TIKTOK|FACEBOOK|INSTAGRAM|OPERATOR|TOKEN)_`).MatchString(m[1])
		for _, name := range []string{"scheduler", "migrate"} {
			if secret && setting.MatchString(reach[name]) {
				t.Errorf("docker/compose.yaml hands %s to %s", m[1], name)
			}
		}
	}
	if strings.Contains(reach["migrate"], "REDIS_URL") || strings.Contains(reach["migrate"], "AWS_") {
		t.Error("docker/compose.yaml hands the migration more than the database")
	}
}

// service returns the text of a service of the compose file.
func service(t *testing.T, compose, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^  ` + name + `:\n((?:    .*\n|\n)+)`).FindStringSubmatch(compose)
	if found == nil {
		t.Fatalf("docker/compose.yaml has no service %s", name)
	}
	return found[1]
}

// size returns an amount of memory in MiB.
func size(t *testing.T, text, pattern string) int {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Errorf("nothing matches %s", pattern)
		return 0
	}
	number := strings.TrimRight(found[1], "GMgmiB")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	if unit := found[1][len(number):]; strings.EqualFold(unit[:1], "g") {
		n *= 1024
	}
	return n
}
