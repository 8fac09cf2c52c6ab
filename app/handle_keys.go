package app

import (
	"net/http"
	"strings"

	"github.com/edgeraft/edgeraft/app/api"
)

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
	case body.Action != api.KeyRotate && body.Action != api.KeyAdd && body.Action != api.KeyDropOld:
		return badRequest("the action is %q; give %s, %s or %s", body.Action, api.KeyRotate, api.KeyAdd, api.KeyDropOld)
	case (body.Key != "") != (body.Action == api.KeyAdd):
		return badRequest("a key goes with the action %s, and with no other", api.KeyAdd)
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
