package instagram

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"socialqueue/platform"
	"socialqueue/secrets"
)

const samplePages = `{"id":"1029384756","name":"Bakery","access_token":"EAA-page","tasks":["CREATE_CONTENT","ANALYZE","MODERATE"],
 "instagram_business_account":{"id":"17841400000000001","username":"bakery","name":"Bakery","profile_picture_url":"https://cdn.sim.test/b.jpg","followers_count":1204,"media_count":88}},
 {"id":"5647382910","name":"Page without Instagram","access_token":"EAA-page2","tasks":["ANALYZE"]}`

var (
	bakery = Page{
		ID: "1029384756", Name: "Bakery", Token: "EAA-page", Tasks: []string{"CREATE_CONTENT", "ANALYZE", "MODERATE"},
		Account: &Account{ID: igID, Username: "bakery", Name: "Bakery", PictureURL: "https://cdn.sim.test/b.jpg", Followers: 1204, Media: 88},
	}
	withoutInstagram = Page{ID: "5647382910", Name: "Page without Instagram", Token: "EAA-page2", Tasks: []string{"ANALYZE"}}
)

// graph serves answers by path, and each in turn by cursor: "/me/accounts" is the
// first part of a list, "/me/accounts after X" the one after X.
func graph(t *testing.T, answers map[string]string) (context.Context, *Client, *[]platform.Call) {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/v27.0")
		if after := r.URL.Query().Get("after"); after != "" {
			name += " after " + after
		}
		fields, limit := r.URL.Query().Get("fields"), r.URL.Query().Get("limit")
		if strings.Contains(fields, "tasks") != strings.HasPrefix(name, "/me/accounts") || limit != "100" {
			t.Errorf("got %s", r.URL)
		}
		body, ok := answers[name]
		switch {
		case !ok:
			t.Errorf("nobody was to ask for %s", name)
			answer(404, `{}`)(w, r)
		case strings.Contains(body, `"error"`):
			answer(400, body)(w, r)
		default:
			answer(200, body)(w, r)
		}
	})
}

// part is one answer of a list. The next one is announced by a cursor, and by a link that
// must not be followed.
func part(items, after string, more bool) string {
	next := ""
	if more {
		next = `,"next":"https://evil.test/v27.0/me/accounts?access_token=` + testToken.Reveal() + `"`
	}
	return `{"data":[` + items + `],"paging":{"cursors":{"before":"B","after":"` + after + `"}` + next + `}}`
}

func TestPages(t *testing.T) {
	for name, tt := range map[string]struct {
		answers map[string]string
		want    []Page
		calls   int
	}{
		"one part":          {map[string]string{"/me/accounts": part(samplePages, "NTY0", false)}, []Page{bakery, withoutInstagram}, 1},
		"no paging":         {map[string]string{"/me/accounts": `{"data":[{"id":1}]}`}, []Page{{ID: "1"}}, 1},
		"none":              {map[string]string{"/me/accounts": `{"data":[]}`}, nil, 1},
		"next, no cursor":   {map[string]string{"/me/accounts": part(`{"id":"1"}`, "", true)}, []Page{{ID: "1"}}, 1},
		"odd account":       {map[string]string{"/me/accounts": part(`{"id":"1","tasks":[],"instagram_business_account":{"id":"../x"}}`, "", false)}, []Page{{ID: "1", Tasks: []string{}}}, 1},
		"account as a list": {map[string]string{"/me/accounts": part(`{"id":"1","instagram_business_account":[]}`, "", false)}, []Page{{ID: "1"}}, 1},
		"no counts":         {map[string]string{"/me/accounts": part(`{"id":"1","instagram_business_account":{"id":2,"followers_count":-1}}`, "", false)}, []Page{{ID: "1", Account: &Account{ID: "2"}}}, 1},
		"three parts": {map[string]string{
			"/me/accounts":         part(samplePages, "A", true),
			"/me/accounts after A": part(`{"id":"1"}`, "B", true),
			"/me/accounts after B": part(`{"id":"2"}`, "C", false),
		}, []Page{bakery, withoutInstagram, {ID: "1"}, {ID: "2"}}, 3},
		"repeated cursor": {map[string]string{
			"/me/accounts":         part(`{"id":"1"}`, "A", true),
			"/me/accounts after A": part(`{"id":"2"}`, "B", true),
			"/me/accounts after B": part(`{"id":"3"}`, "A", true),
		}, []Page{{ID: "1"}, {ID: "2"}, {ID: "3"}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, calls := graph(t, tt.answers)
			got, err := c.Pages(ctx, testToken)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v %v, want %+v", got, err, tt.want)
			}
			if len(*calls) != tt.calls || (*calls)[0].Op != opPages || (*calls)[0].Err != nil {
				t.Errorf("recorded %+v", *calls)
			}
		})
	}
	for _, body := range []string{`{}`, `{"data":null}`, `{"data":{}}`, `{"data":[{}]}`, `{"data":[{"id":"1"},{"id":"a/b"}]}`, `{"data":[{"id":"1","tasks":"MANAGE"}]}`} {
		ctx, c, _ := serve(t, answer(200, body))
		pages, err := c.Pages(ctx, testToken)
		wantError(t, err, platform.Transient, platform.CodePublishFailed)
		if pages != nil {
			t.Errorf("%s: got %+v", body, pages)
		}
	}
}

// TestPagesEnd: a list without an end is left after some parts.
func TestPagesEnd(t *testing.T) {
	asked := 0
	ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		answer(200, part(`{"id":"1"}`, fmt.Sprintf("C%d", asked), true))(w, r)
	})
	if pages, err := c.Pages(ctx, testToken); err != nil || asked != maxParts || len(pages) != maxParts {
		t.Errorf("%d asked, %d pages, %v", asked, len(pages), err)
	}
}

// TestPageTokensAreHidden: a later answer may quote a token of an earlier one,
// and an answer that breaks off one of its own.
func TestPageTokensAreHidden(t *testing.T) {
	withToken := `{"id":"1","access_token":"` + pageToken.Reveal() + `"}`
	quote := `{"error":{"message":"not with ` + pageToken.Reveal() + `","code":100}}`
	for name, answers := range map[string]map[string]string{
		"later part":    {"/me/accounts": part(withToken, "A", true), "/me/accounts after A": quote},
		"broken answer": {"/me/accounts": part(withToken+`,{"id":"`+pageToken.Reveal()+`/x"}`, "", false)},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, calls := graph(t, answers)
			_, err := c.Pages(ctx, testToken)
			failed := (*calls)[len(*calls)-1:]
			check(t, c, opPages, err, &failed)
		})
	}
	t.Run("later list", func(t *testing.T) {
		ctx, c, calls := graph(t, map[string]string{
			"/me/businesses":  `{"data":[{"id":"b1"}]}`,
			"/b1/owned_pages": part(withToken, "", false), "/b1/client_pages": strings.Replace(quote, "100", "190", 1),
		})
		_, err := c.BusinessPages(ctx, testToken)
		failed := (*calls)[2:]
		check(t, c, opBusinessPages, err, &failed)
	})
}

func TestBusinessPages(t *testing.T) {
	ctx, c, calls := graph(t, map[string]string{
		"/me/businesses":          part(`{"id":"b1"}`, "A", true),
		"/me/businesses after A":  part(`{"id":2,"name":"Two"}`, "B", false),
		"/b1/owned_pages":         part(`{"id":"1","name":"One"}`, "P", true),
		"/b1/owned_pages after P": part(`{"id":"2","access_token":"EAA-2"}`, "Q", false),
		"/b1/client_pages":        errorBody(200, 0), // refused, and passed over
		"/2/owned_pages":          `{"data":[]}`,
		"/2/client_pages":         part(`{"id":"1","access_token":"EAA-1"}`, "", false),
	})
	got, err := c.BusinessPages(ctx, testToken)
	want := []Page{{ID: "1", Token: "EAA-1"}, {ID: "2", Token: "EAA-2"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v %v, want %+v", got, err, want)
	}
	var ops []string
	for _, call := range *calls {
		ops = append(ops, call.Op)
	}
	if w := []string{opBusinesses, opBusinesses, opBusinessPages, opBusinessPages, opBusinessPages, opBusinessPages, opBusinessPages}; !reflect.DeepEqual(ops, w) {
		t.Errorf("recorded %v", ops)
	}
}

// TestBusinessPagesFail: only a refusal of a business is passed over. Else a list
// that is not whole would pass for the whole.
func TestBusinessPagesFail(t *testing.T) {
	for code, kind := range map[int]platform.Kind{1: platform.Transient, 4: platform.RateLimited, 190: platform.AuthExpired} {
		ctx, c, _ := graph(t, map[string]string{"/me/businesses": `{"data":[{"id":"b1"}]}`, "/b1/owned_pages": errorBody(code, 0)})
		if pages, err := c.BusinessPages(ctx, testToken); platform.KindOf(err) != kind || err == nil || pages != nil {
			t.Errorf("%d: got %+v %v", code, pages, err)
		}
	}
	ctx, c, _ := graph(t, map[string]string{"/me/businesses": errorBody(200, 0)})
	_, err := c.BusinessPages(ctx, testToken)
	wantError(t, err, platform.Rejected, platform.CodeTokenInvalid)
}

func TestBusinessesAreBounded(t *testing.T) {
	answers, ids := map[string]string{}, []string{}
	for i := range maxBusinesses + 1 {
		ids = append(ids, fmt.Sprintf(`{"id":"b%d"}`, i))
		if i < maxBusinesses {
			answers[fmt.Sprintf("/b%d/owned_pages", i)] = `{"data":[]}`
			answers[fmt.Sprintf("/b%d/client_pages", i)] = `{"data":[]}`
		}
	}
	answers["/me/businesses"] = part(strings.Join(ids, ","), "", false)
	ctx, c, calls := graph(t, answers)
	if _, err := c.BusinessPages(ctx, testToken); err != nil || len(*calls) != 1+2*maxBusinesses {
		t.Errorf("%d calls, %v", len(*calls), err)
	}
}

func TestMergePages(t *testing.T) {
	account, other := &Account{ID: "1"}, &Account{ID: "2"}
	for name, tt := range map[string]struct {
		lists [][]Page
		want  []Page
	}{
		"nothing":            {nil, nil},
		"order is kept":      {[][]Page{{{ID: "2"}, {ID: "1"}}, {{ID: "3"}, {ID: "2"}}}, []Page{{ID: "2"}, {ID: "1"}, {ID: "3"}}},
		"with a token first": {[][]Page{{{ID: "1", Token: "a"}}, {{ID: "1", Name: "x"}}}, []Page{{ID: "1", Token: "a"}}},
		"with a token later": {[][]Page{{{ID: "1", Name: "x"}}, {{ID: "1", Name: "y", Token: "a"}}}, []Page{{ID: "1", Name: "y", Token: "a"}}},
		"two tokens":         {[][]Page{{{ID: "1", Token: "a"}}, {{ID: "1", Token: "b"}}}, []Page{{ID: "1", Token: "a"}}},
		"tasks are taken over": {
			[][]Page{{{ID: "1", Tasks: []string{"ANALYZE"}}}, {{ID: "1", Token: "a", Account: account}}},
			[]Page{{ID: "1", Token: "a", Tasks: []string{"ANALYZE"}, Account: account}},
		},
		"the better account stays": {
			[][]Page{{{ID: "1", Token: "a", Tasks: []string{}, Account: account}}, {{ID: "1", Tasks: []string{"MANAGE"}, Account: other}}},
			[]Page{{ID: "1", Token: "a", Tasks: []string{}, Account: account}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := MergePages(tt.lists...); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestCanPublish(t *testing.T) {
	for _, tt := range []struct {
		token secrets.Secret
		tasks []string
		want  bool
	}{
		{"", []string{"ANALYZE", "CREATE_CONTENT"}, true},
		{"", []string{"MANAGE"}, true},
		{"", []string{"PROFILE_PLUS_CREATE_CONTENT"}, true},
		{"", []string{"PROFILE_PLUS_MANAGE"}, true},
		{"t", []string{"ANALYZE", "PROFILE_PLUS_ANALYZE", "MODERATE", "CREATE", "manage"}, false},
		{"t", []string{}, false},
		{"t", nil, true}, // tasks not told
		{"", nil, false},
	} {
		if got := (Page{Token: tt.token, Tasks: tt.tasks}).CanPublish(); got != tt.want {
			t.Errorf("%v: got %v", tt.tasks, got)
		}
	}
}

func TestPageToken(t *testing.T) {
	for body, want := range map[string]secrets.Secret{
		`{"id":"1029384756","access_token":"EAA-page"}`: "EAA-page",
		`{"id":"1029384756"}`:                           "",
	} {
		ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v27.0/1029384756" || r.URL.Query().Get("fields") != "id,access_token" {
				t.Errorf("got %s", r.URL)
			}
			answer(200, body)(w, r)
		})
		if got, err := c.PageToken(ctx, testToken, "1029384756"); err != nil || got != want {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestSubscribe(t *testing.T) {
	ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v27.0/1029384756/subscribed_apps" || r.FormValue("subscribed_fields") != "feed" {
			t.Errorf("got %s %s %v", r.Method, r.URL, r.Form)
		}
		answer(200, `{"success":true}`)(w, r)
	})
	if err := c.Subscribe(ctx, testToken, "1029384756"); err != nil || len(*calls) != 1 {
		t.Errorf("got %v, recorded %+v", err, *calls)
	}
	for body, want := range map[string]platform.Kind{
		`{"success":false}`: platform.Transient, errorBody(2, 0): platform.Transient, errorBody(4, 0): platform.RateLimited,
		errorBody(190, 460): platform.AuthExpired, errorBody(200, 0): platform.Rejected, errorBody(210, 0): platform.Rejected,
	} {
		status := 400
		if body == `{"success":false}` {
			status = 200
		}
		ctx, c, _ := serve(t, answer(status, body))
		if err := c.Subscribe(ctx, testToken, "1029384756"); platform.KindOf(err) != want {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
	}
}
