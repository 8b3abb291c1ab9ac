package observe

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"socialqueue/platform"
)

// longSecret is used as the secret in every test case.
const longSecret = "Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7"

// TestNoSecretInALine checks that secrets are removed from every part of a log line, and that
// the text around them is kept.
func TestNoSecretInALine(t *testing.T) {
	for name, c := range map[string]struct{ text, stays string }{
		"query":              {"get https://graph.example/v27.0/me?fields=id&access_token=" + longSecret + "&x=1", "graph.example/v27.0/me?fields=id"},
		"form":               {"client_secret=" + longSecret + "&grant_type=refresh_token", "grant_type=refresh_token"},
		"JSON":               {`{"refresh_token": "` + longSecret + `","open_id":"-000one"}`, `"open_id":"-000one"`},
		"header":             {"Authorization: Bearer " + longSecret, "Authorization: Bearer"},
		"basic":              {"Authorization: Basic " + longSecret + "==", "Authorization: Basic"},
		"database":           {"dial postgresql://socialqueue:" + longSecret + "@postgres:5432/socialqueue", "postgres:5432/socialqueue"},
		"redis without user": {"dial redis://:" + longSecret + "@redis:6379/0", "redis:6379/0"},
		"API key":            {"key sq_96231d3efcce_" + longSecret + " is revoked", "sq_96231d3efcce_"},
		"endpoint's secret":  {"whsec_" + longSecret, "whsec_"},
		"signed link":        {"get /media/01a2066f-8f7e-7580-a56b-94c1e54eb5a4/" + longSecret, "/media/01a2066f-8f7e-7580-a56b-94c1e54eb5a4/"},
		"TikTok token":       {"token act." + longSecret + "!4 is dead", "is dead"},
		"TikTok refresh":     {"token rft." + longSecret, "token rft."},
		"Facebook token":     {"token EAA" + longSecret + " is dead", "is dead"},
	} {
		t.Run(name, func(t *testing.T) {
			for part, write := range map[string]func(*logrus.Logger){
				"message": func(l *logrus.Logger) { l.Info(c.text) },
				"field":   func(l *logrus.Logger) { l.WithField("detail", c.text).Info("hi") },
				"error":   func(l *logrus.Logger) { l.WithError(fmt.Errorf("call: %w", errors.New(c.text))).Info("hi") },
				"nested":  func(l *logrus.Logger) { l.WithField("detail", map[string]any{"a": []string{c.text}}).Info("hi") },
				"stack":   func(l *logrus.Logger) { l.WithField(FieldStack, c.text).Info("hi") },
			} {
				line, err := json.Marshal(logged(t, write))
				if err != nil {
					t.Fatal(err)
				}
				text := strings.ReplaceAll(strings.ReplaceAll(string(line), `\"`, `"`), `\\`, "")
				if strings.Contains(text, longSecret) {
					t.Errorf("%s: the secret is in %s", part, line)
				}
				if !strings.Contains(strings.ReplaceAll(text, `\u0026`, "&"), c.stays) {
					t.Errorf("%s: %q was removed from %s", part, c.stays, line)
				}
			}
		})
	}
}

// TestScrubbingLeavesTheRest checks that other texts are not changed, and that an error keeps
// its code.
func TestScrubbingLeavesTheRest(t *testing.T) {
	for _, text := range []string{
		"tiktok.init: rate_limited (HTTP 429): rate_limit_exceeded [log id 20261126120023SIM670ACC8D773AFEA8]",
		"the token is refreshed; act.now", "postgresql://postgres:5432/socialqueue", "sq_96231d3efcce", "v_pub_file~v2-1.7711202772003657023",
		"a container of Instagram's 17866138112346116", "POST /api/posts/01a2066f-8f7e-7580-a56b-94c1e54eb5a4/retry", "basic auth is off",
	} {
		if got := scrub(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	refused := &platform.Error{Op: "tiktok.init", Code: platform.CodeTokenInvalid, Err: errors.New("access_token=" + longSecret)}
	line := logged(t, func(l *logrus.Logger) { l.WithError(refused).Warn("hi") })
	if got := line["error"].(map[string]any)["code"]; got != string(platform.CodeTokenInvalid) {
		t.Errorf("code = %v", got)
	}
}

func BenchmarkLogLine(b *testing.B) {
	log := NewLogger("worker", "info", "json", discard{})
	for b.Loop() {
		log.WithFields(logrus.Fields{"post_id": "01a2066f-8f7e-7580-a56b-94c1e54eb5a4", "action": "tiktok.init", "duration": 12, "log_id": "20261126120023SIM670ACC8D773AFEA8"}).Info("platform call")
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
