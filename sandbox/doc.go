// Package sandbox is a simulated TikTok and Instagram: real HTTP, state in memory, a virtual clock, faults by script,
// a count of what went live and a page that shows it. Developers post against it before they have an audited app;
// tests use it as the counterpart that keeps state and answers "how many posts are there now?".
//
// It is written from the platforms' public pages and from real answers that others published, not from what a client
// happens to send, and it takes the strict reading wherever they leave a choice. Comments name the page; the packages
// platform/tiktok and platform/instagram list the addresses. It knows no package of this module but those below it.
//
// This package puts together what is below it: package engine is the server, which knows no platform, and the packages
// tiktok and instagram are the platforms. [New] takes further ones, each an implementation of [Platform].
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
// Nothing runs on timers: each look at a publish or a container first moves it to where the virtual clock says it is.
// [engine.Server.Advance] therefore expires tokens, windows and upload URLs, and completes processing, at once. Only with an
// address for webhooks something looks by itself, every 20 ms.
//
// # Connecting accounts
//
// Both consent pages work in a browser. A script posts to the address of the page, query and all: decision=allow or
// deny, account (an id or "new"; may be left out when there is one at most), scope and page for each that is granted.
// What it leaves out is granted whole; only the page's own form, which has form=1, means "none" by it.
//
//	curl -i "$S/tiktok-auth/v2/auth/authorize/?client_key=...&scope=user.info.basic,video.publish&..." -d decision=allow
//
// Tokens die on the virtual clock, by revocation and by [Server.InvalidateTikTok], [Server.ExpireTikTokAccess],
// [Server.InvalidateFacebook] and [Server.LosePage].
//
// # Faults
//
// A [Fault] names an operation, how many calls to let pass and to meet, and a [Mode]. Without After the call has no
// effect; with After it has all of it and only the answer suffers:
//
//	s.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true}) // live, answer lost
//
// # Webhooks
//
// With an address, in [Options] or by [Server.SetTikTokWebhook] and [Server.SetMetaWebhook], the platforms send. TikTok
// tells what becomes of posts and authorizations; for Instagram a script says what happened, in [Server.SendInstagram].
// Anything but 200 is tried again on the virtual clock. One account's deliveries come in order unless one fails or a
// [Fault] of the ops "tiktok.webhook" and "instagram.webhook" spoils them; [engine.Server.Webhooks] is the log.
//
// # Control API
//
// What the Go methods do, for another process; GET /_sandbox/ lists it. A mistake in a request answers 400 {"error":"..."}.
//
//	curl -X POST   $S/_sandbox/faults -d '{"op":"tiktok.init","mode":"error","code":"internal_error","times":2}'
//	curl -X POST   $S/_sandbox/faults -d '[{"op":"instagram.publish","mode":"slow","delay":"3s"}]'
//	curl           $S/_sandbox/faults
//	curl -X DELETE $S/_sandbox/faults
//	curl -X POST   $S/_sandbox/advance -d '{"duration":"2h"}'
//	curl           $S/_sandbox/live
//	curl           $S/_sandbox/drafts
//	curl           $S/_sandbox/calls?op=tiktok.init
//	curl -X POST   $S/_sandbox/accounts/tiktok -d '{"open_id":"-000Sim","username":"simcafe","private":true}'
//	curl -X POST   $S/_sandbox/accounts/instagram -d '{"ig_id":"17841400000000001","username":"bakery"}'
//	curl -X POST   $S/_sandbox/accounts/facebook -d '{"name":"Ann","pages":[{"name":"Bakery","instagram_id":"17841400000000001"}]}'
//	curl -X POST   $S/_sandbox/revoke -d '{"platform":"tiktok","id":"-000Sim"}'
//	curl -X POST   $S/_sandbox/revoke -d '{"platform":"facebook","id":"122...","subcode":460}'
//	curl -X POST   $S/_sandbox/revoke -d '{"platform":"facebook","id":"122...","page":"10..."}'
//	curl -X POST   $S/_sandbox/webhooks -d '{"tiktok_url":"http://...","meta_url":"http://...","meta_verify_token":"..."}'
//	curl -X POST   $S/_sandbox/webhooks/instagram -d '{"ig_id":"17841400000000001","comment":{"text":"Hi","username":"ann"}}'
//	curl           $S/_sandbox/webhooks
package sandbox
