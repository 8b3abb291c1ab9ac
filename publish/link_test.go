package publish

import (
	"testing"
	"time"

	"socialqueue/media"
	"socialqueue/models"
)

// The error does not tell whether a name exists in our network.
func TestUnknownHostsLookLikePrivateOnes(t *testing.T) {
	s := &Service{Deps: Deps{Fetcher: media.NewFetcher(media.FetchOptions{}), Now: time.Now}}
	var texts []string
	for _, host := range []string{"10.0.0.1", "localhost", "no..such.host"} { // the last one is looked up nowhere
		var errs models.FieldErrors
		s.checkLink(t.Context(), &errs, "media_url", "https://"+host+"/clip.mp4")
		if len(errs) != 1 {
			t.Fatalf("%s: %v", host, errs)
		}
		texts = append(texts, errs[0].Message)
	}
	if texts[0] != texts[1] || texts[1] != texts[2] {
		t.Errorf("the errors differ: %q", texts)
	}
}
