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

// RedisMode is how the Redis behind REDIS_URL is built.
type RedisMode uint8

const (
	// RedisSingle is one server.
	RedisSingle RedisMode = iota
	// RedisSentinel is a master that sentinels name.
	RedisSentinel
	// RedisCluster is a Redis Cluster.
	RedisCluster
)

// Redis is what a REDIS_URL says.
type Redis struct {
	Mode     RedisMode
	Addrs    []string // host:port; of the sentinels in sentinel mode
	Username string
	Password secrets.Secret
	DB       int // zero in a cluster, which has no other
	TLS      bool

	// What only sentinel mode has: the master's name, and who we are to the sentinels,
	// which have no user of the master's.
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

// ParseRedisURL reads redis://, redis-sentinel://h1,h2/?master=name and
// redis-cluster://h1,h2, with rediss for TLS. The user and password are those of Redis;
// sentinels may want others, sentinel_username and sentinel_password. The hosts are
// split off first, as net/url knows no lists of them. Errors do not show the URL, which
// holds passwords.
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

// splitHosts takes what follows the scheme apart: user and password with their "@", the
// hosts, and path and parameters.
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

// check refuses what does not go together.
func (r Redis) check(query url.Values) error {
	for name := range query {
		if r.Mode != RedisSentinel || !slices.Contains(sentinelParams, name) {
			return fmt.Errorf("has a parameter %q that nothing reads", name)
		}
	}
	switch {
	case r.Mode == RedisSentinel && r.Master == "":
		return errors.New("does not name the master")
	case r.Mode == RedisSingle && len(r.Addrs) > 1:
		return errors.New("names several hosts")
	case r.Mode == RedisCluster && r.DB != 0:
		return errors.New("names a database, but a cluster has only number 0")
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
			return nil, errors.New("names no host, or one that is malformed")
		}
		port := u.Port()
		if port == "" {
			port = defaultPort
		}
		addrs = append(addrs, net.JoinHostPort(u.Hostname(), port))
	}
	return addrs, nil
}
