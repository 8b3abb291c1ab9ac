package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/joho/godotenv"
)

// TestEnvExample checks that .env.example has every setting and no other, that its defaults
// are valid, and that unchanged it changes nothing.
func TestEnvExample(t *testing.T) {
	const path = "../.env.example"
	var read []string
	if _, err := Load(Dev, func(name string) string {
		if name = strings.TrimSuffix(name, fileSuffix); !slices.Contains(read, name) {
			read = append(read, name)
		}
		return ""
	}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ours, _, found := strings.Cut(string(text), "# --- read by docker/compose.yaml alone")
	if !found {
		t.Fatal("the group of docker/compose.yaml is not there")
	}
	var shown []string
	values := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z][A-Z0-9_]*)=(.*)$`).FindAllStringSubmatch(ours, -1) {
		shown, values[m[1]] = append(shown, m[1]), m[2]
	}
	slices.Sort(read)
	slices.Sort(shown)
	if !slices.Equal(shown, read) {
		t.Errorf("shown %v\nread  %v", shown, read)
	}
	if _, err := Load(Dev, func(name string) string { return values[name] }); err != nil {
		t.Errorf("what the comments show: %v", err)
	}

	asCopied, err := godotenv.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(Dev, func(name string) string { return asCopied[name] })
	if want := defaults(Dev); err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("a copy gives %+v, want %+v (%v)", c, want, err)
	}
}
