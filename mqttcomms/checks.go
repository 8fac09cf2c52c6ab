package mqttcomms

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
)

// publishOverhead is how many bytes a packet has beside the plain payload: type
// and length (5), the topic with its length, the message's expiry with the
// length of the properties (6), and what sealing adds.
func publishOverhead(topic string) int { return 5 + 2 + len(topic) + 6 + seal.Overhead }

// echoes are the topics on which this device heard itself.
type echoes struct {
	mu   sync.Mutex
	seen map[string]chan struct{} // closed when heard
}

func (e *echoes) of(topic string) chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seen == nil {
		e.seen = map[string]chan struct{}{}
	}
	if e.seen[topic] == nil {
		e.seen[topic] = make(chan struct{})
	}
	return e.seen[topic]
}

// note is called for three topics only, so that seen stays small.
func (e *echoes) note(topic string) {
	heard := e.of(topic)
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-heard:
	default:
		close(heard)
	}
}

// selfTest announces this device, and finds out what the broker lets it do: at
// QoS 0 it would never say no, and what it does not deliver to a subscriber it
// never says. Then it checks topics as they come to be used.
func (s *session) selfTest(ctx context.Context) {
	t := s.c.topics
	if s.canRetain {
		s.try(ctx, &paho.Publish{Topic: t.presence(s.c.self), Payload: presenceHere, Retain: true})
	}
	own := []string{t.inbox(s.c.self), t.all()}
	for _, topic := range own {
		s.tryTopic(ctx, topic)
	}
	if s.canRetain {
		own = append(own, t.presence(s.c.self))
	}
	over := time.NewTimer(checkAfter)
	defer over.Stop()
	late, silent := false, 0
	for _, topic := range own {
		if !late {
			select {
			case <-s.echoes.of(topic):
				continue
			case <-ctx.Done():
				return
			case <-over.C:
				late = true
			}
		}
		select {
		case <-s.echoes.of(topic):
		default:
			silent++
			s.c.refuse(fmt.Sprintf("to receive what is published to %s: it does not come back (access control of the broker?)", topic))
		}
	}
	if silent == len(own) {
		s.end(errDeaf)
		return
	}
	// From now on what goes to all need not come back.
	_, err := s.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: t.all(), NoLocal: true, RetainHandling: retainNone}}})
	if err != nil && ctx.Err() == nil {
		s.c.cfg.Logger.Debug("the MQTT broker sends this device what it says itself", "error", err)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.client.Done():
			return
		case topic := <-s.checks:
			s.tryTopic(ctx, topic)
		}
	}
}

// A presence message holds its version, 1, and whether the device is connected.
// An empty one says that it is not, too: a device that stops clears what is
// retained. The will cannot, as some brokers take no empty one, so what it leaves
// is retained for goneFor.
var (
	presenceHere = []byte{1, 1}
	presenceGone = []byte{1, 0}
)

const goneFor = time.Hour

// retainNone: do not send what is retained (MQTT 5 §3.8.3.1).
const retainNone = 2

// check sees to it that a topic is checked, once in a connection. It is the
// writer's.
func (s *session) check(topic string) {
	if topic == s.c.topics.all() || s.checked[topic] || len(s.checked) >= maxChecks {
		return
	}
	s.checked[topic] = true
	select {
	case s.checks <- topic:
	default: // it is seen by what does not arrive
	}
}

// tryTopic publishes nothing of meaning to a topic.
func (s *session) tryTopic(ctx context.Context, topic string) {
	to := raft.NodeID(strings.TrimPrefix(topic, s.c.topics.inbox("")))
	if topic == s.c.topics.all() {
		to = ""
	}
	payload, err := s.c.cfg.Seal.Seal(nil, to, []byte{kindCheck})
	if err == nil {
		s.try(ctx, &paho.Publish{Topic: topic, Payload: payload, Properties: &paho.PublishProperties{MessageExpiry: s.c.expirySeconds()}})
	}
}

// try publishes at QoS 1, which the broker answers, and notes a refusal.
func (s *session) try(ctx context.Context, p *paho.Publish) {
	p.QoS = 1
	answer, err := s.client.Publish(ctx, p)
	if errors.Is(err, paho.ErrInvalidArguments) { // a broker without QoS 1
		p.QoS = 0
		_, err = s.client.Publish(ctx, p)
	}
	switch {
	case answer != nil && answer.ReasonCode >= codeFirstError:
		s.c.refuse(fmt.Sprintf("to publish to %s: %s", p.Topic, explain(answer.ReasonCode, "")))
	case err != nil && ctx.Err() == nil:
		s.c.cfg.Logger.Debug("the MQTT broker did not answer a publication", "topic", p.Topic, "error", err)
	}
}
