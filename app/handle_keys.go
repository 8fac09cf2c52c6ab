package app

import (
	"net/http"
	"slices"
	"strings"

	"github.com/edgeraft/edgeraft/app/api"
)

var keyActions = []string{api.KeyRotate, api.KeyAdd, api.KeyReplace, api.KeyDropOld}

// changeKeys takes a step of a rotation of the cluster key.
func (s *Server) changeKeys(req *request) error {
	var body api.KeyChange
	if err := req.json(&body); err != nil {
		return err
	}
	body.Key = strings.TrimSpace(body.Key)
	switch {
	case s.keys == nil:
		return fail(http.StatusNotFound, api.CodeNotFound, "the keys of this agent cannot be changed")
	case !slices.Contains(keyActions, body.Action):
		return badRequest("the action is %q; give one of %s", body.Action, strings.Join(keyActions, ", "))
	case (body.Key != "") != (body.Action == api.KeyAdd || body.Action == api.KeyReplace):
		return badRequest("a key goes with the actions %s and %s, and with no other", api.KeyAdd, api.KeyReplace)
	}
	ctx, cancel := req.context()
	defer cancel()
	changed, err := s.keys.ChangeKeys(ctx, body)
	if err != nil {
		return err
	}
	writeJSON(req.w, http.StatusOK, changed)
	return nil
}
