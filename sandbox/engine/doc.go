// Package engine is the part of the sandbox that all simulated platforms share: the HTTP server, the virtual clock,
// scripted faults, the call log, webhook delivery, live posts with their feed page, consent pages and the control API.
// It knows no platform: each one implements [Platform] and is passed to [New].
//
// A platform serves its routes with [Host.Perform], which applies the fault script, and reports every post that becomes
// visible with [Host.GoLive].
//
// The engine runs no timers. Platforms bring their state up to the virtual time whenever it is read, so [Server.Advance]
// expires tokens and completes processing at once. Only while webhooks have an address does a loop check the clock,
// every 20 ms.
package engine
