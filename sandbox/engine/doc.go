// Package engine is what the simulated platforms of the sandbox share: real HTTP, state in memory, a virtual clock,
// faults by script, a log of calls, delivery of webhooks, a count of what went live and a page that shows it, and a
// control API. It knows no platform; each is a [Platform] that New attaches.
//
// A platform answers its routes by way of [Host.Perform], which takes the call through the fault script, and tells the
// host of every post that becomes visible with [Host.GoLive].
//
// Nothing runs on timers: a platform moves what it simulates to where the virtual clock says it is whenever somebody
// looks. [Server.Advance] therefore expires tokens and completes processing at once. Only with an address for webhooks
// something looks by itself, every 20 ms.
package engine
