package notify

import "time"

// SetCallTimeout sets the time limit of one attempt, so that tests need not wait 15
// seconds.
func (s *Service) SetCallTimeout(d time.Duration) { s.sender.timeout = d }
