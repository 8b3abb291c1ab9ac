package config

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"socialqueue/secrets"
)

// baseURL reads the base address of a service.
func (r *reader) baseURL(name string, target *string) {
	var value string
	r.text(name, &value)
	if value == "" {
		return
	}
	if !isBaseURL(value) {
		r.complain(name, "is not a base URL: write http:// or https:// with a host, such as %s, without user name or query", *target)
		return
	}
	*target = strings.TrimRight(value, "/")
}

func isBaseURL(value string) bool {
	u, err := url.Parse(value)
	if err != nil {
		return false
	}
	web := u.Scheme == "http" || u.Scheme == "https"
	return web && u.Hostname() != "" && u.User == nil && !strings.ContainsAny(value, "?#")
}

// The storage drivers of package media, by the scheme of MEDIA_BUCKET_URL. Only the build
// tagged allclouds has the cloudSchemes.
var (
	bucketSchemes = []string{"file", "s3", "mem"}
	cloudSchemes  = []string{"gs", "azblob"}
)

func (r *reader) bucketURL(name string, target *string, role Role) {
	var value string
	r.text(name, &value)
	if value == "" {
		return
	}
	u, err := url.Parse(value)
	switch {
	case err != nil || !slices.Contains(bucketSchemes, u.Scheme) && !slices.Contains(cloudSchemes, u.Scheme):
		r.complain(name, "is not a bucket: write file:///folder?create_dir=true, s3://bucket?region=…, gs://bucket or azblob://container")
	case !allClouds && slices.Contains(cloudSchemes, u.Scheme):
		r.complain(name, "is %s://, which this build does not have: use the programs of make build-allclouds or the image tagged allclouds, or write file:///folder?create_dir=true or s3://bucket?region=…", u.Scheme)
	case u.Scheme == "mem" && role != Dev:
		r.complain(name, "is mem://, which no other process can read: write file:///folder?create_dir=true or a bucket of a storage service")
	default:
		*target = value
	}
}

// checkDatabaseURL refuses anything but a PostgreSQL URL. Its errors do not show the URL,
// which contains a password.
func checkDatabaseURL(s secrets.Secret) error {
	u, err := url.Parse(s.Reveal())
	if err != nil {
		return errors.New("is not a URL (is a special character of the password not percent-encoded?)")
	}
	if u.Scheme != "postgresql" && u.Scheme != "postgres" {
		return errors.New("does not begin with postgresql://")
	}
	// A Unix socket is in the query: postgresql:///name?host=/run/postgresql
	if u.Hostname() == "" && u.Query().Get("host") == "" {
		return errors.New("has no host")
	}
	return nil
}

func checkRedisURL(s secrets.Secret) error {
	_, err := ParseRedisURL(s)
	return err
}
