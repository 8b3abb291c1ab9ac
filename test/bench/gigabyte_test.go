package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/jobs/redistest"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
	"socialqueue/tenants"
)

const (
	gibibyte = 1 << 30
	// chunk is how our client cuts large files; the bare copy does the same.
	chunk = 10_000_000
)

// BenchmarkGigabyte sends a video of 1 GiB through POST /api/media and on to the
// simulated TikTok, with api, worker and scheduler as processes of their own,
// as they ship. Beside each way it takes the same file the bare way: into a file
// with its hash, and in chunks to the same TikTok.
func BenchmarkGigabyte(b *testing.B) {
	for b.Loop() {
		r := runGigabyte(b)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(r.api.peak, "api_MiB")
		b.ReportMetric(r.worker.peak, "worker_MiB")
		b.ReportMetric(r.store.mbps(), "store_MB/s")
		b.ReportMetric(r.store.mbps()/r.bareStore.mbps(), "store_ratio")
		b.ReportMetric(r.send.mbps(), "send_MB/s")
		b.ReportMetric(r.send.mbps()/r.bareSend.mbps(), "send_ratio")
		b.Logf("MEASURED gigabyte memory api=%.1fMiB (%s) worker=%.1fMiB (%s)", r.api.peak, r.api.parts, r.worker.peak, r.worker.parts)
		b.Logf("MEASURED gigabyte store=%.0fMB/s bare=%.0fMB/s ratio=%.2f", r.store.mbps(), r.bareStore.mbps(), r.store.mbps()/r.bareStore.mbps())
		b.Logf("MEASURED gigabyte send=%.0fMB/s bare=%.0fMB/s ratio=%.2f", r.send.mbps(), r.bareSend.mbps(), r.send.mbps()/r.bareSend.mbps())
	}
}

// gigabyte is what one run measured. The times are for the whole file.
type gigabyte struct {
	api, worker                      memory
	store, bareStore, send, bareSend throughput
}

type throughput time.Duration

func (t throughput) mbps() float64 { return gibibyte / 1e6 / time.Duration(t).Seconds() }

func runGigabyte(b *testing.B) (r gigabyte) {
	b.Helper()
	ctx := context.Background()
	folder := b.TempDir()
	databaseURL := dbtest.PostgresURL(b)
	sim := startSandbox(b)
	env := settings(sim, databaseURL, redistest.URL(b), folder)
	env["HTTP_ADDR"] = freeAddr(b)
	url := "http://" + env["HTTP_ADDR"]
	env["PUBLIC_URL"] = url
	bin := build(b, "api", "worker", "scheduler")

	d, err := db.OpenPostgres(ctx, secrets.Secret(databaseURL), 2)
	must(b, err)
	defer d.Close()
	appID, key, err := tenants.New(tenants.Deps{DB: d, Now: time.Now}).CreateApp(ctx, "bench")
	must(b, err)
	account, token := connect(b, d, sim, appID, makeUser(b, d, appID))
	c := caller{url: url, key: key.Reveal(), http: newClient(b, 4)}

	api := start(b, filepath.Join(bin, "api"), env)
	c.untilUp(b)
	began := time.Now()
	var media struct{ ID, SHA256 string }
	c.send(b, "/api/media", "video/mp4", largeVideo(), gibibyte, &media)
	r.store = throughput(time.Since(began))
	r.api = api.memory(b)
	r.bareStore = bareStore(b, c.http)

	worker := start(b, filepath.Join(bin, "worker"), env)
	scheduler := start(b, filepath.Join(bin, "scheduler"), env)
	body := fmt.Sprintf(`{"account_id":%d,"media_id":%q,"title":"a gigabyte","privacy_level":"SELF_ONLY"}`, account, media.ID)
	var post struct{ ID string }
	c.send(b, "/api/tiktok/upload", "application/json", bytes.NewReader([]byte(body)), int64(len(body)), &post)
	r.send = throughput(c.untilSent(b, post.ID))
	r.worker = worker.memory(b)
	if live := sim.LivePosts(); len(live) != 1 || live[0].SHA256 != media.SHA256 || live[0].Bytes != gibibyte {
		b.Fatalf("live is %+v", live)
	}
	for _, p := range []*process{scheduler, worker, api} {
		p.stop(b)
	}
	r.bareSend = bareSend(b, c.http, sim, token, filepath.Join(folder, media.ID))
	return r
}

// largeVideo is a real MP4 that nobody has to store: the sample with a box of
// free space behind it.
func largeVideo() io.Reader {
	header := binary.BigEndian.AppendUint32(nil, uint32(gibibyte-len(sample.Video)))
	header = append(header, "free"...)
	padding := int64(gibibyte - len(sample.Video) - len(header))
	return io.MultiReader(bytes.NewReader(sample.Video), bytes.NewReader(header), io.LimitReader(zeros{}, padding))
}

// zeros has no end and costs its reader next to nothing.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// bareStore takes the same body over HTTP into a file, with its hash and a sync:
// what storing costs at least.
func bareStore(b *testing.B, client *http.Client) throughput {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bare")
	url := serve(b, func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Create(path)
		if err == nil {
			_, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(f, sha256.New())}, struct{ io.Reader }{r.Body}, make([]byte, 64<<10))
		}
		if err == nil {
			err = f.Sync()
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	began := time.Now()
	req, err := http.NewRequest(http.MethodPost, url, largeVideo())
	must(b, err)
	req.ContentLength = gibibyte
	do(b, client, req, http.StatusOK, nil)
	return throughput(time.Since(began))
}

// bareSend sends the stored file to the same TikTok in the same chunks: one
// init, then nothing but PUTs.
func bareSend(b *testing.B, client *http.Client, sim *sandbox.Server, token, path string) throughput {
	b.Helper()
	f, err := os.Open(path)
	must(b, err)
	defer f.Close()
	count := int64(gibibyte / chunk)
	body := fmt.Sprintf(`{"post_info":{"privacy_level":"SELF_ONLY","title":"bare"},
		"source_info":{"source":"FILE_UPLOAD","video_size":%d,"chunk_size":%d,"total_chunk_count":%d}}`, gibibyte, chunk, count)
	req, err := http.NewRequest(http.MethodPost, sim.TikTokURL()+"/v2/post/publish/video/init/", bytes.NewReader([]byte(body)))
	must(b, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	var opened struct {
		Data struct {
			UploadURL string `json:"upload_url"`
		}
	}
	do(b, client, req, http.StatusOK, &opened)

	began := time.Now()
	for i := range count {
		first, last := i*chunk, (i+1)*chunk-1
		want := http.StatusPartialContent
		if i == count-1 {
			last, want = gibibyte-1, http.StatusCreated
		}
		req, err := http.NewRequest(http.MethodPut, opened.Data.UploadURL, io.NewSectionReader(f, first, last-first+1))
		must(b, err)
		req.ContentLength = last - first + 1
		req.Header.Set("Content-Type", "video/mp4")
		req.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, int64(gibibyte)))
		do(b, client, req, want, nil)
	}
	return throughput(time.Since(began))
}

func do(b *testing.B, client *http.Client, req *http.Request, want int, answer any) {
	b.Helper()
	resp, err := client.Do(req)
	must(b, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(b, err)
	if resp.StatusCode != want {
		b.Fatalf("%s %s: %s: %s", req.Method, req.URL.Path, resp.Status, body)
	}
	if answer != nil {
		must(b, json.Unmarshal(body, answer))
	}
}

// serve runs a handler until the bench ends.
func serve(b *testing.B, h http.HandlerFunc) (url string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String()
}

// freeAddr is where nobody listens now: a process of its own has to be told
// before it starts.
func freeAddr(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	defer l.Close()
	return l.Addr().String()
}
