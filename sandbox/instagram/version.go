package instagram

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// graphVersions are the versions known in November 2026 with the day each stops working (Graph API, Versions).
var graphVersions = []struct {
	name  string
	until string // "" for not set
}{
	{"v20.0", "2026-09-24"}, {"v21.0", "2027-01-21"}, {"v22.0", "2027-05-20"}, {"v23.0", "2027-10-08"},
	{"v24.0", "2028-02-18"}, {"v25.0", "2028-07-29"}, {"v26.0", ""},
	{"v27.0", ""}, // released 2026-11-04
}

var versionPattern = regexp.MustCompile(`^v(\d{1,3})\.0$`)

// versionExists refuses a missing version and one above the newest.
func versionExists(version string) bool {
	newest := graphVersions[len(graphVersions)-1].name
	return versionPattern.MatchString(version) && versionNumber(version) <= versionNumber(newest)
}

// servedVersion returns the version that serves a call: for a retired one, the oldest that still works. The answer's
// header names it.
func servedVersion(asked string, now time.Time) string {
	for _, v := range graphVersions {
		alive := v.until == "" || now.UTC().Format(time.DateOnly) < v.until
		if alive && versionNumber(v.name) >= versionNumber(asked) {
			return v.name
		}
	}
	return graphVersions[len(graphVersions)-1].name
}

func versionNumber(v string) int {
	m := versionPattern.FindStringSubmatch(v)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// endedParams are what new apps cannot use since v27.0, in any version: several ids in one call, the method override,
// date formats and JSONP (Introducing Graph API v27.0, 2026-11-04). Field aliases ended with them.
var endedParams = []string{"ids", "method", "date_format", "callback"}

func checkEnded(p url.Values) *graphError {
	for _, name := range endedParams {
		if p.Has(name) {
			return param(name + " is not supported for this app")
		}
	}
	if strings.Contains(p.Get("fields"), ".as(") {
		return param("Field aliases are not supported for this app")
	}
	return nil
}
