package instagram

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"socialqueue/secrets"
)

const signedJSON = `{"algorithm":"HMAC-SHA256","issued_at":1788000000,"user_id":"9001"}`

// signedRequest builds the field as Meta does, with a base64 of its own choice.
func signedRequest(secret secrets.Secret, encoding *base64.Encoding, json string) string {
	return signPayload(secret, encoding, encoding.EncodeToString([]byte(json)))
}

func signPayload(secret secrets.Secret, encoding *base64.Encoding, payload string) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(payload))
	return encoding.EncodeToString(mac.Sum(nil)) + "." + payload
}

func TestParseSignedRequest(t *testing.T) {
	want := SignedRequest{UserID: "9001", IssuedAt: time.Unix(1788000000, 0).UTC()}
	for raw, want := range map[string]SignedRequest{
		signedRequest(testSecret, base64.RawURLEncoding, signedJSON):                                                                        want,
		signedRequest(testSecret, base64.URLEncoding, signedJSON):                                                                           want,
		signedRequest(testSecret, base64.RawURLEncoding, `{"algorithm":"HMAC-SHA256","issued_at":"1788000000","user_id":9001,"expires":0}`): want,
		signedRequest(testSecret, base64.RawURLEncoding, `{"algorithm":"HMAC-SHA256","user_id":"9001"}`):                                    {UserID: "9001"},
		// bytes that differ between the two alphabets of base64
		signedRequest(testSecret, base64.RawURLEncoding, `{"algorithm":"HMAC-SHA256","user_id":"9001","x":"~~~???>>>"}`): {UserID: "9001"},
	} {
		if got, err := ParseSignedRequest(raw, testSecret); err != nil || got != want {
			t.Errorf("%s: got %+v %v", raw, got, err)
		}
	}
}

func TestParseSignedRequestRefuses(t *testing.T) {
	good := signedRequest(testSecret, base64.RawURLEncoding, signedJSON)
	signature, payload, _ := strings.Cut(good, ".")
	signed := func(json string) string { return signedRequest(testSecret, base64.RawURLEncoding, json) }
	for name, tt := range map[string]struct {
		raw    string
		secret secrets.Secret
	}{
		"another secret":      {good, "another"},
		"no secret":           {signedRequest("", base64.RawURLEncoding, signedJSON), ""},
		"another payload":     {signature + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"algorithm":"HMAC-SHA256","user_id":"9002"}`)), testSecret},
		"padding added later": {good + "=", testSecret},
		"third part":          {good + ".x", testSecret},
		"cut signature":       {signature[:20] + "." + payload, testSecret},
		"no signature":        {"." + payload, testSecret},
		"odd signature":       {"!!!." + payload, testSecret},
		"no dot":              {signature + payload, testSecret},
		"nothing":             {"", testSecret},
		"dot":                 {".", testSecret},
		"other algorithm":     {signed(`{"algorithm":"HMAC-SHA1","user_id":"9001"}`), testSecret},
		"no algorithm":        {signed(`{"user_id":"9001"}`), testSecret},
		"no user":             {signed(`{"algorithm":"HMAC-SHA256"}`), testSecret},
		"odd user":            {signed(`{"algorithm":"HMAC-SHA256","user_id":"../me"}`), testSecret},
		"no JSON":             {signed(`<html>`), testSecret},
		"list":                {signed(`[]`), testSecret},
		"no base64":           {signPayload(testSecret, base64.RawURLEncoding, "!!!"), testSecret},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseSignedRequest(tt.raw, tt.secret); !errors.Is(err, ErrSignedRequest) || got != (SignedRequest{}) {
				t.Errorf("got %+v %v", got, err)
			}
		})
	}
}

func FuzzSignedRequest(f *testing.F) {
	good := signedRequest(testSecret, base64.RawURLEncoding, signedJSON)
	goodSignature, goodPayload, _ := strings.Cut(good, ".")
	f.Add(goodSignature, goodPayload, signedJSON)
	f.Add("", "", `{"algorithm":"HMAC-SHA256","user_id":{}}`)
	f.Add("=", "a.b=", `[]`)
	f.Fuzz(func(t *testing.T, signature, payload, body string) {
		// Without the secret the signature is not valid.
		if _, err := ParseSignedRequest(signature+"."+payload, testSecret); err == nil && payload != goodPayload {
			t.Fatalf("%q.%q passed", signature, payload)
		}
		// Everything that is signed is parsed as a user or an error.
		got, err := ParseSignedRequest(signedRequest(testSecret, base64.RawURLEncoding, body), testSecret)
		if err == nil && !idForm.MatchString(got.UserID) || err != nil && (!errors.Is(err, ErrSignedRequest) || got != (SignedRequest{})) {
			t.Fatalf("%q: got %+v %v", body, got, err)
		}
	})
}
