package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// module is the prefix of the import paths of this project.
const module = "socialqueue"

// layers lists the packages from top to bottom. A package may import only packages of lower
// layers.
var layers = [][]string{
	{"cmd/api", "cmd/worker", "cmd/scheduler", "cmd/socialqueue"},
	{"app"},
	{"doctor"},
	{"handlers", "jobs", "console"},
	{"inbox/tiktok", "inbox/instagram"},
	{"inbox"},
	{"publish/tiktok", "publish/instagram", "oauth/tiktok", "oauth/instagram"},
	{"publish"},
	{"oauth", "notify", "tenants"},
	{"db", "media", "platform/tiktok", "platform/instagram", "observe", "config"},
	{"platform/wire"},
	{"platform", "view", "egress", "highwater"},
	{"models", "secrets"},
	{"sandbox"},
	{"sandbox/tiktok", "sandbox/instagram"},
	{"sandbox/engine", "sandbox/sample"},
}

// ban is an import that is forbidden although the layers allow it, or for a better reason
// than the layers.
type ban struct {
	from, to func(pkg string) bool
	why      string
}

var bans = []ban{
	{in("models"), anything, "models imports nothing of ours"},
	{in("sandbox/engine"), anything, "the engine of the sandbox knows no platform"},
	{in("sandbox"), notIn("sandbox"), "the sandbox is the platforms' side and imports nothing of ours"},
	{in("handlers"), in("platform/tiktok", "platform/instagram", "platform/wire"), "handlers call use cases, never a platform client"},
	{in("handlers"), in("db"), "handlers call use cases, never the database"},
	{only("inbox"), in("platform/tiktok", "platform/instagram"), "the engine of webhooks knows no platform; a source does"},
	{notIn("app"), in("inbox/tiktok", "inbox/instagram"), "only app and tests know the sources of webhooks"},
	{only("oauth"), in("platform/tiktok", "platform/instagram", "platform/wire"), "the engine of connections knows no platform"},
	{in("oauth/tiktok", "oauth/instagram"), in("db", "jobs"), "a connector reaches neither the database nor Redis"},
	{in("platform"), in("db"), "platform and db do not know each other"},
	{in("db"), in("platform"), "platform and db do not know each other"},
	{notIn("cmd"), in("app"), "only cmd and tests import app"},
	{notIn("cmd", "app", "sandbox"), in("sandbox"), "only cmd, app and tests run the sandbox"},
	{anything, in("cmd"), "nothing imports cmd"},
	{anything, helper, "only tests import the helpers of tests"},
}

// helper reports whether pkg is only for tests. Such packages are in no layer and may
// import anything.
func helper(pkg string) bool {
	return in("db/dbtest", "jobs/redistest", "sandbox/sandboxtest", "test")(pkg)
}

// bagNames are package names that say nothing about the content.
var bagNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared"}

// imported is one package as go list shows it; Imports are without those of its
// tests.
type imported struct {
	ImportPath string
	Name       string
	Imports    []string
}

// TestImportsPointDownwards checks all packages against layers and bans.
func TestImportsPointDownwards(t *testing.T) {
	for _, complaint := range complaints(listPackages(t)) {
		t.Error(complaint)
	}
}

// TestHouseRules breaks each rule once, to show that the check finds it.
func TestHouseRules(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"upwards", "db", "publish", "db imports publish, which is in a higher layer"},
		{"neighbour", "handlers", "jobs", "handlers imports jobs, which is in the same layer"},
		{"models", "models", "secrets", "models imports secrets: models imports nothing of ours"},
		{"sandbox", "sandbox", "models", "sandbox imports models: the sandbox is the platforms' side and imports nothing of ours"},
		{"sandbox's platforms", "sandbox/tiktok", "sandbox/instagram", "sandbox/tiktok imports sandbox/instagram, which is in the same layer"},
		{"sandbox's engine", "sandbox/engine", "sandbox/sample", "sandbox/engine imports sandbox/sample: the engine of the sandbox knows no platform"},
		{"client", "handlers", "platform/tiktok", "handlers imports platform/tiktok: handlers call use cases, never a platform client"},
		{"database", "handlers", "db", "handlers imports db: handlers call use cases, never the database"},
		{"engine to client", "inbox", "platform/tiktok", "inbox imports platform/tiktok: the engine of webhooks knows no platform; a source does"},
		{"source", "handlers", "inbox/tiktok", "handlers imports inbox/tiktok: only app and tests know the sources of webhooks"},
		{"client in the engine", "oauth", "platform/tiktok", "oauth imports platform/tiktok: the engine of connections knows no platform"},
		{"connector to db", "oauth/tiktok", "db", "oauth/tiktok imports db: a connector reaches neither the database nor Redis"},
		{"platform to db", "platform/wire", "db", "platform/wire imports db: platform and db do not know each other"},
		{"db to platform", "db", "platform", "db imports platform: platform and db do not know each other"},
		{"app", "jobs", "app", "jobs imports app: only cmd and tests import app"},
		{"sandbox in production", "publish", "sandbox", "publish imports sandbox: only cmd, app and tests run the sandbox"},
		{"cmd", "app", "cmd/api", "app imports cmd/api: nothing imports cmd"},
		{"test helper", "jobs", "jobs/redistest", "jobs imports jobs/redistest: only tests import the helpers of tests"},
		{"no layer", "lost", "models", "lost is in no layer: add it to app/house_test.go"},
		{"bag", "jobs/utils", "models", "jobs/utils has a name that says nothing: name the package for what it does"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pkgs := []imported{{ImportPath: module + "/" + c.from, Name: c.from[strings.LastIndex(c.from, "/")+1:], Imports: []string{"fmt", module + "/" + c.to}}}
			if got := complaints(pkgs); !slices.Contains(got, c.want) {
				t.Errorf("complaints = %q, want among them %q", got, c.want)
			}
		})
	}
	if got := complaints([]imported{{ImportPath: module + "/publish", Name: "publish", Imports: []string{"context", module + "/db"}}}); len(got) != 0 {
		t.Errorf("complaints about an import downwards: %q", got)
	}
}

// complaints lists what breaks the rules.
func complaints(pkgs []imported) []string {
	var all []string
	for _, p := range pkgs {
		from := inModule(p.ImportPath)
		if slices.Contains(bagNames, p.Name) || slices.Contains(bagNames, from[strings.LastIndex(from, "/")+1:]) {
			all = append(all, from+" has a name that says nothing: name the package for what it does")
		}
		if helper(from) {
			continue
		}
		if layerOf(from) < 0 {
			all = append(all, from+" is in no layer: add it to app/house_test.go")
			continue
		}
		for _, path := range p.Imports {
			if !strings.HasPrefix(path, module+"/") {
				continue
			}
			if why := broken(from, inModule(path)); why != "" {
				all = append(all, from+" imports "+inModule(path)+why)
			}
		}
	}
	return all
}

// broken says which rule an import breaks; it is empty if none.
func broken(from, to string) string {
	for _, w := range bans {
		if w.from(from) && w.to(to) {
			return ": " + w.why
		}
	}
	switch above, below := layerOf(from), layerOf(to); {
	case below < 0:
		return ", which is in no layer"
	case below < above:
		return ", which is in a higher layer"
	case below == above:
		return ", which is in the same layer"
	}
	return ""
}

func layerOf(pkg string) int {
	return slices.IndexFunc(layers, func(layer []string) bool { return slices.Contains(layer, pkg) })
}

// listPackages asks the go command for every package of the module.
func listPackages(t *testing.T) []imported {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Imports", module+"/...")
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", list, err, stderr.Bytes())
	}
	var pkgs []imported
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p imported
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read the answer of %v: %v", list, err)
		}
		pkgs = append(pkgs, p)
	}
	for _, layer := range layers {
		for _, pkg := range layer {
			if !slices.ContainsFunc(pkgs, func(p imported) bool { return inModule(p.ImportPath) == pkg }) {
				t.Errorf("%s is in a layer, but there is no such package", pkg)
			}
		}
	}
	return pkgs
}

func inModule(path string) string { return strings.TrimPrefix(path, module+"/") }

// in matches the packages and what is below them in the tree.
func in(folders ...string) func(string) bool {
	return func(pkg string) bool {
		return slices.ContainsFunc(folders, func(f string) bool { return pkg == f || strings.HasPrefix(pkg, f+"/") })
	}
}

// only matches one package, without what is below it in the tree.
func only(folder string) func(string) bool {
	return func(pkg string) bool { return pkg == folder }
}

func notIn(folders ...string) func(string) bool {
	inside := in(folders...)
	return func(pkg string) bool { return !inside(pkg) }
}

func anything(string) bool { return true }
