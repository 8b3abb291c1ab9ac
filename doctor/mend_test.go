package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// What --fix tells is what a second look finds, whatever mending itself says.
func TestMendTellsWhatIsThere(t *testing.T) {
	const fault = "%d are broken"
	for name, tc := range map[string]struct {
		broken int
		// mends is how many a round mends, and looks how many looks succeed.
		mends, looks int
		err          error
		// fixed is whether the finding is told as fixed; tells is what the rest says, and
		// rounds how often it was tried.
		fixed  bool
		tells  string
		rounds int
	}{
		"nothing to mend":    {broken: 0, mends: 1, looks: 99, tells: "all is well"},
		"all at once":        {broken: 7, mends: 7, looks: 99, fixed: true, tells: "all is well", rounds: 1},
		"in rounds":          {broken: 1200, mends: 500, looks: 99, fixed: true, tells: "all is well", rounds: 3},
		"nothing is mended":  {broken: 7, mends: 0, looks: 99, tells: "7 are broken; --fix mended 0 of 7", rounds: 1},
		"more than it takes": {broken: 7310, mends: 500, looks: 99, tells: "2310 are broken; --fix mended 5000 of 7310", rounds: mendRounds},
		"it fails":           {broken: 7, mends: 0, looks: 99, err: errors.New("no way"), tells: "--fix came no further: no way", rounds: 1},
		"no second look":     {broken: 7, mends: 7, looks: 1, tells: "whether it is mended: blind", rounds: 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := &doctor{Options: Options{Fix: true}}
			broken, looks, rounds := tc.broken, 0, 0
			d.run(t.Context(), check{
				name: "this",
				look: func(context.Context) error {
					if looks++; looks > tc.looks {
						return errors.New("blind")
					}
					if broken == 0 {
						d.ok("all is well")
					} else {
						d.mends(Bad, broken, fault, broken)
					}
					return nil
				},
				mend: func(context.Context) error {
					rounds++
					broken -= min(tc.mends, broken)
					return tc.err
				},
			})
			var fixed bool
			var told []string
			for _, f := range d.found {
				fixed = fixed || f.Fixed
				told = append(told, f.What)
				if f.Level == Bad && !f.Fixed && f.Do == "" {
					t.Errorf("%q does not say what to do", f.What)
				}
			}
			if fixed != tc.fixed || !strings.Contains(strings.Join(told, "\n"), tc.tells) {
				t.Errorf("told %q, as fixed: %v", told, fixed)
			}
			if sick := tc.broken > 0 && !tc.fixed; Sick(d.found) != sick {
				t.Errorf("sick is %v", !sick)
			}
			if rounds != tc.rounds {
				t.Errorf("mended in %d rounds, want %d", rounds, tc.rounds)
			}
		})
	}
}
