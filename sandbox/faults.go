package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Mode is what a Fault does to the call it meets.
type Mode string

// The modes. Those marked [After] leave no effect by default and all of it with Fault.After.
const (
	ModeError     Mode = "error"      // [After] the platform's own error: Status, Code, Subcode, Message
	ModeStatus    Mode = "status"     // [After] a gateway's answer: Status (503) with an HTML page, or Body
	ModeRateLimit Mode = "rate_limit" // [After] the platform's own throttle answer
	ModeReset     Mode = "reset"      // [After] the connection is cut without an answer; with After: a lost answer
	ModeHang      Mode = "hang"       // [After] no answer until the client gives up or the sandbox closes
	ModeSlow      Mode = "slow"       // [After] waits Delay of real time, then goes on even if the client left
	ModeTruncate  Mode = "truncate"   // the effect happens, the answer's body breaks off half way
	ModePartial   Mode = "partial"    // Bytes of the request body are read, then the connection is cut
	ModeFail      Mode = "fail"       // ops "*.process" only: processing ends in Code (a fail_reason, or a subcode)
	ModeStuck     Mode = "stuck"      // ops "*.process" only: processing never ends

	ModeDuplicate       Mode = "duplicate"        // ops "*.webhook" only, like those below: sent twice
	ModeLate            Mode = "late"             // sent Delay of virtual time after it was due
	ModeReorder         Mode = "reorder"          // sent after the next one of its platform, however long that takes
	ModeBadSignature    Mode = "bad_signature"    // signed with another secret
	ModeStale           Mode = "stale"            // TikTok: t is ten minutes old
	ModeLegacySignature Mode = "legacy_signature" // Instagram: X-Hub-Signature only
)

// The modes that each kind of operation can take.
var (
	callModes             = []Mode{ModeError, ModeStatus, ModeRateLimit, ModeReset, ModeHang, ModeSlow, ModeTruncate, ModePartial}
	processModes          = []Mode{ModeFail, ModeStuck}
	webhookModes          = []Mode{ModeDuplicate, ModeLate, ModeReorder, ModeBadSignature}
	tiktokWebhookModes    = append(slices.Clip(webhookModes), ModeStale)
	instagramWebhookModes = append(slices.Clip(webhookModes), ModeLegacySignature)

	allModes = slices.Concat(callModes, processModes, webhookModes, []Mode{ModeStale, ModeLegacySignature})
)

func modesOf(op string) []Mode {
	switch op {
	case OpTikTokProcess, OpInstagramProcess:
		return processModes
	case OpTikTokWebhook:
		return tiktokWebhookModes
	case OpInstagramWebhook:
		return instagramWebhookModes
	}
	return callModes
}

func joinModes(modes []Mode) string {
	names := make([]string, len(modes))
	for i, m := range modes {
		names[i] = string(m)
	}
	return strings.Join(names, ", ")
}

// The operations a Fault can name. The "process" operations are not calls: they happen when a file is complete. Nor are
// the "webhook" ones: each sending to the app is one, retries too.
const (
	OpTikTokCreatorInfo = "tiktok.creator_info"
	OpTikTokInit        = "tiktok.init"
	OpTikTokInbox       = "tiktok.inbox"
	OpTikTokChunk       = "tiktok.chunk"
	OpTikTokStatus      = "tiktok.status"
	OpTikTokCancel      = "tiktok.cancel"
	OpTikTokProcess     = "tiktok.process"
	OpTikTokWebhook     = "tiktok.webhook"

	OpTikTokExchangeCode = "tiktok.exchange_code"
	OpTikTokRefreshToken = "tiktok.refresh_token"
	OpTikTokRevoke       = "tiktok.revoke"
	OpTikTokUserInfo     = "tiktok.user_info"

	OpInstagramAccount         = "instagram.account"
	OpInstagramContainer       = "instagram.container"
	OpInstagramUpload          = "instagram.upload"
	OpInstagramContainerStatus = "instagram.container_status"
	OpInstagramPublish         = "instagram.publish"
	OpInstagramQuota           = "instagram.quota"
	OpInstagramMedia           = "instagram.media"
	OpInstagramStories         = "instagram.stories"
	OpInstagramPermalink       = "instagram.permalink"
	OpInstagramProcess         = "instagram.process"
	OpInstagramWebhook         = "instagram.webhook"

	OpInstagramExchangeCode  = "instagram.exchange_code"
	OpInstagramExchangeToken = "instagram.exchange_token"
	OpInstagramMe            = "instagram.me"
	OpInstagramPermissions   = "instagram.permissions"
	OpInstagramPages         = "instagram.pages" // /me/accounts
	OpInstagramBusinesses    = "instagram.businesses"
	OpInstagramBusinessPages = "instagram.business_pages"
	OpInstagramPage          = "instagram.page"
	OpInstagramDebugToken    = "instagram.debug_token"
	OpInstagramRevoke        = "instagram.revoke"
)

var operations = []string{
	OpTikTokCreatorInfo, OpTikTokInit, OpTikTokInbox, OpTikTokChunk, OpTikTokStatus, OpTikTokCancel, OpTikTokProcess,
	OpInstagramAccount, OpInstagramContainer, OpInstagramUpload, OpInstagramContainerStatus, OpInstagramPublish,
	OpInstagramQuota, OpInstagramMedia, OpInstagramStories, OpInstagramPermalink, OpInstagramProcess,
	OpTikTokExchangeCode, OpTikTokRefreshToken, OpTikTokRevoke, OpTikTokUserInfo,
	OpInstagramExchangeCode, OpInstagramExchangeToken, OpInstagramMe, OpInstagramPermissions, OpInstagramPages,
	OpInstagramBusinesses, OpInstagramBusinessPages, OpInstagramPage, OpInstagramDebugToken, OpInstagramRevoke,
	OpTikTokWebhook, OpInstagramWebhook,
}

// Fault is one scripted misbehaviour.
type Fault struct {
	Op    string `json:"op"`              // one of the Op constants
	Match string `json:"match,omitempty"` // account id (open_id, ig-id, Facebook user id); empty matches every account
	Skip  int    `json:"skip,omitempty"`  // matching calls that pass first
	Times int    `json:"times,omitempty"` // calls it meets; 0 is once, negative is until ClearFaults
	Mode  Mode   `json:"mode"`
	After bool   `json:"after,omitempty"` // the effect happens before the fault

	Status  int           `json:"status,omitempty"`  // HTTP status; default is the platform's usual one for Code, or 503
	Code    string        `json:"code,omitempty"`    // TikTok error.code or fail_reason; Graph error code
	Subcode int           `json:"subcode,omitempty"` // Graph error_subcode
	Message string        `json:"message,omitempty"` // default: the platform's usual text for Code
	Body    string        `json:"body,omitempty"`    // ModeStatus: the body instead of an HTML page
	Bytes   int64         `json:"bytes,omitempty"`   // ModePartial: how much of the request body is read
	Minutes int           `json:"minutes,omitempty"` // ModeRateLimit on Instagram: estimated_time_to_regain_access
	Delay   time.Duration `json:"-"`                 // ModeSlow, ModeLate; "delay":"2s" in the control API
}

// Validate reports a fault that could never do what it says.
func (f Fault) Validate() error {
	if !slices.Contains(operations, f.Op) {
		return fmt.Errorf("fault: unknown op %q (known: %s)", f.Op, strings.Join(operations, ", "))
	}
	if !slices.Contains(allModes, f.Mode) {
		return fmt.Errorf("fault: unknown mode %q (known: %s)", f.Mode, joinModes(allModes))
	}
	if modes := modesOf(f.Op); !slices.Contains(modes, f.Mode) {
		return fmt.Errorf("fault: %q cannot take mode %q (it takes: %s)", f.Op, f.Mode, joinModes(modes))
	}
	return f.validateCode()
}

func (f Fault) validateCode() error {
	switch {
	case f.Mode == ModeFail && f.Code == "":
		return errors.New("fault: mode fail needs a code")
	case f.Mode == ModeLate && f.Delay == 0:
		return errors.New("fault: mode late needs a delay")
	case f.Mode == ModeError && f.Code == "" && f.Op != OpTikTokChunk && f.Op != OpInstagramUpload:
		return errors.New("fault: mode error needs a code")
	}
	if f.Code != "" && strings.HasPrefix(f.Op, "instagram.") && f.Op != OpInstagramUpload {
		if _, err := strconv.Atoi(f.Code); err != nil {
			return fmt.Errorf("fault: Instagram code %q is not a number", f.Code)
		}
	}
	if f.Delay < 0 || f.Skip < 0 || f.Bytes < 0 {
		return errors.New("fault: delay, skip and bytes cannot be negative")
	}
	return nil
}

// faultScript holds the scripted faults in the order they were given.
type faultScript struct {
	mu     sync.Mutex
	faults []Fault
}

// take returns the first fault for this call and uses it up. Every earlier matching fault that still skips counts
// the call as one it let pass.
func (fs *faultScript) take(op, account string) (Fault, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i := range fs.faults {
		f := &fs.faults[i]
		if f.Op != op || f.Match != "" && f.Match != account {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		taken := *f
		if f.Times > 0 {
			f.Times--
		}
		if f.Times == 0 {
			fs.faults = slices.Delete(fs.faults, i, i+1)
		}
		return taken, true
	}
	return Fault{}, false
}

// Script appends faults. It panics on one that Validate refuses: that is a mistake in the script, not a condition.
func (s *Server) Script(faults ...Fault) {
	for _, f := range faults {
		if err := f.Validate(); err != nil {
			panic("sandbox: " + err.Error())
		}
	}
	s.script(faults)
}

func (s *Server) script(faults []Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, f := range faults {
		if f.Times == 0 {
			f.Times = 1
		}
		s.faults.faults = append(s.faults.faults, f)
	}
}

// ClearFaults forgets every fault that has not been used up.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.faults = nil
}

// PendingFaults are the faults still to come; a test that scripted a fault asserts that none is left.
func (s *Server) PendingFaults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return slices.Clone(s.faults.faults)
}
