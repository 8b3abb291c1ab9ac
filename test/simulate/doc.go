// Package simulate plays histories of the whole system, each from one seed, and looks for posts that are live twice or lost.
// The models are the simulators of FoundationDB and TigerBeetle.
//
// # What is real
//
// The engines (publish, oauth, inbox, notify), the publishers, connectors and sources of both platforms, their clients and
// the stores are those of the product. The database is SQLite in memory, behind a driver of this package. The platforms are
// the sandbox, whose handler runs on the goroutine of the caller. Asynq is replaced by a queue that keeps its promises and
// no more: a task is given at least once. Time is that of a testing/synctest bubble, so a day costs nothing; each process
// has a clock of its own that is up to five seconds off.
//
// # Who decides
//
// One goroutine at a time acts. Before each statement outside of a transaction, each BEGIN, each call to a platform or an
// app, and each use of the queue, a goroutine waits at a gate (scheduler_test.go) until the scheduler opens it. There the
// seed decides whether another actor overtakes this one, whether time passes, whether the process is told to stop, dies
// before or right after, whether the statement or its commit fails or loses its answer (store_test.go), whether a request is
// lost or arrives later, an answer is lost, late, a gateway's, or older than it should be (wire_test.go), and whether the
// queue loses, repeats, delays or reorders a task, or forgets everything (queue_test.go). The product's own timers run free.
//
// An actor is one run, one tick or one request. One that dies does nothing any more: its transaction is rolled back, its
// goroutines end at their next gate, and the queue gives its task to another worker later.
//
// # What is assumed
//
// A request arrives at most 75 s after it was sent, and a read shows what was true at most 45 s ago. With a lease and
// clocks that are 10 s apart this stays below publish.Timings.Arrival. A process whose timers do not run, such as one in a
// suspended virtual machine, may send after any time; no engine can guard against it, so it is not played. In some
// histories a second media_publish of a container makes a second post, in others it is refused.
//
// With SIM_RESTORE=on backups are made and restored (restore_test.go).
//
// # What is checked
//
// A history has some minutes of faults. Then they stop, and everything gets the time to end. After it (checks_test.go):
// each accepted post is live at most once; each has ended, and what its status says is true; attempts are within their
// budget; no run that was replaced began another call; the app was told of each change once and in order; no run used a token that had been replaced before it began;
// and no account was lost that had its newest tokens.
//
// # When a history fails
//
// TestHistories takes decisions back one after the other, as long as the history still fails (shrink_test.go), and prints
// those that are left with the command that replays them. A decision follows from the seed, the actor and what it was about
// to do, so most others stay as they were when one is taken back. TestSameSeedSameHistory plays seeds twice and compares
// what happened line by line.
//
// # Whether it can see
//
// make simulate-bugs builds the test with a known bug planted into the product, one after the other, and wants each to be
// found (bugs_test.go).
package simulate
