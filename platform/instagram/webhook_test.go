package instagram

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // Meta's older header is signed with it
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"socialqueue/secrets"
)

const hubSecret = secrets.Secret("sim_app_secret")

// The samples of Meta's pages (platform notes, section 4).
const (
	sampleComment  = `{"object":"instagram","entry":[{"id":"17841400000000001","time":1788000100,"changes":[{"field":"comments","value":{"id":"17919690000000001","text":"Lovely!","from":{"id":"6841100000000001","username":"ann"},"media":{"id":"17920238420000001","media_product_type":"FEED"},"parent_id":"17919690000000000"}}]}]}`
	sampleMention  = `{"object":"instagram","entry":[{"id":"17841400000000001","time":1788000200,"changes":[{"field":"mentions","value":{"media_id":"17918190000000001","comment_id":"17894220000000001"}}]}]}`
	sampleInsights = `{"object":"instagram","entry":[{"id":"17841400000000001","time":1788086400,"changes":[{"field":"story_insights","value":{"media_id":"18023340000000001","impressions":28,"reach":17,"taps_forward":12,"taps_back":0,"exits":1,"replies":-1}}]}]}`
	sampleMessage  = `{"object":"instagram","entry":[{"id":"17841400000000001","time":1788000300123,"messaging":[{"sender":{"id":"6841100000000001"},"recipient":{"id":"17841400000000001"},"timestamp":1788000299876,"message":{"mid":"aWdfZG1fMQ","text":"hi"}}]}]}`
)

func TestVerifyHubSignature(t *testing.T) {
	body := []byte(`{"object":"instagram","text":"Sch\u00f6n \ud83d\ude00"}`) // escaped, as Meta signs it
	right256 := "sha256=" + hubSignature(sha256.New, body, hubSecret)
	right1 := "sha1=" + hubSignature(sha1.New, body, hubSecret)
	for name, tt := range map[string]struct {
		sha256, sha1 string
		body         []byte
		secret       secrets.Secret
		want         error
	}{
		"good":                        {right256, "", body, hubSecret, nil},
		"both":                        {right256, right1, body, hubSecret, nil},
		"only the older":              {"", right1, body, hubSecret, nil},
		"none":                        {"", "", body, hubSecret, ErrHubSignature},
		"wrong, the older one right":  {"sha256=" + strings.Repeat("0", 64), right1, body, hubSecret, ErrHubSignature},
		"empty, the older one wrong":  {"", "sha1=" + strings.Repeat("0", 40), body, hubSecret, ErrHubSignature},
		"another secret":              {right256, "", body, "other", ErrHubSignature},
		"the body written otherwise":  {right256, "", []byte(`{"object":"instagram","text":"Schön 😀"}`), hubSecret, ErrHubSignature},
		"upper case":                  {strings.ToUpper(right256), "", body, hubSecret, ErrHubSignature},
		"without its name":            {strings.TrimPrefix(right256, "sha256="), "", body, hubSecret, ErrHubSignature},
		"the older in the newer":      {right1, "", body, hubSecret, ErrHubSignature},
		"cut":                         {right256[:70], "", body, hubSecret, ErrHubSignature},
		"signed with the empty one":   {"sha256=" + hubSignature(sha256.New, body, ""), "", body, "", ErrHubSignature},
		"the older, with empty one":   {"", "sha1=" + hubSignature(sha1.New, body, ""), body, "", ErrHubSignature},
		"an empty body, well signed":  {"sha256=" + hubSignature(sha256.New, nil, hubSecret), "", nil, hubSecret, nil},
		"the newer in the older only": {"", right256, body, hubSecret, ErrHubSignature},
	} {
		if err := VerifyHubSignature(tt.sha256, tt.sha1, tt.body, tt.secret); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestParseNotices(t *testing.T) {
	const account = "17841400000000001"
	for name, tt := range map[string]struct {
		body  string
		field string
		at    time.Time
	}{
		"comment":        {sampleComment, FieldComments, time.Unix(1788000100, 0)},
		"mention":        {sampleMention, FieldMentions, time.Unix(1788000200, 0)},
		"insights":       {sampleInsights, FieldStoryInsights, time.Unix(1788086400, 0)},
		"message":        {sampleMessage, FieldMessages, time.UnixMilli(1788000300123)},
		"reaction":       {strings.Replace(sampleMessage, `"message":`, `"reaction":`, 1), "message_reactions", time.UnixMilli(1788000300123)},
		"read":           {strings.Replace(sampleMessage, `"message":`, `"read":`, 1), "messaging_seen", time.UnixMilli(1788000300123)},
		"postback":       {strings.Replace(sampleMessage, `"message":`, `"postback":`, 1), "messaging_postbacks", time.UnixMilli(1788000300123)},
		"referral":       {strings.Replace(sampleMessage, `"message":`, `"referral":`, 1), "messaging_referral", time.UnixMilli(1788000300123)},
		"another kind":   {strings.Replace(sampleMessage, `"message":`, `"poke":`, 1), "messaging", time.UnixMilli(1788000300123)},
		"standby":        {strings.Replace(sampleMessage, `"messaging":`, `"standby":`, 1), "standby", time.UnixMilli(1788000300123)},
		"flat":           {`{"object":"instagram","entry":[{"id":"17841400000000001","time":1788000100,"field":"comments","value":{"id":"5"}}]}`, FieldComments, time.Unix(1788000100, 0)},
		"id as a number": {`{"object":"instagram","entry":[{"id":17841400000000001,"time":"1788000100","changes":[{"field":"media","value":{}}]}]}`, FieldMedia, time.Unix(1788000100, 0)},
		"another object": {strings.Replace(sampleComment, "instagram", "page", 1), "page.comments", time.Unix(1788000100, 0)},
		"without a time": {strings.Replace(sampleComment, "1788000100", "null", 1), FieldComments, time.Time{}},
		"an odd change":  {`{"object":"instagram","entry":[{"id":"17841400000000001","changes":[7]}]}`, "", time.Time{}},
	} {
		notices, err := ParseNotices([]byte(tt.body))
		if err != nil || len(notices) != 1 {
			t.Errorf("%s: %d notices, %v", name, len(notices), err)
			continue
		}
		if n := notices[0]; n.AccountID != account || n.Field != tt.field || !n.At.Equal(tt.at) {
			t.Errorf("%s: %s %q at %s, want %q at %s", name, n.AccountID, n.Field, n.At, tt.field, tt.at)
		}
	}
	for _, body := range []string{``, `null`, `[]`, `{}`, `7`, `{"object":""}`, `{"object":"instagram"`, `{"object":7}`} {
		if n, err := ParseNotices([]byte(body)); !errors.Is(err, ErrNotification) || n != nil {
			t.Errorf("%s: %v, %v", body, n, err)
		}
	}
	if n, err := ParseNotices([]byte(`{"object":"instagram","entry":[{"id":"1"},{}]}`)); err != nil || len(n) != 0 {
		t.Errorf("without notices: %v, %v", n, err)
	}
}

// What a notice keeps of the request is enough to read it again, and only itself.
func TestNoticesAreKeptApart(t *testing.T) {
	body := `{"object":"instagram","entry":[
		{"id":"1","time":5,"changes":[{"field":"comments","value":{"id":"a"}},{"field":"comments","value":{"id":"b"}}]},
		{"id":"2","time":6,"messaging":[{"message":{"mid":"m"}}],"standby":[{"message":{"mid":"n"}}]}]}`
	notices, err := ParseNotices([]byte(body))
	if err != nil || len(notices) != 4 {
		t.Fatalf("%d notices, %v", len(notices), err)
	}
	for _, n := range notices {
		again, err := ParseNotices(n.Raw)
		if err != nil || len(again) != 1 || !same(again[0], n) {
			t.Errorf("%s reads as %+v, was %+v: %v", n.Raw, again, n, err)
		}
	}
}

func same(a, b Notice) bool {
	return a.AccountID == b.AccountID && a.Field == b.Field && a.At.Equal(b.At) && slices.Equal(a.DedupeKey(), b.DedupeKey()) && bytes.Equal(a.Raw, b.Raw)
}

func TestNoticesAgain(t *testing.T) {
	key := func(body string) []string {
		t.Helper()
		n, err := ParseNotices([]byte(body))
		if err != nil || len(n) != 1 {
			t.Fatalf("%s: %v", body, err)
		}
		return n[0].DedupeKey()
	}
	for name, tt := range map[string]struct {
		a, b string
		same bool
	}{
		"the same comment, sent later":      {sampleComment, strings.Replace(sampleComment, "1788000100", "1788009999", 1), true},
		"another comment":                   {sampleComment, strings.Replace(sampleComment, "17919690000000001", "17919690000000002", 1), false},
		"a comment of another account":      {sampleComment, strings.Replace(sampleComment, "17841400000000001", "17841400000000002", 1), false},
		"a comment and a live comment":      {sampleComment, strings.Replace(sampleComment, `"comments"`, `"live_comments"`, 1), false},
		"the same message":                  {sampleMessage, strings.Replace(sampleMessage, "1788000299876", "1", 1), true},
		"the message and that it is gone":   {sampleMessage, strings.Replace(sampleMessage, `"text":"hi"`, `"is_deleted":true`, 1), false},
		"the same mention":                  {sampleMention, strings.Replace(sampleMention, "1788000200", "1788000201", 1), true},
		"in a caption and in a comment":     {sampleMention, strings.Replace(sampleMention, `,"comment_id":"17894220000000001"`, "", 1), false},
		"insights of another day":           {sampleInsights, strings.Replace(sampleInsights, "1788086400", "1788172800", 1), false},
		"insights of the same end, resent":  {sampleInsights, strings.Replace(sampleInsights, `"reach":17`, `"reach":18`, 1), true},
		"what cannot be told apart by keys": {strings.Replace(sampleMention, "mentions", "follows", 1), strings.Replace(sampleMention, "mentions", "follows", 1), true},
	} {
		if a, b := key(tt.a), key(tt.b); slices.Equal(a, b) != tt.same {
			t.Errorf("%s: keys %q and %q", name, a, b)
		}
	}
	if k := key(strings.Replace(sampleMention, "mentions", "follows", 1)); k != nil {
		t.Errorf("a notice of an unknown kind has the key %q", k)
	}
}

func FuzzParseNotices(f *testing.F) {
	for _, s := range []string{
		sampleComment, sampleMention, sampleInsights, sampleMessage, strings.Replace(sampleInsights, "reach", `re\u0000ach`, 1), `{"object":"instagram","entry":[{"id":1e3,"time":-1,"changes":[null,{}],"messaging":[[]]}]}`,
		`{"object":"instagram","entry":[{"id":"1","time":9999999999999999,"field":"comments","value":{"id":{}}}]}`, "{\"object\":\"x\",\"entry\":[{\"id\":\"\\u0000\",\"changes\":[{\"field\":\"\xff\"}]}]}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		notices, err := ParseNotices(body)
		if err != nil {
			if notices != nil || !errors.Is(err, ErrNotification) {
				t.Fatalf("%v with %v", notices, err)
			}
			return
		}
		for _, n := range notices {
			if strings.ContainsRune(n.AccountID+n.Field, 0) || !json.Valid(n.Raw) {
				t.Fatalf("notice %+v", n)
			}
			if year := n.At.Year(); year > 9999 {
				t.Fatalf("at %s", n.At)
			}
			again, err := ParseNotices(n.Raw)
			if err != nil || len(again) != 1 || !same(again[0], n) {
				t.Fatalf("%s reads as %+v, was %+v: %v", n.Raw, again, n, err)
			}
			c, _ := n.Comment()
			kept := []string{c.ID, c.Text, c.FromID, c.Username, c.MediaID, c.ParentID, n.MediaID()}
			for name := range n.Metrics() {
				kept = append(kept, name)
			}
			for _, text := range kept { // no database keeps what is not so
				if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
					t.Fatalf("notice %s has %q", n.Raw, text)
				}
			}
		}
	})
}

func FuzzVerifyHubSignature(f *testing.F) {
	f.Add("", "", []byte("{}"), byte(0))
	f.Add("sha256=00", "sha1=00", []byte("{}"), byte(1))
	f.Fuzz(func(t *testing.T, header256, header1 string, body []byte, at byte) {
		if VerifyHubSignature(header256, header1, body, hubSecret) == nil {
			t.Fatalf("%q and %q pass for %q", header256, header1, body) // nobody guesses a signature
		}
		right := "sha256=" + hubSignature(sha256.New, body, hubSecret)
		if err := VerifyHubSignature(right, header1, body, hubSecret); err != nil {
			t.Fatal(err)
		}
		if len(body) > 0 {
			changed := bytes.Clone(body)
			changed[int(at)%len(body)] ^= 1
			if VerifyHubSignature(right, header1, changed, hubSecret) == nil {
				t.Fatalf("the signature of %q passes for %q", body, changed)
			}
		}
	})
}
