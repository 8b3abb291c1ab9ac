package instagram

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"socialqueue/platform"
	"socialqueue/platform/wire"
)

// blockWait: a block for policy or spam lasts hours (seen in the field, 2026).
const blockWait = 6 * time.Hour

// advice is what is known about an error code, before the call that met it is
// looked at.
type advice uint8

const (
	// adviseNothing: the code is in no table.
	adviseNothing advice = iota
	// adviseStop: content, account or parameters; the same call never passes.
	adviseStop
	// advisePermission: the token is alive but lacks a permission.
	advisePermission
	// adviseReconnect: the token is dead.
	adviseReconnect
	// adviseExpired: the token is dead because its time is over.
	adviseExpired
	// adviseThrottle: too many calls.
	adviseThrottle
	// adviseQuota: the day's posts are used up.
	adviseQuota
	// adviseBlocked: blocked for policy, for hours.
	adviseBlocked
	// adviseLook: refused, and the post may be live all the same.
	adviseLook
	// adviseWait: not ready; the same container later.
	adviseWait
	// adviseMissing: the container is not found. On publish this may be lag of a
	// replica, so wait first; elsewhere it is gone.
	adviseMissing
	// adviseAgain: this try failed, another container may pass.
	adviseAgain
	// adviseTrouble: trouble at Meta's; what happened is not known.
	adviseTrouble
	// adviseUnseen: the object is unknown, not visible, or Meta's reads are out.
	adviseUnseen
)

// errorKey names an error. Subcode 0 in a table stands for any subcode.
type errorKey struct{ code, subcode int64 }

// subcodes is the table of subcodes that mean the same under every code
// (Error Codes, 2026-06-02, and seen in the field).
var subcodes = map[int64]advice{
	2207001: adviseTrouble, // server error
	2207003: adviseAgain,   // took too long to download the media
	2207004: adviseStop,    // image too large
	2207005: adviseStop,    // image format
	2207006: adviseMissing, // media not found
	2207008: adviseMissing, // media builder missing or expired
	2207009: adviseStop,    // aspect ratio
	2207010: adviseStop,    // caption too long
	2207018: adviseStop,    // tag or collaborator not loadable
	2207020: adviseAgain,   // media has expired
	2207023: adviseStop,    // media type unknown
	2207026: adviseStop,    // video format
	2207027: adviseWait,    // not ready for publishing
	2207028: adviseStop,    // carousel needs 2 to 10
	2207032: adviseAgain,   // create media fail, re-create
	2207035: adviseStop,    // product tag
	2207036: adviseStop,    // product tag
	2207037: adviseStop,    // product tag
	2207040: adviseStop,    // too many tags
	2207042: adviseQuota,   // maximum number of posts reached
	2207050: adviseStop,    // account restricted
	2207051: adviseLook,    // activity restricted; the post may be live (gitroomhq/postiz-app PR 1681)
	2207052: adviseAgain,   // media could not be fetched; comes in waves for good links
	2207053: adviseAgain,   // unknown upload error
	2207057: adviseStop,    // thumbnail offset out of range
	2207067: adviseStop,    // VIDEO retired
	2207076: adviseAgain,   // media upload failed
	2207077: adviseAgain,   // video download failed
	2207081: adviseStop,    // trial reels not available
	2207082: adviseAgain,   // media upload failed
	2207085: adviseAgain,   // media upload failed, or a stuck container
	2207086: adviseStop,    // metric not allowed
	2108006: adviseStop,    // media older than the business account
}

// codes is the table of codes, and of subcodes that mean something under their
// code only (Handling Errors; Error Codes, 2026-06-02).
var codes = map[errorKey]advice{
	{190, 0}:   adviseReconnect,
	{190, 463}: adviseExpired,
	{102, 0}:   adviseReconnect,
	{10, 0}:    advisePermission,
	{3, 0}:     advisePermission,
	{100, 0}:   adviseStop,
	{100, 33}:  adviseUnseen,
	{110, 0}:   adviseStop,
	{1, 0}:     adviseTrouble,
	{2, 0}:     adviseTrouble,
	{-1, 0}:    adviseTrouble,
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
}

// adviceFor looks an error up: by subcode first, then by code.
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

var (
	refused   = wire.Verdict{Kind: platform.Rejected, Code: platform.CodePublishFailed}
	badUpload = wire.Verdict{Kind: platform.Rejected, Code: platform.CodeUploadFailed}
	reconnect = wire.Verdict{Kind: platform.AuthExpired, Code: platform.CodeTokenInvalid}
	throttled = wire.Verdict{Kind: platform.RateLimited, Code: platform.CodeRateLimited}
)

// verdict applies an advice to the call that met it. The wait of a throttle
// comes from the headers, so it is not set here.
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
		return wire.Verdict{Kind: platform.RateLimited, Code: platform.CodeRateLimited, Wait: blindWait}, true
	case adviseBlocked:
		return wire.Verdict{Kind: platform.RateLimited, Code: platform.CodeRateLimited, Wait: blockWait}, true
	case adviseLook:
		if class == wire.Reading {
			return wire.Verdict{Kind: platform.RateLimited, Code: platform.CodeRateLimited, Wait: blockWait}, true
		}
		return wire.Verdict{Kind: platform.Unknown, Code: class.Code, Wait: blockWait}, true
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
	case adviseTrouble:
		return class.Lost(), true
	case adviseUnseen:
		if class == wire.Reading {
			return class.Unsent(), true
		}
		return wire.Verdict{Kind: platform.Rejected, Code: class.Code}, true
	}
	return wire.Verdict{}, false
}

// judge says what an understood error answer means: by subcode, then code, then
// is_transient, then HTTP status, which is weak.
func judge(op string, class wire.Class, status int, e graphError, h http.Header) wire.Verdict {
	v, ok := adviceFor(e.code, e.subcode).verdict(op, class)
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
	default: // 5xx, and an error under a status of success
		v = class.Lost()
	}
	if v.Kind == platform.RateLimited && v.Wait == 0 {
		v.Wait = throttleWait(h)
	}
	return v
}

// ContainerErrorKind says what may be done about a container whose state is
// StateErrored, by the subcode in its text (0 for none). Such a container can
// not go live. Gone: a new one may pass, which also holds for a subcode that
// nobody knows, as the same file often passes the next time. Rejected: a new one
// would fail as well. RateLimited: a new one may pass hours later.
func ContainerErrorKind(subcode int) (platform.Kind, platform.Code) {
	switch a := subcodes[int64(subcode)]; a {
	case adviseStop:
		return platform.Rejected, platform.CodePublishFailed
	case adviseQuota, adviseLook:
		v, _ := a.verdict(opContainerStatus, wire.Reading)
		return v.Kind, v.Code
	default:
		return platform.Gone, platform.CodePublishFailed
	}
}

// graphError is Meta's error shape (Handling Errors).
type graphError struct {
	present        bool
	code, subcode  int64
	transient      bool
	message, trace string
}

// name gives "code/subcode", or the code alone.
func (e graphError) name() string {
	switch {
	case !e.present:
		return ""
	case e.subcode != 0:
		return fmt.Sprintf("%d/%d", e.code, e.subcode)
	}
	return fmt.Sprint(e.code)
}

var errNotJSON = errors.New("the answer is not Meta's JSON")

// parseError reads the error of an answer, if it has one. Numbers may come as
// strings, and everything but the object itself may be missing.
func parseError(body []byte) (graphError, error) {
	var raw struct {
		Error json.RawMessage `json:"error"`
	}
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || trimmed[0] != '{' {
		return graphError{}, errNotJSON
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return graphError{}, fmt.Errorf("%w: %w", errNotJSON, err)
	}
	if len(raw.Error) == 0 || string(raw.Error) == "null" {
		return graphError{}, nil
	}
	var f struct {
		Message   wire.Scalar `json:"message"`
		Code      wire.Scalar `json:"code"`
		Subcode   wire.Scalar `json:"error_subcode"`
		Transient wire.Scalar `json:"is_transient"`
		Title     wire.Scalar `json:"error_user_title"`
		UserText  wire.Scalar `json:"error_user_msg"`
		Trace     wire.Scalar `json:"fbtrace_id"`
	}
	if raw.Error[0] != '{' {
		_ = f.Message.UnmarshalJSON(raw.Error) // never fails
	} else if err := json.Unmarshal(raw.Error, &f); err != nil {
		return graphError{}, fmt.Errorf("%w: %w", errNotJSON, err)
	}
	e := graphError{
		present: true, code: f.Code.Number(), subcode: f.Subcode.Number(), transient: f.Transient.Bool(),
		message: string(f.Message), trace: string(f.Trace),
	}
	// The message is often just "Fatal"; the texts for users say more.
	for _, more := range []wire.Scalar{f.Title, f.UserText} {
		if more != "" {
			e.message += " | " + string(more)
		}
	}
	return e, nil
}

// decode reads a graph answer: the body for read when it is no error, else the
// typed error.
func (x *exchange) decode(resp *http.Response, read func(body []byte) error) error {
	body, err := wire.ReadBody(resp)
	var e graphError
	if err == nil {
		e, err = parseError(body)
	}
	if err != nil {
		return x.Fail(x.unread(resp), "", x.Hide.Err(err))
	}
	if e.present || resp.StatusCode < 200 || resp.StatusCode > 299 {
		return x.refusal(resp, e)
	}
	if err := read(body); err != nil {
		return x.Fail(x.Class.Lost(), "", x.Hide.Err(err))
	}
	return nil
}

func (x *exchange) refusal(resp *http.Response, e graphError) error {
	x.Code = x.Hide.Text(e.name())
	if e.trace != "" {
		x.LogID = x.Hide.Text(e.trace)
	}
	return x.Fail(judge(x.Op, x.Class, resp.StatusCode, e, resp.Header), e.message, nil)
}

// unread judges an answer whose body did not arrive or is not Meta's: a page of
// a gateway says nothing about what happened behind it. A 429 says it in its
// status.
func (x *exchange) unread(resp *http.Response) wire.Verdict {
	if resp.StatusCode == http.StatusTooManyRequests {
		v := throttled
		v.Wait = throttleWait(resp.Header)
		return v
	}
	return x.Class.Lost()
}

// idForm holds for every id that Meta gives out, and for none that would change
// the path of a URL.
var idForm = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// readID reads the answer to a POST that makes something.
func readID(body []byte) (string, error) {
	var a struct {
		ID wire.Scalar `json:"id"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	if !idForm.MatchString(string(a.ID)) {
		return "", errors.New("answer without an id")
	}
	return string(a.ID), nil
}
