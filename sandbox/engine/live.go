package engine

import (
	"slices"
	"sync"
	"time"
)

// LivePost is one post that the public or its audience can see.
type LivePost struct {
	Platform    string        `json:"platform"`
	AccountID   string        `json:"account_id"`
	Username    string        `json:"username"`
	Kind        string        `json:"kind"`                   // video, photo, image, reel, story, carousel
	ID          string        `json:"id"`                     // public id
	PublishID   string        `json:"publish_id,omitempty"`   // id of the publish task it came from
	ContainerID string        `json:"container_id,omitempty"` // id of the container it came from
	Title       string        `json:"title,omitempty"`        // where a post has one besides its caption
	Caption     string        `json:"caption"`
	Poll        []string      `json:"poll,omitempty"`           // the answers of the poll under the caption
	Prompt      bool          `json:"comment_prompt,omitempty"` // readers are asked to comment
	Location    string        `json:"location_id,omitempty"`    // the platform's id of a place
	Privacy     string        `json:"privacy,omitempty"`        // in the platform's words
	Permalink   string        `json:"permalink"`
	SHA256      string        `json:"sha256"` // of the first file
	Bytes       int64         `json:"bytes"`
	Media       []LiveMedia   `json:"media"`
	Comments    []LiveComment `json:"comments,omitempty"` // oldest first
	At          time.Time     `json:"at"`
}

// LiveMedia is one file of a post.
type LiveMedia struct {
	URL         string `json:"url,omitempty"` // empty when the bytes were not kept
	ContentType string `json:"content_type"`
	SHA256      string `json:"sha256"`
	Bytes       int64  `json:"bytes"`
}

// LiveComment is one comment on a post.
type LiveComment struct {
	ID       string `json:"id"`
	Text     string `json:"text"`
	Username string `json:"username"`
}

// liveSet holds live posts and drafts. Paths are stored without a host, which may not be known yet.
type liveSet struct {
	mu     sync.Mutex
	posts  []LivePost
	drafts []LivePost
	files  map[string]*Blob
}

func (l *liveSet) add(p LivePost, files ...*Blob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posts = append(l.posts, l.withFiles(p, files))
}

func (l *liveSet) comment(platform, postID string, c LiveComment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.posts, func(p LivePost) bool { return p.Platform == platform && p.ID == postID })
	l.posts[i].Comments = append(l.posts[i].Comments, c)
}

func (l *liveSet) addDraft(p LivePost, files ...*Blob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drafts = append(l.drafts, l.withFiles(p, files))
}

func (l *liveSet) withFiles(p LivePost, files []*Blob) LivePost {
	for _, b := range files {
		m := LiveMedia{ContentType: b.ContentType(), SHA256: b.Sum(), Bytes: b.Size()}
		if f, ok := b.open(); ok {
			f.Close()
			l.files[b.id] = b
			m.URL = b.Path()
		}
		p.Media = append(p.Media, m)
		p.Bytes += m.Bytes
	}
	if len(p.Media) > 0 {
		p.SHA256 = p.Media[0].SHA256
	}
	return p
}

func (l *liveSet) file(id string) (*Blob, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.files[id]
	return b, ok
}

// LivePosts returns everything that is live at the current virtual time, in the order in which it went live.
func (s *Server) LivePosts() []LivePost {
	s.settle()
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	return absolute(s.live.posts, s.URL())
}

// Drafts returns the posts that wait for their user to complete them. They are not live.
func (s *Server) Drafts() []LivePost {
	s.settle()
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
		p.Media, p.Comments = slices.Clone(p.Media), slices.Clone(p.Comments)
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
