package config

import (
	"reflect"
	"strings"
	"testing"

	"socialqueue/secrets"
)

func TestParseRedisURL(t *testing.T) {
	for in, want := range map[string]Redis{
		"redis://h":                           {Addrs: []string{"h:6379"}},
		"redis://u:p%40x@h:1/2":               {Addrs: []string{"h:1"}, Username: "u", Password: "p@x", DB: 2},
		"redis://:p@[::1]:1":                  {Addrs: []string{"[::1]:1"}, Password: "p"},
		"rediss://h/0":                        {Addrs: []string{"h:6379"}, TLS: true},
		"redis-sentinel://h1:1,h2/3?master=m": {Mode: RedisSentinel, Addrs: []string{"h1:1", "h2:26379"}, Master: "m", DB: 3},
		"redis-sentinel://:p@h1:1?master=m":   {Mode: RedisSentinel, Addrs: []string{"h1:1"}, Master: "m", Password: "p"},
		"rediss-sentinel://u:p@h?master=m&sentinel_username=s&sentinel_password=p%26q": {
			Mode: RedisSentinel, Addrs: []string{"h:26379"}, Username: "u", Password: "p", TLS: true, Master: "m", SentinelUsername: "s", SentinelPassword: "p&q",
		},
		"rediss-cluster://h1,h2":               {Mode: RedisCluster, Addrs: []string{"h1:6379", "h2:6379"}, TLS: true},
		"redis-cluster://u:p@h1:7000,h2:7001/": {Mode: RedisCluster, Addrs: []string{"h1:7000", "h2:7001"}, Username: "u", Password: "p"},
	} {
		got, err := ParseRedisURL(secrets.Secret(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, %v; want %#v", in, got, err, want)
		}
	}
}

func TestParseRedisURLRefuses(t *testing.T) {
	for in, says := range map[string]string{
		"":                      "does not begin with",
		"h:6379":                "does not begin with",
		"http://h":              "does not begin with",
		"redis://":              "has no host",
		"redis://:1":            "has no host",
		"redis://h:port":        "malformed",
		"redis://a,b":           "several hosts",
		"redis://h/x":           "not a database number",
		"redis://h/-1":          "not a database number",
		"redis://h?db=1":        "unknown parameter",
		"redis://:hunter2%zz@h": "not a URL",
		"redis-sentinel://h":    "master",
		"redis-sentinel://h?master=m&sentinel_password=hunter2%zz": "cannot be read",
		"redis-sentinel://h?master=m&password=hunter2":             "unknown parameter",
		"redis-cluster://h?sentinel_password=hunter2":              "unknown parameter",
		"redis-cluster://h1,":                                      "has no host",
		"redis-cluster://h1/1":                                     "only database 0",
		"redis-cluster://:hunter2@h?master=m":                      "unknown parameter",
	} {
		_, err := ParseRedisURL(secrets.Secret(in))
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: err = %v, want it to say %q", in, err, says)
		}
	}
}
