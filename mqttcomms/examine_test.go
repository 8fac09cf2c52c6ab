package mqttcomms

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// No device may ever take what Examine publishes for another's presence.
func TestExaminerIsNoDevice(t *testing.T) {
	topics := topicsOf("default")
	if id, ok := topics.presentDevice(topics.presence(examinerID())); ok {
		t.Errorf("%s passes for a device", id)
	}
}

// certificate makes one that vouches for itself.
func certificate(t *testing.T, host string, from, to time.Time) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: from, NotAfter: to, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.ParseIP(host)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o600)
}

// answering listens, and gives each connection to serve.
func answering(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			serve(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// saying is a broker that answers the first packet with these bytes.
func saying(answer ...byte) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1024)) // whatever comes of it, the other side notices
		_, _ = c.Write(answer)
	}
}

func TestExamineNamesTheFault(t *testing.T) {
	now := time.Now()
	day := 24 * time.Hour
	secure := func(cert tls.Certificate) string {
		return answering(t, func(c net.Conn) { saying()(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})) })
	}
	good, goodCA := certificate(t, "127.0.0.1", now.Add(-day), now.Add(day))
	expired, expiredCA := certificate(t, "127.0.0.1", now.Add(-2*day), now.Add(-day))
	early, earlyCA := certificate(t, "127.0.0.1", now.Add(day), now.Add(2*day))
	other, otherCA := certificate(t, "127.0.0.9", now.Add(-day), now.Add(day))
	connack := func(code byte) string { return "mqtt://" + answering(t, saying(0x20, 3, 0, code, 0)) }
	for name, c := range map[string]struct {
		access Access
		want   Fault
	}{
		"nobody":      {Access{Brokers: []string{"mqtt://" + freePort(t)}}, FaultRefused},
		"no name":     {Access{Brokers: []string{"mqtt://broker.invalid"}}, FaultName},
		"no URL":      {Access{Brokers: []string{"http://x"}}, FaultFiles},
		"no file":     {Access{Brokers: []string{"mqtt://127.0.0.1"}, PasswordFile: "/none"}, FaultFiles},
		"open file":   {Access{Brokers: []string{"mqtt://127.0.0.1"}, PasswordFile: writeFile(t, "x", 0o644)}, FaultFiles},
		"authority":   {Access{Brokers: []string{"mqtts://" + secure(good)}, CAFile: otherCA}, FaultAuthority},
		"expired":     {Access{Brokers: []string{"mqtts://" + secure(expired)}, CAFile: expiredCA}, FaultExpired},
		"not yet":     {Access{Brokers: []string{"mqtts://" + secure(early)}, CAFile: earlyCA}, FaultNotYet},
		"other name":  {Access{Brokers: []string{"mqtts://" + secure(other)}, CAFile: otherCA}, FaultHost},
		"no TLS":      {Access{Brokers: []string{"mqtts://" + answering(t, saying([]byte("HTTP/1.0 400 Bad Request\r\n\r\n")...))}}, FaultNoTLS},
		"ends":        {Access{Brokers: []string{"mqtts://" + secure(good)}, CAFile: goodCA}, FaultEnded},
		"login":       {Access{Brokers: []string{connack(codeBadPassword)}}, FaultLogin},
		"client ID":   {Access{Brokers: []string{connack(codeBadClientID)}}, FaultClientID},
		"no MQTT 5":   {Access{Brokers: []string{connack(codeOldProtocol)}}, FaultProtocol},
		"banned":      {Access{Brokers: []string{connack(codeBanned)}}, FaultConnect},
		"plain ended": {Access{Brokers: []string{"mqtt://" + answering(t, saying())}}, FaultEnded},
	} {
		x := Examine(t.Context(), c.access, "default")
		if len(x) != 1 || x[0].Fault != c.want || x[0].Err == nil || x[0].Broker != c.access.Brokers[0] {
			t.Errorf("%s: %+v, want %s", name, x, c.want)
		}
		if x[0].Fault == FaultEnded && strings.HasPrefix(x[0].Broker, "mqtts") != !x[0].Expires.IsZero() {
			t.Errorf("%s: certificate until %v", name, x[0].Expires)
		}
	}
	denied := &fs.PathError{Op: "open", Path: "/k", Err: fs.ErrPermission}
	if f := fileFault(fmt.Errorf("read the key: %w", denied)); f != FaultDenied {
		t.Errorf("a file of another: %q", f)
	}
}

// A broker that does not answer holds up nobody for longer than is wanted.
func TestExamineEndsWithItsContext(t *testing.T) {
	url := "mqtt://" + answering(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1024)); _, _ = c.Read(make([]byte, 1024)) })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if x := Examine(ctx, Access{Brokers: []string{url}}, "default"); x[0].Fault != FaultEnded {
		t.Errorf("%+v", x)
	}
}

// The rights that a device needs are tried one by one, and an agent hears nothing of it.
func TestExamineRights(t *testing.T) {
	type deny = func(topic string, write bool) bool
	for name, c := range map[string]struct {
		deny
		want string // of what is told; "" where all is well
	}{
		"all allowed":   {nil, ""},
		"publish all":   {func(t string, w bool) bool { return w && t == "edgeraft/test/all" }, "to publish to edgeraft/test/all"},
		"receive all":   {func(t string, w bool) bool { return !w && t == "edgeraft/test/all" }, "edgeraft/test/all"},
		"own inbox":     {func(t string, w bool) bool { return !w && strings.HasPrefix(t, "edgeraft/test/n/doctor-") }, "edgeraft/test/n/doctor-"},
		"other inboxes": {func(t string, w bool) bool { return w && strings.Contains(t, "/n/") }, "to publish to edgeraft/test/n/"},
		"presence":      {func(t string, w bool) bool { return w && strings.Contains(t, "/p/") }, "to publish to edgeraft/test/p/"},
		"all presence":  {func(t string, w bool) bool { return !w && strings.Contains(t, "/p/") }, "edgeraft/test/p/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t, "127.0.0.1:0", &doorman{deny: c.deny})
			x := Examine(t.Context(), Access{Brokers: []string{b.url}}, "test")[0]
			told := strings.Join(append(x.Refused, x.Silent...), "; ")
			if c.want == "" && (x.Fault != NoFault || x.Took <= 0) || c.want != "" && (x.Fault != FaultRights || !strings.Contains(told, c.want)) || x.Err != nil {
				t.Errorf("%+v, want %q", x, c.want)
			}
		})
	}
	b := newBroker(t, "127.0.0.1:0", nil)
	agent := start(t, b.url, alice)
	up(t, agent)
	before, dropped := agent.Status(), agent.Stats().Dropped
	if x := Examine(t.Context(), Access{Brokers: []string{b.url}}, "test")[0]; x.Fault != NoFault {
		t.Errorf("beside an agent: %+v", x)
	}
	if s := agent.Status(); !s.Connected || len(s.Refused) > 0 || fmt.Sprint(agent.Stats().Dropped) != fmt.Sprint(dropped) {
		t.Errorf("the agent was disturbed: %+v, before %+v", s, before)
	}
}
