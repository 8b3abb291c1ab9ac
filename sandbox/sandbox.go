package sandbox

import (
	"context"

	"socialqueue/sandbox/engine"
	"socialqueue/sandbox/instagram"
	"socialqueue/sandbox/tiktok"
)

// Server is a sandbox with TikTok and Instagram.
type Server struct {
	*engine.Server
	opts      Options
	tiktok    *tiktok.Platform
	instagram *instagram.Platform
}

// New creates a Server with TikTok, Instagram and any further platforms. It listens only after Start; Handler serves
// without a listener. Close it in either case.
func New(opts Options, more ...Platform) *Server {
	tt, ig := tiktok.New(opts.tiktok()), instagram.New(opts.instagram())
	s := &Server{tiktok: tt, instagram: ig, Server: engine.New(opts.engine(), append([]Platform{tt, ig}, more...)...)}
	s.opts = opts.inEffect(s.Server.Options(), tt.Options(), ig.Options())
	return s
}

// Options returns the options in effect, with defaults filled in. A client takes its app credentials from here.
func (s *Server) Options() Options { return s.opts }

// TikTokURL returns the base address of the simulated open.tiktokapis.com.
func (s *Server) TikTokURL() string { return s.tiktok.URL() }

// TikTokAuthURL returns the base address of the simulated www.tiktok.com, where users consent.
func (s *Server) TikTokAuthURL() string { return s.tiktok.AuthURL() }

// FacebookDialogURL returns the base address of the simulated www.facebook.com, where users consent.
func (s *Server) FacebookDialogURL() string { return s.instagram.DialogURL() }

// GraphURL returns the base address of the simulated graph.facebook.com.
func (s *Server) GraphURL() string { return s.instagram.GraphURL() }

// RuploadURL returns the base address of the simulated rupload.facebook.com.
func (s *Server) RuploadURL() string { return s.instagram.UploadURL() }

// AddTikTokAccount connects an account and returns it with its tokens (see tiktok.Platform.AddAccount).
func (s *Server) AddTikTokAccount(a TikTokAccount) TikTokAccount { return s.tiktok.AddAccount(a) }

// AddInstagramAccount connects an account and returns it with its tokens (see instagram.Platform.AddAccount).
func (s *Server) AddInstagramAccount(a InstagramAccount) InstagramAccount {
	return s.instagram.AddAccount(a)
}

// AddFacebookUser adds a user and returns it with its defaults filled in (see instagram.Platform.AddFacebookUser).
func (s *Server) AddFacebookUser(u FacebookUser) FacebookUser { return s.instagram.AddFacebookUser(u) }

// InvalidateTikTok acts as the user who removes the app: both tokens end, and authorization.removed is sent. It panics
// on an unknown id.
func (s *Server) InvalidateTikTok(openID string) { s.tiktok.RemoveApp(openID) }

// ExpireTikTokAccess ends the access token early; the refresh token stays valid. It panics on an unknown id.
func (s *Server) ExpireTikTokAccess(openID string) { s.tiktok.ExpireAccess(openID) }

// InvalidateFacebook revokes all tokens of a user and their Page tokens: calls answer 190 with the subcode, such as 460
// for a changed password. 458 also deletes the consent. It panics on an unknown id.
func (s *Server) InvalidateFacebook(userID string, subcode int) {
	s.instagram.InvalidateFacebook(userID, subcode)
}

// LosePage removes a user's role on a Page: its Page tokens answer 190/492 and lists omit the Page. It panics on an
// unknown id.
func (s *Server) LosePage(userID, pageID string) { s.instagram.LosePage(userID, pageID) }

// SetDoublePublish selects what a second media_publish of one Instagram container comes to from now on. It panics on an
// unknown mode.
func (s *Server) SetDoublePublish(mode DoublePublish) {
	engine.Must(s.instagram.SetDoublePublish(mode))
}

// SetTikTokWebhook sets the address of TikTok's webhooks, including retries of earlier deliveries; "" stops them.
// Earlier events are not sent to a new address.
func (s *Server) SetTikTokWebhook(url string) {
	engine.Must(s.SetWebhook(context.Background(), TikTok, url, "")) // returns an error only for a platform with a handshake
}

// SetMetaWebhook makes Meta's handshake with url and sets it as the address of Meta's webhooks; "" stops them. An empty
// verifyToken selects Options.MetaVerifyToken. On an error nothing changes.
func (s *Server) SetMetaWebhook(ctx context.Context, url, verifyToken string) error {
	return s.SetWebhook(ctx, Instagram, url, verifyToken)
}

// SendInstagram queues one delivery of all entries. Without an address nothing is sent. It panics on an invalid entry.
func (s *Server) SendInstagram(entries ...InstagramEntry) { s.instagram.Send(entries...) }

// CommentEntry returns the entry of a comment on a post of igID.
func (s *Server) CommentEntry(igID string, c InstagramComment) InstagramEntry {
	return s.instagram.CommentEntry(igID, c)
}

// MentionEntry returns the entry of a mention of igID in a caption, or in a comment if commentID is set.
func (s *Server) MentionEntry(igID, mediaID, commentID string) InstagramEntry {
	return s.instagram.MentionEntry(igID, mediaID, commentID)
}

// StoryInsightsEntry returns the entry of a story of igID that ended.
func (s *Server) StoryInsightsEntry(igID string, numbers InstagramStoryInsights) InstagramEntry {
	return s.instagram.StoryInsightsEntry(igID, numbers)
}

// MessageEntry returns the entry of a message to igID. An empty fromID or mid is generated.
func (s *Server) MessageEntry(igID, fromID, mid, text string) InstagramEntry {
	return s.instagram.MessageEntry(igID, fromID, mid, text)
}
