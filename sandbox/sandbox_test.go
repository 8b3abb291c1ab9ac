package sandbox_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"socialqueue/sandbox"
	"socialqueue/sandbox/engine"
	"socialqueue/sandbox/sandboxtest"
)

func TestCloseTwiceAndWhileHanging(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	acc := s.AddTikTokAccount(sandbox.TikTokAccount{})
	s.Script(sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Mode: sandbox.ModeHang})
	var wg sync.WaitGroup
	wg.Go(func() {
		req, _ := http.NewRequest("POST", s.TikTokURL()+sandboxtest.PathInfo, nil)
		req.Header.Set("Authorization", "Bearer "+acc.AccessToken)
		if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
			res.Body.Close()
			t.Errorf("a hanging call was answered: %d", res.StatusCode)
		}
	})
	sandboxtest.Eventually(t, "the call hangs", func() bool { return len(s.PendingFaults()) == 0 })
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

// gallery is a platform of a test's own: it publishes whatever it is sent.
type gallery struct{ host *engine.Host }

func (g *gallery) Name() string { return "gallery" }

func (g *gallery) Attach(host *engine.Host) engine.Description {
	g.host = host
	return engine.Description{Title: "Gallery", Routes: map[string]http.Handler{"/gallery/": g}}
}

func (g *gallery) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	file, err := g.host.NewBlob()
	if err != nil {
		panic(err)
	}
	_, _ = file.Fill(r.Body)
	file.Finish()
	g.host.GoLive(sandbox.LivePost{Username: "ann", Permalink: "/ann/1", At: g.host.Now()}, file)
}

func TestAThirdPlatform(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Delays: &sandbox.Delays{}}, &gallery{})
	w.MustDo(w.Request("POST", w.URL()+"/gallery/posts", "a picture"))
	w.PutFile(w.Init(sandboxtest.PublicPost, 100).Data.UploadURL, sandboxtest.MP4(100))
	var platforms []string
	for _, p := range w.WantLive(2) {
		platforms = append(platforms, p.Platform)
	}
	slices.Sort(platforms)
	if !slices.Equal(platforms, []string{"gallery", sandbox.TikTok}) {
		t.Errorf("live on %v", platforms)
	}
	feed := string(w.MustDo(w.Request("GET", w.URL()+"/", "")).Body)
	for _, title := range []string{"<h2>TikTok</h2>", "<h2>Instagram</h2>", "<h2>Gallery</h2>"} {
		if !strings.Contains(feed, title) {
			t.Errorf("the feed lacks %s", title)
		}
	}
}
