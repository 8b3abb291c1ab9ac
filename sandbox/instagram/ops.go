package instagram

import (
	"fmt"
	"slices"
	"strconv"

	"socialqueue/sandbox/engine"
)

// The operations a Fault can name. OpProcess is no call: it happens when a file is complete. Nor is OpWebhook: each
// sending to the app is one, retries too.
const (
	OpAccount         = "instagram.account"
	OpContainer       = "instagram.container"
	OpUpload          = "instagram.upload"
	OpContainerStatus = "instagram.container_status"
	OpPublish         = "instagram.publish"
	OpQuota           = "instagram.quota"
	OpMedia           = "instagram.media"
	OpStories         = "instagram.stories"
	OpPermalink       = "instagram.permalink"
	OpComment         = "instagram.comment"
	OpComments        = "instagram.comments"
	OpProcess         = "instagram.process"
	OpWebhook         = "instagram.webhook"

	OpExchangeCode  = "instagram.exchange_code"
	OpExchangeToken = "instagram.exchange_token"
	OpMe            = "instagram.me"
	OpPermissions   = "instagram.permissions"
	OpPages         = "instagram.pages" // /me/accounts
	OpBusinesses    = "instagram.businesses"
	OpBusinessPages = "instagram.business_pages"
	OpPage          = "instagram.page"
	OpDebugToken    = "instagram.debug_token"
	OpRevoke        = "instagram.revoke"
	OpSubscribe     = "instagram.subscribe"
	OpSubscriptions = "instagram.subscriptions"
)

// graphOps are the calls with Graph's numeric error codes.
var graphOps = []string{
	OpAccount, OpContainer, OpContainerStatus, OpPublish, OpQuota, OpMedia, OpStories, OpPermalink, OpComment, OpComments,
	OpExchangeCode, OpExchangeToken, OpMe, OpPermissions, OpPages, OpBusinesses, OpBusinessPages, OpPage, OpDebugToken, OpRevoke,
	OpSubscribe, OpSubscriptions,
}

func operations() []engine.Op {
	ops := make([]engine.Op, 0, len(graphOps))
	for _, name := range graphOps {
		ops = append(ops, engine.Op{Name: name, CheckCode: isNumber})
	}
	return slices.Concat(ops, []engine.Op{
		{Name: OpUpload, CodeOptional: true},
		{Name: OpProcess, Modes: engine.ProcessModes, CheckCode: isNumber},
	})
}

func isNumber(code string) error {
	if _, err := strconv.Atoi(code); err != nil {
		return fmt.Errorf("code %q is not a number", code)
	}
	return nil
}
