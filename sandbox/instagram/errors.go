package instagram

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"socialqueue/sandbox/engine"
)

// graphError is the error object of the Graph API (Handling Errors).
type graphError struct {
	Message   string `json:"message"`
	Type      string `json:"type"`
	Code      int    `json:"code"`
	Subcode   int    `json:"error_subcode,omitempty"`
	Transient bool   `json:"is_transient"`
	Title     string `json:"error_user_title,omitempty"`
	UserText  string `json:"error_user_msg,omitempty"`
	Trace     string `json:"fbtrace_id"`

	lasting bool // not the transient error its code stands for elsewhere
}

// graphText is what an error answer holds besides its numbers.
type graphText struct {
	message   string
	title     string
	status    int // 0: 400
	transient bool
}

// graphTexts are the messages of Error Codes, 2026-06-02, and of Handling Errors, or the observed ones where they
// differ.
var graphTexts = map[[2]int]graphText{
	{1, 0}:   {message: "An unknown error occurred", status: 500, transient: true},
	{2, 0}:   {message: "Service temporarily unavailable", status: 500, transient: true},
	{4, 0}:   {message: "(#4) Application request limit reached", status: 403, transient: true},
	{10, 0}:  {message: "(#10) Application does not have permission for this action", status: 403},
	{17, 0}:  {message: "(#17) User request limit reached"},
	{32, 0}:  {message: "(#32) Page request limit reached", status: 403},
	{200, 0}: {message: "(#200) Permissions error", status: 403},
	{368, 0}: {message: "The action attempted has been deemed abusive or is otherwise disallowed"},
	{613, 0}: {message: "Calls to this api have exceeded the rate limit."},
	{80002, 0}: {message: "There have been too many calls to this Instagram account. Wait a bit and try again. " +
		"For more info, please refer to https://developers.facebook.com/docs/graph-api/overview/rate-limiting."},

	{100, 33}:    {message: "Authorization Error"},
	{100, 36007}: {message: "This authorization code has expired."},
	{100, 36008}: {message: "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request"},
	{100, 36009}: {message: "This authorization code has been used."},
	{101, 0}:     {message: "Error validating application. Invalid application ID."},

	{190, 458}: {message: "Error validating access token: The user has not authorized application."},
	{190, 459}: {message: "Error validating access token: You cannot access the app till you log in to www.facebook.com and follow the instructions given."},
	{190, 460}: {message: "Error validating access token: The session has been invalidated because the user changed their password or Facebook has changed the session for security reasons."},
	{190, 463}: {message: "Error validating access token: Session has expired."},
	{190, 464}: {message: "Error validating access token: Sessions for the user are not allowed because the user is not a confirmed user."},
	{190, 467}: {message: "Error validating access token: The session is invalid."},
	{190, 492}: {message: "Error validating access token: The user must be an administrator, editor, or moderator of the page."},

	{-2, 2207003}:    {message: "It takes too long to download the media.", title: "Timeout downloading media", transient: true},
	{-2, 2207020}:    {message: "The media you are trying to access has expired. Please try to upload again.", title: "Media expired"},
	{-1, 2207001}:    {message: "Instagram server error. Try again.", transient: true},
	{-1, 2207032}:    {message: "Create media fail, please try to re-create media", title: "Create media failed"},
	{-1, 2207053}:    {message: "Unknown upload error", title: "Unknown upload error"},
	{1, 2207057}:     {message: "Thumbnail offset must be greater than or equal to 0 and less than video duration", title: "Invalid thumbnail offset"},
	{4, 2207051}:     {message: "Application request limit reached", title: "Action is blocked"},
	{9, 2207042}:     {message: "The user has reached the maximum number of posts that is allowed to be published.", title: "Maximum posts reached"},
	{24, 2207006}:    {message: "The requested resource does not exist", title: "Media Not Found"},
	{24, 2207008}:    {message: "The media builder with creation id does not exist or has been expired.", title: "Media builder not found"},
	{25, 2207050}:    {message: "The Instagram account is restricted.", title: "Account restricted"},
	{100, 2207023}:   {message: "The media type is unknown.", title: "Unknown media type"},
	{100, 2207028}:   {message: "Your post won't work as a carousel. Carousels need at least 2 photos/videos and no more than 10 photos/videos.", title: "Carousel validation failed"},
	{100, 2207067}:   {message: "The VIDEO value for media_type is no longer supported. Use the REELS media type.", title: "Media type not supported"},
	{110, 2207018}:   {message: "The user could not be loaded", title: "Cannot load the tagged or invited user"},
	{352, 2207026}:   {message: "The video file you selected is in a format that we don't support.", title: "Unsupported video format"},
	{9004, 2207052}:  {message: "Only photo or video can be accepted as media type.", title: "Media download has failed. The media URI doesn't meet our requirements."},
	{9007, 2207027}:  {message: "Media ID is not available", title: "Media is not ready to be published"},
	{36000, 2207004}: {message: "The image size is too large.", title: "Image size too large"},
	{36001, 2207005}: {message: "The image format is not supported.", title: "Unsupported image format"},
	{36003, 2207009}: {message: "The submitted image with aspect ratio cannot be published.", title: "Unsupported aspect ratio"},
	{36004, 2207010}: {message: "The caption was too long.", title: "Caption too long"},
}

func (ig *Platform) ok(c *graphCall, v any) engine.Reply {
	rep := engine.JSONReply(http.StatusOK, v)
	rep.Code = "ok"
	return rep
}

// fail completes e from the table and answers it.
func (ig *Platform) fail(x *engine.Exchange, e graphError) engine.Reply { return ig.failWith(x, 0, e) }

func (ig *Platform) failWith(x *engine.Exchange, status int, e graphError) engine.Reply {
	known := graphTexts[[2]int{e.Code, e.Subcode}]
	if e.Code == 200 && known.status == 0 {
		known.status = http.StatusForbidden
	}
	engine.SetDefault(&e.Message, known.message)
	engine.SetDefault(&e.Message, "Fatal")
	engine.SetDefault(&e.Type, graphType(e))
	e.Title, e.UserText = known.title, known.title
	e.Transient = known.transient && !e.lasting
	e.Trace = x.LogID
	engine.SetDefault(&status, known.status)
	engine.SetDefault(&status, http.StatusBadRequest)
	rep := engine.JSONReply(status, map[string]graphError{"error": e})
	rep.Code = fmt.Sprintf("%d/%d", e.Code, e.Subcode)
	if class := challenge(e); class != "" && status == http.StatusBadRequest {
		rep.Header.Set("WWW-Authenticate", fmt.Sprintf(`OAuth "Facebook Platform" "%s" %s`, class, strconv.Quote(e.Message)))
	}
	return rep
}

func graphType(e graphError) string {
	if e.Code == 100 && e.Subcode == 33 {
		return "GraphMethodException"
	}
	return "OAuthException"
}

// challenge returns the error class of the www-authenticate header, which answers about codes, tokens and rate limits
// carry.
func challenge(e graphError) string {
	switch e.Subcode {
	case 36007, 36008, 36009:
		return "invalid_code"
	}
	switch e.Code {
	case 190, 102:
		return "invalid_token"
	case 4, 17, 32, 341, 613, 80001, 80002:
		return "invalid_request"
	}
	return ""
}

// graphFace renders the answers of one Graph call, including those of faults.
type graphFace struct {
	ig        *Platform
	call      *graphCall
	throttled bool // by a scripted rate limit
	minutes   int
}

func (g *graphFace) Refuse(x *engine.Exchange, f engine.Fault) engine.Reply {
	e := graphError{Message: f.Message, Subcode: f.Subcode}
	e.Code, _ = strconv.Atoi(f.Code) // Validate made sure
	if f.Mode == engine.ModeRateLimit {
		engine.SetDefault(&e.Code, 80002)
		g.throttled, g.minutes = true, f.Minutes
	}
	return g.ig.failWith(x, f.Status, e)
}

// Finish adds the usage and version headers every Graph answer carries (Rate Limits, Versions).
func (g *graphFace) Finish(x *engine.Exchange, rep *engine.Reply) {
	if rep.Header == nil {
		rep.Header = http.Header{}
	}
	h := rep.Header
	h.Set("Facebook-Api-Version", servedVersion(g.call.version, x.Now))
	h.Set("X-Fb-Trace-Id", x.LogID)
	percent, minutes := g.ig.usage(x)
	if g.throttled {
		percent, minutes = 100, g.minutes
	}
	g.setUsage(h, x, percent, minutes)
}

// setUsage writes percentages of the budget; the outer key is the account, its value a list.
func (g *graphFace) setUsage(h http.Header, x *engine.Exchange, percent, minutes int) {
	id := x.Account
	engine.SetDefault(&id, g.ig.opts.AppID)
	app, _ := json.Marshal(appUsage{percent, percent, percent})
	business, _ := json.Marshal(map[string][]businessUsage{id: {{"instagram", percent, percent, percent, minutes}}})
	h.Set("X-App-Usage", string(app))
	h.Set("X-Business-Use-Case-Usage", string(business))
}

type appUsage struct {
	Calls int `json:"call_count"`
	Time  int `json:"total_time"`
	CPU   int `json:"total_cputime"`
}

type businessUsage struct {
	Type    string `json:"type"`
	Calls   int    `json:"call_count"`
	CPU     int    `json:"total_cputime"`
	Time    int    `json:"total_time"`
	Minutes int    `json:"estimated_time_to_regain_access"`
}

// usage returns how much of its call budget the account has used, in percent, and the minutes until it may call again.
func (ig *Platform) usage(x *engine.Exchange) (percent, minutes int) {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	acc := ig.accounts[x.Account]
	limit := ig.opts.Limits.Calls
	if acc == nil || limit == 0 {
		return 0, 0
	}
	n := acc.calls.Count("", x.Now, day)
	if n >= limit {
		minutes = int(acc.calls[""][0].Add(day).Sub(x.Now).Minutes()) + 1
	}
	return n * 100 / limit, minutes
}
