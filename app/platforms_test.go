package app_test

import (
	"bufio"
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// platformWords matches the names of platforms in code.
var platformWords = regexp.MustCompile(`\bmodels\.(TikTok|Instagram)\b|(==|!=|case) *"(tiktok|instagram)"`)

// ofPlatforms lists the places that may: the package of the constants, the registry,
// settings, migrations, each platform's own folders and files, and tests.
var ofPlatforms = regexp.MustCompile(`^(models|app|config|db/migrations)/|(^|/)(tiktok|instagram)/|^handlers/(tiktok|instagram)[^/]*$|_test\.go$|^(test|sandbox/sandboxtest|db/dbtest)/`)

// TestPlatformsAreNamedAtHomeOnly keeps branches on a platform out of the engines: one more
// platform must be new folders and a line in the registry.
func TestPlatformsAreNamedAtHomeOnly(t *testing.T) {
	for _, line := range linesThatName(t) {
		t.Errorf("%s\n\tnames a platform outside its own folders: ask the registry, or a method of models.Platform", line)
	}
}

// TestPlatformRule checks that the rule finds violations and accepts the rest.
func TestPlatformRule(t *testing.T) {
	for file, line := range map[string]string{
		"publish/run.go": "if p.Platform == models.TikTok {", "console/posts.go": "case models.Instagram:", "jobs/queue.go": `if p == "tiktok" {`,
	} {
		if !breaksPlatformRule(file, line) {
			t.Errorf("%s: %s was let pass", file, line)
		}
	}
	for file, line := range map[string]string{
		"publish/tiktok/publisher.go": "return models.TikTok", "handlers/instagram.go": "Platform: models.Instagram", "publish/run.go": "p.Platform.BehindLogin()",
		"app/tiktok.go": "models.TikTok", "publish/run_test.go": "models.TikTok",
	} {
		if breaksPlatformRule(file, line) {
			t.Errorf("%s: %s was refused", file, line)
		}
	}
}

func breaksPlatformRule(file, line string) bool {
	return !ofPlatforms.MatchString(file) && platformWords.MatchString(line)
}

func linesThatName(t *testing.T) []string {
	t.Helper()
	grep := exec.CommandContext(t.Context(), "grep", "-rnE", "--include=*.go", `models\.(TikTok|Instagram)|"(tiktok|instagram)"`, ".")
	grep.Dir = ".."
	out, err := grep.Output()
	if err != nil {
		t.Fatalf("%v: %v", grep, err)
	}
	var found []string
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		file, rest, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "./"), ":")
		if breaksPlatformRule(file, rest) {
			found = append(found, file+":"+rest)
		}
	}
	return found
}
