package oauth

import (
	"testing"

	"socialqueue/models"
)

// The app's own query is kept unchanged, except parameters that could be mistaken for the
// outcome.
func TestRedirect(t *testing.T) {
	const failed = "code=ACCESS_DENIED&platform=tiktok&status=error&user_id=2"
	for returnURL, want := range map[string]string{
		"https://app.example.com":                                                    "https://app.example.com?" + failed,
		"https://app.example.com/?":                                                  "https://app.example.com/?" + failed,
		"https://app.example.com/?b=%7E&a=+&a":                                       "https://app.example.com/?b=%7E&a=+&a&" + failed,
		"https://app.example.com/?a=%zz&b;c=1&&":                                     "https://app.example.com/?a=%zz&b;c=1&" + failed,
		"https://app.example.com/?status=connected&x=1&%63ode&account_id=7&Status=a": "https://app.example.com/?x=1&Status=a&" + failed,
	} {
		o := Outcome{Platform: models.TikTok, UserID: 2, ReturnURL: returnURL, Code: "ACCESS_DENIED"}
		if got := o.Redirect(); got != want {
			t.Errorf("%s\nleads to %s\nwant     %s", returnURL, got, want)
		}
	}
}
