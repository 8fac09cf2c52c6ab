package mqttcomms

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// Access is how to get at the brokers. Files are read again for every
// connection, so that what is in them can be changed at any time.
type Access struct {
	// Brokers are URLs, tried in this order: mqtt://HOST:1883, or
	// mqtts://HOST:8883 for TLS. The ports are the defaults.
	Brokers []string
	User    string
	// PasswordFile holds the password, of which a last line end is no part.
	// Others than its owner must not be able to read or write it.
	PasswordFile string
	// CAFile holds the certificates (PEM) of who may vouch for a broker; with ""
	// the system's do.
	CAFile string
	// CertFile and KeyFile hold this device's certificate and its private key
	// (PEM), with "" for none. The key is for its owner only.
	CertFile, KeyFile string
}

// broker is one of Access.Brokers.
type broker struct {
	address string // host:port
	host    string
	tls     bool
}

func (b broker) String() string {
	if b.tls {
		return "mqtts://" + b.address
	}
	return "mqtt://" + b.address
}

// ParseBroker checks the URL of a broker. The error never holds a password.
func ParseBroker(text string) error {
	_, err := parseBroker(text)
	return err
}

func parseBroker(text string) (broker, error) {
	u, err := url.Parse(text)
	if err != nil {
		return broker{}, errors.New("a broker's URL is malformed; write it like mqtt://broker.local:1883 or mqtts://broker.local:8883")
	}
	if u.User != nil {
		return broker{}, fmt.Errorf("the URL of broker %s holds a user; give it as mqtt.user, and the password in mqtt.password_file", u.Host)
	}
	b, port := broker{host: u.Hostname()}, u.Port()
	switch u.Scheme {
	case "mqtt":
		port = orDefault(port, "1883")
	case "mqtts":
		b.tls, port = true, orDefault(port, "8883")
	default:
		return broker{}, fmt.Errorf("%q is no broker's URL; write it like mqtt://broker.local:1883, or mqtts:// for TLS", text)
	}
	if b.host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return broker{}, fmt.Errorf("%q is no broker's URL; write it like mqtt://broker.local:1883, with nothing behind the port", text)
	}
	b.address = net.JoinHostPort(b.host, port)
	return b, nil
}

func orDefault(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// secrets is what the files of an Access hold.
type secrets struct {
	password []byte
	roots    *x509.CertPool // nil: the system's
	cert     []tls.Certificate
}

// Check reads the files, and says what is wrong with them.
func (a Access) Check() error {
	_, err := a.read()
	return err
}

func (a Access) read() (s secrets, err error) {
	if a.PasswordFile != "" {
		text, err := readFile(a.PasswordFile, MaxCredential, true)
		if err != nil {
			return s, fmt.Errorf("read the password for the broker: %w", err)
		}
		s.password = []byte(strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"))
	}
	if a.CAFile != "" {
		text, err := readFile(a.CAFile, maxCertFile, false)
		if err != nil {
			return s, fmt.Errorf("read who may vouch for the broker: %w", err)
		}
		s.roots = x509.NewCertPool()
		if !s.roots.AppendCertsFromPEM(text) {
			return s, fmt.Errorf("read who may vouch for the broker: %s holds no certificate in PEM form", a.CAFile)
		}
	}
	if a.CertFile == "" && a.KeyFile == "" {
		return s, nil
	}
	cert, err := readFile(a.CertFile, maxCertFile, false)
	if err != nil {
		return s, fmt.Errorf("read this device's certificate: %w", err)
	}
	key, err := readFile(a.KeyFile, maxCertFile, true)
	if err != nil {
		return s, fmt.Errorf("read the key of this device's certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return s, fmt.Errorf("read this device's certificate %s with the key %s: %w", a.CertFile, a.KeyFile, err)
	}
	s.cert = []tls.Certificate{pair}
	return s, nil
}

// readFile reads a file of at most most bytes. A secret one that others than its
// owner may read or write is refused.
func readFile(path string, most int64, secret bool) ([]byte, error) {
	// O_NONBLOCK: a named pipe in its place must not block the agent.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case secret && info.Mode().Perm()&0o066 != 0:
		return nil, fmt.Errorf("%w: others may read or write %s (mode %04o): chmod 600 %s",
			fs.ErrPermission, path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return text, err
}

// dial connects to the broker, within dialTimeout.
func (b broker) dial(ctx context.Context, s secrets) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	plain := &net.Dialer{}
	if !b.tls {
		return plain.DialContext(ctx, "tcp", b.address)
	}
	secure := tls.Dialer{NetDialer: plain, Config: &tls.Config{
		ServerName: b.host, RootCAs: s.roots, Certificates: s.cert, MinVersion: tls.VersionTLS12,
	}}
	c, err := secure.DialContext(ctx, "tcp", b.address)
	return c, explainTLS(err, time.Now())
}

// explainTLS adds what to do to an error of a handshake.
func explainTLS(err error, now time.Time) error {
	var (
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w; this device's clock says %s: is it right?", err, now.UTC().Format(time.DateTime))
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; name the file of the authority in mqtt.ca_file", err)
	case errors.As(err, &name):
		return fmt.Errorf("%w; use that name in mqtt.brokers", err)
	}
	return err
}

// explainEnd adds what may be the reason when a broker ends the connection
// instead of answering. With TLS 1.3 it looks at this device's certificate after
// the handshake, and its word on it may be lost.
func explainEnd(err error, b broker, s secrets) error {
	if !b.tls || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	what := "this device shows none"
	if len(s.cert) > 0 {
		what = "it does not accept this device's"
	}
	return fmt.Errorf("%w; if the broker asks for a certificate, %s (mqtt.cert_file, mqtt.key_file)", err, what)
}
