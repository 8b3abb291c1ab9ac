package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
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
	DB       int    // zero in a cluster, which has no other
	Master   string // its name, in sentinel mode
	TLS      bool
}

var redisSchemes = map[string]struct {
	mode        RedisMode
	tls         bool
	defaultPort string
}{
	"redis":          {RedisSingle, false, "6379"},
	"rediss":         {RedisSingle, true, "6379"},
	"redis-sentinel": {RedisSentinel, false, "26379"},
	"redis-cluster":  {RedisCluster, false, "6379"},
}

// ParseRedisURL reads redis://, rediss://, redis-sentinel://h1,h2/?master=name
// and redis-cluster://h1,h2. The hosts are split off first, as net/url knows no
// lists of them. Errors do not show the URL, which holds a password.
func ParseRedisURL(s secrets.Secret) (Redis, error) {
	scheme, rest, _ := strings.Cut(s.Reveal(), "://")
	kind, ok := redisSchemes[scheme]
	if !ok {
		return Redis{}, errors.New("does not begin with redis://, rediss://, redis-sentinel:// or redis-cluster://")
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	user, hosts := "", authority
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		user, hosts = authority[:i+1], authority[i+1:]
	}
	redis := Redis{Mode: kind.mode, TLS: kind.tls}
	u, err := url.Parse("redis://" + user + "host" + tail)
	if err != nil {
		return Redis{}, errors.New("is not a URL (is a special character of the password not percent-encoded?)")
	}
	redis.Username = u.User.Username()
	password, _ := u.User.Password()
	redis.Password = secrets.Secret(password)
	if redis.Addrs, err = redisAddrs(hosts, kind.defaultPort); err != nil {
		return Redis{}, err
	}
	if redis.DB, err = redisDB(u.Path); err != nil {
		return Redis{}, err
	}
	redis.Master = u.Query().Get("master")
	return redis, redis.check(u.Query())
}

// check refuses what does not go together.
func (r Redis) check(query url.Values) error {
	for name := range query {
		if name != "master" || r.Mode != RedisSentinel {
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
