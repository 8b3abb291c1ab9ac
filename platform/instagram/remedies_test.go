package instagram

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// documented lists every refusal of Handling Errors and Error Codes, and those that were seen
// in the field: "code/subcode", or one of them.
var documented = strings.Fields(`
	190/458 190/459 190/460 190/463 190/464 190/467 190/492 190/493 190 102 10 200 230 299 3 100/33 100 110/2207018 1 2 4 17 32
	613 341 80001 80002 368 506 9009 101 100/36007 100/36008 100/36009 2500

	-2/2207003 -2/2207020 -1/2207001 -1/2207032 -1/2207053 1/2207057 4/2207051 9/2207042 24/2207006 24/2207008 25/2207050
	100/2207023 100/2207028 100/2207035 100/2207036 100/2207037 100/2207040 352/2207026 9004/2207052 9007/2207027 36000/2207004
	36001/2207005 36003/2207009 36004/2207010

	2207018 2207076 2207077 2207081 2207082 2207085 2207086 100/2108006 2207067 36002 2207024 ProcessingFailedError NotAuthorizedError`)

func TestEveryRefusalHasARemedy(t *testing.T) {
	known := slices.Concat(documented, slices.Collect(maps.Keys(uploadTypes)))
	for subcode := range subcodes {
		known = append(known, fmt.Sprint(subcode))
	}
	for key := range codes {
		known = append(known, strings.TrimSuffix(fmt.Sprintf("%d/%d", key.code, key.subcode), "/0"))
	}
	for _, name := range known {
		if text := remedyFor(name).Text; len(text) < 30 || !strings.HasSuffix(text, ".") {
			t.Errorf("%s: remedy %q", name, text)
		}
	}
	for name := range remedies {
		if !slices.ContainsFunc(known, func(k string) bool {
			return k == name || strings.HasSuffix(k, "/"+name) || strings.HasPrefix(k, name+"/")
		}) {
			t.Errorf("the remedy of %s is for no known refusal", name)
		}
	}
	if r := remedyFor("31337/1"); r.Text != "" {
		t.Errorf("an unknown refusal has the remedy %q", r.Text)
	}
}

func TestRemediesAreInTheError(t *testing.T) {
	for body, want := range map[string]string{
		errorBody(9004, 2207052): "reachable from outside",
		errorBody(-2, 2207003):   "needed too long to fetch the file from PUBLIC_URL",
		errorBody(36003, 0):      "4:5 to 1.91:1",
		errorBody(190, 460):      "password",
		errorBody(275, 0):        "lacks a permission",
		`{"error":{"code":190,"message":"Any of the pages_read_engagement, pages_manage_metadata must be granted before impersonating a user's page."}}`: "lacks a permission",
	} {
		ctx, c, _ := serve(t, answer(400, body))
		_, err := c.CreateImage(ctx, testToken, igID, Image{URL: "https://example.com/a.jpg"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", body, err, want)
		}
	}
	if e := ContainerError(0, "Error: Media upload has failed."); e.PlatformCode != "" || !e.Remedy.AboutFile {
		t.Errorf("a container without a subcode: %+v", e)
	}
}
