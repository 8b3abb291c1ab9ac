package sandbox

import (
	"socialqueue/sandbox/engine"
	"socialqueue/sandbox/instagram"
	"socialqueue/sandbox/tiktok"
)

// The types that scripts and tests use most, so that they need one import. Their packages document them.
type (
	// Platform is a simulated platform that New can take besides TikTok and Instagram.
	Platform = engine.Platform
	// Fault is one scripted misbehaviour.
	Fault = engine.Fault
	// Mode is what a Fault does to the call it meets.
	Mode = engine.Mode
	// Call is one request as a simulated platform saw it.
	Call = engine.Call
	// Webhook is one delivery and how far it has come.
	Webhook = engine.Webhook
	// LivePost is one post that the public, or its audience, can see.
	LivePost = engine.LivePost
	// TikTokAccount is a creator who connected the app, or is about to.
	TikTokAccount = tiktok.Account
	// TikTokProfile is an edition of TikTok's token lifetimes.
	TikTokProfile = tiktok.Profile
	// InstagramAccount is a professional account behind a Facebook Page.
	InstagramAccount = instagram.Account
	// FacebookUser is a person who logs in with Facebook and holds Pages.
	FacebookUser = instagram.FacebookUser
	// FacebookPage is a Page as one user holds it.
	FacebookPage = instagram.FacebookPage
	// InstagramEntry is one account's part of a webhook.
	InstagramEntry = instagram.Entry
	// InstagramChange is one change of a field.
	InstagramChange = instagram.Change
	// InstagramComment is what CommentEntry tells of a comment.
	InstagramComment = instagram.Comment
	// InstagramStoryInsights is the numbers of a story that ended.
	InstagramStoryInsights = instagram.StoryInsights
	// DoublePublish is what a second media_publish of one container comes to.
	DoublePublish = instagram.DoublePublish
)

// The names of the platforms as they appear in a LivePost.
const (
	TikTok    = tiktok.Name
	Instagram = instagram.Name
)

// The editions of TikTok's token lifetimes.
const (
	ProfileCurrent = tiktok.ProfileCurrent
	ProfileLegacy  = tiktok.ProfileLegacy
)

// What a second media_publish may come to.
const (
	DoubleNotFound = instagram.DoubleNotFound
	DoubleNotReady = instagram.DoubleNotReady
	DoubleSameID   = instagram.DoubleSameID
	DoubleGeneric  = instagram.DoubleGeneric
	DoublePost     = instagram.DoublePost
)

// What a Fault does.
const (
	ModeError        = engine.ModeError
	ModeStatus       = engine.ModeStatus
	ModeRateLimit    = engine.ModeRateLimit
	ModeReset        = engine.ModeReset
	ModeHang         = engine.ModeHang
	ModeSlow         = engine.ModeSlow
	ModeTruncate     = engine.ModeTruncate
	ModePartial      = engine.ModePartial
	ModeFail         = engine.ModeFail
	ModeStuck        = engine.ModeStuck
	ModeDuplicate    = engine.ModeDuplicate
	ModeLate         = engine.ModeLate
	ModeReorder      = engine.ModeReorder
	ModeBadSignature = engine.ModeBadSignature

	ModeStale           = tiktok.ModeStale
	ModeLegacySignature = instagram.ModeLegacySignature
)

// The operations that a Fault can name.
const (
	OpTikTokInit         = tiktok.OpInit
	OpTikTokCreatorInfo  = tiktok.OpCreatorInfo
	OpTikTokInbox        = tiktok.OpInbox
	OpTikTokPhoto        = tiktok.OpPhoto
	OpTikTokChunk        = tiktok.OpChunk
	OpTikTokStatus       = tiktok.OpStatus
	OpTikTokCancel       = tiktok.OpCancel
	OpTikTokProcess      = tiktok.OpProcess
	OpTikTokWebhook      = tiktok.OpWebhook
	OpTikTokExchangeCode = tiktok.OpExchangeCode
	OpTikTokRefreshToken = tiktok.OpRefreshToken
	OpTikTokRevoke       = tiktok.OpRevoke
	OpTikTokUserInfo     = tiktok.OpUserInfo

	OpInstagramAccount         = instagram.OpAccount
	OpInstagramContainer       = instagram.OpContainer
	OpInstagramUpload          = instagram.OpUpload
	OpInstagramContainerStatus = instagram.OpContainerStatus
	OpInstagramPublish         = instagram.OpPublish
	OpInstagramQuota           = instagram.OpQuota
	OpInstagramMedia           = instagram.OpMedia
	OpInstagramStories         = instagram.OpStories
	OpInstagramPermalink       = instagram.OpPermalink
	OpInstagramComment         = instagram.OpComment
	OpInstagramComments        = instagram.OpComments
	OpInstagramProcess         = instagram.OpProcess
	OpInstagramWebhook         = instagram.OpWebhook
	OpInstagramExchangeCode    = instagram.OpExchangeCode
	OpInstagramExchangeToken   = instagram.OpExchangeToken
	OpInstagramMe              = instagram.OpMe
	OpInstagramPermissions     = instagram.OpPermissions
	OpInstagramPages           = instagram.OpPages
	OpInstagramBusinesses      = instagram.OpBusinesses
	OpInstagramBusinessPages   = instagram.OpBusinessPages
	OpInstagramPage            = instagram.OpPage
	OpInstagramDebugToken      = instagram.OpDebugToken
	OpInstagramRevoke          = instagram.OpRevoke
	OpInstagramSubscribe       = instagram.OpSubscribe
	OpInstagramSubscriptions   = instagram.OpSubscriptions
)
