package mqttcomms

import (
	"net"
	"sync"
	"testing"
)

// proxy stands between a device and a broker, and can go silent.
type proxy struct {
	t      testing.TB
	listen net.Listener
	target string

	mu     sync.Mutex
	conns  []net.Conn
	silent bool
	quit   chan struct{}
	wg     sync.WaitGroup
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	return newProxyAt(t, "127.0.0.1:0", target)
}

func newProxyAt(t testing.TB, address, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, listen: l, target: target, quit: make(chan struct{})}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		close(p.quit)
		l.Close()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "mqtt://" + p.listen.Addr().String() }

func (p *proxy) accept() {
	for {
		in, err := p.listen.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		p.wg.Go(func() { p.copy(out, in) })
		p.wg.Go(func() { p.copy(in, out) })
	}
}

// copy forwards bytes. While the proxy is silent it reads nothing, as if the
// packets were lost on the way.
func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		silent := p.silent
		p.mu.Unlock()
		if silent { // not even an end gets through
			<-p.quit
			return
		}
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// goSilent makes connections half-open: nothing arrives any more, on either
// side, and nobody is told.
func (p *proxy) goSilent(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = on
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}
