package oauth_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/sandbox"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

const newKey = "new-key-new-key-new-key-new-key-"

func noProgress(oauth.Rotation) {}

// Keys rotate while tokens are refreshed and used: no call fails, and in the end the old
// key is not needed.
func TestRotationUnderLoad(t *testing.T) {
	each(t, func(w *fixture) {
		w.build(testkit.Key)
		var posts []*models.Post
		for i := range 30 {
			posts = append(posts, w.post(models.TikTok, w.connectTikTok(fmt.Sprintf("-000n%02d", i)).ID, nil))
		}
		ig := w.connectFacebook("9001", "17841400000000001")[0]
		posts = append(posts, w.post(models.Instagram, ig.ID, nil))
		sealedPosts := w.withSealedLinks(posts[0])
		w.clock.Advance(91 * time.Minute) // all TikTok tokens are due

		w.build(newKey + "," + testkit.Key) // step 1: the processes have both
		var busy sync.WaitGroup
		stop := make(chan struct{})
		for i := range 8 {
			busy.Go(func() { w.useTokens(stop, posts[i:]) })
		}
		busy.Go(func() {
			for _, p := range posts[:30] {
				if err := w.Maintain(w.ctx, p.OAuthAccountID); err != nil {
					w.t.Error(err)
				}
			}
		})
		r, err := w.RotateKeys(w.ctx, noProgress)
		w.must(err)
		close(stop)
		busy.Wait()
		if r.Resealed == 0 || len(r.Unreadable) != 0 {
			w.t.Errorf("rotation %+v", r)
		}
		again, err := w.RotateKeys(w.ctx, noProgress)
		w.must(err)
		if again.Resealed != 0 {
			w.t.Errorf("a second rotation found %d more", again.Resealed)
		}

		w.build(newKey) // step 3: the old key is gone
		for _, p := range posts {
			token := w.token(p)
			if p.Platform == models.TikTok {
				_, err = w.tiktok.CreatorInfo(w.ctx, token.Access)
			} else {
				_, err = w.meta.Quota(w.ctx, token.Access, token.ProviderAccountID)
			}
			if err != nil {
				w.t.Errorf("the token of %s %d: %v", p.Platform, p.AccountID(), err)
			}
		}
		sealedPosts(w.deps.Keys)
		w.clock.Advance(91 * time.Minute)
		w.tick() // refresh tokens too
		w.wantCalls(sandbox.OpTikTokRefreshToken, 60)
	})
}

// withSealedLinks stores every other kind of secret with a post, and returns a check that
// they can be decrypted.
func (w *fixture) withSealedLinks(p *models.Post) func(*secrets.Keyring) {
	w.t.Helper()
	old, err := secrets.ParseKeyring(testkit.Key)
	w.must(err)
	const link = secrets.Secret("https://customer.example/signed")
	source, err := old.Seal(link, models.SourceSealedIn("source-"+p.ID[7:], 0))
	w.must(err)
	linked := w.post(models.TikTok, p.OAuthAccountID, func(q *models.Post) { q.ID, q.SourceURL = "source-"+p.ID[7:], source })
	second, err := old.Seal(link, models.SourceSealedIn(linked.ID, 1))
	w.must(err)
	_, err = w.db.Pool().ExecContext(w.ctx, fmt.Sprintf(`INSERT INTO post_media (post_id, position, source_url)
		VALUES ('%[1]s', 0, '%[2]s'), ('%[1]s', 1, '%[3]s')`, linked.ID, source, second))
	w.must(err)
	upload, err := old.Seal(link, models.UploadSealedIn(linked.ID))
	w.must(err)
	claimed := w.claim(linked)
	entry := &models.LedgerEntry{PostID: linked.ID, Op: "tiktok.init", Harmless: true, State: models.Intended, Fence: claimed.Fence, CreatedAt: w.clock.Now()}
	err = w.db.Runs.Intend(w.ctx, db.Intent{Entry: entry, Check: func(db.Place) error { return nil }}, w.clock.Now())
	w.must(err)
	entry.SealedURL = upload
	w.must(w.db.Runs.Settle(w.ctx, entry))
	return func(ring *secrets.Keyring) {
		w.t.Helper()
		ledger, err := w.db.Runs.Ledger(w.ctx, linked.ID)
		w.must(err)
		for in, sealed := range map[string]string{
			models.SourceSealedIn(linked.ID, 0): w.reload(linked).SourceURL, models.UploadSealedIn(linked.ID): ledger[0].SealedURL,
		} {
			if got, err := ring.Open(sealed, in); err != nil || got != link {
				w.t.Errorf("%s: %v", in, err)
			}
		}
		rows, err := w.db.Pool().QueryContext(w.ctx, "SELECT position, source_url FROM post_media")
		w.must(err)
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			var position int
			var sealed string
			w.must(rows.Scan(&position, &sealed))
			if got, err := ring.Open(sealed, models.SourceSealedIn(linked.ID, position)); err != nil || got != link {
				w.t.Errorf("the link of file %d: %v", position, err)
			}
		}
		w.must(rows.Err())
		if n != 2 {
			w.t.Errorf("%d links of files, want 2", n)
		}
	}
}

// useTokens reads tokens as workers do until stop. No token may fail to decrypt.
func (w *fixture) useTokens(stop <-chan struct{}, posts []*models.Post) {
	for {
		for _, p := range posts {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := w.For(w.ctx, p); err != nil && !strings.Contains(err.Error(), "no usable token") {
				w.t.Errorf("%s account %d: %v", p.Platform, p.AccountID(), err)
				return
			}
		}
	}
}

// Secrets that no key decrypts are reported with their key id and left unchanged; the
// others are rotated.
func TestRotationNamesMissingKeys(t *testing.T) {
	each(t, func(w *fixture) {
		lost := w.connectTikTok("-000one")
		id := lost.AccessToken[3:11]
		w.build("middle-key-middle-key-middle-key")
		w.connectTikTok("-000two")
		w.build(newKey + ",middle-key-middle-key-middle-key")
		r, err := w.RotateKeys(w.ctx, noProgress)
		w.must(err)
		if r.Resealed != 2 || len(r.Unreadable) != 1 {
			w.t.Errorf("rotation %+v", r)
		}
		for why, n := range r.Unreadable {
			if !strings.Contains(why, "key id "+id) || n != 2 {
				w.t.Errorf("%d × %q", n, why)
			}
		}
		if a := w.account(lost.ID); a.AccessToken != lost.AccessToken || a.Status != models.AccountActive {
			w.t.Errorf("account %+v", a)
		}
	})
}

// An interrupted rotation continues where it stopped.
func TestRotationCutOff(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		ring, err := secrets.ParseKeyring(newKey + "," + testkit.Key)
		w.must(err)
		first, err := w.db.Tokens.SealedOtherwise(w.ctx, db.SealedColumns[0], ring.SealPrefix(), "", 10)
		w.must(err)
		secret, err := ring.Open(first[0].Value, first[0].SealedIn)
		w.must(err)
		value, err := ring.Seal(secret, first[0].SealedIn)
		w.must(err)
		if done, err := w.db.Tokens.Reseal(w.ctx, first[0], value); !done || err != nil {
			w.t.Fatalf("reseal: %t, %v", done, err)
		}
		if done, err := w.db.Tokens.Reseal(w.ctx, first[0], value); done || err != nil {
			w.t.Errorf("a value that was replaced meanwhile: %t, %v", done, err)
		}
		w.build(newKey + "," + testkit.Key)
		r, err := w.RotateKeys(w.ctx, noProgress)
		w.must(err)
		if r.Resealed != 1 { // the refresh token
			w.t.Errorf("rotation %+v", r)
		}
		w.build(newKey)
		w.token(w.post(models.TikTok, a.ID, nil))
	})
}
