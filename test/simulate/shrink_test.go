package simulate

import (
	"fmt"
	"strings"
)

// shrink takes decisions of a failing history back, as long as it still fails, and tells how to replay what is left.
func (w *world) shrink(r result) string {
	kept := r
	for size := len(r.decided); size > 0; size /= 2 {
		for at := 0; at < len(kept.decided); {
			fewer := append(kept.decided[:at:at], kept.decided[min(at+size, len(kept.decided)):]...)
			if again := w.run(r.seed, ids(fewer), false); len(again.violations) > 0 && len(again.decided) < len(kept.decided) {
				kept = again
			} else {
				at += size
			}
		}
	}
	names := make([]string, len(kept.decided))
	for i, d := range kept.decided {
		names[i] = fmt.Sprintf("%08x", d.id)
	}
	return fmt.Sprintf("%d of %d decisions are needed:\n%s  SIM_SEED=%d SIM_KEEP=%s go test -count=1 -v -run TestReplay ./test/simulate",
		len(kept.decided), len(r.decided), kept.story(), r.seed, strings.Join(names, ","))
}

func ids(decided []decision) map[uint32]bool {
	all := make(map[uint32]bool, len(decided))
	for _, d := range decided {
		all[d.id] = true
	}
	return all
}
