package doctor

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/edgeraft/edgeraft/mqttcomms"
)

// soon is how long before its end a certificate is warned of.
const soon = 14 * 24 * time.Hour

// brokerRemedy says what to do about a fault; HOST and PORT are the broker's.
type brokerRemedy struct {
	level           Level
	remedy, command string
}

var brokerRemedies = map[mqttcomms.Fault]brokerRemedy{
	mqttcomms.FaultFiles:       {Error, "correct the file, or its rights", ""},
	mqttcomms.FaultDenied:      {Note, "the file is the agent's alone, as it should be", "sudo edgeraft doctor"},
	mqttcomms.FaultName:        {Error, "give an IP address in mqtt.brokers, or put the name into /etc/hosts; names in .local are found only where DNS knows them (systemd-resolved: MulticastDNS=yes)", "getent hosts HOST"},
	mqttcomms.FaultRefused:     {Error, "start the broker, or correct the port in mqtt.brokers; on the broker's host:", "sudo ss -lntp 'sport = :PORT'"},
	mqttcomms.FaultUnreachable: {Error, "is the host up, the address right, and does no firewall in between keep TCP port PORT out?", "ping -c 3 HOST"},
	mqttcomms.FaultAuthority:   {Error, "name the file of the authority that signed the broker's certificate in mqtt.ca_file", "openssl s_client -connect HOST:PORT -showcerts </dev/null"},
	mqttcomms.FaultExpired:     {Error, "give the broker a new certificate; but first see whether this device's clock is right:", "date"},
	mqttcomms.FaultNotYet:      {Error, "this device's clock is wrong, or the broker's was when it was made:", "date"},
	mqttcomms.FaultHost:        {Error, "use a name or address in mqtt.brokers that the certificate holds, or have one made that holds this one", "openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout -ext subjectAltName"},
	mqttcomms.FaultNoTLS:       {Error, "the broker does not speak TLS at this port: use its port for TLS (8883), or mqtt:// where it has none", ""},
	mqttcomms.FaultTLS:         {Error, "the two do not agree on TLS: does the broker ask for a certificate (mqtt.cert_file), or is it older than TLS 1.2?", "openssl s_client -connect HOST:PORT </dev/null"},
	mqttcomms.FaultEnded:       {Error, "is this the port for MQTT, without TLS for mqtt:// and with it for mqtts://? The broker's log tells more", ""},
	mqttcomms.FaultLogin:       {Error, "correct mqtt.user and the file of mqtt.password_file; on the broker's host a password is set with:", "mosquitto_passwd /etc/mosquitto/passwd USER"},
	mqttcomms.FaultClientID:    {Note, "the broker lets only client IDs in that it knows, so what a device may do could not be tried; allow them, or look at edgeraft status", ""},
	mqttcomms.FaultProtocol:    {Error, "use a broker that speaks MQTT 5, such as Mosquitto 2", ""},
	mqttcomms.FaultConnect:     {Error, "the broker's log tells more", ""},
	mqttcomms.FaultRights:      {Error, "allow it in the broker's access control list, as in docs/mqtt.md", ""},
}

// judgeBroker judges what came of trying one broker.
func judgeBroker(x mqttcomms.Examination, s Subject, now time.Time) []Finding {
	say := func(l Level, format string, args ...any) Finding {
		return found(groupBroker, "broker", l, x.Broker+": "+format, args...)
	}
	var out []Finding
	switch x.Fault {
	case mqttcomms.NoFault:
		out = append(out, say(OK, "logged in within %v; subscribing and publishing are allowed", short(x.Took)))
	case mqttcomms.FaultRights:
		what := x.Refused
		for _, topic := range x.Silent {
			what = append(what, "to receive what is published to "+topic)
		}
		out = append(out, brokerFinding(x, s, "logged in, but the broker does not allow "+strings.Join(what, "; nor ")))
	default:
		out = append(out, brokerFinding(x, s, fmt.Sprint(x.Err)))
	}
	if left := x.Expires.Sub(now); !x.Expires.IsZero() && x.Fault != mqttcomms.FaultExpired && left < soon {
		out = append(out, say(Warning, "its certificate expires on %s; after that no device connects", x.Expires.UTC().Format(time.DateOnly)).do("give the broker a new one before that"))
	}
	return out
}

func brokerFinding(x mqttcomms.Examination, s Subject, text string) Finding {
	r, ok := brokerRemedies[x.Fault]
	if !ok {
		r.level = Error
	}
	host, port := brokerParts(x.Broker)
	fill := strings.NewReplacer("HOST", host, "PORT", port)
	// What the running agent says weighs more than a trial under another name.
	if m := agentAt(s, x.Broker); m && r.level == Error {
		r.level = Warning
		text += "; but the agent is connected to it now"
	}
	f := found(groupBroker, "broker", r.level, "%s: %s", x.Broker, text).do("%s", fill.Replace(r.remedy))
	return f.whole(fill.Replace(r.command))
}

// agentAt reports whether the agent is connected to a broker, and all is allowed
// to it there.
func agentAt(s Subject, broker string) bool {
	if s.Status == nil || s.Status.MQTT == nil {
		return false
	}
	m := s.Status.MQTT
	host, port := brokerParts(broker)
	atHost, atPort := brokerParts(m.Broker)
	return m.Connected && len(m.Refused) == 0 && host == atHost && port == atPort
}

// brokerParts are the host and the port in a broker's URL.
func brokerParts(text string) (host, port string) {
	u, err := url.Parse(text)
	if err != nil {
		return text, "1883"
	}
	if port = u.Port(); port == "" {
		port = "1883"
		if u.Scheme == "mqtts" {
			port = "8883"
		}
	}
	return u.Hostname(), port
}
