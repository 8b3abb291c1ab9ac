package tiktok

import "socialqueue/sandbox/engine"

// The operations a Fault can name. OpProcess is no call: it happens when a file is complete. Nor is OpWebhook: each
// sending to the app is one, retries too.
const (
	OpInit        = "tiktok.init"
	OpCreatorInfo = "tiktok.creator_info"
	OpInbox       = "tiktok.inbox"
	OpPhoto       = "tiktok.photo"
	OpChunk       = "tiktok.chunk"
	OpStatus      = "tiktok.status"
	OpCancel      = "tiktok.cancel"
	OpProcess     = "tiktok.process"
	OpWebhook     = "tiktok.webhook"

	OpExchangeCode = "tiktok.exchange_code"
	OpRefreshToken = "tiktok.refresh_token"
	OpRevoke       = "tiktok.revoke"
	OpUserInfo     = "tiktok.user_info"
)

var operations = []engine.Op{
	{Name: OpInit}, {Name: OpCreatorInfo}, {Name: OpInbox}, {Name: OpPhoto}, {Name: OpChunk, CodeOptional: true}, {Name: OpStatus},
	{Name: OpCancel}, {Name: OpProcess, Modes: engine.ProcessModes},
	{Name: OpExchangeCode}, {Name: OpRefreshToken}, {Name: OpRevoke}, {Name: OpUserInfo},
}
