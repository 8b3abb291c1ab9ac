package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestFixReportsTheFinalState checks that the findings after --fix are those of a repeated
// check, whatever the repair itself returned.
func TestFixReportsTheFinalState(t *testing.T) {
	const fault = "%d are broken"
	for name, tc := range map[string]struct {
		broken int
		// perRound is how many items a round repairs, checks how many checks succeed.
		perRound, checks int
		err              error
		// fixed is whether a finding is reported as fixed, says a part of the findings' text,
		// and rounds the number of repair rounds.
		fixed  bool
		says   string
		rounds int
	}{
		"nothing to fix":  {broken: 0, perRound: 1, checks: 99, says: "all is well"},
		"one round":       {broken: 7, perRound: 7, checks: 99, fixed: true, says: "all is well", rounds: 1},
		"several rounds":  {broken: 1200, perRound: 500, checks: 99, fixed: true, says: "all is well", rounds: 3},
		"no effect":       {broken: 7, perRound: 0, checks: 99, says: "7 are broken; --fix fixed 0 of 7", rounds: 1},
		"too many":        {broken: 7310, perRound: 500, checks: 99, says: "2310 are broken; --fix fixed 5000 of 7310", rounds: fixRounds},
		"it fails":        {broken: 7, perRound: 0, checks: 99, err: errors.New("no way"), says: "--fix failed: no way", rounds: 1},
		"no second check": {broken: 7, perRound: 7, checks: 1, says: "check the result of --fix: no answer", rounds: 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := &doctor{Options: Options{Fix: true}}
			broken, checks, rounds := tc.broken, 0, 0
			d.run(t.Context(), check{
				name: "this",
				run: func(context.Context) error {
					if checks++; checks > tc.checks {
						return errors.New("no answer")
					}
					if broken == 0 {
						d.ok("all is well")
					} else {
						d.fixable(Bad, broken, fault, broken)
					}
					return nil
				},
				fix: func(context.Context) error {
					rounds++
					broken -= min(tc.perRound, broken)
					return tc.err
				},
			})
			var fixed bool
			var texts []string
			for _, f := range d.found {
				fixed = fixed || f.Fixed
				texts = append(texts, f.What)
				if f.Level == Bad && !f.Fixed && f.Do == "" {
					t.Errorf("%q does not say what to do", f.What)
				}
			}
			if fixed != tc.fixed || !strings.Contains(strings.Join(texts, "\n"), tc.says) {
				t.Errorf("findings %q, fixed: %v", texts, fixed)
			}
			if unhealthy := tc.broken > 0 && !tc.fixed; Unhealthy(d.found) != unhealthy {
				t.Errorf("unhealthy is %v", !unhealthy)
			}
			if rounds != tc.rounds {
				t.Errorf("%d repair rounds, want %d", rounds, tc.rounds)
			}
		})
	}
}
