package handlers_test

import (
	"bytes"
	"testing"
)

// exifTurned is an APP1 segment that says orientation 6: turn by a quarter.
const exifTurned = "\xff\xe1\x00\x22Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"

// What the probe reads of a file is stored with it, so a post is refused before it is
// accepted, and not by the platform when it is due.
func TestFilesThatPlatformsRefuse(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		stored := func(file []byte) string {
			return w.do(call{method: "POST", path: "/api/media", body: bytes.NewReader(file)}).want(201).Text("id")
		}
		instagram := func(mediaType, id string) *reply {
			return w.do(call{method: "POST", path: "/api/instagram/publish", json: map[string]any{
				"account_id": w.ours.instagram, "media_type": mediaType, "media_id": id,
			}})
		}
		says := func(r *reply, texts ...string) {
			t.Helper()
			for _, text := range texts {
				if !bytes.Contains(r.Body, []byte(text)) {
					t.Errorf("want %q in %s", text, r.Body)
				}
			}
		}
		old := stored(testFile(t, "mpeg4-part2.mp4"))
		says(w.post(old, nil).want(422), "is coded as mp4v; TikTok takes", "has 10 frames a second; TikTok takes 23 to 60")
		says(instagram("REELS", old).want(422), "is coded as mp4v; Instagram takes", "has 10 frames a second; Instagram takes 23 to 60", "lasts 1s")

		instagram("REELS", stored(testFile(t, "fragmented-first-only.mp4"))).want(202)

		picture := testFile(t, "baseline.jpg")
		turned := stored(append([]byte(string(picture[:2])+exifTurned), picture[2:]...))
		says(instagram("IMAGE", turned).want(422), "is turned by EXIF: save it upright")
	})
}
