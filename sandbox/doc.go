// Package sandbox simulates TikTok and Instagram: an HTTP server with state in memory, a virtual clock, scripted faults,
// a list of live posts and a page that shows them. Developers post against it before they have an audited app; tests
// use it to check what was published, and how often.
//
// The simulation follows the platforms' public documentation and published answers, not what a client happens to send.
// Where the documentation leaves a choice, it takes the strict reading. Comments name the page; the packages
// platform/tiktok and platform/instagram list the addresses. The sandbox imports no other package of this module.
//
// This package combines the parts: package engine is the server, which knows no platform; the packages tiktok and
// instagram are the platforms. [New] takes further platforms, each an implementation of [Platform].
//
// One host serves everything:
//
//	/tiktok/v2/...                               open.tiktokapis.com
//	/tiktok-auth/v2/auth/authorize/              www.tiktok.com, the consent page
//	/tiktok-upload/upload?upload_id=...          the upload host of TikTok
//	/facebook/v25.0/dialog/oauth                 www.facebook.com, the login dialog
//	/graph/v25.0/...                             graph.facebook.com
//	/rupload/ig-api-upload/v25.0/{container}     rupload.facebook.com
//	/                                            the feed page; permalinks are on the same host
//	/_sandbox/...                                the control API
//
// There are no timers: every read of a publish or a container first brings it up to the virtual time, so
// [engine.Server.Advance] expires tokens, windows and upload URLs and completes processing at once. Only while webhooks
// have an address does a loop check the clock, every 20 ms.
//
// # Connecting accounts
//
// Both consent pages work in a browser. A script posts a form to the URL of the page, including its query:
// decision=allow or deny, account (an id or "new"; optional if there is at most one), and scope and page once for each
// that is granted. If scope or page is absent, all are granted; in the page's own form, which has form=1, none.
//
//	curl -i "$S/tiktok-auth/v2/auth/authorize/?client_key=...&scope=user.info.basic,video.publish&..." -d decision=allow
//
// Tokens expire on the virtual clock. [Server.InvalidateTikTok], [Server.ExpireTikTokAccess],
// [Server.InvalidateFacebook] and [Server.LosePage] end them earlier, as does the platforms' own revocation.
//
// # Faults
//
// A [Fault] names an operation, a [Mode], how many calls it skips and how many it affects. Without After the call has no
// effect; with After it takes effect and only the answer is changed:
//
//	s.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true}) // live, answer lost
//
// # Webhooks
//
// The platforms send webhooks once they have an address, from [Options], [Server.SetTikTokWebhook] or
// [Server.SetMetaWebhook]. TikTok sends the results of posts and the end of authorizations; Instagram sends the account's
// own comments and what a script passes to [Server.SendInstagram], about an account behind a Page of a Facebook user only
// while the app is subscribed to the Page. A delivery that is not answered with 200 is retried on the virtual clock. The deliveries of one account are sent in order, unless one fails or meets a [Fault] of
// "tiktok.webhook" or "instagram.webhook". [engine.Server.Webhooks] is the log.
//
// # Control API
//
// The control API offers the Go methods to other processes; GET /_sandbox/ lists it. An invalid request is answered
// with 400 {"error":"..."}.
//
//	curl $S/_sandbox/faults --json '{"op":"tiktok.init","mode":"error","code":"internal_error","times":2}'
//	curl $S/_sandbox/faults --json '[{"op":"instagram.publish","mode":"slow","delay":"3s"}]'
//	curl           $S/_sandbox/faults
//	curl -X DELETE $S/_sandbox/faults
//	curl $S/_sandbox/advance --json '{"duration":"2h"}'
//	curl           $S/_sandbox/live
//	curl           $S/_sandbox/drafts
//	curl           $S/_sandbox/calls?op=tiktok.init
//	curl $S/_sandbox/accounts/tiktok --json '{"open_id":"-000Sim","username":"simcafe","private":true}'
//	curl $S/_sandbox/accounts/instagram --json '{"ig_id":"17841400000000001","username":"bakery"}'
//	curl $S/_sandbox/accounts/facebook --json '{"name":"Ann","pages":[{"name":"Bakery","instagram_id":"17841400000000001"}]}'
//	curl $S/_sandbox/revoke --json '{"platform":"tiktok","id":"-000Sim"}'
//	curl $S/_sandbox/revoke --json '{"platform":"facebook","id":"122...","subcode":460}'
//	curl $S/_sandbox/revoke --json '{"platform":"facebook","id":"122...","page":"10..."}'
//	curl $S/_sandbox/webhooks --json '{"tiktok_url":"http://...","meta_url":"http://...","meta_verify_token":"..."}'
//	curl $S/_sandbox/webhooks/instagram --json '{"ig_id":"17841400000000001","comment":{"text":"Hi","username":"ann"}}'
//	curl           $S/_sandbox/webhooks
//	curl $S/_sandbox/instagram/double_publish --json '{"mode":"e"}'
package sandbox
