package notify

import "time"

// SetCallTimeout bounds one try, which a test does not wait 15 seconds for.
func (s *Service) SetCallTimeout(d time.Duration) { s.sender.timeout = d }
