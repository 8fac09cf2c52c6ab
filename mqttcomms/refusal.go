package mqttcomms

import (
	"fmt"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// Reason codes of MQTT 5 (§2.4) that are explained.
const (
	codeMalformed           = 0x81
	codeProtocolError       = 0x82
	codeOldProtocol         = 0x84
	codeBadClientID         = 0x85
	codeBadPassword         = 0x86
	codeNotAuthorized       = 0x87
	codeUnavailable         = 0x88
	codeBusy                = 0x89
	codeBanned              = 0x8A
	codeShutdown            = 0x8B
	codeKeepAlive           = 0x8D
	codeTakenOver           = 0x8E
	codeTopicFilter         = 0x8F
	codeTopicName           = 0x90
	codePacketTooLarge      = 0x95
	codeRate                = 0x96
	codeQuota               = 0x97
	codeAdministrative      = 0x98
	codeRetain              = 0x9A
	codeUseAnother          = 0x9C
	codeMoved               = 0x9D
	codeConnectionRate      = 0x9F
	codeNobodyThere         = 0x10 // not an error
	codeFirstError     byte = 0x80
)

// reasons says in words what a code means, and what to do.
var reasons = map[byte]string{
	codeMalformed:      "it says a packet was malformed",
	codeProtocolError:  "it says the protocol was violated",
	codeOldProtocol:    "it does not speak MQTT 5; use a broker that does, such as Mosquitto 2",
	codeBadClientID:    "it does not accept this device's client ID",
	codeBadPassword:    "wrong user or password (mqtt.user, mqtt.password_file)",
	codeNotAuthorized:  "not authorized (access control of the broker, mqtt.user, mqtt.password_file)",
	codeUnavailable:    "it is not available",
	codeBusy:           "it is busy",
	codeBanned:         "this device is banned there",
	codeShutdown:       "it shuts down",
	codeKeepAlive:      "it heard nothing for too long",
	codeTakenOver:      "another client took over this device's identity: do two devices run from copies of one card, or two agents from one data directory?",
	codeTopicFilter:    "it does not accept the topic filter",
	codeTopicName:      "it does not accept the topic",
	codePacketTooLarge: "a packet was too large for it (mqtt.max_packet)",
	codeRate:           "it gets too much from this device",
	codeQuota:          "a quota is exceeded",
	codeAdministrative: "an administrator closed the connection",
	codeRetain:         "it does not retain messages",
	codeUseAnother:     "it wants another broker to be used (mqtt.brokers)",
	codeMoved:          "it has moved (mqtt.brokers)",
	codeConnectionRate: "this device connects too often",
}

// explain says what a reason code means. text is the broker's own word.
func explain(code byte, text string) string {
	why, ok := reasons[code]
	if !ok {
		why = fmt.Sprintf("reason code 0x%02X", code)
	}
	if text != "" {
		why += fmt.Sprintf(" (%q)", clip(text))
	}
	return why
}

// clip bounds a text of the broker.
func clip(text string) string {
	const most = 200
	return text[:min(len(text), most)]
}

// disconnected is a broker's DISCONNECT.
type disconnected struct {
	code byte
	text string
}

func (d disconnected) Error() string { return "the broker disconnected: " + explain(d.code, d.text) }

func disconnectedBy(d *paho.Disconnect) disconnected {
	x := disconnected{code: d.ReasonCode}
	if d.Properties != nil {
		x.text = d.Properties.ReasonString
	}
	return x
}

// refusedConnect is a CONNACK that says no.
func refusedConnect(ca *paho.Connack) error {
	text := ""
	if ca.Properties != nil {
		text = ca.Properties.ReasonString
	}
	return fmt.Errorf("the broker refuses the connection: %s", explain(ca.ReasonCode, text))
}

// noAuth answers what no broker should ask: the library calls it unchecked.
type noAuth struct{}

func (noAuth) Authenticate(*paho.Auth) *paho.Auth {
	return &paho.Auth{ReasonCode: packets.AuthContinueAuthentication}
}
func (noAuth) Authenticated() {}
