// Package sandboxtest is what the tests of the sandbox and of its platforms share: a started sandbox with an account on
// each platform, the calls that a client makes, a receiver of webhooks and media files. Only tests import it.
package sandboxtest
