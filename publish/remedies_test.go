package publish_test

import (
	"strings"
	"testing"

	"socialqueue/models"
	"socialqueue/sandbox"
)

// A post that was refused says what to do, and what was measured of a file that is at fault.
func TestARefusalSaysWhatToDo(t *testing.T) {
	for name, tc := range map[string]struct {
		f     flow
		fault sandbox.Fault
		says  []string
	}{
		"not audited": {
			tiktokVideo, sandbox.Fault{
				Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Status: 403, Code: "unaudited_client_can_only_post_to_private_accounts",
				Message: "Please review our integration guidelines at https://developers.tiktok.com/doc/content-sharing-guidelines/",
			},
			[]string{"Please review our integration guidelines", "set the TikTok account itself to private"},
		},
		"format of the video": {
			tiktokVideo, sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeFail, Code: "file_format_check_failed"},
			[]string{"file_format_check_failed", "H.264", "This file is video/mp4 of ", " pixels, ", " long, coded as h264, 30 frames a second."},
		},
		"shape of the picture": {
			instagramImage, sandbox.Fault{Op: sandbox.OpInstagramContainer, Mode: sandbox.ModeError, Code: "36003", Subcode: 2207009},
			[]string{"36003/2207009", "4:5 to 1.91:1", "This file is image/jpeg of ", " pixels."},
		},
		"text of the container": {
			instagramImage, sandbox.Fault{Op: sandbox.OpInstagramProcess, Mode: sandbox.ModeFail, Code: "2207005"},
			[]string{"2207005", "JPEG pictures only", "This file is image/jpeg of "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			w.sim.Script(tc.fault)
			p := w.settle(w.accept(tc.f))
			w.wantStatus(p, models.Failed)
			events, err := w.db.Posts.Events(w.ctx, p.ID)
			w.must(err)
			for _, text := range []string{p.ErrorMessage, events[len(events)-1].Message} {
				for _, want := range tc.says {
					if !strings.Contains(text, want) {
						t.Errorf("%q does not say %q", text, want)
					}
				}
				if strings.Count(text, "This file") > 1 {
					t.Errorf("%q repeats itself", text)
				}
			}
		})
	}
}
