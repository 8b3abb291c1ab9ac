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

// New builds a Server with TikTok, Instagram and more platforms, if given. It listens only after Start; Handler serves
// without. Close it in either case.
func New(opts Options, more ...Platform) *Server {
	tt, ig := tiktok.New(opts.tiktok()), instagram.New(opts.instagram())
	s := &Server{tiktok: tt, instagram: ig, Server: engine.New(opts.engine(), append([]Platform{tt, ig}, more...)...)}
	s.opts = opts.inEffect(s.Server.Options(), tt.Options(), ig.Options())
	return s
}

// Options are the options in effect, defaults filled in: a client takes its app credentials from here.
func (s *Server) Options() Options { return s.opts }

// TikTokURL is the base of the simulated open.tiktokapis.com.
func (s *Server) TikTokURL() string { return s.tiktok.URL() }

// TikTokAuthURL is the base of the simulated www.tiktok.com, where users consent.
func (s *Server) TikTokAuthURL() string { return s.tiktok.AuthURL() }

// FacebookDialogURL is the base of the simulated www.facebook.com, where users consent.
func (s *Server) FacebookDialogURL() string { return s.instagram.DialogURL() }

// GraphURL is the base of the simulated graph.facebook.com.
func (s *Server) GraphURL() string { return s.instagram.GraphURL() }

// RuploadURL is the base of the simulated rupload.facebook.com.
func (s *Server) RuploadURL() string { return s.instagram.UploadURL() }

// AddTikTokAccount connects an account and returns it with its tokens (see tiktok.Platform.AddAccount).
func (s *Server) AddTikTokAccount(a TikTokAccount) TikTokAccount { return s.tiktok.AddAccount(a) }

// AddInstagramAccount connects an account and returns it with its tokens (see instagram.Platform.AddAccount).
func (s *Server) AddInstagramAccount(a InstagramAccount) InstagramAccount {
	return s.instagram.AddAccount(a)
}

// AddFacebookUser makes a user and returns it with its defaults filled in (see instagram.Platform.AddFacebookUser).
func (s *Server) AddFacebookUser(u FacebookUser) FacebookUser { return s.instagram.AddFacebookUser(u) }

// InvalidateTikTok is the user removing the app: both tokens die, and authorization.removed says so. Like the other
// triggers it panics on an id that is not there: that is a mistake in the script.
func (s *Server) InvalidateTikTok(openID string) { s.tiktok.RemoveApp(openID) }

// ExpireTikTokAccess ends the access token before its time; the refresh token lives.
func (s *Server) ExpireTikTokAccess(openID string) { s.tiktok.ExpireAccess(openID) }

// InvalidateFacebook kills all tokens of a user and their Page tokens: they answer 190 with the subcode, such as 460
// for a changed password. With 458 the consent is gone too.
func (s *Server) InvalidateFacebook(userID string, subcode int) {
	s.instagram.InvalidateFacebook(userID, subcode)
}

// LosePage takes a user's role on a Page: its Page tokens answer 190/492 and the lists no longer have it.
func (s *Server) LosePage(userID, pageID string) { s.instagram.LosePage(userID, pageID) }

// SetTikTokWebhook says where TikTok's events go from now on, retries of earlier ones too; "" ends them. What
// happened before there was an address is not told later.
func (s *Server) SetTikTokWebhook(url string) {
	engine.Must(s.SetWebhook(context.Background(), TikTok, url, "")) // fails only where there is a handshake
}

// SetMetaWebhook makes Meta's handshake with url and sends there from now on; "" ends it. An empty verifyToken is
// Options.MetaVerifyToken. After an error everything is as it was.
func (s *Server) SetMetaWebhook(ctx context.Context, url, verifyToken string) error {
	return s.SetWebhook(ctx, Instagram, url, verifyToken)
}

// SendInstagram queues one delivery of all entries. Without an address nothing is sent. It panics on an entry that
// Meta could not send: that is a mistake in the script.
func (s *Server) SendInstagram(entries ...InstagramEntry) { s.instagram.Send(entries...) }

// CommentEntry is a comment on a post of igID.
func (s *Server) CommentEntry(igID string, c InstagramComment) InstagramEntry {
	return s.instagram.CommentEntry(igID, c)
}

// MentionEntry is somebody naming igID in a caption, or in a comment when there is a commentID.
func (s *Server) MentionEntry(igID, mediaID, commentID string) InstagramEntry {
	return s.instagram.MentionEntry(igID, mediaID, commentID)
}

// StoryInsightsEntry is the end of a story of igID.
func (s *Server) StoryInsightsEntry(igID string, numbers InstagramStoryInsights) InstagramEntry {
	return s.instagram.StoryInsightsEntry(igID, numbers)
}

// MessageEntry is a message to igID; an empty fromID or mid is made up.
func (s *Server) MessageEntry(igID, fromID, mid, text string) InstagramEntry {
	return s.instagram.MessageEntry(igID, fromID, mid, text)
}
