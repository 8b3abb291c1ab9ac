package engine

import "time"

// Windows counts events per key in a sliding time window. The owner's mutex guards it.
type Windows map[string][]time.Time

// Count drops events older than span and returns how many events of key remain.
func (w Windows) Count(key string, now time.Time, span time.Duration) int {
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

// Take records an event unless the limit is reached, and reports whether it did. Limit 0 means no limit.
func (w Windows) Take(key string, now time.Time, span time.Duration, limit int) bool {
	if limit <= 0 {
		return true
	}
	if w.Count(key, now, span) >= limit {
		return false
	}
	w.Add(key, now)
	return true
}

// Add records an event.
func (w Windows) Add(key string, now time.Time) { w[key] = append(w[key], now) }
