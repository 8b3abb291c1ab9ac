package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"socialqueue/secrets"
)

// RedisMode is the topology of the Redis in REDIS_URL.
type RedisMode uint8

const (
	// RedisSingle is one server.
	RedisSingle RedisMode = iota
	// RedisSentinel is a master that is found through sentinels.
	RedisSentinel
	// RedisCluster is a Redis Cluster.
	RedisCluster
)

// Redis holds the parts of a REDIS_URL.
type Redis struct {
	Mode     RedisMode
	Addrs    []string // host:port; of the sentinels in sentinel mode
	Username string
	Password secrets.Secret
	DB       int // zero in a cluster, which has only that one
	TLS      bool

	// For sentinel mode only: the master's name, and the credentials for the sentinels,
	// which differ from those of the master.
	Master           string
	SentinelUsername string
	SentinelPassword secrets.Secret
}

var redisSchemes = map[string]struct {
	mode        RedisMode
	tls         bool
	defaultPort string
}{
	"redis":           {RedisSingle, false, "6379"},
	"rediss":          {RedisSingle, true, "6379"},
	"redis-sentinel":  {RedisSentinel, false, "26379"},
	"rediss-sentinel": {RedisSentinel, true, "26379"},
	"redis-cluster":   {RedisCluster, false, "6379"},
	"rediss-cluster":  {RedisCluster, true, "6379"},
}

// ParseRedisURL parses redis://, redis-sentinel://h1,h2/?master=name and
// redis-cluster://h1,h2, with rediss for TLS. User and password are those of Redis;
// sentinels may need others, sentinel_username and sentinel_password. The hosts are split
// off first, because net/url supports no lists of hosts. Errors do not show the URL, which
// contains passwords.
func ParseRedisURL(s secrets.Secret) (Redis, error) {
	scheme, rest, _ := strings.Cut(s.Reveal(), "://")
	kind, ok := redisSchemes[scheme]
	if !ok {
		return Redis{}, errors.New("does not begin with redis://, rediss://, redis-sentinel://, rediss-sentinel://, redis-cluster:// or rediss-cluster://")
	}
	user, hosts, tail := splitHosts(rest)
	u, err := url.Parse("redis://" + user + "host" + tail)
	if err != nil {
		return Redis{}, errors.New("is not a URL (is a special character of the password not percent-encoded?)")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Redis{}, errors.New("has parameters that cannot be read (is a special character of a password not percent-encoded?)")
	}
	password, _ := u.User.Password()
	redis := Redis{
		Mode: kind.mode, TLS: kind.tls, Username: u.User.Username(), Password: secrets.Secret(password),
		Master: query.Get("master"), SentinelUsername: query.Get("sentinel_username"), SentinelPassword: secrets.Secret(query.Get("sentinel_password")),
	}
	if redis.Addrs, err = redisAddrs(hosts, kind.defaultPort); err != nil {
		return Redis{}, err
	}
	if redis.DB, err = redisDB(u.Path); err != nil {
		return Redis{}, err
	}
	return redis, redis.check(query)
}

// splitHosts splits the part after the scheme: user and password with their "@", the hosts,
// and path and parameters.
func splitHosts(rest string) (user, hosts, tail string) {
	hosts = rest
	if i := strings.IndexAny(hosts, "/?"); i >= 0 {
		hosts, tail = hosts[:i], hosts[i:]
	}
	if i := strings.LastIndex(hosts, "@"); i >= 0 {
		user, hosts = hosts[:i+1], hosts[i+1:]
	}
	return user, hosts, tail
}

var sentinelParams = []string{"master", "sentinel_username", "sentinel_password"}

// check refuses values that do not fit together.
func (r Redis) check(query url.Values) error {
	for name := range query {
		if r.Mode != RedisSentinel || !slices.Contains(sentinelParams, name) {
			return fmt.Errorf("has an unknown parameter %q", name)
		}
	}
	switch {
	case r.Mode == RedisSentinel && r.Master == "":
		return errors.New("does not name the master")
	case r.Mode == RedisSingle && len(r.Addrs) > 1:
		return errors.New("has several hosts")
	case r.Mode == RedisCluster && r.DB != 0:
		return errors.New("has a database number, but a cluster has only database 0")
	}
	return nil
}

// redisDB reads the database number, which is the path of the URL.
func redisDB(path string) (int, error) {
	number := strings.Trim(path, "/")
	if number == "" {
		return 0, nil
	}
	db, err := strconv.Atoi(number)
	if err != nil || db < 0 {
		return 0, errors.New("has a path that is not a database number")
	}
	return db, nil
}

func redisAddrs(hosts, defaultPort string) ([]string, error) {
	var addrs []string
	for host := range strings.SplitSeq(hosts, ",") {
		u, err := url.Parse("redis://" + host)
		if err != nil || u.Hostname() == "" {
			return nil, errors.New("has no host, or a malformed one")
		}
		port := u.Port()
		if port == "" {
			port = defaultPort
		}
		addrs = append(addrs, net.JoinHostPort(u.Hostname(), port))
	}
	return addrs, nil
}
