package mqttcomms

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/edgeraft/edgeraft/raft"
)

// Fault is the kind of what keeps a device from using a broker.
type Fault string

// The faults, in the order in which they are met.
const (
	NoFault          Fault = ""
	FaultFiles       Fault = "files"     // Access.Check fails
	FaultDenied      Fault = "denied"    // a file is not this user's to read
	FaultName        Fault = "name"      // its name is not known
	FaultRefused     Fault = "refused"   // nothing listens there
	FaultUnreachable Fault = "silent"    // no answer, or no way to it
	FaultAuthority   Fault = "authority" // who vouches for it is not known
	FaultExpired     Fault = "expired"   // its certificate is
	FaultNotYet      Fault = "not_yet"   // its certificate is not valid yet
	FaultHost        Fault = "host"      // its certificate is for another name
	FaultNoTLS       Fault = "no_tls"    // it does not speak TLS there
	FaultTLS         Fault = "tls"       // another failure of TLS
	FaultEnded       Fault = "ended"     // it ends the connection instead of answering
	FaultLogin       Fault = "login"     // wrong user or password
	FaultClientID    Fault = "client_id" // it does not take the client ID
	FaultProtocol    Fault = "protocol"  // no MQTT 5
	FaultConnect     Fault = "connect"   // it refuses for another reason
	FaultRights      Fault = "rights"    // Refused and Silent say what it does not allow
)

// Examination is what came of trying one broker.
type Examination struct {
	Broker string
	Fault  Fault
	Err    error // nil with NoFault and FaultRights
	// Expires is when the broker's certificate does; zero without TLS.
	Expires time.Time
	// Refused is what it refused, Silent are topics of which nothing came back.
	Refused, Silent []string
	Took            time.Duration // to connect and log in
}

// examineEcho is how long what is published may take to come back.
const examineEcho = 2 * time.Second

// Examine tries all brokers at once as a device of the cluster would use them: it
// connects, logs in, and subscribes and publishes to topics of each kind. It does
// so by a client ID of its own, which is no device's, and with empty messages,
// which devices ignore; so no running agent is disturbed. It ends with ctx, and
// each step has the limits of this package.
func Examine(ctx context.Context, access Access, cluster string) []Examination {
	out := make([]Examination, min(len(access.Brokers), MaxBrokers))
	var wg sync.WaitGroup
	for i := range out {
		wg.Go(func() { out[i] = examine(ctx, access, cluster, access.Brokers[i]) })
	}
	wg.Wait()
	return out
}

func examine(ctx context.Context, access Access, cluster, url string) (x Examination) {
	x.Broker = url
	b, err := parseBroker(url)
	if err != nil {
		x.Fault, x.Err = FaultFiles, err
		return x
	}
	files, err := access.read()
	if err != nil {
		x.Fault, x.Err = fileFault(err), err
		return x
	}
	began := time.Now()
	raw, err := b.dial(ctx, files)
	if err != nil {
		x.Fault, x.Err = dialFault(err, began), err
		return x
	}
	if secure, ok := raw.(*tls.Conn); ok {
		if certs := secure.ConnectionState().PeerCertificates; len(certs) > 0 {
			x.Expires = certs[0].NotAfter
		}
	}
	t := &trial{x: &x, user: access.User, topics: topicsOf(cluster), self: examinerID()}
	t.run(ctx, raw, b, files, began)
	return x
}

// fileFault tells a file that is another user's alone from one that is wrong: a mode
// that is too open is no permission, either, but no call of the system says so.
func fileFault(err error) Fault {
	if path := (*fs.PathError)(nil); errors.As(err, &path) && errors.Is(path, fs.ErrPermission) {
		return FaultDenied
	}
	return FaultFiles
}

// examinerID is no device's ID: those have no dash, so nobody takes what it
// publishes for the presence of one.
func examinerID() raft.NodeID {
	var random [4]byte
	_, _ = rand.Read(random[:]) // it never fails
	return raft.NodeID("doctor-" + hex.EncodeToString(random[:]))
}

// dialFault tells the failures of connecting apart.
func dialFault(err error, now time.Time) Fault {
	var (
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		name    *net.DNSError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		verify  *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &name):
		return FaultName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore):
		return FaultNotYet
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return FaultExpired
	case errors.As(err, &unknown):
		return FaultAuthority
	case errors.As(err, &host):
		return FaultHost
	case errors.As(err, &record):
		return FaultNoTLS
	case errors.As(err, &alert), errors.As(err, &verify):
		return FaultTLS
	case errors.Is(err, syscall.ECONNREFUSED):
		return FaultRefused
	}
	return FaultUnreachable
}

// trial is one connection for the sake of finding out.
type trial struct {
	x      *Examination
	user   string
	topics topics
	self   raft.NodeID
	echoes echoes
	client *paho.Client
}

func (t *trial) run(ctx context.Context, raw net.Conn, b broker, files secrets, began time.Time) {
	conn := newConn(raw, writeAtLeast, newCounters())
	defer conn.Close() // twice, where all went well
	own := map[string]bool{t.topics.inbox(t.self): true, t.topics.all(): true, t.topics.presence(t.self): true}
	t.client = paho.NewClient(paho.ClientConfig{
		Conn: conn, PingHandler: pinger{conn, func(error) {}}, AuthHandler: noAuth{}, PacketTimeout: packetTimeout,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			if own[p.Packet.Topic] && len(p.Packet.Payload) == 0 {
				t.echoes.note(p.Packet.Topic)
			}
			return true, nil
		}},
	})
	zero, window := uint32(0), uint16(receiveMaximum)
	ca, err := t.client.Connect(ctx, &paho.Connect{
		ClientID: string(t.self), CleanStart: true, KeepAlive: uint16(MaxKeepAlive / time.Second),
		Username: t.user, UsernameFlag: t.user != "", Password: files.password, PasswordFlag: files.password != nil,
		Properties: &paho.ConnectProperties{SessionExpiryInterval: &zero, ReceiveMaximum: &window, RequestProblemInfo: true},
	})
	t.x.Took = time.Since(began)
	if ca != nil && ca.ReasonCode >= codeFirstError {
		t.x.Fault, t.x.Err = connackFault(ca.ReasonCode), refusedConnect(ca)
		return
	} else if err != nil {
		t.x.Fault, t.x.Err = FaultEnded, explainEnd(err, b, files)
		return
	}
	t.rights(ctx, ca.Properties == nil || ca.Properties.RetainAvailable)
	conn.hurry(goodbyeTimeout)
	_ = t.client.Disconnect(&paho.Disconnect{}) // it is closed whatever comes of it
	<-t.client.Done()
}

// connackFault tells the refusals of CONNACK apart (MQTT 5 §3.2.2.2).
func connackFault(code byte) Fault {
	switch code {
	case codeBadPassword, codeNotAuthorized:
		return FaultLogin
	case codeBadClientID:
		return FaultClientID
	case codeOldProtocol:
		return FaultProtocol
	}
	return FaultConnect
}

// rights subscribes and publishes as a device does, once to each kind of topic.
// The broker answers what is published at QoS 1; that it does not deliver to a
// subscriber it never says, so each message must come back.
func (t *trial) rights(ctx context.Context, canRetain bool) {
	own := []string{t.topics.inbox(t.self), t.topics.all()}
	if canRetain {
		own = append(own, t.topics.presence(t.self))
	}
	refuse := func(what, topic string, code byte) {
		t.x.Fault = FaultRights
		t.x.Refused = append(t.x.Refused, fmt.Sprintf("to %s %s: %s", what, topic, explain(code, "")))
	}
	subs := []paho.SubscribeOptions{{Topic: own[0]}, {Topic: own[1]}, {Topic: t.topics.everyPresence()}}
	sa, err := t.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: subs})
	if sa == nil {
		t.x.Fault, t.x.Err = FaultEnded, fmt.Errorf("subscribe: %w", err)
		return
	}
	for i, code := range sa.Reasons {
		if code >= codeFirstError && i < len(subs) {
			refuse("subscribe to", subs[i].Topic, code)
		}
	}
	for _, topic := range own {
		p := &paho.Publish{Topic: topic, QoS: 1}
		answer, err := t.client.Publish(ctx, p)
		if errors.Is(err, paho.ErrInvalidArguments) { // a broker without QoS 1
			p.QoS = 0
			_, err = t.client.Publish(ctx, p)
		}
		switch {
		case answer != nil && answer.ReasonCode >= codeFirstError:
			refuse("publish to", topic, answer.ReasonCode)
		case err != nil:
			t.x.Fault, t.x.Err = FaultEnded, fmt.Errorf("publish to %s: %w", topic, err)
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, examineEcho)
	defer cancel()
	for _, topic := range own {
		select {
		case <-t.echoes.of(topic):
			continue
		case <-ctx.Done():
		}
		select { // of the two it may have been the other
		case <-t.echoes.of(topic):
		default:
			t.x.Fault = FaultRights
			t.x.Silent = append(t.x.Silent, topic)
		}
	}
}
