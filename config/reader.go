package config

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"socialqueue/secrets"
)

// fileSuffix is the suffix of the setting that names a file with the secret.
const fileSuffix = "_FILE"

// reader reads settings and collects the problems. Each method leaves its target, which
// holds the default, unchanged if the setting is not set.
type reader struct {
	getenv   func(string) string
	problems []error
}

// complain records a problem. Callers must not pass the value of a secret.
func (r *reader) complain(name, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf(name+" "+format, args...))
}

// isSet reports whether a setting is set, directly or as a file.
func (r *reader) isSet(name string) bool {
	return r.getenv(name) != "" || r.getenv(name+fileSuffix) != ""
}

func (r *reader) text(name string, target *string) {
	if value := strings.TrimSpace(r.getenv(name)); value != "" {
		*target = value
	}
}

// secret reads a setting that may be in a file instead.
func (r *reader) secret(name string, target *secrets.Secret) {
	value, path := r.getenv(name), r.getenv(name+fileSuffix)
	switch {
	case value != "" && path != "":
		r.complain(name, "and %s%s are both set: keep one", name, fileSuffix)
	case path != "":
		r.secretFile(name, path, target)
	case value != "":
		*target = secrets.Secret(value)
	}
}

func (r *reader) secretFile(name, path string, target *secrets.Secret) {
	content, err := os.ReadFile(path)
	if err != nil {
		r.complain(name+fileSuffix, "cannot be read: %w", err)
		return
	}
	value := strings.TrimRight(string(content), "\r\n")
	if value == "" {
		r.complain(name+fileSuffix, "names an empty file: %s", path)
		return
	}
	*target = secrets.Secret(value)
}

// check reports a secret that is set and malformed.
func (r *reader) check(name string, value secrets.Secret, check func(secrets.Secret) error) {
	if value.Empty() {
		return
	}
	if err := check(value); err != nil {
		r.complain(name, "%w: write %s", err, howTo[name])
	}
}

func (r *reader) integer(name string, target *int, least, most int) {
	var value string
	r.text(name, &value)
	if value == "" {
		return
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		r.complain(name, "is %q: write a whole number from %d to %d", value, least, most)
		return
	}
	*target = n
}

func (r *reader) boolean(name string, target *bool) {
	value := "false"
	if *target {
		value = "true"
	}
	r.oneOf(name, &value, "true", "false")
	*target = value == "true"
}

func (r *reader) duration(name string, target *time.Duration, least, most time.Duration) {
	var value string
	r.text(name, &value)
	if value == "" {
		return
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most {
		r.complain(name, "is %q: write a time with its unit, such as 25s or 2m, from %s to %s", value, least, most)
		return
	}
	*target = d
}

// bytes reads a size, in bytes or with a unit: MB and GB are powers of 1000,
// MiB and GiB of 1024.
func (r *reader) bytes(name string, target *int64) {
	var value string
	r.text(name, &value)
	if value == "" {
		return
	}
	n, err := humanize.ParseBytes(value)
	if err != nil || n == 0 || n > math.MaxInt64 {
		r.complain(name, "is %q: write a number of bytes, such as 4294967296, 500MB or 4GiB", value)
		return
	}
	*target = int64(n)
}

func (r *reader) oneOf(name string, target *string, allowed ...string) {
	value := *target
	r.text(name, &value)
	if value != *target && !slices.Contains(allowed, value) {
		r.complain(name, "is %q: write %s", value, strings.Join(allowed, " or "))
		return
	}
	*target = value
}

func (r *reader) matching(name string, target *string, pattern *regexp.Regexp, what string) {
	value := *target
	r.text(name, &value)
	if !pattern.MatchString(value) {
		r.complain(name, "is %q: write %s", value, what)
		return
	}
	*target = value
}

// address reads an address to listen on.
func (r *reader) address(name string, target *string) {
	var value string
	r.text(name, &value)
	if value == "" {
		return
	}
	_, port, err := net.SplitHostPort(value)
	if n, portErr := strconv.Atoi(port); err != nil || portErr != nil || n < 0 || n > math.MaxUint16 {
		r.complain(name, "is %q: write an address with a port, such as :3000 or 127.0.0.1:3000", value)
		return
	}
	*target = value
}

// networks reads addresses and networks, separated by commas.
// list reads texts that are separated by commas.
func (r *reader) list(name string, target *[]string, form *regexp.Regexp, wanted string) {
	var list string
	r.text(name, &list)
	if list == "" {
		return
	}
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		if !form.MatchString(text) {
			r.complain(name, "contains %q: write %s, separated by commas", text, wanted)
			continue
		}
		*target = append(*target, text)
	}
}

func (r *reader) networks(name string, target *[]netip.Prefix) {
	var list string
	r.text(name, &list)
	if list == "" {
		return
	}
	for text := range strings.SplitSeq(list, ",") {
		network, ok := parseNetwork(strings.TrimSpace(text))
		if !ok {
			r.complain(name, "contains %q: write addresses and networks, such as 127.0.0.1,::1,10.1.0.0/16, and none that contains all addresses", text)
			continue
		}
		*target = append(*target, network)
	}
}

// parseNetwork parses a network, or an address as a network of one. It refuses a network of
// all addresses.
func parseNetwork(text string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), addr.Zone() == ""
	}
	network, err := netip.ParsePrefix(text)
	return network.Masked(), err == nil && network.Bits() > 0 && !network.Addr().Is4In6()
}
