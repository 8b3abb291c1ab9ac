package instagram

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/wire"
)

// blockWait is the wait after a block for policy or spam, which lasts hours (seen in the
// field, 2026).
const blockWait = 6 * time.Hour

// advice classifies an error code independently of the call.
type advice uint8

const (
	// adviseNothing means that the code is in no table.
	adviseNothing advice = iota
	// adviseStop means that content, account or parameters are refused; the same call always
	// fails.
	adviseStop
	// advisePermission means that the token works but lacks a permission.
	advisePermission
	// adviseReconnect means that the token is dead.
	adviseReconnect
	// adviseExpired means that the token has expired.
	adviseExpired
	// adviseThrottle means too many calls.
	adviseThrottle
	// adviseQuota means that the daily posts are used up.
	adviseQuota
	// adviseBlocked means a block for policy, for hours.
	adviseBlocked
	// adviseRead means that the call was refused but the post may be live: read it.
	adviseRead
	// adviseWait means not ready: use the same container later.
	adviseWait
	// adviseMissing means that the container was not found. On publish this may be
	// replication lag, so wait first; elsewhere the container is gone.
	adviseMissing
	// adviseAgain means that this attempt failed; another container may succeed.
	adviseAgain
	// adviseInternal means an internal error at Meta; whether the call had an effect is
	// unknown.
	adviseInternal
	// adviseUnseen means that the object is unknown or not visible, or that Meta's reads
	// fail.
	adviseUnseen
)

// errorKey identifies an error. Subcode 0 in a table stands for any subcode.
type errorKey struct{ code, subcode int64 }

// trialsRefused is the subcode of an account that may not make trial reels.
const trialsRefused = 2207081

// TrialsRefused reports whether err says that the account may not make trial reels.
func TrialsRefused(err error) bool {
	e, ok := errors.AsType[*platform.Error](err)
	return ok && strings.HasSuffix(e.PlatformCode, fmt.Sprint("/", trialsRefused))
}

// subcodes is the table of subcodes with the same meaning under every code (Error Codes,
// 2026-06-02, and seen in the field).
var subcodes = map[int64]advice{
	2207001:       adviseInternal, // server error
	2207003:       adviseAgain,    // took too long to download the media
	2207004:       adviseStop,     // image too large
	2207005:       adviseStop,     // image format
	2207006:       adviseMissing,  // media not found
	2207008:       adviseMissing,  // media builder missing or expired
	2207009:       adviseStop,     // aspect ratio
	2207010:       adviseStop,     // caption too long
	2207018:       adviseStop,     // tag or collaborator not loadable
	2207020:       adviseAgain,    // media has expired
	2207023:       adviseStop,     // media type unknown
	2207026:       adviseStop,     // video format
	2207027:       adviseWait,     // not ready for publishing
	2207028:       adviseStop,     // carousel needs 2 to 10
	2207032:       adviseAgain,    // create media fail, re-create
	2207035:       adviseStop,     // product tag
	2207036:       adviseStop,     // product tag
	2207037:       adviseStop,     // product tag
	2207040:       adviseStop,     // too many tags
	2207042:       adviseQuota,    // maximum number of posts reached
	2207050:       adviseStop,     // account restricted
	2207051:       adviseRead,     // activity restricted; the post may be live (gitroomhq/postiz-app PR 1681)
	2207052:       adviseAgain,    // media could not be fetched; comes in waves for good links
	2207053:       adviseAgain,    // unknown upload error
	2207057:       adviseStop,     // thumbnail offset out of range
	2207067:       adviseStop,     // VIDEO retired
	2207076:       adviseAgain,    // media upload failed
	2207077:       adviseAgain,    // video download failed
	trialsRefused: adviseStop,
	2207082:       adviseAgain, // media upload failed
	2207085:       adviseAgain, // media upload failed, or a stuck container
	2207086:       adviseStop,  // metric not allowed
	2108006:       adviseStop,  // media older than the business account
}

// codes is the table of codes, and of subcodes that have a meaning under their code only
// (Handling Errors; Error Codes, 2026-06-02).
var codes = map[errorKey]advice{
	{190, 0}:   adviseReconnect,
	{190, 463}: adviseExpired,
	{102, 0}:   adviseReconnect,
	{10, 0}:    advisePermission,
	{3, 0}:     advisePermission,
	{100, 0}:   adviseStop,
	{100, 33}:  adviseUnseen,
	{110, 0}:   adviseStop,
	{1, 0}:     adviseInternal,
	{2, 0}:     adviseInternal,
	{-1, 0}:    adviseInternal,
	{-2, 0}:    adviseAgain,
	{4, 0}:     adviseThrottle,
	{17, 0}:    adviseThrottle,
	{32, 0}:    adviseThrottle,
	{341, 0}:   adviseThrottle,
	{613, 0}:   adviseThrottle,
	{80001, 0}: adviseThrottle,
	{80002, 0}: adviseThrottle,
	{368, 0}:   adviseBlocked,
	{506, 0}:   adviseStop,
	{9009, 0}:  adviseStop,
	{2500, 0}:  adviseStop,
	{9, 0}:     adviseQuota,
	{24, 0}:    adviseMissing,
	{25, 0}:    adviseStop,
	{352, 0}:   adviseStop,
	{9004, 0}:  adviseAgain,
	{9007, 0}:  adviseWait,
	{36000, 0}: adviseStop,
	{36001, 0}: adviseStop,
	{36002, 0}: adviseStop,
	{36003, 0}: adviseStop,
	{36004, 0}: adviseStop,

	// the codes of a callback (Facebook Login, manual flow, and seen in the field)
	{100, 36007}: adviseStop, // expired
	{100, 36008}: adviseStop, // redirect_uri is not the dialog's
	{100, 36009}: adviseStop, // used before
	{101, 0}:     adviseStop, // no such app: our settings
}

// worded is the table of errors that have no subcode and that only their message
// distinguishes from others of the same code. The message is not localised, unlike the
// texts for users (Handling Errors).
var worded = map[int64]wordedError{
	190: {"must be granted before impersonating a user's page", advisePermission, missingPermission}, // the token works
	1:   {"Error validating client secret", adviseStop, remedies["101"]},                             // our settings
}

type wordedError struct {
	phrase string
	advice advice
	remedy platform.Remedy
}

// wordedAdvice returns the entry of worded that an error matches.
func (e graphError) wordedAdvice() (wordedError, bool) {
	w, ok := worded[e.code]
	return w, ok && e.subcode == 0 && strings.Contains(e.message, w.phrase)
}

// advice returns the advice for an error: by its message if it is in worded, then by
// subcode, then by code.
func (e graphError) advice() advice {
	if w, ok := e.wordedAdvice(); ok {
		return w.advice
	}
	return adviceFor(e.code, e.subcode)
}

// adviceFor returns the advice for a subcode or else a code.
func adviceFor(code, subcode int64) advice {
	if a, ok := subcodes[subcode]; ok {
		return a
	}
	if a, ok := codes[errorKey{code, subcode}]; ok {
		return a
	}
	if a, ok := codes[errorKey{code, 0}]; ok {
		return a
	}
	if code >= 200 && code <= 299 {
		return advisePermission
	}
	return adviseNothing
}

// isDead reports whether Meta's codes mean that a token is dead: invalid, revoked or
// expired.
func isDead(code, subcode int64) bool {
	a := adviceFor(code, subcode)
	return a == adviseReconnect || a == adviseExpired
}

// IsDeadToken reports whether Meta refused a token with its own code for that. Kind
// AuthExpired alone may also come from an unknown answer.
func IsDeadToken(err error) bool {
	e, ok := errors.AsType[*platform.Error](err)
	if !ok || e.Kind != platform.AuthExpired {
		return false
	}
	return isDead(codesOf(e))
}

// IsUnseen reports whether Meta says that there is no such object, that the token may not
// see it, or that its reads fail: it has one answer for all of them.
func IsUnseen(err error) bool {
	e, ok := errors.AsType[*platform.Error](err)
	return ok && adviceFor(codesOf(e)) == adviseUnseen
}

func codesOf(e *platform.Error) (code, subcode int64) {
	first, second, _ := strings.Cut(e.PlatformCode, "/")
	return wire.Scalar(first).Number(), wire.Scalar(second).Number()
}

var (
	refused    = wire.Verdict{Kind: platform.Rejected, Code: platform.CodePublishFailed}
	badUpload  = wire.Verdict{Kind: platform.Rejected, Code: platform.CodeUploadFailed}
	reconnect  = wire.Verdict{Kind: platform.AuthExpired, Code: platform.CodeTokenInvalid}
	throttled  = wire.Verdict{Kind: platform.RateLimited, Code: platform.CodeRateLimited}
	restricted = wire.Verdict{Kind: platform.RateLimited, Code: platform.CodeRateLimited, Wait: blockWait, Limit: platform.LimitPolicy}
)

// verdict applies an advice to a call. The wait after a throttle comes from the headers, so
// it is not set here.
func (a advice) verdict(op string, class wire.Class) (v wire.Verdict, ok bool) {
	switch a {
	case adviseStop:
		return wire.Verdict{Kind: platform.Rejected, Code: class.Code}, true
	case advisePermission:
		return wire.Verdict{Kind: platform.Rejected, Code: platform.CodeTokenInvalid}, true
	case adviseReconnect:
		return reconnect, true
	case adviseExpired:
		return wire.Verdict{Kind: platform.AuthExpired, Code: platform.CodeTokenExpired}, true
	case adviseThrottle:
		return throttled, true
	case adviseQuota:
		return wire.Verdict{Kind: platform.RateLimited, Code: platform.CodeRateLimited, Wait: blindWait, Limit: platform.LimitDaily}, true
	case adviseBlocked:
		return restricted, true
	case adviseRead:
		if class == wire.Reading {
			return restricted, true
		}
		return wire.Verdict{Kind: platform.Unknown, Code: class.Code, Wait: blockWait, Limit: platform.LimitPolicy}, true
	case adviseWait:
		return wire.Verdict{Kind: platform.NotReady, Code: class.Code}, true
	case adviseMissing:
		if op == opPublish {
			return wire.Verdict{Kind: platform.NotReady, Code: class.Code}, true
		}
		return wire.Verdict{Kind: platform.Gone, Code: class.Code}, true
	case adviseAgain:
		if op == opCreate || class == wire.Reading {
			return class.Unsent(), true
		}
		return wire.Verdict{Kind: platform.Gone, Code: class.Code}, true
	case adviseInternal:
		return class.Lost(), true
	case adviseUnseen:
		if class == wire.Reading {
			return class.Unsent(), true
		}
		return wire.Verdict{Kind: platform.Rejected, Code: class.Code}, true
	}
	return wire.Verdict{}, false
}

// judge returns the verdict on an error answer that was understood: by its advice, then by
// is_transient, then by HTTP status, which says little.
func judge(op string, class wire.Class, status int, e graphError, h http.Header) wire.Verdict {
	v, ok := e.advice().verdict(op, class)
	switch {
	case ok:
	case e.transient:
		v = class.Lost()
	case status == http.StatusTooManyRequests:
		v = throttled
	case status == http.StatusUnauthorized:
		v = reconnect
	case status >= 400 && status < 500:
		v = wire.Verdict{Kind: platform.Rejected, Code: class.Code}
	default: // 5xx, or an error with a status of success
		v = class.Lost()
	}
	switch {
	case v.Kind == platform.RateLimited && v.Wait == 0:
		v.Wait = throttleWait(h)
	case v.Kind == platform.AuthExpired && op == opDebugToken:
		// The token of that call is the app's, made from our settings. The state of the
		// user's token is in the data.
		v = refused
	}
	return v
}

// ContainerError says why a container in StateErrored failed, by the subcode in its text (0
// for none), and what may be done next. Such a container cannot go live. Transient: a new one
// may succeed; this includes unknown subcodes, because the same file often succeeds the next
// time. Rejected: a new one would fail as well. RateLimited: a new one may succeed after
// RetryAfter.
func ContainerError(subcode int, text string) *platform.Error {
	v := wire.Verdict{Kind: platform.Transient, Code: platform.CodePublishFailed}
	switch a := subcodes[int64(subcode)]; a {
	case adviseStop:
		v = refused
	case adviseQuota, adviseRead:
		v, _ = a.verdict(opContainerStatus, wire.Reading)
	}
	e := &platform.Error{
		Provider: models.Instagram, Op: opContainerStatus, Kind: v.Kind, Code: v.Code, Message: text, RetryAfter: v.Wait, Limit: v.Limit,
	}
	if subcode == 0 {
		e.Remedy = videoUnprocessed
		return e
	}
	e.PlatformCode = strconv.Itoa(subcode)
	e.Remedy = remedyFor(e.PlatformCode)
	return e
}
