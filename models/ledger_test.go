package models

import "testing"

func TestLedgerMayBeLive(t *testing.T) {
	for name, tc := range map[string]struct {
		ledger Ledger
		want   bool
	}{
		"empty":                      {nil, false},
		"harmless intended":          {Ledger{{Op: "open", Harmless: true, State: Intended}}, false},
		"harmless done":              {Ledger{{Op: "open", Harmless: true, State: Done}}, false},
		"not declared harmless":      {Ledger{{Op: "open", State: Done}}, true},
		"sending intended":           {Ledger{{Op: "open", Harmless: true, State: Done}, {Op: "send", State: Intended}}, true},
		"sending found missing":      {Ledger{{Op: "send", State: Missing}}, true},
		"sending void":               {Ledger{{Op: "send", State: Void}}, false},
		"sending done":               {Ledger{{Op: "send", State: Done}}, true},
		"first void, second open":    {Ledger{{Op: "send", State: Void}, {Op: "send", State: Intended}}, true},
		"a state of a newer version": {Ledger{{Op: "send", State: "postponed"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.ledger.MayBeLive(); got != tc.want {
				t.Errorf("MayBeLive = %v, want %v", got, tc.want)
			}
		})
	}
}

// TestUnknownOperationsSend: an operation that this version does not know counts as one
// that can make the post live, even if its row says "harmless".
func TestUnknownOperationsSend(t *testing.T) {
	ledger := Ledger{{Op: "open", Harmless: true, State: Done}, {Op: "teleport", Harmless: true, State: Done}}
	ledger.Distrust(func(op LedgerOp) bool { return op == "open" })
	if !bool(ledger[0].Harmless) || bool(ledger[1].Harmless) || !ledger.MayBeLive() {
		t.Errorf("%+v, may be live %v; want only the known operation harmless", ledger, ledger.MayBeLive())
	}
}

func TestHarmlessIsStoredAsSends(t *testing.T) {
	for _, h := range []Harmless{false, true} {
		stored, err := h.Value()
		if err != nil || stored != !bool(h) {
			t.Fatalf("%v is stored as %v (%v)", h, stored, err)
		}
		for _, row := range []any{stored, map[bool]int64{true: 1}[stored.(bool)]} {
			read := !h
			if err := read.Scan(row); err != nil || read != h {
				t.Errorf("%v read back from %T as %v (%v)", h, row, read, err)
			}
		}
	}
	var h Harmless
	if err := h.Scan("yes"); err == nil || h {
		t.Errorf("text was read as %v (%v)", h, err)
	}
}
