package mqttcomms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
)

// session is one connection to a broker.
type session struct {
	c         *Comms
	broker    broker
	index     int // of broker
	conn      *conn
	client    *paho.Client
	maxPacket int
	keepAlive time.Duration
	canRetain bool
	ended     chan error // takes the first reason for the end
	echoes    echoes
	checks    chan string // topics to be checked
	checked   map[string]bool

	looking sync.Mutex // held while an earlier broker is connected to
	next    *session   // the connection to it
	cancel  func()     // of the context, where it has one of its own; else nil

	largest       int    // bytes of the longest packet sent
	plain, sealed []byte // scratch of the writer
	out           bytes.Buffer
}

// open connects to a broker and subscribes. The connection ends with ctx.
func (c *Comms) open(ctx context.Context, index int) (*session, error) {
	b := c.brokers[index]
	files, err := c.cfg.Access.read()
	if err != nil {
		return nil, err
	}
	raw, err := b.dial(ctx, files)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s := &session{
		c: c, broker: b, index: index,
		conn:  newConn(raw, min(max(2*c.cfg.KeepAlive, writeAtLeast), writeAtMost), c.stats),
		ended: make(chan error, 1), checks: make(chan string, maxChecks), checked: map[string]bool{},
	}
	s.client = paho.NewClient(paho.ClientConfig{
		Conn: s.conn, PingHandler: pinger{s.conn, s.end}, AuthHandler: noAuth{}, PacketTimeout: packetTimeout,
		OnServerDisconnect: func(d *paho.Disconnect) { s.end(disconnectedBy(d)) },
		OnClientError:      s.end,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			c.take(s, p.Packet.Topic, p.Packet.Payload, p.Packet.Retain)
			return true, nil
		}},
	})
	ca, err := s.client.Connect(ctx, s.connectPacket(files))
	if ca != nil && ca.ReasonCode >= codeFirstError {
		return nil, refusedConnect(ca)
	} else if err != nil {
		return nil, fmt.Errorf("connect: %w", explainEnd(err, b, files))
	}
	s.negotiated(ca)
	if err := s.subscribe(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) connectPacket(files secrets) *paho.Connect {
	cfg := s.c.cfg
	zero, most, window, gone := uint32(0), uint32(MaxPacket), uint16(receiveMaximum), uint32(goneFor/time.Second)
	return &paho.Connect{
		ClientID: string(s.c.self), CleanStart: true, KeepAlive: uint16(cfg.KeepAlive / time.Second),
		Username: cfg.Access.User, UsernameFlag: cfg.Access.User != "",
		Password: files.password, PasswordFlag: cfg.Access.PasswordFile != "",
		// Nothing is to be kept for who is away: it would be of no use any more.
		Properties: &paho.ConnectProperties{
			SessionExpiryInterval: &zero, ReceiveMaximum: &window, MaximumPacketSize: &most, RequestProblemInfo: true,
		},
		WillMessage:    &paho.WillMessage{Topic: s.c.topics.presence(s.c.self), Payload: presenceGone, Retain: true},
		WillProperties: &paho.WillProperties{WillDelayInterval: &zero, MessageExpiry: &gone},
	}
}

// negotiated takes over what the broker demands.
func (s *session) negotiated(ca *paho.Connack) {
	s.maxPacket, s.keepAlive, s.canRetain = s.c.packetLimit, s.c.cfg.KeepAlive, true
	if p := ca.Properties; p != nil {
		if p.MaximumPacketSize != nil && int64(*p.MaximumPacketSize) < int64(s.maxPacket) {
			s.maxPacket = int(*p.MaximumPacketSize)
		}
		if p.ServerKeepAlive != nil {
			s.keepAlive = time.Duration(*p.ServerKeepAlive) * time.Second
		}
		s.canRetain = p.RetainAvailable
	}
}

// end notes why the connection ends, if nothing else was the reason.
func (s *session) end(err error) {
	select {
	case s.ended <- err:
	default:
	}
}

// close ends the connection and waits for the library's goroutines.
func (s *session) close() {
	s.conn.hurry(goodbyeTimeout)
	_ = s.client.Disconnect(&paho.Disconnect{}) // it is closed whatever comes of it
	<-s.client.Done()
	if s.cancel != nil {
		s.cancel()
	}
}

// subscribe asks for what is for this device. To what it publishes to all it
// listens too, at first, to see that it comes back.
func (s *session) subscribe(ctx context.Context) error {
	t := s.c.topics
	subs := []paho.SubscribeOptions{{Topic: t.inbox(s.c.self)}, {Topic: t.all()}, {Topic: t.everyPresence()}}
	sa, err := s.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: subs})
	if sa == nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for i, code := range sa.Reasons {
		if code >= codeFirstError && i < len(subs) {
			s.c.refuse(fmt.Sprintf("to subscribe to %s: %s", subs[i].Topic, explain(code, "")))
		}
	}
	return nil
}

// serve runs the connection until it ends, and returns why. homeTimes is how
// often it was left for an earlier broker.
func (s *session) serve(homeTimes int) error {
	ctx, cancel := context.WithCancel(s.c.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.selfTest(ctx) })
	wg.Go(func() { s.write(ctx) })
	if s.index > 0 {
		wg.Go(func() { s.lookHome(ctx, homeTimes) })
	}
	lonely := s.c.lonely(ctx)
	var err error
	select {
	case err = <-s.ended:
	case <-s.client.Done():
		err = errors.New("the connection ended")
		select { // the reason may come a moment later than the end
		case err = <-s.ended:
		case <-time.After(packetTimeout / 4):
		}
	case <-lonely:
		err = errLonely
	case <-s.c.ctx.Done():
		s.goodbye()
		err = s.c.ctx.Err()
	}
	if s.replaced(err) {
		err = errHome
	} else if errors.Is(err, errHome) {
		s.goodbye() // the others need not wait for it there
	}
	cancel()
	s.close()
	wg.Wait()
	if s.next != nil && !errors.Is(err, errHome) {
		s.next.close()
	}
	return err
}

// goodbye takes back the presence, so that the others need not wait for what
// will not come. The will is void after a proper end.
func (s *session) goodbye() {
	s.conn.hurry(goodbyeTimeout)
	if s.canRetain {
		s.out.Reset()
		if _, err := (&packets.Publish{Topic: s.c.topics.presence(s.c.self), Retain: true, Properties: &packets.Properties{}}).WriteTo(&s.out); err == nil {
			_ = s.conn.write(s.out.Bytes())
		}
	}
}

// write publishes what waits until the connection ends.
func (s *session) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.client.Done():
			return
		case <-s.c.queue.wake:
		}
		for ctx.Err() == nil && s.writeSome() {
		}
	}
}

// writeSome publishes some of what waits, in one write, and reports whether
// there may be more.
func (s *session) writeSome() bool {
	var batch bytes.Buffer
	now := time.Now()
	more := true
	for more && batch.Len() < maxWrite {
		x, stale := s.c.queue.pop(now.Add(-s.c.cfg.Expiry))
		for range stale {
			s.c.stats.Drop(dropStale)
		}
		if more = x != nil; more {
			s.publish(&batch, x, now)
		}
	}
	if batch.Len() == 0 {
		return false
	}
	if err := s.conn.write(batch.Bytes()); err != nil {
		s.end(fmt.Errorf("write: %w", err))
		_ = s.conn.Close()
		return false
	}
	return more
}

// publish appends the packets of an item.
func (s *session) publish(batch *bytes.Buffer, x *item, now time.Time) {
	topic := s.c.topics.of(x.to)
	s.check(topic)
	if x.sealed != nil {
		s.publishSealed(batch, topic, x.sealed)
		return
	}
	plain := x.plain
	switch {
	case plain == nil:
		var err error
		plain, err = appendMessage(slices.Grow(s.plain[:0], x.size), x.m, x.also)
		if err != nil {
			s.c.unsendable(err, now)
			return
		}
		if cap(plain) <= maxWrite {
			s.plain = plain
		}
	case plain[0] == kindProbe:
		s.c.probeLeaves(x, now)
	}
	room := s.maxPacket - publishOverhead(topic)
	if len(plain) <= room {
		s.publishPlain(batch, topic, x.to, plain)
		return
	}
	if room -= partHeader; room < 1 {
		s.c.stats.Drop(dropTooLong)
		return
	}
	s.c.mu.Lock()
	s.c.nextPayload++
	payload := s.c.nextPayload
	s.c.mu.Unlock()
	var piece []byte
	for offset := 0; offset < len(plain); offset += room {
		piece = appendPart(piece[:0], payload, plain, offset, room)
		s.publishPlain(batch, topic, x.to, piece)
	}
}

// publishPlain appends the packet of one payload.
func (s *session) publishPlain(batch *bytes.Buffer, topic string, to raft.NodeID, plain []byte) {
	var err error
	if s.sealed, err = s.c.cfg.Seal.Seal(s.sealed[:0], to, plain); err != nil {
		s.c.unsendable(err, time.Now())
		return
	}
	s.publishSealed(batch, topic, s.sealed)
}

func (s *session) publishSealed(batch *bytes.Buffer, topic string, sealed []byte) {
	p := &packets.Publish{Topic: topic, Payload: sealed, Properties: &packets.Properties{MessageExpiry: s.c.expirySeconds()}}
	if _, err := p.WriteTo(batch); err != nil {
		s.c.unsendable(err, time.Now())
		return
	}
	s.c.stats.Sent(1, 0)
	s.largest = max(s.largest, publishOverhead(topic)+len(sealed)-seal.Overhead)
}

// expirySeconds is Config.Expiry as the broker counts it, at least a second.
func (c *Comms) expirySeconds() *uint32 {
	seconds := uint32(min((c.cfg.Expiry+time.Second-1)/time.Second, math.MaxInt32))
	return &seconds
}
