package app

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/edgeraft/edgeraft/app/api"
)

// ErrRefused: what a Rescuer was asked for would do harm, or makes no sense. A
// Rescuer wraps it with why.
var ErrRefused = errors.New("nothing was changed")

// Rescuer is for when a cluster is lost. It may be the Node.
type Rescuer interface {
	// Recover makes a cluster of one of what this device has stored.
	Recover(ctx context.Context, r api.RecoverRequest) (api.Recovered, error)
	// StartOver has the device leave its cluster, which it must name, and come
	// back as a new one; with another key unless key is "".
	StartOver(ctx context.Context, cluster, key string) (api.Setup, error)
}

// recoverCluster answers before the device serves again, under its new cluster.
func (s *Server) recoverCluster(req *request) error {
	var body api.RecoverRequest
	if err := req.json(&body); err != nil {
		return err
	}
	ctx, cancel := req.context()
	defer cancel()
	recovered, err := s.rescuer.Recover(ctx, body)
	if err != nil {
		return err
	}
	writeJSON(req.w, http.StatusOK, recovered)
	return nil
}

func (s *Server) startOver(req *request, body api.JoinRequest) error {
	ctx, cancel := req.context()
	defer cancel()
	setup, err := s.rescuer.StartOver(ctx, body.LeaveCluster, strings.TrimSpace(body.Key))
	if err != nil {
		return err
	}
	writeJSON(req.w, http.StatusOK, setup)
	return nil
}
