package sandbox

import (
	"slices"
	"sync"
	"time"
)

// The names of the platforms as they appear in a LivePost.
const (
	TikTok    = "tiktok"
	Instagram = "instagram"
)

// LivePost is one post that the public, or its audience, can see. Counting them answers a test's first question.
type LivePost struct {
	Platform    string      `json:"platform"`
	AccountID   string      `json:"account_id"` // open_id or ig-id
	Username    string      `json:"username"`
	Kind        string      `json:"kind"` // video, image, reel, story, carousel
	ID          string      `json:"id"`   // TikTok post id or Instagram media id
	PublishID   string      `json:"publish_id,omitempty"`
	ContainerID string      `json:"container_id,omitempty"`
	Caption     string      `json:"caption"`
	Privacy     string      `json:"privacy,omitempty"` // TikTok privacy_level
	Permalink   string      `json:"permalink"`
	SHA256      string      `json:"sha256"` // of the first file
	Bytes       int64       `json:"bytes"`
	Media       []LiveMedia `json:"media"`
	At          time.Time   `json:"at"`
}

// LiveMedia is one file of a post.
type LiveMedia struct {
	URL         string `json:"url,omitempty"` // empty when the bytes were not kept
	ContentType string `json:"content_type"`
	SHA256      string `json:"sha256"`
	Bytes       int64  `json:"bytes"`
}

// liveSet holds what went live. Paths are stored without a host: the address may only be known later.
type liveSet struct {
	mu     sync.Mutex
	posts  []LivePost
	drafts []LivePost
	files  map[string]*blob
}

func (l *liveSet) add(p LivePost, files ...*blob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posts = append(l.posts, l.withFiles(p, files))
}

func (l *liveSet) addDraft(p LivePost, files ...*blob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drafts = append(l.drafts, l.withFiles(p, files))
}

func (l *liveSet) withFiles(p LivePost, files []*blob) LivePost {
	for _, b := range files {
		m := LiveMedia{ContentType: b.contentType(), SHA256: b.sum(), Bytes: b.size()}
		if f, ok := b.open(); ok {
			f.Close()
			l.files[b.id] = b
			m.URL = "/_sandbox/files/" + b.id
		}
		p.Media = append(p.Media, m)
		p.Bytes += m.Bytes
	}
	p.SHA256 = p.Media[0].SHA256
	return p
}

func (l *liveSet) file(id string) (*blob, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.files[id]
	return b, ok
}

// LivePosts is everything live on both platforms at the present virtual time, in the order it went live.
func (s *Server) LivePosts() []LivePost {
	s.tiktok.settleAll()
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	return absolute(s.live.posts, s.URL())
}

// Drafts are the videos that reached a TikTok inbox and wait for their user; they are not live.
func (s *Server) Drafts() []LivePost {
	s.tiktok.settleAll()
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	return absolute(s.live.drafts, s.URL())
}

func absolute(posts []LivePost, base string) []LivePost {
	out := make([]LivePost, 0, len(posts))
	for _, p := range posts {
		if p.Permalink != "" {
			p.Permalink = base + p.Permalink
		}
		p.Media = slices.Clone(p.Media)
		for i := range p.Media {
			if p.Media[i].URL != "" {
				p.Media[i].URL = base + p.Media[i].URL
			}
		}
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b LivePost) int { return a.At.Compare(b.At) })
	return out
}
