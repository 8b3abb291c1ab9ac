package sandbox

import "time"

// windows counts events per key over a sliding span of time. Its owner's mutex guards it.
type windows map[string][]time.Time

// count drops what is older than span and returns how many events of key remain.
func (w windows) count(key string, now time.Time, span time.Duration) int {
	times := w[key]
	cut := now.Add(-span)
	i := 0
	for i < len(times) && !times[i].After(cut) {
		i++
	}
	if i == len(times) {
		delete(w, key)
		return 0
	}
	w[key] = times[i:]
	return len(times) - i
}

// take records an event unless the limit is reached. A refused event is not counted; limit 0 always passes.
func (w windows) take(key string, now time.Time, span time.Duration, limit int) bool {
	if limit <= 0 {
		return true
	}
	if w.count(key, now, span) >= limit {
		return false
	}
	w.add(key, now)
	return true
}

func (w windows) add(key string, now time.Time) { w[key] = append(w[key], now) }
