package house

import (
	"os/exec"
	"strings"
	"testing"
)

// notLinked are modules that tests need and the product must not hold.
var notLinked = []string{"github.com/mochi-mqtt", "github.com/gorilla", "github.com/hanwen/go-fuse", "github.com/anishathalye/porcupine", "go.uber.org/goleak", module + "/raft/rafttest", module + "/internal/need"}

// The program that is shipped has nothing in it that is for tests.
func TestNothingForTestsIsShipped(t *testing.T) {
	list := exec.Command("go", "list", "-deps", module+"/cmd/edgeraft")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("list what the program is made of: %v", err)
	}
	if !strings.Contains(string(out), "github.com/eclipse/paho.golang/paho\n") {
		t.Error("the list lacks a part that the program surely has")
	}
	for line := range strings.Lines(string(out)) {
		for _, not := range notLinked {
			if strings.HasPrefix(line, not) {
				t.Errorf("the program holds %s", line)
			}
		}
	}
}
