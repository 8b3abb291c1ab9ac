package tiktok

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/secrets"
)

const (
	webhookSecret = secrets.Secret("sim_client_secret")
	signedHeader  = "t=1790000000,s=9d18e18461740b74096a5e7f0f814a0f58d23b96190163bfbb766b150a5f70a0"
	signedBody    = `{"client_key":"sim_client_key","event":"post.publish.complete","create_time":1790000000,"user_openid":"-000simUser","content":"{\"publish_id\":\"v_pub_file~v2-1.7600000000000000001\",\"publish_type\":\"DIRECT_PUBLISH\"}"}`
)

var signedAt = time.Unix(1790000000, 0)

func TestVerifySignature(t *testing.T) {
	const tolerance = 5 * time.Minute
	header := func(at string) string { return "t=" + at + ",s=" + sign(at, []byte(signedBody), webhookSecret) }
	upper := "t=1790000000,s=" + strings.ToUpper(strings.TrimPrefix(signedHeader, "t=1790000000,s="))
	for name, tt := range map[string]struct {
		header string
		body   string
		secret secrets.Secret
		now    time.Time
		want   error
	}{
		"test vector":            {signedHeader, signedBody, webhookSecret, signedAt, nil},
		"spaces, other parts":    {"x, v=1, " + strings.Replace(signedHeader, ",", " , ", 1), signedBody, webhookSecret, signedAt, nil},
		"parts the other way":    {strings.Join([]string{signedHeader[13:], signedHeader[:12]}, ","), signedBody, webhookSecret, signedAt, nil},
		"just in time":           {signedHeader, signedBody, webhookSecret, signedAt.Add(tolerance), nil},
		"just not too early":     {signedHeader, signedBody, webhookSecret, signedAt.Add(-tolerance), nil},
		"late":                   {signedHeader, signedBody, webhookSecret, signedAt.Add(tolerance + time.Second), ErrStale},
		"early":                  {signedHeader, signedBody, webhookSecret, signedAt.Add(-tolerance - time.Second), ErrStale},
		"the end of time":        {header("9223372036854775807"), signedBody, webhookSecret, signedAt, ErrStale},
		"the beginning of time":  {header("-9223372036854775808"), signedBody, webhookSecret, signedAt, ErrStale},
		"no time, signed":        {header("soon"), signedBody, webhookSecret, signedAt, ErrSignature},
		"upper case":             {upper, signedBody, webhookSecret, signedAt, ErrSignature},
		"another body":           {signedHeader, signedBody + " ", webhookSecret, signedAt, ErrSignature},
		"another time":           {strings.Replace(signedHeader, "1790000000", "1790000001", 1), signedBody, webhookSecret, signedAt, ErrSignature},
		"another secret":         {signedHeader, signedBody, "sim_other_secret", signedAt, ErrSignature},
		"no secret":              {"t=1790000000,s=" + sign("1790000000", []byte(signedBody), ""), signedBody, "", signedAt, ErrSignature},
		"late, another secret":   {signedHeader, signedBody, "sim_other_secret", signedAt.Add(time.Hour), ErrSignature},
		"cut":                    {signedHeader[:len(signedHeader)-1], signedBody, webhookSecret, signedAt, ErrSignature},
		"nothing":                {"", signedBody, webhookSecret, signedAt, ErrSignature},
		"nothing in its parts":   {"t=,s=", signedBody, webhookSecret, signedAt, ErrSignature},
		"no equals signs":        {"t,s", signedBody, webhookSecret, signedAt, ErrSignature},
		"no signature":           {"t=1790000000", signedBody, webhookSecret, signedAt, ErrSignature},
		"signature without time": {signedHeader[13:], signedBody, webhookSecret, signedAt, ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			if err := VerifySignature(tt.header, []byte(tt.body), tt.secret, tt.now, tolerance); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestParseEvent(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want Event
	}{
		"test vector": {signedBody, Event{
			ClientKey: "sim_client_key", Name: EventPublishComplete, OpenID: "-000simUser", CreatedAt: signedAt.UTC(),
			PublishID: "v_pub_file~v2-1.7600000000000000001", PublishType: "DIRECT_PUBLISH",
		}},
		"available": {
			`{"client_key":"k","event":"post.publish.publicly_available","create_time":1770210873,"user_openid":"-000YSS",
			 "content":"{\"publish_id\":\"v_pub_file~v2-1.7602997070760331285\",\"publish_type\":\"DIRECT_PUBLISH\",\"post_id\":\"7602997517160123666\"}"}`,
			Event{
				ClientKey: "k", Name: EventPubliclyAvailable, OpenID: "-000YSS", CreatedAt: time.Unix(1770210873, 0).UTC(),
				PublishID: "v_pub_file~v2-1.7602997070760331285", PublishType: "DIRECT_PUBLISH", PostID: "7602997517160123666",
			},
		},
		"id as a number":  {`{"event":"x","content":"{\"post_id\":7602997517160123666}"}`, Event{Name: "x", PostID: "7602997517160123666"}},
		"id that is none": {`{"event":"x","content":"{\"post_id\":\"7.6e18\"}"}`, Event{Name: "x"}},
		"no longer, sic":  {`{"event":"post.publish.no_longer_publicaly_available","content":"{\"post_id\":\"7\"}"}`, Event{Name: EventNoLongerAvailable, PostID: "7"}},
		"no longer":       {`{"event":"post.publish.no_longer_publicly_available","content":"{\"post_id\":\"7\"}"}`, Event{Name: EventNoLongerAvailable, PostID: "7"}},
		"removed":         {`{"event":"authorization.removed","content":"{\"reason\":1}"}`, Event{Name: EventAuthorizationRemoved, Reason: 1}},
		"removed, text":   {`{"event":"authorization.removed","content":"{\"reason\":\"5\"}"}`, Event{Name: EventAuthorizationRemoved, Reason: 5}},
		"failed":          {`{"event":"post.publish.failed","content":"{\"publish_id\":\"p\",\"reason\":\"internal\"}"}`, Event{Name: EventPublishFailed, PublishID: "p", FailReason: "internal"}},
		"fail_reason":     {`{"event":"post.publish.failed","content":"{\"publish_id\":\"p\",\"fail_reason\":\"spam_risk\",\"reason\":\"internal\"}"}`, Event{Name: EventPublishFailed, PublishID: "p", FailReason: "spam_risk"}},
		"inbox":           {`{"event":"post.publish.inbox_delivered","content":"{\"publish_id\":\"p\",\"publish_type\":\"INBOX_SHARE\"}"}`, Event{Name: EventInboxDelivered, PublishID: "p", PublishType: "INBOX_SHARE"}},
		"decoded already": {`{"event":"post.publish.complete","content":{"publish_id":"p"}}`, Event{Name: EventPublishComplete, PublishID: "p"}},
		"no content":      {`{"event":"x"}`, Event{Name: "x"}},
		"empty content":   {`{"event":"x","content":""}`, Event{Name: "x"}},
		"odd content":     {`{"event":"x","content":"<html>"}`, Event{Name: "x"}},
		"list as content": {`{"event":"x","content":[1]}`, Event{Name: "x"}},
		"null as content": {`{"event":"x","content":null}`, Event{Name: "x"}},
		"odd types":       {`{"event":"x","create_time":"1770210873","user_openid":{},"client_key":[]}`, Event{Name: "x", CreatedAt: time.Unix(1770210873, 0).UTC()}},
		"beyond all time": {`{"event":"x","create_time":9223372036854775807}`, Event{Name: "x"}},
		"legacy":          {`{"event":"video.publish.completed","content":"{\"share_id\":\"video.6974.VDCx\"}"}`, Event{Name: EventPublishComplete, PublishID: "video.6974.VDCx"}},
		"legacy failed":   {`{"event":"video.upload.failed","content":"{\"share_id\":\"video.6974.VDCx\"}"}`, Event{Name: EventPublishFailed, PublishID: "video.6974.VDCx"}},
		"guide":           {`{"type":"video.publish","publish_id":"p","video_id":"7"}`, Event{Name: EventPublishComplete, PublishID: "p", PostID: "7"}},
		"guide, deleted":  {`{"type":"video.delete","publish_id":"p","video_id":7}`, Event{Name: EventNoLongerAvailable, PublishID: "p", PostID: "7"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseEvent([]byte(tt.body)); err != nil || got != tt.want {
				t.Errorf("got %+v %v, want %+v", got, err, tt.want)
			}
		})
	}
	for _, body := range []string{``, `null`, `[]`, `{}`, `{"event":""}`, `{"event":{}}`, `{"event":"x"`, `"x"`} {
		if got, err := ParseEvent([]byte(body)); !errors.Is(err, ErrEvent) || got != (Event{}) {
			t.Errorf("%s: got %+v %v", body, got, err)
		}
	}
}

func TestPlainSignature(t *testing.T) {
	secret, body := secrets.Secret("sim_client_secret"), []byte(`{"type":"video.publish","publish_id":"p","video_id":"7"}`)
	mac := hmac.New(sha256.New, []byte("sim_client_secret"))
	mac.Write(body)
	right := hex.EncodeToString(mac.Sum(nil))
	for header, want := range map[string]error{
		right: nil, strings.ToUpper(right): nil, "": ErrSignature, right[:63]: ErrSignature, "t=1,s=" + right: ErrSignature,
		strings.Repeat("0", 64): ErrSignature,
	} {
		if err := VerifyPlainSignature(header, body, secret); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", header, err, want)
		}
	}
	if err := VerifyPlainSignature(right, append(body, ' '), secret); !errors.Is(err, ErrSignature) {
		t.Errorf("another body: %v", err)
	}
	empty := hmac.New(sha256.New, nil)
	empty.Write(body)
	if err := VerifyPlainSignature(hex.EncodeToString(empty.Sum(nil)), body, ""); !errors.Is(err, ErrSignature) {
		t.Errorf("without a secret: %v", err)
	}
}

// TestDedupeKey: a repetition has the key of the first, and what happens twice has two.
func TestDedupeKey(t *testing.T) {
	at := time.Unix(1790000000, 0)
	complete := Event{Name: EventPublishComplete, OpenID: "o", PublishID: "p", CreatedAt: at}
	for name, tt := range map[string]struct {
		a, b Event
		same bool
	}{
		"repeated":             {complete, complete, true},
		"another type":         {complete, Event{Name: EventPublishFailed, OpenID: "o", PublishID: "p", CreatedAt: at}, false},
		"another user":         {complete, Event{Name: EventPublishComplete, OpenID: "o2", PublishID: "p", CreatedAt: at}, false},
		"another upload":       {complete, Event{Name: EventPublishComplete, OpenID: "o", PublishID: "p2", CreatedAt: at}, false},
		"posted twice":         {complete, Event{Name: EventPublishComplete, OpenID: "o", PublishID: "p", CreatedAt: at.Add(time.Hour)}, false},
		"failed, signed again": {Event{Name: EventPublishFailed, PublishID: "p", CreatedAt: at}, Event{Name: EventPublishFailed, PublishID: "p", CreatedAt: at.Add(time.Hour)}, true},
		"hidden, shown again": {
			Event{Name: EventPubliclyAvailable, PublishID: "p", PostID: "7", CreatedAt: at},
			Event{Name: EventPubliclyAvailable, PublishID: "p", PostID: "7", CreatedAt: at.Add(time.Hour)}, false,
		},
	} {
		if same := slices.Equal(tt.a.DedupeKey(), tt.b.DedupeKey()); same != tt.same {
			t.Errorf("%s: same = %v, want %v", name, same, tt.same)
		}
	}
	if key := (Event{Name: "portability.download.ready"}).DedupeKey(); key != nil {
		t.Errorf("an event that nothing is known of has the key %q", key)
	}
}
