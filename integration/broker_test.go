package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// broker is Mosquitto on one device of the network. Its files outlive its process.
type broker struct {
	t      testing.TB
	net    *lab.Network
	i      int
	dir    string
	secure bool
	proc   *lab.Process

	caKey     *ecdsa.PrivateKey // of a secure one
	authority *x509.Certificate
}

// brokerPassword is the password of the user edgeraft.
const brokerPassword = "tell nobody"

// newBroker prepares a broker on device i. A secure one has TLS, a password, and
// the access control list of docs/mqtt.md.
func newBroker(t testing.TB, net *lab.Network, i int, secure bool) *broker {
	t.Helper()
	lab.NeedCommand(t, "mosquitto", "mosquitto")
	b := &broker{t: t, net: net, i: i, dir: t.TempDir(), secure: secure}
	conf := []string{"user root", "persistence false", "set_tcp_nodelay true", "sys_interval 1", "listener " + b.port()}
	if secure {
		b.certify()
		b.write("acl", aclOfDocs(t))
		b.write("passwd", "edgeraft:"+brokerPassword+"\n")
		if out, err := exec.Command("mosquitto_passwd", "-U", b.path("passwd")).CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd: %v: %s", err, out)
		}
		conf = append(conf, "allow_anonymous false", "password_file "+b.path("passwd"), "acl_file "+b.path("acl"),
			"cafile "+b.path("ca.pem"), "certfile "+b.path("broker.pem"), "keyfile "+b.path("broker.key"))
	} else {
		conf = append(conf, "allow_anonymous true")
	}
	b.write("conf", strings.Join(conf, "\n")+"\n")
	return b
}

func (b *broker) port() string {
	if b.secure {
		return "8883"
	}
	return "1883"
}

func (b *broker) path(name string) string { return filepath.Join(b.dir, name) }

func (b *broker) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// start runs the broker until it is killed or the test ends.
func (b *broker) start() {
	b.t.Helper()
	b.proc = b.net.Start(b.i, lab.Command{Name: "the broker", Args: []string{"mosquitto", "-c", b.path("conf")}})
}

// settings are those of an agent that uses the broker, and transports.
func (b *broker) settings(transports string) []string {
	b.t.Helper()
	scheme := "mqtt"
	set := []string{"EDGERAFT_TRANSPORTS=" + transports}
	if b.secure {
		scheme = "mqtts"
		b.write("password", brokerPassword+"\n")
		set = append(set, "EDGERAFT_MQTT_USER=edgeraft", "EDGERAFT_MQTT_PASSWORD_FILE="+b.path("password"), "EDGERAFT_MQTT_CA_FILE="+b.path("ca.pem"))
	}
	return append(set, fmt.Sprintf("EDGERAFT_MQTT_BROKERS=%s://%s:%s", scheme, b.net.Addr(b.i), b.port()))
}

// aclOfDocs is the access control list that the documentation shows.
func aclOfDocs(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../docs/mqtt.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```\n# acl: ")
	acl, _, end := strings.Cut(rest, "```")
	if !ok || !end || !strings.Contains(acl, "pattern read ") {
		t.Fatal("docs/mqtt.md shows no access control list")
	}
	return "# " + acl
}

// certify makes an authority and the broker's certificate.
func (b *broker) certify() {
	b.t.Helper()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "broker"}, IPAddresses: []net.IP{net.ParseIP(b.net.Addr(b.i))},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	caKey, key := newKey(b.t), newKey(b.t)
	b.pem("ca.pem", "CERTIFICATE", sign(b.t, authority, authority, caKey, caKey))
	b.pem("broker.pem", "CERTIFICATE", sign(b.t, leaf, authority, key, caKey))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		b.t.Fatal(err)
	}
	b.pem("broker.key", "PRIVATE KEY", der)
	b.caKey, b.authority = caKey, authority
}

// clientCert makes a certificate for devices, signed by the broker's authority or
// by one of its own, and returns the files of it and its key.
func (b *broker) clientCert(name string, known bool) (cert, key string) {
	b.t.Helper()
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: name}, NotBefore: b.authority.NotBefore, NotAfter: b.authority.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	own := newKey(b.t)
	by := b.caKey
	if !known {
		by = newKey(b.t)
	}
	b.pem(name+".pem", "CERTIFICATE", sign(b.t, leaf, b.authority, own, by))
	der, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		b.t.Fatal(err)
	}
	b.pem(name+".key", "PRIVATE KEY", der)
	return b.path(name + ".pem"), b.path(name + ".key")
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, c, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by, key.Public(), byKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (b *broker) pem(name, kind string, der []byte) {
	b.write(name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}
