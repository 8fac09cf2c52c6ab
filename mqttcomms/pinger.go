package mqttcomms

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho/log"
)

var errSilentBroker = errors.New("the broker does not answer any more")

// pinger keeps the connection alive and notices when it is not. Where something
// is sent and received all the time it sends nothing; where the way is cut
// without a word it notices within one and a half keep-alives.
type pinger struct {
	conn *conn
	// end is told why the connection must end, before the library closes it and
	// reports that too.
	end func(error)
}

// Run implements paho.Pinger. keepAlive is in seconds; the broker may have
// changed it.
func (p pinger) Run(ctx context.Context, _ net.Conn, keepAlive uint16) error {
	if keepAlive == 0 {
		return nil
	}
	// The broker is pinged after three quarters of a keep-alive and has as long
	// to answer: it disconnects who is silent for one and a half (MQTT 5
	// §3.1.2.10).
	patience := time.Duration(keepAlive) * time.Second * 3 / 4
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var pinged time.Duration // when, on the connection's clock; 0: nothing is awaited
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if pinged > 0 && p.conn.lastReceived() < pinged {
			p.end(errSilentBroker)
			return errSilentBroker
		}
		pinged = 0
		if quiet := p.conn.quiet(); quiet < patience {
			timer.Reset(patience - quiet)
			continue
		}
		pinged = p.conn.now()
		if _, err := packets.NewControlPacket(packets.PINGREQ).WriteTo(p.conn); err != nil {
			return err
		}
		timer.Reset(patience)
	}
}

// The rest of paho.Pinger: the connection itself knows when it was used.

func (pinger) PacketSent()         {}
func (pinger) PacketReceived()     {}
func (pinger) PingResp()           {}
func (pinger) SetDebug(log.Logger) {}
