package main

import (
	"strings"
	"testing"
)

func TestTheMorningsBusiness(t *testing.T) {
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatalf("%v, after:\n%s", err, &out)
	}
	for _, want := range []string{
		"south  slip 2, debit 3000 for alice: done, the balance is 7000",
		"west   slip 3, debit 9900 for alice: refused, overdraft: the balance is 7000, 9900 were wanted",
		"south  slip 2, debit 3000 for alice: as before, done, the balance is 7000",
		"west   slip 5, debit 7000 for alice: done, the balance is 0",
		"north  query: alice has 0, bob has 500",
		"south  query: alice has 0, bob has 500",
		"west   query: alice has 0, bob has 500",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &out)
		}
	}
}
