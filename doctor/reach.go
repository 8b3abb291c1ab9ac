package doctor

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// reachTime limits the fetch of one short file.
	reachTime = 5 * time.Second
	// mostText is how much of it is read, in bytes.
	mostText = 4 << 10
)

// reach fetches from PUBLIC_URL what platforms fetch there before they take anything else: the
// files by which they verify that the host is ours, and robots.txt.
func (d *doctor) reach(ctx context.Context) error {
	before := len(d.found)
	if d.Config.TikTokClientKey != "" && len(d.Config.TikTokVerification) == 0 {
		d.warn("verify PUBLIC_URL in TikTok's portal with a file, and set TIKTOK_VERIFICATION to the token in its name", "TikTok takes no photos: it fetches them from PUBLIC_URL, and TIKTOK_VERIFICATION is not set")
	}
	for _, path := range slices.Sorted(maps.Keys(d.TextFiles)) {
		got, err := fetchText(ctx, d.Config.PublicURL+path)
		switch {
		case err != nil:
			d.bad("make PUBLIC_URL lead to the api, also from here", "%s cannot be fetched from PUBLIC_URL: %v", path, err)
		case got != d.TextFiles[path]:
			d.bad("make PUBLIC_URL lead to the api alone, and check TIKTOK_VERIFICATION", "%s is answered with something else than what the api serves there", path)
		}
	}
	if robots, err := fetchText(ctx, d.Config.PublicURL+"/robots.txt"); err == nil && !strings.Contains(robots, "Allow: /media/") {
		d.warn("let the api answer /robots.txt, or allow /media/ there", "robots.txt of PUBLIC_URL is not the api's: Instagram's fetcher obeys it")
	}
	if len(d.found) == before {
		d.ok("platforms can fetch from PUBLIC_URL")
	}
	return nil
}

// fetchText fetches a short text, without following redirects: TikTok does not either.
func fetchText(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostText))
	return string(text), err
}
