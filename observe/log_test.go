package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/secrets"
)

// logged returns the line that write makes, without its timestamp.
func logged(t *testing.T, write func(log *logrus.Logger)) map[string]any {
	t.Helper()
	var out bytes.Buffer
	write(NewLogger("worker", "debug", "json", &out))
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("not one line: %q", out.String())
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	at, err := time.Parse(time.RFC3339Nano, line["timestamp"].(string))
	if err != nil || at.Location() != time.UTC || time.Since(at) > time.Minute {
		t.Errorf("timestamp = %v", line["timestamp"])
	}
	delete(line, "timestamp")
	return line
}

func TestJSONShape(t *testing.T) {
	call := &platform.Error{Op: "tiktok.init", Code: platform.CodeRateLimited, PlatformCode: "rate_limit_exceeded"}
	bare := &platform.Error{Op: "tiktok.init", PlatformCode: "rate_limit_exceeded"}
	for name, tc := range map[string]struct {
		write func(*logrus.Logger)
		want  map[string]any
	}{
		"bare": {func(l *logrus.Logger) { l.Info("hi") }, map[string]any{"level": "info", "message": "hi"}},
		"all fields": {
			func(l *logrus.Logger) {
				l.WithFields(logrus.Fields{
					"correlationId": "c", "userId": 7, "provider": models.TikTok, "action": "publish", "duration": 1500 * time.Microsecond,
					"post_id": "p", "wait": time.Second, "cause": errors.New("x"), "token": secrets.Secret("hunter2"),
				}).Warn("hi")
			},
			map[string]any{
				"level": "warning", "message": "hi", "correlationId": "c", "userId": 7.0, "provider": "tiktok", "action": "publish", "duration": 1.5,
				"metadata": map[string]any{"post_id": "p", "wait": "1s", "cause": "x", "token": "[secret]"},
			},
		},
		"milliseconds as a number": {func(l *logrus.Logger) { l.WithField("duration", 12).Info("") }, map[string]any{"level": "info", "message": "", "duration": 12.0}},
		"error": {
			func(l *logrus.Logger) { l.WithError(errors.New("broken")).WithField("stack", "at a.go:1").Error("hi") },
			map[string]any{"level": "error", "message": "hi", "error": map[string]any{"message": "broken", "stack": "at a.go:1"}},
		},
		"error of a platform, wrapped": {
			func(l *logrus.Logger) { l.WithError(fmt.Errorf("post 1: %w", call)).Error("hi") },
			map[string]any{"level": "error", "message": "hi", "error": map[string]any{"code": "RATE_LIMITED", "message": "post 1: " + call.Error()}},
		},
		"error with the platform's code only": {
			func(l *logrus.Logger) { l.WithError(bare).Error("hi") },
			map[string]any{"level": "error", "message": "hi", "error": map[string]any{"code": "rate_limit_exceeded", "message": bare.Error()}},
		},
		"no error": {func(l *logrus.Logger) { l.WithError(nil).Info("hi") }, map[string]any{"level": "info", "message": "hi"}},
		"empty fields": {
			func(l *logrus.Logger) { l.WithFields(logrus.Fields{"correlationId": "", "action": ""}).Info("hi") },
			map[string]any{"level": "info", "message": "hi"},
		},
		"correlation id of the context": {
			func(l *logrus.Logger) { In(WithCorrelationID(context.Background(), "c"), l).Info("hi") },
			map[string]any{"level": "info", "message": "hi", "correlationId": "c"},
		},
		"context without one": {func(l *logrus.Logger) { In(context.Background(), l).Info("hi") }, map[string]any{"level": "info", "message": "hi"}},
		"post": {
			func(l *logrus.Logger) {
				OfPost(l, &models.Post{ID: "p", UserID: 7, Platform: models.Instagram, OAuthAccountID: 3, InstagramAccountID: new(int64(4)), CorrelationID: "c", Fence: 2}).Info("hi")
			},
			map[string]any{
				"level": "info", "message": "hi", "correlationId": "c", "userId": 7.0, "provider": "instagram",
				"metadata": map[string]any{"post_id": "p", "account_id": 4.0, "fence": 2.0},
			},
		},
		"TikTok account": {
			func(l *logrus.Logger) {
				OfAccount(context.Background(), l, &models.OAuthAccount{ID: 3, UserID: 7, Provider: models.TikTok}).Info("hi")
			},
			map[string]any{"level": "info", "message": "hi", "userId": 7.0, "provider": "tiktok", "metadata": map[string]any{"account_id": 3.0}},
		},
		"Facebook login": {
			func(l *logrus.Logger) {
				OfAccount(context.Background(), l, &models.OAuthAccount{ID: 3, UserID: 7, Provider: models.Instagram}).Info("hi")
			},
			map[string]any{"level": "info", "message": "hi", "userId": 7.0, "provider": "instagram", "metadata": map[string]any{"login_id": 3.0}},
		},
		"account without a row": {
			func(l *logrus.Logger) {
				OfAccount(context.Background(), l, &models.OAuthAccount{UserID: 7, Provider: models.TikTok}).Info("hi")
			},
			map[string]any{"level": "info", "message": "hi", "userId": 7.0, "provider": "tiktok"},
		},
		"what JSON cannot take": {
			func(l *logrus.Logger) { l.WithFields(logrus.Fields{"a": complex(1, 2), "b": 1}).Info("hi") },
			map[string]any{"level": "info", "message": "hi", "metadata": map[string]any{"a": "(1+2i)", "b": "1"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want["service"] = "worker"
			if got := logged(t, tc.write); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %v\nwant %v", got, tc.want)
			}
		})
	}
}

func TestLevelAndText(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger("api", "warn", "text", &out)
	log.Info("quiet")
	log.WithField("post_id", "p").Warn("loud")
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "loud") || !strings.Contains(got, "post_id=p") || strings.HasPrefix(got, "{") {
		t.Errorf("text log: %q", got)
	}
	if level := NewLogger("api", "nonsense", "json", &out).GetLevel(); level != logrus.InfoLevel {
		t.Errorf("level = %v", level)
	}
}
