//go:build node

package node

import (
	"strings"
	"testing"

	"socialqueue/sandbox"
)

func TestNodeVerifiesWebhooks(t *testing.T) {
	w, r := newSystem(t), newReceiver(t)
	var e endpoint
	w.call("POST", "/api/webhook-endpoints", map[string]string{"url": r.url}, &e)
	r.knows(e.Secret)
	w.test(e)
	r.verified("endpoint.test")

	// What is signed are bytes, whatever letters they are, and whatever JSON or HTML
	// might escape.
	const name, openID = `Zoë & "Ñandú" <東京> 🎉\`, "-000zoe"
	w.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: openID, Username: "zoe", Nickname: name})
	w.connect(openID)
	if said := r.verified("account.connected"); said.Event.Account == nil || said.Event.Account.Name != name {
		t.Errorf("told %+v, want the account of %s", said.Event, name)
	}

	// For a day after a rotation both secrets are good, each by itself.
	rotated := endpoint{ID: e.ID}
	w.call("POST", "/api/webhook-endpoints/"+e.ID+"/rotate-secret", nil, &rotated)
	if rotated.Secret == e.Secret {
		t.Fatal("the secret was not rotated")
	}
	for _, secret := range []string{e.Secret, rotated.Secret} {
		r.knows(secret)
		w.test(e)
		if said := r.verified("endpoint.test"); len(strings.Fields(said.Signatures)) != 2 {
			t.Errorf("signed by %q, want two signatures", said.Signatures)
		}
	}

	// It does look: what somebody else signed is refused.
	var other endpoint
	w.call("POST", "/api/webhook-endpoints", map[string]string{"url": r.url}, &other)
	w.test(other)
	if said := r.next(); said.Status != 400 || !strings.Contains(said.Error, "No matching signature") {
		t.Errorf("of another secret the receiver says %+v", said)
	}
}
