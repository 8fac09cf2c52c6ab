package app

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/edgeraft/edgeraft/app/api"
)

// endpoint is one call of the socket.
type endpoint struct {
	method string
	params []string         // the query parameters it knows; others are refused
	body   func(Limits) int // the most bytes of its body; nil for none
	stream bool             // it reads its body itself, piece by piece
	key    keyUse
	exempt bool // from the limit on requests in flight
	serve  func(*Server, *request) error
}

func valueBody(l Limits) int { return l.MaxValueBytes }
func txnBody(l Limits) int   { return l.maxTxnBody() }
func smallBody(Limits) int   { return maxSmallBody }

// The calls whose path is fixed.
var fixedPaths = map[string][]endpoint{
	"/v1/propose": {{method: http.MethodPost, params: []string{"timeout"}, body: valueBody, key: keyKept, serve: (*Server).propose}},
	"/v1/txn":     {{method: http.MethodPost, params: []string{"timeout"}, body: txnBody, key: keyKept, serve: (*Server).txn}},
	"/v1/kv": {{method: http.MethodGet, params: []string{"prefix", "after", "limit", "consistency", "timeout"},
		serve: (*Server).list}},
	// Watchers have a limit of their own.
	"/v1/backup":  {{method: http.MethodGet, params: []string{"consistency", "timeout"}, serve: (*Server).backup}},
	"/v1/recover": {{method: http.MethodPost, params: []string{"timeout"}, body: smallBody, key: keyRefused, serve: (*Server).recoverCluster}},
	"/v1/restore": {{method: http.MethodPost, params: []string{"timeout"}, stream: true, key: keyRefused, serve: (*Server).restore}},
	"/v1/watch":   {{method: http.MethodGet, params: []string{"from", "prefix"}, exempt: true, serve: (*Server).watch}},
	"/v1/events":  {{method: http.MethodGet, params: []string{"from"}, exempt: true, serve: (*Server).eventStream}},
	"/v1/status":  {{method: http.MethodGet, exempt: true, serve: (*Server).status}},
	"/v1/members": {
		{method: http.MethodGet, serve: (*Server).members},
		{method: http.MethodPost, params: []string{"timeout"}, body: smallBody, key: keyNatural, serve: (*Server).addMember},
	},
	"/v1/transfer": {{method: http.MethodPost, params: []string{"timeout"}, key: keyRefused, serve: (*Server).stepDown}},
	"/v1/init":     {{method: http.MethodPost, params: []string{"timeout"}, key: keyNatural, serve: (*Server).found}},
	"/v1/join":     {{method: http.MethodPost, params: []string{"timeout"}, body: smallBody, key: keyNatural, serve: (*Server).join}},
	"/v1/keys":     {{method: http.MethodPost, params: []string{"timeout"}, body: smallBody, key: keyRefused, serve: (*Server).changeKeys}},
	"/healthz":     {{method: http.MethodGet, exempt: true, serve: (*Server).healthz}},
	"/readyz":      {{method: http.MethodGet, exempt: true, serve: (*Server).readyz}},
	"/metrics":     {{method: http.MethodGet, exempt: true, serve: (*Server).metrics}},
}

// The calls of the address for scrapers.
var scrapedPaths = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}

const (
	keyPath    = "/v1/kv/"
	memberPath = "/v1/members/"
)

// The calls on one key, which is the rest of the path.
var keyCalls = []endpoint{
	{method: http.MethodGet, params: []string{"consistency", "timeout"}, serve: (*Server).get},
	{method: http.MethodPut, params: []string{"if_index", "ttl", "timeout"}, body: valueBody, key: keyKept, serve: (*Server).put},
	{method: http.MethodDelete, params: []string{"if_index", "timeout"}, key: keyKept, serve: (*Server).delete},
}

// The calls on one member, by what follows its ID.
var memberCalls = map[string][]endpoint{
	"":        {{method: http.MethodDelete, params: []string{"timeout"}, key: keyNatural, serve: (*Server).removeMember}},
	"promote": {{method: http.MethodPost, params: []string{"timeout"}, key: keyNatural, serve: (*Server).promoteMember}},
	"lead":    {{method: http.MethodPost, params: []string{"timeout"}, key: keyNatural, serve: (*Server).transfer}},
	"demote":  {{method: http.MethodPost, params: []string{"timeout"}, key: keyNatural, serve: (*Server).demoteMember}},
}

// route finds the endpoint, and sets what the path names. It goes by the path
// as it was sent: a key may have slashes, dots and escaped slashes in it.
func (req *request) route() (endpoint, error) {
	path := req.r.URL.EscapedPath()
	calls := fixedPaths[path]
	if rest, ok := strings.CutPrefix(path, keyPath); ok {
		calls, req.name = keyCalls, rest
	} else if rest, ok := strings.CutPrefix(path, memberPath); ok {
		id, action, _ := strings.Cut(rest, "/")
		calls, req.name = memberCalls[action], id
	}
	if calls == nil {
		return endpoint{}, fail(http.StatusNotFound, api.CodeNotFound, "there is no call %s", path)
	}
	name, err := url.PathUnescape(req.name)
	if err != nil {
		return endpoint{}, badRequest("the path is not URL-encoded: %v", err)
	}
	req.name = name
	methods := make([]string, len(calls))
	for i := range calls {
		methods[i] = calls[i].method
	}
	i := slices.Index(methods, req.r.Method)
	if i < 0 {
		allow := strings.Join(methods, ", ")
		req.w.Header().Set("Allow", allow)
		return endpoint{}, fail(http.StatusMethodNotAllowed, api.CodeBadRequest, "%s takes %s, not %s", path, allow, req.r.Method)
	}
	return calls[i], nil
}
