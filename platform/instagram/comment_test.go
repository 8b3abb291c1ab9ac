package instagram

import (
	"net/http"
	"reflect"
	"testing"

	"socialqueue/platform"
)

func TestComments(t *testing.T) {
	ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v27.0/17920/comments" || r.URL.Query().Get("after") != "abc" {
			t.Errorf("got %s", r.URL)
		}
		answer(200, `{"data":[{"id":"1","text":"hi","from":{"id":"178414","username":"cafe"}},{"id":2}],"paging":{"cursors":{"after":"def"},"next":"https://x"}}`)(w, r)
	})
	got, next, err := c.Comments(ctx, testToken, "17920", "abc")
	want := []Comment{{ID: "1", Text: "hi", FromID: "178414", Username: "cafe"}, {ID: "2"}}
	if err != nil || next != "def" || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %q, %v", got, next, err)
	}
}

// TestCommentsThatCannotBeRead: none of these may be taken for a list without our comment.
func TestCommentsThatCannotBeRead(t *testing.T) {
	for _, body := range []string{`{}`, `{"data":null}`, `{"data":[{}]}`, `{"data":[{"id":"1"}],"paging":{"next":"https://x"}}`} {
		ctx, c, _ := serve(t, answer(200, body))
		_, _, err := c.Comments(ctx, testToken, "17920", "")
		wantError(t, err, platform.Transient, platform.CodePublishFailed)
	}
}
